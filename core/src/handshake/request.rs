//! A client's upgrade request, and the server's answer to it.

use alloc::borrow::{Cow, ToOwned};
use alloc::collections::BTreeSet;
use alloc::string::String;
use core::fmt;

use super::accepted::{Acceptance, RESERVED, Upgraded};
use super::api_key::ApiKey;
use super::error::{DecisionError, HeadError, RequestError};
use super::extensions::{self, SEC_WEBSOCKET_EXTENSIONS};
use super::headers::{
    Headers, SEC_WEBSOCKET_PROTOCOL, Single, is_authority, is_origin, is_origin_form, is_token, redact_query,
};
use super::limits::HandshakeLimits;
use super::{key, query};
#[cfg(not(feature = "deflate"))]
use crate::websocket::Negotiated;

/// A valid upgrade request, read by a [`ServerHandshake`](super::ServerHandshake) or by another HTTP server.
///
/// It holds the values that the client sent. The caller decides whether the client is allowed to connect. `Debug` hides
/// the query and all credentials.
///
/// ```
/// use multiwa_ws_core::handshake::{Acceptance, ApiKey, HandshakeLimits, HttpVersion, UpgradeRequest};
///
/// // The request from your own HTTP server.
/// let headers = [
///     ("Host", "gateway:3001"),
///     ("Connection", "Upgrade"),
///     ("Upgrade", "websocket"),
///     ("Sec-WebSocket-Version", "13"),
///     ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
/// ];
/// let limits = HandshakeLimits::default();
/// let request = UpgradeRequest::from_http(&limits, HttpVersion::Http11, "GET", "/ws?apiKey=k+1", headers)?;
/// assert_eq!(request.path(), "/ws");
/// assert_eq!(request.api_key(), Some(ApiKey::new("k 1")));
///
/// // Send these headers with status 101, then build a `WebSocket` from `negotiated`.
/// let upgraded = request.accept(&Acceptance::default())?;
/// assert_eq!(upgraded.headers.get_str("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct UpgradeRequest {
    target: String,
    headers: Headers,
}

/// The HTTP version of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.0 or older.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2 or newer.
    Http2,
}

