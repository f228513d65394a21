//! Wakers that are collected under a lock and woken after it is released.

use std::cell::Cell;
use std::task::Waker;

/// Wakers that were taken under a lock, to be woken after it is released. A waker is foreign code: it may do anything,
/// including take the same lock.
#[must_use = "whoever waits must be woken"]
#[derive(Debug)]
pub(super) struct Wakers(Vec<Waker>);

thread_local! {
    /// The allocation for the wakers of one publication, which may be thousands.
    static ROOM: Cell<Vec<Waker>> = const { Cell::new(Vec::new()) };
}

/// The maximum capacity that a thread keeps: 64 KiB.
const KEPT: usize = 4_096;

impl Wakers {
    pub(super) fn new() -> Self {
        // The allocation is absent when a waker publishes, and the thread-local is destroyed when a waker runs at thread
        // exit.
        Self(ROOM.try_with(Cell::take).unwrap_or_default())
    }

    pub(super) fn add(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        self.0.extend(wakers);
    }

    /// Call this without a lock.
    pub(super) fn wake(mut self) {
        self.0.drain(..).for_each(Waker::wake);
        if self.0.capacity() <= KEPT {
            let _ = ROOM.try_with(|room| room.set(self.0));
        }
    }
}
