//! What both whole peers do: hand the messages of a session to its connection.

use crate::Instant;
use crate::frame::CloseCode;
use crate::session::{ClientSession, ServerSession};
use crate::websocket::{Outgoing, SendError};

/// A session of either role, as a source of messages.
pub(crate) trait Messages {
    fn poll_message(&self) -> Option<&str>;
    fn message_sent(&mut self);
}

impl Messages for ClientSession {
    fn poll_message(&self) -> Option<&str> {
        self.poll_message()
    }

    fn message_sent(&mut self) {
        self.message_sent();
    }
}

impl Messages for ServerSession {
    fn poll_message(&self) -> Option<&str> {
        self.poll_message()
    }

    fn message_sent(&mut self) {
        self.message_sent();
    }
}

/// Queues what the session has to say, as long as the connection takes it.
pub(crate) fn send_messages(session: &mut impl Messages, out: &mut Outgoing) {
    while let Some(message) = session.poll_message() {
        if out.send_text(message).is_err() {
            return;
        }
        session.message_sent();
    }
}

/// Starts the closing handshake, or ends the connection at once when not even a Close frame may be sent.
pub(crate) fn close(now: Instant, out: &mut Outgoing, code: u16, reason: &str) {
    match out.close(now, CloseCode::new(code), reason) {
        Ok(()) | Err(SendError::Closed) => {}
        Err(_) => out.abort(now),
    }
}
