//! tokio as the driver needs it.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;
use std::pin::Pin;
#[cfg(feature = "tls")]
use std::sync::Arc;
use std::sync::OnceLock;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use multiwa_ws_core::Instant;
#[cfg(unix)]
use multiwa_ws_driver::UnixNet;
use multiwa_ws_driver::{Clock, Io, Net, Runtime, Tls, limit_unsent};
#[cfg(feature = "tls")]
use rustls::pki_types::ServerName;
#[cfg(feature = "tls")]
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio::time::{self, Sleep};
#[cfg(feature = "tls")]
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

/// The marker that names tokio to the shared types.
#[derive(Clone, Copy, Debug)]
pub struct Tokio;

impl Clock for Tokio {
    fn now() -> Instant {
        let now = time::Instant::now();
        let after = now.saturating_duration_since(origin());
        let before = origin().saturating_duration_since(now);
        Instant::from_nanos(ORIGIN_NANOS.saturating_add(nanos(after)).saturating_sub(nanos(before)))
    }
}

impl Runtime for Tokio {
    type Sleep = Sleep;

    fn sleep_until(at: Instant) -> Sleep {
        let after = Duration::from_nanos(at.as_nanos().saturating_sub(ORIGIN_NANOS));
        let before = Duration::from_nanos(ORIGIN_NANOS.saturating_sub(at.as_nanos()));
        time::sleep_until((origin() + after).checked_sub(before).unwrap_or_else(time::Instant::now))
    }
}

/// The runtime of this thread: tokio panics where one is needed and there is none.
fn runtime() -> io::Result<Handle> {
    Handle::try_current().map_err(io::Error::other)
}

/// The first moment that was asked for.
fn origin() -> time::Instant {
    static ORIGIN: OnceLock<time::Instant> = OnceLock::new();
    *ORIGIN.get_or_init(time::Instant::now)
}

/// Where it lies in the core's time. There is room before it: a runtime whose clock is paused can be years ahead of the
/// others, and they must not stand still until they catch up with the moment that it asked for.
const ORIGIN_NANOS: u64 = 1 << 62;

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl<S: AsyncRead + AsyncWrite> Io<S> for Tokio {
    fn poll_read(stream: Pin<&mut S>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(stream.poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
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
        stream.poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Tls<S> for Tokio {
    const IS_SUPPORTED: bool = cfg!(feature = "tls");

    #[cfg(feature = "tls")]
    type Stream = TlsStream<S>;
    #[cfg(not(feature = "tls"))]
    type Stream = S;

    #[cfg(feature = "tls")]
    async fn connect_tls(config: Arc<ClientConfig>, name: ServerName<'static>, stream: S) -> io::Result<TlsStream<S>> {
        TlsConnector::from(config).connect(name, stream).await.map(TlsStream::Client)
    }

    #[cfg(feature = "tls")]
    async fn accept_tls(config: Arc<ServerConfig>, stream: S) -> io::Result<TlsStream<S>> {
        TlsAcceptor::from(config).accept(stream).await.map(TlsStream::Server)
    }
}

impl Net for Tokio {
    type TcpStream = TcpStream;
    type TcpListener = TcpListener;

    fn spawn(task: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        // The driver keeps what it needs of the task; the handle is for those who would cancel it.
        drop(runtime()?.spawn(task));
        Ok(())
    }

    async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }

    async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        limit_unsent(&stream);
        Ok(stream)
    }

    async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
        runtime()?;
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
impl UnixNet for Tokio {
    type UnixStream = UnixStream;
    type UnixListener = UnixListener;

    async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
        UnixStream::connect(path).await
    }

    async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
        runtime()?;
        UnixListener::bind(path)
    }

    async fn accept_unix(listener: &UnixListener) -> io::Result<UnixStream> {
        listener.accept().await.map(|(stream, _)| stream)
    }
}
