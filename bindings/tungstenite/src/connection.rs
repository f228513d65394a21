//! One connection after its upgrade: `tungstenite`'s frames over a stream that does not block.

use std::io::{self, Read};
use std::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::session::DisconnectReason;
use tungstenite::protocol::frame::Utf8Bytes;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, WebSocket};
use tungstenite::{Error, Message};

use crate::failure::{self, Verdict};
use crate::stream::{Stream, Watched};

/// A connection that is open, or on its way to its end.
///
/// Whatever begins the end (a Close frame of either side, a violation), what follows is read until the server ends the
/// stream too (RFC 6455 section 7.1.1), for as long as the closing handshake may take: a socket that is dropped with unread
/// input is reset, and the Close frame may be lost with it.
#[derive(Debug)]
pub(crate) struct Connection<S> {
    socket: Box<WebSocket<Watched<S>>>,
    close_timeout: Duration,
    /// Frames may wait to be written: ours, or a Pong or Close that `tungstenite` answers with.
    unflushed: bool,
    /// Writing failed; what the server sent before is still read.
    write_error: Option<Error>,
    ending: Option<Ending>,
}

#[derive(Debug)]
struct Ending {
    /// What the end is to be told as.
    reason: DisconnectReason,
    /// What more is known.
    detail: Option<String>,
    /// When it is not waited for any longer.
    until: Instant,
    /// Bytes mean nothing any more: the server has broken the framing.
    deaf: bool,
}

/// What [`Connection::receive`] found.
#[derive(Debug)]
pub(crate) enum Received {
    /// A text message.
    Text(Utf8Bytes),
    /// A binary message.
    Binary,
    /// A control frame, or bytes without a meaning.
    Other,
    /// Nothing more for now.
    Blocked,
    /// The connection is over.
    Ended(Ended),
}

/// How a connection has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Why.
    pub(crate) reason: DisconnectReason,
    /// What more is known.
    pub(crate) detail: Option<String>,
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

    /// How many bytes were written since the last call, and how many wait at least.
    pub(crate) fn take_progress(&mut self) -> (usize, usize) {
        (self.socket.get_mut().take_written(), usize::from(self.unflushed))
    }

    /// Whether a message would be taken now: the earlier ones are written, and the end has not begun.
    pub(crate) fn can_send(&self) -> bool {
        !self.unflushed && self.write_error.is_none() && self.ending.is_none()
    }

    /// Queues a message, to be written by [`flush`](Self::flush); whether it was taken. Ask [`can_send`](Self::can_send)
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

    /// Begins the closing handshake. Does nothing once the end has begun.
    pub(crate) fn close(&mut self, now: Instant, code: u16, reason: &'static str) {
        if self.ending.is_none() {
            self.end(now, DisconnectReason::Eof, None);
            self.send_close(code, reason);
        }
    }

    /// Writes what is queued, as far as the stream takes it; whether the last of it went now.
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
        if self.ending.as_ref().is_some_and(|ending| ending.deaf) {
            return self.skip();
        }
        match self.socket.read() {
            Ok(Message::Text(text)) => Received::Text(text),
            Ok(Message::Binary(_)) => Received::Binary,
            Ok(message) => {
                if let Message::Close(frame) = message {
                    self.end(now, DisconnectReason::ClosedByPeer { code: frame.map(|frame| frame.code.into()) }, None);
                }
                // `tungstenite` answers by itself, and only when it is called again.
                self.unflushed = true;
                Received::Other
            }
            Err(error) => self.failed(now, error),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.ending.as_ref().map(|ending| ending.until)
    }

    /// The end is waited for no longer, once its time has come by `now`.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<Ended> {
        let Ending { reason, detail, .. } = self.ending.take_if(|ending| ending.until <= now)?;
        Some(Ended { reason, detail })
    }

    fn failed(&mut self, now: Instant, error: Error) -> Received {
        match failure::classify(&error) {
            Verdict::Blocked => self.blocked(),
            Verdict::Eof => self.ended(DisconnectReason::Eof, None),
            Verdict::Failed(reason) => self.ended(reason, Some(failure::text(&error))),
            Verdict::Violation { code } => {
                let begins = self.ending.is_none();
                self.end(now, DisconnectReason::Violation { code }, Some(failure::text(&error))).deaf = true;
                if begins {
                    self.send_close(code, "");
                }
                Received::Other
            }
        }
    }

    /// Reads what is not to be understood any more.
    fn skip(&mut self) -> Received {
        let mut scratch = [0; 4096];
        match self.socket.get_mut().read(&mut scratch) {
            Ok(1..) => Received::Other,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.blocked(),
            _ => self.ended(DisconnectReason::Eof, None),
        }
    }

    /// All was read that arrived; so a stream that cannot be written has told why, if it was to.
    fn blocked(&mut self) -> Received {
        match self.write_error.take() {
            None => Received::Blocked,
            Some(error) => self.ended(DisconnectReason::Io, Some(failure::text(&error))),
        }
    }

    /// Begins the end, unless it has begun: the first cause counts.
    fn end(&mut self, now: Instant, reason: DisconnectReason, detail: Option<String>) -> &mut Ending {
        let until = now + self.close_timeout;
        self.ending.get_or_insert(Ending { reason, detail, until, deaf: false })
    }

    fn ended(&mut self, reason: DisconnectReason, detail: Option<String>) -> Received {
        let ended = match self.ending.take() {
            Some(Ending { reason, detail, .. }) => Ended { reason, detail },
            None => Ended { reason, detail },
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

    /// A frame could not be written, or not yet: `tungstenite` keeps it.
    fn unwritten(&mut self, error: Error) {
        match failure::classify(&error) {
            Verdict::Blocked => self.unflushed = true,
            _ => self.write_error = Some(error),
        }
    }
}
