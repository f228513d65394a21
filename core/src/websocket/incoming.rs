//! The receiving side of a connection: assembles messages from frames.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use core::{fmt, mem};

use super::binary_buffer::BinaryBuffer;
use super::compression::Inflater;
use super::decoded::{Decoded, MessageBuffer};
use super::partial::PartialMessage;
use super::{Config, Event, MessageKind, Negotiated, Outgoing, ProtocolError, Role};
use crate::Instant;
use crate::frame::{
    CloseFrame, FrameDecoder, FrameHeader, FramePart, FrameRules, MaskedPart, OpCode, ReservedBits, from_utf8,
};

/// The receiving side of a [`WebSocket`](super::WebSocket): assembles messages from frames.
///
/// A message that lies whole in the caller's input is lent from there. Only the others are buffered here.
pub(crate) struct Incoming {
    decoder: FrameDecoder,
    max_message_len: usize,
    max_fragments: u32,
    message_timeout: Option<Duration>,
    inflater: Option<Box<Inflater>>,
    /// The data message under way.
    message: Option<PartialMessage>,
    /// The payload of a message that did not lie whole in the input: in `text` or `binary`, by its kind. The memory is
    /// kept for the next such message and freed when any other frame arrives, so that a peer cannot make us hold unused
    /// memory.
    text: String,
    binary: BinaryBuffer,
    /// The payload of a control frame that did not lie whole in the input.
    control: Vec<u8>,
    /// Whether the previous event was lent from the buffers above. They must then be emptied.
    lent: bool,
}

/// The output omits the payloads: they are private to the peers.
impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("decoder", &self.decoder)
            .field("message", &self.message)
            .field("kept", &(self.text.len() + self.binary.len() + self.control.len()))
            .finish_non_exhaustive()
    }
}

/// The rate in bytes per second at which a message never exceeds its time limit. A slower line cannot carry an event
/// stream.
const SLOWEST_PACE: u64 = 4 << 10;

impl Incoming {
    pub(super) fn new(role: Role, config: &Config, negotiated: &Negotiated) -> Self {
        let rules = match role {
            Role::Client => FrameRules::for_client(),
            Role::Server => FrameRules::for_server(),
        };
        Self {
            decoder: FrameDecoder::new(
                rules.reserved(negotiated.reserved_bits()).max_payload_len(config.max_frame_len),
            ),
            max_message_len: config.max_message_len,
            // A message has at least one frame.
            max_fragments: config.max_fragments.max(1),
            message_timeout: config.message_timeout,
            inflater: negotiated.inflater(role),
            message: None,
            text: String::new(),
            binary: BinaryBuffer::default(),
            control: Vec::new(),
            lent: false,
        }
    }

    /// Acts on every deadline that has passed at `now`, on both sides of the connection.
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

