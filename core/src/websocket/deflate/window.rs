//! The sliding window of an inflater.

use alloc::vec::Vec;

/// The latest inflated bytes, which later matches may repeat (RFC 1951 section 2).
///
/// It grows with use up to the negotiated size, a power of two. Then it is a ring buffer of exactly that size.
pub(crate) struct Window {
    bytes: Vec<u8>,
    position: usize,
    /// The position has passed the end of the full-size buffer, so all of the buffer holds inflated bytes.
    wrapped: bool,
    size: usize,
}

/// The first allocation. It is small, for connections that receive only a few small messages.
const INITIAL_SIZE: usize = 1024;

impl Window {
    pub(crate) fn new(bits: u8) -> Self {
        Self { bytes: Vec::new(), position: 0, wrapped: false, size: 1 << bits }
    }

    /// Ensures that at least one byte can be written.
    fn make_room(&mut self) {
        if self.position < self.bytes.len() {
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

    /// Clears the bytes but keeps the buffer.
    pub(crate) fn clear(&mut self) {
        self.position = 0;
        self.wrapped = false;
    }

    /// Clears the bytes and frees the buffer.
    pub(crate) fn release(&mut self) {
        self.clear();
        self.bytes = Vec::new();
    }
}

/// For a library that inflates into its own buffer.
#[cfg(any(test, feature = "std"))]
impl Window {
    /// Appends inflated bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            self.make_room();
            let room = self.bytes.get_mut(self.position..).unwrap_or_default();
            let count = rest.len().min(room.len());
            let (now, later) = rest.split_at_checked(count).unwrap_or_default();
            if let Some(room) = room.get_mut(..count) {
                room.copy_from_slice(now);
            }
            self.position += count;
            rest = later;
        }
    }

    /// The inflated bytes, the older part first.
    pub(crate) fn parts(&self) -> [&[u8]; 2] {
        let (newer, older) = self.bytes.split_at_checked(self.position).unwrap_or_default();
        [if self.wrapped { older } else { &[] }, newer]
    }
}

/// For a library that inflates directly into the window and writes only the bytes that it returns.
#[cfg(any(test, not(feature = "std")))]
impl Window {
    /// The whole buffer, the position in it where at least one byte can be written, and whether the bytes after that
    /// position are inflated bytes too.
    pub(crate) fn buffer(&mut self) -> (&mut [u8], usize, bool) {
        self.make_room();
        (&mut self.bytes, self.position, self.wrapped)
    }

    /// Moves the position past `count` written bytes. Returns them, and whether they end at the end of the buffer.
    pub(crate) fn advance(&mut self, count: usize) -> (&[u8], bool) {
        let start = self.position;
        self.position = (start + count).min(self.bytes.len());
        (self.bytes.get(start..self.position).unwrap_or_default(), self.position == self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_allocates_as_it_is_used_and_never_more_than_its_size() {
        let mut window = Window::new(12);
        assert_eq!(window.bytes.capacity(), 0);
        for (written, size) in [(1, 1024), (1023, 1024), (1, 2048), (1024, 4096), (2047, 4096), (10_000, 4096)] {
            window.push(&alloc::vec![7; written]);
            assert_eq!(window.bytes.capacity(), size);
        }
        let mut smallest = Window::new(8);
        smallest.push(&[7; 1000]);
        assert_eq!(smallest.bytes.capacity(), 256);
    }

    #[test]
    fn the_parts_are_the_last_bytes_in_order() {
        let bytes: Vec<u8> = (0..1000).map(|n: u32| n.to_le_bytes()[0]).collect();
        for count in (0..=1000).step_by(8) {
            for piece in [1, 100, 256, 1000] {
                let mut window = Window::new(8);
                bytes[..count].chunks(piece).for_each(|bytes| window.push(bytes));
                assert_eq!(window.parts().concat(), bytes[count.saturating_sub(256)..count]);
            }
        }
    }

    #[test]
    fn a_cleared_window_holds_nothing_until_it_is_written_again() {
        let mut window = Window::new(8);
        window.push(&[1; 300]);
        window.clear();
        assert!(window.parts().concat().is_empty());
        assert_eq!(window.bytes.capacity(), 256);
        window.push(&[2; 3]);
        assert_eq!(window.parts().concat(), [2; 3]);
        window.release();
        assert_eq!(window.bytes.capacity(), 0);
    }
}
