//! The requests of the application that have no result yet, and their results.

use std::collections::BTreeMap;
use std::time::Duration;

use multiwa_ws_core::session::{CommandError, Refusal, RequestId, RequestOutcome};

use crate::sync::SharedWaker;

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The command was refused locally, before anything was sent.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The server refused the request.
    #[error("the server refused: {error}")]
    Refused {
        /// The error text, for people.
        error: String,
        /// A stable error code, for programs, if the server sends one.
        code: Option<String>,
    },
    /// The server allows one profile per connection, and another one is subscribed.
    #[error("the server allows one profile per connection, and another one is subscribed")]
    SetsUnsupported,
    /// A later subscription replaced this one.
    #[error("a later subscription has replaced this one")]
    Displaced,
    /// The server did not answer in time.
    #[error("the server did not answer in time")]
    TimedOut,
    /// The queue of updates is full, so the client does not read, and cannot receive the answer until an update is taken.
    /// Either the task that awaits the answer is the one that took the last update, or no task has taken any, or the
    /// request timed out while the queue was full. The request itself stays: the client still sends its subscription.
    ///
    /// Take updates first, or on another task, or choose another [`Overflow`](super::queue::Overflow).
    #[error(
        "updates fill the queue and this task does not take them, so the answer cannot be read: \
         take updates first, or on another task, or choose another overflow policy"
    )]
    UpdatesUnread,
    /// The connection was lost before the answer arrived. The client repeats a subscription after it reconnects.
    #[error("the connection was lost before the answer")]
    ConnectionLost,
}

/// The requests whose future still exists.
#[derive(Debug, Default)]
pub(super) struct Requests(BTreeMap<RequestId, Slot>);

/// A request, and the task that waits for its result.
#[derive(Debug)]
enum Slot {
    Waiting(Waiting),
    Ended(Result<Duration, RequestError>),
}

#[derive(Debug, Default)]
struct Waiting {
    waker: Option<SharedWaker>,
    /// How many updates had been taken when this task was last found to wait for itself.
    taken: Option<usize>,
}

impl Requests {
    pub(super) fn insert(&mut self, id: RequestId) {
        self.0.insert(id, Slot::Waiting(Waiting::default()));
    }

    /// Whether no request has a future that exists.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Stores the result of a request, once. Returns the waker of the waiting task.
    pub(super) fn end(&mut self, id: RequestId, result: Result<Duration, RequestError>) -> Option<SharedWaker> {
        match self.0.get_mut(&id) {
            Some(slot @ Slot::Waiting(_)) => std::mem::replace(slot, Slot::Ended(result)).into_waker(),
            _ => None,
        }
    }

    /// Ends all open requests when the client closes. Returns the wakers of the waiting tasks.
    pub(super) fn end_all(&mut self) -> Vec<SharedWaker> {
        let ids: Vec<_> = self.0.keys().copied().collect();
        ids.into_iter().filter_map(|id| self.end(id, Err(RequestError::ConnectionLost))).collect()
    }

    /// The wakers of all waiting tasks.
    pub(super) fn waiting(&self) -> impl Iterator<Item = SharedWaker> {
        self.0.values().filter_map(|slot| match slot {
            Slot::Waiting(waiting) => waiting.waker.clone(),
            Slot::Ended(_) => None,
        })
    }

    /// The place for the waker of the task that waits for a request.
    pub(super) fn waker(&mut self, id: RequestId) -> Option<&mut Option<SharedWaker>> {
        match self.0.get_mut(&id) {
            Some(Slot::Waiting(waiting)) => Some(&mut waiting.waker),
            _ => None,
        }
    }

    /// Returns the result of a request. `stuck` is the number of updates taken so far, when only the waiting task could
    /// take more. The task gets one more poll to do so.
    pub(super) fn poll(&mut self, id: RequestId, stuck: Option<usize>) -> Outcome {
        match self.0.get_mut(&id) {
            Some(Slot::Ended(result)) => Outcome::Ended(result.clone()),
            Some(Slot::Waiting(waiting)) => {
                let before = std::mem::replace(&mut waiting.taken, stuck);
                match stuck {
                    None => Outcome::Waits,
                    Some(_) if before == stuck => Outcome::Stuck,
                    Some(_) => Outcome::AskAgain(waiting.waker.clone()),
                }
            }
            None => Outcome::Ended(Err(RequestError::ConnectionLost)),
        }
    }

    /// Removes a request. Returns its waker, which is no longer needed.
    pub(super) fn remove(&mut self, id: RequestId) -> Option<SharedWaker> {
        self.0.remove(&id)?.into_waker()
    }
}

/// The result of polling a request.
pub(super) enum Outcome {
    Ended(Result<Duration, RequestError>),
    Waits,
    /// Wake the waiting task, so that it polls again.
    AskAgain(Option<SharedWaker>),
    /// The task would wait for itself.
    Stuck,
}

impl Slot {
    fn into_waker(self) -> Option<SharedWaker> {
        match self {
            Self::Waiting(waiting) => waiting.waker,
            Self::Ended(_) => None,
        }
    }
}

pub(super) fn result_of(outcome: RequestOutcome<'_>) -> Result<Duration, RequestError> {
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