    /// Reads frames from `input` up to the next event.
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
        // A message in one uncompressed frame, the common case, is checked and lent in place.
        if self.message.is_none()
            && let Some((opcode, payload)) = self.decoder.decode_plain(input)
        {
            self.free_buffers();
            return match self.whole_message(opcode, payload) {
                Ok(found) => Ok(Some(found)),
                Err(error) => Err(self.fail(now, input, out, error)),
            };
        }
        if self.message.as_ref().is_some_and(|message| message.is_complete) {
            return self.finish_message();
        }
        loop {
            let part = match self.decoder.decode_masked(input) {
                Ok(Some(part)) => part,
                Ok(None) => return Ok(None),
                Err(error) => return Err(self.fail(now, input, out, error.into())),
            };
            let found = if part.header().opcode.is_control() {
                self.control_part(now, part.unmask(), out)
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

    /// How many bytes of the message under way can be read straight to their place. Not zero.
    pub(super) fn room(&self, out: &Outgoing) -> Option<usize> {
        let message = self.message.as_ref().filter(|_| out.state().reads())?;
        let (_, missing) = self.decoder.missing().filter(|(header, _)| !header.opcode.is_control())?;
        Some(message.room(missing, self.binary.capacity())).filter(|room| *room > 0)
    }

    /// The place of the next bytes of the message under way: the first `len` of the `room`.
    pub(super) fn place(&mut self, room: usize, len: usize) -> &mut [u8] {
        self.binary.reserve_exact(room);
        self.binary.place(len)
    }

    /// The next `len` bytes of the message under way were read to their place.
    pub(super) fn placed(&mut self, now: Instant, len: usize, out: &mut Outgoing) {
        let mut bytes = self.binary.place(len);
        // There is no part if nothing was read. It is no error: the header of the frame was valid.
        let (Some(message), Ok(Some(part))) = (&mut self.message, self.decoder.decode(&mut bytes)) else { return };
        let now = out.lifecycle.clock(now);
        out.liveness.bytes_arrived(now);
        let len = part.payload.len();
        message.is_complete = part.header.fin && part.is_last();
        message.len += len;
        message.received += len as u64;
        self.binary.filled(len);
    }

    /// Converts a decoded event. It borrows from the input or from the buffers here.
    #[inline]
    pub(crate) fn lend<'e, 'x: 'e>(&'e self, decoded: Decoded<'x>) -> Event<'e> {
        decoded.event(&self.text, self.binary.bytes(), &self.control)
    }

    /// Like [`lend`](Self::lend), but lends from `buffer` instead of the buffers here, so that `self` is not borrowed.
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
        decoded.event(&buffer.text, buffer.binary.bytes(), &buffer.control)
    }

    /// Takes the memory of the latest message back from the buffer from which it was lent.
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

    /// When the message under way must be complete. The bytes that arrived extend the deadline, see [`SLOWEST_PACE`].
    fn deadline(&self, out: &Outgoing) -> Option<Instant> {
        if !out.state().reads() || out.liveness.is_paused() {
            return None;
        }
        let message = self.message.as_ref().filter(|message| !message.is_complete)?;
        Some(message.started + self.message_timeout? + Duration::from_secs(message.received / SLOWEST_PACE))
    }

    /// Empties the buffers from which the previous event was lent.
    #[inline]
    pub(super) fn give_back(&mut self) {
        if self.lent {
            self.lent = false;
            self.control = Vec::new();
            // The control frame may have arrived in the middle of a message. The payload of that message is still needed.
            if self.message.is_none() {
                // A buffer that the message has hardly used is freed: the next messages may be as short.
                if self.text.len() < self.text.capacity() / 4 {
                    self.text = String::new();
                }
                if self.binary.len() < self.binary.capacity() / 4 {
                    self.binary = BinaryBuffer::default();
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
            self.binary = BinaryBuffer::default();
        }
    }

    #[inline]
    fn data_part<'x>(&mut self, now: Instant, part: MaskedPart<'x>) -> Result<Option<Decoded<'x>>, ProtocolError> {
        let header = part.header();
        let end = header.fin && part.is_last();
        if part.is_first() {
            // A whole message in one piece is checked and lent in place.
            if end && self.message.is_none() && !self.is_compressed(header) {
                self.free_buffers();
                return self.whole_message(header.opcode, part.unmask().payload).map(Some);
            }
            self.start_frame(now, header)?;
        }
        self.keep(part, end)?;
        if end { self.finish_message() } else { Ok(None) }
    }

    #[inline]
    fn whole_message<'x>(&self, opcode: OpCode, payload: &'x mut [u8]) -> Result<Decoded<'x>, ProtocolError> {
        match opcode {
            // Section 5.4: a continuation frame needs a message under way.
            OpCode::Continuation => Err(ProtocolError::UnexpectedContinuation),
            _ if payload.len() > self.max_message_len => Err(ProtocolError::MessageTooLarge),
            // Section 8.1: text is UTF-8.
            OpCode::Text => Ok(Decoded::Text(from_utf8(payload)?)),
            _ => Ok(Decoded::Binary(payload)),
        }
    }

    /// Checks the header of a data frame against the message under way, before any of its payload is buffered.
    fn start_frame(&mut self, now: Instant, header: &FrameHeader) -> Result<(), ProtocolError> {
        let kind = match header.opcode {
            OpCode::Text => Some(MessageKind::Text),
            OpCode::Binary => Some(MessageKind::Binary),
            _ => None,
        };
        let compressed = self.is_compressed(header);
        // Section 5.4: fragments of two messages are not interleaved, and a continuation frame needs a message under way.
        let message = match (kind, &mut self.message) {
            (Some(_), Some(_)) => return Err(ProtocolError::ExpectedContinuation),
            (None, None) => return Err(ProtocolError::UnexpectedContinuation),
            (None, Some(message)) => message,
            (Some(kind), none) => {
                // Free the buffer of the other kind: only one message is under way, so one buffer is enough.
                match kind {
                    MessageKind::Text => self.binary = BinaryBuffer::default(),
                    MessageKind::Binary => self.text = String::new(),
                }
                none.insert(PartialMessage::new(kind, compressed, now))
            }
        };
        message.fragments = message.fragments.saturating_add(1);
        if message.fragments > self.max_fragments {
            return Err(ProtocolError::TooManyFragments);
        }
        message.declared = message.declared.saturating_add(header.payload_len);
        let limit = self.max_message_len as u64;
        // The inflated length is known only after decompression. The compressed length is bounded before: a literal takes
        // at most 9 bits, and each fragment may end in an empty block.
        let slack = if message.compressed { limit / 8 + 16 * u64::from(message.fragments) } else { 0 };
        if message.declared > limit.saturating_add(slack) {
            return Err(ProtocolError::MessageTooLarge);
        }
        Ok(())
    }

    /// Buffers a part of a message that is fragmented, incomplete or compressed.
    fn keep(&mut self, part: MaskedPart<'_>, end: bool) -> Result<(), ProtocolError> {
        let Self { message, inflater, text, binary, max_message_len, .. } = self;
        let Some(message) = message else { return Ok(()) };
        message.received += part.len() as u64;
        match inflater {
            Some(inflater) if message.compressed => inflater.inflate(part.unmask().payload, end, |piece: &[u8]| {
                // RFC 6455 section 10.4: the limit applies to the inflated bytes, before they are buffered.
                if piece.len() > *max_message_len - message.len {
                    return Err(ProtocolError::MessageTooLarge);
                }
                message.append_inflated(piece, *max_message_len, text, binary)
            }),
            _ => message.append(part, *max_message_len, text, binary),
        }
    }

    /// RFC 7692 section 6: RSV1 on the first frame marks a compressed message.
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
        self.binary = BinaryBuffer::default();
    }
}
