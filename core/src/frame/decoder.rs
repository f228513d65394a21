//! The incremental decoder: turns bytes in pieces of any size into parts of frames.

use core::fmt;

use super::header::{FIN, FrameError, FrameHeader, LEN_16, MASK, OpCode};
use super::mask::apply_mask;
use super::rules::{FrameRules, MaskRule};

/// Decodes the frames of one direction of a connection, from bytes in pieces of any size, without a buffer for
/// payloads.
///
/// - Getters: [`rules`](Self::rules), [`is_between_frames`](Self::is_between_frames).
/// - Input: [`decode`](Self::decode), until it returns `None`; then with more bytes.
///
/// After an error the position in the stream is lost: drop the decoder.
#[derive(Clone)]
pub struct FrameDecoder {
    rules: FrameRules,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    /// The input ended inside a header. `len` bytes of it were read.
    Header { bytes: [u8; FrameHeader::MAX_LEN], len: u8 },
    /// A frame of which `offset` payload bytes were returned.
    Payload { header: FrameHeader, offset: u64 },
}

/// The first byte of an unfragmented text or binary frame without extension bits.
const PLAIN_TEXT: u8 = FIN | OpCode::Text as u8;
const PLAIN_BINARY: u8 = FIN | OpCode::Binary as u8;

const BETWEEN_FRAMES: State = State::Header { bytes: [0; FrameHeader::MAX_LEN], len: 0 };

impl FrameDecoder {
    /// A decoder at the start of a frame.
    #[must_use]
    pub const fn new(rules: FrameRules) -> Self {
        Self { rules, state: BETWEEN_FRAMES }
    }

    /// The rules that headers must satisfy.
    #[must_use]
    pub const fn rules(&self) -> &FrameRules {
        &self.rules
    }

    /// Whether the last byte taken was the last byte of a frame.
    #[must_use]
    pub const fn is_between_frames(&self) -> bool {
        matches!(self.state, State::Header { len: 0, .. })
    }

    /// The frame whose payload comes next, and how many bytes of it are missing. `None` between frames and in a header.
    pub(crate) const fn missing(&self) -> Option<(&FrameHeader, u64)> {
        match &self.state {
            State::Header { .. } => None,
            State::Payload { header, offset } => Some((header, header.payload_len - *offset)),
        }
    }

