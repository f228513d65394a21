//! The server's side of the upgrade (RFC 6455 section 4.2).

use alloc::vec::Vec;

use super::accepted::{Acceptance, Upgraded};
use super::error::{DecisionError, RequestError};
use super::head::{HeadReader, ReadError};
use super::headers::is_token_byte;
use super::limits::HandshakeLimits;
use super::outgoing::Outgoing;
use super::rejection::{Rejection, status_line};
use super::request::{HttpVersion, UpgradeRequest};
use super::state::{ServerInput, ServerPhase};
use crate::time::Instant;

/// A server's opening handshake: one request, one decision.
///
/// - Getters: [`state`](Self::state), [`request`](Self::request), [`error`](Self::error),
///   [`is_closed`](Self::is_closed), [`buffered_bytes`](Self::buffered_bytes).
/// - `handle_*`: [`handle_input`](Self::handle_input), until it returns the request, [`handle_eof`](Self::handle_eof) and
///   [`handle_timeout`](Self::handle_timeout).
/// - Commands: [`accept`](Self::accept) or [`reject`](Self::reject), after the request was returned.
/// - `poll_*`: [`poll_transmit`](Self::poll_transmit) with [`transmitted`](Self::transmitted),
///   [`poll_shutdown`](Self::poll_shutdown) with [`shutdown_done`](Self::shutdown_done),
///   [`poll_timeout`](Self::poll_timeout), and after `accept` [`poll_accepted`](Self::poll_accepted).
///
/// After `accept`, get the connection from `poll_accepted`, at once or after the response is sent. After `reject`,
/// or after a `handle_*` method returned an error, the response must still be sent: write the bytes of `poll_transmit`,
/// shut down the write side when `poll_shutdown` returns `true`, and drop the transport when `is_closed` returns `true`.
/// Until then, continue to read and pass in the input, which is ignored: if a transport is dropped with unread input, the
/// client may not receive the response.
///
/// ```
/// use multiwa_ws_core::Instant;
/// use multiwa_ws_core::handshake::{Acceptance, HandshakeLimits, Rejection, ServerHandshake};
///
/// let now = Instant::from_nanos(0);
/// let mut handshake = ServerHandshake::new(now, HandshakeLimits::default());
/// let mut bytes = *b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
///     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nfirst frame";
/// let mut input = &mut bytes[..];
/// let request = handshake.handle_input(now, &mut input)?.expect("a whole request");
/// assert_eq!(request.path(), "/ws");
///
/// handshake.accept(now, &Acceptance::default())?;
/// let accepted = handshake.poll_accepted().expect("just accepted");
/// assert!(accepted.unsent.starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
/// // Create a `WebSocket` with `accepted.upgraded.negotiated` and pass it the rest.
/// assert_eq!(input, b"first frame");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ServerHandshake {
    state: ServerPhase,
    limits: HandshakeLimits,
    deadline: Instant,
    head: HeadReader,
    request: Option<UpgradeRequest>,
    upgraded: Option<Upgraded>,
    outgoing: Outgoing,
    /// The client ended the stream, so no input is left to drain.
    eof: bool,
    error: Option<RequestError>,
}

/// An upgraded connection, ready for its next owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The client's request.
    pub request: UpgradeRequest,
    /// The agreed parameters.
    pub upgraded: Upgraded,
    /// The bytes of the 101 response that were not transmitted yet. They must be sent before any frame.
    pub unsent: Vec<u8>,
}

impl ServerHandshake {
    /// Creates a handshake that waits for a request. The deadline starts at `now`.
    #[must_use]
    pub fn new(now: Instant, limits: HandshakeLimits) -> Self {
        Self {
            state: ServerPhase::AwaitingRequest,
            limits,
            deadline: now + limits.timeout,
            // RFC 9112 section 2.2 recommends to skip an empty line before a request, because some clients end a body
            // with one. No body comes before the first request of a connection.
            head: HeadReader::new(b"GET ", limits),
            request: None,
            upgraded: None,
            outgoing: Outgoing::default(),
            eof: false,
            error: None,
        }
    }

    /// The current state of the handshake.
    #[must_use]
    pub fn state(&self) -> ServerPhase {
        self.state
    }

    /// The request, from the time it is complete until [`poll_accepted`](Self::poll_accepted) returns it.
    #[must_use]
    pub fn request(&self) -> Option<&UpgradeRequest> {
        self.request.as_ref()
    }

    /// The error of the client that ended the handshake.
    #[must_use]
    pub fn error(&self) -> Option<RequestError> {
        self.error
    }

