//! What tasks and threads share state by, in one place, so that a model checker can put its own there: see `tests/loom`.
//!
//! `Arc` is always that of the standard library: handles share a machine whose type they do not know, and only that one can
//! be made of an `Arc` of a known type. What it counts is not what the models are about.

pub(crate) use std::sync::Arc;
use std::sync::PoisonError;
use std::task::Waker;

#[cfg(loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use std::sync::{Mutex, MutexGuard};

/// A waker that can be shared, and given up, where no foreign code may run: only who has the last share drops the waker.
pub(crate) type SharedWaker = Arc<Waker>;

/// A panic elsewhere leaves the machines between two calls, where they are sound.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
