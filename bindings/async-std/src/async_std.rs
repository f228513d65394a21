//! The runtime async-std for the driver.

mod socket;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;
use std::pin::Pin;

use ::async_std::net::{TcpListener, TcpStream, ToSocketAddrs};
#[cfg(unix)]
use ::async_std::os::unix::net::{UnixListener, UnixStream};
use ::async_std::task;
use multiwa_ws_core::Instant;
#[cfg(unix)]
use multiwa_ws_driver::UnixNet;
use multiwa_ws_driver::{Clock, Net, Runtime, limit_unsent};

use crate::futures_io::{self, impl_io};

pub use socket::Socket;

/// The marker type for async-std.
#[derive(Clone, Copy, Debug)]
pub struct AsyncStd;

multiwa_ws_driver::name_types!(AsyncStd);
impl_io!(AsyncStd);

impl Clock for AsyncStd {
    fn now() -> Instant {
        futures_io::now()
    }
}

impl Runtime for AsyncStd {
    type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn sleep_until(at: Instant) -> Self::Sleep {
        Box::pin(task::sleep(at.saturating_duration_since(Self::now())))
    }
}

impl Net for AsyncStd {
    type TcpStream = Socket<TcpStream>;
    type TcpListener = TcpListener;

    fn spawn(task: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        // Dropping the handle detaches the task.
        drop(task::spawn(task));
        Ok(())
    }

    async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((host, port).to_socket_addrs().await?.collect())
    }

    async fn connect(address: SocketAddr) -> io::Result<Socket<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        limit_unsent(&stream);
        Ok(Socket::new(stream))
    }

    async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(address).await
    }

    fn local_addr(listener: &TcpListener) -> io::Result<SocketAddr> {
        listener.local_addr()
    }

    async fn accept(listener: &TcpListener) -> io::Result<(Socket<TcpStream>, SocketAddr)> {
        let (stream, peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        limit_unsent(&stream);
        Ok((Socket::new(stream), peer))
    }
}

#[cfg(unix)]
impl UnixNet for AsyncStd {
    type UnixStream = Socket<UnixStream>;
    type UnixListener = UnixListener;

    async fn connect_unix(path: &Path) -> io::Result<Socket<UnixStream>> {
        UnixStream::connect(path).await.map(Socket::new)
    }

    async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
        UnixListener::bind(path).await
    }

    async fn accept_unix(listener: &UnixListener) -> io::Result<Socket<UnixStream>> {
        listener.accept().await.map(|(stream, _)| Socket::new(stream))
    }
}
