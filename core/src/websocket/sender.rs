//! Commands of a connection: what an application may do with the sending side.

use core::fmt;
use core::time::Duration;

use super::compression::compressed_bound;
use super::{Cause, MessageKind, Outgoing, SendError, SharedMessage, State};
use crate::Instant;
use crate::frame::{CloseCode, CloseFrame, FrameHeader, OpCode};

/// Sends on a connection: what an application has of it. Driving the connection is left to the owner of the
/// [`WebSocket`](super::WebSocket).
///
/// A command frames the message and queues it for the transport. It takes effect before it returns; a refused one has changed
/// nothing. What a driver does cannot be done here, such as to confirm bytes that were never written:
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
    /// Where the connection is between the upgrade and its end.
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

    /// Bytes that wait to be written.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.out.queued()
    }

    pub(crate) const fn max_queued(&self) -> usize {
        self.out.max_queued
    }

    /// Time from the latest answered keep-alive ping to its Pong.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.out.round_trip
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

    /// Sends a message as it is although `permessage-deflate` was negotiated: for one that holds a secret beside text that
    /// a stranger can choose, whose compressed length would tell of the secret.
    ///
    /// # Errors
    /// [`SendError::Closed`], [`SendError::QueueFull`] or [`SendError::MessageUnderWay`].
    pub fn send_uncompressed(&mut self, message: Message<'_>) -> Result<(), SendError> {
        let (kind, payload) = message.parts();
        self.admit_message(payload.len())?;
        self.out.push_frame(kind.opcode(), true, payload);
        Ok(())
    }

    /// Sends a message by reference: a server copies no byte of it, unless it is shorter than the reference.
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

    /// Sends a fragment of a message (RFC 6455 section 5.4); `end` says that it is the last. The first one sets the kind.
    /// Pings and the Close may be sent in between, other messages not.
    ///
    /// # Errors
    /// [`SendError::Closed`], [`SendError::QueueFull`] or [`SendError::KindMismatch`].
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
                let payload = compressor.compress(payload, end).map_err(|_| SendError::Compression)?;
                self.out.push_compressed(opcode, end, payload);
            }
            _ => self.out.push_frame(opcode, end, payload),
        }
        self.out.fragmented = if end { None } else { Some((kind, compressed)) };
        Ok(())
    }

    /// Sends a Ping of the application's own, at most 125 bytes. The Pong arrives as an event.
    ///
    /// # Errors
    /// [`SendError::Closed`], [`SendError::QueueFull`] or [`SendError::ControlTooLong`].
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.send_control(OpCode::Ping, payload)
    }

    /// Sends a Pong that no Ping asked for, at most 125 bytes (RFC 6455 section 5.5.3). Pings are answered without it.
    ///
    /// # Errors
    /// [`SendError::Closed`], [`SendError::QueueFull`] or [`SendError::ControlTooLong`].
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.send_control(OpCode::Pong, payload)
    }

    /// Starts the closing handshake with a Close frame behind what is queued (RFC 6455 section 7.1.2).
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
    fn send_message(&mut self, kind: MessageKind, payload: &[u8]) -> Result<(), SendError> {
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
        // A closed connection is told first: a shorter payload would not help.
        if self.out.is_open() && payload.len() > MAX_CONTROL_LEN {
            return Err(SendError::ControlTooLong);
        }
        self.admit(payload.len())?;
        self.out.push_frame(opcode, true, payload);
        Ok(())
    }

    #[inline]
    fn admit_message(&self, len: usize) -> Result<(), SendError> {
        self.admit(len)?;
        if self.out.fragmented.is_some() {
            return Err(SendError::MessageUnderWay);
        }
        Ok(())
    }

    /// Refuses what may not be sent now, or would pass the limit with the longest header.
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

/// RFC 6455 section 5.5.
const MAX_CONTROL_LEN: usize = 125;

/// A message to send, or a fragment of one. Text is cut between characters, never inside one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Text.
    Text(&'a str),
    /// Any bytes.
    Binary(&'a [u8]),
}

impl<'a> Message<'a> {
    fn parts(self) -> (MessageKind, &'a [u8]) {
        match self {
            Self::Text(text) => (MessageKind::Text, text.as_bytes()),
            Self::Binary(payload) => (MessageKind::Binary, payload),
        }
    }
}
