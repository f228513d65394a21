//! The receiving side of a connection: frames to messages.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use core::{fmt, mem};

use super::deflate::Inflater;
use super::{Config, Event, MessageKind, Negotiated, Outgoing, ProtocolError, Role};
use crate::Instant;
use crate::frame::{
    CloseCode, CloseFrame, FrameDecoder, FrameHeader, FramePart, FrameRules, OpCode, ReservedBits, Utf8Decoder,
    from_utf8,
};

/// The receiving side of a [`WebSocket`](super::WebSocket): assembles messages from frames.
///
/// What lies whole in the caller's input is lent from there; only the rest is kept here.
pub(crate) struct Incoming {
    decoder: FrameDecoder,
    max_message_len: usize,
    max_fragments: u32,
    message_timeout: Option<Duration>,
    inflater: Option<Box<Inflater>>,
    /// The data message under way.
    message: Option<Message>,
    /// The payload of a message that did not lie whole in the input: `text` or `binary`, by its kind. The memory is kept for the
    /// next such message, and freed by whatever else comes: a peer pays for what it makes us keep.
    text: String,
    binary: Vec<u8>,
    /// The payload of a control frame that did not lie whole in the input.
    control: Vec<u8>,
    /// Whether the previous event was lent from the buffers above, which are to be emptied.
    lent: bool,
}

/// Never the payloads: they are what the peers say to each other.
impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("decoder", &self.decoder)
            .field("message", &self.message)
            .field("kept", &(self.text.len() + self.binary.len() + self.control.len()))
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Message {
    kind: MessageKind,
    compressed: bool,
    fragments: u32,
    /// Bytes so far, inflated.
    len: usize,
    /// Bytes of payload that the frames so far declare.
    declared: u64,
    /// Bytes of payload so far, as they arrived.
    received: u64,
    started: Instant,
    utf8: Utf8Decoder,
}

/// An event and where its payload lies: in the input, or in a buffer of [`Incoming`].
///
/// It borrows nothing from the connection, so that a loop can look at it and go on; [`Incoming::lend`] makes the event.
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
    /// A Close frame with this code, whose reason lies behind the first two kept bytes.
    KeptClose(CloseCode),
}

impl<'x> Decoded<'x> {
    /// The event, whose payload lies in the input or in one of these.
    #[inline]
    fn event<'e>(self, text: &'e str, binary: &'e [u8], control: &'e [u8]) -> Event<'e>
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

/// Where a message is lent from that did not lie whole in the input, for a caller of
/// [`WebSocket::handle_input_apart`](super::WebSocket::handle_input_apart). It holds nothing but memory.
#[derive(Default)]
pub struct MessageBuffer {
    text: String,
    binary: Vec<u8>,
    control: Vec<u8>,
}

/// Never the payloads.
impl fmt::Debug for MessageBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let capacity = self.text.capacity() + self.binary.capacity() + self.control.capacity();
        f.debug_struct("MessageBuffer").field("capacity", &capacity).finish()
    }
}

/// Bytes of a message a second that never run into the limit of its time: slower lines than that carry no event stream.
const SLOWEST_PACE: u64 = 4 << 10;

impl Incoming {
    pub(super) fn new(role: Role, config: &Config, negotiated: &Negotiated) -> Self {
        let rules = match role {
            Role::Client => FrameRules::for_client(),
            Role::Server => FrameRules::for_server(),
        };
        Self {
            decoder: FrameDecoder::new(FrameRules {
                reserved: negotiated.reserved_bits(),
                max_payload_len: config.max_frame_len,
                ..rules
            }),
            max_message_len: config.max_message_len,
            // A message comes in one frame at least.
            max_fragments: config.max_fragments.max(1),
            message_timeout: config.message_timeout,
            inflater: negotiated.deflate.map(|parameters| Box::new(parameters.inflater(role))),
            message: None,
            text: String::new(),
            binary: Vec::new(),
            control: Vec::new(),
            lent: false,
        }
    }

    /// Acts on every deadline that has come by `now`, on both sides of the connection.
    pub(super) fn handle_timeout(&mut self, now: Instant, out: &mut Outgoing) {
        let now = out.lifecycle.clock(now);
        self.give_back();
        if self.deadline(out).is_some_and(|deadline| deadline <= now) {
            out.fail(now, ProtocolError::MessageTimeout);
        }
        if out.handle_timeout(now) {
            self.free_buffers();
        }
    }

