//! The sliding window of an inflater.

use alloc::vec::Vec;

/// The bytes inflated last, which the next ones may repeat (RFC 1951 section 2), and at the same time the buffer that
/// new ones are inflated into.
///
/// It grows with use up to the negotiated size. From then on it is a ring of exactly that size, a power of two.
pub(crate) struct Window {
    bytes: Vec<u8>,
    position: usize,
    /// The end of the full-size buffer has been passed, so all of it holds inflated bytes.
    wrapped: bool,
    size: usize,
}

/// The first allocation, for connections that see only a few small messages.
const INITIAL_SIZE: usize = 1024;

impl Window {
    pub(crate) fn new(bits: u8) -> Self {
        Self { bytes: Vec::new(), position: 0, wrapped: false, size: 1 << bits }
    }

    /// The whole buffer; what lies at and after [`position`](Self::position) may be overwritten.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Whether the bytes after the position are inflated ones too.
    #[cfg(any(test, not(feature = "std")))]
    pub(crate) fn wrapped(&self) -> bool {
        self.wrapped
    }

    /// The inflated bytes, the older part first.
    #[cfg(any(test, feature = "std"))]
    pub(crate) fn parts(&self) -> [&[u8]; 2] {
        let (newer, older) = self.bytes.split_at_checked(self.position).unwrap_or_default();
        [if self.wrapped { older } else { &[] }, newer]
    }

    pub(crate) fn is_full(&self) -> bool {
        self.position == self.bytes.len()
    }

    /// Sees to it that at least one byte can be written.
    pub(crate) fn make_room(&mut self) {
        if !self.is_full() {
            return;
        }
        if self.bytes.len() < self.size {
            let grown = (2 * self.bytes.len()).clamp(INITIAL_SIZE.min(self.size), self.size);
            self.bytes.reserve_exact(grown - self.bytes.len());
            self.bytes.resize(grown, 0);
            return;
        }
        self.position = 0;
        self.wrapped = true;
    }

    /// Moves the position past `count` bytes that were written there, and returns them.
    pub(crate) fn advance(&mut self, count: usize) -> &[u8] {
        let start = self.position;
        self.position = (start + count).min(self.bytes.len());
        self.bytes.get(start..self.position).unwrap_or_default()
    }

    /// Forgets the bytes but keeps the buffer.
    pub(crate) fn clear(&mut self) {
        self.position = 0;
        self.wrapped = false;
    }

    /// Forgets the bytes and gives the buffer back.
    pub(crate) fn release(&mut self) {
        self.clear();
        self.bytes = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(window: &mut Window, bytes: &[u8]) {
        for &byte in bytes {
            window.make_room();
            let position = window.position();
            window.bytes_mut()[position] = byte;
            assert_eq!(window.advance(1), [byte]);
        }
    }

    #[test]
    fn a_window_allocates_as_it_is_used_and_never_more_than_its_size() {
        let mut window = Window::new(12);
        assert_eq!(window.bytes.capacity(), 0);
        for (written, size) in [(1, 1024), (1023, 1024), (1, 2048), (1024, 4096), (2047, 4096), (10_000, 4096)] {
            write(&mut window, &alloc::vec![7; written]);
            assert_eq!(window.bytes.capacity(), size);
        }
        let mut smallest = Window::new(8);
        write(&mut smallest, &[7; 1000]);
        assert_eq!(smallest.bytes.capacity(), 256);
    }

    #[test]
    fn the_parts_are_the_last_bytes_in_order() {
        let bytes: Vec<u8> = (0..1000).map(|n: u32| n.to_le_bytes()[0]).collect();
        for count in (0..=1000).step_by(8) {
            let mut window = Window::new(8);
            write(&mut window, &bytes[..count]);
            assert_eq!(window.parts().concat(), bytes[count.saturating_sub(256)..count]);
        }
    }

    #[test]
    fn a_cleared_window_holds_nothing_until_it_is_written_again() {
        let mut window = Window::new(8);
        write(&mut window, &[1; 300]);
        window.clear();
        assert!(window.parts().concat().is_empty());
        assert_eq!(window.bytes.capacity(), 256);
        write(&mut window, &[2; 3]);
        assert_eq!(window.parts().concat(), [2; 3]);
        window.release();
        assert_eq!(window.bytes.capacity(), 0);
    }
}
