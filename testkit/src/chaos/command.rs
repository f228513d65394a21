//! The commands that an application can give to one end of a connection, and the correct answers.

use std::fmt;

use multiwa_ws_core::Instant;
use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::websocket::{Message, MessageKind, SendError, Sender, SharedMessage, State};

use super::ledger::{Ledger, Limits};
use super::{Snapshot, draw};
use crate::contract::{ContractViolation, ensure};
use crate::random::Random;

/// One command with its arguments, valid or invalid.
pub(super) enum Command {
    Whole(MessageKind, Vec<u8>),
    Uncompressed(MessageKind, Vec<u8>),
    Shared(MessageKind, Vec<u8>),
    Fragment(MessageKind, Vec<u8>, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// Closes with this code, and with a reason of this many bytes.
    Close(u16, usize),
}

impl Command {
    pub(super) fn draw(random: &mut Random, ledger: &Ledger) -> Self {
        let kind = random.pick([MessageKind::Text, MessageKind::Binary]);
        let length = draw::length(random);
        let payload = match kind {
            MessageKind::Text => draw::text(random, length).into_bytes(),
            MessageKind::Binary => draw::bytes(random, length),
        };
        match random.up_to(999) {
            0..=299 => Self::Whole(kind, payload),
            300..=399 => Self::Uncompressed(kind, payload),
            400..=549 => Self::Shared(kind, payload),
            // Usually a fragment of the same kind as the unfinished message.
            550..=799 => match ledger.under_way() {
                Some(MessageKind::Binary) if random.happens(900_000) => {
                    Self::Fragment(MessageKind::Binary, payload, random.happens(300_000))
                }
                Some(MessageKind::Text) if random.happens(900_000) => {
                    let text = draw::text(random, length).into_bytes();
                    Self::Fragment(MessageKind::Text, text, random.happens(300_000))
                }
                _ => Self::Fragment(kind, payload, random.happens(300_000)),
            },
            // The length distinguishes them from the pings of keep-alive. The random part makes each one unique.
            800..=899 => Self::Ping(draw::bytes(random, 5 + length.min(130))),
            900..=989 => Self::Pong(draw::bytes(random, 5 + length.min(130))),
            _ => Self::Close(random.pick([1000, 1000, 1001, 1005, 1012, 3000, 4999, 5000]), random.pick([0, 123, 124])),
        }
    }

    pub(super) fn give(&self, now: Instant, out: &mut Sender<'_>) -> Result<(), SendError> {
        match self {
            Self::Whole(MessageKind::Text, payload) => out.send_text(&text(payload)),
            Self::Whole(MessageKind::Binary, payload) => out.send_binary(payload),
            Self::Uncompressed(MessageKind::Text, payload) => out.send_uncompressed(Message::Text(&text(payload))),
            Self::Uncompressed(MessageKind::Binary, payload) => out.send_uncompressed(Message::Binary(payload)),
            Self::Shared(MessageKind::Text, payload) => {
                out.send_shared(&SharedMessage::text(&text(payload)).compressed(1))
            }
            Self::Shared(MessageKind::Binary, payload) => {
                out.send_shared(&SharedMessage::from_bytes(payload.clone().into()))
            }
            Self::Fragment(MessageKind::Text, payload, end) => out.send_fragment(Message::Text(&text(payload)), *end),
            Self::Fragment(MessageKind::Binary, payload, end) => out.send_fragment(Message::Binary(payload), *end),
            Self::Ping(payload) => out.ping(payload),
            Self::Pong(payload) => out.pong(payload),
            Self::Close(code, reason) => out.close(now, CloseCode::new(*code), &"r".repeat(*reason)),
        }
    }

    /// Whether `result` is the correct answer of an end in the state `before`, with `under_way` as its unfinished
    /// message.
    pub(super) fn check(
        &self,
        before: Snapshot,
        under_way: Option<MessageKind>,
        limits: &Limits,
        result: Result<(), SendError>,
    ) -> Result<(), ContractViolation> {
        let expected = self.expected(before, under_way, limits);
        // The length of a compressed message is known only after compression.
        let is_full = |result| matches!(result, Err(SendError::QueueFull { .. }));
        let either = limits.compresses && (is_full(result) || is_full(expected));
        ensure(result == expected || either, || format!("{self} gave {result:?}, not {expected:?}"))
    }

    fn expected(&self, before: Snapshot, under_way: Option<MessageKind>, limits: &Limits) -> Result<(), SendError> {
        if before.state != State::Open {
            return Err(SendError::Closed);
        }
        match self {
            Self::Close(code, _) if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) => {
                return Err(SendError::CloseCode);
            }
            Self::Close(_, 124..) => return Err(SendError::ReasonTooLong),
            Self::Close(..) => return Ok(()),
            Self::Ping(payload) | Self::Pong(payload) if payload.len() > 125 => return Err(SendError::ControlTooLong),
            _ => {}
        }
        let limit = limits.config.get_max_queued();
        if before.queued + self.payload().len() + 14 > limit {
            return Err(SendError::QueueFull { queued: before.queued, limit });
        }
        match (self, under_way) {
            (Self::Whole(..) | Self::Uncompressed(..) | Self::Shared(..), Some(_)) => Err(SendError::MessageUnderWay),
            (Self::Fragment(kind, ..), Some(under_way)) if *kind != under_way => Err(SendError::KindMismatch),
            _ => Ok(()),
        }
    }

    /// Adds the events that the other end must receive to the ledger.
    pub(super) fn enter(&self, ledger: &mut Ledger) {
        match self {
            Self::Whole(kind, payload) | Self::Uncompressed(kind, payload) | Self::Shared(kind, payload) => {
                ledger.message(*kind, payload);
            }
            Self::Fragment(kind, payload, end) => ledger.fragment(*kind, payload, *end),
            Self::Ping(payload) => ledger.ping(payload),
            Self::Pong(payload) => ledger.pong(payload),
            Self::Close(..) => {}
        }
    }

    fn payload(&self) -> &[u8] {
        match self {
            Self::Whole(_, payload)
            | Self::Uncompressed(_, payload)
            | Self::Shared(_, payload)
            | Self::Fragment(_, payload, _)
            | Self::Ping(payload)
            | Self::Pong(payload) => payload,
            Self::Close(..) => &[],
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.payload().len();
        match self {
            Self::Whole(kind, _) => write!(f, "sends {kind:?} of {len}"),
            Self::Uncompressed(kind, _) => write!(f, "sends {kind:?} of {len} uncompressed"),
            Self::Shared(kind, _) => write!(f, "sends shared {kind:?} of {len}"),
            Self::Fragment(kind, _, end) => write!(f, "sends fragment of {kind:?} of {len}, end {end}"),
            Self::Ping(_) => write!(f, "pings with {len}"),
            Self::Pong(_) => write!(f, "pongs with {len}"),
            Self::Close(code, reason) => write!(f, "closes with {code} and a reason of {reason}"),
        }
    }
}

/// The payload of a text message, as text.
fn text(payload: &[u8]) -> String {
    String::from_utf8_lossy(payload).into_owned()
}