    /// Takes the next part of a frame from the front of `input`, unmasks it in place and advances `input` past it.
    ///
    /// A frame that is complete in `input` is returned as one part. Another frame is returned in as many parts as it
    /// was split into. The first part is returned when the header is complete, even without payload, so that the caller
    /// can check the header before the payload arrives. `None` means that all of `input` was taken and more bytes are
    /// needed.
    ///
    /// # Errors
    /// The rule that a header violates, at the earliest byte that shows it. No part is returned for that header.
    #[inline]
    pub fn decode<'x>(&mut self, input: &mut &'x mut [u8]) -> Result<Option<FramePart<'x>>, FrameError> {
        Ok(self.decode_masked(input)?.map(MaskedPart::unmask))
    }

    /// Like [`decode`](Self::decode), for a caller that unmasks the part together with its next step.
    #[inline]
    pub(crate) fn decode_masked<'x>(&mut self, input: &mut &'x mut [u8]) -> Result<Option<MaskedPart<'x>>, FrameError> {
        let (header, offset, first) = match self.state {
            State::Payload { .. } if input.is_empty() => return Ok(None),
            State::Payload { header, offset } => (header, offset, false),
            State::Header { len: 0, .. } => match FrameHeader::parse(input, &self.rules)? {
                Some((header, len)) => {
                    take(input, len);
                    (header, 0, true)
                }
                None => return self.keep_partial_header(input),
            },
            State::Header { bytes, len } => match self.complete_header(bytes, len, input)? {
                Some(header) => (header, 0, true),
                None => return Ok(None),
            },
        };

        let remaining = header.payload_len - offset;
        let available = input.len();
        let len = usize::try_from(remaining).map_or(available, |remaining| remaining.min(available));
        let part = FramePart { header, first, offset, payload: take(input, len) };
        self.state = if part.is_last() { BETWEEN_FRAMES } else { State::Payload { header, offset: part.end_offset() } };
        Ok(Some(MaskedPart(part)))
    }

    /// Takes the frame at the front of `input` if it is plain: unfragmented text or binary without extension bits,
    /// complete in `input`, shorter than 64 KiB, and valid under the rules. Nearly every frame is plain. Otherwise it
    /// takes nothing, and [`decode`](Self::decode) must process the input.
    #[inline]
    pub(crate) fn decode_plain<'x>(&self, input: &mut &'x mut [u8]) -> Option<(OpCode, &'x mut [u8])> {
        if !self.is_between_frames() {
            return None;
        }
        let ([first, second], rest) = input.split_first_chunk()?;
        let opcode = match *first {
            PLAIN_TEXT => OpCode::Text,
            PLAIN_BINARY => OpCode::Binary,
            _ => return None,
        };
        let (mask_bit, key_len) = match self.rules.mask {
            MaskRule::Required => (MASK, 4),
            MaskRule::Forbidden => (0, 0),
        };
        let (len, header_len) = match *second ^ mask_bit {
            len @ 0..LEN_16 => (usize::from(len), 2 + key_len),
            LEN_16 => match usize::from(u16::from_be_bytes(*rest.first_chunk()?)) {
                0..=125 => return None,
                len => (len, 4 + key_len),
            },
            // A large frame, or one whose mask bit violates the rule.
            _ => return None,
        };
        if len as u64 > self.rules.max_payload_len || input.len() < header_len + len {
            return None;
        }
        let (header, payload) = take(input, header_len + len).split_at_mut_checked(header_len)?;
        if let MaskRule::Required = self.rules.mask {
            apply_mask(payload, *header.last_chunk()?, 0);
        }
        Some((opcode, payload))
    }

    #[cold]
    fn keep_partial_header<'x>(&mut self, input: &mut &'x mut [u8]) -> Result<Option<MaskedPart<'x>>, FrameError> {
        let mut bytes = [0; FrameHeader::MAX_LEN];
        let mut len = 0;
        for (to, from) in bytes.iter_mut().zip(core::mem::take(input).iter()) {
            *to = *from;
            len += 1;
        }
        self.state = State::Header { bytes, len };
        Ok(None)
    }

    /// Continues a header of which `len` bytes were read before, byte by byte: at most 13 bytes are missing.
    #[cold]
    fn complete_header(
        &mut self,
        mut bytes: [u8; FrameHeader::MAX_LEN],
        mut len: u8,
        input: &mut &mut [u8],
    ) -> Result<Option<FrameHeader>, FrameError> {
        while !input.is_empty() {
            let Some((to, from)) = bytes.get_mut(usize::from(len)).zip(take(input, 1).first()) else { break };
            *to = *from;
            len += 1;
            let read = bytes.get(..usize::from(len)).unwrap_or_default();
            if let Some((header, _)) = FrameHeader::parse(read, &self.rules)? {
                return Ok(Some(header));
            }
        }
        self.state = State::Header { bytes, len };
        Ok(None)
    }
}

/// Prints the position of the decoder, but not the masking key.
impl fmt::Debug for FrameDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("FrameDecoder");
        match self.state {
            State::Header { len, .. } => out.field("header_bytes", &len),
            State::Payload { header, offset } => out.field("opcode", &header.opcode).field("offset", &offset),
        };
        out.finish_non_exhaustive()
    }
}

/// Splits the first `len` bytes off `input`; all of it when it is shorter.
#[inline]
fn take<'x>(input: &mut &'x mut [u8], len: usize) -> &'x mut [u8] {
    let bytes = core::mem::take(input);
    let at = len.min(bytes.len());
    let (taken, rest) = bytes.split_at_mut(at);
    *input = rest;
    taken
}

/// A run of unmasked payload bytes of one frame.
#[derive(Debug, PartialEq, Eq)]
pub struct FramePart<'x> {
    /// The header of the frame that the bytes belong to.
    pub header: FrameHeader,
    /// Whether the frame begins with this part.
    pub first: bool,
    /// The position of the bytes in the frame's payload.
    pub offset: u64,
    /// The bytes, unmasked in place.
    pub payload: &'x mut [u8],
}

impl FramePart<'_> {
    /// Whether the frame ends with this part.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.end_offset() == self.header.payload_len
    }

    const fn end_offset(&self) -> u64 {
        self.offset + self.payload.len() as u64
    }
}

/// A part of a frame whose payload is not unmasked yet.
pub(crate) struct MaskedPart<'x>(FramePart<'x>);

