//! The sending side of a connection.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::compression::{Compressor, compressed_bound};
use super::lifecycle::Lifecycle;
use super::queue::TransmitQueue;
use super::state::State;
use super::{
    Cause, Config, DeflateParameters, Event, MessageKind, Negotiated, ProtocolError, Role, SendError, SharedMessage,
};
use crate::Instant;
use crate::frame::{CloseCode, CloseFrame, FrameHeader, OpCode, ReservedBits};
use crate::keep_alive::{Due, Liveness};
use crate::random::Random;

/// The sending side of a [`WebSocket`](super::WebSocket): frames messages and queues them for the transport.
///
/// - Getters: [`state`](Self::state), [`is_open`](Self::is_open), [`queued`](Self::queued),
///   [`round_trip`](Self::round_trip).
/// - Commands: [`send_text`](Self::send_text), [`send_binary`](Self::send_binary), [`send_shared`](Self::send_shared),
///   [`send_fragment`](Self::send_fragment), [`send_uncompressed`](Self::send_uncompressed), [`ping`](Self::ping), [`pong`](Self::pong), [`close`](Self::close),
///   [`abort`](Self::abort).
/// - Input: [`handle_eof`](Self::handle_eof), [`handle_lost`](Self::handle_lost),
///   [`reading_paused`](Self::reading_paused).
/// - Output: [`poll_transmit`](Self::poll_transmit) with [`transmitted`](Self::transmitted),
///   [`poll_shutdown`](Self::poll_shutdown) with [`shutdown_done`](Self::shutdown_done),
///   [`poll_event`](Self::poll_event).
///
/// A command takes effect before it returns; a refused one has changed nothing.
pub struct Outgoing {
    pub(super) lifecycle: Lifecycle,
    queue: TransmitQueue,
    pub(super) liveness: Liveness,
    /// The source of masking keys; a server has none, since it does not mask.
    masking: Option<Box<Random>>,
    compressor: Option<Box<Compressor>>,
    max_queued: usize,
    /// The kind of the fragmented message under way, and whether it is compressed.
    fragmented: Option<(MessageKind, bool)>,
    /// Pongs queued since all earlier ones were written.
    pongs: usize,
    /// Bytes to write until the last of them is out.
    pong_backlog: usize,
    /// The answer to the latest Ping, held back while [`MAX_PONGS`] are queued.
    held_pong: Option<Vec<u8>>,
    /// Keep-alive pings so far, which is the payload of the latest.
    pings: u32,
    /// Bytes to write until the latest of them is out.
    ping_backlog: usize,
    /// When our latest keep-alive ping was queued, until it is answered.
    pinged_at: Option<Instant>,
    round_trip: Option<Duration>,
}

/// Pongs to queue one by one. Beyond them only the latest Ping is answered, once they are written, as RFC 6455 section
/// 5.5.3 allows: a flood of pings cannot grow the queue.
const MAX_PONGS: usize = 64;

impl Outgoing {
    pub(super) fn new(now: Instant, role: Role, config: &Config, negotiated: &Negotiated, seed: [u8; 32]) -> Self {
        let compressor = |parameters: DeflateParameters| Box::new(parameters.compressor(role, config.compression));
        Self {
            compressor: negotiated.deflate.map(compressor),
            lifecycle: Lifecycle::new(now, role, config.close_timeout),
            queue: TransmitQueue::default(),
            liveness: Liveness::new(now, config.keep_alive),
            masking: match role {
                Role::Client => Some(Box::new(Random::new(seed))),
                Role::Server => None,
            },
            max_queued: config.max_queued,
            fragmented: None,
            pongs: 0,
            pong_backlog: 0,
            held_pong: None,
            pings: 0,
            ping_backlog: 0,
            pinged_at: None,
            round_trip: None,
        }
    }

    /// Where the connection is between the upgrade and its end.
    #[must_use]
    pub fn state(&self) -> State {
        self.lifecycle.state()
    }

    /// Whether messages can be sent.
    #[inline]
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.lifecycle.state() == State::Open
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(crate) const fn max_queued(&self) -> usize {
        self.max_queued
    }

