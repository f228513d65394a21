//! The header of one frame, read byte by byte (RFC 6455 section 5.2), and its masking key (section 5.3).

use super::{Kind, ParseOptions, Role, Rule};

pub(super) const CONTINUATION: u8 = 0x0;
pub(super) const TEXT: u8 = 0x1;
pub(super) const BINARY: u8 = 0x2;
pub(super) const CLOSE: u8 = 0x8;
pub(super) const PING: u8 = 0x9;
pub(super) const PONG: u8 = 0xA;

/// The header of one frame, without a violation.
pub(super) struct Header {
    pub(super) fin: bool,
    pub(super) rsv1: bool,
    pub(super) opcode: u8,
    pub(super) masking_key: Option<[u8; 4]>,
    pub(super) payload_length: u64,
    /// The number of bytes that the header takes.
    pub(super) size: usize,
}

impl Header {
    pub(super) fn is_control(&self) -> bool {
        self.opcode >= CLOSE
    }

    /// The kind of message that this frame begins.
    pub(super) fn kind(&self) -> Kind {
        if self.opcode == TEXT { Kind::Text } else { Kind::Binary }
    }
}

pub(super) enum Reading {
    Header(Header),
    NeedsMore,
    /// The first `proven_by` bytes of the header break the rule.
    Violation {
        rule: Rule,
        proven_by: usize,
    },
}

/// Reads the header at the start of `bytes`. `inside_message` says that an unfinished data message needs a
/// continuation.
pub(super) fn read(bytes: &[u8], sender: Role, options: ParseOptions, inside_message: bool) -> Reading {
    let mut bytes = Bytes { bytes, taken: 0 };
    match read_fields(&mut bytes, sender, options, inside_message) {
        Ok(header) => Reading::Header(header),
        Err(Stop::NeedsMore) => Reading::NeedsMore,
        Err(Stop::Violation(rule)) => Reading::Violation { rule, proven_by: bytes.taken },
    }
}

/// RFC 6455 section 5.3: masking and unmasking are the same.
pub(super) fn unmask(payload: &[u8], masking_key: Option<[u8; 4]>) -> Vec<u8> {
    match masking_key {
        Some(key) => payload.iter().zip(key.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect(),
        None => payload.to_vec(),
    }
}

fn read_fields(
    bytes: &mut Bytes<'_>,
    sender: Role,
    options: ParseOptions,
    inside_message: bool,
) -> Result<Header, Stop> {
    let first = bytes.next()?;
    let fin = first & 0b1000_0000 != 0;
    let rsv1 = first & 0b0100_0000 != 0;
    let rsv2_or_rsv3 = first & 0b0011_0000 != 0;
    let opcode = first & 0b0000_1111;

    // "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values."
    require(!rsv2_or_rsv3, Rule::ReservedBit)?;
    require(!rsv1 || options.rsv1_allowed, Rule::ReservedBit)?;
    require(matches!(opcode, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG), Rule::ReservedOpcode)?;
    // RFC 7692 section 6: the bit is only set on the first frame of a data message.
    require(!rsv1 || matches!(opcode, TEXT | BINARY), Rule::MisplacedRsv1)?;
    // Section 5.5: "All control frames [...] MUST NOT be fragmented."
    require(fin || opcode < CLOSE, Rule::FragmentedControl)?;
    // Section 5.4: a continuation continues a message, and no other message may come between its frames.
    require(opcode != CONTINUATION || inside_message, Rule::NothingToContinue)?;
    require(!matches!(opcode, TEXT | BINARY) || !inside_message, Rule::DataInsideMessage)?;

    let second = bytes.next()?;
    let masked = second & 0b1000_0000 != 0;
    let short_length = second & 0b0111_1111;
    // Section 5.1.
    match sender {
        Role::Client => require(masked, Rule::ClientMustMask)?,
        Role::Server => require(!masked, Rule::ServerMustNotMask)?,
    }
    if opcode >= CLOSE {
        // Section 5.5: "All control frames MUST have a payload length of 125 bytes or less".
        require(short_length <= 125, Rule::ControlTooLong)?;
        // Section 5.5.1: "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned integer".
        require(opcode != CLOSE || short_length != 1, Rule::CloseBodyTooShort)?;
    }

    let payload_length = match short_length {
        126 => read_16_bit_length(bytes)?,
        127 => read_64_bit_length(bytes)?,
        length => u64::from(length),
    };
    let masking_key = if masked { Some([bytes.next()?, bytes.next()?, bytes.next()?, bytes.next()?]) } else { None };
    Ok(Header { fin, rsv1, opcode, masking_key, payload_length, size: bytes.taken })
}

/// "Note that in all cases, the minimal number of bytes MUST be used to encode the length".
fn read_16_bit_length(bytes: &mut Bytes<'_>) -> Result<u64, Stop> {
    let length = u16::from_be_bytes([bytes.next()?, bytes.next()?]);
    require(length > 125, Rule::LengthNotMinimal)?;
    Ok(u64::from(length))
}

fn read_64_bit_length(bytes: &mut Bytes<'_>) -> Result<u64, Stop> {
    let mut length = u64::from(bytes.next()?);
    // "the most significant bit MUST be 0"
    require(length < 0b1000_0000, Rule::LengthTooLarge)?;
    for _ in 1..6 {
        length = length << 8 | u64::from(bytes.next()?);
    }
    // Two bytes remain. If all others are zero, 16 bits are enough.
    require(length > 0, Rule::LengthNotMinimal)?;
    for _ in 6..8 {
        length = length << 8 | u64::from(bytes.next()?);
    }
    Ok(length)
}

enum Stop {
    NeedsMore,
    Violation(Rule),
}

fn require(kept: bool, rule: Rule) -> Result<(), Stop> {
    if kept { Ok(()) } else { Err(Stop::Violation(rule)) }
}

struct Bytes<'a> {
    bytes: &'a [u8],
    taken: usize,
}

impl Bytes<'_> {
    fn next(&mut self) -> Result<u8, Stop> {
        let byte = self.bytes.get(self.taken).copied().ok_or(Stop::NeedsMore)?;
        self.taken += 1;
        Ok(byte)
    }
}
