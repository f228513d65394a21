//! The compression of permessage-deflate (RFC 7692). It works on payloads and does not handle frames or negotiation.
//!
//! # Use
//! A connection holds one [`Inflater`] with the parameters negotiated for the peer's sending direction, and one
//! [`Deflater`] with the parameters for its own. Both take only a few words of memory until their first compressed
//! message.
//!
//! - **Receiving** a message whose first frame has RSV1 set: call [`Inflater::inflate`] with each piece of unmasked
//!   payload as it arrives, in pieces of any size, and set `end_of_message` with the last piece of the last frame (an
//!   empty piece is allowed). The sink gets the inflated bytes in pieces of at most 32 KiB. It must check the limit on
//!   the inflated size *before* it appends: an error from the sink stops the work at once, so a decompression bomb costs
//!   at most one piece beyond the limit. Do not pass messages without RSV1 to the inflater.
//! - **Sending** a message: [`Deflater::compress`] appends the payload of one frame. Set RSV1 on the first frame only
//!   (RFC 7692 section 6.1). The peer can inflate each fragment as soon as it has arrived.
//! - **Limits**: a block may be empty, so a message can continue indefinitely without any output. The connection must
//!   therefore also bound the compressed bytes of a message, with a margin: incompressible bytes grow by up to an eighth.
//! - **Idle**: [`Inflater::release`] and [`Deflater::release`] free the memory at any time between two messages, with and
//!   without context takeover.
//!
//! After an error an [`Inflater`] refuses all further input: the connection must fail (close code 1007 for an
//! [`InflateError`]).
//!
//! # Libraries
//! `zlib-rs` does the work with feature `std`, `miniz_oxide` without it. Both pass the same tests: they accept the same
//! streams with the same result, and refuse all others, at the latest at the end of the message. A peer can observe two
//! differences. The compressed bytes differ. And when a peer sends a distance beyond the window that it negotiated,
//! `miniz_oxide` refuses it, while `zlib-rs`, whose own window always has 32 KiB, accepts it as long as it still has the
//! bytes. `zlib-rs` has no setting that forbids this, and inflating windows below 32 KiB with `miniz_oxide` would take
//! two to six times as many instructions.
//!
//! - `miniz_oxide` has no setting for the window size when it compresses. For windows below 32 KiB, a full flush
//!   therefore clears its context each time it has compressed as many bytes as the window holds, and it finds fewer
//!   matches than `zlib-rs`.
//! - `zlib-rs` does not support a window of 256 bytes (`window_bits` 8) for raw streams. For that size it compresses with
//!   its run-length strategy, whose only distance is 1. Prefer 9 in a negotiation.
//!
//! # Memory
//! Bytes allocated for each direction of a connection, from the first compressed message on, and after `release()`. The
//! window is allocated as it is used, starting at 1 KiB.
//!
//! | | `window_bits` 9 | 12 | 15 | after `release()` |
//! | --- | --- | --- | --- | --- |
//! | `zlib-rs`, inflating | 52,160 | 55,744 | 84,416 | the used window with context takeover, at most 2^`window_bits`; else 0 |
//! | `zlib-rs`, compressing | 150,656 | 164,992 | 279,680 | 0 |
//! | `miniz_oxide`, inflating | 11,016 | 14,600 | 43,272 | as above |
//! | `miniz_oxide`, compressing | 319,326 | 319,326 | 319,326 | 0 |
//!
//! Later messages allocate nothing more, except in the caller's own buffers.

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

/// Inflates the messages of the peer.
pub(crate) type Inflater = inflater::Inflater<chosen::Inflate>;

/// Compresses the messages to the peer.
pub(crate) type Deflater = deflater::Deflater<chosen::Deflate>;

/// The best compression level for event streams.
///
/// With events of 270 bytes and context takeover, `zlib-rs` takes six to eight times as long at levels 2 and 3 for 4
/// to 11 % fewer bytes, and eleven times as long at level 6 for a fifth fewer.
pub(crate) const DEFAULT_LEVEL: u8 = 1;
