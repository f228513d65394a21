//! Helpers for a `WebSocket` whose events outlive its buffers.

use multiwa_ws_core::Instant;
use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::websocket::{Config, Event, ProtocolError, Role, WebSocket};

use crate::reference::{self, Delivered, Kind, Outcome, ParseOptions, Parsed};

/// An [`Event`] that owns its payload, or the error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    Failed(ProtocolError),
}

impl Heard {
    pub(super) fn is_message(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Binary(_))
    }
}

/// The result of the reference parser, for a connection without compression.
impl From<Delivered> for Heard {
    fn from(delivered: Delivered) -> Self {
        match delivered {
            Delivered::Message { kind, data, .. } => message(kind, data),
            Delivered::Ping(payload) => Self::Ping(payload),
            Delivered::Pong(payload) => Self::Pong(payload),
        }
    }
}

/// A message, whose text must be UTF-8.
pub(super) fn message(kind: Kind, data: Vec<u8>) -> Heard {
    match kind {
        Kind::Text => Heard::Text(String::from_utf8(data).unwrap_or_else(|error| panic!("{error}"))),
        Kind::Binary => Heard::Binary(data),
    }
}

/// Limits that no input reaches, and no keep-alive.
pub(super) fn without_limits() -> Config {
    Config::new().max_message_len(usize::MAX).max_frame_len(u64::MAX).max_fragments(u32::MAX).keep_alive(KeepAlive::OFF)
}

/// The role whose peer is `role`.
pub(super) fn opposite(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

/// `role` as a sender of the reference parser.
pub(super) fn sender(role: Role) -> reference::Role {
    match role {
        Role::Client => reference::Role::Client,
        Role::Server => reference::Role::Server,
    }
}

/// All events that `bytes` cause, up to the first error.
pub(super) fn hear(ws: &mut WebSocket, now: Instant, bytes: &[u8]) -> Vec<Heard> {
    let mut bytes = bytes.to_vec();
    let mut input = bytes.as_mut_slice();
    let mut heard = Vec::new();
    loop {
        match ws.handle_input(now, &mut input) {
            Ok(Some(received)) => heard.push(match received.event {
                Event::Text(text) => Heard::Text(text.into()),
                Event::Binary(payload) => Heard::Binary(payload.into()),
                Event::Ping(payload) => Heard::Ping(payload.into()),
                Event::Pong(payload) => Heard::Pong(payload.into()),
                Event::Close(None) => Heard::Close(None, String::new()),
                Event::Close(Some(frame)) => Heard::Close(Some(frame.code.get()), frame.reason.into()),
                Event::Closed(closed) => panic!("{closed:?} came from bytes"),
            }),
            Ok(None) => {
                assert!(input.is_empty(), "{} bytes were left", input.len());
                return heard;
            }
            Err(error) => {
                heard.push(Heard::Failed(error));
                return heard;
            }
        }
    }
}

/// Takes up to `max` of the bytes in the queue.
pub(super) fn transmit(ws: &mut WebSocket, now: Instant, max: usize) -> Vec<u8> {
    let mut slices = [&[][..]; 3];
    let filled = ws.poll_transmit(&mut slices);
    let mut bytes = slices[..filled].concat();
    bytes.truncate(max);
    ws.transmitted(now, bytes.len());
    bytes
}

/// Takes all bytes in the queue.
pub(super) fn drain(ws: &mut WebSocket, now: Instant) -> Vec<u8> {
    let mut drained = Vec::new();
    loop {
        let bytes = transmit(ws, now, usize::MAX);
        if bytes.is_empty() {
            return drained;
        }
        drained.extend(bytes);
    }
}

/// Parses the bytes that `role` has sent. They must break no rule, and nothing may follow a Close frame (RFC 6455
/// section 5.5.1).
pub(super) fn check_output(role: Role, wire: &[u8], options: ParseOptions) -> Parsed {
    let parsed = reference::parse(sender(role), wire, options);
    match &parsed.outcome {
        Outcome::Violation { rule, proven_by } => panic!("{role:?} broke {rule:?} at byte {proven_by}: {wire:02x?}"),
        Outcome::Closed { .. } => assert_eq!(parsed.consumed, wire.len(), "bytes after a Close frame: {wire:02x?}"),
        Outcome::Incomplete => {}
    }
    parsed
}

/// Whether `bytes` begin with a complete frame, valid or not (RFC 6455 section 5.2).
pub(super) fn begins_with_whole_frame(bytes: &[u8]) -> bool {
    let field = |at: usize, len: usize| {
        let bytes = bytes.get(at..at + len)?;
        Some(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    };
    let Some(second) = bytes.get(1) else { return false };
    let (payload, header) = match second & 0x7F {
        126 => (field(2, 2), 4),
        127 => (field(2, 8), 10),
        length => (Some(u64::from(length)), 2),
    };
    let header = if second & 0x80 == 0 { header } else { header + 4 };
    payload.is_some_and(|payload| payload.saturating_add(header) <= bytes.len() as u64)
}
