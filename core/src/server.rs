//! The server's side of one connection: upgrade, connection and session behind one set of methods.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::handshake::{
    Acceptance, Accepted, DecisionError, HandshakeLimits, Rejection, RequestError, ServerHandshake, UpgradeRequest,
    Upgraded,
};
use crate::session::{
    Features, ServerConfig, ServerCounters, ServerEvent, ServerSession, SubscriptionSet, Ticket, UnknownTicket,
};
use crate::websocket::{self, Closed, Negotiated, ProtocolError, Role, SendError, Sender, SharedMessage, WebSocket};
use crate::{Instant, WallClock, peer};

/// The configuration of a [`Connection`].
#[derive(Clone, Debug)]
pub struct Config {
    /// All connections with clones of this configuration share it.
    pub(crate) session: Arc<ServerConfig>,
    pub(crate) websocket: websocket::Config,
    pub(crate) handshake: HandshakeLimits,
}

impl Config {
    /// The defaults, which each setter documents.
    #[must_use]
    pub fn new() -> Self {
        Self { session: Arc::default(), websocket: websocket::Config::new(), handshake: HandshakeLimits::new() }
    }

    /// Limits of the session, and who decides on subscriptions.
    #[must_use]
    pub fn session(mut self, config: ServerConfig) -> Self {
        self.session = config.into();
        self
    }

    /// Limits and keep-alive of the connection.
    #[must_use]
    pub const fn websocket(mut self, config: websocket::Config) -> Self {
        self.websocket = config;
        self
    }

    /// Limits of the upgrade.
    #[must_use]
    pub const fn handshake(mut self, limits: HandshakeLimits) -> Self {
        self.handshake = limits;
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Config {
    /// Accepts a request that another HTTP server has read. The result has the headers of the 101 response, which
    /// announce the features of the session. After the other server has sent it, continue with
    /// [`Connection::from_upgraded`].
    ///
    /// # Errors
    /// Those of [`UpgradeRequest::accept`].
    pub fn accept(&self, request: &UpgradeRequest, mut acceptance: Acceptance) -> Result<Upgraded, DecisionError> {
        announce(&self.session, &mut acceptance);
        request.accept(&acceptance)
    }
}

/// The server's side of one connection to a client, without I/O.
///
/// - Getters: [`request`](Self::request), [`upgraded`](Self::upgraded), [`is_open`](Self::is_open),
///   [`subscriptions`](Self::subscriptions), [`queued`](Self::queued), [`counters`](Self::counters).
/// - Input: [`handle_input`](Self::handle_input), [`handle_eof`](Self::handle_eof), [`handle_lost`](Self::handle_lost),
///   [`handle_timeout`](Self::handle_timeout), [`reading_paused`](Self::reading_paused) and
///   [`reading_resumed`](Self::reading_resumed).
/// - Commands: [`accept`](Self::accept) or [`reject`](Self::reject), once, after [`Event::Requested`];
///   [`publish`](Self::publish), [`close`](Self::close), [`abort`](Self::abort),
///   [`release_handshake`](Self::release_handshake); [`allow`](Self::allow) and
///   [`refuse`](Self::refuse) after [`ServerEvent::SubscribeRequested`].
/// - Output: [`poll_transmit`](Self::poll_transmit) with [`transmitted`](Self::transmitted) or
///   [`try_transmitted`](Self::try_transmitted),
///   [`poll_shutdown`](Self::poll_shutdown) with [`shutdown_done`](Self::shutdown_done),
///   [`poll_event`](Self::poll_event) and [`poll_timeout`](Self::poll_timeout).
///
/// After any input or command, drain the output methods.
#[derive(Debug)]
pub struct Connection {
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Handshake(Box<Handshake>),
    Open(Box<Open>),
}

/// The phase before the upgrade, with the data that only this phase needs.
#[derive(Debug)]
struct Handshake {
    machine: ServerHandshake,
    config: Config,
    reported: bool,
}

#[derive(Debug)]
struct Open {
    /// The upgrade request and its result, until they are released. `None` if another HTTP server has read the request.
    handshake: Option<Box<(UpgradeRequest, Upgraded)>>,
    connection: WebSocket,
    session: ServerSession,
}

/// An event of a [`Connection`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The client requests the upgrade: check [`Connection::request`], then accept or reject it.
    Requested,
    /// A message of the client had this effect.
    Session(ServerEvent),
    /// The connection has ended. This is the last event. [`Connection::poll_event`] reports it exactly once. Drop the
    /// transport.
    Ended(Ended),
}

/// How a [`Connection`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The caller rejected the upgrade.
    Rejected,
    /// There was no valid request, or the client ended the transport.
    Failed(RequestError),
    /// The connection was open and has closed.
    Closed(Closed),
}

