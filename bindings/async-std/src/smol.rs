//! The same client, server and WebSocket on smol.
//!
//! Tasks run on the global executor of smol. The environment variable `SMOL_THREADS` sets the number of its threads.
//!
//! ```no_run
#![doc = include_str!("../examples/smol_client.rs")]
//! ```

use std::future::Future;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use ::smol::Timer;
#[cfg(unix)]
use ::smol::net::unix::{UnixListener, UnixStream};
use ::smol::net::{TcpListener, TcpStream};
use multiwa_ws_core::Instant;
#[cfg(unix)]
use multiwa_ws_driver::UnixNet;
use multiwa_ws_driver::{Clock, Net, Runtime, limit_unsent};

use crate::futures_io::{self, impl_io};

/// The marker type for smol.
#[derive(Clone, Copy, Debug)]
pub struct Smol;

multiwa_ws_driver::name_types!(Smol);
impl_io!(Smol);

/// A timer of smol without an output.
#[derive(Debug)]
pub struct Sleep(Timer);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

impl Clock for Smol {
    fn now() -> Instant {
        futures_io::now()
    }
}

impl Runtime for Smol {
    type Sleep = Sleep;

    fn sleep_until(at: Instant) -> Sleep {
        Sleep(Timer::after(at.saturating_duration_since(Self::now())))
    }
}

impl Net for Smol {
    type TcpStream = TcpStream;
    type TcpListener = TcpListener;

    fn spawn(task: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        ::smol::spawn(task).detach();
        Ok(())
    }

    async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        ::smol::net::resolve((host, port)).await
    }

    async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        limit_unsent(&stream);
        Ok(stream)
    }

    async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(address).await
    }

    fn local_addr(listener: &TcpListener) -> io::Result<SocketAddr> {
        listener.local_addr()
    }

    async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        limit_unsent(&stream);
        Ok((stream, peer))
    }
}

#[cfg(unix)]
impl UnixNet for Smol {
    type UnixStream = UnixStream;
    type UnixListener = UnixListener;

    async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
        UnixStream::connect(path).await
    }

    async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
        UnixListener::bind(path)
    }

    async fn accept_unix(listener: &UnixListener) -> io::Result<UnixStream> {
        listener.accept().await.map(|(stream, _)| stream)
    }
}
