//! Code that the client and the server share: it passes the output of a session to its connection.

use crate::Instant;
use crate::frame::CloseCode;
#[cfg(feature = "server")]
use crate::session::ServerSession;
use crate::session::{Action, ClientSession};
use crate::websocket::{SendError, Sender};

/// A session of either role, as a source of messages and actions.
pub(crate) trait Session {
    fn poll_message(&self) -> Option<&str>;
    /// The connection accepted the message, and has `waiting` bytes to write.
    fn message_sent(&mut self, waiting: usize);
    fn poll_action(&mut self) -> Option<Action>;
}

impl Session for ClientSession {
    fn poll_message(&self) -> Option<&str> {
        self.poll_message()
    }

    fn message_sent(&mut self, waiting: usize) {
        self.message_sent(waiting);
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.poll_action()
    }
}

#[cfg(feature = "server")]
impl Session for ServerSession {
    fn poll_message(&self) -> Option<&str> {
        self.poll_message()
    }

    fn message_sent(&mut self, _: usize) {
        self.message_sent();
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.poll_action()
    }
}

/// Queues the messages of the session, as long as the connection accepts them.
pub(crate) fn send_messages(session: &mut impl Session, out: &mut Sender<'_>) {
    while let Some(message) = session.poll_message() {
        if out.send_text(message).is_err() {
            return;
        }
        session.message_sent(out.queued());
    }
}

/// Performs the actions of the session on an open connection.
pub(crate) fn act(now: Instant, session: &mut impl Session, out: &mut Sender<'_>) {
    while let Some(action) = session.poll_action() {
        match action {
            Action::Close { code, reason } => close(now, out, code, reason),
            Action::Abort => out.abort(now),
            // The connection exists already.
            Action::Connect { .. } => {}
        }
    }
}

/// Starts the closing handshake, or ends the connection at once when the Close frame cannot be sent.
pub(crate) fn close(now: Instant, out: &mut Sender<'_>, code: u16, reason: &str) {
    match out.close(now, CloseCode::new(code), reason) {
        Ok(()) | Err(SendError::Closed) => {}
        Err(_) => out.abort(now),
    }
}
