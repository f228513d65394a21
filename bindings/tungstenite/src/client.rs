//! The handles of a blocking client.

use std::iter::FusedIterator;
use std::time::{Duration, Instant};

use multiwa_ws_core::session::{ClientState, CloseCause, Event};
use multiwa_ws_driver::{ConnectError, RequestError, Status, Update};

use crate::clock::Std;
use crate::wait::{wait, wait_until};

/// A handle to a client. It can be cloned and used from any thread while another thread waits for the [`Updates`].
///
/// A request (`subscribe`, `unsubscribe`, `ping`) returns when it was acknowledged, was refused, timed out (see the
/// [request timeout](multiwa_ws_core::session::ClientConfig::request_timeout)) or lost its connection. No thread needs to
/// read updates during that time, unless the queue is full and its policy is [`Overflow::Wait`](crate::Overflow::Wait). In
/// that case the request fails with [`RequestError::UpdatesUnread`], immediately if this is the thread that reads updates.
/// When the last handle and the `Updates` are dropped, the client closes.
#[derive(Clone, Debug)]
pub struct Client {
    handle: multiwa_ws_driver::Client<Std>,
}

impl Client {
    pub(crate) fn new(handle: multiwa_ws_driver::Client<Std>) -> Self {
        Self { handle }
    }

    /// Subscribes to events of a profile, `*` for all of them. Returns how long the acknowledgement took. The client
    /// repeats the subscription after each reconnect.
    ///
    /// # Errors
    /// [`RequestError`]: the reason why the subscription is not active. After `TimedOut`, `UpdatesUnread` and
    /// `ConnectionLost` it stays desired.
    pub fn subscribe<N: AsRef<str>>(
        &self,
        profile: &str,
        events: impl IntoIterator<Item = N>,
    ) -> Result<Duration, RequestError> {
        wait(self.handle.subscribe(profile, events))
    }

    /// Ends the subscription of a profile, or with `None` every subscription.
    ///
    /// # Errors
    /// [`RequestError`], such as `UpdatesUnread` when this thread leaves updates unread.
    pub fn unsubscribe(&self, profile: Option<&str>) -> Result<Duration, RequestError> {
        wait(self.handle.unsubscribe(profile))
    }

    /// Measures a round trip with the protocol's `ping`.
    ///
    /// # Errors
    /// [`RequestError`], such as `UpdatesUnread` when this thread leaves updates unread.
    pub fn ping(&self) -> Result<Duration, RequestError> {
        wait(self.handle.ping())
    }

    /// Closes the client permanently. Returns when the connection is closed, at the latest after the [close
    /// timeout](multiwa_ws_core::session::ClientConfig::close_timeout), even if the server does not respond.
    pub fn close(&self) {
        wait(self.handle.close());
    }

    /// Waits until the client is closed, and returns the cause.
    #[must_use]
    pub fn closed(&self) -> CloseCause {
        wait(self.handle.closed())
    }

    /// Waits until the client is ready for the first time, or closed.
    ///
    /// # Errors
    /// The reason why the client closed before it was ready.
    pub fn ready(&self) -> Result<(), ConnectError> {
        wait(self.handle.ready())
    }

    /// Like [`ready`](Self::ready), but fails with a timeout after this time.
    pub(crate) fn ready_within(&self, after: Duration) -> Result<(), ConnectError> {
        // A deadline beyond the range of the clock is no deadline.
        let Some(deadline) = Instant::now().checked_add(after) else { return self.ready() };
        wait_until(self.handle.ready(), deadline)
            .unwrap_or_else(|| Err(ConnectError::timed_out(after, self.handle.status())))
    }

    /// The current state of the client.
    #[must_use]
    pub fn state(&self) -> ClientState {
        self.handle.state()
    }

    /// The current status of the client.
    #[must_use]
    pub fn status(&self) -> Status {
        self.handle.status()
    }
}

/// The updates of a client: events, and changes of the connection.
///
/// [`next`](Self::next) and [`next_event`](Self::next_event) lend each update until the next call from a buffer that is
/// reused, so reading events does not allocate. As an iterator it returns updates that own their texts, and
/// [`into_events`](Self::into_events) iterates over events only. All of them block, and end after
/// [`LifecycleEvent::Closed`](multiwa_ws_core::session::LifecycleEvent::Closed).
///
/// A read that times out does not lose an update: the next read returns it.
#[derive(Debug)]
pub struct Updates {
    updates: multiwa_ws_driver::Updates<Std>,
}

/// The deadline of a read has passed. No update is lost: read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no update in time")]
pub struct TimedOut;

impl Updates {
    pub(crate) fn new(updates: multiwa_ws_driver::Updates<Std>) -> Self {
        Self { updates }
    }

    /// Waits for the next update, lent until the next call; `None` after the client has closed.
    #[expect(
        clippy::should_implement_trait,
        reason = "the iterator stands beside it, for updates that own their texts"
    )]
    pub fn next(&mut self) -> Option<Update<'_>> {
        wait(self.updates.next())
    }

    /// Waits for the next event, lent until the next call, and skips all other updates; `None` after the client has
    /// closed.
    pub fn next_event(&mut self) -> Option<Event<'_>> {
        wait(self.updates.next_event())
    }

    /// Like [`next`](Self::next), until `deadline`. If the deadline has already passed, it returns an update only if one
    /// is available.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn next_deadline(&mut self, deadline: Instant) -> Result<Option<Update<'_>>, TimedOut> {
        wait_until(self.updates.next(), deadline).ok_or(TimedOut)
    }

    /// Like [`next`](Self::next), for at most `timeout`.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Update<'_>>, TimedOut> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.next_deadline(deadline),
            // The deadline is beyond the range of the clock.
            None => Ok(self.next()),
        }
    }

    /// Iterates over the events only; all other updates are skipped.
    #[must_use]
    pub fn into_events(self) -> Events {
        Events { updates: self }
    }
}

/// Updates that own their texts.
impl Iterator for Updates {
    type Item = Update<'static>;

    fn next(&mut self) -> Option<Update<'static>> {
        Some(Self::next(self)?.into_owned())
    }
}

impl FusedIterator for Updates {}

/// The events of a client, each owning its text. Created by [`Updates::into_events`].
#[derive(Debug)]
pub struct Events {
    updates: Updates,
}

impl Events {
    /// Returns to all updates.
    #[must_use]
    pub fn into_updates(self) -> Updates {
        self.updates
    }
}

impl Iterator for Events {
    type Item = Event<'static>;

    fn next(&mut self) -> Option<Event<'static>> {
        Some(self.updates.next_event()?.into_owned())
    }
}

impl FusedIterator for Events {}
