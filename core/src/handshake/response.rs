//! A server's refusal, read by a client.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
#[cfg(feature = "session")]
use core::time::Duration;

#[cfg(feature = "session")]
use jiff::Timestamp;
#[cfg(feature = "session")]
use jiff::fmt::rfc2822::DateTimeParser;

use super::headers::Headers;

/// An HTTP response other than 101: the server refuses to open a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status, such as 401, 404 or 503.
    pub status: u16,
    /// Every header of the response.
    pub headers: Headers,
    /// The body, up to [`HandshakeLimits::max_body_bytes`](super::HandshakeLimits::max_body_bytes).
    pub body: Vec<u8>,
    /// Whether `body` is the whole body: it was not truncated at the limit, by a lost connection or at the deadline.
    pub complete: bool,
}

impl Response {
    /// The body as text, with invalid UTF-8 replaced.
    ///
    /// It comes from the network: remove control characters before you print it to a terminal.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// How long the server asks the client to wait before it tries again (RFC 9110 section 10.2.3).
    ///
    /// `Retry-After` is seconds or a date. A date is compared with the response's own `Date`, so that no clock is needed.
    /// Without a `Date` it is ignored.
    #[cfg(feature = "session")]
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let value = self.headers.get_str("Retry-After")?;
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            // A number beyond 64 bits counts as the largest duration.
            return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
        }
        let wait = date(value)?.duration_since(date(self.headers.get_str("Date")?)?);
        Some(Duration::try_from(wait).unwrap_or_default())
    }

    /// The target of a redirect (RFC 9110 section 10.2.2): an absolute or a relative reference.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.headers.get_str("Location").filter(|_| matches!(self.status, 301 | 302 | 303 | 307 | 308))
    }

    /// The protocol versions that the server supports instead of 13 (RFC 6455 section 4.4), in the server's order.
    pub fn versions(&self) -> impl Iterator<Item = &str> {
        self.headers.list("Sec-WebSocket-Version").filter_map(|version| core::str::from_utf8(version).ok())
    }
}

/// Parses the date format that RFC 9110 section 5.6.7 requires of every sender.
#[cfg(feature = "session")]
fn date(value: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(fields: &[(&str, &str)]) -> Response {
        let mut headers = Headers::new();
        for (name, value) in fields {
            headers.append(name, value).unwrap();
        }
        Response { status: 503, headers, body: Vec::new(), complete: true }
    }

    #[cfg(feature = "session")]
    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = ("Date", "Sun, 06 Nov 1994 08:49:37 GMT");
        for (fields, expected) in [
            (&[][..], None),
            (&[("Retry-After", "120")], Some(120)),
            (&[("Retry-After", "0")], Some(0)),
            (&[("Retry-After", "99999999999999999999999")], Some(u64::MAX)),
            (&[("Retry-After", "-1")], None),
            (&[("Retry-After", "1.5")], None),
            (&[("Retry-After", "")], None),
            (&[("Retry-After", "soon"), now], None),
            (&[("Retry-After", "Sun, 06 Nov 1994 08:50:07 GMT"), now], Some(30)),
            (&[("Retry-After", "Sun, 06 Nov 1994 08:49:07 GMT"), now], Some(0)),
            (&[("Retry-After", "Sun, 06 Nov 1994 08:50:07 GMT")], None),
        ] {
            assert_eq!(refusal(fields).retry_after(), expected.map(Duration::from_secs), "{fields:?}");
        }
    }

    #[test]
    fn only_a_redirect_has_a_location() {
        let mut refusal = refusal(&[("Location", "/other")]);
        assert_eq!(refusal.location(), None);
        refusal.status = 307;
        assert_eq!(refusal.location(), Some("/other"));
    }

    #[test]
    fn the_versions_of_the_server_are_listed() {
        let refusal = refusal(&[("Sec-WebSocket-Version", "13, 8"), ("Sec-WebSocket-Version", "7")]);
        assert_eq!(refusal.versions().collect::<Vec<_>>(), ["13", "8", "7"]);
    }
}
