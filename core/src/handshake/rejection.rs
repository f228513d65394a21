//! HTTP responses with which a server refuses a connection.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;

use serde_json::Value;

use super::error::{DecisionError, HeadError, InvalidHeader, RequestError};
use super::headers::Headers;

/// A response that refuses an upgrade.
///
/// The handshake adds `Connection: close` and `Content-Length`. The constructors create MultiWA's refusals
/// (`protocol.md`, Transport), each with a JSON body `{"error":"text for a person","code":"word_for_a_program"}`.
///
/// ```
/// use multiwa_ws_core::handshake::Rejection;
///
/// let rejection = Rejection::unauthorized();
/// assert_eq!(rejection.status, 401);
/// assert_eq!(rejection.body, br#"{"error":"A valid API key is required","code":"unauthorized"}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The status, 300 to 599.
    pub status: u16,
    /// All headers except those that frame the response.
    pub headers: Headers,
    /// The body. Set its `Content-Type` in [`headers`](Self::headers).
    pub body: Vec<u8>,
}

impl Rejection {
    /// A refusal with this status and a JSON body.
    #[must_use]
    pub fn json(status: u16, code: &str, error: &str) -> Self {
        let body = alloc::format!(r#"{{"error":{},"code":{}}}"#, Value::from(error), Value::from(code));
        Self { status, headers: Headers::new(), body: body.into_bytes() }.with("Content-Type", "application/json")
    }

    /// 401: no key, or a wrong one.
    #[must_use]
    pub fn unauthorized() -> Self {
        // RFC 9110 section 15.5.2: a 401 must say how to authenticate.
        Self::json(401, "unauthorized", "A valid API key is required").with("WWW-Authenticate", "Bearer")
    }

    /// 403: the origin or the host is not on the allow-list.
    #[must_use]
    pub fn forbidden() -> Self {
        Self::json(403, "forbidden", "This origin or host is not allowed")
    }

    /// 404: the path is not the server's path.
    #[must_use]
    pub fn not_found() -> Self {
        Self::json(404, "not_found", "There is no WebSocket at this path")
    }

    /// 429: this client connects too often. `retry_after` is rounded up to whole seconds.
    #[must_use]
    pub fn too_many_requests(retry_after: Duration) -> Self {
        Self::json(429, "too_many_requests", "Too many connection attempts").retry_after(retry_after)
    }

    /// 503: the server is full or shutting down. `retry_after` is rounded up to whole seconds.
    #[must_use]
    pub fn unavailable(retry_after: Duration) -> Self {
        Self::json(503, "unavailable", "The server does not accept connections now").retry_after(retry_after)
    }

    fn retry_after(self, duration: Duration) -> Self {
        let seconds = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
        self.with("Retry-After", &seconds.to_string())
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        let added: Result<(), InvalidHeader> = self.headers.append(name, value);
        debug_assert_eq!(added, Ok(()), "{name}");
        self
    }

    /// Whether it can be sent. A [`ServerHandshake`](super::ServerHandshake) checks this itself.
    ///
    /// # Errors
    /// The status is no refusal, or a header frames the response.
    pub fn check(&self) -> Result<(), DecisionError> {
        if !(300..=599).contains(&self.status) {
            return Err(DecisionError::Status);
        }
        match self.headers.find_reserved(&FRAMING) {
            Some(name) => Err(DecisionError::ReservedHeader(name.into())),
            None => Ok(()),
        }
    }

    /// The whole response in its wire format.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut headers = Headers::new();
        // RFC 9110 section 7.8: a sender of Upgrade must list it in Connection.
        let connection = if self.headers.get("Upgrade").is_some() { "close, Upgrade" } else { "close" };
        headers.append("Connection", connection).unwrap_or_default();
        headers.append("Content-Length", self.body.len().to_string()).unwrap_or_default();
        let mut bytes = status_line(self.status);
        headers.write(&mut bytes);
        self.headers.write(&mut bytes);
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

impl RequestError {
    /// The response to send to the client, or `None` when it is gone.
    #[must_use]
    pub fn rejection(&self) -> Option<Rejection> {
        let (status, code) = match self {
            Self::Head(HeadError::TooLong | HeadError::TooManyFields) => (431, "header_too_large"),
            Self::Head(HeadError::Version) | Self::Http2 => (505, "http_version"),
            Self::Method => (405, "method_not_allowed"),
            Self::TargetTooLong => (414, "target_too_long"),
            Self::Http10 | Self::NotAnUpgrade => (426, "upgrade_required"),
            Self::Version => (426, "unsupported_version"),
            Self::TimedOut => (408, "timed_out"),
            Self::NoRequest | Self::Truncated | Self::ClientLeft => return None,
            Self::Head(_)
            | Self::NotHttp
            | Self::Target
            | Self::Host
            | Self::RepeatedUpgrade
            | Self::Key
            | Self::RepeatedVersion
            | Self::Origin
            | Self::Body
            | Self::Subprotocols
            | Self::Extensions => (400, "bad_request"),
        };
        let rejection = Rejection::json(status, code, &self.to_string());
        Some(match status {
            // RFC 9110 section 15.5.6.
            405 => rejection.with("Allow", "GET"),
            // RFC 9110 section 15.5.22 and RFC 6455 section 4.4.
            426 => rejection.with("Upgrade", "websocket").with(VERSION, "13"),
            _ => rejection,
        })
    }
}

const VERSION: &str = "Sec-WebSocket-Version";

/// Headers that determine the end of the response.
const FRAMING: [&str; 3] = ["Connection", "Content-Length", "Transfer-Encoding"];

/// The first line of a response (RFC 9112 section 4).
pub(super) fn status_line(status: u16) -> Vec<u8> {
    alloc::format!("HTTP/1.1 {status} {}\r\n", reason(status)).into_bytes()
}

/// The reason phrases of RFC 9110 section 15 for the statuses that this crate sends. All others have no phrase, as
/// section 15.1 allows.
fn reason(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        414 => "URI Too Long",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    #[test]
    fn a_response_is_framed_so_that_the_client_sees_its_end() {
        let bytes = Rejection::unavailable(Duration::from_millis(1_001)).to_bytes();
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 75\r\n\
             Content-Type: application/json\r\nRetry-After: 2\r\n\r\n\
             {\"error\":\"The server does not accept connections now\",\"code\":\"unavailable\"}"
        );
    }

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        for (millis, seconds) in [(0, "0"), (1, "1"), (999, "1"), (1_000, "1"), (1_001, "2")] {
            let rejection = Rejection::too_many_requests(Duration::from_millis(millis));
            assert_eq!(rejection.headers.get_str("Retry-After"), Some(seconds), "{millis}");
        }
    }

    #[test]
    fn the_constructors_have_the_statuses_of_the_protocol() {
        let second = Duration::from_secs(1);
        for (rejection, status) in [
            (Rejection::unauthorized(), 401),
            (Rejection::forbidden(), 403),
            (Rejection::not_found(), 404),
            (Rejection::too_many_requests(second), 429),
            (Rejection::unavailable(second), 503),
        ] {
            assert_eq!((rejection.status, rejection.check()), (status, Ok(())));
            assert!(!reason(status).is_empty());
        }
    }

    #[test]
    fn a_fault_of_the_client_is_answered_with_its_own_status() {
        for (error, line) in [
            (RequestError::NotHttp, "HTTP/1.1 400 Bad Request\r\n"),
            (RequestError::TimedOut, "HTTP/1.1 408 Request Timeout\r\n"),
            (RequestError::TargetTooLong, "HTTP/1.1 414 URI Too Long\r\n"),
            (RequestError::Head(HeadError::TooLong), "HTTP/1.1 431 Request Header Fields Too Large\r\n"),
            (RequestError::Head(HeadError::Version), "HTTP/1.1 505 HTTP Version Not Supported\r\n"),
        ] {
            let bytes = error.rejection().unwrap().to_bytes();
            assert!(bytes.starts_with(line.as_bytes()), "{line}");
        }
        for gone in [RequestError::NoRequest, RequestError::Truncated, RequestError::ClientLeft] {
            assert_eq!(gone.rejection(), None);
        }
    }

    #[test]
    fn only_a_status_that_refuses_and_free_headers_can_be_sent() {
        for (status, expected) in [
            (101, Err(DecisionError::Status)),
            (200, Err(DecisionError::Status)),
            (299, Err(DecisionError::Status)),
            (300, Ok(())),
            (599, Ok(())),
            (600, Err(DecisionError::Status)),
        ] {
            assert_eq!(Rejection::json(status, "", "").check(), expected, "{status}");
        }
        let smuggled = Rejection::not_found().with("content-length", "0");
        assert_eq!(smuggled.check(), Err(DecisionError::ReservedHeader("content-length".into())));
    }

    #[test]
    fn a_text_is_escaped_in_the_body() {
        assert_eq!(Rejection::json(400, "c", "a\"b\n").body, br#"{"error":"a\"b\n","code":"c"}"#);
    }
}
