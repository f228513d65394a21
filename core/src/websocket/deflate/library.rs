//! What a DEFLATE library must be able to do.

use alloc::vec::Vec;

use super::error::{DeflateError, InflateError};
use super::window::Window;

/// The decompressing half of a DEFLATE library.
pub(crate) trait InflateLibrary {
    fn new() -> Self;

    /// Begins a DEFLATE stream at a byte boundary; its distances may reach into all of `window`.
    fn restart(&mut self, window: &Window);

    /// Inflates `input` until it or the room for output is used up, or a stream, or with [`Until::BlockEnd`] a block,
    /// ends. What comes out is in `window` then.
    fn inflate<'a>(&'a mut self, input: &[u8], window: &'a mut Window, until: Until) -> Result<Step<'a>, InflateError>;
}

/// Where to pause at the latest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    StreamEnd,
    BlockEnd,
}

/// How far one call came.
pub(crate) struct Step<'a> {
    /// Bytes taken from the input.
    pub(crate) consumed: usize,
    /// What came out.
    pub(crate) inflated: &'a [u8],
    /// The room for output is used up, so more may come out without more input.
    pub(crate) has_more: bool,
    /// A block marked as final has ended the stream; what follows is a new one.
    pub(crate) stream_ended: bool,
}

/// The compressing half of a DEFLATE library.
pub(crate) trait DeflateLibrary {
    /// A compressor that emits no distance above two to the power of `window_bits` (8 to 15), of a level from 0 to 9.
    fn new(window_bits: u8, level: u8) -> Self;

    /// Appends all of `input` in compressed form, up to and including the tail of an empty stored block.
    fn compress(&mut self, input: &[u8], flush: Flush, output: &mut Vec<u8>) -> Result<(), DeflateError>;
}

/// What the compressor keeps in mind after a piece.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flush {
    /// What comes next may refer to what has gone before.
    Sync,
    /// What comes next stands alone.
    Full,
}
