//! The wakers of a connection whose reader and writer are two tasks.

use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use crate::sync::{Mutex, lock};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    Reader,
    Writer,
}

impl Half {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Reader => Self::Writer,
            Self::Writer => Self::Reader,
        }
    }
}

/// The wakers of the halves that wait.
#[derive(Default)]
pub(super) struct Wakers {
    reader: Mutex<Option<Waker>>,
    writer: Mutex<Option<Waker>>,
}

impl Wakers {
    /// Polls for one half. A stream keeps only the waker of its last poll, so it gets a waker that wakes both halves.
    pub(super) fn poll<T>(
        self: &Arc<Self>,
        cx: &Context<'_>,
        half: Half,
        poll: impl FnOnce(&mut Context<'_>) -> T,
    ) -> T {
        self.set(half, cx.waker());
        let both = Waker::from(self.clone());
        poll(&mut Context::from_waker(&both))
    }

    fn slot(&self, half: Half) -> &Mutex<Option<Waker>> {
        match half {
            Half::Reader => &self.reader,
            Half::Writer => &self.writer,
        }
    }

    fn set(&self, half: Half, waker: &Waker) {
        let known = lock(self.slot(half)).as_ref().is_some_and(|known| known.will_wake(waker));
        if !known {
            // Cloning and dropping a waker runs code of the runtime, so this happens without the lock.
            let waker = Some(waker.clone());
            let replaced = std::mem::replace(&mut *lock(self.slot(half)), waker);
            drop(replaced);
        }
    }

    /// Whether the half was polled and has not been woken since.
    pub(super) fn waits(&self, half: Half) -> bool {
        lock(self.slot(half)).is_some()
    }

    pub(super) fn wake_half(&self, half: Half) {
        let waker = lock(self.slot(half)).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_half(Half::Reader);
        self.wake_half(Half::Writer);
    }
}
