//! Where the payload of an event lies.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::Event;
use super::binary_buffer::BinaryBuffer;
use crate::frame::{CloseCode, CloseFrame, from_utf8};

/// An event and where its payload lies: in the input, or in a buffer of [`Incoming`].
///
/// It borrows nothing from the connection, so that a loop can inspect it and continue. [`Incoming::lend`] converts it to
/// an [`Event`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Decoded<'x> {
    Text(&'x str),
    Binary(&'x [u8]),
    Ping(&'x [u8]),
    Pong(&'x [u8]),
    Close(Option<CloseFrame<'x>>),
    KeptText,
    KeptBinary,
    KeptPing,
    KeptPong,
    /// A Close frame with this code. Its reason starts at the third byte of the control buffer.
    KeptClose(CloseCode),
}

impl<'x> Decoded<'x> {
    /// The event. Its payload lies in the input or in one of these buffers.
    #[inline]
    pub(super) fn event<'e>(self, text: &'e str, binary: &'e [u8], control: &'e [u8]) -> Event<'e>
    where
        'x: 'e,
    {
        match self {
            Self::Text(text) => Event::Text(text),
            Self::Binary(payload) => Event::Binary(payload),
            Self::Ping(payload) => Event::Ping(payload),
            Self::Pong(payload) => Event::Pong(payload),
            Self::Close(frame) => Event::Close(frame),
            Self::KeptText => Event::Text(text),
            Self::KeptBinary => Event::Binary(binary),
            Self::KeptPing => Event::Ping(control),
            Self::KeptPong => Event::Pong(control),
            Self::KeptClose(code) => {
                let reason = control.get(2..).and_then(|reason| from_utf8(reason).ok()).unwrap_or_default();
                Event::Close(Some(CloseFrame { code, reason }))
            }
        }
    }
}

/// A buffer for messages that did not lie whole in the input, for
/// [`WebSocket::handle_input_apart`](super::WebSocket::handle_input_apart). It has no state other than its memory.
#[derive(Default)]
pub struct MessageBuffer {
    pub(super) text: String,
    pub(super) binary: BinaryBuffer,
    pub(super) control: Vec<u8>,
}

/// The output omits the payloads.
impl fmt::Debug for MessageBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let capacity = self.text.capacity() + self.binary.capacity() + self.control.capacity();
        f.debug_struct("MessageBuffer").field("capacity", &capacity).finish()
    }
}
