//! Inflating messages.

use core::fmt;

use super::error::InflateError;
use super::library::{InflateLibrary, Step, TAIL, Until};
use super::window::Window;

/// Inflates the messages of one direction of a connection (RFC 7692 section 7.2.2), in pieces of any size.
///
/// - A block marked as final ends a stream, but neither the message nor the context: the inflater continues with the
///   bytes after it (RFC 7692 section 7.2.3.4). A message may end directly after such a block.
/// - A message without payload is accepted as empty, although a sender should write one zero byte for it.
/// - Each message must end at the end of a DEFLATE block. A truncated message is refused.
///
/// Commands: [`inflate`](Self::inflate), [`release`](Self::release).
pub(crate) struct Inflater<L> {
    library: Option<L>,
    window: Window,
    context_takeover: bool,
    /// Inside a message: at least one piece of its payload, possibly empty, has been read.
    in_message: bool,
    /// Bytes were read since the message began or since a stream ended in it.
    in_stream: bool,
    failed: bool,
}

impl<L: InflateLibrary> Inflater<L> {
    /// An inflater that has allocated nothing yet.
    ///
    /// `window_bits` is the base-2 logarithm of the sender's window, 8 to 15 (RFC 7692 section 7.1.2). Without
    /// `context_takeover` each message is independent.
    pub(crate) fn new(window_bits: u8, context_takeover: bool) -> Self {
        Self {
            library: None,
            window: Window::new(window_bits.clamp(8, 15)),
            context_takeover,
            in_message: false,
            in_stream: false,
            failed: false,
        }
    }

    /// Inflates the next piece of a message's payload and passes the output to `sink`, piece by piece.
    ///
    /// # Errors
    /// An [`InflateError`], or the error of the sink, which stops the work. Both are final: every later call returns
    /// [`InflateError::Stopped`].
    pub(crate) fn inflate<E: From<InflateError>>(
        &mut self,
        input: &[u8],
        end_of_message: bool,
        sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.failed {
            return Err(InflateError::Stopped.into());
        }
        let result = self.inflate_piece(input, end_of_message, sink);
        if result.is_err() {
            self.failed = true;
            self.library = None;
            self.window.release();
        }
        result
    }

    /// Frees the memory that is not needed until the next message: all of it, except for the used part of the window with
    /// context takeover.
    ///
    /// Does nothing in the middle of a message. The next message allocates again.
    pub(crate) fn release(&mut self) {
        if self.in_message {
            return;
        }
        self.library = None;
        if !self.context_takeover {
            self.window.release();
        }
    }

    fn inflate_piece<E: From<InflateError>>(
        &mut self,
        input: &[u8],
        end_of_message: bool,
        sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.in_message {
            self.in_message = true;
            self.begin_message();
        }
        if !input.is_empty() {
            self.in_stream = true;
            self.inflate_bytes(input, sink)?;
        }
        if end_of_message {
            // A sender may omit the empty block to which the tail belongs if it has sent nothing or has just ended a
            // stream. In that case the tail would begin a block instead of ending one.
            if self.in_stream {
                self.inflate_tail()?;
            }
            self.in_message = false;
            self.in_stream = false;
        }
        Ok(())
    }

    /// RFC 7692 section 7.1.1: without context takeover, no message refers to an earlier one.
    fn begin_message(&mut self) {
        if self.context_takeover {
            return;
        }
        self.window.clear();
        if let Some(library) = &mut self.library {
            library.restart(&self.window);
        }
    }

    fn inflate_bytes<E: From<InflateError>>(
        &mut self,
        mut input: &[u8],
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let library = self.library.get_or_insert_with(|| started(&self.window));
        loop {
            let Step { consumed, inflated, has_more, stream_ended } =
                library.inflate(input, &mut self.window, Until::StreamEnd)?;
            input = input.get(consumed..).unwrap_or_default();
            let stands_still = consumed == 0 && inflated.is_empty();
            if !inflated.is_empty() {
                sink(inflated)?;
            }
            if stream_ended {
                library.restart(&self.window);
                self.in_stream = !input.is_empty();
                if self.in_stream {
                    continue;
                }
                return Ok(());
            }
            if input.is_empty() && !has_more {
                return Ok(());
            }
            // With room and input a library always makes progress. If it does not, the connection must not hang.
            if stands_still {
                return Err(InflateError::Invalid.into());
            }
        }
    }

    /// RFC 7692 section 7.2.2: the four bytes that the sender removed complete the last, empty block.
    fn inflate_tail(&mut self) -> Result<(), InflateError> {
        // The byte after the tail shows whether the block ends there: if so, it is not consumed.
        const PROBE: [u8; 5] = [TAIL[0], TAIL[1], TAIL[2], TAIL[3], 0];

        let library = self.library.get_or_insert_with(|| started(&self.window));
        let step = library.inflate(&PROBE, &mut self.window, Until::BlockEnd)?;
        if step.consumed != TAIL.len() || !step.inflated.is_empty() {
            return Err(InflateError::Unfinished);
        }
        // If the tail has ended a stream, the library reports that again when the next message begins.
        Ok(())
    }
}

fn started<L: InflateLibrary>(window: &Window) -> L {
    let mut library = L::new();
    library.restart(window);
    library
}

/// The output omits the window: it holds messages of the peers.
impl<L> fmt::Debug for Inflater<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater")
            .field("context_takeover", &self.context_takeover)
            .field("in_message", &self.in_message)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
