//! The buffer of a binary message.

use alloc::vec::Vec;

/// A buffer that lends the place of its next bytes. The memory behind its bytes stays initialized when it is emptied, so
/// that it is cleared once and not for each read.
#[derive(Default)]
pub(super) struct BinaryBuffer {
    memory: Vec<u8>,
    len: usize,
}

impl BinaryBuffer {
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.memory.get(..self.len).unwrap_or_default()
    }

    #[inline]
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.memory.capacity()
    }

    #[inline]
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Reserves memory for `more` bytes after those in the buffer.
    pub(super) fn reserve_exact(&mut self, more: usize) {
        let initialized = self.memory.len() - self.len;
        self.memory.reserve_exact(more.saturating_sub(initialized));
    }

    pub(super) fn extend_from_slice(&mut self, bytes: &[u8]) {
        let initialized = self.memory.get_mut(self.len..).unwrap_or_default();
        let (over, behind) = bytes.split_at(bytes.len().min(initialized.len()));
        if let Some(initialized) = initialized.get_mut(..over.len()) {
            initialized.copy_from_slice(over);
        }
        self.memory.extend_from_slice(behind);
        self.len += bytes.len();
    }

    /// The place of the next `len` bytes.
    pub(super) fn place(&mut self, len: usize) -> &mut [u8] {
        let end = self.len + len;
        if self.memory.len() < end {
            self.memory.resize(end, 0);
        }
        self.memory.get_mut(self.len..end).unwrap_or_default()
    }

    /// The next `len` bytes are in their place.
    pub(super) fn filled(&mut self, len: usize) {
        self.len = self.memory.len().min(self.len + len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_in_order_whether_they_are_copied_or_read_to_their_place() {
        let mut buffer = BinaryBuffer::default();
        for _ in 0..2 {
            buffer.extend_from_slice(b"ab");
            buffer.place(6).copy_from_slice(b"cdefgh");
            buffer.filled(3);
            buffer.extend_from_slice(b"FGHI");
            buffer.place(1)[0] = b'j';
            buffer.filled(1);
            buffer.filled(0);
            assert_eq!((buffer.bytes(), buffer.len()), (&b"abcdeFGHIj"[..], 10));
            buffer.clear();
            assert!(buffer.bytes().is_empty() && buffer.is_empty());
        }
    }

    #[test]
    fn memory_that_is_initialized_counts_for_a_reservation() {
        let mut buffer = BinaryBuffer::default();
        buffer.place(100);
        let capacity = buffer.capacity();
        buffer.reserve_exact(capacity);
        assert_eq!(buffer.capacity(), capacity);
        buffer.extend_from_slice(&[1; 10]);
        buffer.reserve_exact(200);
        assert_eq!((buffer.capacity(), buffer.bytes()), (210, &[1; 10][..]));
    }
}