/// An error of the client that ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// An error in the upgrade request.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// An error in the frames.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
}

impl Connection {
    /// Creates a connection that waits for the upgrade request.
    #[must_use]
    pub fn new(now: Instant, config: &Config) -> Self {
        Self {
            phase: Phase::Handshake(Box::new(Handshake {
                machine: ServerHandshake::new(now, config.handshake),
                config: config.clone(),
                reported: false,
            })),
        }
    }

    /// Creates an open connection. Another HTTP server has sent the 101 response that [`Config::accept`] returned, and
    /// `negotiated` is from its result. The connection ack with `client_id` is queued. `clock` provides the time of day
    /// for the messages of the session.
    #[must_use]
    pub fn from_upgraded(
        now: Instant,
        config: &Config,
        negotiated: &Negotiated,
        client_id: &str,
        clock: WallClock,
    ) -> Self {
        Self { phase: Phase::Open(Box::new(Open::new(now, config, negotiated, Vec::new(), client_id, clock))) }
    }

    /// The upgrade request: available from when it was read until [`release_handshake`](Self::release_handshake).
    #[must_use]
    pub fn request(&self) -> Option<&UpgradeRequest> {
        match &self.phase {
            Phase::Handshake(handshake) => handshake.machine.request(),
            Phase::Open(open) => open.handshake.as_ref().map(|handshake| &handshake.0),
        }
    }

    /// The result of the upgrade: available from when it was accepted until
    /// [`release_handshake`](Self::release_handshake).
    #[must_use]
    pub fn upgraded(&self) -> Option<&Upgraded> {
        self.open()?.handshake.as_ref().map(|handshake| &handshake.1)
    }

    /// The subscriptions of the client; `None` before the connection is open.
    #[must_use]
    pub fn subscriptions(&self) -> Option<&SubscriptionSet> {
        self.open().map(|open| open.session.subscriptions())
    }

    /// The counters of the session; `None` before the connection is open.
    #[must_use]
    pub fn counters(&self) -> Option<&ServerCounters> {
        self.open().map(|open| open.session.counters())
    }

