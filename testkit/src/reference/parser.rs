//! The parser: frames, messages and the closing handshake.

use super::header::{self, Header, Reading, unmask};
use super::{Delivered, Frame, Kind, Outcome, ParseOptions, Parsed, Role, Rule, utf8};

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
