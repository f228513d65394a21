//! What the application holds of the updates that it has taken at once.

use crate::sync::{AtomicBool, AtomicUsize, Ordering};

/// Counters of the updates in the hands of the reader.
///
/// The reader changes them without the lock of the client, so that taking an update costs no lock. The queue reads them
/// under the lock. A queue that reads an old value takes an update for unread that was just taken, and the reader sees
/// [`is_full`](Self::is_full) at its next update.
#[derive(Debug, Default)]
pub(in crate::client) struct Lent {
    events: AtomicUsize,
    bytes: AtomicUsize,
    taken: AtomicUsize,
    full: AtomicBool,
}

impl Lent {
    /// Events that the reader has taken from the queue and not yet looked at.
    pub(super) fn events(&self) -> usize {
        self.events.load(Ordering::Relaxed)
    }

    /// The bytes of these events.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The number of updates that the application has seen so far. It wraps around.
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// The reader has `events` with `bytes` left, after it returned one more update if `took`.
    pub(in crate::client) fn set(&self, events: usize, bytes: usize, took: bool) {
        self.events.store(events, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
        if took {
            // Only the reader writes this counter.
            self.taken.store(self.taken().wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// Whether the driver waits for room in the queue.
    pub(in crate::client) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    pub(super) fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
    }
}
