//! The header of a frame: RFC 6455 section 5.2.

use super::reserved::ReservedBits;
use super::rules::{FrameRules, MaskRule};

/// The opcode of a frame: the type of its content (RFC 6455 section 5.2). Reserved opcodes have no variant, because the
/// decoder refuses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OpCode {
    /// `0x0`: the next fragment of the current message.
    Continuation = 0x0,
    /// `0x1`: the first or only fragment of a text message.
    Text = 0x1,
    /// `0x2`: the first or only fragment of a binary message.
    Binary = 0x2,
    /// `0x8`: the last frame a peer sends.
    Close = 0x8,
    /// `0x9`: requests a Pong.
    Ping = 0x9,
    /// `0xA`: answers a Ping, or is an unsolicited heartbeat.
    Pong = 0xA,
}

impl OpCode {
    /// Whether this is Close, Ping or Pong: at most 125 bytes and never fragmented (RFC 6455 section 5.5).
    #[must_use]
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }

    const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }
}

/// The header of one frame (RFC 6455 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Whether this frame ends its message.
    pub fin: bool,
    /// The extension bits that are set.
    pub reserved: ReservedBits,
    /// The opcode.
    pub opcode: OpCode,
    /// The masking key: present in frames of a client, absent in frames of a server (section 5.1).
    pub mask: Option<[u8; 4]>,
    /// Length of the payload in bytes, below 2^63.
    pub payload_len: u64,
}

impl FrameHeader {
    /// The longest header: 2 bytes, 8 of extended length and 4 of masking key.
    pub const MAX_LEN: usize = 14;

    /// A header without extension bits.
    #[must_use]
    pub const fn new(opcode: OpCode, fin: bool, mask: Option<[u8; 4]>, payload_len: u64) -> Self {
        Self { fin, reserved: ReservedBits::NONE, opcode, mask, payload_len }
    }

    /// Writes the header to the front of `buffer` and returns the written part, 2 to 14 bytes, with the shortest length
    /// field that fits (RFC 6455 section 5.2: the minimal number of bytes must be used).
    #[must_use]
    #[inline]
    pub fn encode<'b>(&self, buffer: &'b mut [u8; Self::MAX_LEN]) -> &'b [u8] {
        let mask_bit = if self.mask.is_some() { MASK } else { 0 };
        buffer[0] = if self.fin { FIN } else { 0 } | self.reserved.bits() | self.opcode as u8;
        let len = self.payload_len.to_be_bytes();
        let mut at = match self.payload_len {
            0..=125 => {
                buffer[1] = mask_bit | len[7];
                2
            }
            126..=0xFFFF => {
                buffer[1] = mask_bit | LEN_16;
                [buffer[2], buffer[3]] = [len[6], len[7]];
                4
            }
            _ => {
                buffer[1] = mask_bit | LEN_64;
                if let Some(field) = buffer.get_mut(2..10) {
                    field.copy_from_slice(&len);
                }
                10
            }
        };
        if let Some(key) = self.mask {
            if let Some(field) = buffer.get_mut(at..at + 4) {
                field.copy_from_slice(&key);
            }
            at += 4;
        }
        buffer.get(..at).unwrap_or_default()
    }

    /// Reads a header from the front of `bytes`. Returns the header and its length in bytes, or `None` while it is
    /// incomplete.
    ///
    /// Every error is reported at the earliest byte that shows it, even if the header is incomplete.
    ///
    /// # Errors
    /// The rule of the RFC or of `rules` that the header violates.
    #[inline]
    pub fn parse(bytes: &[u8], rules: &FrameRules) -> Result<Option<(Self, usize)>, FrameError> {
        let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
        let (reserved, opcode) = parse_first(first, rules)?;
        let fin = first & FIN != 0;
        let Some((&second, rest)) = rest.split_first() else { return Ok(None) };
        let short = parse_second(second, opcode, rules)?;

        let (payload_len, rest, len_field) = match short {
            LEN_16 => match rest.split_first_chunk::<2>() {
                Some((field, rest)) => (u64::from(u16::from_be_bytes(*field)), rest, 2),
                None => return Ok(None),
            },
            LEN_64 => match rest.split_first_chunk::<8>() {
                Some((field, rest)) => (u64::from_be_bytes(*field), rest, 8),
                // The most significant bit is in the first byte of the field.
                None if rest.first().is_some_and(|first| first & 0x80 != 0) => return Err(FrameError::LengthOverflow),
                // If all bytes before the last two are zero, a length of 16 bits is enough.
                None if rest.starts_with(&[0; 6]) => return Err(FrameError::NonMinimalLength),
                None => return Ok(None),
            },
            len => (u64::from(len), rest, 0),
        };
        check_len(payload_len, short, rules)?;

        let mask = match rules.mask {
            MaskRule::Forbidden => None,
            MaskRule::Required => match rest.first_chunk::<4>() {
                Some(key) => Some(*key),
                None => return Ok(None),
            },
        };
        let len = 2 + len_field + if mask.is_some() { 4 } else { 0 };
        Ok(Some((Self { fin, reserved, opcode, mask, payload_len }, len)))
    }
}

