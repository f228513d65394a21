//! The client's side of the upgrade (RFC 6455 section 4.1).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::accepted::Upgraded;
use super::body::{BodyReader, Progress};
use super::error::{HeadError, InvalidRequest, ResponseError};
#[cfg(feature = "deflate")]
use super::extensions::DeflateOffer;
use super::extensions::{self, SEC_WEBSOCKET_EXTENSIONS};
use super::head::{HeadReader, ReadError};
use super::headers::{
    Headers, SEC_WEBSOCKET_PROTOCOL, Single, is_authority, is_origin, is_origin_form, is_token, redact_query,
};
use super::limits::{HandshakeLimits, MAX_INTERIM_RESPONSES};
use super::outgoing::Outgoing;
use super::response::Response;
use super::state::{ClientInput, ClientPhase};
use super::{key, query};
use crate::random::Random;
use crate::time::Instant;

/// A client's upgrade request. Nothing is checked before [`check`](Self::check) or [`ClientHandshake::new`].
///
/// `Debug` hides the query and all credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientRequest {
    /// The host to dial, with its port unless it is the scheme's default port, such as `gateway:3001`.
    pub host: String,
    /// The path and query, such as `/ws?apiKey=KEY`, percent-encoded. See [`append_query`](Self::append_query).
    pub target: String,
    /// The origin of the page that opens the connection. Programs other than browsers have none.
    pub origin: Option<String>,
    /// The subprotocols to offer, in order of preference.
    pub subprotocols: Vec<String>,
    /// Further headers, such as `X-API-Key`.
    pub headers: Headers,
    /// The compression to offer (RFC 7692), or `None`.
    #[cfg(feature = "deflate")]
    pub deflate: Option<DeflateOffer>,
    /// The key that a client of the socket.io dialect sends in its CONNECT. It is no part of the HTTP request.
    #[cfg(feature = "socketio")]
    pub connect_key: Option<String>,
}

impl ClientRequest {
    /// A request without optional parts.
    #[must_use]
    pub fn new(host: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            target: target.into(),
            origin: None,
            subprotocols: Vec::new(),
            headers: Headers::new(),
            #[cfg(feature = "deflate")]
            deflate: None,
            #[cfg(feature = "socketio")]
            connect_key: None,
        }
    }

    /// Adds `name=value` to the target's query and percent-encodes both.
    pub fn append_query(&mut self, name: &str, value: &str) {
        query::append(&mut self.target, name, value);
    }

    /// Checks whether the request can be sent. [`ClientHandshake::new`] makes the same check; call this one to check
    /// before dialing.
    ///
    /// # Errors
    /// The first invalid part of the request.
    pub fn check(&self) -> Result<(), InvalidRequest> {
        if !is_authority(self.host.as_bytes()) {
            return Err(InvalidRequest::Host);
        }
        if !is_origin_form(&self.target) {
            return Err(InvalidRequest::Target);
        }
        if self.origin.as_ref().is_some_and(|origin| !is_origin(origin.as_bytes())) {
            return Err(InvalidRequest::Origin);
        }
        for (index, subprotocol) in self.subprotocols.iter().enumerate() {
            if !is_token(subprotocol.as_bytes()) {
                return Err(InvalidRequest::Subprotocol);
            }
            // RFC 6455 section 4.1 item 10.
            if self.subprotocols.iter().take(index).any(|other| other == subprotocol) {
                return Err(InvalidRequest::RepeatedSubprotocol);
            }
        }
        if let Some(name) = self.headers.find_reserved(&RESERVED) {
            return Err(InvalidRequest::ReservedHeader(name.to_owned()));
        }
        #[cfg(feature = "deflate")]
        if self.deflate.as_ref().is_some_and(|offer| !offer.is_valid()) {
            return Err(InvalidRequest::WindowBits);
        }
        Ok(())
    }

    /// The request in its wire format.
    fn to_bytes(&self, key: &str) -> Vec<u8> {
        let mut headers = Headers::new();
        // `check` has checked every value.
        let mut add = |name: &str, value: &str| headers.append(name, value).unwrap_or_default();
        add("Host", &self.host);
        add("Upgrade", "websocket");
        add("Connection", "Upgrade");
        add("Sec-WebSocket-Key", key);
        add("Sec-WebSocket-Version", "13");
        if let Some(origin) = &self.origin {
            add("Origin", origin);
        }
        if !self.subprotocols.is_empty() {
            add(SEC_WEBSOCKET_PROTOCOL, &self.subprotocols.join(", "));
        }
        #[cfg(feature = "deflate")]
        if let Some(offer) = self.deflate {
            add(SEC_WEBSOCKET_EXTENSIONS, &offer.to_header());
        }
        let mut bytes = alloc::format!("GET {} HTTP/1.1\r\n", self.target).into_bytes();
        headers.write(&mut bytes);
        self.headers.write(&mut bytes);
        bytes.extend_from_slice(b"\r\n");
        bytes
    }
}