    /// Whether events can be published: the upgrade was accepted, and neither side has begun to close.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open().is_some_and(|open| open.connection.state() == websocket::State::Open)
    }

    /// Bytes that wait to be written on the open connection.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.open().map_or(0, |open| open.connection.queued())
    }

    /// Takes bytes of the client from the front of `input` up to the next event, and advances `input` past them.
    ///
    /// Call it until it returns `None`: then all of `input` was taken, or the connection waits for the decision on the
    /// upgrade request.
    ///
    /// # Errors
    /// The error of the client, for this and all further input. The client is notified: continue with the output
    /// methods until [`Event::Ended`].
    pub fn handle_input(&mut self, now: Instant, input: &mut &mut [u8]) -> Result<Option<Event>, PeerError> {
        let open = match &mut self.phase {
            Phase::Handshake(handshake) => {
                let requested = handshake.machine.handle_input(now, input)?.is_some();
                return Ok(requested.then_some(Event::Requested));
            }
            Phase::Open(open) => open,
        };
        let Open { connection, session, .. } = &mut **open;
        let (recv, out) = connection.sides();
        while let Some(decoded) = recv.advance(now, input, out)? {
            let out = &mut Sender::new(out);
            let event = match recv.lend(decoded) {
                websocket::Event::Text(text) => session.handle_message(now, text),
                websocket::Event::Binary(_) => {
                    session.handle_binary(now);
                    None
                }
                _ => None,
            };
            peer::send_messages(session, out);
            peer::act(now, session, out);
            if let Some(event) = event {
                return Ok(Some(Event::Session(event)));
            }
        }
        Ok(None)
    }

    /// The client ended its side of the transport.
    pub fn handle_eof(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Handshake(handshake) => {
                // `poll_event` reports the error.
                let _ = handshake.machine.handle_eof(now);
            }
            Phase::Open(open) => open.connection.handle_eof(now),
        }
    }

    /// The transport failed: nothing more can be read or written.
    pub fn handle_lost(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Handshake(handshake) => {
                // The rest of a response can no longer be written.
                handshake.machine.transmitted(now, usize::MAX);
                let _ = handshake.machine.handle_eof(now);
                handshake.machine.shutdown_done();
            }
            Phase::Open(open) => open.connection.handle_lost(now),
        }
    }

    /// Acts on every deadline that has passed at `now`. Does nothing when none has.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Handshake(handshake) => {
                let _ = handshake.machine.handle_timeout(now);
            }
            Phase::Open(open) => open.connection.handle_timeout(now),
        }
    }

    /// The caller stops reading. Until [`reading_resumed`](Self::reading_resumed), the silence of the client is
    /// ignored.
    pub fn reading_paused(&mut self, now: Instant) {
        if let Some(open) = self.open_mut() {
            open.connection.reading_paused(now);
        }
    }

    /// The caller resumes reading.
    pub fn reading_resumed(&mut self, now: Instant) {
        if let Some(open) = self.open_mut() {
            open.connection.reading_resumed(now);
        }
    }

    /// Accepts the upgrade. The 101 response announces the features of the session, and the connection ack with
    /// `client_id` follows it. `clock` provides the time of day for the messages of the session.
    ///
    /// # Errors
    /// Those of [`ServerHandshake::accept`]. Nothing has changed then.
    pub fn accept(
        &mut self,
        now: Instant,
        mut acceptance: Acceptance,
        client_id: &str,
        clock: WallClock,
    ) -> Result<(), DecisionError> {
        let Phase::Handshake(handshake) = &mut self.phase else { return Err(DecisionError::AlreadyDecided) };
        let config = &handshake.config;
        announce(&config.session, &mut acceptance);
        handshake.machine.accept(now, &acceptance)?;
        let Some(Accepted { request, upgraded, unsent }) = handshake.machine.poll_accepted() else {
            return Err(DecisionError::Over);
        };
        let mut open = Open::new(now, config, &upgraded.negotiated, unsent, client_id, clock);
        open.handshake = Some(Box::new((request, upgraded)));
        self.phase = Phase::Open(Box::new(open));
        Ok(())
    }

    /// Frees the memory of the upgrade request and its result. This saves some hundred bytes on a connection that may
    /// be idle for a long time.
    pub fn release_handshake(&mut self) {
        if let Some(open) = self.open_mut() {
            open.handshake = None;
        }
    }

    /// Rejects the upgrade.
    ///
    /// # Errors
    /// Those of [`ServerHandshake::reject`].
    pub fn reject(&mut self, now: Instant, rejection: &Rejection) -> Result<(), DecisionError> {
        match &mut self.phase {
            Phase::Handshake(handshake) => handshake.machine.reject(now, rejection),
            Phase::Open(_) => Err(DecisionError::AlreadyDecided),
        }
    }

    /// Queues an event for the client. It does not check the subscriptions of the client: the hub does.
    ///
    /// # Errors
    /// [`SendError::QueueFull`] when the client reads too slowly, [`SendError::Closed`] when the connection is not open.
    pub fn publish(&mut self, message: &SharedMessage) -> Result<(), SendError> {
        let Open { session, connection, .. } = self.open_mut().ok_or(SendError::Closed)?;
        let mut out = connection.sender();
        // A waiting reply goes first: no event may arrive before the `ack` of its subscription (`protocol.md`,
        // Subscriptions and filtering).
        if out.is_open() && session.poll_message().is_some() {
            return Err(SendError::QueueFull { queued: out.queued(), limit: out.max_queued() });
        }
        out.send_shared(message)
    }

    /// Accepts a subscription that the client requested.
    ///
    /// # Errors
    /// [`UnknownTicket`] when the request was already decided, or a later request overrode it.
    pub fn allow(&mut self, now: Instant, ticket: Ticket) -> Result<ServerEvent, UnknownTicket> {
        let Open { session, connection, .. } = self.open_mut().ok_or(UnknownTicket)?;
        let event = session.accept(ticket)?;
        let mut out = connection.sender();
        peer::send_messages(session, &mut out);
        peer::act(now, session, &mut out);
        Ok(event)
    }

    /// Refuses a subscription that the client requested. `error` is text for a person.
    ///
    /// # Errors
    /// [`UnknownTicket`] when the request was already decided, or a later request overrode it.
    pub fn refuse(&mut self, now: Instant, ticket: Ticket, error: &str) -> Result<(), UnknownTicket> {
        let Open { session, connection, .. } = self.open_mut().ok_or(UnknownTicket)?;
        session.refuse(ticket, error)?;
        let mut out = connection.sender();
        peer::send_messages(session, &mut out);
        peer::act(now, session, &mut out);
        Ok(())
    }

    /// Starts the closing handshake of an open connection: see [`websocket::Sender::close`].
    ///
    /// # Errors
    /// Those of [`websocket::Sender::close`].
    pub fn close(&mut self, now: Instant, code: crate::frame::CloseCode, reason: &str) -> Result<(), SendError> {
        self.open_mut().ok_or(SendError::Closed)?.connection.close(now, code, reason)
    }

    /// Ends the connection at once, without a closing handshake.
    pub fn abort(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Handshake(_) => self.handle_lost(now),
            Phase::Open(open) => open.connection.abort(now),
        }
    }

    /// Lends bytes to write: see [`WebSocket::poll_transmit`].
    #[must_use = "lent bytes are to be written, then confirmed with `transmitted`"]
    pub fn poll_transmit<'q>(&'q self, slices: &mut [&'q [u8]]) -> usize {
        match &self.phase {
            Phase::Handshake(handshake) => handshake.machine.poll_transmit(slices),
            Phase::Open(open) => open.connection.poll_transmit(slices),
        }
    }

    /// The transport accepted the first `len` bytes that [`poll_transmit`](Self::poll_transmit) lent.
    pub fn transmitted(&mut self, now: Instant, len: usize) {
        match &mut self.phase {
            Phase::Handshake(handshake) => handshake.machine.transmitted(now, len),
            Phase::Open(open) => {
                open.connection.transmitted(now, len);
                peer::send_messages(&mut open.session, &mut open.connection.sender());
            }
        }
    }

    /// Like [`WebSocket::try_transmitted`]. It also returns `false` while a reply of the session waits for room, and before
    /// the connection is open.
    #[must_use = "if the time matters, nothing was confirmed"]
    pub fn try_transmitted(&mut self, len: usize) -> bool {
        self.open_mut()
            .is_some_and(|open| open.session.poll_message().is_none() && open.connection.try_transmitted(len))
    }

    /// Whether the write side of the transport must be shut down now: see [`WebSocket::poll_shutdown`].
    #[must_use = "shut the write side down, then call `shutdown_done`"]
    pub fn poll_shutdown(&self) -> bool {
        match &self.phase {
            Phase::Handshake(handshake) => handshake.machine.poll_shutdown(),
            Phase::Open(open) => open.connection.poll_shutdown(),
        }
    }

    /// The write side of the transport was shut down.
    pub fn shutdown_done(&mut self) {
        match &mut self.phase {
            Phase::Handshake(handshake) => handshake.machine.shutdown_done(),
            Phase::Open(open) => open.connection.shutdown_done(),
        }
    }

    /// The next event that no input of the client causes: [`Event::Ended`], once.
    #[must_use = "the end of the connection is reported here and nowhere else"]
    pub fn poll_event(&mut self) -> Option<Event> {
        let ended = match &mut self.phase {
            Phase::Handshake(handshake) if handshake.machine.is_closed() && !handshake.reported => {
                handshake.reported = true;
                handshake.machine.error().map_or(Ended::Rejected, Ended::Failed)
            }
            Phase::Handshake(_) => return None,
            Phase::Open(open) => match open.connection.poll_event()? {
                websocket::Event::Closed(closed) => Ended::Closed(closed),
                _ => return None,
            },
        };
        Some(Event::Ended(ended))
    }

    /// The latest time at which [`handle_timeout`](Self::handle_timeout) must be called.
    #[must_use = "without a timer a silent client is never noticed"]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Handshake(handshake) => handshake.machine.poll_timeout(),
            Phase::Open(open) => open.connection.poll_timeout(),
        }
    }

    fn open(&self) -> Option<&Open> {
        match &self.phase {
            Phase::Handshake(_) => None,
            Phase::Open(open) => Some(open),
        }
    }

    fn open_mut(&mut self) -> Option<&mut Open> {
        match &mut self.phase {
            Phase::Handshake(_) => None,
            Phase::Open(open) => Some(open),
        }
    }
}

impl Open {
    /// An open connection that sends `unsent` and then the connection ack.
    fn new(
        now: Instant,
        config: &Config,
        negotiated: &Negotiated,
        unsent: Vec<u8>,
        client_id: &str,
        clock: WallClock,
    ) -> Self {
        // A server does not mask frames, so it does not use the seed.
        let mut connection = WebSocket::new(now, Role::Server, &config.websocket, negotiated, [0; 32]);
        connection.queue_raw(unsent);
        let mut session = ServerSession::new(now, config.session.clone(), client_id, clock);
        peer::send_messages(&mut session, &mut connection.sender());
        Self { handshake: None, connection, session }
    }
}

/// Adds the header that announces the features of the session.
fn announce(session: &ServerConfig, acceptance: &mut Acceptance) {
    if let Some(features) = session.features().header_value() {
        // The name and the value are constant and always valid.
        let _ = acceptance.headers.append(Features::HEADER, features);
    }
}
