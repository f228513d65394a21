//! Futures that are dropped at their waits, as the seed of the run says.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use rand_chacha::ChaCha8Rng;

use crate::kit::choppy::below;

/// Many times what any run needs: one that makes no progress fails instead of spinning.
const MOST_ATTEMPTS: usize = 1_000_000;

/// Drops the future that `begin` makes at its first, second or third wait, and begins anew, until one completes.
pub(crate) async fn persist<T>(random: &mut ChaCha8Rng, mut begin: impl AsyncFnMut() -> T) -> T {
    for _ in 0..MOST_ATTEMPTS {
        if let Some(output) = unless_waits(1 + below(random, 3), begin()).await {
            return output;
        }
        tokio::task::yield_now().await;
    }
    panic!("no progress");
}

/// The output of `future`, which is dropped instead when it waits for the `waits`th time.
pub(crate) async fn unless_waits<F: Future>(waits: u32, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut waited = 0;
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => {
            waited += 1;
            if waited == waits { Poll::Ready(None) } else { Poll::Pending }
        }
    })
    .await
}
