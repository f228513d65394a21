//! The traits that a runtime implements: time, and I/O on the streams of its ecosystem.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use multiwa_ws_core::Instant;

/// A source of time.
pub trait Clock: Send + Sync + Unpin + 'static {
    /// The present time of a monotonic clock. Its epoch is the same throughout the process.
    fn now() -> Instant;
}

/// A source of time and of timers.
pub trait Runtime: Clock {
    /// A timer that completes at its deadline.
    type Sleep: Future<Output = ()> + Send + 'static;

    /// Makes a timer that completes at `at`, or at once if `at` has passed.
    ///
    /// # Panics
    /// May panic outside the context of the runtime, as tokio does.
    fn sleep_until(at: Instant) -> Self::Sleep;
}

/// Reads and writes a stream of type `S` with the traits of the runtime's ecosystem.
///
/// The methods have the contract of the `AsyncRead` and `AsyncWrite` traits that they call.
pub trait Io<S>: Runtime {
    /// Reads into `buffer`. `Ok(0)` is the end of the stream.
    ///
    /// # Errors
    /// The errors of the stream.
    fn poll_read(stream: Pin<&mut S>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes some bytes of `buffers` and returns how many.
    ///
    /// # Errors
    /// The errors of the stream.
    fn poll_write(stream: Pin<&mut S>, cx: &mut Context<'_>, buffers: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;

    /// Writes out the bytes that the stream itself buffers.
    ///
    /// # Errors
    /// The errors of the stream.
    fn poll_flush(stream: Pin<&mut S>, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Closes the write side. The read side stays open.
    ///
    /// # Errors
    /// The errors of the stream.
    fn poll_shutdown(stream: Pin<&mut S>, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}
