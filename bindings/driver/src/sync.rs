//! The synchronization types of the crate, in one place, so that a model checker can replace them: see `tests/loom`.
//!
//! `Arc` is always the one of the standard library: handles hold an `Arc` of an unsized type, and only the standard `Arc`
//! can be converted to it. The models do not check reference counts.

pub(crate) use std::sync::Arc;
use std::sync::PoisonError;
use std::task::Waker;

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
#[cfg(loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
#[cfg(not(loom))]
pub(crate) use std::sync::{Mutex, MutexGuard};

/// A waker that can be cloned and dropped where no foreign code may run: only dropping the last reference drops the
/// waker.
pub(crate) type SharedWaker = Arc<Waker>;

/// Whether two wakers belong to one task. [`Waker::will_wake`] also compares the addresses of their tables, of which a
/// program compiled in several units has several.
pub(crate) fn is_same_task(one: &Waker, other: &Waker) -> bool {
    one.data() == other.data()
}

/// Ignores poisoning. A panic elsewhere happens between two calls of a state machine, when its state is consistent.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