/// Short enough to stay in the first cache from one step to the next, and long enough that the calls take no time.
const BLOCK: usize = 8 << 10;

impl<'x> MaskedPart<'x> {
    pub(crate) const fn header(&self) -> &FrameHeader {
        &self.0.header
    }

    pub(crate) const fn is_first(&self) -> bool {
        self.0.first
    }

    pub(crate) const fn is_last(&self) -> bool {
        self.0.is_last()
    }

    /// The length of the payload of this part.
    pub(crate) const fn len(&self) -> usize {
        self.0.payload.len()
    }

    /// The number of bytes of the frame that follow this part.
    pub(crate) const fn rest(&self) -> u64 {
        self.0.header.payload_len - self.0.end_offset()
    }

    /// Unmasks the whole payload in place.
    #[inline]
    pub(crate) fn unmask(self) -> FramePart<'x> {
        if let Some(key) = self.0.header.mask {
            apply_mask(self.0.payload, key, self.0.offset);
        }
        self.0
    }

    /// Unmasks the payload in blocks, in order, and passes each to `process` while it is in the cache. Stops at the first
    /// error.
    pub(crate) fn unmask_in_blocks<E>(self, mut process: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let FramePart { header, mut offset, payload, .. } = self.0;
        for block in payload.chunks_mut(BLOCK) {
            if let Some(key) = header.mask {
                apply_mask(block, key, offset);
            }
            offset += block.len() as u64;
            process(block)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;
    use crate::frame::OpCode;

    /// One frame as the decoder returns it: opcode, FIN and whole payload.
    type Frame = (OpCode, bool, Vec<u8>);

    /// The examples of RFC 6455 section 5.7 with their meaning. The masked ones come from a client.
    fn rfc6455_5_7() -> Vec<(Vec<u8>, MaskRule, Vec<Frame>)> {
        let mut kib = vec![0x82, 0x7E, 0x01, 0x00];
        kib.extend([7; 256]);
        let mut large = vec![0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0];
        large.extend(vec![9; 65536]);
        vec![
            (
                vec![0x81, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F],
                MaskRule::Forbidden,
                vec![(OpCode::Text, true, b"Hello".into())],
            ),
            (
                vec![0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58],
                MaskRule::Required,
                vec![(OpCode::Text, true, b"Hello".into())],
            ),
            (
                vec![0x01, 0x03, 0x48, 0x65, 0x6C, 0x80, 0x02, 0x6C, 0x6F],
                MaskRule::Forbidden,
                vec![(OpCode::Text, false, b"Hel".into()), (OpCode::Continuation, true, b"lo".into())],
            ),
            (
                vec![0x89, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F],
                MaskRule::Forbidden,
                vec![(OpCode::Ping, true, b"Hello".into())],
            ),
            (
                vec![0x8A, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58],
                MaskRule::Required,
                vec![(OpCode::Pong, true, b"Hello".into())],
            ),
            (kib, MaskRule::Forbidden, vec![(OpCode::Binary, true, vec![7; 256])]),
            (large, MaskRule::Forbidden, vec![(OpCode::Binary, true, vec![9; 65536])]),
            (vec![0x8A, 0x00], MaskRule::Forbidden, vec![(OpCode::Pong, true, vec![])]),
        ]
    }

    /// Decodes `chunks`, joins the parts of each frame, and checks that their offsets have no gaps.
    fn decode<'c>(mask: MaskRule, chunks: impl Iterator<Item = &'c [u8]>) -> Result<Vec<Frame>, FrameError> {
        let mut decoder = FrameDecoder::new(FrameRules::for_client().mask(mask));
        let mut frames: Vec<Frame> = Vec::new();
        for chunk in chunks {
            let mut bytes = chunk.to_vec();
            let mut input = &mut bytes[..];
            while let Some(part) = decoder.decode(&mut input)? {
                if part.first {
                    frames.push((part.header.opcode, part.header.fin, Vec::new()));
                }
                let payload = &mut frames.last_mut().expect("a first part came first").2;
                assert_eq!(payload.len() as u64, part.offset);
                payload.extend_from_slice(part.payload);
            }
            assert!(input.is_empty(), "everything is taken before more is asked for");
        }
        Ok(frames)
    }

    #[test]
    fn rfc6455_5_7_examples_decode_whole_and_with_a_tail() {
        for (bytes, mask, frames) in rfc6455_5_7() {
            assert_eq!(decode(mask, [&bytes[..]].into_iter()), Ok(frames.clone()));
            let twice = [&bytes[..], &bytes[..]].concat();
            assert_eq!(decode(mask, [&twice[..]].into_iter()), Ok([&frames[..], &frames[..]].concat()));
        }
    }

    #[test]
    fn rfc6455_5_7_examples_decode_byte_by_byte_and_at_every_split() {
        for (bytes, mask, frames) in rfc6455_5_7() {
            assert_eq!(decode(mask, bytes.chunks(1)), Ok(frames.clone()));
            for cut in 0..=bytes.len().min(300) {
                let (head, tail) = bytes.split_at(cut);
                assert_eq!(decode(mask, [head, tail].into_iter()), Ok(frames.clone()), "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_whole_frame_is_unmasked_in_the_callers_own_buffer() {
        let mut bytes = [0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58];
        let payload = bytes[6..].as_ptr();
        let mut decoder = FrameDecoder::new(FrameRules::for_server());
        let part = decoder.decode(&mut &mut bytes[..]).unwrap().unwrap();
        assert_eq!(part.payload.as_ptr(), payload);
        assert_eq!(&bytes[6..], b"Hello");
    }

    #[test]
    fn a_payload_is_unmasked_the_same_in_blocks() {
        let key = [1, 2, 3, 4];
        let payload: Vec<u8> = (0..=u8::MAX).cycle().take(3 * BLOCK + 5).collect();
        let mut masked = payload.clone();
        apply_mask(&mut masked, key, 0);
        let header = FrameHeader::new(OpCode::Binary, true, Some(key), payload.len() as u64);
        for cut in [0, 1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 4] {
            let mut wire = [header.encode(&mut [0; FrameHeader::MAX_LEN]), &masked].concat();
            let at = wire.len() - payload.len() + cut;
            let (head, tail) = wire.split_at_mut(at);
            let mut decoder = FrameDecoder::new(FrameRules::for_server());
            let mut unmasked = Vec::new();
            for mut piece in [head, tail] {
                let part = decoder.decode_masked(&mut piece).unwrap().unwrap();
                assert_eq!(part.rest(), if part.is_first() { (payload.len() - cut) as u64 } else { 0 });
                let copied = part.unmask_in_blocks(|block| {
                    unmasked.extend_from_slice(block);
                    if block.len() <= BLOCK { Ok(()) } else { Err(block.len()) }
                });
                assert_eq!(copied, Ok(()));
            }
            assert!(unmasked == payload, "cut at {cut}");
        }
    }

    #[test]
    fn frames_before_a_bad_header_are_handed_out_first() {
        let mut bytes = [0x81, 0x01, b'a', 0x83, 0x00];
        let mut input = &mut bytes[..];
        let mut decoder = FrameDecoder::new(FrameRules::for_client());
        assert_eq!(decoder.decode(&mut input).unwrap().unwrap().payload, b"a");
        assert_eq!(decoder.decode(&mut input), Err(FrameError::ReservedOpcode));
    }

    #[test]
    fn a_fault_is_seen_at_the_same_byte_however_the_header_is_split() {
        let header = [0x82, 127, 0x80];
        assert_eq!(decode(MaskRule::Forbidden, header.chunks(1)), Err(FrameError::LengthOverflow));
        assert_eq!(decode(MaskRule::Forbidden, header[..2].chunks(1)), Ok(vec![]));
    }

    #[test]
    fn a_length_near_2_to_63_is_followed_without_overflow() {
        let bytes = [0x82, 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3];
        assert_eq!(decode(MaskRule::Forbidden, bytes.chunks(4)), Ok(vec![(OpCode::Binary, true, vec![1, 2, 3])]));
    }

    #[test]
    fn the_first_part_comes_with_the_last_byte_of_the_header() {
        let mut decoder = FrameDecoder::new(FrameRules::for_client());
        let mut header = [0x82, 2];
        let part = decoder.decode(&mut &mut header[..]).unwrap().unwrap();
        assert!(part.first && part.payload.is_empty() && !part.is_last());
        assert_eq!(decoder.decode(&mut &mut [][..]), Ok(None));
        let mut payload = [7, 8];
        let mut input = &mut payload[..];
        let part = decoder.decode(&mut input).unwrap().unwrap();
        assert!(!part.first && part.is_last());
        assert_eq!(part.payload, [7, 8]);
    }
}
