//! `permessage-deflate` on one connection: who compresses with what, and which messages.

use alloc::vec::Vec;
use core::mem;

use super::deflate::{DeflateError, Deflater, Inflater};
use super::{Compression, DeflateParameters, Role};

impl DeflateParameters {
    /// The inflater for what the peer of `role` sends.
    pub(super) fn inflater(&self, role: Role) -> Inflater {
        let (bits, context_takeover) = match role {
            Role::Server => (self.client_max_window_bits, !self.client_no_context_takeover),
            Role::Client => (self.server_max_window_bits, !self.server_no_context_takeover),
        };
        Inflater::new(bits, context_takeover)
    }

    /// The compressor for what `role` sends itself.
    pub(super) fn compressor(&self, role: Role, config: Compression) -> Compressor {
        let (bits, context_takeover) = match role {
            Role::Server => (self.server_max_window_bits, !self.server_no_context_takeover),
            Role::Client => (self.client_max_window_bits, !self.client_no_context_takeover),
        };
        Compressor {
            deflater: Deflater::new(bits, context_takeover, config.level),
            threshold: config.threshold,
            takes_shared: !context_takeover && bits == SHARED_WINDOW_BITS,
            spare: Vec::new(),
        }
    }
}

/// The window that a shared message is compressed with.
const SHARED_WINDOW_BITS: u8 = 15;

/// Compresses what one connection sends.
#[derive(Debug)]
pub(super) struct Compressor {
    deflater: Deflater,
    threshold: usize,
    takes_shared: bool,
    /// An empty buffer for the next message.
    spare: Vec<u8>,
}

/// What a buffer holds at most to be kept for the next message. It is little beside what a library holds.
const MAX_SPARE: usize = 16 << 10;

impl Compressor {
    /// Whether a message of `len` bytes is worth it.
    pub(super) fn wants(&self, len: usize) -> bool {
        len >= self.threshold
    }

    /// Whether a message that was compressed by itself can be sent as it is: nothing of it may be referred to later, and
    /// the peer's window must hold it.
    pub(super) fn takes_shared(&self) -> bool {
        self.takes_shared
    }

    /// The compressed form of the next piece of a message, to be handed to [`reuse`](Self::reuse) afterwards.
    pub(super) fn compress(&mut self, piece: &[u8], end: bool) -> Result<Vec<u8>, DeflateError> {
        let mut compressed = mem::take(&mut self.spare);
        self.deflater.compress(piece, end, &mut compressed)?;
        Ok(compressed)
    }

    /// Takes a buffer back: to allocate one for each message is what costs most beside the library.
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

/// The compressed form of a whole message that refers to no other.
pub(super) fn compress_alone(payload: &[u8], level: u8) -> Result<Vec<u8>, DeflateError> {
    let mut compressed = Vec::with_capacity(payload.len() / 2 + 64);
    Deflater::new(SHARED_WINDOW_BITS, false, level).compress(payload, true, &mut compressed)?;
    Ok(compressed)
}

/// More than what `len` bytes can grow to by compression: 9 bits a byte are the worst of the fixed code, which is taken where
/// the window is too small for a block to be stored; each block has a header, and each window a flush where the library
/// forgets by flushing.
pub(super) const fn compressed_bound(len: usize) -> usize {
    len.saturating_add(len / 8).saturating_add(len / 64).saturating_add(64)
}