    pub(super) fn handle_traffic(&mut self, now: Instant) {
        if let Some(message) = &mut self.message {
            message.started = now;
        }
    }

    /// The caller reads again.
    pub(super) fn reading_resumed(&mut self, now: Instant, out: &mut Outgoing) {
        let now = out.lifecycle.clock(now);
        let Some(pause) = out.liveness.resumed(now) else { return };
        out.lifecycle.resumed(pause);
        if let Some(message) = &mut self.message {
            pause.skip(&mut message.started);
        }
    }

    pub(super) fn poll_timeout(&self, out: &Outgoing) -> Option<Instant> {
        [out.deadline(), self.deadline(out)].into_iter().flatten().min()
    }

    pub(super) fn release_memory(&mut self) {
        self.give_back();
        self.free_buffers();
        if let Some(inflater) = &mut self.inflater {
            inflater.release();
        }
    }

    /// Takes frames from `input` up to the next event.
    ///
    /// On an error the connection has failed: the Close frame is queued in `out`.
    #[inline]
    pub(crate) fn advance<'x>(
        &mut self,
        now: Instant,
        input: &mut &'x mut [u8],
        out: &mut Outgoing,
    ) -> Result<Option<Decoded<'x>>, ProtocolError> {
        let now = out.lifecycle.clock(now);
        self.give_back();
        if !out.state().reads() {
            return self.ignore(input, out);
        }
        if !input.is_empty() {
            out.liveness.bytes_arrived(now);
        }
        // A message that is one plain frame, the common case, is judged and lent where it lies.
        if self.message.is_none()
            && let Some((opcode, payload)) = self.decoder.decode_plain(input)
        {
            self.free_buffers();
            return match self.whole_message(opcode, payload) {
                Ok(found) => Ok(Some(found)),
                Err(error) => Err(self.fail(now, input, out, error)),
            };
        }
        loop {
            let part = match self.decoder.decode(input) {
                Ok(Some(part)) => part,
                Ok(None) => return Ok(None),
                Err(error) => return Err(self.fail(now, input, out, error.into())),
            };
            let found = if part.header.opcode.is_control() {
                self.control_part(now, part, out)
            } else {
                self.data_part(now, part)
            };
            match found {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(error) => return Err(self.fail(now, input, out, error)),
            }
        }
    }

    /// The event that was decoded, borrowed from the input or from the buffers here.
    #[inline]
    pub(crate) fn lend<'e, 'x: 'e>(&'e self, decoded: Decoded<'x>) -> Event<'e> {
        decoded.event(&self.text, &self.binary, &self.control)
    }

    /// Lends as [`lend`](Self::lend) does, from `buffer` what would be lent from the buffers here, so that nothing here is
    /// borrowed.
    #[inline]
    pub(super) fn lend_apart<'e, 'x: 'e>(&mut self, decoded: Decoded<'x>, buffer: &'e mut MessageBuffer) -> Event<'e> {
        match decoded {
            Decoded::Text(_) | Decoded::Binary(_) | Decoded::Ping(_) | Decoded::Pong(_) | Decoded::Close(_) => {}
            Decoded::KeptText => {
                buffer.text.clear();
                mem::swap(&mut self.text, &mut buffer.text);
            }
            Decoded::KeptBinary => {
                buffer.binary.clear();
                mem::swap(&mut self.binary, &mut buffer.binary);
            }
            Decoded::KeptPing | Decoded::KeptPong | Decoded::KeptClose(_) => {
                buffer.control = mem::take(&mut self.control);
            }
        }
        decoded.event(&buffer.text, &buffer.binary, &buffer.control)
    }

    /// Takes the memory of the latest message back from the buffer that it was lent from.
    #[inline]
    pub(super) fn take_back(&mut self, buffer: &mut MessageBuffer) {
        if self.lent {
            buffer.control = Vec::new();
            if self.message.is_none() {
                if !buffer.text.is_empty() {
                    mem::swap(&mut self.text, &mut buffer.text);
                }
                if !buffer.binary.is_empty() {
                    mem::swap(&mut self.binary, &mut buffer.binary);
                }
            }
        }
    }

    /// When the message under way must be complete: what arrived at a fair pace is given its time.
    fn deadline(&self, out: &Outgoing) -> Option<Instant> {
        if !out.state().reads() || out.liveness.is_paused() {
            return None;
        }
        let message = self.message.as_ref()?;
        Some(message.started + self.message_timeout? + Duration::from_secs(message.received / SLOWEST_PACE))
    }

    /// Empties what the previous event was lent from.
    #[inline]
    pub(super) fn give_back(&mut self) {
        if self.lent {
            self.lent = false;
            self.control = Vec::new();
            // A control frame may have come in the middle of a message, whose payload is still needed.
            if self.message.is_none() {
                // Memory that a message has hardly used is not kept: the next ones may be as short.
                if self.text.len() < self.text.capacity() / 4 {
                    self.text = String::new();
                }
                if self.binary.len() < self.binary.capacity() / 4 {
                    self.binary = Vec::new();
                }
                self.text.clear();
                self.binary.clear();
            }
        }
    }

    /// Frees the buffers of a message unless one is under way or lent.
    #[inline]
    fn free_buffers(&mut self) {
        if self.text.capacity() | self.binary.capacity() != 0 {
            self.free_empty_buffers();
        }
    }

    #[cold]
    fn free_empty_buffers(&mut self) {
        if self.text.is_empty() {
            self.text = String::new();
        }
        if self.binary.is_empty() {
            self.binary = Vec::new();
        }
    }

    #[inline]
    fn data_part<'x>(&mut self, now: Instant, part: FramePart<'x>) -> Result<Option<Decoded<'x>>, ProtocolError> {
        if part.first {
            // The whole message in one piece is judged and lent where it lies.
            if part.header.fin && part.is_last() && self.message.is_none() && !self.is_compressed(&part.header) {
                self.free_buffers();
                return self.whole_message(part.header.opcode, part.payload).map(Some);
            }
            self.start_frame(now, &part.header)?;
        }
        let end = part.header.fin && part.is_last();
        self.keep(&part, end)?;
        if end { self.finish_message() } else { Ok(None) }
    }

    #[inline]
    fn whole_message<'x>(&self, opcode: OpCode, payload: &'x mut [u8]) -> Result<Decoded<'x>, ProtocolError> {
        match opcode {
            // Section 5.4: a continuation continues a message that has begun.
            OpCode::Continuation => Err(ProtocolError::UnexpectedContinuation),
            _ if payload.len() > self.max_message_len => Err(ProtocolError::MessageTooLarge),
            // Section 8.1: text is UTF-8.
            OpCode::Text => Ok(Decoded::Text(from_utf8(payload)?)),
            _ => Ok(Decoded::Binary(payload)),
        }
    }

    /// Judges the header of a data frame against the message under way, before any of its payload is kept.
    fn start_frame(&mut self, now: Instant, header: &FrameHeader) -> Result<(), ProtocolError> {
        let kind = match header.opcode {
            OpCode::Text => Some(MessageKind::Text),
            OpCode::Binary => Some(MessageKind::Binary),
            _ => None,
        };
        let compressed = self.is_compressed(header);
        // Section 5.4: fragments of one message are not interleaved with another, and continue one that has begun.
        let message = match (kind, &mut self.message) {
            (Some(_), Some(_)) => return Err(ProtocolError::ExpectedContinuation),
            (None, None) => return Err(ProtocolError::UnexpectedContinuation),
            (None, Some(message)) => message,
            (Some(kind), none) => {
                // What the other kind has left: one message is under way, so one buffer is enough.
                match kind {
                    MessageKind::Text => self.binary = Vec::new(),
                    MessageKind::Binary => self.text = String::new(),
                }
                none.insert(Message {
                    kind,
                    compressed,
                    fragments: 0,
                    len: 0,
                    declared: 0,
                    received: 0,
                    started: now,
                    utf8: Utf8Decoder::default(),
                })
            }
        };
        message.fragments = message.fragments.saturating_add(1);
        if message.fragments > self.max_fragments {
            return Err(ProtocolError::TooManyFragments);
        }
        message.declared = message.declared.saturating_add(header.payload_len);
        let limit = self.max_message_len as u64;
        // How far a compressed payload inflates shows when it is inflated. That it is hardly longer than a message at the
        // limit can be seen before: literals take at most 9 bits, and each fragment may end in an empty block.
        let slack = if message.compressed { limit / 8 + 16 * u64::from(message.fragments) } else { 0 };
        if message.declared > limit.saturating_add(slack) {
            return Err(ProtocolError::MessageTooLarge);
        }
        Ok(())
    }

    /// Keeps a part of a message that is not complete in the input, or not plain there.
    fn keep(&mut self, part: &FramePart<'_>, end: bool) -> Result<(), ProtocolError> {
        let Self { message, inflater, text, binary, max_message_len, .. } = self;
        let Some(message) = message else { return Ok(()) };
        message.received += part.payload.len() as u64;
        match inflater {
            Some(inflater) if message.compressed => inflater.inflate(part.payload, end, |piece: &[u8]| {
                // Section 10.4 of RFC 6455: the limit holds for what comes out, before it is kept.
                if piece.len() > *max_message_len - message.len {
                    return Err(ProtocolError::MessageTooLarge);
                }
                message.append(piece, Follows::AtLeast(0), *max_message_len, text, binary)
            }),
            _ => message.append(part.payload, Follows::after(part), *max_message_len, text, binary),
        }
    }

    /// RFC 7692 section 6: RSV1 on its first frame says that a message is compressed.
    #[inline]
    fn is_compressed(&self, header: &FrameHeader) -> bool {
        self.inflater.is_some() && header.reserved.contains(ReservedBits::RSV1)
    }

    fn finish_message<'x>(&mut self) -> Result<Option<Decoded<'x>>, ProtocolError> {
        let Some(mut message) = self.message.take() else { return Ok(None) };
        message.utf8.finish()?;
        self.lent = true;
        Ok(Some(match message.kind {
            MessageKind::Text => Decoded::KeptText,
            MessageKind::Binary => Decoded::KeptBinary,
        }))
    }

    fn control_part<'x>(
        &mut self,
        now: Instant,
        part: FramePart<'x>,
        out: &mut Outgoing,
    ) -> Result<Option<Decoded<'x>>, ProtocolError> {
        if self.message.is_none() {
            self.free_buffers();
        }
        let whole = part.first && part.is_last();
        if !whole {
            self.control.extend_from_slice(part.payload);
            if !part.is_last() {
                return Ok(None);
            }
            self.lent = true;
        }
        let payload = if whole { &*part.payload } else { &self.control };
        Ok(Some(match (part.header.opcode, whole) {
            (OpCode::Ping, _) => {
                out.answer_ping(payload);
                if whole { Decoded::Ping(part.payload) } else { Decoded::KeptPing }
            }
            (OpCode::Pong, _) => {
                out.pong_received(now, payload);
                if whole { Decoded::Pong(part.payload) } else { Decoded::KeptPong }
            }
            (_, true) => {
                let frame = CloseFrame::parse(part.payload)?;
                out.answer_close(now, frame);
                Decoded::Close(frame)
            }
            (_, false) => {
                let frame = CloseFrame::parse(payload)?;
                out.answer_close(now, frame);
                frame.map_or(Decoded::Close(None), |frame| Decoded::KeptClose(frame.code))
            }
        }))
    }

    #[cold]
    fn fail(&mut self, now: Instant, input: &mut &mut [u8], out: &mut Outgoing, error: ProtocolError) -> ProtocolError {
        out.fail(now, error);
        self.discard(input);
        error
    }

    /// Section 7.1.7 and section 5.5.1: bytes after a violation or after the peer's Close frame are not processed.
    #[cold]
    fn ignore<'x>(&mut self, input: &mut &'x mut [u8], out: &Outgoing) -> Result<Option<Decoded<'x>>, ProtocolError> {
        self.discard(input);
        out.lifecycle.violation().map_or(Ok(None), Err)
    }

    fn discard(&mut self, input: &mut &mut [u8]) {
        *input = &mut [];
        self.message = None;
        self.text = String::new();
        self.binary = Vec::new();
    }
}