    /// Whether the transport can be dropped.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state == ServerPhase::Closed
    }

    /// The memory held for a request that did not arrive in one piece, in bytes.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.head.buffered_bytes()
    }

    /// Reads the bytes of the request from `input`, and no bytes after it. Returns the request when it is complete.
    ///
    /// While the caller decides, and after `accept`, no bytes are read: the bytes after the request belong to the
    /// connection's next owner. After a refusal all bytes are read and ignored.
    ///
    /// # Errors
    /// The rule that the client broke. The response is queued, and every later call returns the same error.
    pub fn handle_input(
        &mut self,
        now: Instant,
        input: &mut &mut [u8],
    ) -> Result<Option<&UpgradeRequest>, RequestError> {
        match self.state {
            ServerPhase::AwaitingRequest => {}
            ServerPhase::Deciding | ServerPhase::Accepting | ServerPhase::Accepted | ServerPhase::Upgraded => {
                return Ok(None);
            }
            ServerPhase::Rejecting | ServerPhase::ShuttingDown | ServerPhase::Draining | ServerPhase::Closed => {
                *input = &mut [];
                return self.error.map_or(Ok(None), Err);
            }
        }
        match self.read_request(input) {
            Ok(None) => Ok(None),
            Ok(Some(request)) => {
                self.apply(ServerInput::Request);
                Ok(Some(self.request.insert(request)))
            }
            Err(error) => {
                *input = &mut [];
                Err(self.refuse(now, ServerInput::Fault, error))
            }
        }
    }

    /// The client ended the stream.
    ///
    /// # Errors
    /// The stream ended before the handshake was complete.
    pub fn handle_eof(&mut self, _now: Instant) -> Result<(), RequestError> {
        self.eof = true;
        let error = match self.state {
            ServerPhase::AwaitingRequest if self.head.is_untouched() => RequestError::NoRequest,
            ServerPhase::AwaitingRequest => RequestError::Truncated,
            ServerPhase::Deciding | ServerPhase::Accepting | ServerPhase::Accepted => RequestError::ClientLeft,
            ServerPhase::Rejecting | ServerPhase::ShuttingDown | ServerPhase::Draining => {
                self.apply(ServerInput::Eof);
                return self.error.map_or(Ok(()), Err);
            }
            ServerPhase::Upgraded | ServerPhase::Closed => return self.error.map_or(Ok(()), Err),
        };
        self.apply(ServerInput::Eof);
        Err(self.abandon(error))
    }

    /// Ends the wait if the deadline has passed. Before the deadline it does nothing.
    ///
    /// # Errors
    /// The request was not complete in time (the response is queued), or the client did not read the response in time.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), RequestError> {
        if self.poll_timeout().is_none_or(|deadline| now < deadline) {
            return self.error.map_or(Ok(()), Err);
        }
        match self.state {
            ServerPhase::AwaitingRequest => Err(self.refuse(now, ServerInput::TimedOut, RequestError::TimedOut)),
            ServerPhase::Accepting => {
                self.apply(ServerInput::TimedOut);
                Err(self.abandon(RequestError::ClientLeft))
            }
            _ => {
                self.apply(ServerInput::TimedOut);
                self.outgoing = Outgoing::default();
                self.error.map_or(Ok(()), Err)
            }
        }
    }

    /// Accepts the upgrade and queues the 101 response.
    ///
    /// # Errors
    /// There is no request to decide on, or a choice cannot be sent. Nothing has changed then.
    pub fn accept(&mut self, now: Instant, acceptance: &Acceptance) -> Result<(), DecisionError> {
        let request = self.undecided()?;
        let upgraded = request.accept(acceptance)?;
        let mut bytes = status_line(101);
        upgraded.headers.write(&mut bytes);
        bytes.extend_from_slice(b"\r\n");
        self.outgoing = Outgoing::new(bytes);
        self.upgraded = Some(upgraded);
        self.deadline = now + self.limits.timeout;
        self.apply(ServerInput::Accept);
        Ok(())
    }

    /// Refuses the upgrade and queues the response.
    ///
    /// # Errors
    /// There is no request to decide on, or the response cannot be sent. Nothing has changed then.
    pub fn reject(&mut self, now: Instant, rejection: &Rejection) -> Result<(), DecisionError> {
        self.undecided()?;
        rejection.check()?;
        self.apply(ServerInput::Reject);
        self.outgoing = Outgoing::new(rejection.to_bytes());
        self.deadline = now + self.limits.timeout;
        Ok(())
    }

    /// Returns the upgraded connection, once, after [`accept`](Self::accept).
    #[must_use]
    pub fn poll_accepted(&mut self) -> Option<Accepted> {
        let (upgraded, request) = (self.upgraded.take()?, self.request.take()?);
        self.apply(ServerInput::TakenOver);
        Some(Accepted { request, upgraded, unsent: core::mem::take(&mut self.outgoing).into_rest() })
    }

    /// Lends the bytes to write next, in up to `slices.len()` slices. Returns the number of slices.
    #[must_use]
    pub fn poll_transmit<'a>(&'a self, slices: &mut [&'a [u8]]) -> usize {
        self.outgoing.poll_transmit(slices)
    }

    /// Confirms that the transport accepted `count` of the bytes that [`poll_transmit`](Self::poll_transmit) lent.
    pub fn transmitted(&mut self, _: Instant, count: usize) {
        if self.outgoing.is_empty() {
            return;
        }
        self.outgoing.transmitted(count);
        if self.outgoing.is_empty() {
            self.apply(ServerInput::ResponseSent);
        }
    }

    /// Whether the caller must shut down the write side of the transport now. Confirm it with
    /// [`shutdown_done`](Self::shutdown_done).
    #[must_use]
    pub fn poll_shutdown(&self) -> bool {
        self.state == ServerPhase::ShuttingDown
    }

    /// Confirms that the write side was shut down, or that this is not possible.
    pub fn shutdown_done(&mut self) {
        if !self.poll_shutdown() {
            return;
        }
        self.apply(ServerInput::ShutdownDone);
        if self.eof {
            self.apply(ServerInput::Eof);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None` while the caller decides and after the handshake has
    /// ended.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            ServerPhase::AwaitingRequest
            | ServerPhase::Accepting
            | ServerPhase::Rejecting
            | ServerPhase::ShuttingDown
            | ServerPhase::Draining => Some(self.deadline),
            ServerPhase::Deciding | ServerPhase::Accepted | ServerPhase::Upgraded | ServerPhase::Closed => None,
        }
    }

    fn read_request(&mut self, input: &mut &mut [u8]) -> Result<Option<UpgradeRequest>, RequestError> {
        let Some(head) = self.head.read(input)? else {
            return Ok(None);
        };
        let (target, minor, headers) = head.parse_request()?;
        let version = if minor == 0 { HttpVersion::Http10 } else { HttpVersion::Http11 };
        UpgradeRequest::new(version, target, headers).map(Some)
    }

    /// The request, if the caller must decide on it now.
    fn undecided(&self) -> Result<&UpgradeRequest, DecisionError> {
        match (self.state, &self.request) {
            (ServerPhase::Deciding, Some(request)) => Ok(request),
            (ServerPhase::AwaitingRequest, _) => Err(DecisionError::TooEarly),
            _ if self.error.is_some() => Err(DecisionError::Over),
            _ => Err(DecisionError::AlreadyDecided),
        }
    }

    /// Answers an error of the client. The deadline starts again for the response.
    fn refuse(&mut self, now: Instant, event: ServerInput, error: RequestError) -> RequestError {
        self.apply(event);
        self.error = Some(error);
        self.head = HeadReader::new(b"", self.limits);
        self.deadline = now + self.limits.timeout;
        if let Some(rejection) = error.rejection() {
            self.outgoing = Outgoing::new(rejection.to_bytes());
        }
        error
    }

    /// Drops everything: the client is gone.
    fn abandon(&mut self, error: RequestError) -> RequestError {
        self.error = Some(error);
        self.head = HeadReader::new(b"", self.limits);
        self.outgoing = Outgoing::default();
        self.request = None;
        self.upgraded = None;
        error
    }

    fn apply(&mut self, input: ServerInput) {
        let next = self.state.next(input);
        debug_assert!(next.is_some(), "{input:?} in {:?}", self.state);
        self.state = next.unwrap_or(self.state);
    }
}

impl From<ReadError> for RequestError {
    fn from(error: ReadError) -> Self {
        match error {
            // RFC 9112 section 3: a byte that is valid in a method belongs to a method other than GET.
            ReadError::Unexpected(byte) if is_token_byte(byte) || byte == b' ' => Self::Method,
            ReadError::Unexpected(_) => Self::NotHttp,
            ReadError::StartLineTooLong => Self::TargetTooLong,
            ReadError::Head(error) => Self::Head(error),
        }
    }
}
