//! A request of the application, and how it ended.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::session::{CommandError, Refusal, RequestId, RequestOutcome};

use super::machine::Machine;
use super::shared::Shared;
use crate::sync::SharedWaker;

/// A request that was made: the future of how it ends, which is after the time from sending it to its answer.
///
/// Cancel safe: the request was made when this was, so dropping it changes nothing, and it can be awaited by reference again
/// and again.
#[must_use = "a refusal is told here; await it, or drop it when it does not matter"]
pub struct Request {
    id: Result<RequestId, CommandError>,
    shared: Shared,
}

impl Request {
    /// Commands the machine, and tells its driver.
    pub(super) fn new(
        shared: &Shared,
        now: Instant,
        command: impl FnOnce(&mut dyn Machine, Instant) -> Result<RequestId, CommandError>,
    ) -> Self {
        let mut state = shared.lock();
        // Also the machine of a driver that is gone would take a command, and never answer.
        let id =
            if state.inbox.over().is_some() { Err(CommandError::Closed) } else { command(&mut state.machine, now) };
        if let Ok(id) = id {
            state.inbox.requests().insert(id);
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
        self.shared.lock_with(cx.waker(), |inbox| inbox.requests().waiting(id)).inbox.requests().poll(id)
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

/// Why a request has not done what it asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The command was refused here, before anything was sent.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The server refused.
    #[error("the server refused: {error}")]
    Refused {
        /// Text for a person.
        error: String,
        /// A stable word for a program, if the server sends one.
        code: Option<String>,
    },
    /// The server holds one profile a connection, and another one stands.
    #[error("the server holds one profile a connection, and another one is subscribed to")]
    SetsUnsupported,
    /// A later subscription has displaced this one.
    #[error("a later subscription has displaced this one")]
    Displaced,
    /// No answer in time.
    #[error("the server did not answer in time")]
    TimedOut,
    /// The connection was lost before the answer. A subscription is asked for again.
    #[error("the connection was lost before the answer")]
    ConnectionLost,
}

/// The requests that somebody may still ask about.
#[derive(Debug, Default)]
pub(super) struct Requests(BTreeMap<RequestId, Slot>);

/// A request and whoever waits for its end.
#[derive(Debug)]
enum Slot {
    Waiting(Option<SharedWaker>),
    Ended(Result<Duration, RequestError>),
}

impl Requests {
    fn insert(&mut self, id: RequestId) {
        self.0.insert(id, Slot::Waiting(None));
    }

    /// Each ends once. Returns whom to wake.
    pub(super) fn end(&mut self, id: RequestId, outcome: RequestOutcome<'_>) -> Option<SharedWaker> {
        match self.0.get_mut(&id) {
            Some(slot @ Slot::Waiting(_)) => match std::mem::replace(slot, Slot::Ended(result_of(outcome))) {
                Slot::Waiting(waker) => waker,
                Slot::Ended(_) => None,
            },
            _ => None,
        }
    }

    /// The client ends without having said more about them. Returns whom to wake.
    pub(super) fn end_all(&mut self) -> Vec<SharedWaker> {
        let ids: Vec<_> = self.0.keys().copied().collect();
        ids.into_iter().filter_map(|id| self.end(id, RequestOutcome::ConnectionLost)).collect()
    }

    /// Where the waker of who waits for a request belongs.
    fn waiting(&mut self, id: RequestId) -> Option<&mut Option<SharedWaker>> {
        match self.0.get_mut(&id) {
            Some(Slot::Waiting(waker)) => Some(waker),
            _ => None,
        }
    }

    fn poll(&self, id: RequestId) -> Poll<Result<Duration, RequestError>> {
        match self.0.get(&id) {
            Some(Slot::Ended(result)) => Poll::Ready(result.clone()),
            Some(Slot::Waiting(_)) => Poll::Pending,
            None => Poll::Ready(Err(RequestError::ConnectionLost)),
        }
    }

    /// Returns whom nobody has to wake any more.
    pub(super) fn remove(&mut self, id: RequestId) -> Option<SharedWaker> {
        match self.0.remove(&id)? {
            Slot::Waiting(waker) => waker,
            Slot::Ended(_) => None,
        }
    }
}

fn result_of(outcome: RequestOutcome<'_>) -> Result<Duration, RequestError> {
    match outcome {
        RequestOutcome::Acknowledged { after } => Ok(after),
        RequestOutcome::TimedOut => Err(RequestError::TimedOut),
        RequestOutcome::ConnectionLost => Err(RequestError::ConnectionLost),
        RequestOutcome::Refused(Refusal::Server { error, code }) => {
            Err(RequestError::Refused { error: error.into_owned(), code: code.map(|code| code.into_owned()) })
        }
        RequestOutcome::Refused(Refusal::SetsUnsupported) => Err(RequestError::SetsUnsupported),
        RequestOutcome::Refused(Refusal::Displaced) => Err(RequestError::Displaced),
    }
}
