//! The interface of the state machines that a client's handles use.

use multiwa_ws_core::Instant;
use multiwa_ws_core::client::{self as core, Failure};
use multiwa_ws_core::session::{ClientEvent, ClientSession, CommandError, EventNames, RequestId};

/// A state machine of the core that the handles of a client can command.
pub trait Machine: Send {
    /// The session.
    fn session(&self) -> &ClientSession;

    /// How the server ended the last connection or attempt.
    fn failure(&self) -> Option<&Failure>;

    /// See [`ClientSession::connect`].
    ///
    /// # Errors
    /// The errors of [`ClientSession::connect`].
    fn connect(&mut self, now: Instant) -> Result<(), CommandError>;

    /// See [`ClientSession::subscribe`].
    ///
    /// # Errors
    /// The errors of [`ClientSession::subscribe`].
    fn subscribe(&mut self, now: Instant, profile: &str, events: &EventNames) -> Result<RequestId, CommandError>;

    /// See [`ClientSession::unsubscribe`].
    ///
    /// # Errors
    /// The errors of [`ClientSession::unsubscribe`].
    fn unsubscribe(&mut self, now: Instant, profile: Option<&str>) -> Result<RequestId, CommandError>;

    /// See [`ClientSession::ping`].
    ///
    /// # Errors
    /// The errors of [`ClientSession::ping`].
    fn ping(&mut self, now: Instant) -> Result<RequestId, CommandError>;

    /// See [`ClientSession::close`].
    fn close(&mut self, now: Instant);

    /// See [`ClientSession::poll_event`].
    #[must_use]
    fn poll_event(&mut self) -> Option<ClientEvent<'static>>;
}

/// The names of events as the state machines take them.
pub(in crate::client) fn event_names<N: AsRef<str>>(events: impl IntoIterator<Item = N>) -> EventNames {
    events.into_iter().map(|name| Box::<str>::from(name.as_ref())).collect()
}

/// A complete client: upgrade, connection and session.
impl Machine for core::Client {
    fn session(&self) -> &ClientSession {
        self.session()
    }

    fn failure(&self) -> Option<&Failure> {
        self.failure()
    }

    fn connect(&mut self, now: Instant) -> Result<(), CommandError> {
        self.connect(now)
    }

    fn subscribe(&mut self, now: Instant, profile: &str, events: &EventNames) -> Result<RequestId, CommandError> {
        self.commands().subscribe(now, profile, events)
    }

    fn unsubscribe(&mut self, now: Instant, profile: Option<&str>) -> Result<RequestId, CommandError> {
        self.commands().unsubscribe(now, profile)
    }

    fn ping(&mut self, now: Instant) -> Result<RequestId, CommandError> {
        self.commands().ping(now)
    }

    fn close(&mut self, now: Instant) {
        self.commands().close(now);
    }

    fn poll_event(&mut self) -> Option<ClientEvent<'static>> {
        self.poll_event()
    }
}

/// A session only. The binding receives and sends the messages in another way.
impl Machine for ClientSession {
    fn session(&self) -> &ClientSession {
        self
    }

    fn failure(&self) -> Option<&Failure> {
        None
    }

    fn connect(&mut self, now: Instant) -> Result<(), CommandError> {
        self.connect(now)
    }

    fn subscribe(&mut self, now: Instant, profile: &str, events: &EventNames) -> Result<RequestId, CommandError> {
        self.subscribe(now, profile, events)
    }

    fn unsubscribe(&mut self, now: Instant, profile: Option<&str>) -> Result<RequestId, CommandError> {
        self.unsubscribe(now, profile)
    }

    fn ping(&mut self, now: Instant) -> Result<RequestId, CommandError> {
        self.ping(now)
    }

    fn close(&mut self, now: Instant) {
        self.close(now);
    }

    fn poll_event(&mut self) -> Option<ClientEvent<'static>> {
        self.poll_event()
    }
}