pub(super) const FIN: u8 = 0x80;
pub(super) const MASK: u8 = 0x80;
pub(super) const LEN_16: u8 = 126;
const LEN_64: u8 = 127;

#[inline]
fn parse_first(first: u8, rules: &FrameRules) -> Result<(ReservedBits, OpCode), FrameError> {
    let reserved = ReservedBits::of_first_byte(first);
    // Section 5.2: an unknown opcode fails the connection.
    let Some(opcode) = OpCode::from_bits(first & 0x0F) else {
        return Err(FrameError::ReservedOpcode);
    };
    // Section 5.2: a set bit must have been negotiated. The extension bits here are those of RFC 7692 section 6: they
    // are set on the first frame of a data message, never on a continuation or a control frame.
    let owned = match opcode {
        OpCode::Text | OpCode::Binary => rules.reserved,
        _ => ReservedBits::NONE,
    };
    if !owned.contains(reserved) {
        return Err(FrameError::ReservedBits);
    }
    // Section 5.5: control frames must not be fragmented.
    if opcode.is_control() && first & FIN == 0 {
        return Err(FrameError::FragmentedControl);
    }
    Ok((reserved, opcode))
}

/// Checks the mask bit and the 7-bit length, and returns the length.
#[inline]
fn parse_second(second: u8, opcode: OpCode, rules: &FrameRules) -> Result<u8, FrameError> {
    // Section 5.1: a server fails the connection on an unmasked frame, a client on a masked one.
    match (rules.mask, second & MASK != 0) {
        (MaskRule::Required, false) => return Err(FrameError::Unmasked),
        (MaskRule::Forbidden, true) => return Err(FrameError::Masked),
        _ => {}
    }
    let short = second & !MASK;
    // Section 5.5: control frames have a payload of 125 bytes or less.
    if opcode.is_control() && short >= LEN_16 {
        return Err(FrameError::ControlTooLong);
    }
    Ok(short)
}

#[inline]
fn check_len(len: u64, short: u8, rules: &FrameRules) -> Result<(), FrameError> {
    // Section 5.2: the most significant bit must be 0.
    if len >> 63 != 0 {
        return Err(FrameError::LengthOverflow);
    }
    // Section 5.2: the minimal number of bytes must be used to encode the length.
    if (short == LEN_16 && len < 126) || (short == LEN_64 && len <= 0xFFFF) {
        return Err(FrameError::NonMinimalLength);
    }
    // Section 10.4: the length is compared as u64, before any cast, so that no platform truncates it.
    if len > rules.max_payload_len {
        return Err(FrameError::TooLarge);
    }
    Ok(())
}

