//! The interface to a DEFLATE library.

use alloc::vec::Vec;

use super::error::{DeflateError, InflateError};
use super::window::Window;

/// The end of the compressed form of every message, which is not sent: the lengths of an empty stored block (RFC 7692
/// section 7.2.1).
pub(super) const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// The decompressing half of a DEFLATE library.
pub(crate) trait InflateLibrary {
    fn new() -> Self;

    /// Begins a DEFLATE stream at a byte boundary. Its distances may refer to all of `window`.
    fn restart(&mut self, window: &Window);

    /// Inflates `input` until the input or the room for output is used up, or until the stream ends, or the block with
    /// [`Until::BlockEnd`]. It also appends the output to `window`.
    fn inflate<'a>(&'a mut self, input: &[u8], window: &'a mut Window, until: Until) -> Result<Step<'a>, InflateError>;
}

/// The latest position at which to pause.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    StreamEnd,
    BlockEnd,
}

/// The result of one call.
pub(crate) struct Step<'a> {
    /// The number of bytes read from the input.
    pub(crate) consumed: usize,
    /// The output.
    pub(crate) inflated: &'a [u8],
    /// The room for output is used up, so more output may follow without more input.
    pub(crate) has_more: bool,
    /// A block marked as final has ended the stream. The bytes after it belong to a new stream.
    pub(crate) stream_ended: bool,
}

/// The compressing half of a DEFLATE library.
pub(crate) trait DeflateLibrary {
    /// A compressor with a level from 0 to 9 that emits no distance above two to the power of `window_bits` (8 to 15).
    fn new(window_bits: u8, level: u8) -> Self;

    /// Appends all of `input` in compressed form, including the [`TAIL`] of an empty stored block.
    fn compress(&mut self, input: &[u8], flush: Flush, output: &mut Vec<u8>) -> Result<(), DeflateError>;
}

/// Whether the compressor keeps its context after a piece.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flush {
    /// The next piece may refer to earlier bytes.
    Sync,
    /// The next piece does not refer to earlier bytes.
    Full,
}
