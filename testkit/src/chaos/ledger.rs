//! Compares the messages that one end of a connection sent with those that the other end received.

use std::collections::VecDeque;

use multiwa_ws_core::frame::FrameError;
use multiwa_ws_core::websocket::{Config, MessageKind, ProtocolError};

use crate::contract::{ContractViolation, ensure};
use crate::event::OwnedEvent;

/// The messages, Pings and Pongs that one end was asked to send, ordered by when they were complete.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    expected: VecDeque<Sent>,
    under_way: Option<Partial>,
    /// Pings that the other end must still answer, in order.
    pings: VecDeque<Vec<u8>>,
}

#[derive(Debug)]
struct Sent {
    event: OwnedEvent,
    frames: Frames,
}

/// The frames of a message, as far as they matter for the limits of the receiver.
#[derive(Clone, Copy, Debug, Default)]
struct Frames {
    len: usize,
    count: u32,
    longest: usize,
}

#[derive(Debug)]
struct Partial {
    kind: MessageKind,
    payload: Vec<u8>,
    frames: Frames,
}

impl Ledger {
    /// A complete message was sent in one frame.
    pub(super) fn message(&mut self, kind: MessageKind, payload: &[u8]) {
        let len = payload.len();
        self.expect(owned(kind, payload.to_vec()), Frames { len, count: 1, longest: len });
    }

    /// A fragment was sent.
    pub(super) fn fragment(&mut self, kind: MessageKind, payload: &[u8], end: bool) {
        let message = self.under_way.get_or_insert(Partial { kind, payload: Vec::new(), frames: Frames::default() });
        message.payload.extend_from_slice(payload);
        message.frames.len = message.payload.len();
        message.frames.count += 1;
        message.frames.longest = message.frames.longest.max(payload.len());
        if end && let Some(Partial { kind, payload, frames }) = self.under_way.take() {
            self.expect(owned(kind, payload), frames);
        }
    }

    pub(super) fn ping(&mut self, payload: &[u8]) {
        self.pings.push_back(payload.to_vec());
        self.expect(OwnedEvent::Ping(payload.to_vec()), Frames::default());
    }

    pub(super) fn pong(&mut self, payload: &[u8]) {
        self.expect(OwnedEvent::Pong(payload.to_vec()), Frames::default());
    }

    /// The kind of the unfinished message.
    pub(super) fn under_way(&self) -> Option<MessageKind> {
        self.under_way.as_ref().map(|message| message.kind)
    }

    /// Whether everything that was sent was received, except for an unfinished message.
    pub(super) fn is_settled(&self) -> bool {
        self.expected.is_empty()
    }

    /// The other end, whose limits are `limits`, received `event`. `answers` is the ledger of the messages that the
    /// other end sent, unless they were damaged on the way. `pings` says whether this end sends pings on its own.
    pub(super) fn receive(
        &mut self,
        event: &OwnedEvent,
        limits: &Limits,
        answers: Option<&mut Self>,
        pings: bool,
    ) -> Result<(), ContractViolation> {
        if self.expected.front().is_some_and(|sent| sent.event == *event) {
            let frames = self.expected.pop_front().map(|sent| sent.frames).unwrap_or_default();
            return ensure(limits.broken_by(frames).is_none(), || {
                format!("received a message that breaks {:?}", limits.broken_by(frames))
            });
        }
        match event {
            // The payload is a number that keep-alive increments.
            OwnedEvent::Ping(payload) if pings && payload.len() == 4 => Ok(()),
            OwnedEvent::Pong(payload) => answers.map_or(Ok(()), |answers| answers.answered(payload)),
            OwnedEvent::Close(_) => Ok(()),
            _ => Err(ContractViolation(format!("received {event:?} in place of {:?}", self.expected.front()))),
        }
    }

    /// The other end, whose limits are `limits`, reports that this end broke a rule. Since it broke none, it must have
    /// exceeded a limit.
    pub(super) fn check_error(&self, error: ProtocolError, limits: &Limits) -> Result<(), ContractViolation> {
        let sent = self.expected.iter().map(|sent| sent.frames).find(|frames| frames.count > 0);
        let frames = sent.or(self.under_way.as_ref().map(|message| message.frames)).unwrap_or_default();
        let expected = match error {
            ProtocolError::MessageTimeout => limits.config.get_message_timeout().is_some(),
            error => limits.allow(error, frames),
        };
        ensure(expected, || format!("reported {error:?} after {frames:?}"))
    }

    /// Pings are answered in order. One answer can also answer the pings before it.
    fn answered(&mut self, payload: &[u8]) -> Result<(), ContractViolation> {
        if let Some(position) = self.pings.iter().position(|ping| ping == payload) {
            self.pings.drain(..=position);
            return Ok(());
        }
        // It answers a ping of keep-alive.
        ensure(payload.len() == 4, || format!("a Pong with {payload:?} answers no Ping"))
    }

    fn expect(&mut self, event: OwnedEvent, frames: Frames) {
        self.expected.push_back(Sent { event, frames });
    }
}

/// The limits of a receiver.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) config: Config,
    /// The length of compressed frames differs from the length of the sent data.
    pub(super) compresses: bool,
}

impl Limits {
    /// The limit that such a message certainly exceeds.
    fn broken_by(&self, frames: Frames) -> Option<ProtocolError> {
        let longest = u64::try_from(frames.longest).unwrap_or(u64::MAX);
        if frames.len > self.config.get_max_message_len() {
            return Some(ProtocolError::MessageTooLarge);
        }
        if frames.count > self.config.get_max_fragments().max(1) {
            return Some(ProtocolError::TooManyFragments);
        }
        (!self.compresses && longest > self.config.get_max_frame_len())
            .then_some(ProtocolError::Frame(FrameError::TooLarge))
    }

    /// Whether the message may be refused with `error`.
    fn allow(&self, error: ProtocolError, frames: Frames) -> bool {
        // Data that does not compress gets a little longer.
        let slack = if self.compresses { 64 + frames.longest / 100 } else { 0 };
        let longest = u64::try_from(frames.longest + slack).unwrap_or(u64::MAX);
        match error {
            ProtocolError::MessageTooLarge => frames.len > self.config.get_max_message_len(),
            ProtocolError::TooManyFragments => frames.count > self.config.get_max_fragments().max(1),
            ProtocolError::Frame(FrameError::TooLarge) => longest > self.config.get_max_frame_len(),
            _ => false,
        }
    }
}

fn owned(kind: MessageKind, payload: Vec<u8>) -> OwnedEvent {
    match kind {
        MessageKind::Text => OwnedEvent::Text(String::from_utf8_lossy(&payload).into_owned()),
        MessageKind::Binary => OwnedEvent::Binary(payload),
    }
}