/// A rule that the header of a received frame violates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// RFC 6455 section 5.2, or RFC 7692 section 6.1: a reserved bit that no negotiated extension uses on this frame.
    #[error("a reserved bit is set, and no negotiated extension allows it on this frame")]
    ReservedBits,
    /// RFC 6455 section 5.2: opcodes 3 to 7 and 11 to 15.
    #[error("the opcode is reserved")]
    ReservedOpcode,
    /// RFC 6455 section 5.5: a Close, Ping or Pong without FIN.
    #[error("a control frame is fragmented")]
    FragmentedControl,
    /// RFC 6455 section 5.5: a Close, Ping or Pong of more than 125 bytes.
    #[error("a control frame is longer than 125 bytes")]
    ControlTooLong,
    /// RFC 6455 section 5.1: a frame from a client without a masking key.
    #[error("a frame from the client is not masked")]
    Unmasked,
    /// RFC 6455 section 5.1: a frame from a server with a masking key.
    #[error("a frame from the server is masked")]
    Masked,
    /// RFC 6455 section 5.2: a length of 2^63 or more.
    #[error("the payload length has its most significant bit set")]
    LengthOverflow,
    /// RFC 6455 section 5.2: a length field longer than its value needs.
    #[error("the payload length is not encoded in the fewest bytes")]
    NonMinimalLength,
    /// RFC 6455 section 10.4: a payload over [`FrameRules::max_payload_len`].
    #[error("the frame is larger than the limit")]
    TooLarge,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<Option<(FrameHeader, usize)>, FrameError> {
        FrameHeader::parse(bytes, &FrameRules::for_client())
    }

    #[test]
    fn every_length_class_survives_encode_and_parse() {
        for payload_len in [0, 1, 125, 126, 0xFFFF, 0x1_0000, (1 << 63) - 1] {
            for mask in [None, Some([1, 2, 3, 4])] {
                let header = FrameHeader::new(OpCode::Binary, true, mask, payload_len);
                let rules = if mask.is_some() { FrameRules::for_server() } else { FrameRules::for_client() };
                let mut buffer = [0; FrameHeader::MAX_LEN];
                let bytes = header.encode(&mut buffer);
                assert_eq!(FrameHeader::parse(bytes, &rules), Ok(Some((header, bytes.len()))));
                for cut in 0..bytes.len() {
                    assert_eq!(FrameHeader::parse(&bytes[..cut], &rules), Ok(None), "cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn rfc6455_5_2_reserved_bits_need_an_owner_and_a_first_data_frame() {
        for bits in [0x40, 0x20, 0x10] {
            for opcode in [0x0, 0x1, 0x2, 0x8, 0x9, 0xA] {
                assert_eq!(parse(&[0x80 | bits | opcode]), Err(FrameError::ReservedBits));
            }
        }
        let rules = FrameRules::for_client().reserved(ReservedBits::RSV1);
        assert!(FrameHeader::parse(&[0xC1, 0], &rules).is_ok());
        assert!(FrameHeader::parse(&[0x42, 0], &rules).is_ok());
        for first in [0xC0, 0xC8, 0xC9, 0xCA, 0xE1, 0xD1] {
            assert_eq!(FrameHeader::parse(&[first], &rules), Err(FrameError::ReservedBits));
        }
    }

    #[test]
    fn rfc6455_5_2_reserved_opcodes_are_refused_at_the_first_byte() {
        for opcode in (0x3..=0x7).chain(0xB..=0xF) {
            assert_eq!(parse(&[0x80 | opcode]), Err(FrameError::ReservedOpcode));
        }
    }

    #[test]
    fn rfc6455_5_5_control_frames_are_whole_and_short() {
        for opcode in [0x8, 0x9, 0xA] {
            assert_eq!(parse(&[opcode]), Err(FrameError::FragmentedControl));
            assert_eq!(parse(&[0x80 | opcode, 126]), Err(FrameError::ControlTooLong));
            assert_eq!(parse(&[0x80 | opcode, 127]), Err(FrameError::ControlTooLong));
            assert!(parse(&[0x80 | opcode, 125]).is_ok());
        }
    }

    #[test]
    fn rfc6455_5_1_the_mask_bit_is_checked_by_role_at_the_second_byte() {
        assert_eq!(parse(&[0x81, 0x80]), Err(FrameError::Masked));
        assert_eq!(FrameHeader::parse(&[0x81, 0x00], &FrameRules::for_server()), Err(FrameError::Unmasked));
    }

    #[test]
    fn rfc6455_5_2_lengths_are_minimal_and_below_2_to_63() {
        assert_eq!(parse(&[0x82, 126, 0, 125]), Err(FrameError::NonMinimalLength));
        assert!(parse(&[0x82, 126, 0, 126]).is_ok());
        assert_eq!(parse(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]), Err(FrameError::NonMinimalLength));
        assert!(parse(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]).is_ok());
        // Six zero bytes show it, with any value of the last two bytes. Five do not.
        assert_eq!(parse(&[0x82, 127, 0, 0, 0, 0, 0, 0]), Err(FrameError::NonMinimalLength));
        assert_eq!(parse(&[0x82, 127, 0, 0, 0, 0, 0]), Ok(None));
        // The first byte of the length already shows it.
        assert_eq!(parse(&[0x82, 127, 0x80]), Err(FrameError::LengthOverflow));
        assert_eq!(parse(&[0x82, 127, 0xFF, 0, 0, 0, 0, 0, 0, 0]), Err(FrameError::LengthOverflow));
    }

    #[test]
    fn a_frame_at_the_limit_passes_and_one_byte_more_does_not() {
        let rules = FrameRules::for_client().max_payload_len(300);
        assert!(FrameHeader::parse(&[0x82, 126, 0x01, 0x2C], &rules).is_ok());
        assert_eq!(FrameHeader::parse(&[0x82, 126, 0x01, 0x2D], &rules), Err(FrameError::TooLarge));
    }

    #[test]
    fn reserved_bits_print_their_names() {
        assert_eq!(alloc::format!("{:?}", ReservedBits::RSV1 | ReservedBits::RSV3), r#"{"RSV1", "RSV3"}"#);
    }
}
