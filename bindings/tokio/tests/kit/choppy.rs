//! A stream that takes and gives a few bytes at a time, and often nothing yet.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// The most that one read or write moves.
const MOST: usize = 4096;

#[derive(Debug)]
pub(crate) struct Choppy {
    stream: DuplexStream,
    random: ChaCha8Rng,
}

/// Both ends of a stream; all that happens depends on `seed` alone.
pub(crate) fn pair(seed: u64) -> (Choppy, Choppy) {
    let (one, other) = tokio::io::duplex(1 << 14);
    let choppy = |stream, stream_id| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream_id);
        Choppy { stream, random }
    };
    (choppy(one, 1), choppy(other, 2))
}

/// A number below `end`.
pub(crate) fn below(random: &mut ChaCha8Rng, end: u32) -> u32 {
    random.next_u32() % end
}

impl Choppy {
    /// Pending two times in five. The task is woken at once, so that a wait is never for ever.
    fn dawdle(&mut self, cx: &Context<'_>) -> Poll<()> {
        if below(&mut self.random, 5) < 2 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// How much to move: every order of magnitude is as likely.
    fn portion(&mut self) -> usize {
        let most = 1 << below(&mut self.random, MOST.ilog2() + 1);
        1 + below(&mut self.random, most) as usize
    }
}

impl AsyncRead for Choppy {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.dawdle(cx));
        let mut bytes = [0; MOST];
        let most = self.portion().min(buffer.remaining());
        let mut part = ReadBuf::new(&mut bytes[..most]);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        buffer.put_slice(part.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Choppy {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.dawdle(cx));
        let most = self.portion();
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).take(most).collect();
        Pin::new(&mut self.stream).poll_write(cx, &bytes)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.dawdle(cx));
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.dawdle(cx));
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
