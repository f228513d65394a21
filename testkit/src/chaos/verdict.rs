//! Compares a closed connection with the result of the reference parser.

use multiwa_ws_core::frame::{CloseCode, FrameError};
use multiwa_ws_core::websocket::{Closed, ProtocolError};

use crate::contract::{ContractViolation, ensure};
use crate::event::OwnedEvent;
use crate::reference::{Delivered, Outcome, ParseOptions, Role, parse};
use crate::wire::begins_with_frame;

/// One end of a connection after it has read the bytes of the other end.
pub(super) struct Case<'a> {
    /// Who sent the bytes.
    pub(super) sender: Role,
    /// The bytes that the end took while it read. They may be damaged.
    pub(super) read: &'a [u8],
    pub(super) compresses: bool,
    pub(super) events: &'a [OwnedEvent],
    pub(super) violation: Option<ProtocolError>,
    pub(super) closed: Option<Closed>,
}

impl Case<'_> {
    /// Compares the end with the result of the reference parser for the same bytes.
    pub(super) fn verify(&self) -> Result<(), ContractViolation> {
        let parsed = parse(self.sender, self.read, ParseOptions { rsv1_allowed: self.compresses });
        let (closes, events): (Vec<_>, Vec<_>) =
            self.events.iter().cloned().partition(|event| matches!(event, OwnedEvent::Close(_)));
        // The reference parser does not inflate.
        if !parsed.delivered.iter().any(|delivered| matches!(delivered, Delivered::Message { compressed: true, .. })) {
            let expected: Vec<_> = parsed.delivered.into_iter().map(OwnedEvent::from).collect();
            let common = expected.starts_with(&events);
            ensure(common, || format!("received {events:?}; the reference reads {expected:?}"))?;
            // A receiver can stop at a limit before it finds an invalid byte.
            let early = self.violation.is_some_and(|error| is_limit(error) || self.is_inside(error));
            let whole = events.len() == expected.len() || early;
            ensure(whole, || format!("received {} of {} messages", events.len(), expected.len()))?;
        }
        match (parsed.outcome, self.violation) {
            (_, Some(error)) if is_limit(error) || self.is_inside(error) => Ok(()),
            (Outcome::Violation { rule, .. }, Some(error)) => {
                let (ours, theirs) = (error.close_code().get(), rule.close_code());
                ensure(ours == theirs, || format!("{error:?} where the reference finds {rule:?}"))
            }
            // The end may report the violation as late as the end of the frame.
            (Outcome::Violation { .. }, None)
                if !begins_with_frame(self.read.get(parsed.consumed..).unwrap_or_default()) =>
            {
                Ok(())
            }
            (Outcome::Violation { rule, proven_by }, None) => {
                Err(ContractViolation(format!("passed {rule:?}, which {proven_by} bytes of {} prove", self.read.len())))
            }
            (_, Some(error)) => Err(ContractViolation(format!("{error:?} where the reference finds nothing"))),
            (Outcome::Closed { code, reason }, None) => {
                let close = [OwnedEvent::Close(code.map(|code| (code, reason)))];
                ensure(closes == close, || format!("received {closes:?}, not {close:?}"))?;
                let code = code.map_or(CloseCode::NO_STATUS, CloseCode::new);
                let reported = self.closed.map(|closed| closed.code);
                ensure(reported == Some(code), || format!("reports {reported:?} for a Close with {code:?}"))
            }
            (Outcome::Incomplete, None) => {
                ensure(closes.is_empty(), || format!("received {closes:?} that nobody sent"))?;
                let unclean = self.closed.is_some_and(|closed| !closed.clean && closed.code == CloseCode::ABNORMAL);
                ensure(unclean, || format!("reports {:?} although no Close came", self.closed))
            }
        }
    }

    /// The reference parser does not look inside compressed messages.
    fn is_inside(&self, error: ProtocolError) -> bool {
        self.compresses && matches!(error, ProtocolError::InvalidDeflate | ProtocolError::InvalidText)
    }
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
