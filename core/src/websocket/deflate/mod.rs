//! The compression of permessage-deflate (RFC 7692): payloads in, payloads out, nothing of frames or negotiation.
//!
//! # Use
//! A connection holds one [`Inflater`] with what the peer negotiated for its sending side, and one [`Deflater`] with what
//! was negotiated for its own. Both cost a few words until their first compressed message.
//!
//! - **Receiving** a message whose first frame has RSV1 set: call [`Inflater::inflate`] with each piece of unmasked
//!   payload as it arrives, in pieces of any size, and `end_of_message` with the last piece of the last frame (an empty
//!   piece is fine). The sink gets the inflated bytes in pieces of at most the window's size. It is the place to check
//!   the limit on the inflated size *before* appending: an error from the sink stops the work at once, so a
//!   decompression bomb costs at most one window beyond the limit. Messages without RSV1 are not shown to it.
//! - **Sending** a message: [`Deflater::compress`] appends the payload of one frame. Set RSV1 on the first frame only
//!   (RFC 7692 section 6.1). Each fragment that is not the last can be inflated by the peer as soon as it has arrived.
//! - **Idle**: [`Inflater::release`] and [`Deflater::release`] give the memory back at any time between two messages,
//!   with and without context take-over.
//!
//! After an error an [`Inflater`] refuses all further input: the connection must fail (close code 1007 for an
//! [`InflateError`]).
//!
//! # Libraries
//! With feature `std` the work is done by `zlib-rs`, without it by `miniz_oxide`. Both follow the same rules and pass the same
//! tests. They differ in two ways that the wire can show: the compressed bytes, and what happens when a peer
//! sends a distance beyond the window it negotiated: `miniz_oxide` refuses it, while `zlib-rs`, whose own window always
//! has 32 KiB, follows it if the bytes are still there.
//!
//! - `miniz_oxide` knows no window size when it compresses, so all that it remembers is dropped (a full flush) each time as many
//!   bytes as the window holds have gone in. For windows below 32 KiB it therefore finds fewer matches than `zlib-rs`.
//! - `zlib-rs` has no raw window of 256 bytes (`window_bits` 8). There it compresses with its run-length
//!   strategy, whose only distance is 1. Prefer 9 in a negotiation.

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

/// The compression level that pays for event streams: level 6 costs nine times as much for 15 % fewer bytes.
pub(crate) const DEFAULT_LEVEL: u8 = 1;

/// What ends the compressed form of every message and is not sent: the lengths of an empty stored block
/// (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
