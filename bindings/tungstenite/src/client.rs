//! The handles of a blocking client.

use std::iter::FusedIterator;
use std::time::{Duration, Instant};

use multiwa_ws_core::session::{ClientState, CloseCause, Event};
use multiwa_ws_driver::{ConnectError, ConnectorError, Destination, RequestError, Status, Update};

use crate::ClientBuilder;
use crate::clock::Std;
use crate::wait::{wait, wait_until};

/// A handle to a client, to be cloned and used from any thread while another waits for its [`Updates`].
///
/// A request (`subscribe`, `unsubscribe`, `ping`) returns when it was acknowledged, refused, timed out or lost, at the
/// latest after the [request timeout](multiwa_ws_core::session::ClientConfig::request_timeout). It needs nobody to take
/// updates meanwhile, unless the queue is full and its policy is [`Overflow::Wait`](crate::Overflow::Wait): then it ends with
/// [`RequestError::UpdatesUnread`], at once if this thread is the one that takes updates. When the last handle and the
/// `Updates` are dropped, the client closes.
#[derive(Clone, Debug)]
pub struct Client {
    handle: multiwa_ws_driver::Client<Std>,
}

impl Client {
    /// Sets up a client of the server at `url`, `ws://HOST:PORT/ws` or `wss://HOST/ws`.
    #[must_use]
    pub fn builder(url: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(url)
    }

    /// Sets up a client that asks `provider` before each attempt where to go and with which key: see
    /// [`ClientBuilder::with_provider`].
    #[must_use]
    pub fn builder_with(
        provider: impl Fn(u32) -> Result<Destination, ConnectorError> + Send + Sync + 'static,
    ) -> ClientBuilder {
        ClientBuilder::with_provider(provider)
    }

    pub(crate) fn new(handle: multiwa_ws_driver::Client<Std>) -> Self {
        Self { handle }
    }

    /// Subscribes to events of a profile, `*` for all of them, and returns after how long the server acknowledged it. The
    /// subscription is asked for again after each reconnect.
    ///
    /// # Errors
    /// [`RequestError`] says why it is not active. After `TimedOut`, `UpdatesUnread` and `ConnectionLost` it stays desired.
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

    /// Closes the client for good and returns when the connection is closed, at the latest after the
    /// [close timeout](multiwa_ws_core::session::ClientConfig::close_timeout), whatever the server does.
    pub fn close(&self) {
        wait(self.handle.close());
    }

    /// Waits until the client is over, and tells why.
    #[must_use]
    pub fn closed(&self) -> CloseCause {
        wait(self.handle.closed())
    }

    /// Waits until the client is ready for the first time, or over.
    ///
    /// # Errors
    /// Why it is over without having been ready.
    pub fn ready(&self) -> Result<(), ConnectError> {
        wait(self.handle.ready())
    }

    /// As [`ready`](Self::ready), for so long: then the client is not ready in time.
    pub(crate) fn ready_within(&self, after: Duration) -> Result<(), ConnectError> {
        // A deadline that the clock cannot tell is none.
        let Some(deadline) = Instant::now().checked_add(after) else { return self.ready() };
        wait_until(self.handle.ready(), deadline)
            .unwrap_or_else(|| Err(ConnectError::timed_out(after, self.handle.status())))
    }

    /// Where the client stands.
    #[must_use]
    pub fn state(&self) -> ClientState {
        self.handle.state()
    }

    /// Everything that the client knows, at this moment.
    #[must_use]
    pub fn status(&self) -> Status {
        self.handle.status()
    }
}

/// The updates of a client: events, and what happens to the connection.
///
/// [`next`](Self::next) and [`next_event`](Self::next_event) lend each one until the next call, from a buffer that is used
/// again and again: taking events allocates nothing. As an iterator it gives updates that own their texts, and
/// [`into_events`](Self::into_events) iterates over events alone. All of them wait, and end after
/// [`LifecycleEvent::Closed`](multiwa_ws_core::session::LifecycleEvent::Closed).
///
/// A read whose deadline passes has taken nothing: the next one returns what came since.
#[derive(Debug)]
pub struct Updates {
    updates: multiwa_ws_driver::Updates<Std>,
}

/// The deadline of a read has passed. Nothing is lost: read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no update in time")]
pub struct TimedOut;

impl Updates {
    pub(crate) fn new(updates: multiwa_ws_driver::Updates<Std>) -> Self {
        Self { updates }
    }

    /// Waits for the next update, lent until the next call; `None` once the client is over.
    #[expect(
        clippy::should_implement_trait,
        reason = "the iterator stands beside it, for updates that own their texts"
    )]
    pub fn next(&mut self) -> Option<Update<'_>> {
        wait(self.updates.next())
    }

    /// Waits for the next event, lent until the next call, passing over all other updates; `None` once the client is over.
    pub fn next_event(&mut self) -> Option<Event<'_>> {
        wait(self.updates.next_event())
    }

    /// As [`next`](Self::next), until `deadline`. One that has passed takes what is there.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn next_deadline(&mut self, deadline: Instant) -> Result<Option<Update<'_>>, TimedOut> {
        wait_until(self.updates.next(), deadline).ok_or(TimedOut)
    }

    /// As [`next`](Self::next), for so long from now.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Update<'_>>, TimedOut> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.next_deadline(deadline),
            // Longer than the clock can tell.
            None => Ok(self.next()),
        }
    }

    /// Iterates over the events alone; all other updates are passed over.
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

/// The events of a client, each owning its text. Made by [`Updates::into_events`].
#[derive(Debug)]
pub struct Events {
    updates: Updates,
}

impl Events {
    /// All updates again.
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
