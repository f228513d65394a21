//! The server's side of the upgrade (RFC 6455 section 4.2).

use alloc::vec::Vec;

use super::accepted::{Acceptance, Upgraded};
use super::error::{DecisionError, RequestError};
use super::head::{HeadReader, ReadError};
use super::headers::is_token_byte;
use super::limits::HandshakeLimits;
use super::outgoing::Outgoing;
use super::rejection::{Rejection, status_line};
use super::request::UpgradeRequest;
use super::state::{ServerInput, ServerPhase};
use crate::time::Instant;

/// A server's opening handshake: one request, one decision.
///
/// - Getters: [`state`](Self::state), [`request`](Self::request), [`error`](Self::error),
///   [`is_closed`](Self::is_closed), [`buffered_bytes`](Self::buffered_bytes).
/// - `handle_*`: [`handle_input`](Self::handle_input) until it returns the request, [`handle_eof`](Self::handle_eof),
///   [`handle_timeout`](Self::handle_timeout).
/// - Commands: [`accept`](Self::accept) or [`reject`](Self::reject), once there is a request.
/// - `poll_*`: [`poll_transmit`](Self::poll_transmit) with [`transmitted`](Self::transmitted),
///   [`poll_shutdown`](Self::poll_shutdown) with [`shutdown_done`](Self::shutdown_done),
///   [`poll_timeout`](Self::poll_timeout), and after `accept` [`poll_accepted`](Self::poll_accepted).
///
/// After `accept`, take the connection over with `poll_accepted`, at once or when the response is out. After `reject`, or
/// when a `handle_*` returned an error, the response still has to go out: drain `poll_transmit`, shut the writing side
/// down when `poll_shutdown` says so, and drop the transport once `is_closed`. Input is ignored in the meantime, but must
/// be read: a transport that is dropped with unread input may take the response with it.
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
/// // Build a `WebSocket` from `accepted.upgraded.negotiated` and feed it the rest.
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
    /// The client ended the stream, so there is nothing left to drain.
    eof: bool,
    error: Option<RequestError>,
}

/// A connection that was upgraded, ready for its next owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// What the client asked for.
    pub request: UpgradeRequest,
    /// What it was granted.
    pub upgraded: Upgraded,
    /// Bytes of the 101 response that were not transmitted yet: they must go out before any frame.
    pub unsent: Vec<u8>,
}

impl ServerHandshake {
    /// Waits for a request, from now on.
    #[must_use]
    pub fn new(now: Instant, limits: HandshakeLimits) -> Self {
        Self {
            state: ServerPhase::AwaitingRequest,
            limits,
            deadline: now + limits.timeout,
            // RFC 9112 section 2.2 asks to skip an empty line before a request for the sake of clients that end a body
            // with one; no body precedes the first request of a connection.
            head: HeadReader::new(b"GET ", limits),
            request: None,
            upgraded: None,
            outgoing: Outgoing::default(),
            eof: false,
            error: None,
        }
    }

    /// Where the handshake stands.
    #[must_use]
    pub fn state(&self) -> ServerPhase {
        self.state
    }

    /// The request, from its last byte until [`poll_accepted`](Self::poll_accepted) hands it on.
    #[must_use]
    pub fn request(&self) -> Option<&UpgradeRequest> {
        self.request.as_ref()
    }

    /// The fault of the client that ended the handshake.
    #[must_use]
    pub fn error(&self) -> Option<RequestError> {
        self.error
    }

    /// Whether the transport can be dropped.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state == ServerPhase::Closed
    }

    /// Memory held for a request that did not arrive in one piece.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.head.buffered_bytes()
    }

    /// Takes from `input` the bytes of the request and none that follow it; returns the request when it is whole.
    ///
    /// While the caller owes a decision, and after `accept`, nothing is taken: what follows the request is for the
    /// connection's next owner. After a refusal everything is taken and ignored.
    ///
    /// # Errors
    /// The rule that the client broke. The response is queued; the same error is returned whenever this is called again.
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
    /// It ended before the handshake did.
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

    /// Ends the wait when the deadline has passed, and does nothing before.
    ///
    /// # Errors
    /// There was no whole request in time (the response is queued), or the client did not take the response in time.
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

    /// Accepts the upgrade: the 101 response is queued.
    ///
    /// # Errors
    /// There is nothing to decide, or a choice cannot be sent; nothing has changed then.
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

    /// Refuses the upgrade: the response is queued.
    ///
    /// # Errors
    /// There is nothing to decide, or the response cannot be sent; nothing has changed then.
    pub fn reject(&mut self, now: Instant, rejection: &Rejection) -> Result<(), DecisionError> {
        self.undecided()?;
        rejection.check()?;
        self.apply(ServerInput::Reject);
        self.outgoing = Outgoing::new(rejection.to_bytes());
        self.deadline = now + self.limits.timeout;
        Ok(())
    }

    /// Hands the connection over, once, after [`accept`](Self::accept).
    #[must_use]
    pub fn poll_accepted(&mut self) -> Option<Accepted> {
        let (upgraded, request) = (self.upgraded.take()?, self.request.take()?);
        self.apply(ServerInput::TakenOver);
        Some(Accepted { request, upgraded, unsent: core::mem::take(&mut self.outgoing).into_rest() })
    }

    /// Lends what must be written next, as up to `slices.len()` slices; returns how many.
    #[must_use]
    pub fn poll_transmit<'a>(&'a self, slices: &mut [&'a [u8]]) -> usize {
        self.outgoing.poll_transmit(slices)
    }

    /// Confirms that the transport took `count` bytes of what [`poll_transmit`](Self::poll_transmit) lent.
    pub fn transmitted(&mut self, _: Instant, count: usize) {
        if self.outgoing.is_empty() {
            return;
        }
        self.outgoing.transmitted(count);
        if self.outgoing.is_empty() {
            self.apply(ServerInput::ResponseSent);
        }
    }

    /// Whether the writing side of the transport must be shut down now; confirm it with
    /// [`shutdown_done`](Self::shutdown_done).
    #[must_use]
    pub fn poll_shutdown(&self) -> bool {
        self.state == ServerPhase::ShuttingDown
    }

    /// Confirms that the writing side was shut down, or cannot be.
    pub fn shutdown_done(&mut self) {
        if !self.poll_shutdown() {
            return;
        }
        self.apply(ServerInput::ShutdownDone);
        if self.eof {
            self.apply(ServerInput::Eof);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None` while the caller decides and once all is done.
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
        if minor == 0 {
            return Err(RequestError::Http10);
        }
        UpgradeRequest::new(target, headers).map(Some)
    }

    /// The request, when a decision on it is due.
    fn undecided(&self) -> Result<&UpgradeRequest, DecisionError> {
        match (self.state, &self.request) {
            (ServerPhase::Deciding, Some(request)) => Ok(request),
            (ServerPhase::AwaitingRequest, _) => Err(DecisionError::TooEarly),
            _ if self.error.is_some() => Err(DecisionError::Over),
            _ => Err(DecisionError::AlreadyDecided),
        }
    }

    /// Answers the client's fault; the deadline starts anew for the response.
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

    /// Drops everything: nobody is there to read it.
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
            // RFC 9112 section 3: whatever begins like a method is one that is not allowed here.
            ReadError::Unexpected(byte) if is_token_byte(byte) || byte == b' ' => Self::Method,
            ReadError::Unexpected(_) => Self::NotHttp,
            ReadError::StartLineTooLong => Self::TargetTooLong,
            ReadError::Head(error) => Self::Head(error),
        }
    }
}