impl UpgradeRequest {
    /// Checks a request that another HTTP server has read. `target` is exactly as in the request line.
    ///
    /// The other server must have checked the grammar of the head. This function checks `limits` again, on the shortest
    /// form of the head; their timeout is not used.
    ///
    /// # Errors
    /// The first limit or rule of RFC 6455 section 4.2.1 that the request breaks. [`RequestError::rejection`] is the
    /// response to send.
    pub fn from_http<N: AsRef<str>, V: AsRef<[u8]>>(
        limits: &HandshakeLimits,
        version: HttpVersion,
        method: &str,
        target: &str,
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, RequestError> {
        // HTTP/2 has other rules: its upgrade is a CONNECT request without a key (RFC 8441 section 5).
        if version == HttpVersion::Http2 {
            return Err(RequestError::Http2);
        }
        // RFC 6455 section 4.2.1 item 1.
        if method != "GET" {
            return Err(RequestError::Method);
        }
        let request_line = "GET ".len() + target.len() + " HTTP/1.1".len();
        if request_line > limits.max_request_line_bytes {
            return Err(RequestError::TargetTooLong);
        }
        // The ends of the request line and of the head.
        let mut head = request_line + 4;
        let mut fields = Headers::new();
        for (name, value) in headers {
            let (name, value) = (name.as_ref(), value.as_ref());
            if fields.len() == limits.max_header_fields {
                return Err(HeadError::TooManyFields.into());
            }
            // The colon and the end of the line.
            head += name.len() + value.len() + 3;
            if head > limits.max_head_bytes {
                return Err(HeadError::TooLong.into());
            }
            fields.append(name, value).map_err(HeadError::from)?;
        }
        Self::new(version, target, fields)
    }

    pub(super) fn new(version: HttpVersion, target: &str, headers: Headers) -> Result<Self, RequestError> {
        // RFC 6455 section 4.2.1 item 1: HTTP/1.1 or higher. Only 1.1 has the upgrade of RFC 9110 section 7.8.
        match version {
            HttpVersion::Http10 => return Err(RequestError::Http10),
            HttpVersion::Http11 => {}
            HttpVersion::Http2 => return Err(RequestError::Http2),
        }
        // Item 1 and RFC 9112 section 3.2.
        if split_target(target).is_none() {
            return Err(RequestError::Target);
        }
        // Item 2 and RFC 9112 section 3.2: exactly one Host.
        if !matches!(headers.single("Host"), Single::Value(host) if is_authority(host)) {
            return Err(RequestError::Host);
        }
        // RFC 9112 section 6.3: a body would be read as frames.
        if headers.get("Transfer-Encoding").is_some()
            || !matches!(headers.single("Content-Length"), Single::Missing | Single::Value(b"0"))
        {
            return Err(RequestError::Body);
        }
        // Items 3 and 4.
        if headers.single("Upgrade") == Single::Repeated {
            return Err(RequestError::RepeatedUpgrade);
        }
        if !headers.lists("Upgrade", "websocket") || !headers.lists("Connection", "upgrade") {
            return Err(RequestError::NotAnUpgrade);
        }
        // Item 6, before the key: a client of another version may have no key.
        match headers.single("Sec-WebSocket-Version") {
            Single::Value(b"13") => {}
            Single::Repeated => return Err(RequestError::RepeatedVersion),
            Single::Missing | Single::Value(_) => return Err(RequestError::Version),
        }
        // Item 5.
        if !matches!(headers.single("Sec-WebSocket-Key"), Single::Value(value) if key::is_key(value)) {
            return Err(RequestError::Key);
        }
        // Item 7 and RFC 6454 section 7.3. An origin that is not text would count as missing.
        match headers.single("Origin") {
            Single::Missing => {}
            Single::Value(origin) if is_origin(origin) => {}
            Single::Value(_) | Single::Repeated => return Err(RequestError::Origin),
        }
        // Item 8 and section 4.1 item 10: tokens, each once.
        let mut seen = BTreeSet::new();
        if !headers.list(SEC_WEBSOCKET_PROTOCOL).all(|name| is_token(name) && seen.insert(name))
            || headers.get(SEC_WEBSOCKET_PROTOCOL).is_some() && seen.is_empty()
        {
            return Err(RequestError::Subprotocols);
        }
        // Item 9 and section 9.1: a malformed list fails the handshake, even if the server uses no extension.
        if !extensions::are_well_formed(headers.get_all(SEC_WEBSOCKET_EXTENSIONS)) {
            return Err(RequestError::Extensions);
        }
        Ok(Self { target: target.to_owned(), headers })
    }

    /// The target exactly as in the request line. It may contain the API key, so keep it out of logs.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The path as the client sent it, starting with `/`. Percent escapes are not decoded.
    #[must_use]
    pub fn path(&self) -> &str {
        let path = self.path_and_query();
        match path.split_once('?').map_or(path, |(path, _)| path) {
            "" => "/",
            path => path,
        }
    }

    /// The names and values of the query, decoded as a form: percent escapes are decoded, `+` is a space, and invalid
    /// UTF-8 is replaced.
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        self.raw_query_pairs().map(|(name, value)| (into_text(name), into_text(value)))
    }

    /// All headers.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The host and port that the client dialed: from an absolute target, else from `Host` (RFC 9112 section 3.2.2).
    #[must_use]
    pub fn host(&self) -> &str {
        let named = split_target(&self.target).and_then(|(authority, _)| authority);
        named.or_else(|| self.headers.get_str("Host")).unwrap_or_default()
    }

