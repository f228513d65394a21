//! The commands of a connection, for the application.

use core::fmt;
use core::time::Duration;

use super::compression::compressed_bound;
use super::{Cause, Event, MessageKind, Outgoing, SendError, SharedMessage, State};
use crate::Instant;
use crate::frame::{CloseCode, CloseFrame, FrameHeader, OpCode};

/// Sends messages on a connection, for the application. The owner of the [`WebSocket`](super::WebSocket) drives the
/// connection.
///
/// A command frames the message and queues it for the transport. It takes effect before it returns; a refused command
/// changes nothing. The methods of a driver are missing here, so an application cannot, for example, confirm bytes that
/// were never written:
///
/// ```compile_fail,E0599
/// use multiwa_ws_core::Instant;
/// use multiwa_ws_core::websocket::Sender;
///
/// fn f_03(mut sender: Sender<'_>) {
///     sender.transmitted(Instant::default(), 9);
/// }
/// ```
pub struct Sender<'c> {
    out: &'c mut Outgoing,
}

/// # Getters
impl Sender<'_> {
    /// The current state of the connection.
    #[must_use]
    pub fn state(&self) -> State {
        self.out.state()
    }

    /// Whether messages can be sent.
    #[inline]
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.out.is_open()
    }

    /// The number of bytes that wait to be written.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.out.queued()
    }

    #[cfg(all(feature = "server", feature = "session"))]
    pub(crate) const fn max_queued(&self) -> usize {
        self.out.max_queued
    }

    /// The time between the latest answered keep-alive Ping and its Pong.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.out.control.round_trip()
    }
}

/// # Commands
impl<'c> Sender<'c> {
    pub(crate) const fn new(out: &'c mut Outgoing) -> Self {
        Self { out }
    }

    /// Sends a text message in one frame.
    ///
    /// # Errors
    /// [`SendError::Closed`], [`SendError::QueueFull`] or [`SendError::MessageUnderWay`].
    #[inline]
    pub fn send_text(&mut self, text: &str) -> Result<(), SendError> {
        self.send_message(MessageKind::Text, text.as_bytes())
    }

    /// Sends a binary message in one frame.
    ///
    /// # Errors
    /// [`SendError::Closed`], [`SendError::QueueFull`] or [`SendError::MessageUnderWay`].
    #[inline]
    pub fn send_binary(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.send_message(MessageKind::Binary, payload)
    }

    /// Sends a message uncompressed even if `permessage-deflate` was negotiated. Use it for a message that contains both
    /// a secret and text that an attacker can choose: its compressed length would reveal information about the secret.
    ///
    /// # Errors
    /// [`SendError::Closed`], [`SendError::QueueFull`] or [`SendError::MessageUnderWay`].
    pub fn send_uncompressed(&mut self, message: Message<'_>) -> Result<(), SendError> {
        let (kind, payload) = message.parts();
        self.admit_message(payload.len())?;
        self.out.push_frame(kind.opcode(), true, payload);
        Ok(())
    }

    /// Sends a message by reference. A server does not copy its bytes, unless the message is shorter than the reference.
    ///
    /// # Errors
    /// [`SendError::Closed`], [`SendError::QueueFull`] or [`SendError::MessageUnderWay`].
    pub fn send_shared(&mut self, message: &SharedMessage) -> Result<(), SendError> {
        if let Some(compressor) = &self.out.compressor
            && compressor.wants(message.len())
        {
            match message.compressed_frame() {
                Some(frame) if self.out.masking.is_none() && compressor.takes_shared() => {
                    self.admit_message(frame.len())?;
                    self.out.queue.share(frame);
                    return Ok(());
                }
                _ => return self.send_message(message.kind(), message.payload()),
            }
        }
        if self.out.masking.is_some() {
            return self.send_message(message.kind(), message.payload());
        }
        self.admit_message(message.len())?;
        for bytes in message.frame() {
            self.out.queue.share(bytes);
        }
        Ok(())
    }

    /// Sends a fragment of a message (RFC 6455 section 5.4). `end` marks the last fragment. The first fragment sets the
    /// kind of the message. Control frames may be sent between fragments, other messages may not.
    ///
    /// # Errors
    /// [`SendError::Closed`], [`SendError::QueueFull`], [`SendError::KindMismatch`] or [`SendError::Compression`].
    pub fn send_fragment(&mut self, fragment: Message<'_>, end: bool) -> Result<(), SendError> {
        let (kind, payload) = fragment.parts();
        let longest = if self.out.compressor.is_some() { compressed_bound(payload.len()) } else { payload.len() };
        self.admit(longest)?;
        if self.out.fragmented.is_some_and(|(under_way, _)| under_way != kind) {
            return Err(SendError::KindMismatch);
        }
        let opcode = if self.out.fragmented.is_some() { OpCode::Continuation } else { kind.opcode() };
        let first = self.out.compressor.as_ref().is_some_and(|compressor| compressor.wants(payload.len()));
        let compressed = self.out.fragmented.map_or(first, |(_, compressed)| compressed);
        match &mut self.out.compressor {
            Some(compressor) if compressed => {
                let payload = compressor.compress(payload, end)?;
                self.out.push_compressed(opcode, end, payload);
            }
            _ => self.out.push_frame(opcode, end, payload),
        }
        self.out.fragmented = if end { None } else { Some((kind, compressed)) };
        Ok(())
    }

