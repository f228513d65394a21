//! Buffers of a thread: one for each connection that has unread bytes and for a write under way, none for those that are idle.

use std::cell::RefCell;

/// Size of a buffer: what one read can take, and the longest message that is never copied.
pub(crate) const LEN: usize = 64 << 10;

/// Idle buffers a thread keeps; more than two are in use only while a connection's bytes lie unread.
const POOLED: usize = 4;

thread_local! {
    static POOL: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that were read and not yet processed, in a buffer of the thread's pool.
#[derive(Debug, Default)]
pub(crate) struct ReadBuffer {
    /// Empty while there is nothing to process.
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl ReadBuffer {
    /// Holds bytes that were read by somebody else, such as those behind the request of an upgrade.
    pub(crate) fn with(bytes: &[u8]) -> Self {
        Self { bytes: bytes.into(), start: 0, end: bytes.len() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Appends bytes that were read, in memory of its own where the buffer has no room.
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

    /// Lets `process` take bytes from the front.
    pub(crate) fn consume<T>(&mut self, process: impl FnOnce(&mut &mut [u8]) -> T) -> T {
        let (mut input, unread) = self.unread();
        let result = process(&mut input);
        unread.leave(input.len());
        result
    }

    /// The bytes to process, to be advanced past what was, and the length they begin with.
    pub(crate) fn unread(&mut self) -> (&mut [u8], Unread<'_>) {
        let bytes = self.bytes.get_mut(self.start..self.end).unwrap_or_default();
        (bytes, Unread { start: &mut self.start, end: self.end })
    }

    /// Fills the buffer, which is empty, by `read`; it goes back to the pool unless bytes were read.
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

    /// Gives the buffer back once all was processed.
    pub(crate) fn release(&mut self) {
        if self.is_empty() {
            give_back(std::mem::take(&mut self.bytes));
        }
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        give_back(std::mem::take(&mut self.bytes));
    }
}

/// Where in the buffer the unread bytes begin.
pub(crate) struct Unread<'b> {
    start: &'b mut usize,
    end: usize,
}

impl Unread<'_> {
    /// All but the last `left` bytes were processed.
    pub(crate) fn leave(self, left: usize) {
        *self.start = self.end - left;
    }
}

/// Lends `work` a buffer of the pool.
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
    // While the thread ends its pool may be gone already.
    let _ = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        if pool.len() < POOLED {
            pool.push(bytes);
        }
    });
}
