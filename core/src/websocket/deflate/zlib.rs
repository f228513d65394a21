//! DEFLATE with `zlib-rs`, which needs the standard library.

use alloc::boxed::Box;
use alloc::vec::Vec;

use zlib_rs::{DeflateConfig, DeflateFlush, InflateFlush, Status, Strategy};

use super::error::{DeflateError, InflateError};
use super::library::{DeflateLibrary, Flush, InflateLibrary, Step, Until};
use super::window::Window;

/// The decompressor, which has its own window of 32 KiB.
pub(crate) struct Inflate {
    library: zlib_rs::Inflate,
    /// The output buffer of the library. The library may overwrite bytes after those that it returns. So it cannot write
    /// into the window, where the oldest bytes follow.
    output: Box<[u8]>,
}

/// The most bytes that one call returns.
const OUTPUT_SIZE: usize = 4096;

impl InflateLibrary for Inflate {
    fn new() -> Self {
        Self { library: zlib_rs::Inflate::new(false, 15), output: alloc::vec![0; OUTPUT_SIZE].into_boxed_slice() }
    }

    fn restart(&mut self, window: &Window) {
        self.library.reset(false);
        for part in window.parts().into_iter().filter(|part| !part.is_empty()) {
            // Raw streams accept a dictionary at any time. If it were refused, distances into it would be invalid.
            let _ = self.library.set_dictionary(part);
        }
    }

    fn inflate<'a>(&'a mut self, input: &[u8], window: &'a mut Window, until: Until) -> Result<Step<'a>, InflateError> {
        let flush = match until {
            Until::StreamEnd => InflateFlush::NoFlush,
            Until::BlockEnd => InflateFlush::Block,
        };
        let (total_in, total_out) = (self.library.total_in(), self.library.total_out());
        let status = self.library.decompress(input, &mut self.output, flush).map_err(|_| InflateError::Invalid)?;
        let produced = difference(self.library.total_out(), total_out);
        let inflated = self.output.get(..produced).unwrap_or_default();
        window.push(inflated);
        Ok(Step {
            consumed: difference(self.library.total_in(), total_in),
            inflated,
            has_more: produced == self.output.len(),
            stream_ended: status == Status::StreamEnd,
        })
    }
}

/// The compressor.
pub(crate) struct Deflate(zlib_rs::Deflate);

/// The size of the symbol buffer, 1 to 9. The default 8 costs 98 KiB more, and saves no byte at level 1 and less than 1 %
/// at level 6.
const MEMORY_LEVEL: i32 = 5;

impl DeflateLibrary for Deflate {
    fn new(window_bits: u8, level: u8) -> Self {
        // A raw stream with a window of 256 bytes is refused. Run-length matches stay inside any window by contract. With
        // 9 bits the other matches stay inside it too, but only in the current implementation of the library.
        let strategy = if window_bits < 9 { Strategy::Rle } else { Strategy::Default };
        Self(zlib_rs::Deflate::new_with_config(DeflateConfig {
            level: level.into(),
            // A negative number means no zlib header.
            window_bits: -i32::from(window_bits.max(9)),
            mem_level: MEMORY_LEVEL,
            strategy,
            ..DeflateConfig::default()
        }))
    }

    fn compress(&mut self, input: &[u8], flush: Flush, output: &mut Vec<u8>) -> Result<(), DeflateError> {
        let flush = match flush {
            Flush::Sync => DeflateFlush::SyncFlush,
            Flush::Full => DeflateFlush::FullFlush,
        };
        let mut rest = input;
        loop {
            let start = output.len();
            let room = room_for(rest.len());
            output.resize(start + room, 0);
            let (total_in, total_out) = (self.0.total_in(), self.0.total_out());
            let result = self.0.compress(rest, output.get_mut(start..).unwrap_or_default(), flush);
            let consumed = difference(self.0.total_in(), total_in);
            let produced = difference(self.0.total_out(), total_out);
            output.truncate(start + produced);
            result.map_err(|_| DeflateError)?;
            rest = rest.get(consumed..).unwrap_or_default();
            // Unused room means that the library holds nothing back.
            if rest.is_empty() && produced < room {
                return Ok(());
            }
            if consumed == 0 && produced == 0 {
                return Err(DeflateError);
            }
        }
    }
}

/// The number of bytes to offer for the compressed form: enough for any small message in one step.
fn room_for(input: usize) -> usize {
    // Nine bits for each byte are the worst case of the fixed code. The overhead covers block headers and the tail.
    const OVERHEAD: usize = 32;
    // Large enough that the bytes held back by the library come out in few steps. With 6 bytes or fewer, the size of the
    // tail's block, the library would repeat the tail indefinitely.
    const MIN: usize = 256;
    // The room is zeroed first, so a large message uses several steps.
    const MAX: usize = 64 * 1024;

    input.saturating_add(input / 8).saturating_add(OVERHEAD).clamp(MIN, MAX)
}

fn difference(now: u64, before: u64) -> usize {
    usize::try_from(now - before).unwrap_or(usize::MAX)
}
