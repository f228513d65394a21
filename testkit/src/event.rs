//! The events of a [`WebSocket`], copied out of the buffers they borrow from.
#![expect(clippy::panic, reason = "the verdict of a harness is a panic")]

use multiwa_ws_core::Instant;
use multiwa_ws_core::websocket::{Event, ProtocolError, WebSocket};

use crate::reference::{Delivered, Kind};

/// An [`Event`] that owns its payload, or the error in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedEvent {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A Ping.
    Ping(Vec<u8>),
    /// A Pong.
    Pong(Vec<u8>),
    /// The peer's Close frame, with its code and reason.
    Close(Option<(u16, String)>),
    /// The peer broke a rule.
    Failed(ProtocolError),
}

impl OwnedEvent {
    /// A text message.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// A Close frame with a code.
    #[must_use]
    pub fn close(code: u16, reason: &str) -> Self {
        Self::Close(Some((code, reason.into())))
    }

    /// A message, whose text must be UTF-8.
    #[must_use]
    pub fn message(kind: Kind, data: Vec<u8>) -> Self {
        match kind {
            Kind::Text => Self::Text(String::from_utf8(data).unwrap_or_else(|error| panic!("{error}"))),
            Kind::Binary => Self::Binary(data),
        }
    }

    /// Whether it is a text or a binary message.
    #[must_use]
    pub fn is_message(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Binary(_))
    }
}

/// An event of `handle_input`, which never returns [`Event::Closed`].
impl From<Event<'_>> for OwnedEvent {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Text(text) => Self::Text(text.into()),
            Event::Binary(payload) => Self::Binary(payload.into()),
            Event::Ping(payload) => Self::Ping(payload.into()),
            Event::Pong(payload) => Self::Pong(payload.into()),
            Event::Close(frame) => Self::Close(frame.map(|frame| (frame.code.get(), frame.reason.into()))),
            Event::Closed(closed) => panic!("{closed:?} came from handle_input"),
        }
    }
}

/// The result of the reference parser, for a message that is not compressed.
impl From<Delivered> for OwnedEvent {
    fn from(delivered: Delivered) -> Self {
        match delivered {
            Delivered::Message { kind, data, .. } => Self::message(kind, data),
            Delivered::Ping(payload) => Self::Ping(payload),
            Delivered::Pong(payload) => Self::Pong(payload),
        }
    }
}

/// Like [`receive`], but byte by byte, except for the bytes that `ws` has room for: these are read to their place.
///
/// # Panics
/// The room is empty, or some of the bytes were not taken.
#[must_use]
pub fn receive_in_place(ws: &mut WebSocket, now: Instant, bytes: &[u8]) -> Vec<OwnedEvent> {
    let mut rest = bytes;
    let mut events = receive(ws, now, &[]);
    while !rest.is_empty() && !matches!(events.last(), Some(OwnedEvent::Failed(_))) {
        let piece: &[u8] = match ws.room() {
            Some(mut room) => {
                assert!(room.size() > 0, "an empty room");
                let (placed, after) = rest.split_at(room.size().min(rest.len()));
                rest = after;
                for (to, from) in room.buffer().iter_mut().zip(placed) {
                    *to = *from;
                }
                room.filled(now, placed.len());
                &[]
            }
            None => {
                let (piece, after) = rest.split_at(1);
                rest = after;
                piece
            }
        };
        events.extend(receive(ws, now, piece));
    }
    events
}

/// Passes `bytes` to `ws` in one piece, and returns the events. An error ends the list.
///
/// # Panics
/// Some of the bytes were not taken.
#[must_use]
pub fn receive(ws: &mut WebSocket, now: Instant, bytes: &[u8]) -> Vec<OwnedEvent> {
    let mut bytes = bytes.to_vec();
    let mut input = bytes.as_mut_slice();
    let mut events = Vec::new();
    loop {
        match ws.handle_input(now, &mut input) {
            Ok(Some(received)) => events.push(received.event.into()),
            Ok(None) => break,
            Err(error) => {
                events.push(OwnedEvent::Failed(error));
                break;
            }
        }
    }
    assert!(input.is_empty(), "{} bytes were left", input.len());
    events
}