impl fmt::Debug for ClientRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ClientRequest");
        shown
            .field("host", &self.host)
            .field("target", &redact_query(&self.target))
            .field("origin", &self.origin)
            .field("subprotocols", &self.subprotocols)
            .field("headers", &self.headers);
        #[cfg(feature = "deflate")]
        shown.field("deflate", &self.deflate);
        #[cfg(feature = "socketio")]
        shown.field("connect_key", &self.connect_key.as_ref().map(|_| "[redacted]"));
        shown.finish()
    }
}

/// Headers that only the handshake writes, since they decide how the request is interpreted.
const RESERVED: [&str; 10] = [
    "Host",
    "Upgrade",
    "Connection",
    "Origin",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_EXTENSIONS,
    "Content-Length",
    "Transfer-Encoding",
];

/// A server's valid HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The connection speaks WebSocket from here on.
    Upgraded(Upgraded),
    /// The server refused the upgrade.
    Refused(Response),
}

/// A client's opening handshake: one request, one answer.
///
/// - Getters: [`state`](Self::state), [`buffered_bytes`](Self::buffered_bytes).
/// - `handle_*`: [`handle_input`](Self::handle_input), [`handle_eof`](Self::handle_eof) and
///   [`handle_timeout`](Self::handle_timeout) each return the answer once it is complete.
/// - `poll_*`: [`poll_transmit`](Self::poll_transmit) with [`transmitted`](Self::transmitted), and
///   [`poll_timeout`](Self::poll_timeout).
///
/// Send the bytes that `poll_transmit` lends and confirm them before passing in the bytes of the answer. After the
/// answer, drop the handshake. After [`Answer::Upgraded`], create a `WebSocket` with the negotiated parameters and pass
/// it the rest of the input.
///
/// ```
/// use multiwa_ws_core::Instant;
/// use multiwa_ws_core::handshake::{Answer, ClientHandshake, ClientRequest, HandshakeLimits};
///
/// let now = Instant::from_nanos(0);
/// let mut request = ClientRequest::new("gateway:3001", "/ws");
/// request.append_query("apiKey", "k 1");
/// let seed = [7; 32]; // in production: from the operating system
/// let mut handshake = ClientHandshake::new(now, request, HandshakeLimits::default(), seed)?;
///
/// let mut slices = [&b""[..]];
/// assert_eq!(handshake.poll_transmit(&mut slices), 1);
/// assert!(slices[0].starts_with(b"GET /ws?apiKey=k%201 HTTP/1.1\r\nHost: gateway:3001\r\n"));
/// let written = slices[0].len();
/// handshake.transmitted(now, written);
///
/// let mut bytes = *b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nwho?";
/// let Some(Answer::Refused(refusal)) = handshake.handle_input(now, &mut &mut bytes[..])? else { panic!() };
/// assert_eq!((refusal.status, refusal.text().as_ref()), (401, "who?"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ClientHandshake {
    state: ClientPhase,
    offers: Offers,
    limits: HandshakeLimits,
    deadline: Instant,
    outgoing: Outgoing,
    head: HeadReader,
    interim: usize,
    refusal: Option<(Response, BodyReader)>,
    error: Option<ResponseError>,
}

/// The expected values and the offers for checking the answer.
#[derive(Debug)]
struct Offers {
    accept: String,
    subprotocols: Vec<String>,
    #[cfg(feature = "deflate")]
    deflate: Option<DeflateOffer>,
}

