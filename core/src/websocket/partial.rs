//! A message that arrives in pieces, and how much memory it may take ahead of its bytes.

use alloc::string::String;

use super::binary_buffer::BinaryBuffer;
use super::{MessageKind, ProtocolError};
use crate::Instant;
use crate::frame::{MaskedPart, Utf8Decoder};

/// A data message under way.
#[derive(Debug)]
pub(super) struct PartialMessage {
    pub(super) kind: MessageKind,
    pub(super) compressed: bool,
    pub(super) fragments: u32,
    /// The number of bytes so far, after decompression.
    pub(super) len: usize,
    /// The number of payload bytes that the frames so far declare.
    pub(super) declared: u64,
    /// The number of payload bytes so far, before decompression.
    pub(super) received: u64,
    pub(super) started: Instant,
    pub(super) utf8: Utf8Decoder,
    /// Whether the last byte was read straight to its place, and the message is to be returned next.
    pub(super) is_complete: bool,
}

impl PartialMessage {
    /// A message of which nothing has arrived.
    pub(super) fn new(kind: MessageKind, compressed: bool, started: Instant) -> Self {
        let utf8 = Utf8Decoder::default();
        Self { kind, compressed, fragments: 0, len: 0, declared: 0, received: 0, started, utf8, is_complete: false }
    }

    /// Appends a part of a frame to `text` or `binary`; the whole message has at most `limit` bytes.
    ///
    /// Each block is unmasked, checked and copied before the next one. So only the first of these steps has to fetch it
    /// into the first cache.
    pub(super) fn append(
        &mut self,
        part: MaskedPart<'_>,
        limit: usize,
        text: &mut String,
        binary: &mut BinaryBuffer,
    ) -> Result<(), ProtocolError> {
        self.reserve(part.len(), Follows::after(&part), limit, text, binary);
        part.unmask_in_blocks(|block| self.push(block, text, binary))
    }

    /// Appends a piece that was decompressed. The length of the message is not known.
    pub(super) fn append_inflated(
        &mut self,
        piece: &[u8],
        limit: usize,
        text: &mut String,
        binary: &mut BinaryBuffer,
    ) -> Result<(), ProtocolError> {
        self.reserve(piece.len(), Follows::AtLeast(0), limit, text, binary);
        self.push(piece, text, binary)
    }

    /// How many of the next `missing` bytes of its frame can be read straight to their place, in a buffer of `capacity`
    /// bytes. Only binary data can: safe code cannot turn bytes that were read to their place into text without a second
    /// check of the whole text.
    pub(super) fn room(&self, missing: u64, capacity: usize) -> usize {
        // Nothing is reserved for a message of which only the header has arrived.
        if self.kind == MessageKind::Text || self.compressed || self.len == 0 {
            return 0;
        }
        let room = match capacity.saturating_sub(self.len) {
            0 => ahead(self.len) - self.len,
            room => room,
        };
        usize::try_from(missing).map_or(room, |missing| missing.min(room))
    }

    /// Counts the next `len` bytes, and reserves memory for them.
    fn reserve(&mut self, len: usize, follows: Follows, limit: usize, text: &mut String, binary: &mut BinaryBuffer) {
        self.len += len;
        match self.kind {
            MessageKind::Text => {
                text.reserve_exact(reservation(text.len(), text.capacity(), self.len, follows, limit));
            }
            MessageKind::Binary => {
                binary.reserve_exact(reservation(binary.len(), binary.capacity(), self.len, follows, limit));
            }
        }
    }

    fn push(&mut self, piece: &[u8], text: &mut String, binary: &mut BinaryBuffer) -> Result<(), ProtocolError> {
        match self.kind {
            MessageKind::Text => {
                // Section 8.1. An invalid byte fails the connection as soon as it arrives.
                let (completed, rest) = self.utf8.decode(piece)?;
                text.extend(completed);
                push_in_pieces(text, rest);
            }
            MessageKind::Binary => piece.chunks(COPY).for_each(|piece| binary.extend_from_slice(piece)),
        }
        Ok(())
    }
}

