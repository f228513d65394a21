//! One connection after its upgrade: `tungstenite`'s frames over a stream that does not block.

use std::io::{self, Read};
use std::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::session::DisconnectReason;
use multiwa_ws_driver::Cause;
use tungstenite::protocol::frame::Utf8Bytes;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, WebSocket};
use tungstenite::{Bytes, Error, Message};

use crate::failure::{self, Effect};
use crate::stream::{Stream, Watched};

/// A connection that is open or closing.
///
/// After a Close frame of either side or a violation, it continues to read until the server ends the stream too (RFC 6455
/// section 7.1.1), within the close timeout: a socket that is dropped with unread input is reset, and the Close frame may
/// be lost.
#[derive(Debug)]
pub(crate) struct Connection<S> {
    socket: Box<WebSocket<Watched<S>>>,
    close_timeout: Duration,
    /// Frames may wait to be written: our own, or a Pong or Close frame that `tungstenite` sends as an answer.
    unflushed: bool,
    /// Writing failed. The bytes that the server sent before are still read.
    write_error: Option<Error>,
    ending: Option<Ending>,
}

#[derive(Debug)]
struct Ending {
    /// The reason to report.
    reason: DisconnectReason,
    /// The underlying error, if known.
    cause: Option<Cause>,
    /// When to stop waiting for the end.
    until: Instant,
    /// The server has broken the framing, so its further bytes are ignored.
    ignores_input: bool,
}

/// The result of [`Connection::receive`].
#[derive(Debug)]
pub(crate) enum Received {
    /// A text message.
    Text(Utf8Bytes),
    /// A binary message.
    Binary(Bytes),
    /// A control frame, or ignored bytes.
    Other,
    /// No more bytes are available now.
    Blocked,
    /// The connection has ended.
    Ended(Ended),
}

/// How a connection has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The reason.
    pub(crate) reason: DisconnectReason,
    /// The underlying error, if known.
    pub(crate) cause: Option<Cause>,
}

impl<S: Stream> Connection<S> {
    pub(crate) fn new(socket: Box<WebSocket<Watched<S>>>, close_timeout: Duration) -> Self {
        Self { socket, close_timeout, unflushed: false, write_error: None, ending: None }
    }

    pub(crate) fn stream(&mut self) -> &mut S {
        &mut self.socket.get_mut().stream
    }

    /// Whether bytes arrived since the last call.
    pub(crate) fn take_arrived(&mut self) -> bool {
        self.socket.get_mut().take_arrived()
    }

    /// The number of bytes written since the last call, and a lower bound for the number that waits.
    pub(crate) fn take_progress(&mut self) -> (usize, usize) {
        (self.socket.get_mut().take_written(), usize::from(self.unflushed))
    }

    /// Whether a message can be sent now: the earlier ones are written, and closing has not begun.
    pub(crate) fn can_send(&self) -> bool {
        !self.unflushed && self.write_error.is_none() && self.ending.is_none()
    }

    /// Queues a message for [`flush`](Self::flush). Returns whether it was accepted. Check [`can_send`](Self::can_send)
    /// before.
    pub(crate) fn send(&mut self, text: String) -> bool {
        match self.socket.write(Message::text(text)) {
            Err(Error::WriteBufferFull(_)) => return false,
            Err(error) => self.unwritten(error),
            Ok(()) => {}
        }
        self.unflushed = true;
        true
    }

    /// Begins the closing handshake. Does nothing if closing has already begun.
    pub(crate) fn close(&mut self, now: Instant, code: u16, reason: &'static str) {
        if self.ending.is_none() {
            self.end(now, DisconnectReason::Eof, None);
            self.send_close(code, reason);
        }
    }

    /// Writes the queued bytes as far as the stream accepts them. Returns whether this call wrote the last of them.
    pub(crate) fn flush(&mut self) -> bool {
        if !self.unflushed || self.write_error.is_some() {
            return false;
        }
        self.unflushed = false;
        if let Err(error) = self.socket.flush() {
            self.unwritten(error);
            return false;
        }
        true
    }

    /// Reads up to the next message.
    pub(crate) fn receive(&mut self, now: Instant) -> Received {
        if self.ending.as_ref().is_some_and(|ending| ending.ignores_input) {
            return self.skip();
        }
        match self.socket.read() {
            Ok(Message::Text(text)) => Received::Text(text),
            Ok(Message::Binary(payload)) => Received::Binary(payload),
            Ok(message) => {
                if let Message::Close(frame) = message {
                    self.end(now, DisconnectReason::ClosedByPeer { code: frame.map(|frame| frame.code.into()) }, None);
                }
                // `tungstenite` sends its answer itself, but only at the next call.
                self.unflushed = true;
                Received::Other
            }
            Err(error) => self.failed(now, error),
        }
    }

    /// The latest time to call [`handle_timeout`](Self::handle_timeout).
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.ending.as_ref().map(|ending| ending.until)
    }

    /// Ends the connection if its deadline has passed at `now`.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<Ended> {
        let Ending { reason, cause, .. } = self.ending.take_if(|ending| ending.until <= now)?;
        Some(Ended { reason, cause })
    }

    fn failed(&mut self, now: Instant, error: Error) -> Received {
        match failure::classify(&error) {
            Effect::Blocked => self.blocked(),
            Effect::Eof => self.ended(DisconnectReason::Eof, None),
            Effect::Failed(reason) => self.ended(reason, Some(failure::cause(error))),
            Effect::Violation { code } => {
                let begins = self.ending.is_none();
                self.end(now, DisconnectReason::Violation { code }, Some(failure::cause(error))).ignores_input = true;
                if begins {
                    self.send_close(code, "");
                }
                Received::Other
            }
        }
    }

    /// Reads and drops bytes that are ignored.
    fn skip(&mut self) -> Received {
        let mut scratch = [0; 4096];
        match self.socket.get_mut().read(&mut scratch) {
            Ok(1..) => Received::Other,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.blocked(),
            _ => self.ended(DisconnectReason::Eof, None),
        }
    }

    /// All bytes that arrived have been read. A close reason of the server would be among them, so a write error can be
    /// reported now.
    fn blocked(&mut self) -> Received {
        match self.write_error.take() {
            None => Received::Blocked,
            Some(error) => self.ended(DisconnectReason::Io, Some(failure::cause(error))),
        }
    }

    /// Begins closing, unless it has already begun: the first cause is kept.
    fn end(&mut self, now: Instant, reason: DisconnectReason, cause: Option<Cause>) -> &mut Ending {
        let until = now + self.close_timeout;
        self.ending.get_or_insert(Ending { reason, cause, until, ignores_input: false })
    }

    fn ended(&mut self, reason: DisconnectReason, cause: Option<Cause>) -> Received {
        let ended = match self.ending.take() {
            Some(Ending { reason, cause, .. }) => Ended { reason, cause },
            None => Ended { reason, cause },
        };
        Received::Ended(ended)
    }

    fn send_close(&mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: Utf8Bytes::from_static(reason) };
        self.unflushed = true;
        if let Err(error) = self.socket.close(Some(frame)) {
            self.unwritten(error);
        }
    }

    /// A frame could not be written now: `tungstenite` keeps it.
    fn unwritten(&mut self, error: Error) {
        match failure::classify(&error) {
            Effect::Blocked => self.unflushed = true,
            _ => self.write_error = Some(error),
        }
    }
}
