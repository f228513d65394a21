//! What both whole peers do: hand what a session says to its connection.

use crate::Instant;
use crate::frame::CloseCode;
use crate::session::{Action, ClientSession, ServerSession};
use crate::websocket::{SendError, Sender};

/// A session of either role, as a source of messages and actions.
pub(crate) trait Session {
    fn poll_message(&self) -> Option<&str>;
    /// The connection took the message, and has `waiting` bytes to write.
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

/// Queues what the session has to say, as long as the connection takes it.
pub(crate) fn send_messages(session: &mut impl Session, out: &mut Sender<'_>) {
    while let Some(message) = session.poll_message() {
        if out.send_text(message).is_err() {
            return;
        }
        session.message_sent(out.queued());
    }
}

/// Does to an open connection what the session asks for.
pub(crate) fn act(now: Instant, session: &mut impl Session, out: &mut Sender<'_>) {
    while let Some(action) = session.poll_action() {
        match action {
            Action::Close { code, reason } => close(now, out, code, reason),
            Action::Abort => out.abort(now),
            // It is there.
            Action::Connect { .. } => {}
        }
    }
}

/// Starts the closing handshake, or ends the connection at once when not even a Close frame may be sent.
pub(crate) fn close(now: Instant, out: &mut Sender<'_>, code: u16, reason: &str) {
    match out.close(now, CloseCode::new(code), reason) {
        Ok(()) | Err(SendError::Closed) => {}
        Err(_) => out.abort(now),
    }
}
