//! Compressing messages.

use core::fmt;

use alloc::vec::Vec;

use super::error::DeflateError;
use super::library::{DeflateLibrary, Flush, TAIL};

/// Compresses the messages of one direction of a connection (RFC 7692 section 7.2.1), whole or in fragments.
///
/// Without context takeover the compressed form of a message does not depend on other messages, so it can be sent to
/// every peer whose window is at least as large.
///
/// Commands: [`compress`](Self::compress), [`release`](Self::release).
pub(crate) struct Deflater<L> {
    library: Option<L>,
    window_bits: u8,
    context_takeover: bool,
    level: u8,
    /// The library has context to which the next piece could refer.
    has_context: bool,
}

impl<L: DeflateLibrary> Deflater<L> {
    /// A deflater that has allocated nothing yet.
    ///
    /// `window_bits` is the base-2 logarithm of the window, 8 to 15: no distance in the output is longer than the window.
    /// Without `context_takeover` each message is independent. `level` is 0 (stored), or 1 (fastest) to 9 (smallest).
    pub(crate) fn new(window_bits: u8, context_takeover: bool, level: u8) -> Self {
        Self {
            library: None,
            window_bits: window_bits.clamp(8, 15),
            context_takeover,
            level: level.min(9),
            has_context: false,
        }
    }

    /// Appends the compressed form of the next piece of a message to `output`: the payload of one frame.
    ///
    /// # Errors
    /// The library failed, which its contract excludes. Then `output` is unchanged and all context is cleared, so the
    /// caller can send a whole message uncompressed and compress the next one again.
    pub(crate) fn compress(
        &mut self,
        piece: &[u8],
        end_of_message: bool,
        output: &mut Vec<u8>,
    ) -> Result<(), DeflateError> {
        let flush = if end_of_message && !self.context_takeover { Flush::Full } else { Flush::Sync };
        if piece.is_empty() && (flush == Flush::Sync || !self.has_context) {
            // RFC 7692 section 7.2.3.6: the first byte of an empty stored block, whose other four bytes are the tail.
            if end_of_message {
                output.push(0x00);
            }
            return Ok(());
        }
        let start = output.len();
        let library = self.library.get_or_insert_with(|| L::new(self.window_bits, self.level));
        let result = library.compress(piece, flush, output);
        if result.is_err() || !output.ends_with(&TAIL) {
            output.truncate(start);
            self.release();
            return Err(DeflateError);
        }
        // RFC 7692 section 7.2.1: the tail is removed only at the end of the message.
        if end_of_message {
            output.truncate(output.len() - TAIL.len());
        }
        self.has_context = flush == Flush::Sync;
        Ok(())
    }

    /// Frees all memory. The next piece is compressed without context and allocates again.
    pub(crate) fn release(&mut self) {
        self.library = None;
        self.has_context = false;
    }
}

/// The output omits the window: it holds messages of the peers.
impl<L> fmt::Debug for Deflater<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater")
            .field("window_bits", &self.window_bits)
            .field("context_takeover", &self.context_takeover)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}