    /// Time from the latest answered keep-alive ping to its Pong.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
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
        self.push_frame(kind.opcode(), true, payload);
        Ok(())
    }

    /// Sends a message by reference: a server copies no byte of it, unless it is shorter than the reference.
    ///
    /// # Errors
    /// [`SendError::Closed`], [`SendError::QueueFull`] or [`SendError::MessageUnderWay`].
    pub fn send_shared(&mut self, message: &SharedMessage) -> Result<(), SendError> {
        if let Some(compressor) = &self.compressor
            && compressor.wants(message.len())
        {
            match message.compressed_frame() {
                Some(frame) if self.masking.is_none() && compressor.takes_shared() => {
                    self.admit_message(frame.len())?;
                    self.queue.share(frame);
                    return Ok(());
                }
                _ => return self.send_message(message.kind(), message.payload()),
            }
        }
        if self.masking.is_some() {
            return self.send_message(message.kind(), message.payload());
        }
        self.admit_message(message.len())?;
        for bytes in message.frame() {
            self.queue.share(bytes);
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
        let longest = if self.compressor.is_some() { compressed_bound(payload.len()) } else { payload.len() };
        self.admit(longest)?;
        if self.fragmented.is_some_and(|(under_way, _)| under_way != kind) {
            return Err(SendError::KindMismatch);
        }
        let opcode = if self.fragmented.is_some() { OpCode::Continuation } else { kind.opcode() };
        let first = self.compressor.as_ref().is_some_and(|compressor| compressor.wants(payload.len()));
        let compressed = self.fragmented.map_or(first, |(_, compressed)| compressed);
        match &mut self.compressor {
            Some(compressor) if compressed => {
                let payload = compressor.compress(payload, end).map_err(|_| SendError::Compression)?;
                self.push_compressed(opcode, end, payload);
            }
            _ => self.push_frame(opcode, end, payload),
        }
        self.fragmented = if end { None } else { Some((kind, compressed)) };
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
        if !self.is_open() {
            return Err(SendError::Closed);
        }
        if !code.is_sendable() {
            return Err(SendError::CloseCode);
        }
        if reason.len() > CloseFrame::MAX_REASON_LEN {
            return Err(SendError::ReasonTooLong);
        }
        let now = self.lifecycle.clock(now);
        self.push_close(Some(CloseFrame { code, reason }));
        self.lifecycle.closing(now);
        Ok(())
    }

    /// Ends the connection without a closing handshake. `Closed` follows at once; drop the transport then.
    pub fn abort(&mut self, now: Instant) {
        self.end(now, Cause::Aborted);
    }

    /// The transport failed: nothing more can be read or written.
    pub fn handle_lost(&mut self, now: Instant) {
        self.end(now, Cause::Lost);
    }

    /// The peer ended its side of the transport: no more bytes will come.
    pub fn handle_eof(&mut self, now: Instant) {
        let now = self.lifecycle.clock(now);
        self.lifecycle.eof(now);
        self.settle();
    }

    /// The caller stops reading: until [`Incoming::reading_resumed`](super::Incoming::reading_resumed) the silence of the
    /// peer means nothing.
    pub fn reading_paused(&mut self, now: Instant) {
        let now = self.lifecycle.clock(now);
        self.liveness.paused(now);
    }

    /// Lends bytes to write, in up to `slices.len()` slices for one vectored write, and returns how many it filled.
    ///
    /// The bytes stay until [`transmitted`](Self::transmitted) confirms them: a write that fails, is partial or is
    /// cancelled loses nothing.
    #[must_use = "lent bytes are to be written, then confirmed with `transmitted`"]
    pub fn poll_transmit<'q>(&'q self, slices: &mut [&'q [u8]]) -> usize {
        self.queue.lend(slices)
    }

    /// The transport took the first `len` bytes of what [`poll_transmit`](Self::poll_transmit) lent.
    pub fn transmitted(&mut self, len: usize) {
        self.queue.consume(len);
        self.ping_backlog = self.ping_backlog.saturating_sub(len);
        self.pong_backlog = self.pong_backlog.saturating_sub(len);
        if self.pong_backlog == 0 {
            self.pongs = 0;
            if let Some(pong) = self.held_pong.take() {
                self.answer_ping(&pong);
            }
        }
        self.settle();
    }

    /// Whether the write side of the transport is to be shut down now (a TCP FIN, a TLS `close_notify`), while reading
    /// goes on until its end.
    #[must_use = "shut the write side down, then call `shutdown_done`"]
    pub fn poll_shutdown(&self) -> bool {
        self.state() == State::ShuttingDown
    }

    /// The write side of the transport was shut down.
    pub fn shutdown_done(&mut self) {
        self.lifecycle.shut_down();
    }

    /// Gives back the memory of the compression and of an empty queue, for a connection that is expected to be idle. The next
    /// message allocates it anew and starts without context, which costs some of its compression.
    ///
    /// The queue's memory is given back without this, too, when less than 1 KiB was written since it was empty, and whenever a
    /// keep-alive ping is due.
    pub fn release_memory(&mut self) {
        self.queue.release();
        if self.fragmented.is_none()
            && let Some(compressor) = &mut self.compressor
        {
            compressor.release_memory();
        }
    }

    /// The next event that no byte of the peer brings: [`Event::Closed`], once.
    #[must_use = "the end of the connection is reported here and nowhere else"]
    pub fn poll_event(&mut self) -> Option<Event<'static>> {
        self.lifecycle.take_closed().map(Event::Closed)
    }

    /// Queues bytes that must go out before any frame: the rest of the 101 response that opened the connection, which
    /// [`Accepted::unsent`](crate::handshake::Accepted::unsent) holds. Call it before any command.
    pub fn precede(&mut self, bytes: Vec<u8>) {
        self.queue.share(&bytes.into());
    }

    /// Fails the connection (RFC 6455 section 7.1.7).
    pub(super) fn fail(&mut self, now: Instant, error: ProtocolError) {
        if self.is_open() {
            self.push_close(Some(CloseFrame { code: error.close_code(), reason: "" }));
        }
        self.lifecycle.violated(now, error);
        self.settle();
    }

    /// Answers the peer's Close frame, unless ours is on its way already.
    pub(super) fn answer_close(&mut self, now: Instant, frame: Option<CloseFrame<'_>>) {
        if self.is_open() {
            // RFC 6455 section 5.5.1: the answer typically echoes the code. The reason was meant for us.
            self.push_close(frame.map(|frame| CloseFrame { reason: "", ..frame }));
        }
        self.lifecycle.peer_closed(now, frame.map_or(CloseCode::NO_STATUS, |frame| frame.code));
        self.settle();
    }

    /// RFC 6455 section 5.5.2: a Ping is answered with a Pong of the same payload, unless a Close was received; after
    /// our own Close nothing may be sent (section 5.5.1).
    pub(super) fn answer_ping(&mut self, payload: &[u8]) {
        if !self.is_open() {
            return;
        }
        if self.pongs < MAX_PONGS {
            self.pongs += 1;
            self.push_frame(OpCode::Pong, true, payload);
            self.pong_backlog = self.queue.len();
        } else {
            self.held_pong = Some(payload.into());
        }
    }

    pub(super) fn pong_received(&mut self, now: Instant, payload: &[u8]) {
        self.liveness.pong_received();
        if payload == self.pings.to_be_bytes()
            && let Some(pinged_at) = self.pinged_at.take()
        {
            self.round_trip = Some(now.saturating_duration_since(pinged_at));
        }
    }

    /// Acts on the deadlines of this side. Whether the peer was silent for so long that the connection counts as idle.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        let mut is_idle = false;
        self.lifecycle.expire(now);
        if self.is_open() {
            match self.liveness.due(now) {
                Some(Due::Ping) => {
                    is_idle = true;
                    self.queue.release();
                    // While the previous one is not even written, another would ask nothing new.
                    if self.ping_backlog == 0 {
                        self.pings = self.pings.wrapping_add(1);
                        self.push_frame(OpCode::Ping, true, &self.pings.to_be_bytes());
                        self.ping_backlog = self.queue.len();
                        self.pinged_at = Some(now);
                    }
                    self.liveness.ping_sent(now);
                }
                Some(Due::Lost) => self.lifecycle.unresponsive(now),
                None => {}
            }
        }
        self.settle();
        is_idle
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let liveness = if self.is_open() { self.liveness.deadline() } else { None };
        [self.lifecycle.deadline(), liveness].into_iter().flatten().min()
    }

    /// Draws the consequences of a state that was entered or a queue that ran empty.
    fn settle(&mut self) {
        if self.queue.is_empty() {
            self.lifecycle.flushed();
        }
        if !self.lifecycle.state().writes() {
            self.queue.clear();
        }
    }

    fn end(&mut self, now: Instant, cause: Cause) {
        let now = self.lifecycle.clock(now);
        self.lifecycle.lost(now, cause);
        self.settle();
    }

    #[inline]
    fn send_message(&mut self, kind: MessageKind, payload: &[u8]) -> Result<(), SendError> {
        if self.compressor.is_some() {
            return self.send_compressed(kind, payload);
        }
        self.admit_message(payload.len())?;
        self.push(FrameHeader::new(kind.opcode(), true, None, payload.len() as u64), payload);
        Ok(())
    }

    fn send_compressed(&mut self, kind: MessageKind, payload: &[u8]) -> Result<(), SendError> {
        self.admit_message(compressed_bound(payload.len()))?;
        let compressed = match &mut self.compressor {
            Some(compressor) if compressor.wants(payload.len()) => compressor.compress(payload, true).ok(),
            _ => None,
        };
        match compressed {
            Some(compressed) => self.push_compressed(kind.opcode(), true, compressed),
            None => self.push_frame(kind.opcode(), true, payload),
        }
        Ok(())
    }

    fn send_control(&mut self, opcode: OpCode, payload: &[u8]) -> Result<(), SendError> {
        // A closed connection is told first: a shorter payload would not help.
        if self.is_open() && payload.len() > MAX_CONTROL_LEN {
            return Err(SendError::ControlTooLong);
        }
        self.admit(payload.len())?;
        self.push_frame(opcode, true, payload);
        Ok(())
    }

    #[inline]
    fn admit_message(&self, len: usize) -> Result<(), SendError> {
        self.admit(len)?;
        if self.fragmented.is_some() {
            return Err(SendError::MessageUnderWay);
        }
        Ok(())
    }

    /// Refuses what may not be sent now, or would pass the limit with the longest header.
    #[inline]
    fn admit(&self, len: usize) -> Result<(), SendError> {
        if !self.is_open() {
            return Err(SendError::Closed);
        }
        let queued = self.queue.len();
        let needed = queued.saturating_add(len).saturating_add(FrameHeader::MAX_LEN);
        if needed > self.max_queued {
            return Err(SendError::QueueFull { queued, limit: self.max_queued });
        }
        Ok(())
    }

    fn push_close(&mut self, frame: Option<CloseFrame<'_>>) {
        if let Some(pong) = self.held_pong.take() {
            self.push_frame(OpCode::Pong, true, &pong);
        }
        let mut body = Vec::new();
        if let Some(CloseFrame { code, reason }) = frame {
            body.extend_from_slice(&code.get().to_be_bytes());
            body.extend_from_slice(reason.as_bytes());
        }
        self.push_frame(OpCode::Close, true, &body);
    }

    fn push_frame(&mut self, opcode: OpCode, fin: bool, payload: &[u8]) {
        self.push(FrameHeader::new(opcode, fin, None, payload.len() as u64), payload);
    }

    /// RFC 7692 section 6: RSV1 marks the first frame of a compressed message, and no other.
    fn push_compressed(&mut self, opcode: OpCode, fin: bool, payload: Vec<u8>) {
        let header = FrameHeader::new(opcode, fin, None, payload.len() as u64);
        let reserved = if opcode == OpCode::Continuation { ReservedBits::NONE } else { ReservedBits::RSV1 };
        self.push(FrameHeader { reserved, ..header }, &payload);
        if let Some(compressor) = &mut self.compressor {
            compressor.reuse(payload);
        }
    }

    /// Where a message is sent the compiler knows most of its header.
    #[inline(always)]
    fn push(&mut self, header: FrameHeader, payload: &[u8]) {
        // RFC 6455 section 5.3: a fresh key for each frame, from a source that the peer cannot predict.
        let mask = self.masking.as_mut().map(|random| random.masking_key());
        self.queue.copy(&FrameHeader { mask, ..header }, payload);
    }
}

/// Never a payload, not even that of a Pong that is held back.
impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("lifecycle", &self.lifecycle)
            .field("queue", &self.queue)
            .field("liveness", &self.liveness)
            .field("fragmented", &self.fragmented)
            .field("pongs", &self.pongs)
            .finish_non_exhaustive()
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
