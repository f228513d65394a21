//! The peers, one file each: how each of them decodes and encodes.
//!
//! A `decoder` reads the wire through the memory transport and looks at each message. [`Messages`] does the same over
//! any stream. An `encoder` frames a text in batches of messages and flushes each batch. If a peer writes every frame
//! by itself, a [`Collector`] stands behind it. Each peer is configured as its documentation recommends for speed, with
//! limits that allow the longest messages.

pub mod fastwebsockets;
pub mod sans_io;
pub mod sockudo;
pub mod streams;
pub mod tokio_tungstenite;
pub mod tokio_websockets;
pub mod tungstenite;
pub mod wtx;
pub mod yawc;

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::memory::{Collector, Memory};
use crate::ours::{Look, Run};

/// The longest frame or message, for peers that have a limit.
const LIMIT: usize = 64 << 20;

/// What the caller of an encoder has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A text that remains its own. A library that sends it without a copy borrows it.
    Copied,
    /// A payload that is shared among messages, in the form of the library.
    Shared,
}

impl Payload {
    /// The payload of one message.
    fn bytes(self, text: &Bytes) -> Bytes {
        match self {
            Self::Copied => Bytes::copy_from_slice(text),
            Self::Shared => text.clone(),
        }
    }
}

/// A connection that reads messages from an asynchronous stream.
pub trait Messages: 'static {
    /// Reads this number of text messages, and looks at each.
    fn read(&mut self, messages: usize, look: &mut impl Look) -> impl Future<Output = ()>;
}

/// Reads this number of messages in each pass, over the memory transport.
pub fn decode(mut socket: impl Messages, messages: usize, mut look: impl Look) -> Run {
    Box::new(move || {
        ready(socket.read(messages, &mut look));
        look.found()
    })
}

/// Runs a future over the memory transport, which is always ready.
pub(crate) fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the memory transport is always ready"),
    }
}

/// Encoders only write, so there is nothing to read.
impl AsyncRead for Collector {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Collector {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().frame([bytes].into_iter());
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().frame(slices.iter().map(|slice| &**slice));
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Memory {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // `initialize_unfilled` would clear the buffer first.
        let bytes = self.get_mut().source.take(buffer.remaining());
        buffer.put_slice(bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(io::Write::write(self.get_mut(), bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(io::Write::write_vectored(self.get_mut(), slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
