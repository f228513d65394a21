//! Wakers on their way out of a lock.

use std::cell::Cell;
use std::task::Waker;

/// Wakers that were taken out under a lock, to be woken once it is released. A waker is foreign code: it may call whatever it
/// likes, also what takes that lock.
#[must_use = "whoever waits must be woken"]
#[derive(Debug)]
pub(super) struct Wakers(Vec<Waker>);

thread_local! {
    /// The room for the wakers of one publication, which may be thousands.
    static ROOM: Cell<Vec<Waker>> = const { Cell::new(Vec::new()) };
}

/// A thread keeps room for that many wakers: 64 KiB.
const KEPT: usize = 4_096;

impl Wakers {
    pub(super) fn new() -> Self {
        // A waker that publishes finds it taken, and one that runs while the thread ends finds it gone.
        Self(ROOM.try_with(Cell::take).unwrap_or_default())
    }

    pub(super) fn add(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        self.0.extend(wakers);
    }

    /// To be called without a lock.
    pub(super) fn wake(mut self) {
        self.0.drain(..).for_each(Waker::wake);
        if self.0.capacity() <= KEPT {
            let _ = ROOM.try_with(|room| room.set(self.0));
        }
    }
}
