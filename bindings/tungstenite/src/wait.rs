//! Waiting for a future of the driver on the thread that asks for it.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// Sleeps until `future` completes.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    let (parker, unparker) = parking::pair();
    let waker = Waker::from(unparker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        parker.park();
    }
}

/// Sleeps until `future` completes or `deadline` comes; a deadline that has passed asks once.
pub(crate) fn wait_until<F: Future>(future: F, deadline: Instant) -> Option<F::Output> {
    let (parker, unparker) = parking::pair();
    let waker = Waker::from(unparker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        if !parker.park_deadline(deadline) && Instant::now() >= deadline {
            return None;
        }
    }
}
