//! An independent, strict reference parser of RFC 6455.
//!
//! It reads a whole byte string at once and returns the correct result for a receiver. It is slow and simple on
//! purpose. It was written only from the text of the RFC and shares no code with the core, so that the two can be
//! compared. It has no limits, because limits are part of the configuration and not of the grammar.
//!
//! [`RawFrame`] writes frames, including frames that no correct peer writes.

mod encode;
mod header;
mod rule;
mod utf8;

pub use encode::{LengthField, RawFrame};
pub use rule::Rule;

use header::{Header, Reading};

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

/// Parses `bytes`: everything that `sender` has sent since the upgrade.
///
/// ```
/// use multiwa_ws_testkit::reference::{Delivered, Kind, ParseOptions, Outcome, Role, parse};
///
/// let parsed = parse(Role::Server, &[0x81, 0x05, b'H', b'e', b'l', b'l', b'o'], ParseOptions::default());
/// assert_eq!(
///     parsed.delivered,
///     [Delivered::Message { kind: Kind::Text, data: b"Hello".to_vec(), compressed: false }]
/// );
/// assert_eq!(parsed.outcome, Outcome::Incomplete);
/// ```
#[must_use]
pub fn parse(sender: Role, bytes: &[u8], options: ParseOptions) -> Parsed {
    let mut parser = Parser { sender, options, message: None, frames: Vec::new(), delivered: Vec::new() };
    let mut consumed = 0;
    let outcome = loop {
        let rest = bytes.get(consumed..).unwrap_or_default();
        match parser.frame(rest) {
            Step::Frame { length } => consumed += length,
            Step::NeedsMore => break Outcome::Incomplete,
            Step::Close { code, reason, length } => {
                consumed += length;
                break Outcome::Closed { code, reason };
            }
            Step::Violation { rule, proven_by } => {
                break Outcome::Violation { rule, proven_by: consumed + proven_by };
            }
        }
    };
    Parsed { frames: parser.frames, delivered: parser.delivered, outcome, consumed }
}

struct Parser {
    sender: Role,
    options: ParseOptions,
    message: Option<Unfinished>,
    frames: Vec<Frame>,
    delivered: Vec<Delivered>,
}

/// A data message whose last frame has not arrived.
struct Unfinished {
    kind: Kind,
    compressed: bool,
    data: Vec<u8>,
}

/// The result of one frame at the start of the remaining input. Lengths count from its first byte.
enum Step {
    Frame { length: usize },
    NeedsMore,
    Close { code: Option<u16>, reason: String, length: usize },
    Violation { rule: Rule, proven_by: usize },
}

impl Parser {
    fn frame(&mut self, bytes: &[u8]) -> Step {
        let header = match header::read(bytes, self.sender, self.options, self.message.is_some()) {
            Reading::Header(header) => header,
            Reading::NeedsMore => return Step::NeedsMore,
            Reading::Violation { rule, proven_by } => return Step::Violation { rule, proven_by },
        };
        let arrived = bytes.get(header.size..).unwrap_or_default();
        let whole = u64::try_from(arrived.len()).is_ok_and(|arrived| arrived >= header.payload_length);
        let payload_length = usize::try_from(header.payload_length).unwrap_or(usize::MAX).min(arrived.len());
        let payload = unmask(arrived.get(..payload_length).unwrap_or_default(), header.masking_key);
        let length = header.size + payload.len();

        let step = if header.is_control() {
            self.control(&header, &payload, whole)
        } else {
            self.data(&header, &payload, whole)
        };
        match step {
            Step::Violation { rule, proven_by } => Step::Violation { rule, proven_by: header.size + proven_by },
            _ if !whole => Step::NeedsMore,
            step => {
                let Header { fin, rsv1, opcode, masking_key, .. } = header;
                self.frames.push(Frame { fin, rsv1, opcode, masking_key, payload });
                match step {
                    Step::Close { code, reason, .. } => Step::Close { code, reason, length },
                    _ => Step::Frame { length },
                }
            }
        }
    }