    /// The origin of the page that opens the connection, as the browser sent it (RFC 6455 section 10.2). Other clients
    /// send none.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.headers.get_str("Origin")
    }

    /// The subprotocols that the client offers, in its order of preference.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        self.headers.list(SEC_WEBSOCKET_PROTOCOL).filter_map(|name| core::str::from_utf8(name).ok())
    }

    /// The first key that is not empty, from `apiKey` in the query, `X-API-Key` or `Authorization: Bearer`
    /// (`protocol.md`, Transport).
    #[must_use]
    pub fn api_key(&self) -> Option<ApiKey> {
        let query = self.raw_query_pairs().filter(|(name, _)| name.as_ref() == b"apiKey").map(|(_, value)| value);
        let header = self.headers.get_all("X-API-Key").map(Cow::Borrowed);
        let bearer = self.headers.get_all("Authorization").filter_map(bearer_token).map(Cow::Borrowed);
        query.chain(header).chain(bearer).map(ApiKey::new).find(|key| !key.expose().is_empty())
    }

    /// The content of a 101 response to this request, with the caller's choices.
    ///
    /// A [`ServerHandshake`](super::ServerHandshake) calls this itself. Call it if you send the response with another
    /// HTTP server.
    ///
    /// # Errors
    /// A choice that cannot be sent.
    pub fn accept(&self, acceptance: &Acceptance) -> Result<Upgraded, DecisionError> {
        if let Some(name) = acceptance.headers.find_reserved(&RESERVED) {
            return Err(DecisionError::ReservedHeader(name.to_owned()));
        }
        let mut headers = Headers::new();
        let mut add = |name: &str, value: &[u8]| headers.append(name, value).unwrap_or_default();
        add("Upgrade", b"websocket");
        add("Connection", b"Upgrade");
        add("Sec-WebSocket-Accept", key::accept(self.headers.get("Sec-WebSocket-Key").unwrap_or_default()).as_bytes());
        // RFC 6455 section 4.2.2 item 5: one of the offered subprotocols, or none.
        if let Some(subprotocol) = &acceptance.subprotocol {
            if !self.subprotocols().any(|offered| offered == subprotocol) {
                return Err(DecisionError::SubprotocolNotOffered);
            }
            add(SEC_WEBSOCKET_PROTOCOL, subprotocol.as_bytes());
        }
        #[cfg(feature = "deflate")]
        if acceptance.deflate.as_ref().is_some_and(|config| !config.is_valid()) {
            return Err(DecisionError::WindowBits);
        }
        #[cfg(feature = "deflate")]
        let negotiated = {
            let offers = self.headers.get_all(SEC_WEBSOCKET_EXTENSIONS);
            let (negotiated, answer) = extensions::choose(offers, acceptance.deflate.as_ref()).unwrap_or_default();
            if let Some(answer) = answer {
                add(SEC_WEBSOCKET_EXTENSIONS, answer.as_bytes());
            }
            negotiated
        };
        #[cfg(not(feature = "deflate"))]
        let negotiated = Negotiated::default();
        for (name, value) in acceptance.headers.iter() {
            add(name, value);
        }
        Ok(Upgraded { negotiated, subprotocol: acceptance.subprotocol.clone(), headers })
    }

    fn path_and_query(&self) -> &str {
        split_target(&self.target).map_or("", |(_, path)| path)
    }

    fn raw_query_pairs(&self) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
        query::pairs(self.path_and_query().split_once('?').map_or("", |(_, query)| query))
    }
}

impl fmt::Debug for UpgradeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpgradeRequest")
            .field("target", &redact_query(&self.target))
            .field("headers", &self.headers)
            .finish()
    }
}

/// The authority, if the target is an absolute URI (RFC 9112 section 3.2.2), and the path with the query.
fn split_target(target: &str) -> Option<(Option<&str>, &str)> {
    if is_origin_form(target) {
        return Some((None, target));
    }
    let (scheme, rest) = target.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let visible = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    (is_authority(authority.as_bytes()) && visible).then_some((Some(authority), path))
}

/// RFC 6750 section 2.1. The name of the scheme is case-insensitive (RFC 9110 section 11.1).
fn bearer_token(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii_start())
}