impl Message {
    /// Appends a piece to `text` or `binary`; the whole message has at most `limit` bytes.
    fn append(
        &mut self,
        piece: &[u8],
        follows: Follows,
        limit: usize,
        text: &mut String,
        binary: &mut Vec<u8>,
    ) -> Result<(), ProtocolError> {
        self.len += piece.len();
        match self.kind {
            MessageKind::Text => {
                // Section 8.1, and fail-fast: a bad byte is refused in the part that brings it.
                let (completed, rest) = self.utf8.decode(piece)?;
                text.reserve_exact(reservation(text.len(), text.capacity(), self.len, follows, limit));
                text.extend(completed);
                text.push_str(rest);
            }
            MessageKind::Binary => {
                binary.reserve_exact(reservation(binary.len(), binary.capacity(), self.len, follows, limit));
                binary.extend_from_slice(piece);
            }
        }
        Ok(())
    }
}

/// How many bytes of a message follow a piece of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follows {
    /// The rest of its last frame.
    Exactly(u64),
    /// The rest of a frame that others may follow.
    AtLeast(u64),
}

impl Follows {
    fn after(part: &FramePart<'_>) -> Self {
        let rest = part.header.payload_len - part.offset - part.payload.len() as u64;
        if part.header.fin { Self::Exactly(rest) } else { Self::AtLeast(rest) }
    }
}

