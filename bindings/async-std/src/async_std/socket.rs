//! Sockets of async-std with a write side that can be shut down.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll};

use ::async_std::net::TcpStream;
#[cfg(unix)]
use ::async_std::os::unix::net::UnixStream;
use ::futures_io::{AsyncRead, AsyncWrite};

/// A socket of async-std whose `poll_close` shuts down its write side.
///
/// The closing handshake ends with this shutdown (RFC 6455 section 7.1.1). The streams of async-std do nothing in
/// `poll_close`, so both sides would wait until their timeout. Wrap a `TcpStream` or `UnixStream` before you pass it to a
/// [`WebSocket`](crate::WebSocket).
#[derive(Debug)]
pub struct Socket<S>(S);

impl<S> Socket<S> {
    /// Wraps `stream`.
    pub fn new(stream: S) -> Self {
        Self(stream)
    }

    /// The inner stream.
    pub fn get_ref(&self) -> &S {
        &self.0
    }

    /// Returns the inner stream.
    pub fn into_inner(self) -> S {
        self.0
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
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

impl<S: EndWrite + AsyncWrite + Unpin> AsyncWrite for Socket<S> {
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

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The stream has no buffer of its own, so the system has all bytes already.
        Poll::Ready(self.0.end_write())
    }
}

/// A socket whose write side can be shut down.
trait EndWrite {
    fn end_write(&self) -> io::Result<()>;
}

impl EndWrite for TcpStream {
    fn end_write(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

#[cfg(unix)]
impl EndWrite for UnixStream {
    fn end_write(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}
