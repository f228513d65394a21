//! Blocks the calling thread until a future of the driver completes.

use std::cell::Cell;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use parking::Parker;

/// Sleeps until `future` completes.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    with_parker(|parker, waker| {
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(waker)) {
                return output;
            }
            parker.park();
        }
    })
}

/// Sleeps until `future` completes or `deadline` passes. It polls the future at least once, even if the deadline has
/// already passed.
pub(crate) fn wait_until<F: Future>(future: F, deadline: Instant) -> Option<F::Output> {
    with_parker(|parker, waker| {
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(waker)) {
                return Some(output);
            }
            if !parker.park_deadline(deadline) && Instant::now() >= deadline {
                return None;
            }
        }
    })
}

/// Lends the parker of this thread. From its waker, the driver recognizes the thread that takes updates or waits for an
/// answer.
fn with_parker<T>(wait: impl FnOnce(&Parker, &Waker) -> T) -> T {
    thread_local! {
        static PARKER: Cell<Option<(Parker, Waker)>> = const { Cell::new(None) };
    }
    // A nested wait gets its own parker: otherwise it would consume the wake-up of the outer one. A thread that is ending
    // has no parker any more.
    let (parker, waker) = PARKER.try_with(Cell::take).ok().flatten().unwrap_or_else(|| {
        let (parker, unparker) = parking::pair();
        (parker, Waker::from(unparker))
    });
    let output = wait(&parker, &waker);
    let _ = PARKER.try_with(|own| own.set(Some((parker, waker))));
    output
}