/// How much to reserve in a buffer of `len` bytes for a message of which `received` bytes are here: room for these, and
/// ahead for what follows as far as it is known, but for no more in all than 64 KiB or twice what was received, and never
/// than `limit`, the longest message. So a number that the peer sent does not size memory, and a message that comes in many
/// pieces is not moved for each of them.
fn reservation(len: usize, capacity: usize, received: usize, follows: Follows, limit: usize) -> usize {
    const AHEAD: usize = 64 << 10;
    let needed = received.saturating_sub(len);
    if needed <= capacity.saturating_sub(len) {
        return 0;
    }
    let with = |rest: u64| needed.saturating_add(usize::try_from(rest).unwrap_or(usize::MAX));
    let desired = match follows {
        Follows::Exactly(rest) => with(rest),
        Follows::AtLeast(rest) => with(rest).max(received),
    };
    desired.min(AHEAD.max(received.saturating_mul(2)).min(limit.max(received)) - len)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1 << 10;

    /// The capacity of a buffer of `len` bytes once it was told to make room.
    fn capacity(len: usize, capacity: usize, received: usize, follows: Follows) -> usize {
        match reservation(len, capacity, received, follows, usize::MAX) {
            0 => capacity,
            additional => len + additional,
        }
    }

    #[test]
    fn a_declared_length_reserves_64_kib_or_twice_what_was_received() {
        let rest = Follows::Exactly(1 << 40);
        assert_eq!(capacity(0, 0, 0, rest), 0);
        assert_eq!(capacity(0, 0, 1, rest), 64 * KIB);
        assert_eq!(capacity(64 * KIB, 64 * KIB, 64 * KIB + 1, rest), 128 * KIB + 2);
        assert_eq!(capacity(usize::MAX - 1, usize::MAX - 1, usize::MAX, Follows::AtLeast(u64::MAX)), usize::MAX);
    }

    #[test]
    fn nothing_is_reserved_past_the_end_of_the_last_frame() {
        assert_eq!(capacity(0, 0, 10, Follows::Exactly(90)), 100);
        assert_eq!(capacity(600 * KIB, 600 * KIB, 601 * KIB, Follows::Exactly(0)), 601 * KIB);
    }

    #[test]
    fn a_buffer_of_small_pieces_doubles() {
        assert_eq!(capacity(100, 100, 101, Follows::AtLeast(0)), 201);
        assert_eq!(reservation(101, 201, 201, Follows::AtLeast(0), 1000), 0);
    }

    #[test]
    fn nothing_is_reserved_beyond_the_longest_message() {
        assert_eq!(reservation(600, 600, 601, Follows::AtLeast(0), 1000), 400);
        assert_eq!(reservation(600, 600, 1000, Follows::AtLeast(0), 1000), 400);
        assert_eq!(reservation(0, 0, 1, Follows::Exactly(1 << 40), 1000), 1000);
    }
}
