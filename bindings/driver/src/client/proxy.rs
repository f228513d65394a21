//! Through an HTTP proxy by `CONNECT` (RFC 9110 section 9.3.6). Nothing here does I/O.

use std::fmt;

use data_encoding::BASE64;
use multiwa_ws_core::handshake::MAX_INTERIM_RESPONSES;
use url::{Host, Url};

use super::Endpoint;

/// An HTTP proxy to dial through, with the name and password that it asks for.
///
/// ```
/// use multiwa_ws_driver::Proxy;
///
/// let proxy: Proxy = "http://name:password@proxy.example:3128".parse()?;
/// assert_eq!(proxy.to_string(), "http://proxy.example:3128");
/// # Ok::<(), multiwa_ws_driver::InvalidProxy>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    host: String,
    port: u16,
    /// The host as it stands in a URL.
    host_in_url: String,
    /// The value of `Proxy-Authorization`.
    authorization: Option<String>,
}

/// Why a URL names no proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidProxy {
    /// Not a URL at all.
    #[error("the proxy is no URL: write http://HOST:PORT or http://NAME:PASSWORD@HOST:PORT")]
    Syntax,
    /// Another scheme than `http`, the one that is supported.
    #[error("the scheme of the proxy must be http")]
    Scheme,
}

impl Proxy {
    /// The host to dial: a name, or an IP address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port to dial.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The proxy that the environment names for `endpoint`, if any: `https_proxy` for `wss`, `http_proxy` for `ws`, and
    /// `all_proxy` for both; none for the hosts in `no_proxy`.
    ///
    /// A name is looked up in lower case, then in upper case, but for `HTTP_PROXY`, which the client of a CGI program
    /// decides. `no_proxy` lists hosts, each with all of its subdomains, or `*`.
    ///
    /// # Errors
    /// A variable names no proxy.
    pub fn from_env(endpoint: &Endpoint) -> Result<Option<Self>, InvalidProxy> {
        Self::from_variables(endpoint, |name| std::env::var(name).ok())
    }

    fn from_variables(
        endpoint: &Endpoint,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, InvalidProxy> {
        let first = |names: &[&str]| names.iter().filter_map(|name| variable(name)).find(|value| !value.is_empty());
        let exempt = first(&["no_proxy", "NO_PROXY"]).unwrap_or_default();
        if exempt.split(',').any(|entry| is_exempt(endpoint, entry.trim())) {
            return Ok(None);
        }
        let names: &[&str] = if endpoint.is_tls() {
            &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
        } else {
            &["http_proxy", "all_proxy", "ALL_PROXY"]
        };
        first(names)
            .map(|value| if value.contains("://") { value.parse() } else { format!("http://{value}").parse() })
            .transpose()
    }
}

/// Whether an entry of `no_proxy` is `endpoint`, or a domain that it lies in.
fn is_exempt(endpoint: &Endpoint, entry: &str) -> bool {
    if entry == "*" {
        return true;
    }
    let (name, port) = match entry.rsplit_once(':') {
        // An IPv6 address has colons of its own, unless it stands in brackets.
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
        _ => (entry, None),
    };
    if port.is_some_and(|port| port.parse() != Ok(endpoint.port())) {
        return false;
    }
    let name = name.trim_start_matches('[').trim_end_matches(']').trim_start_matches("*").trim_start_matches('.');
    let (name, host) = (name.to_ascii_lowercase(), endpoint.host());
    let is_subdomain = || host.strip_suffix(name.as_str()).is_some_and(|sub| sub.ends_with('.'));
    !name.is_empty() && (host == name || is_subdomain())
}

impl std::str::FromStr for Proxy {
    type Err = InvalidProxy;

    fn from_str(text: &str) -> Result<Self, InvalidProxy> {
        let url = Url::parse(text).map_err(|_| InvalidProxy::Syntax)?;
        if url.scheme() != "http" {
            return Err(InvalidProxy::Scheme);
        }
        let host = match url.host().ok_or(InvalidProxy::Syntax)? {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let authorization = (!url.username().is_empty() || url.password().is_some()).then(|| {
            // RFC 7617 section 2.
            let mut pair = percent_encoding::percent_decode_str(url.username()).collect::<Vec<u8>>();
            pair.push(b':');
            pair.extend(percent_encoding::percent_decode_str(url.password().unwrap_or_default()));
            format!("Basic {}", BASE64.encode(&pair))
        });
        let host_in_url = url.host_str().unwrap_or_default().to_owned();
        Ok(Self { host, port: url.port_or_known_default().unwrap_or(80), host_in_url, authorization })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}", self.host_in_url, self.port)
    }
}

/// Never the password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// Why a proxy opened no tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// It wants a name and a password, or others.
    #[error("the proxy wants a name and a password: write http://NAME:PASSWORD@HOST:PORT")]
    Unauthorized,
    /// It answered with another status than 2xx.
    #[error("the proxy refused the connection with HTTP status {0}")]
    Refused(u16),
    /// What it answered is no HTTP.
    #[error("the proxy does not answer in HTTP/1.1")]
    NotHttp,
    /// The answer has more than 16 KiB or 64 header fields, or more interim responses than anybody needs.
    #[error("the proxy's answer is longer than the limit")]
    TooLong,
    /// It ended the connection before its answer was whole.
    #[error("the proxy closed the connection without an answer")]
    Eof,
}

