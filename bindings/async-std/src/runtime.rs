//! async-std as the driver needs it.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time;

use async_std::net::{TcpListener, TcpStream, ToSocketAddrs};
#[cfg(unix)]
use async_std::os::unix::net::{UnixListener, UnixStream};
use futures_io::{AsyncRead, AsyncWrite};
use futures_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use multiwa_ws_core::Instant;
#[cfg(unix)]
use multiwa_ws_driver::UnixNet;
use multiwa_ws_driver::{Clock, Io, Net, Runtime, Tls};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};

use crate::Socket;

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

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Tls<S> for AsyncStd {
    type Stream = TlsStream<S>;

    async fn connect_tls(config: Arc<ClientConfig>, name: ServerName<'static>, stream: S) -> io::Result<TlsStream<S>> {
        TlsConnector::from(config).connect(name, stream).await.map(TlsStream::Client)
    }

    async fn accept_tls(config: Arc<ServerConfig>, stream: S) -> io::Result<TlsStream<S>> {
        TlsAcceptor::from(config).accept(stream).await.map(TlsStream::Server)
    }
}

impl Net for AsyncStd {
    type TcpStream = Socket<TcpStream>;
    type TcpListener = TcpListener;

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        // Dropping the handle lets the task run on.
        drop(async_std::task::spawn(task));
    }

    async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((host, port).to_socket_addrs().await?.collect())
    }

    async fn connect(address: SocketAddr) -> io::Result<Socket<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
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
