//! The compression of permessage-deflate (RFC 7692): payloads in, payloads out, nothing of frames or negotiation.
//!
//! # Use
//! A connection holds one [`Inflater`] with what the peer negotiated for its sending side, and one [`Deflater`] with
//! what was negotiated for its own. Both cost a few words until their first compressed message.
//!
//! - **Receiving** a message whose first frame has RSV1 set: call [`Inflater::inflate`] with each piece of unmasked
//!   payload as it arrives, in pieces of any size, and `end_of_message` with the last piece of the last frame (an empty
//!   piece is fine). The sink gets the inflated bytes in pieces of at most 32 KiB. It is the place to check the
//!   limit on the inflated size *before* appending: an error from the sink stops the work at once, so a decompression
//!   bomb costs at most one piece beyond the limit. Messages without RSV1 are not shown to it.
//! - **Sending** a message: [`Deflater::compress`] appends the payload of one frame. Set RSV1 on the first frame only
//!   (RFC 7692 section 6.1). Each fragment that is not the last can be inflated by the peer as soon as it has arrived.
//! - **Limits**: a block may be empty, so a message can go on for ever without a byte coming out. The connection must
//!   bound the compressed bytes of a message too, with some room: incompressible bytes grow by up to an eighth.
//! - **Idle**: [`Inflater::release`] and [`Deflater::release`] give the memory back at any time between two messages,
//!   with and without context takeover.
//!
//! After an error an [`Inflater`] refuses all further input: the connection must fail (close code 1007 for an
//! [`InflateError`]).
//!
//! # Libraries
//! With feature `std` the work is done by `zlib-rs`, without it by `miniz_oxide`. Both pass the same tests: they accept
//! the same streams with the same result, and refuse the others, at the latest at the end of the message. They differ in
//! two ways that a peer can see: in the compressed bytes, and when a peer sends a distance beyond the window that it
//! negotiated. `miniz_oxide` refuses it. `zlib-rs`, whose own window always has 32 KiB, follows it while it still has the
//! bytes. It has no setting that forbids this, and inflating windows below 32 KiB by `miniz_oxide` would take two to six
//! times as many instructions.
//!
//! - `miniz_oxide` knows no window size when it compresses, so all that it remembers is dropped (a full flush) each
//!   time as many bytes as the window holds have gone in. For windows below 32 KiB it therefore finds fewer matches
//!   than `zlib-rs`.
//! - `zlib-rs` has no raw window of 256 bytes (`window_bits` 8). There it compresses with its run-length
//!   strategy, whose only distance is 1. Prefer 9 in a negotiation.
//!
//! # Memory
//! Bytes allocated for each direction of a connection, from the first compressed message on, and what remains after
//! `release()`. The window is allocated as it is used, from 1 KiB up.
//!
//! | | `window_bits` 9 | 12 | 15 | after `release()` |
//! | --- | --- | --- | --- | --- |
//! | `zlib-rs`, inflating | 52,160 | 55,744 | 84,416 | the used window with context takeover, at most 2^`window_bits`; else 0 |
//! | `zlib-rs`, compressing | 150,656 | 164,992 | 279,680 | 0 |
//! | `miniz_oxide`, inflating | 11,016 | 14,600 | 43,272 | as above |
//! | `miniz_oxide`, compressing | 319,326 | 319,326 | 319,326 | 0 |
//!
//! Nothing is allocated for a message after that, but for what the caller's own buffers need.

mod deflater;
mod error;
mod inflater;
mod library;
#[cfg(any(test, not(feature = "std")))]
mod miniz;
#[cfg(test)]
mod tests;
mod window;
#[cfg(feature = "std")]
mod zlib;

#[cfg(not(feature = "std"))]
use self::miniz as chosen;
#[cfg(feature = "std")]
use self::zlib as chosen;

pub(crate) use error::{DeflateError, InflateError};

/// Inflates what the peer compressed.
pub(crate) type Inflater = inflater::Inflater<chosen::Inflate>;

/// Compresses what goes to the peer.
pub(crate) type Deflater = deflater::Deflater<chosen::Deflate>;

/// The compression level that pays for event streams.
///
/// With events of 270 bytes and context takeover, `zlib-rs` takes six to eight times as long at levels 2 and 3 for 4
/// to 11 % fewer bytes, and eleven times as long at level 6 for a fifth fewer.
pub(crate) const DEFAULT_LEVEL: u8 = 1;

/// What ends the compressed form of every message and is not sent: the lengths of an empty stored block
/// (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
