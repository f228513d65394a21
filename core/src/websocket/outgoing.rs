//! The sending side of a connection.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use super::compression::Compressor;
use super::control::ControlFrames;
use super::lifecycle::Lifecycle;
use super::queue::TransmitQueue;
use super::state::State;
use super::{Cause, Config, Event, MessageKind, Negotiated, ProtocolError, Role};
use crate::Instant;
use crate::frame::{CloseCode, CloseFrame, FrameHeader, OpCode, ReservedBits};
use crate::keep_alive::{Due, Liveness};
use crate::random::Random;

/// The sending side of a [`WebSocket`](super::WebSocket): its queue, its lifecycle and its keep-alive.
///
/// [`Sender`](super::Sender) has its commands.
pub(crate) struct Outgoing {
    pub(super) lifecycle: Lifecycle,
    pub(super) queue: TransmitQueue,
    pub(super) liveness: Liveness,
    /// The source of masking keys. A server has none, since it does not mask.
    pub(super) masking: Option<Box<Random>>,
    pub(super) compressor: Option<Box<Compressor>>,
    pub(super) max_queued: usize,
    /// The kind of the fragmented message under way, and whether it is compressed.
    pub(super) fragmented: Option<(MessageKind, bool)>,
    pub(super) control: ControlFrames,
}

impl Outgoing {
    pub(super) fn new(now: Instant, role: Role, config: &Config, negotiated: &Negotiated, seed: [u8; 32]) -> Self {
        Self {
            compressor: negotiated.compressor(role, config),
            lifecycle: Lifecycle::new(now, role, config.close_timeout),
            queue: TransmitQueue::default(),
            liveness: Liveness::new(now, config.keep_alive),
            masking: match role {
                Role::Client => Some(Box::new(Random::new(seed))),
                Role::Server => None,
            },
            max_queued: config.max_queued,
            fragmented: None,
            control: ControlFrames::default(),
        }
    }