/// Appends `more` to `text` in pieces of at most [`COPY`] bytes.
fn push_in_pieces(text: &mut String, mut more: &str) {
    // A character has at most 4 bytes.
    while let Some(end) = (COPY - 3..=COPY).rev().find(|end| *end < more.len() && more.is_char_boundary(*end))
        && let Some((piece, rest)) = more.split_at_checked(end)
    {
        text.push_str(piece);
        more = rest;
    }
    text.push_str(more);
}

/// The longest copy at once. The C library copies more bytes with the `rep movsb` of some processors. This takes two to
/// five times as long unless source and target are aligned to each other, which they are not behind a header.
const COPY: usize = 2 << 10;

/// How many bytes of a message follow a piece of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follows {
    /// The rest of its last frame.
    Exactly(u64),
    /// The rest of a frame that others may follow.
    AtLeast(u64),
}

impl Follows {
    const fn after(part: &MaskedPart<'_>) -> Self {
        if part.header().fin { Self::Exactly(part.rest()) } else { Self::AtLeast(part.rest()) }
    }
}

/// How many bytes to reserve in a buffer of `len` bytes for a message of which `received` bytes have arrived. The buffer
/// gets room for these and for the bytes known to follow, but in total at most the larger of 64 KiB and twice `received`,
/// and at most `limit`, the longest message. So a length that the peer declares does not decide the size of an
/// allocation, and a message in many pieces is not moved for each of them.
fn reservation(len: usize, capacity: usize, received: usize, follows: Follows, limit: usize) -> usize {
    let needed = received.saturating_sub(len);
    if needed <= capacity.saturating_sub(len) {
        return 0;
    }
    let with = |rest: u64| needed.saturating_add(usize::try_from(rest).unwrap_or(usize::MAX));
    let desired = match follows {
        Follows::Exactly(rest) => with(rest),
        Follows::AtLeast(rest) => with(rest).max(received),
    };
    desired.min(ahead(received).min(limit.max(received)) - len)
}

/// The largest buffer for a message of which `received` bytes have arrived.
fn ahead(received: usize) -> usize {
    received.saturating_mul(2).max(64 << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1 << 10;

    /// The capacity of a buffer of `len` bytes after the reservation.
    fn capacity(len: usize, capacity: usize, received: usize, follows: Follows) -> usize {
        match reservation(len, capacity, received, follows, usize::MAX) {
            0 => capacity,
            additional => len + additional,
        }
    }

    #[test]
    fn a_declared_length_reserves_64_kib_or_twice_what_was_received() {
        let rest = Follows::Exactly(1 << 40);
        assert_eq!(capacity(0, 0, 0, rest), 0);
        assert_eq!(capacity(0, 0, 1, rest), 64 * KIB);
        assert_eq!(capacity(64 * KIB, 64 * KIB, 64 * KIB + 1, rest), 128 * KIB + 2);
        assert_eq!(capacity(usize::MAX - 1, usize::MAX - 1, usize::MAX, Follows::AtLeast(u64::MAX)), usize::MAX);
    }

    #[test]
    fn nothing_is_reserved_past_the_end_of_the_last_frame() {
        assert_eq!(capacity(0, 0, 10, Follows::Exactly(90)), 100);
        assert_eq!(capacity(600 * KIB, 600 * KIB, 601 * KIB, Follows::Exactly(0)), 601 * KIB);
    }

    #[test]
    fn a_buffer_of_small_pieces_doubles() {
        assert_eq!(capacity(100, 100, 101, Follows::AtLeast(0)), 201);
        assert_eq!(reservation(101, 201, 201, Follows::AtLeast(0), 1000), 0);
    }

    #[test]
    fn nothing_is_reserved_beyond_the_longest_message() {
        assert_eq!(reservation(600, 600, 601, Follows::AtLeast(0), 1000), 400);
        assert_eq!(reservation(600, 600, 1000, Follows::AtLeast(0), 1000), 400);
        assert_eq!(reservation(0, 0, 1, Follows::Exactly(1 << 40), 1000), 1000);
    }
}
