//! A message that owns its payload.

use bytes::Bytes;
use multiwa_ws_core::websocket::{self as core, Event, SendError, Sender};

/// A whole message that owns its payload, for the `Stream` and `Sink` of a connection.
///
/// There are only text and binary messages. The connection answers pings and the Close frame itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(String),
    /// A binary message. Clones of it share its bytes.
    Binary(Bytes),
}

impl Message {
    /// Copies the message of `event`. `None` for events that are not messages.
    pub(super) fn of(event: Event<'_>) -> Option<Self> {
        match event {
            Event::Text(text) => Some(text.into()),
            Event::Binary(payload) => Some(Bytes::copy_from_slice(payload).into()),
            _ => None,
        }
    }

    /// The number of bytes of the payload.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(payload) => payload.len(),
        }
    }

    pub(super) fn queue(&self, sender: &mut Sender<'_>) -> Result<(), SendError> {
        match self {
            Self::Text(text) => sender.send_text(text),
            Self::Binary(payload) => sender.send_binary(payload),
        }
    }

    pub(super) fn lend(&self) -> core::Message<'_> {
        match self {
            Self::Text(text) => core::Message::Text(text),
            Self::Binary(payload) => core::Message::Binary(payload),
        }
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Bytes> for Message {
    fn from(payload: Bytes) -> Self {
        Self::Binary(payload)
    }
}

impl From<Vec<u8>> for Message {
    fn from(payload: Vec<u8>) -> Self {
        Self::Binary(payload.into())
    }
}
