//! A message on its way past the queue.

use core::fmt;

use super::queue::copy_payload;
use super::{Message, Outgoing, SendError, Sender};
use crate::Instant;
use crate::frame::FrameHeader;

/// A message that is framed and not yet written. [`WebSocket::frame`](super::WebSocket::frame) makes it.
///
/// While [`is_empty`](Self::is_empty) returns `false` and the transport accepts bytes, write those that
/// [`lend`](Self::lend) returns and confirm them with [`transmitted`](Self::transmitted). When the value is dropped, the
/// connection queues the bytes that were not confirmed. So a failed, partial or canceled write loses no bytes.
///
/// ```
/// use multiwa_ws_core::Instant;
/// use multiwa_ws_core::websocket::{Config, Message, Negotiated, Role, WebSocket};
///
/// let now = Instant::default();
/// let mut server = WebSocket::new(now, Role::Server, &Config::default(), &Negotiated::default(), [0; 32]);
/// let mut scratch = [0; 1024];
///
/// let mut unsent = server.frame(Message::Text("hello"))?;
/// assert_eq!(unsent.lend(&mut scratch).concat(), b"\x81\x05hello");
/// unsent.transmitted(now, 3); // more is not accepted now
/// drop(unsent);
/// assert_eq!(server.queued(), 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Unsent<'c, 'm> {
    out: &'c mut Outgoing,
    header: [u8; FrameHeader::MAX_LEN],
    header_len: usize,
    /// The number of bytes of the header that are confirmed.
    header_at: usize,
    /// The bytes of the payload that are not confirmed.
    payload: &'m [u8],
    /// The masking key from the front of `payload` on.
    mask: Option<[u8; 4]>,
}

/// A shorter payload is copied behind its header, so that one slice is written: the copy costs less than the system's
/// handling of a second slice.
const JOINED: usize = 2 << 10;

impl<'c, 'm> Unsent<'c, 'm> {
    #[inline]
    pub(super) fn new(out: &'c mut Outgoing, message: Message<'m>) -> Result<Self, SendError> {
        let (kind, payload) = message.parts();
        let mut header = [0; FrameHeader::MAX_LEN];
        if out.compressor.is_some() || !out.queue.is_empty() {
            Sender::new(out).send_message(kind, payload)?;
            return Ok(Self { out, header, header_len: 0, header_at: 0, payload: &[], mask: None });
        }
        Sender::new(out).admit_message(payload.len())?;
        let mask = out.masking_key();
        let header_len = FrameHeader::new(kind.opcode(), true, mask, payload.len() as u64).encode(&mut header).len();
        Ok(Self { out, header, header_len, header_at: 0, payload, mask })
    }
}

impl Unsent<'_, '_> {
    /// Whether all bytes are confirmed or queued.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of bytes that are not confirmed.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.header_len - self.header_at + self.payload.len()
    }

    /// The bytes to write next, for one vectored write. Both slices are empty if nothing is left; the second one is often
    /// empty.
    ///
    /// A masked message is copied to `scratch`, as much as fits, and a short one too. So `scratch` must not be empty.
    /// Other messages are lent where they lie.
    #[inline]
    #[must_use = "lent bytes are to be written, then confirmed with `transmitted`"]
    pub fn lend<'s>(&'s self, scratch: &'s mut [u8]) -> [&'s [u8]; 2] {
        let header = self.header_rest();
        if self.mask.is_none() && self.payload.len() > JOINED {
            return if header.is_empty() { [self.payload, &[]] } else { [header, self.payload] };
        }
        let len = self.len().min(scratch.len());
        let Some((to_header, to)) = scratch.get_mut(..len).and_then(|to| to.split_at_mut_checked(header.len())) else {
            return [header, &[]];
        };
        to_header.copy_from_slice(header);
        copy_payload(to, self.payload.get(..to.len()).unwrap_or_default(), self.mask);
        [scratch.get(..len).unwrap_or_default(), &[]]
    }

    /// The transport accepted the first `len` of the bytes that [`lend`](Self::lend) returned.
    pub fn transmitted(&mut self, now: Instant, len: usize) {
        let len = len.min(self.len());
        let of_header = len.min(self.header_len - self.header_at);
        let of_payload = len - of_header;
        self.header_at += of_header;
        self.payload = self.payload.get(of_payload..).unwrap_or_default();
        if let Some(key) = &mut self.mask {
            key.rotate_left(of_payload % 4);
        }
        // The connection is open and nothing else waits, so no other deadline depends on these bytes.
        let now = self.out.lifecycle.clock(now);
        self.out.liveness.bytes_left(now, len, self.len() + self.out.queue.len());
    }

    /// Like [`WebSocket::try_transmitted`](super::WebSocket::try_transmitted).
    #[inline]
    #[must_use = "if the time matters, nothing was confirmed"]
    pub fn try_transmitted(&mut self, len: usize) -> bool {
        let is_known = len == self.len() && self.out.liveness.try_bytes_left(len);
        if is_known {
            self.header_at = self.header_len;
            self.payload = &[];
        }
        is_known
    }

    #[inline]
    fn header_rest(&self) -> &[u8] {
        self.header.get(self.header_at..self.header_len).unwrap_or_default()
    }
}

impl Drop for Unsent<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        if !self.is_empty() {
            let header = self.header.get(self.header_at..self.header_len).unwrap_or_default();
            self.out.queue.copy_rest(header, self.payload, self.mask);
        }
    }
}

/// The output omits the message.
impl fmt::Debug for Unsent<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unsent({} bytes)", self.len())
    }
}
