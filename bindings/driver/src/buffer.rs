//! The buffer pool of a thread. A buffer is in use only while a connection has unread bytes, during a write, and while
//! the application takes events that lie in it.

use std::cell::RefCell;
use std::ops::Range;

use multiwa_ws_core::frame::from_utf8;

/// The size of a buffer. It limits one read, and the length of a message that is not copied.
pub(crate) const LEN: usize = 64 << 10;

/// The maximum number of idle buffers in the pool. More than two are in use only while connections have unread bytes.
const POOLED: usize = 4;

thread_local! {
    static POOL: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that were read and not yet processed, in a buffer of the thread's pool.
#[derive(Debug, Default)]
pub(crate) struct ReadBuffer {
    /// Empty while there are no unread bytes.
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl ReadBuffer {
    /// Makes a buffer from bytes that were read elsewhere, such as those after an upgrade request.
    pub(crate) fn with(bytes: &[u8]) -> Self {
        Self { bytes: bytes.into(), start: 0, end: bytes.len() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether a buffer is held, for unread bytes or for texts that are lent from it.
    pub(crate) fn is_held(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// The text in this range of the buffer. Empty if there is none.
    pub(crate) fn text(&self, range: Range<usize>) -> &str {
        self.bytes.get(range).and_then(|bytes| from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// Appends bytes. If they do not fit, allocates a larger buffer outside the pool.
    pub(crate) fn extend(&mut self, more: &[u8]) {
        if self.bytes.len() - self.end < more.len() {
            let (bytes, len) = (std::mem::take(&mut self.bytes), self.len());
            let mut grown = vec![0; (len + more.len()).max(2 * len)].into_boxed_slice();
            if let (Some(to), Some(from)) = (grown.get_mut(..len), bytes.get(self.start..self.end)) {
                to.copy_from_slice(from);
            }
            give_back(bytes);
            (self.bytes, self.start, self.end) = (grown, 0, len);
        }
        if let Some(room) = self.bytes.get_mut(self.end..self.end + more.len()) {
            room.copy_from_slice(more);
            self.end += more.len();
        }
    }

    /// Calls `process`, which consumes bytes from the front.
    pub(crate) fn consume<T>(&mut self, process: impl FnOnce(&mut &mut [u8]) -> T) -> T {
        let (mut input, unread) = self.unread();
        let result = process(&mut input);
        unread.leave(input.len());
        result
    }

    /// Returns the unread bytes, and an [`Unread`] to report how many of them remain.
    pub(crate) fn unread(&mut self) -> (&mut [u8], Unread<'_>) {
        let bytes = self.bytes.get_mut(self.start..self.end).unwrap_or_default();
        (bytes, Unread { start: &mut self.start, end: self.end })
    }

    /// Fills the empty buffer with `read`. If no bytes were read, the buffer returns to the pool.
    pub(crate) fn fill<T>(&mut self, read: impl FnOnce(&mut [u8]) -> (usize, T)) -> T {
        let mut bytes = if self.bytes.len() == LEN { std::mem::take(&mut self.bytes) } else { take() };
        let (len, result) = read(&mut bytes);
        (self.start, self.end) = (0, len.min(LEN));
        if len > 0 {
            self.bytes = bytes;
        } else {
            give_back(bytes);
        }
        result
    }

    /// Returns the buffer to the pool if all bytes were processed.
    pub(crate) fn release(&mut self) {
        if self.is_empty() {
            // The positions are reset, too: bytes may be appended before the buffer is filled again.
            *self = Self::default();
        }
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        give_back(std::mem::take(&mut self.bytes));
    }
}

/// The addresses of a read buffer. They show whether a text lies in it, after the text was borrowed from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input {
    start: usize,
    len: usize,
}

impl Input {
    pub(crate) fn new(buffer: &ReadBuffer) -> Self {
        Self { start: buffer.bytes.as_ptr().addr(), len: buffer.bytes.len() }
    }

    /// The position and the length of `text` in the buffer. `None` if it lies elsewhere.
    pub(crate) fn find(self, text: &str) -> Option<(u32, u32)> {
        let start = text.as_ptr().addr().checked_sub(self.start)?;
        let is_inside = start.checked_add(text.len())? <= self.len;
        is_inside.then_some((u32::try_from(start).ok()?, u32::try_from(text.len()).ok()?))
    }
}

/// The position of the first unread byte in the buffer.
pub(crate) struct Unread<'b> {
    start: &'b mut usize,
    end: usize,
}

impl Unread<'_> {
    /// Keeps the last `left` bytes unread.
    pub(crate) fn leave(self, left: usize) {
        *self.start = self.end - left;
    }
}

/// Calls `work` with a buffer of the pool.
pub(crate) fn with_scratch<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut bytes = take();
    let result = work(&mut bytes);
    give_back(bytes);
    result
}

fn take() -> Box<[u8]> {
    POOL.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; LEN].into())
}

fn give_back(bytes: Box<[u8]>) {
    if bytes.len() != LEN {
        return;
    }
    // The pool may be destroyed already while the thread exits.
    let _ = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        if pool.len() < POOLED {
            pool.push(bytes);
        }
    });
}
