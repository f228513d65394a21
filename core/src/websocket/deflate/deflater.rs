//! Compressing messages.

use core::fmt;

use alloc::vec::Vec;

use super::TAIL;
use super::error::DeflateError;
use super::library::{DeflateLibrary, Flush};

/// Compresses the messages of one direction of a connection (RFC 7692 section 7.2.1), whole or in fragments.
///
/// Without context takeover the compressed form of a message stands alone, so it can be sent to every peer whose
/// window is at least as large.
///
/// Commands: [`compress`](Self::compress), [`release`](Self::release).
pub(crate) struct Deflater<L> {
    library: Option<L>,
    window_bits: u8,
    context_takeover: bool,
    level: u8,
    /// The library remembers bytes that what comes next could refer to.
    has_context: bool,
}

impl<L: DeflateLibrary> Deflater<L> {
    /// A deflater that has allocated nothing yet.
    ///
    /// `window_bits` is the base-2 logarithm of the window, 8 to 15: no distance in the output is longer. Without
    /// `context_takeover` each message stands alone. `level` goes from 0 (stored) over 1 (fastest) to 9 (smallest).
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
    /// When the library fails, which it does not do by its contract. Then `output` is as it was and all context is
    /// forgotten, so a whole message can be sent uncompressed instead and the next one compressed again.
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
        // RFC 7692 section 7.2.1: the tail stays away at the end of the message alone.
        if end_of_message {
            output.truncate(output.len() - TAIL.len());
        }
        self.has_context = flush == Flush::Sync;
        Ok(())
    }

    /// Gives all memory back; the next piece is compressed without context, at the price of a new allocation.
    pub(crate) fn release(&mut self) {
        self.library = None;
        self.has_context = false;
    }
}

/// Never the window: it holds what the peers said to each other.
impl<L> fmt::Debug for Deflater<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater")
            .field("window_bits", &self.window_bits)
            .field("context_takeover", &self.context_takeover)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}
