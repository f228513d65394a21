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
/// Its answer comes behind the events that the server has sent before. With [`Overflow::Wait`](super::Overflow::Wait) nothing
/// is read while the queue of updates is full, so updates must be taken meanwhile: by another task, or by this one, which then
/// waits for both. A request that only the waiting task itself could help on ends with [`RequestError::UpdatesUnread`] at once.
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
        self.shared.lock_with(cx.waker(), |inbox| inbox.requests().waker(id)).inbox.poll_request(id, cx.waker())
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
    /// The queue of updates is full, so nothing is read, and the answer would come only once somebody takes an update. The task
    /// that waits for the answer is the one that took the last update, or nobody has taken any; or the time of the request ran
    /// out meanwhile. The request was made: a subscription is asked for all the same.
    ///
    /// Take updates first, or on another task, or choose another [`Overflow`](super::Overflow).
    #[error(
        "updates fill the queue and this task does not take them, so the answer cannot be read: \
         take updates first, or on another task, or choose another overflow policy"
    )]
    UpdatesUnread,
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
    Waiting(Waiting),
    Ended(Result<Duration, RequestError>),
}

#[derive(Debug, Default)]
struct Waiting {
    waker: Option<SharedWaker>,
    /// How many updates had been taken when it was found that this one waits for itself.
    taken: Option<u64>,
}

impl Requests {
    fn insert(&mut self, id: RequestId) {
        self.0.insert(id, Slot::Waiting(Waiting::default()));
    }

    /// Each ends once. Returns whom to wake.
    pub(super) fn end(&mut self, id: RequestId, result: Result<Duration, RequestError>) -> Option<SharedWaker> {
        match self.0.get_mut(&id) {
            Some(slot @ Slot::Waiting(_)) => std::mem::replace(slot, Slot::Ended(result)).into_waker(),
            _ => None,
        }
    }

    /// The client ends without having said more about them. Returns whom to wake.
    pub(super) fn end_all(&mut self) -> Vec<SharedWaker> {
        let ids: Vec<_> = self.0.keys().copied().collect();
        ids.into_iter().filter_map(|id| self.end(id, Err(RequestError::ConnectionLost))).collect()
    }

    /// All who wait.
    pub(super) fn waiting(&self) -> impl Iterator<Item = SharedWaker> {
        self.0.values().filter_map(|slot| match slot {
            Slot::Waiting(waiting) => waiting.waker.clone(),
            Slot::Ended(_) => None,
        })
    }

    /// Where the waker of who waits for a request belongs.
    fn waker(&mut self, id: RequestId) -> Option<&mut Option<SharedWaker>> {
        match self.0.get_mut(&id) {
            Some(Slot::Waiting(waiting)) => Some(&mut waiting.waker),
            _ => None,
        }
    }

    /// How a request ended. `stuck` is how many updates were taken, when only the task that asks could take more: it is given
    /// one occasion to do so.
    pub(super) fn poll(&mut self, id: RequestId, stuck: Option<u64>) -> Outcome {
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

    /// Returns whom nobody has to wake any more.
    pub(super) fn remove(&mut self, id: RequestId) -> Option<SharedWaker> {
        self.0.remove(&id)?.into_waker()
    }
}

/// What is known of a request.
pub(super) enum Outcome {
    Ended(Result<Duration, RequestError>),
    Waits,
    /// The task that asks is to be woken, to ask again.
    AskAgain(Option<SharedWaker>),
    /// It would wait for itself.
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
