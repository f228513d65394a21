//! Large binary messages that are read straight to their place.

use core::fmt;

use super::{Incoming, Outgoing};
use crate::Instant;

/// The most bytes of one read. What was read is unmasked while it is in the second cache.
const MOST: usize = 128 << 10;

/// The place of the next bytes of a large binary message. [`WebSocket::room`](super::WebSocket::room) lends it.
///
/// Read from the transport into [`buffer`](Self::buffer), and call [`filled`](Self::filled) with the number of bytes that
/// were read. So they are never copied. After an error, after a read that returned nothing, or after a read that was
/// canceled, drop it: nothing has changed.
pub struct Room<'r> {
    recv: &'r mut Incoming,
    out: &'r mut Outgoing,
    /// How far the buffer of the message can be filled, and how far one read fills it.
    room: usize,
    len: usize,
}

impl<'r> Room<'r> {
    pub(super) fn new(recv: &'r mut Incoming, out: &'r mut Outgoing) -> Option<Self> {
        let room = recv.room(out)?;
        Some(Self { recv, out, room, len: room.min(MOST) })
    }

    /// The length of [`buffer`](Self::buffer) in bytes. It is never zero. A caller can use an ordinary read instead if the
    /// room is too small to be worth a read of its own.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.len
    }

    /// The memory to read into. Its content has no meaning.
    pub fn buffer(&mut self) -> &mut [u8] {
        self.recv.place(self.room, self.len)
    }

    /// The first `len` bytes of [`buffer`](Self::buffer) were read from the transport. Call
    /// [`handle_input`](super::WebSocket::handle_input) next, without input: it returns the message if it is complete.
    ///
    /// A larger `len` counts as the length of the buffer.
    pub fn filled(self, now: Instant, len: usize) {
        self.recv.placed(now, len.min(self.len), self.out);
    }
}

impl fmt::Debug for Room<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("size", &self.len).finish()
    }
}
