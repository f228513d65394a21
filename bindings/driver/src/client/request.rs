//! A request of the application, as a future.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::session::{CommandError, RequestId};

use super::shared::{Machine, RequestError, Shared};

/// A request to the server, as a future. It returns the time from sending the request to its answer.
///
/// The answer arrives after the events that the server has sent before it. With [`Overflow::Wait`](super::Overflow::Wait)
/// the client stops reading while the queue of updates is full. So take updates at the same time: on another task, or on
/// this task by awaiting both. If only the waiting task could take them, the request fails with
/// [`RequestError::UpdatesUnread`] at once.
///
/// Cancel safe: the request starts when the method is called, so dropping the future does not cancel it. The future can be
/// awaited by reference repeatedly.
#[must_use = "it returns a refusal: await it, or drop it when a refusal does not matter"]
pub struct Request {
    id: Result<RequestId, CommandError>,
    shared: Shared,
}

impl Request {
    /// Runs the command on the state machine, and wakes its driver.
    pub(super) fn new(
        shared: &Shared,
        now: Instant,
        command: impl FnOnce(&mut dyn Machine, Instant) -> Result<RequestId, CommandError>,
    ) -> Self {
        let mut state = shared.lock();
        // After its driver has ended, the state machine would accept a command but never answer it.
        let id = match state.inbox.close_cause() {
            Some(_) => Err(CommandError::Closed),
            None => command(&mut state.machine, now),
        };
        if let Ok(id) = id {
            state.inbox.add_request(id);
        }
        state.inbox.wake_driver();
        drop(state);
        Self { id, shared: shared.clone() }
    }
}

impl Future for Request {
    type Output = Result<Duration, RequestError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let id = self.id?;
        self.shared.lock_with(cx.waker(), |inbox| inbox.request_waker(id)).inbox.poll_request(id, cx.waker())
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if let Ok(id) = self.id {
            self.shared.lock().inbox.forget_request(id);
        }
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("id", &self.id).finish_non_exhaustive()
    }
}