    /// RFC 6455 section 5.5. `payload` is the part that has arrived. Lengths in the result count from its start.
    fn control(&mut self, header: &Header, payload: &[u8], whole: bool) -> Step {
        let length = payload.len();
        match header.opcode {
            header::CLOSE => return close(payload, whole),
            header::PING if whole => self.delivered.push(Delivered::Ping(payload.to_vec())),
            header::PONG if whole => self.delivered.push(Delivered::Pong(payload.to_vec())),
            _ => return Step::NeedsMore,
        }
        Step::Frame { length }
    }

    /// RFC 6455 sections 5.4 and 5.6. `payload` is the part that has arrived. Lengths in the result count from its
    /// start.
    fn data(&mut self, header: &Header, payload: &[u8], whole: bool) -> Step {
        let mut message = match self.message.take() {
            Some(message) => message,
            None => Unfinished { kind: header.kind(), compressed: header.rsv1, data: Vec::new() },
        };
        let before = message.data.len();
        message.data.extend_from_slice(payload);

        // Section 8.1: text is UTF-8. The check covers the whole message, because a frame may end inside a character.
        let ends = header.fin && whole;
        if message.kind == Kind::Text && !message.compressed {
            match utf8::check(&message.data) {
                utf8::Check::Invalid { proven_by } => {
                    return Step::Violation { rule: Rule::TextNotUtf8, proven_by: proven_by.saturating_sub(before) };
                }
                utf8::Check::EndsInsideCharacter if ends => {
                    return Step::Violation { rule: Rule::TextNotUtf8, proven_by: payload.len() };
                }
                utf8::Check::EndsInsideCharacter | utf8::Check::Valid => {}
            }
        }

        if ends {
            let Unfinished { kind, compressed, data } = message;
            self.delivered.push(Delivered::Message { kind, data, compressed });
        } else {
            self.message = Some(message);
        }
        Step::Frame { length: payload.len() }
    }
}

/// RFC 6455 section 5.5.1.
fn close(payload: &[u8], whole: bool) -> Step {
    let length = payload.len();
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return if whole { Step::Close { code: None, reason: String::new(), length } } else { Step::NeedsMore };
    };
    let code = u16::from_be_bytes(*code);
    if !may_be_sent(code) {
        return Step::Violation { rule: Rule::CloseCode, proven_by: 2 };
    }
    match utf8::check(reason) {
        utf8::Check::Invalid { proven_by } => {
            Step::Violation { rule: Rule::CloseReasonNotUtf8, proven_by: 2 + proven_by }
        }
        utf8::Check::EndsInsideCharacter if whole => {
            Step::Violation { rule: Rule::CloseReasonNotUtf8, proven_by: length }
        }
        utf8::Check::EndsInsideCharacter | utf8::Check::Valid => {
            Step::Close { code: Some(code), reason: String::from_utf8_lossy(reason).into_owned(), length }
        }
    }
}

/// RFC 6455 section 7.4: the codes that may stand in a Close frame.
fn may_be_sent(code: u16) -> bool {
    match code {
        // 7.4.2: not used.
        0..=999 => false,
        // 7.4.1.
        1000..=1003 | 1007..=1011 => true,
        // 7.4.1: reserved without a meaning, or for local use only.
        1004..=1006 | 1015 => false,
        // Registered with IANA later, as section 11.7 allows.
        1012..=1014 => true,
        // 7.4.2: reserved for later revisions of the protocol.
        1016..=2999 => false,
        // 7.4.2: for libraries, and for private use.
        3000..=4999 => true,
        // 7.4.2 defines no further range.
        5000.. => false,
    }
}

/// RFC 6455 section 5.3.
fn unmask(payload: &[u8], masking_key: Option<[u8; 4]>) -> Vec<u8> {
    match masking_key {
        Some(key) => payload.iter().zip(key.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect(),
        None => payload.to_vec(),
    }
}

#[cfg(test)]
mod tests;
