//! The body of a Close frame: RFC 6455 sections 5.5.1 and 7.4.

use core::fmt;

use super::utf8::from_utf8;

/// Why an endpoint closes the connection (RFC 6455 section 7.4).
///
/// It can hold any number. [`is_sendable`](Self::is_sendable) returns whether the number may be in a Close frame.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the server shuts down, or the browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer violated the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: the peer sent a kind of data that is not accepted.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1005: the Close frame had no code. Never sent.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006: the connection ended without a Close frame. Never sent.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: the data of a message does not match its type, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: a policy was violated.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message was too big to process.
    pub const TOO_BIG: Self = Self(1009);
    /// 1010: the client requires an extension that the server did not negotiate.
    pub const MISSING_EXTENSION: Self = Self(1010);
    /// 1011: the server met an unexpected condition.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the server restarts (IANA registry).
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: the server is overloaded; try again later (IANA registry).
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got an invalid answer from upstream (IANA registry).
    pub const BAD_GATEWAY: Self = Self(1014);
    /// 1015: the TLS handshake failed. Never sent.
    pub const TLS_HANDSHAKE: Self = Self(1015);

    /// Creates a close code from any number, even one that must not be sent.
    #[must_use]
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// The code as a number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether the code may be in a Close frame: RFC 6455 section 7.4.1 defines it, IANA has registered it for this
    /// use, or it is from 3000 to 4999, which section 7.4.2 leaves to libraries and applications.
    #[must_use]
    pub const fn is_sendable(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The body of a Close frame that has one (RFC 6455 section 5.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseFrame<'a> {
    /// Why the sender closes.
    pub code: CloseCode,
    /// Text that explains it, at most 123 bytes; often empty.
    pub reason: &'a str,
}

impl<'a> CloseFrame<'a> {
    /// The longest reason: the payload of a control frame without the code.
    pub const MAX_REASON_LEN: usize = 123;

    /// Reads the payload of a Close frame: `None` when it is empty.
    ///
    /// # Errors
    /// The rule that the payload violates.
    pub fn parse(payload: &'a [u8]) -> Result<Option<Self>, InvalidClose> {
        if payload.is_empty() {
            return Ok(None);
        }
        // Section 5.5.1: if there is a body, its first two bytes are the code.
        let Some((code, reason)) = payload.split_first_chunk::<2>() else {
            return Err(InvalidClose::Truncated);
        };
        // Section 7.4.1: 1004, 1005, 1006 and 1015 must not be sent; section 7.4.2: undefined codes must not be sent
        // either.
        let code = CloseCode(u16::from_be_bytes(*code));
        if !code.is_sendable() {
            return Err(InvalidClose::Code);
        }
        // Section 5.5.1: the rest is UTF-8.
        let reason = from_utf8(reason).map_err(|_| InvalidClose::Reason)?;
        Ok(Some(Self { code, reason }))
    }
}

/// A rule that the payload of a received Close frame violates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidClose {
    /// RFC 6455 section 5.5.1: a body of a single byte.
    #[error("the Close frame has a body of one byte")]
    Truncated,
    /// RFC 6455 section 7.4: a code that must not be sent.
    #[error("the Close frame has a code that must not be sent")]
    Code,
    /// RFC 6455 section 5.5.1: a reason that is not UTF-8.
    #[error("the reason of the Close frame is not valid UTF-8")]
    Reason,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_code(code: u16) -> Result<Option<CloseFrame<'static>>, InvalidClose> {
        CloseFrame::parse(&code.to_be_bytes()).map(|frame| frame.map(|frame| CloseFrame { reason: "", ..frame }))
    }

    #[test]
    fn rfc6455_7_4_codes_that_must_not_be_sent_are_refused() {
        for code in (0..=999).chain([1004, 1005, 1006]).chain(1015..=2999).chain(5000..=u16::MAX) {
            assert_eq!(parse_code(code), Err(InvalidClose::Code), "code {code}");
        }
        for code in (1000..=1003).chain(1007..=1014).chain(3000..=4999) {
            assert_eq!(parse_code(code), Ok(Some(CloseFrame { code: CloseCode(code), reason: "" })));
        }
    }

    #[test]
    fn rfc6455_5_5_1_a_body_is_empty_or_begins_with_a_code() {
        assert_eq!(CloseFrame::parse(b""), Ok(None));
        assert_eq!(CloseFrame::parse(b"\x03"), Err(InvalidClose::Truncated));
        let frame = CloseFrame { code: CloseCode::NORMAL, reason: "bye" };
        assert_eq!(CloseFrame::parse(b"\x03\xE8bye"), Ok(Some(frame)));
    }

    #[test]
    fn rfc6455_5_5_1_a_reason_is_utf8() {
        assert_eq!(CloseFrame::parse(b"\x03\xE8\xFF"), Err(InvalidClose::Reason));
        assert_eq!(CloseFrame::parse(b"\x03\xE8\xE2\x82"), Err(InvalidClose::Reason));
    }
}
