//! What the handles of a client command.

use multiwa_ws_core::Instant;
use multiwa_ws_core::client::{self as core, Failure};
use multiwa_ws_core::session::{ClientEvent, ClientSession, CommandError, EventNames, RequestId};

/// A state machine of the core that a client's handles can command.
pub trait Machine: Send {
    /// What it knows.
    fn session(&self) -> &ClientSession;

    /// What the server did to end the latest connection or attempt.
    fn failure(&self) -> Option<&Failure>;

    /// See [`ClientSession::subscribe`].
    ///
    /// # Errors
    /// Those of [`ClientSession::subscribe`].
    fn subscribe(&mut self, now: Instant, profile: &str, events: &EventNames) -> Result<RequestId, CommandError>;

    /// See [`ClientSession::unsubscribe`].
    ///
    /// # Errors
    /// Those of [`ClientSession::unsubscribe`].
    fn unsubscribe(&mut self, now: Instant, profile: Option<&str>) -> Result<RequestId, CommandError>;

    /// See [`ClientSession::ping`].
    ///
    /// # Errors
    /// Those of [`ClientSession::ping`].
    fn ping(&mut self, now: Instant) -> Result<RequestId, CommandError>;

    /// See [`ClientSession::close`].
    fn close(&mut self, now: Instant);

    /// See [`ClientSession::poll_event`].
    #[must_use]
    fn poll_event(&mut self) -> Option<ClientEvent<'static>>;
}

/// A whole client: upgrade, connection and session.
impl Machine for core::Client {
    fn session(&self) -> &ClientSession {
        self.session()
    }

    fn failure(&self) -> Option<&Failure> {
        self.failure()
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

/// A session alone, over frames that the binding has from elsewhere.
impl Machine for ClientSession {
    fn session(&self) -> &ClientSession {
        self
    }

    fn failure(&self) -> Option<&Failure> {
        None
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
