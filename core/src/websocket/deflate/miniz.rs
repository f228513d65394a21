//! DEFLATE with `miniz_oxide`, which does not need the standard library.

use alloc::boxed::Box;
use alloc::vec::Vec;

use miniz_oxide::deflate::core::{
    CompressionStrategy, CompressorOxide, TDEFLFlush, TDEFLStatus, compress_to_output,
    create_comp_flags_from_zip_params,
};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use super::error::{DeflateError, InflateError};
use super::library::{DeflateLibrary, Flush, InflateLibrary, Step, Until};
use super::window::Window;

/// The core decompressor, which reads earlier bytes directly from our window.
///
/// (The streaming decompressor of the crate stops at a final block.)
pub(crate) struct Inflate(Box<DecompressorOxide>);

impl InflateLibrary for Inflate {
    fn new() -> Self {
        Self(Box::default())
    }

    fn restart(&mut self, _window: &Window) {
        self.0.init();
    }

    fn inflate<'a>(&'a mut self, input: &[u8], window: &'a mut Window, until: Until) -> Result<Step<'a>, InflateError> {
        let (buffer, position, wrapped) = window.buffer();
        let mut flags = TINFL_FLAG_HAS_MORE_INPUT;
        // Until the window wraps, a distance beyond its start would refer to bytes that were never inflated. In wrapping
        // mode the library checks only the size of the window, not its start.
        if !wrapped {
            flags |= TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        }
        if until == Until::BlockEnd {
            flags |= TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY;
        }
        let (status, consumed, produced) = decompress(&mut self.0, input, buffer, position, flags);
        match status {
            TINFLStatus::NeedsMoreInput
            | TINFLStatus::HasMoreOutput
            | TINFLStatus::BlockBoundary
            | TINFLStatus::Done => {
                let (inflated, has_more) = window.advance(produced);
                Ok(Step { consumed, inflated, has_more, stream_ended: status == TINFLStatus::Done })
            }
            _ => Err(InflateError::Invalid),
        }
    }
}

/// The compressor. Full flushes keep its distances inside the window.
pub(crate) struct Deflate {
    compressor: Box<CompressorOxide>,
    /// The largest number of input bytes between two full flushes.
    span: usize,
    /// The number of input bytes since the last full flush.
    filled: usize,
}

/// The window size with which the library always compresses. A window of this size needs no full flush.
const OWN_WINDOW_BITS: u8 = 15;

impl DeflateLibrary for Deflate {
    fn new(window_bits: u8, level: u8) -> Self {
        // A window of zero or less means no zlib header.
        let flags = create_comp_flags_from_zip_params(level.into(), 0, CompressionStrategy::Default as i32);
        Self {
            compressor: Box::new(CompressorOxide::new(flags)),
            span: if window_bits < OWN_WINDOW_BITS { 1 << window_bits } else { usize::MAX },
            filled: 0,
        }
    }

    fn compress(&mut self, input: &[u8], flush: Flush, output: &mut Vec<u8>) -> Result<(), DeflateError> {
        let mut rest = input;
        loop {
            let (piece, more) = rest.split_at_checked(self.span - self.filled).unwrap_or((rest, &[]));
            rest = more;
            let full = (more.is_empty() && flush == Flush::Full) || piece.len() == self.span - self.filled;
            self.filled = if full { 0 } else { self.filled + piece.len() };
            let flush = if full { TDEFLFlush::Full } else { TDEFLFlush::Sync };
            let (status, consumed) = compress_to_output(&mut self.compressor, piece, flush, |bytes| {
                output.extend_from_slice(bytes);
                true
            });
            if status != TDEFLStatus::Okay || consumed != piece.len() {
                return Err(DeflateError);
            }
            if rest.is_empty() {
                return Ok(());
            }
        }
    }
}
