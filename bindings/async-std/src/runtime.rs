//! async-std as the driver needs it.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time;

use async_std::net::{TcpListener, TcpStream, ToSocketAddrs};
use futures_io::{AsyncRead, AsyncWrite};
use multiwa_ws_core::Instant;
use multiwa_ws_driver::{Clock, Io, Net, Runtime};

/// The marker that names async-std to the shared types.
#[derive(Clone, Copy, Debug)]
pub struct AsyncStd;

impl Clock for AsyncStd {
    fn now() -> Instant {
        Instant::from_nanos(u64::try_from(epoch().elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

impl Runtime for AsyncStd {
    type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn sleep_until(at: Instant) -> Self::Sleep {
        Box::pin(async_std::task::sleep(at.saturating_duration_since(Self::now())))
    }
}

/// The first moment that was asked for.
fn epoch() -> time::Instant {
    static EPOCH: OnceLock<time::Instant> = OnceLock::new();
    *EPOCH.get_or_init(time::Instant::now)
}

impl<S: AsyncRead + AsyncWrite> Io<S> for AsyncStd {
    fn poll_read(stream: Pin<&mut S>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        stream.poll_read(cx, buffer)
    }

    fn poll_write(stream: Pin<&mut S>, cx: &mut Context<'_>, buffers: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match buffers {
            [buffer] => stream.poll_write(cx, buffer),
            buffers => stream.poll_write_vectored(cx, buffers),
        }
    }

    fn poll_flush(stream: Pin<&mut S>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        stream.poll_flush(cx)
    }

    fn poll_shutdown(stream: Pin<&mut S>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        stream.poll_close(cx)
    }
}

impl Net for AsyncStd {
    type TcpStream = TcpStream;
    type TcpListener = TcpListener;

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        // Dropping the handle lets the task run on.
        drop(async_std::task::spawn(task));
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