/// The request for a tunnel to one server, and the proxy's answer.
///
/// Write what [`poll_transmit`](Self::poll_transmit) lends and confirm it by [`transmitted`](Self::transmitted), and feed
/// what arrives to [`handle_input`](Self::handle_input) until it says that the tunnel is open. Bytes behind the answer stay
/// in the input: they are the server's. A deadline is the caller's to keep.
#[derive(Clone)]
pub struct Tunnel {
    request: Vec<u8>,
    sent: usize,
    head: Vec<u8>,
    interim: usize,
}

/// As much as a server's head may have, and the fields.
const MAX_HEAD: usize = 16 << 10;
const MAX_FIELDS: usize = 64;

impl Tunnel {
    /// Asks `proxy` for a tunnel to `endpoint`.
    #[must_use]
    pub fn new(proxy: &Proxy, endpoint: &Endpoint) -> Self {
        // Both parts are written by `url`, which lets no control character pass.
        let authority = endpoint.authority_with_port();
        let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
        if let Some(authorization) = &proxy.authorization {
            request.push_str("Proxy-Authorization: ");
            request.push_str(authorization);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        Self { request: request.into_bytes(), sent: 0, head: Vec::new(), interim: 0 }
    }

    /// What is to be written next; nothing once all of it was.
    #[must_use = "lent bytes are to be written, then confirmed with `transmitted`"]
    pub fn poll_transmit(&self) -> &[u8] {
        self.request.get(self.sent..).unwrap_or_default()
    }

    /// The proxy's stream took the first `len` bytes of what was lent.
    pub fn transmitted(&mut self, len: usize) {
        self.sent = self.sent.saturating_add(len).min(self.request.len());
    }

    /// Takes the answer from the front of `input` and none of what follows it. `true` once the tunnel is open.
    ///
    /// # Errors
    /// Why it will not be.
    pub fn handle_input(&mut self, input: &mut &[u8]) -> Result<bool, ProxyError> {
        while let [byte, rest @ ..] = *input {
            *input = rest;
            if self.head.len() == MAX_HEAD {
                return Err(ProxyError::TooLong);
            }
            self.head.push(*byte);
            if self.head.ends_with(b"\r\n\r\n") && self.judge()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The proxy ended the stream: why there is no tunnel.
    #[must_use]
    pub fn handle_eof(&self) -> ProxyError {
        ProxyError::Eof
    }

    /// Judges a whole head; whether it opens the tunnel.
    fn judge(&mut self) -> Result<bool, ProxyError> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        response.parse(&self.head).map_err(|error| match error {
            httparse::Error::TooManyHeaders => ProxyError::TooLong,
            _ => ProxyError::NotHttp,
        })?;
        match response.code {
            // RFC 9110 section 9.3.6: any 2xx, and whatever it says of a body, there is none.
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

/// Never the bytes: the request may carry a password.
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

    /// What comes of `answer` in pieces of `size` bytes, and what is left.
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

    #[test]
    fn what_names_no_proxy_is_refused() {
        for (text, error) in [
            ("proxy", InvalidProxy::Syntax),
            ("http://", InvalidProxy::Syntax),
            ("https://p", InvalidProxy::Scheme),
            ("socks5://p", InvalidProxy::Scheme),
        ] {
            assert_eq!(text.parse::<Proxy>(), Err(error), "{text}");
        }
    }

    #[test]
    fn the_environment_names_a_proxy_for_each_scheme() {
        let found = |url: &str, variables: &[(&str, &str)]| {
            let variable =
                |name: &str| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned());
            Proxy::from_variables(&endpoint(url), variable).unwrap().map(|proxy| proxy.to_string())
        };
        let p = |name| Some(format!("http://{name}:80"));
        assert_eq!(found("wss://h", &[("https_proxy", "http://a"), ("all_proxy", "b")]), p("a"));
        assert_eq!(found("wss://h", &[("HTTPS_PROXY", "a")]), p("a"));
        assert_eq!(found("ws://h", &[("https_proxy", "a")]), None);
        assert_eq!(found("ws://h", &[("http_proxy", ""), ("ALL_PROXY", "b")]), p("b"));
        // httpoxy: the header `Proxy` of a request becomes this variable of a CGI program.
        assert_eq!(found("ws://h", &[("HTTP_PROXY", "a")]), None);
        assert_eq!(found("ws://h", &[]), None);
        for (exempt, url, proxied) in [
            ("h", "ws://h", false),
            ("H.example", "ws://a.h.example", false),
            (".h.example", "ws://h.example", false),
            ("*.h.example", "ws://a.h.example", false),
            ("h.example", "ws://ah.example", true),
            ("example", "ws://h", true),
            ("x, *", "ws://h", false),
            ("h:80", "ws://h", false),
            ("h:81", "ws://h", true),
            ("::1", "ws://[::1]", false),
            ("[::1]:80", "ws://[::1]", false),
            ("[::1]:81", "ws://[::1]", true),
            ("127.0.0.1", "ws://127.0.0.1:3001", false),
            (",", "ws://h", true),
        ] {
            let variables = [("http_proxy", "a"), ("no_proxy", exempt)];
            assert_eq!(found(url, &variables).is_some(), proxied, "{exempt} {url}");
        }
    }
}
