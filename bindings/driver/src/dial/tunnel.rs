//! The tunnel through an HTTP proxy (RFC 9110 section 9.3.6). This module does no I/O.

use std::fmt;

use multiwa_ws_core::handshake::MAX_INTERIM_RESPONSES;

use super::endpoint::Endpoint;
use super::proxy::Proxy;

/// Why a proxy did not open a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The proxy requires a name and a password, or rejected them.
    #[error("the proxy requires a name and a password: write http://NAME:PASSWORD@HOST:PORT")]
    Unauthorized,
    /// The proxy answered with a status other than 2xx.
    #[error("the proxy refused the connection with HTTP status {0}")]
    Refused(u16),
    /// The answer is not HTTP.
    #[error("the proxy does not answer in HTTP/1.1")]
    NotHttp,
    /// The answer has more than 16 KiB or 64 header fields, or too many interim responses.
    #[error("the proxy's answer is longer than the limit")]
    TooLong,
    /// The proxy closed the connection before its answer was complete.
    #[error("the proxy closed the connection without an answer")]
    Eof,
}

/// The request for a tunnel to a server, and the parser for the proxy's answer.
///
/// Write the bytes of [`poll_transmit`](Self::poll_transmit), confirm them with [`transmitted`](Self::transmitted), and
/// pass the input to [`handle_input`](Self::handle_input) until it reports that the tunnel is open. Bytes after the
/// answer stay in the input, because they come from the server. The caller must enforce a deadline.
#[derive(Clone)]
pub struct Tunnel {
    request: Vec<u8>,
    sent: usize,
    head: Vec<u8>,
    interim: usize,
}

/// The same limits as for the head of a server's response.
const MAX_HEAD: usize = 16 << 10;
const MAX_FIELDS: usize = 64;

impl Tunnel {
    /// Makes the request to `proxy` for a tunnel to `endpoint`.
    #[must_use]
    pub fn new(proxy: &Proxy, endpoint: &Endpoint) -> Self {
        // `url` has written both parts, so they contain no control characters.
        let authority = endpoint.authority_with_port();
        let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
        if let Some(authorization) = proxy.authorization() {
            request.push_str("Proxy-Authorization: ");
            request.push_str(authorization);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        Self { request: request.into_bytes(), sent: 0, head: Vec::new(), interim: 0 }
    }

    /// The bytes to write next. Empty when the whole request is written.
    #[must_use = "lent bytes are to be written, then confirmed with `transmitted`"]
    pub fn poll_transmit(&self) -> &[u8] {
        self.request.get(self.sent..).unwrap_or_default()
    }

    /// Confirms that the stream to the proxy accepted the first `len` of these bytes.
    pub fn transmitted(&mut self, len: usize) {
        self.sent = self.sent.saturating_add(len).min(self.request.len());
    }

    /// Consumes the answer from the front of `input`, and leaves the bytes after it. Returns `true` when the tunnel is
    /// open.
    ///
    /// # Errors
    /// [`ProxyError`] when the proxy does not open the tunnel.
    pub fn handle_input(&mut self, input: &mut &[u8]) -> Result<bool, ProxyError> {
        while let [byte, rest @ ..] = *input {
            *input = rest;
            if self.head.len() == MAX_HEAD {
                return Err(ProxyError::TooLong);
            }
            self.head.push(*byte);
            if self.head.ends_with(b"\r\n\r\n") && self.evaluate()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the error after the proxy closed the stream.
    #[must_use]
    pub fn handle_eof(&self) -> ProxyError {
        ProxyError::Eof
    }

    /// Evaluates a complete response head. Returns whether it opens the tunnel.
    fn evaluate(&mut self) -> Result<bool, ProxyError> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        response.parse(&self.head).map_err(|error| match error {
            httparse::Error::TooManyHeaders => ProxyError::TooLong,
            _ => ProxyError::NotHttp,
        })?;
        match response.code {
            // RFC 9110 section 9.3.6: any 2xx status opens the tunnel, and such a response has no body.
            Some(200..=299) => Ok(true),
            Some(100..=199) if self.interim < MAX_INTERIM_RESPONSES => {
                self.interim += 1;
                self.head.clear();
                Ok(false)
            }
            Some(100..=199) => Err(ProxyError::TooLong),
            Some(407) => Err(ProxyError::Unauthorized),
            Some(status) => Err(ProxyError::Refused(status)),
            None => Err(ProxyError::NotHttp),
        }
    }
}

/// Hides the bytes, because the request may contain a password.
impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").field("sent", &self.sent).field("received", &self.head.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Endpoint {
        url.parse().unwrap()
    }