fn into_text(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    match bytes {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::handshake::DeflateConfig;
    use crate::websocket::Negotiated;

    const GOOD: [(&str, &str); 5] = [
        ("Host", "gateway:3001"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
    ];

    fn with(target: &str, more: &[(&'static str, &'static str)]) -> Result<UpgradeRequest, RequestError> {
        let headers = GOOD.iter().chain(more).copied();
        UpgradeRequest::from_http(&HandshakeLimits::default(), HttpVersion::Http11, "GET", target, headers)
    }

    #[test]
    fn only_a_get_request_of_http_1_1_is_an_upgrade() {
        for (version, method, expected) in [
            (HttpVersion::Http11, "GET", None),
            (HttpVersion::Http11, "get", Some(RequestError::Method)),
            (HttpVersion::Http11, "POST", Some(RequestError::Method)),
            (HttpVersion::Http10, "GET", Some(RequestError::Http10)),
            (HttpVersion::Http2, "GET", Some(RequestError::Http2)),
            // RFC 8441 section 4.
            (HttpVersion::Http2, "CONNECT", Some(RequestError::Http2)),
        ] {
            let request = UpgradeRequest::from_http(&HandshakeLimits::default(), version, method, "/ws", GOOD);
            assert_eq!(request.err(), expected, "{version:?} {method}");
        }
    }

    #[test]
    fn a_request_that_another_server_has_read_has_the_same_limits() {
        let line = "GET /ws HTTP/1.1";
        let fields: usize = GOOD.iter().map(|(name, value)| alloc::format!("{name}:{value}\r\n").len()).sum();
        let exact = HandshakeLimits::new()
            .max_request_line_bytes(line.len())
            .max_head_bytes(line.len() + 2 + fields + 2)
            .max_header_fields(GOOD.len());
        let with = |limits| UpgradeRequest::from_http(&limits, HttpVersion::Http11, "GET", "/ws", GOOD).err();
        assert_eq!(with(exact), None);
        let short = exact.max_request_line_bytes(exact.max_request_line_bytes - 1);
        assert_eq!(with(short), Some(RequestError::TargetTooLong));
        let short = exact.max_head_bytes(exact.max_head_bytes - 1);
        assert_eq!(with(short), Some(HeadError::TooLong.into()));
        let few = exact.max_header_fields(exact.max_header_fields - 1);
        assert_eq!(with(few), Some(HeadError::TooManyFields.into()));
    }

    #[test]
    fn the_path_and_query_are_read_from_every_form_of_target() {
        for (target, path, pairs, host) in [
            ("/ws", "/ws", 0, "gateway:3001"),
            ("/", "/", 0, "gateway:3001"),
            ("/ws?", "/ws", 0, "gateway:3001"),
            ("/ws?a=1&b=//x", "/ws", 2, "gateway:3001"),
            ("//evil/ws", "//evil/ws", 0, "gateway:3001"),
            ("http://other:80/ws?a", "/ws", 1, "other:80"),
            ("HTTPS://other", "/", 0, "other"),
            ("http://other?a=b", "/", 1, "other"),
        ] {
            let request = with(target, &[]).unwrap();
            assert_eq!((request.target(), request.path(), request.host()), (target, path, host));
            assert_eq!(request.query_pairs().count(), pairs, "{target}");
        }
        for target in [
            "",
            "*",
            "ws",
            "/a b",
            "/a#b",
            "/é",
            "ftp://h/",
            "ws://h/",
            "http://",
            "http:///ws",
            "http://a@b/",
            "http://h/a#b",
            "http://h/a b",
        ] {
            assert_eq!(with(target, &[]), Err(RequestError::Target), "{target}");
        }
    }

    #[test]
    fn a_query_that_is_no_utf8_is_still_readable() {
        let request = with("/ws?a=%ff+", &[]).unwrap();
        assert_eq!(request.query_pairs().next(), Some((Cow::Borrowed("a"), Cow::Borrowed("\u{fffd} "))));
    }

    #[test]
    fn the_origin_is_as_the_browser_states_it() {
        assert_eq!(with("/ws", &[]).unwrap().origin(), None);
        for origin in ["https://example.com:8443", "null"] {
            assert_eq!(with("/ws", &[("origin", origin)]).unwrap().origin(), Some(origin));
        }
    }

    #[test]
    fn the_key_is_found_in_each_of_its_places() {
        let none: &[(&str, &str)] = &[];
        for (target, more, key) in [
            ("/ws", none, None),
            ("/ws?apiKey=", none, None),
            ("/ws?apikey=a", none, None),
            ("/ws?apiKey=a%2Bb+c", none, Some("a+b c")),
            ("/ws?apiKey=&apiKey=b", none, Some("b")),
            ("/ws", &[("x-api-key", "h")][..], Some("h")),
            ("/ws", &[("Authorization", "bEaReR  t")][..], Some("t")),
            ("/ws", &[("Authorization", "Basic dTpw")][..], None),
            ("/ws", &[("Authorization", "Bearer")][..], None),
            ("/ws?apiKey=q", &[("X-API-Key", "h"), ("Authorization", "Bearer t")][..], Some("q")),
            ("/ws?apiKey=", &[("X-API-Key", ""), ("Authorization", "Bearer t")][..], Some("t")),
        ] {
            assert_eq!(with(target, more).unwrap().api_key(), key.map(ApiKey::new), "{target} {more:?}");
        }
    }

    #[test]
    fn f_22_a_key_that_is_white_space_alone_is_none() {
        assert_eq!(with("/ws?apiKey=%0A", &[]).unwrap().api_key(), None);
        let next_place = with("/ws?apiKey=+%EF%BB%BF", &[("X-API-Key", "h")]).unwrap();
        assert_eq!(next_place.api_key(), Some(ApiKey::new("h")));
        assert_eq!(with("/ws?apiKey=k%0D%0A", &[]).unwrap().api_key(), Some(ApiKey::new("k")));
    }

    #[test]
    fn debug_output_hides_the_key_wherever_it_stands() {
        for (target, more) in [
            ("/ws?apiKey=s3cret", ("X-A", "b")),
            ("/ws?api%4Bey=s3cret", ("X-A", "b")),
            ("http://h?s3cret", ("X-A", "b")),
            ("/ws", ("X-API-Key", "s3cret")),
            ("/ws", ("authorization", "Bearer s3cret")),
        ] {
            let shown = alloc::format!("{:?}", with(target, &[more]).unwrap());
            assert!(!shown.contains("s3cret"), "{shown}");
            assert!(shown.starts_with("UpgradeRequest { target: "), "{shown}");
        }
    }

    #[test]
    fn the_caller_can_choose_only_what_was_offered() {
        let request = with(
            "/ws",
            &[
                ("Sec-WebSocket-Protocol", "a, b"),
                ("sec-websocket-protocol", "c"),
                ("Sec-WebSocket-Extensions", "x, permessage-deflate"),
            ],
        )
        .unwrap();
        assert_eq!(request.subprotocols().collect::<Vec<_>>(), ["a", "b", "c"]);
        let choice = Acceptance::new().subprotocol("c".to_owned());
        let upgraded = request.accept(&choice).unwrap();
        assert_eq!(upgraded.headers.get_str("Sec-WebSocket-Protocol"), Some("c"));
        assert_eq!((upgraded.subprotocol.as_deref(), upgraded.negotiated), (Some("c"), Negotiated::default()));
        let choice = Acceptance::new().subprotocol("A".to_owned());
        assert_eq!(request.accept(&choice), Err(DecisionError::SubprotocolNotOffered));

        let choice = Acceptance::new().deflate(DeflateConfig::default());
        let upgraded = request.accept(&choice).unwrap();
        assert_eq!(upgraded.headers.get_str("Sec-WebSocket-Extensions"), Some("permessage-deflate"));
        assert!(upgraded.negotiated.deflate.is_some());
        let small = DeflateConfig::new().server_max_window_bits(7);
        let choice = Acceptance::new().deflate(small);
        assert_eq!(request.accept(&choice), Err(DecisionError::WindowBits));
    }

    #[test]
    fn the_handshakes_own_headers_cannot_be_added() {
        let request = with("/ws", &[]).unwrap();
        for name in ["connection", "UPGRADE", "Sec-WebSocket-Accept", "Content-Length"] {
            let mut choice = Acceptance::default();
            choice.headers.append(name, "x").unwrap();
            assert_eq!(request.accept(&choice), Err(DecisionError::ReservedHeader(name.into())));
        }
    }
}
