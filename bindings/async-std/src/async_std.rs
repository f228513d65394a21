//! async-std as the driver needs it.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use ::async_std::net::{TcpListener, TcpStream, ToSocketAddrs};
use ::async_std::task;
use multiwa_ws_core::Instant;
use multiwa_ws_driver::{Net, Runtime};

use crate::futures_io::{self, impl_io};
use crate::names::name_types;

/// The marker that names async-std to the shared types.
#[derive(Clone, Copy, Debug)]
pub struct AsyncStd;

name_types!(AsyncStd);
impl_io!(AsyncStd);

impl Runtime for AsyncStd {
    type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn now() -> Instant {
        futures_io::now()
    }

    fn sleep_until(at: Instant) -> Self::Sleep {
        Box::pin(task::sleep(at.saturating_duration_since(Self::now())))
    }
}

impl Net for AsyncStd {
    type TcpStream = TcpStream;
    type TcpListener = TcpListener;

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        // Dropping the handle lets the task run on.
        drop(task::spawn(task));
    }

    async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((host, port).to_socket_addrs().await?.collect())
    }

    async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
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
        Ok((stream, peer))
    }
}