    /// Sends a Ping of the application, at most 125 bytes. The Pong arrives as an event.
    ///
    /// # Errors
    /// [`SendError::Closed`], [`SendError::QueueFull`] or [`SendError::ControlTooLong`].
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.send_control(OpCode::Ping, payload)
    }

    /// Sends an unsolicited Pong, at most 125 bytes (RFC 6455 section 5.5.3). The connection answers Pings automatically.
    ///
    /// # Errors
    /// [`SendError::Closed`], [`SendError::QueueFull`] or [`SendError::ControlTooLong`].
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.send_control(OpCode::Pong, payload)
    }

    /// Starts the closing handshake: queues a Close frame after the bytes already queued (RFC 6455 section 7.1.2).
    ///
    /// Messages of the peer still arrive until its own Close. `Closed` follows within
    /// [`Config::close_timeout`](super::Config::close_timeout).
    ///
    /// # Errors
    /// [`SendError::Closed`] when the connection is closing already, [`SendError::CloseCode`] or
    /// [`SendError::ReasonTooLong`].
    pub fn close(&mut self, now: Instant, code: CloseCode, reason: &str) -> Result<(), SendError> {
        if !self.out.is_open() {
            return Err(SendError::Closed);
        }
        if !code.is_sendable() {
            return Err(SendError::CloseCode);
        }
        if reason.len() > CloseFrame::MAX_REASON_LEN {
            return Err(SendError::ReasonTooLong);
        }
        let now = self.out.lifecycle.clock(now);
        self.out.push_close(Some(CloseFrame { code, reason }));
        self.out.lifecycle.closing(now);
        Ok(())
    }

    /// Ends the connection without a closing handshake. `Closed` follows at once; drop the transport then.
    pub fn abort(&mut self, now: Instant) {
        self.out.end(now, Cause::Aborted);
    }

    #[inline]
    pub(super) fn send_message(&mut self, kind: MessageKind, payload: &[u8]) -> Result<(), SendError> {
        if self.out.compressor.is_some() {
            return self.send_compressed(kind, payload);
        }
        self.admit_message(payload.len())?;
        self.out.push(FrameHeader::new(kind.opcode(), true, None, payload.len() as u64), payload);
        Ok(())
    }

    fn send_compressed(&mut self, kind: MessageKind, payload: &[u8]) -> Result<(), SendError> {
        self.admit_message(compressed_bound(payload.len()))?;
        let compressed = match &mut self.out.compressor {
            Some(compressor) if compressor.wants(payload.len()) => compressor.compress(payload, true).ok(),
            _ => None,
        };
        match compressed {
            Some(compressed) => self.out.push_compressed(kind.opcode(), true, compressed),
            None => self.out.push_frame(kind.opcode(), true, payload),
        }
        Ok(())
    }

    fn send_control(&mut self, opcode: OpCode, payload: &[u8]) -> Result<(), SendError> {
        // A closed connection is reported first: a shorter payload would not help.
        if self.out.is_open() && payload.len() > MAX_CONTROL_LEN {
            return Err(SendError::ControlTooLong);
        }
        self.admit(payload.len())?;
        self.out.push_frame(opcode, true, payload);
        Ok(())
    }

    #[inline]
    pub(super) fn admit_message(&self, len: usize) -> Result<(), SendError> {
        self.admit(len)?;
        if self.out.fragmented.is_some() {
            return Err(SendError::MessageUnderWay);
        }
        Ok(())
    }

    /// Refuses a payload of `len` bytes when nothing may be sent now, or when it would exceed the limit with the longest
    /// header.
    #[inline]
    fn admit(&self, len: usize) -> Result<(), SendError> {
        if !self.out.is_open() {
            return Err(SendError::Closed);
        }
        let queued = self.out.queue.len();
        let needed = queued.saturating_add(len).saturating_add(FrameHeader::MAX_LEN);
        if needed > self.out.max_queued {
            return Err(SendError::QueueFull { queued, limit: self.out.max_queued });
        }
        Ok(())
    }
}

impl fmt::Debug for Sender<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.out.fmt(f)
    }
}

/// An [`Event`] with the commands of the same connection, so that an answer can be sent while the event is borrowed.
#[derive(Debug)]
pub struct Received<'e> {
    /// The event.
    pub event: Event<'e>,
    /// The commands of the connection on which it arrived.
    pub sender: Sender<'e>,
}

/// RFC 6455 section 5.5.
const MAX_CONTROL_LEN: usize = 125;

/// A message to send, or a fragment of one. A text fragment always ends between two characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Text.
    Text(&'a str),
    /// Any bytes.
    Binary(&'a [u8]),
}

impl<'a> Message<'a> {
    pub(super) fn parts(self) -> (MessageKind, &'a [u8]) {
        match self {
            Self::Text(text) => (MessageKind::Text, text.as_bytes()),
            Self::Binary(payload) => (MessageKind::Binary, payload),
        }
    }
}
