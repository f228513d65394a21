//! What a runtime supplies: time, and I/O on the streams of its ecosystem.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use multiwa_ws_core::Instant;

/// A source of time.
pub trait Clock: Send + Sync + Unpin + 'static {
    /// The present, on a monotonic clock whose epoch is the same throughout the process.
    fn now() -> Instant;
}

/// A source of time and of timers.
pub trait Runtime: Clock {
    /// A timer that completes at the time it was made for.
    type Sleep: Future<Output = ()> + Send + 'static;

    /// A timer that completes at `at`, at once when that has passed.
    ///
    /// # Panics
    /// A runtime whose timers need a context may panic outside of it, as tokio does.
    fn sleep_until(at: Instant) -> Self::Sleep;
}

/// Reading and writing a stream of type `S` the way the runtime's ecosystem does.
///
/// The methods have the contract of the `AsyncRead` and `AsyncWrite` traits that they call.
pub trait Io<S>: Runtime {
    /// Reads into `buffer`; 0 is the end of the stream.
    ///
    /// # Errors
    /// Those of the stream.
    fn poll_read(stream: Pin<&mut S>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes some of `buffers` and returns how many bytes.
    ///
    /// # Errors
    /// Those of the stream.
    fn poll_write(stream: Pin<&mut S>, cx: &mut Context<'_>, buffers: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;

    /// Hands on what the stream itself buffers.
    ///
    /// # Errors
    /// Those of the stream.
    fn poll_flush(stream: Pin<&mut S>, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends the write side; reading goes on.
    ///
    /// # Errors
    /// Those of the stream.
    fn poll_shutdown(stream: Pin<&mut S>, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}
