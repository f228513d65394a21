//! A request of the application, and how it ended.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use multiwa_ws_core::session::{CommandError, Refusal, RequestId, RequestOutcome};

use super::drive::{Machine, Shared};
use crate::lock;

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
        command: impl FnOnce(&mut dyn Machine) -> Result<RequestId, CommandError>,
    ) -> Self {
        let mut state = lock(shared);
        // Also the machine of a driver that is gone would take a command, and never answer.
        let id = if state.inbox.over().is_some() { Err(CommandError::Closed) } else { command(&mut state.machine) };
        if let Ok(id) = id {
            state.inbox.requests().insert(id);
        }
        state.inbox.wake_driver();
        Self { id, shared: shared.clone() }
    }
}

impl Future for Request {
    type Output = Result<Duration, RequestError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let id = self.id?;
        lock(&self.shared).inbox.requests().poll(id, cx)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if let Ok(id) = self.id {
            lock(&self.shared).inbox.requests().remove(id);
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
    Waiting(Option<Waker>),
    Ended(Result<Duration, RequestError>),
}

impl Requests {
    fn insert(&mut self, id: RequestId) {
        self.0.insert(id, Slot::Waiting(None));
    }

    /// Each ends once.
    pub(super) fn end(&mut self, id: RequestId, outcome: RequestOutcome<'_>) {
        if let Some(slot @ Slot::Waiting(_)) = self.0.get_mut(&id)
            && let Slot::Waiting(Some(waker)) = std::mem::replace(slot, Slot::Ended(result_of(outcome)))
        {
            waker.wake();
        }
    }

    /// The client ends without having said more about them.
    pub(super) fn end_all(&mut self) {
        let ids: Vec<_> = self.0.keys().copied().collect();
        ids.into_iter().for_each(|id| self.end(id, RequestOutcome::ConnectionLost));
    }

    fn poll(&mut self, id: RequestId, cx: &mut Context<'_>) -> Poll<Result<Duration, RequestError>> {
        match self.0.get_mut(&id) {
            Some(Slot::Ended(result)) => Poll::Ready(result.clone()),
            Some(Slot::Waiting(waker)) => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
            None => Poll::Ready(Err(RequestError::ConnectionLost)),
        }
    }

    fn remove(&mut self, id: RequestId) {
        self.0.remove(&id);
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
