//! Layer 1: frames (RFC 6455 section 5). No allocation, no messages, no lifecycle.
//!
//! [`FrameDecoder`] takes bytes in pieces of any size and returns parts of frames, unmasked in place in the buffer of
//! the caller. [`FrameHeader::encode`] and [`apply_mask`] write frames. [`Utf8Decoder`] checks text that arrives in
//! pieces, and [`CloseFrame`] reads and checks the body of a Close frame.
//!
//! ```
//! use multiwa_ws_core::frame::{FrameDecoder, FrameRules, OpCode};
//!
//! // The masked "Hello" of RFC 6455 section 5.7, as a server receives it.
//! let mut bytes = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
//! let mut input = &mut bytes[..];
//! let mut decoder = FrameDecoder::new(FrameRules::for_server());
//! let part = decoder.decode(&mut input)?.expect("the frame is complete");
//! assert_eq!(part.header.opcode, OpCode::Text);
//! assert_eq!(part.payload, b"Hello");
//! assert!(part.is_last() && input.is_empty());
//! # Ok::<(), multiwa_ws_core::frame::FrameError>(())
//! ```

mod close;
mod decoder;
mod header;
mod mask;
mod reserved;
mod rules;
mod utf8;

pub use close::{CloseCode, CloseFrame, InvalidClose};
pub(crate) use decoder::MaskedPart;
pub use decoder::{FrameDecoder, FramePart};
pub use header::{FrameError, FrameHeader, OpCode};
pub use mask::apply_mask;
pub(crate) use mask::copy_masked;
pub use reserved::ReservedBits;
pub use rules::{FrameRules, MaskRule};
pub use utf8::{InvalidUtf8, Utf8Decoder, from_utf8};