impl ClientHandshake {
    /// Prepares the request. `seed` must be unpredictable, since the key of the handshake is derived from it (RFC 6455
    /// section 10.3).
    ///
    /// # Errors
    /// The request cannot be sent. The error says what to change.
    pub fn new(
        now: Instant,
        request: ClientRequest,
        limits: HandshakeLimits,
        seed: [u8; 32],
    ) -> Result<Self, InvalidRequest> {
        request.check()?;
        let key = key::encode_key(Random::new(seed).bytes());
        Ok(Self {
            state: ClientPhase::AwaitingAnswer,
            deadline: now + limits.timeout,
            outgoing: Outgoing::new(request.to_bytes(&key)),
            offers: Offers {
                accept: key::accept(key.as_bytes()),
                subprotocols: request.subprotocols,
                #[cfg(feature = "deflate")]
                deflate: request.deflate,
            },
            // The shortest prefix that no other protocol has.
            head: HeadReader::new(b"HTTP/1.", limits),
            limits,
            interim: 0,
            refusal: None,
            error: None,
        })
    }

    /// The current state of the handshake.
    #[must_use]
    pub fn state(&self) -> ClientPhase {
        self.state
    }

    /// The memory held for an answer that did not arrive in one piece, in bytes.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.head.buffered_bytes()
    }

    /// Reads the bytes of the answer from `input`, and no bytes after it.
    ///
    /// After `Some` the handshake has ended, and the rest of `input` is no longer HTTP.
    ///
    /// Only [`handle_timeout`](Self::handle_timeout) ends the wait. An answer that arrives after the deadline but before
    /// that call is still valid.
    ///
    /// # Errors
    /// The rule that the server broke. Every later call returns the same error.
    pub fn handle_input(&mut self, _now: Instant, input: &mut &mut [u8]) -> Result<Option<Answer>, ResponseError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        while self.state == ClientPhase::AwaitingAnswer {
            match self.read_head(input) {
                Ok(Some(upgraded)) => return Ok(Some(Answer::Upgraded(upgraded))),
                Ok(None) if input.is_empty() => break,
                Ok(None) => {}
                Err(error) => return Err(self.fail(ClientInput::Fault, error)),
            }
        }
        let Some((_, body)) = &mut self.refusal else {
            return Ok(None);
        };
        match body.read(input) {
            Progress::More => Ok(None),
            Progress::Complete => Ok(self.refused(ClientInput::RefusalEnd, true)),
            Progress::CutOff => Ok(self.refused(ClientInput::RefusalEnd, false)),
        }
    }

    /// The server ended the stream.
    ///
    /// # Errors
    /// The stream ended before the answer was complete.
    pub fn handle_eof(&mut self, _now: Instant) -> Result<Option<Answer>, ResponseError> {
        match (self.state, &self.refusal) {
            (ClientPhase::AwaitingAnswer, _) if self.head.is_untouched() && self.interim == 0 => {
                Err(self.fail(ClientInput::Eof, ResponseError::NoAnswer))
            }
            (ClientPhase::AwaitingAnswer, _) => Err(self.fail(ClientInput::Eof, ResponseError::Truncated)),
            (ClientPhase::ReadingRefusal, Some((_, body))) => {
                let complete = body.ends_with_stream();
                Ok(self.refused(ClientInput::Eof, complete))
            }
            _ => self.error.map_or(Ok(None), Err),
        }
    }

    /// Ends the wait if the deadline has passed. Before the deadline it does nothing.
    ///
    /// # Errors
    /// The answer was not complete in time. A refusal with an incomplete body is returned with the part that arrived.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<Option<Answer>, ResponseError> {
        if self.poll_timeout().is_none_or(|deadline| now < deadline) {
            return self.error.map_or(Ok(None), Err);
        }
        match self.state {
            ClientPhase::ReadingRefusal => Ok(self.refused(ClientInput::TimedOut, false)),
            _ => Err(self.fail(ClientInput::TimedOut, ResponseError::TimedOut)),
        }
    }

    /// Lends the bytes to write next, in up to `slices.len()` slices. Returns the number of slices.
    #[must_use]
    pub fn poll_transmit<'a>(&'a self, slices: &mut [&'a [u8]]) -> usize {
        self.outgoing.poll_transmit(slices)
    }

    /// Confirms that the transport accepted `count` of the bytes that [`poll_transmit`](Self::poll_transmit) lent.
    /// Returns whether the request is now sent completely; then the wait for the answer begins.
    pub fn transmitted(&mut self, now: Instant, count: usize) -> bool {
        if self.outgoing.is_empty() {
            return false;
        }
        self.outgoing.transmitted(count);
        if !self.outgoing.is_empty() {
            return false;
        }
        self.deadline = self.deadline.max(now + self.limits.timeout);
        true
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None` after the handshake has ended.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        matches!(self.state, ClientPhase::AwaitingAnswer | ClientPhase::ReadingRefusal).then_some(self.deadline)
    }

    /// Reads one head. `Some` if it is a valid 101 response.
    fn read_head(&mut self, input: &mut &mut [u8]) -> Result<Option<Upgraded>, ResponseError> {
        let Some(head) = self.head.read(input)? else {
            return Ok(None);
        };
        let (status, minor, headers) = head.parse_response()?;
        match status {
            101 => {
                // A 101 before the whole request is sent cannot be the answer to this request.
                if !self.outgoing.is_empty() {
                    return Err(ResponseError::Premature);
                }
                let upgraded = self.offers.evaluate(minor, headers)?;
                self.apply(ClientInput::SwitchingProtocols);
                Ok(Some(upgraded))
            }
            // RFC 9110 section 15.2: a client must be able to skip unexpected interim responses.
            100..=199 => {
                self.interim += 1;
                if self.interim > MAX_INTERIM_RESPONSES {
                    return Err(ResponseError::TooManyInterim);
                }
                self.apply(ClientInput::InterimAnswer);
                Ok(None)
            }
            _ => {
                let body = BodyReader::new(status, &headers, self.limits.max_body_bytes)?;
                let refusal = Response { status, headers, body: Vec::new(), complete: false };
                self.refusal = Some((refusal, body));
                self.apply(ClientInput::RefusalHead);
                Ok(None)
            }
        }
    }

    fn refused(&mut self, event: ClientInput, complete: bool) -> Option<Answer> {
        self.apply(event);
        let (mut refusal, body) = self.refusal.take()?;
        refusal.body = body.into_bytes();
        refusal.complete = complete;
        Some(Answer::Refused(refusal))
    }

    fn fail(&mut self, event: ClientInput, error: ResponseError) -> ResponseError {
        self.apply(event);
        self.error = Some(error);
        self.outgoing = Outgoing::default();
        error
    }

    fn apply(&mut self, input: ClientInput) {
        let next = self.state.next(input);
        debug_assert!(next.is_some(), "{input:?} in {:?}", self.state);
        self.state = next.unwrap_or(self.state);
    }
}

impl Offers {
    /// Checks a 101 response by the list in RFC 6455 section 4.1.
    fn evaluate(&self, minor: u8, headers: Headers) -> Result<Upgraded, ResponseError> {
        // RFC 9110 section 7.8: HTTP/1.0 does not support upgrades.
        if minor == 0 {
            return Err(ResponseError::Http10);
        }
        // Item 2.
        if !matches!(headers.single("Upgrade"), Single::Value(value) if value.eq_ignore_ascii_case(b"websocket")) {
            return Err(ResponseError::Upgrade);
        }
        // Item 3.
        if !headers.lists("Connection", "upgrade") {
            return Err(ResponseError::Connection);
        }
        // Item 4.
        if headers.single("Sec-WebSocket-Accept") != Single::Value(self.accept.as_bytes()) {
            return Err(ResponseError::Accept);
        }
        // RFC 9112 section 6.3: a 101 response always ends with its head. If it declares a body, we would read that body
        // as frames.
        if headers.get("Transfer-Encoding").is_some()
            || !matches!(headers.single("Content-Length"), Single::Missing | Single::Value(b"0"))
        {
            return Err(ResponseError::Body);
        }
        // Item 5, and section 11.3.2: the header appears at most once in a response.
        if headers.single(SEC_WEBSOCKET_EXTENSIONS) == Single::Repeated {
            return Err(ResponseError::Extensions);
        }
        let extensions = headers.get_all(SEC_WEBSOCKET_EXTENSIONS);
        #[cfg(feature = "deflate")]
        let negotiated = extensions::evaluate(extensions, self.deflate.as_ref())?;
        #[cfg(not(feature = "deflate"))]
        let negotiated = extensions::evaluate(extensions)?;
        // Item 6.
        let subprotocol = match headers.single(SEC_WEBSOCKET_PROTOCOL) {
            Single::Missing => None,
            Single::Value(value) => {
                let chosen = self.subprotocols.iter().find(|offered| offered.as_bytes() == value);
                Some(chosen.ok_or(ResponseError::Subprotocol)?.clone())
            }
            Single::Repeated => return Err(ResponseError::Subprotocol),
        };
        Ok(Upgraded { negotiated, subprotocol, headers })
    }
}

impl From<ReadError> for ResponseError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unexpected(_) => Self::NotHttp,
            ReadError::StartLineTooLong => Self::Head(HeadError::TooLong),
            ReadError::Head(error) => Self::Head(error),
        }
    }
}