    pub(crate) fn state(&self) -> State {
        self.lifecycle.state()
    }

    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.lifecycle.state() == State::Open
    }

    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn handle_lost(&mut self, now: Instant) {
        self.end(now, Cause::Lost);
    }

    pub(crate) fn handle_eof(&mut self, now: Instant) {
        let now = self.lifecycle.clock(now);
        self.lifecycle.eof(now);
        self.settle();
    }

    pub(crate) fn handle_traffic(&mut self, now: Instant) {
        let now = self.lifecycle.clock(now);
        self.liveness.bytes_arrived(now);
    }

    pub(crate) fn reading_paused(&mut self, now: Instant) {
        let now = self.lifecycle.clock(now);
        self.liveness.paused(now);
    }

    pub(crate) fn poll_transmit<'q>(&'q self, slices: &mut [&'q [u8]]) -> usize {
        self.queue.lend(slices)
    }

    pub(crate) fn transmitted(&mut self, now: Instant, len: usize) {
        let now = self.lifecycle.clock(now);
        let len = len.min(self.queue.len());
        self.queue.consume(len);
        self.liveness.bytes_left(now, len, self.queue.len());
        if len > 0 {
            self.lifecycle.bytes_left(now);
        }
        if self.control.ping_written(now, len) {
            self.liveness.ping_written(now);
        }
        if let Some(pong) = self.control.pongs_written(len) {
            self.answer_ping(&pong);
        }
        self.settle();
    }

    pub(crate) fn try_transmitted(&mut self, len: usize) -> bool {
        // The deadline of a closing handshake and the answer to a Ping depend on the time.
        let is_known =
            self.is_open() && len == self.queue.len() && !self.control.is_queued() && self.liveness.try_bytes_left(len);
        if is_known {
            self.queue.consume(len);
        }
        is_known
    }

    pub(crate) fn poll_shutdown(&self) -> bool {
        self.state() == State::ShuttingDown
    }

    pub(crate) fn shutdown_done(&mut self) {
        self.lifecycle.shut_down();
    }

    pub(crate) fn release_memory(&mut self) {
        self.queue.release();
        if self.fragmented.is_none()
            && let Some(compressor) = &mut self.compressor
        {
            compressor.release_memory();
        }
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event<'static>> {
        self.lifecycle.take_closed().map(Event::Closed)
    }

    pub(crate) fn queue_raw(&mut self, bytes: Vec<u8>) {
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

    /// Answers the peer's Close frame, unless our Close frame is already queued or sent.
    pub(super) fn answer_close(&mut self, now: Instant, frame: Option<CloseFrame<'_>>) {
        if self.is_open() {
            // RFC 6455 section 5.5.1: the answer typically echoes the code. It does not repeat the reason.
            self.push_close(frame.map(|frame| CloseFrame { reason: "", ..frame }));
        }
        self.lifecycle.peer_closed(now, frame.map_or(CloseCode::NO_STATUS, |frame| frame.code));
        self.settle();
    }

    /// RFC 6455 section 5.5.2: a Ping is answered with a Pong of the same payload, unless a Close frame was received.
    /// After our own Close frame nothing may be sent (section 5.5.1).
    pub(super) fn answer_ping(&mut self, payload: &[u8]) {
        if self.is_open() && self.control.admit_pong(payload) {
            self.push_frame(OpCode::Pong, true, payload);
            self.control.pong_queued(self.queue.len());
        }
    }

    pub(super) fn pong_received(&mut self, now: Instant, payload: &[u8]) {
        self.liveness.pong_received();
        self.control.pong_received(now, payload);
    }

    /// Acts on the deadlines of this side. Returns whether the peer was silent for so long that the connection counts as
    /// idle.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        let mut is_idle = false;
        self.lifecycle.expire(now);
        if self.is_open() {
            match self.liveness.due(now) {
                Some(Due::Ping) => {
                    is_idle = true;
                    self.queue.release();
                    if let Some(payload) = self.control.next_ping() {
                        self.push_frame(OpCode::Ping, true, &payload);
                        self.control.ping_queued(self.queue.len());
                    }
                    self.liveness.ping_queued(now);
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

    /// Updates the state if the queue is empty, and clears the queue if the state no longer writes.
    fn settle(&mut self) {
        if self.queue.is_empty() {
            self.lifecycle.flushed();
        }
        if !self.lifecycle.state().writes() {
            self.queue.clear();
        }
    }

    pub(super) fn end(&mut self, now: Instant, cause: Cause) {
        let now = self.lifecycle.clock(now);
        self.lifecycle.lost(now, cause);
        self.settle();
    }

    pub(super) fn push_close(&mut self, frame: Option<CloseFrame<'_>>) {
        if let Some(pong) = self.control.take_held_pong() {
            self.push_frame(OpCode::Pong, true, &pong);
        }
        let mut body = Vec::new();
        if let Some(CloseFrame { code, reason }) = frame {
            body.extend_from_slice(&code.get().to_be_bytes());
            body.extend_from_slice(reason.as_bytes());
        }
        self.push_frame(OpCode::Close, true, &body);
    }

    pub(super) fn push_frame(&mut self, opcode: OpCode, fin: bool, payload: &[u8]) {
        self.push(FrameHeader::new(opcode, fin, None, payload.len() as u64), payload);
    }

    /// RFC 7692 section 6: RSV1 marks the first frame of a compressed message, and no other.
    pub(super) fn push_compressed(&mut self, opcode: OpCode, fin: bool, payload: Vec<u8>) {
        let header = FrameHeader::new(opcode, fin, None, payload.len() as u64);
        let reserved = if opcode == OpCode::Continuation { ReservedBits::NONE } else { ReservedBits::RSV1 };
        self.push(FrameHeader { reserved, ..header }, &payload);
        if let Some(compressor) = &mut self.compressor {
            compressor.reuse(payload);
        }
    }

    /// Inlined, since the caller passes most of the header as constants.
    #[inline(always)]
    pub(super) fn push(&mut self, header: FrameHeader, payload: &[u8]) {
        let mask = self.masking_key();
        self.queue.copy(&FrameHeader { mask, ..header }, payload);
    }

    /// RFC 6455 section 5.3: a fresh key for each frame, from a source that the peer cannot predict.
    #[inline]
    pub(super) fn masking_key(&mut self) -> Option<[u8; 4]> {
        self.masking.as_mut().map(|random| random.masking_key())
    }
}

/// The output omits all payloads, also that of a Pong that is held back.
impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("lifecycle", &self.lifecycle)
            .field("queue", &self.queue)
            .field("liveness", &self.liveness)
            .field("fragmented", &self.fragmented)
            .field("pongs", &self.control.pongs())
            .finish_non_exhaustive()
    }
}
