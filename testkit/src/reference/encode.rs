//! An encoder of correct and broken frames.

use super::header::{BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, unmask};

/// A frame with independent header fields: each field has exactly the value that it is given.
///
/// The constructors make correct, unmasked frames; the other methods change one field each.
///
/// ```
/// use multiwa_ws_testkit::reference::{LengthField, RawFrame};
///
/// assert_eq!(RawFrame::text("Hi").encode(), [0x81, 0x02, b'H', b'i']);
/// assert_eq!(RawFrame::text("Hi").length_field(LengthField::Bits16(2)).encode(), [0x81, 126, 0, 2, b'H', b'i']);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawFrame {
    fin: bool,
    /// RSV1 to RSV3 as a number of three bits.
    rsv: u8,
    opcode: u8,
    masking_key: Option<[u8; 4]>,
    length_field: Option<LengthField>,
    payload: Vec<u8>,
}

/// How the header encodes the payload length, independent of the real length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthField {
    /// In the seven bits of the second byte: 0 to 125. Larger numbers are truncated to seven bits.
    Bits7(u8),
    /// In two additional bytes.
    Bits16(u16),
    /// In eight additional bytes.
    Bits64(u64),
}

impl LengthField {
    /// The shortest encoding for `length` bytes.
    #[must_use]
    pub fn shortest(length: u64) -> Self {
        if let Some(length) = u8::try_from(length).ok().filter(|length| *length <= 125) {
            return Self::Bits7(length);
        }
        u16::try_from(length).map_or(Self::Bits64(length), Self::Bits16)
    }
}

impl RawFrame {
    /// A final frame with this opcode. Only the low four bits are used.
    #[must_use]
    pub fn new(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self { fin: true, rsv: 0, opcode, masking_key: None, length_field: None, payload: payload.into() }
    }

    /// A final text frame.
    #[must_use]
    pub fn text(payload: impl Into<Vec<u8>>) -> Self {
        Self::new(TEXT, payload)
    }

    /// A final binary frame.
    #[must_use]
    pub fn binary(payload: impl Into<Vec<u8>>) -> Self {
        Self::new(BINARY, payload)
    }

    /// A final continuation frame.
    #[must_use]
    pub fn continuation(payload: impl Into<Vec<u8>>) -> Self {
        Self::new(CONTINUATION, payload)
    }

    /// A Ping frame.
    #[must_use]
    pub fn ping(payload: impl Into<Vec<u8>>) -> Self {
        Self::new(PING, payload)
    }

    /// A Pong frame.
    #[must_use]
    pub fn pong(payload: impl Into<Vec<u8>>) -> Self {
        Self::new(PONG, payload)
    }

    /// A Close frame with any status code and any reason.
    #[must_use]
    pub fn close(code: u16, reason: impl AsRef<[u8]>) -> Self {
        Self::new(CLOSE, [&code.to_be_bytes(), reason.as_ref()].concat())
    }

    /// A Close frame with this body, which may be empty or too short.
    #[must_use]
    pub fn close_with_body(body: impl Into<Vec<u8>>) -> Self {
        Self::new(CLOSE, body)
    }

    /// Clears FIN: the message goes on.
    #[must_use]
    pub fn not_final(self) -> Self {
        Self { fin: false, ..self }
    }

    /// Sets the reserved bits: RSV1 is 4, RSV2 is 2, RSV3 is 1.
    #[must_use]
    pub fn rsv(self, rsv: u8) -> Self {
        Self { rsv, ..self }
    }

    /// Masks the payload with `key`.
    #[must_use]
    pub fn masked(self, key: [u8; 4]) -> Self {
        Self { masking_key: Some(key), ..self }
    }

    /// Encodes the length in this way and with this value.
    #[must_use]
    pub fn length_field(self, length_field: LengthField) -> Self {
        Self { length_field: Some(length_field), ..self }
    }

    /// The frame's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let first = u8::from(self.fin) << 7 | (self.rsv & 0b111) << 4 | self.opcode & 0b1111;
        let mask_bit = u8::from(self.masking_key.is_some()) << 7;
        let mut bytes = vec![first];
        match self.length_field.unwrap_or(LengthField::shortest(self.payload.len() as u64)) {
            LengthField::Bits7(length) => bytes.push(mask_bit | length & 0b0111_1111),
            LengthField::Bits16(length) => {
                bytes.push(mask_bit | 126);
                bytes.extend(length.to_be_bytes());
            }
            LengthField::Bits64(length) => {
                bytes.push(mask_bit | 127);
                bytes.extend(length.to_be_bytes());
            }
        }
        if let Some(key) = self.masking_key {
            bytes.extend(key);
        }
        bytes.extend(unmask(&self.payload, self.masking_key));
        bytes
    }
}
