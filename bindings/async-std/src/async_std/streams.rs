//! Streams of async-std that end their write side when they are closed.
//!
//! async-std's own only flush then, so that the peer would not see the end of the connection before its stream is dropped:
//! a server that ends the TCP connection first (RFC 6455 section 7.1.1) would wait for its client in vain.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll};

use ::async_std::net;
#[cfg(unix)]
use ::async_std::os::unix;
use ::futures_io::{AsyncRead, AsyncWrite};

macro_rules! ends_write_side {
    ($(#[$attribute:meta])* $stream:ident of $inner:ty) => {
        $(#[$attribute])*
        #[derive(Clone, Debug)]
        pub struct $stream($inner);

        impl From<$inner> for $stream {
            fn from(stream: $inner) -> Self {
                Self(stream)
            }
        }

        impl AsyncRead for $stream {
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

        impl AsyncWrite for $stream {
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
    };
}

ends_write_side! {
    /// A TCP stream of async-std that ends its write side when it is closed, as a [`WebSocket`](crate::WebSocket) needs it;
    /// async-std's own only flushes then.
    TcpStream of net::TcpStream
}

#[cfg(unix)]
ends_write_side! {
    /// A Unix socket of async-std that ends its write side when it is closed, as a [`WebSocket`](crate::WebSocket) needs it;
    /// async-std's own only flushes then.
    UnixStream of unix::net::UnixStream
}
