//! An independent, strict reference parser of RFC 6455.
//!
//! It reads a whole byte string at once and returns the correct result for a receiver. It is slow and simple on
//! purpose. It was written only from the text of the RFC and shares no code with the core, so that the two can be
//! compared. It has no limits, because limits are part of the configuration and not of the grammar.
//!
//! [`RawFrame`] writes frames, including frames that no correct peer writes.

mod encode;
mod header;
mod parser;
mod rule;
mod utf8;

pub use encode::{LengthField, RawFrame};
pub use parser::parse;
pub use rule::Rule;

/// Which peer sent the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The peer that opened the connection. It masks every frame.
    Client,
    /// The peer that accepted the connection. It masks no frame.
    Server,
}

/// The result of the upgrade, as far as it concerns frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParseOptions {
    /// An extension uses RSV1 as in RFC 7692 section 6: it is set on the first frame of a compressed message.
    pub rsv1_allowed: bool,
}

/// The parsed bytes of one direction of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The complete frames, in order, up to the frame that ended the connection or broke a rule.
    pub frames: Vec<Frame>,
    /// The messages, Pings and Pongs for the application, in order.
    pub delivered: Vec<Delivered>,
    /// How the byte string ends.
    pub outcome: Outcome,
    /// The number of bytes of the complete frames.
    pub consumed: usize,
}

/// One complete frame, with its payload unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The last frame of its message.
    pub fin: bool,
    /// The first of the three reserved bits.
    pub rsv1: bool,
    /// The four bits of the opcode.
    pub opcode: u8,
    /// The masking key, if the frame was masked.
    pub masking_key: Option<[u8; 4]>,
    /// The payload, unmasked.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The first byte of its header: FIN, the reserved bits and the opcode.
    #[must_use]
    pub fn first(&self) -> u8 {
        u8::from(self.fin) << 7 | u8::from(self.rsv1) << 6 | self.opcode
    }
}

/// One message, Ping or Pong for the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// A complete data message.
    Message {
        /// Text or binary.
        kind: Kind,
        /// The joined payloads of its frames, still compressed if `compressed`.
        data: Vec<u8>,
        /// Whether its first frame had RSV1 set. In that case the parser does not check its text, because it must be
        /// inflated first.
        compressed: bool,
    },
    /// A Ping frame with this payload.
    Ping(Vec<u8>),
    /// A Pong frame with this payload.
    Pong(Vec<u8>),
}

/// The kind of a data message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// How the byte string ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No violation so far, and no Close frame: more bytes may follow.
    Incomplete,
    /// A Close frame arrived. Bytes after it have no meaning (RFC 6455 section 5.5.1).
    Closed {
        /// The status code, if the frame had a body.
        code: Option<u16>,
        /// The reason, empty if there was none.
        reason: String,
    },
    /// A rule was broken.
    Violation {
        /// The first broken rule, in the order of the bytes that show it.
        rule: Rule,
        /// The number of input bytes that prove the violation: every shorter prefix is valid. A parser must not report
        /// the violation earlier, and must report it by the end of that frame.
        proven_by: usize,
    },
}

#[cfg(test)]
mod tests;
