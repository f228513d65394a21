//! What a client tells.

use std::future::poll_fn;
use std::marker::PhantomData;
use std::task::{Context, Poll};

use multiwa_ws_core::session::{Event, JsonError, Message, Notice};

use super::drive::Shared;
use crate::{Clock, lock};

/// What a client tells, in order.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Update {
    /// An event that was subscribed to.
    Event(Event<'static>),
    /// A `notification` of the server.
    Notification(Message<'static>),
    /// A message of a type that this version does not know.
    Unknown(Message<'static>),
    /// An `error` of the server that answers no request.
    Error {
        /// Text for a person.
        error: String,
        /// A stable word for a program, if the server sends one.
        code: Option<String>,
    },
    /// A message that is no JSON, or nested too deep.
    Invalid(JsonError),
    /// What happened to the connection. `Closed` is the last update.
    Notice(Notice),
}

impl Update {
    /// Whether it may be dropped when the application is slow: whatever a server can send at will.
    pub(super) fn is_droppable(&self) -> bool {
        !matches!(self, Self::Notice(_))
    }
}

/// The updates of a client: events, and what happens to the connection.
pub struct Updates<R: Clock> {
    shared: Shared,
    clock: PhantomData<fn() -> R>,
}

impl<R: Clock> Updates<R> {
    pub(super) fn new(shared: Shared) -> Self {
        Self { shared, clock: PhantomData }
    }

    /// Waits for the next update; `None` after [`Notice::Closed`]. Cancel safe.
    pub async fn next(&mut self) -> Option<Update> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Waits for the next event, passing over all other updates; `None` once the client is over. Cancel safe.
    pub async fn next_event(&mut self) -> Option<Event<'static>> {
        loop {
            if let Update::Event(event) = self.next().await? {
                return Some(event);
            }
        }
    }

    /// As [`next`](Self::next), to be polled.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Update>> {
        lock(&self.shared).inbox.poll_update(cx)
    }
}

impl<R: Clock> Drop for Updates<R> {
    fn drop(&mut self) {
        let mut state = lock(&self.shared);
        state.inbox.stop_reading();
        state.drop_handle(R::now());
    }
}

impl<R: Clock> std::fmt::Debug for Updates<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Updates").finish_non_exhaustive()
    }
}
