//! One message for many connections.

use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

#[cfg(feature = "deflate")]
use super::compression::compress_alone;
#[cfg(feature = "deflate")]
use crate::frame::ReservedBits;
use crate::frame::{FrameHeader, OpCode};

/// The kind of a message (RFC 6455 section 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// UTF-8 text.
    Text,
    /// Any bytes.
    Binary,
}

impl MessageKind {
    pub(crate) const fn opcode(self) -> OpCode {
        match self {
            Self::Text => OpCode::Text,
            Self::Binary => OpCode::Binary,
        }
    }
}

/// A message that is framed once and queued on any number of connections by reference.
///
/// A clone refers to the same bytes. A server queues a reference to them. It copies only a message that is shorter than the
/// reference, and one that it compresses for a single connection. A client copies each message, since each of its frames
/// has its own masking key (RFC 6455 section 5.3).
///
/// ```
/// use multiwa_ws_core::websocket::SharedMessage;
///
/// let message = SharedMessage::text(r#"{"type":"event"}"#);
/// assert_eq!(message.len(), 16);
/// ```
#[derive(Clone)]
pub struct SharedMessage {
    kind: MessageKind,
    /// The header of an unmasked frame and, when the payload was copied here, the payload.
    head: Bytes,
    /// The payload when it lies in the caller's buffer.
    tail: Bytes,
    header_len: usize,
    /// The frame with the payload compressed by itself.
    compressed: Option<Bytes>,
}

impl SharedMessage {
    /// A text message, copied once.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::copied(MessageKind::Text, text.as_bytes())
    }

    /// A binary message, copied once.
    #[must_use]
    pub fn binary(payload: &[u8]) -> Self {
        Self::copied(MessageKind::Binary, payload)
    }

    /// A binary message that lies in the caller's buffer, which is never copied.
    #[must_use]
    pub fn from_bytes(payload: Bytes) -> Self {
        let mut header = [0; FrameHeader::MAX_LEN];
        let header = frame_header(MessageKind::Binary, payload.len()).encode(&mut header);
        Self {
            kind: MessageKind::Binary,
            header_len: header.len(),
            head: Bytes::copy_from_slice(header),
            tail: payload,
            compressed: None,
        }
    }

    /// Adds a compressed form to the message. It is made once for all connections that negotiated `permessage-deflate`
    /// without context takeover and with the full window. Any other connection compresses the message itself or sends it
    /// uncompressed.
    ///
    /// `level` has the meaning of [`Compression::level`](super::Compression::level).
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn compressed(mut self, level: u8) -> Self {
        self.compressed = compress_alone(self.payload(), level).ok().map(|payload| {
            let header = FrameHeader { reserved: ReservedBits::RSV1, ..frame_header(self.kind, payload.len()) };
            frame(&header, &payload)
        });
        self
    }

    /// Text or binary.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// The length of the payload in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.head.len() - self.header_len + self.tail.len()
    }

    /// Whether the payload is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        match self.head.get(self.header_len..) {
            Some(payload) if !payload.is_empty() => payload,
            _ => &self.tail,
        }
    }

    /// The unmasked frame, in order.
    pub(super) fn frame(&self) -> [&Bytes; 2] {
        [&self.head, &self.tail]
    }

    /// The unmasked frame with a compressed payload.
    pub(super) fn compressed_frame(&self) -> Option<&Bytes> {
        self.compressed.as_ref()
    }

    fn copied(kind: MessageKind, payload: &[u8]) -> Self {
        let head = frame(&frame_header(kind, payload.len()), payload);
        Self { kind, header_len: head.len() - payload.len(), head, tail: Bytes::new(), compressed: None }
    }
}

/// Two messages are equal when kind and payload are equal, also when the payloads lie in different kinds of buffers.
impl PartialEq for SharedMessage {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.payload() == other.payload()
    }
}

impl Eq for SharedMessage {}

impl fmt::Debug for SharedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedMessage").field("kind", &self.kind).field("len", &self.len()).finish()
    }
}

fn frame(header: &FrameHeader, payload: &[u8]) -> Bytes {
    let mut buffer = [0; FrameHeader::MAX_LEN];
    let header = header.encode(&mut buffer);
    let mut frame = Vec::with_capacity(header.len() + payload.len());
    frame.extend_from_slice(header);
    frame.extend_from_slice(payload);
    frame.into()
}

fn frame_header(kind: MessageKind, len: usize) -> FrameHeader {
    FrameHeader::new(kind.opcode(), true, None, len as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_the_same_wherever_it_lies() {
        let payload = Bytes::from_static(&[5; 300]);
        let lent = SharedMessage::from_bytes(payload.clone());
        let copied = SharedMessage::binary(&payload);
        assert_eq!(lent.frame().map(|bytes| &bytes[..]).concat(), copied.frame().map(|bytes| &bytes[..]).concat());
        assert_eq!((lent.payload(), copied.payload()), (&payload[..], &payload[..]));
        assert_eq!(lent.payload().as_ptr(), payload.as_ptr());
        assert!(SharedMessage::text("").is_empty() && SharedMessage::text("").payload().is_empty());
    }
}
