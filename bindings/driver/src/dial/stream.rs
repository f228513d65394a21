//! Sockets and streams whose type is known only at run time: TCP, a Unix socket, or TLS over one of them.

#[cfg(feature = "tls")]
use std::future::Future;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use multiwa_ws_core::Instant;
#[cfg(feature = "tls")]
use rustls::ClientConfig;
#[cfg(feature = "tls")]
use rustls::pki_types::ServerName;

use super::tunnel::Tunnel;
#[cfg(feature = "tls")]
use crate::sync::Arc;
use crate::{Clock, Io, Runtime, Tls};

/// The stream of a client that dials by itself.
pub(crate) struct Stream(Box<dyn Duplex>);

/// A connected socket, which can become a stream with TLS or without.
pub(crate) struct Socket(Box<dyn Securable>);

impl Socket {
    pub(super) fn new<S: Unpin + Send + 'static, R: Tls<S>>(socket: S) -> Self {
        Self(Box::new(WithRuntime::<S, R>(socket, PhantomData)))
    }

    #[cfg(feature = "tls")]
    pub(super) async fn connect_tls(self, config: Arc<ClientConfig>, name: ServerName<'static>) -> io::Result<Stream> {
        self.0.connect_tls(config, name).await
    }

    /// Sends the request for a tunnel, and reads the proxy's answer.
    pub(super) async fn open_tunnel(mut self, mut tunnel: Tunnel) -> io::Result<Self> {
        poll_fn(|cx| self.poll_tunnel(cx, &mut tunnel)).await?;
        Ok(self)
    }

    fn poll_tunnel(&mut self, cx: &mut Context<'_>, tunnel: &mut Tunnel) -> Poll<io::Result<()>> {
        while let unsent @ [_, ..] = tunnel.poll_transmit() {
            match ready!(self.0.poll_write(cx, &[IoSlice::new(unsent)]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => tunnel.transmitted(written),
            }
        }
        loop {
            // Reads one byte at a time, so that the bytes after the answer stay in the stream.
            let mut byte = [0];
            let opened = match ready!(self.0.poll_read(cx, &mut byte))? {
                0 => Err(tunnel.handle_eof()),
                _ => tunnel.handle_input(&mut &byte[..]),
            };
            if opened.map_err(io::Error::other)? {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// Without TLS.
impl From<Socket> for Stream {
    fn from(socket: Socket) -> Self {
        Self(socket.0)
    }
}

/// Wraps the runtime `R` for such streams. `R` itself cannot implement `Io<Stream>`, because it implements `Io` for all
/// streams of its ecosystem, and these could include any type in the future.
pub(crate) struct Dynamic<R>(PhantomData<fn() -> R>);

impl<R: Runtime> Clock for Dynamic<R> {
    fn now() -> Instant {
        R::now()
    }
}

impl<R: Runtime> Runtime for Dynamic<R> {
    type Sleep = R::Sleep;

    fn sleep_until(at: Instant) -> Self::Sleep {
        R::sleep_until(at)
    }
}

impl<R: Runtime> Io<Stream> for Dynamic<R> {
    fn poll_read(mut stream: Pin<&mut Stream>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        stream.0.poll_read(cx, buffer)
    }

    fn poll_write(
        mut stream: Pin<&mut Stream>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        stream.0.poll_write(cx, buffers)
    }

    fn poll_flush(mut stream: Pin<&mut Stream>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        stream.0.poll_flush(cx)
    }

    fn poll_shutdown(mut stream: Pin<&mut Stream>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        stream.0.poll_shutdown(cx)
    }
}

/// The methods of [`Io`] for a stream, as an object-safe trait.
trait Duplex: Send {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;
    fn poll_write(&mut self, cx: &mut Context<'_>, buffers: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// The TLS handshake of a socket, as an object-safe trait.
trait Securable: Duplex {
    #[cfg(feature = "tls")]
    fn connect_tls(
        self: Box<Self>,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;
}

/// A stream with the runtime that it belongs to.
struct WithRuntime<S, R>(S, PhantomData<fn() -> R>);

impl<S: Unpin + Send, R: Io<S>> Duplex for WithRuntime<S, R> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        R::poll_read(Pin::new(&mut self.0), cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buffers: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        R::poll_write(Pin::new(&mut self.0), cx, buffers)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        R::poll_flush(Pin::new(&mut self.0), cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        R::poll_shutdown(Pin::new(&mut self.0), cx)
    }
}

impl<S: Unpin + Send + 'static, R: Tls<S>> Securable for WithRuntime<S, R> {
    #[cfg(feature = "tls")]
    fn connect_tls(
        self: Box<Self>,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>> {
        Box::pin(async move {
            let stream = R::connect_tls(config, name, self.0).await?;
            Ok(Stream(Box::new(WithRuntime::<_, R>(stream, PhantomData))))
        })
    }
}
