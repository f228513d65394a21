//! A stream whose type is known only at run time: TCP, a Unix socket, or TLS over one of them.

use std::io::{self, IoSlice};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use multiwa_ws_core::Instant;

use crate::{Clock, Io, Runtime};

/// The stream of a client that dials by itself.
pub(super) struct Stream(Box<dyn Duplex>);

impl Stream {
    pub(super) fn new<S: Unpin + Send + 'static, R: Io<S>>(stream: S) -> Self {
        Self(Box::new(Over::<S, R>(stream, PhantomData)))
    }
}

/// Wraps the runtime `R` for such streams. `R` itself cannot implement `Io<Stream>`, because it implements `Io` for all
/// streams of its ecosystem, and these could include any type in the future.
pub(super) struct Dynamic<R>(PhantomData<fn() -> R>);

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

/// A stream with the runtime that it belongs to.
struct Over<S, R>(S, PhantomData<fn() -> R>);

impl<S: Unpin + Send, R: Io<S>> Duplex for Over<S, R> {
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
