//! A deadline for a future.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use multiwa_ws_core::Instant;

use crate::Runtime;

/// Returns the output of `future` if it completes before `deadline`.
pub(crate) async fn within<R: Runtime, F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut sleep = pin!(R::sleep_until(deadline));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => sleep.as_mut().poll(cx).map(|()| None),
    })
    .await
}
