//! Inflating messages.

use core::fmt;

use super::TAIL;
use super::error::InflateError;
use super::library::{InflateLibrary, Step, Until};
use super::window::Window;

/// Inflates the messages of one direction of a connection (RFC 7692 section 7.2.2), in pieces of any size.
///
/// - A block marked as final ends a stream, not the message and not the context: what follows is read on (RFC 7692
///   section 7.2.3.4). A message may end right after one.
/// - A message without a byte of payload is taken as empty, though a sender should write one zero byte for it.
/// - Each message must end where a DEFLATE block ends; one that was cut short is refused.
///
/// Commands: [`inflate`](Self::inflate), [`release`](Self::release).
pub(crate) struct Inflater<L> {
    library: Option<L>,
    window: Window,
    context_takeover: bool,
    /// Inside a message: some of its payload, possibly an empty piece, has been seen.
    in_message: bool,
    /// Bytes went in since the message began or since a stream ended in it.
    in_stream: bool,
    failed: bool,
}

impl<L: InflateLibrary> Inflater<L> {
    /// An inflater that has allocated nothing yet.
    ///
    /// `window_bits` is the base-2 logarithm of the sender's window, 8 to 15 (RFC 7692 section 7.1.2). Without
    /// `context_takeover` each message stands alone.
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

    /// Inflates the next piece of a message's payload and hands what comes out to `sink`, piece by piece.
    ///
    /// # Errors
    /// An [`InflateError`], or the error of the sink, which stops the work. Both are final: every later call gives
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

    /// Gives back what is not needed until the next message: all of it, except for the used part of the window with
    /// context takeover.
    ///
    /// Does nothing in the middle of a message. The next message makes up for it by an allocation.
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
            // A sender that leaves out the empty block which the tail belongs to has sent nothing or has just ended a
            // stream: there the tail would begin a block instead of ending one.
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
            // With room and input a library always moves; one that does not must not hang the connection.
            if stands_still {
                return Err(InflateError::Invalid.into());
            }
        }
    }

    /// RFC 7692 section 7.2.2: the four bytes that the sender removed complete the last, empty block.
    fn inflate_tail(&mut self) -> Result<(), InflateError> {
        // The byte behind the tail shows whether the block ends there: then it stays untouched.
        const PROBE: [u8; 5] = [TAIL[0], TAIL[1], TAIL[2], TAIL[3], 0];

        let library = self.library.get_or_insert_with(|| started(&self.window));
        let step = library.inflate(&PROBE, &mut self.window, Until::BlockEnd)?;
        if step.consumed != TAIL.len() || !step.inflated.is_empty() {
            return Err(InflateError::Unfinished);
        }
        // Where the tail has ended a stream, the library says so once more when the next message begins.
        Ok(())
    }
}

fn started<L: InflateLibrary>(window: &Window) -> L {
    let mut library = L::new();
    library.restart(window);
    library
}

/// Never the window: it holds what the peers said to each other.
impl<L> fmt::Debug for Inflater<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater")
            .field("context_takeover", &self.context_takeover)
            .field("in_message", &self.in_message)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
