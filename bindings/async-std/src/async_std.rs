//! async-std as the driver needs it.

use std::future::Future;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use ::async_std::net::{self, TcpListener, ToSocketAddrs};
use ::async_std::task;
use ::futures_io::{AsyncRead, AsyncWrite};
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

/// A TCP stream of async-std that ends its write side when it is closed.
///
/// async-std's own only flushes then, so that the peer would not see the end of a connection: give a
/// [`WebSocket`] this one instead.
#[derive(Clone, Debug)]
pub struct TcpStream(net::TcpStream);

impl From<net::TcpStream> for TcpStream {
    fn from(stream: net::TcpStream) -> Self {
        Self(stream)
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read_vectored(cx, buffers)
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, buffers)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.shutdown(Shutdown::Write))
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
        let stream = net::TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream.into())
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
        Ok((stream.into(), peer))
    }
}
