//! Compares a closed connection with the result of the reference parser.

use multiwa_ws_core::frame::{CloseCode, FrameError};
use multiwa_ws_core::websocket::{Closed, ProtocolError};

use crate::reference::{Delivered, Kind, Outcome, ParseOptions, Role, parse};
use crate::simulator::{Broken, Said};

/// One end of a connection after it has read the bytes of the other end.
pub(super) struct Case<'a> {
    /// Who sent the bytes.
    pub(super) sender: Role,
    /// The bytes that the end took while it read. They may be damaged.
    pub(super) read: &'a [u8],
    pub(super) compresses: bool,
    pub(super) said: &'a [Said],
    pub(super) violation: Option<ProtocolError>,
    pub(super) closed: Option<Closed>,
}

impl Case<'_> {
    /// Compares the end with the result of the reference parser for the same bytes.
    pub(super) fn verify(&self) -> Result<(), Broken> {
        let parsed = parse(self.sender, self.read, ParseOptions { rsv1_allowed: self.compresses });
        let expected: Option<Vec<Said>> = parsed.delivered.into_iter().map(said).collect();
        let (closes, said): (Vec<_>, Vec<_>) = self.said.iter().partition(|said| matches!(said, Said::Close(_)));
        if let Some(expected) = expected {
            let expected: Vec<&Said> = expected.iter().collect();
            let common = expected.get(..said.len());
            Broken::unless(common == Some(&said[..]), || format!("heard {said:?}; the reference reads {expected:?}"))?;
            // A receiver can stop at a limit before it finds an invalid byte.
            let early = self.violation.is_some_and(|error| is_limit(error) || self.is_inside(error));
            let whole = said.len() == expected.len() || early;
            Broken::unless(whole, || format!("heard {} of {} messages", said.len(), expected.len()))?;
        }
        match (parsed.outcome, self.violation) {
            (_, Some(error)) if is_limit(error) || self.is_inside(error) => Ok(()),
            (Outcome::Violation { rule, .. }, Some(error)) => {
                let (ours, theirs) = (error.close_code().get(), rule.close_code());
                Broken::unless(ours == theirs, || format!("{error:?} where the reference finds {rule:?}"))
            }
            // The end may report the violation as late as the end of the frame.
            (Outcome::Violation { .. }, None) if !begins_with_frame(self.read.get(parsed.consumed..)) => Ok(()),
            (Outcome::Violation { rule, proven_by }, None) => {
                Err(Broken(format!("passed {rule:?}, which {proven_by} bytes of {} prove", self.read.len())))
            }
            (_, Some(error)) => Err(Broken(format!("{error:?} where the reference finds nothing"))),
            (Outcome::Closed { code, .. }, None) => {
                Broken::unless(closes == [&Said::Close(code)], || {
                    format!("heard {closes:?}, not a Close with {code:?}")
                })?;
                let code = code.map_or(CloseCode::NO_STATUS, CloseCode::new);
                let told = self.closed.map(|closed| closed.code);
                Broken::unless(told == Some(code), || format!("told {told:?} of a Close with {code:?}"))
            }
            (Outcome::Incomplete, None) => {
                Broken::unless(closes.is_empty(), || format!("heard {closes:?} that nobody sent"))?;
                let unclean = self.closed.is_some_and(|closed| !closed.clean && closed.code == CloseCode::ABNORMAL);
                Broken::unless(unclean, || format!("told {:?} although no Close came", self.closed))
            }
        }
    }

    /// The reference parser does not look inside compressed messages.
    fn is_inside(&self, error: ProtocolError) -> bool {
        self.compresses && matches!(error, ProtocolError::InvalidDeflate | ProtocolError::InvalidText)
    }
}

/// Whether `bytes` begin with a complete frame, according to its length (RFC 6455 section 5.2).
fn begins_with_frame(bytes: Option<&[u8]>) -> bool {
    let Some([_, second, rest @ ..]) = bytes else { return false };
    let (extended, length) = match second & 0x7F {
        126 => (2, rest.first_chunk().map(|length| u64::from(u16::from_be_bytes(*length)))),
        127 => (8, rest.first_chunk().map(|length| u64::from_be_bytes(*length))),
        length => (0, Some(u64::from(length))),
    };
    let masking_key = if second & 0x80 == 0 { 0 } else { 4 };
    let payload = rest.len().saturating_sub(extended + masking_key);
    length.is_some_and(|length| rest.len() >= extended + masking_key && length <= payload as u64)
}

/// Whether the error is about a limit and not about the grammar.
fn is_limit(error: ProtocolError) -> bool {
    matches!(
        error,
        ProtocolError::MessageTooLarge
            | ProtocolError::TooManyFragments
            | ProtocolError::MessageTimeout
            | ProtocolError::Frame(FrameError::TooLarge)
    )
}

/// `None` for a compressed message.
fn said(delivered: Delivered) -> Option<Said> {
    match delivered {
        Delivered::Message { compressed: true, .. } => None,
        Delivered::Message { kind: Kind::Text, data, .. } => String::from_utf8(data).ok().map(Said::Text),
        Delivered::Message { kind: Kind::Binary, data, .. } => Some(Said::Binary(data)),
        Delivered::Ping(payload) => Some(Said::Ping(payload)),
        Delivered::Pong(payload) => Some(Said::Pong(payload)),
    }
}