    fn tunnel() -> Tunnel {
        Tunnel::new(&"http://p".parse().unwrap(), &endpoint("wss://h/ws"))
    }

    /// Passes `answer` in pieces of `size` bytes. Returns the result and the number of unread bytes.
    fn answered(answer: &[u8], size: usize) -> (Result<bool, ProxyError>, usize) {
        let mut tunnel = tunnel();
        let mut left = answer.len();
        for mut piece in answer.chunks(size) {
            let before = piece.len();
            let result = tunnel.handle_input(&mut piece);
            left -= before - piece.len();
            if result != Ok(false) {
                return (result, left);
            }
        }
        (Ok(false), left)
    }

    #[test]
    fn the_request_names_the_server_and_its_port() {
        let sent = |proxy: &str, url: &str| {
            let mut tunnel = Tunnel::new(&proxy.parse().unwrap(), &endpoint(url));
            let text = String::from_utf8(tunnel.poll_transmit().to_vec()).unwrap();
            tunnel.transmitted(3);
            assert_eq!(tunnel.poll_transmit(), &text.as_bytes()[3..]);
            tunnel.transmitted(usize::MAX);
            assert!(tunnel.poll_transmit().is_empty());
            text
        };
        assert_eq!(sent("http://p:3128", "wss://h/ws?apiKey=k"), "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n");
        assert_eq!(
            sent("http://na%3Ame:p%40ss@p", "ws://[::1]:3001"),
            "CONNECT [::1]:3001 HTTP/1.1\r\nHost: [::1]:3001\r\nProxy-Authorization: Basic bmE6bWU6cEBzcw==\r\n\r\n"
        );
    }

    #[test]
    fn a_tunnel_opens_at_the_last_byte_of_the_head_however_it_is_cut() {
        for answer in [
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.0 200\r\n\r\n",
            "HTTP/1.1 204 x\r\nContent-Length: 4\r\n\r\n",
            "HTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 200 Established\r\nVia: p\r\n\r\n",
        ] {
            let whole = format!("{answer}tail");
            for size in 1..=whole.len() {
                assert_eq!(answered(whole.as_bytes(), size), (Ok(true), 4), "{answer:?} {size}");
            }
        }
    }

    #[test]
    fn what_is_no_tunnel_is_an_error() {
        for (answer, error) in [
            ("HTTP/1.1 407 Who\r\n\r\n", ProxyError::Unauthorized),
            ("HTTP/1.1 403 No\r\n\r\n", ProxyError::Refused(403)),
            ("HTTP/1.1 302 Go\r\nLocation: http://elsewhere\r\n\r\n", ProxyError::Refused(302)),
            ("SSH-2.0-x\r\n\r\n", ProxyError::NotHttp),
        ] {
            assert_eq!(answered(answer.as_bytes(), 3).0, Err(error), "{answer:?}");
        }
        assert_eq!(tunnel().handle_eof(), ProxyError::Eof);
    }

    #[test]
    fn an_answer_is_limited() {
        let fields = |count: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(count));
        assert_eq!(answered(fields(MAX_FIELDS).as_bytes(), 100).0, Ok(true));
        assert_eq!(answered(fields(MAX_FIELDS + 1).as_bytes(), 100).0, Err(ProxyError::TooLong));
        let padded = |len: usize| {
            let (start, end) = ("HTTP/1.1 200 OK\r\nA: ", "\r\n\r\n");
            format!("{start}{}{end}", "b".repeat(len - start.len() - end.len()))
        };
        assert_eq!(answered(padded(MAX_HEAD).as_bytes(), 100).0, Ok(true));
        assert_eq!(answered(padded(MAX_HEAD + 1).as_bytes(), 100).0, Err(ProxyError::TooLong));
        let interim = |count: usize| "HTTP/1.1 100 Continue\r\n\r\n".repeat(count) + "HTTP/1.1 200 OK\r\n\r\n";
        assert_eq!(answered(interim(MAX_INTERIM_RESPONSES).as_bytes(), 100).0, Ok(true));
        assert_eq!(answered(interim(MAX_INTERIM_RESPONSES + 1).as_bytes(), 100).0, Err(ProxyError::TooLong));
    }

    #[test]
    fn a_password_never_shows() {
        let proxy: Proxy = "http://name:s3cret@p:1".parse().unwrap();
        let shown = format!("{proxy} {proxy:?} {:?}", Tunnel::new(&proxy, &endpoint("ws://h")));
        assert!(!shown.contains("s3cret") && !shown.contains("name"), "{shown}");
    }
}
