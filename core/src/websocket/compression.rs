//! `permessage-deflate` on one connection: the parameters of each direction, and which messages are compressed.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;

pub(super) use super::deflate::Inflater;
use super::deflate::{DeflateError, Deflater};
use super::{Config, DeflateParameters, Negotiated, Role, SendError};

impl Negotiated {
    /// The inflater for the messages that the peer of `role` sends.
    pub(super) fn inflater(&self, role: Role) -> Option<Box<Inflater>> {
        let (bits, context_takeover) = match role {
            Role::Server => self.deflate?.client(),
            Role::Client => self.deflate?.server(),
        };
        Some(Box::new(Inflater::new(bits, context_takeover)))
    }

    /// The compressor for the messages that `role` sends.
    pub(super) fn compressor(&self, role: Role, config: &Config) -> Option<Box<Compressor>> {
        let (bits, context_takeover) = match role {
            Role::Server => self.deflate?.server(),
            Role::Client => self.deflate?.client(),
        };
        Some(Box::new(Compressor {
            deflater: Deflater::new(bits, context_takeover, config.compression.level),
            threshold: config.compression.threshold,
            takes_shared: !context_takeover && bits == SHARED_WINDOW_BITS,
            spare: Vec::new(),
        }))
    }
}

impl DeflateParameters {
    /// The window of what the client sends, and whether it is kept between messages.
    const fn client(self) -> (u8, bool) {
        (self.client_max_window_bits, !self.client_no_context_takeover)
    }

    /// The window of what the server sends, and whether it is kept between messages.
    const fn server(self) -> (u8, bool) {
        (self.server_max_window_bits, !self.server_no_context_takeover)
    }
}

/// The window size for the compression of a shared message.
const SHARED_WINDOW_BITS: u8 = 15;

/// Compresses the messages that one connection sends.
#[derive(Debug)]
pub(super) struct Compressor {
    deflater: Deflater,
    threshold: usize,
    takes_shared: bool,
    /// An empty buffer for the next message.
    spare: Vec<u8>,
}

/// The largest capacity of a buffer that is kept for the next message. It is small compared to the memory of the library.
const MAX_SPARE: usize = 16 << 10;

impl Compressor {
    /// Whether a message of `len` bytes is long enough to compress.
    pub(super) fn wants(&self, len: usize) -> bool {
        len >= self.threshold
    }

    /// Whether a message that was compressed on its own can be sent unchanged: later messages must not refer to it, and
    /// the peer's window must be large enough.
    pub(super) fn takes_shared(&self) -> bool {
        self.takes_shared
    }

    /// The compressed form of the next piece of a message. Pass the buffer to [`reuse`](Self::reuse) afterwards.
    pub(super) fn compress(&mut self, piece: &[u8], end: bool) -> Result<Vec<u8>, SendError> {
        let mut compressed = mem::take(&mut self.spare);
        self.deflater.compress(piece, end, &mut compressed).map_err(|_| SendError::Compression)?;
        Ok(compressed)
    }

    /// Takes a buffer back. Apart from the library, the largest cost would be to allocate one for each message.
    pub(super) fn reuse(&mut self, mut compressed: Vec<u8>) {
        if compressed.capacity() <= MAX_SPARE {
            compressed.clear();
            self.spare = compressed;
        }
    }

    pub(super) fn release_memory(&mut self) {
        self.deflater.release();
        self.spare = Vec::new();
    }
}

/// The compressed form of a whole message that does not refer to any other message.
pub(super) fn compress_alone(payload: &[u8], level: u8) -> Result<Vec<u8>, DeflateError> {
    let mut compressed = Vec::with_capacity(payload.len() / 2 + 64);
    Deflater::new(SHARED_WINDOW_BITS, false, level).compress(payload, true, &mut compressed)?;
    Ok(compressed)
}

/// An upper bound for the compressed length of `len` bytes. The fixed code, which is used where the window is too small
/// for a stored block, takes at most 9 bits for a byte. Each block adds a header. A library that bounds its window by
/// full flushes adds one flush for each window.
pub(super) const fn compressed_bound(len: usize) -> usize {
    len.saturating_add(len / 8).saturating_add(len / 64).saturating_add(64)
}
