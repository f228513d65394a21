//! The server's side of one connection, whole: upgrade, connection and session behind one set of verbs.

use alloc::boxed::Box;

use crate::handshake::{
    Acceptance, Accepted, DecisionError, HandshakeLimits, Rejection, RequestError, ServerHandshake, UpgradeRequest,
    Upgraded,
};
use crate::session::{
    Features, ServerConfig, ServerCounters, ServerEvent, ServerSession, SubscriptionSet, Ticket, UnknownTicket,
};
use crate::websocket::{self, Closed, ProtocolError, Role, SendError, Sender, SharedMessage, WebSocket};
use crate::{Instant, WallClock, peer};

/// What a [`Connection`] is told at its start.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Limits of the session, and who decides on subscriptions.
    pub session: ServerConfig,
    /// Limits and keep-alive of the connection.
    pub websocket: websocket::Config,
    /// Limits of the upgrade.
    pub handshake: HandshakeLimits,
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
/// - Output: [`poll_transmit`](Self::poll_transmit) with [`transmitted`](Self::transmitted),
///   [`poll_shutdown`](Self::poll_shutdown) with [`shutdown_done`](Self::shutdown_done),
///   [`poll_event`](Self::poll_event) and [`poll_timeout`](Self::poll_timeout).
///
/// After any input or command drain the output methods.
#[derive(Debug)]
pub struct Connection {
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Handshake(Box<Handshake>),
    Open(Box<Open>),
}

/// Before the upgrade, with what is needed for it alone.
#[derive(Debug)]
struct Handshake {
    machine: ServerHandshake,
    session: ServerConfig,
    websocket: websocket::Config,
    reported: bool,
}

#[derive(Debug)]
struct Open {
    /// What opened the connection, until that is released.
    handshake: Option<Box<(UpgradeRequest, Upgraded)>>,
    connection: WebSocket,
    session: ServerSession,
}

/// What happened on a [`Connection`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The client asks for the upgrade: look at [`Connection::request`], then accept or reject.
    Requested,
    /// A message of the client had this effect.
    Session(ServerEvent),
    /// Over: the last event, reported exactly once, by [`Connection::poll_event`]. Drop the transport.
    Ended(Ended),
}

/// How a [`Connection`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The upgrade was rejected by the caller.
    Rejected,
    /// There was no valid request, or its client left.
    Failed(RequestError),
    /// The connection was open and closed.
    Closed(Closed),
}

/// What the client did wrong, with the connection going down for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// In its upgrade request.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// In its frames.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
}

impl Connection {
    /// A connection that waits for the upgrade request, from now on.
    #[must_use]
    pub fn new(now: Instant, config: &Config) -> Self {
        Self {
            phase: Phase::Handshake(Box::new(Handshake {
                machine: ServerHandshake::new(now, config.handshake),
                session: config.session,
                websocket: config.websocket.clone(),
                reported: false,
            })),
        }
    }

    /// The upgrade request, once it was read and until [`release_handshake`](Self::release_handshake).
    #[must_use]
    pub fn request(&self) -> Option<&UpgradeRequest> {
        match &self.phase {
            Phase::Handshake(handshake) => handshake.machine.request(),
            Phase::Open(open) => open.handshake.as_ref().map(|handshake| &handshake.0),
        }
    }

    /// What the upgrade agreed on, once it was accepted and until [`release_handshake`](Self::release_handshake).
    #[must_use]
    pub fn upgraded(&self) -> Option<&Upgraded> {
        self.open()?.handshake.as_ref().map(|handshake| &handshake.1)
    }

    /// What the client subscribes to; `None` before the connection is open.
    #[must_use]
    pub fn subscriptions(&self) -> Option<&SubscriptionSet> {
        self.open().map(|open| open.session.subscriptions())
    }

    /// What the session counted; `None` before the connection is open.
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
    /// Call it until it returns `None`: then all of `input` was taken, or a decision on the request is owed.
    ///
    /// # Errors
    /// What the client did wrong, for this and all further input. It is told: go on with the output methods until
    /// [`Event::Ended`].
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
                // What was wrong is told by `poll_event`.
                let _ = handshake.machine.handle_eof(now);
            }
            Phase::Open(open) => open.connection.handle_eof(now),
        }
    }

    /// The transport failed: nothing more can be read or written.
    pub fn handle_lost(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Handshake(handshake) => {
                // The rest of a response will never leave.
                handshake.machine.transmitted(now, usize::MAX);
                let _ = handshake.machine.handle_eof(now);
                handshake.machine.shutdown_done();
            }
            Phase::Open(open) => open.connection.handle_lost(now),
        }
    }

    /// Acts on every deadline that has come by `now`. Does nothing when none has.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Handshake(handshake) => {
                let _ = handshake.machine.handle_timeout(now);
            }
            Phase::Open(open) => open.connection.handle_timeout(now),
        }
    }

    /// The caller stops reading: until [`reading_resumed`](Self::reading_resumed) the silence of the client means nothing.
    pub fn reading_paused(&mut self, now: Instant) {
        if let Some(open) = self.open_mut() {
            open.connection.reading_paused(now);
        }
    }

    /// The caller reads again.
    pub fn reading_resumed(&mut self, now: Instant) {
        if let Some(open) = self.open_mut() {
            open.connection.reading_resumed(now);
        }
    }

    /// Accepts the upgrade. The 101 response announces the features of the session, and the connection's `ack` with
    /// `client_id` follows it; `clock` tells the time of day in what the session writes.
    ///
    /// # Errors
    /// Those of [`ServerHandshake::accept`]; nothing has changed then.
    pub fn accept(
        &mut self,
        now: Instant,
        mut acceptance: Acceptance,
        client_id: &str,
        clock: WallClock,
    ) -> Result<(), DecisionError> {
        let Phase::Handshake(handshake) = &mut self.phase else { return Err(DecisionError::AlreadyDecided) };
        let mut session = ServerSession::new(now, handshake.session, client_id, clock);
        if let Some(features) = session.features().header_value() {
            // A constant name and value: they are always valid.
            let _ = acceptance.headers.append(Features::HEADER, features);
        }
        handshake.machine.accept(now, &acceptance)?;
        let Some(accepted) = handshake.machine.poll_accepted() else { return Err(DecisionError::Over) };
        // A server draws nothing from the seed: it does not mask.
        let negotiated = &accepted.upgraded.negotiated;
        let mut connection = WebSocket::new(now, Role::Server, &handshake.websocket, negotiated, [0; 32]);
        connection.queue_raw(accepted.unsent);
        peer::send_messages(&mut session, &mut connection.sender());
        let Accepted { request, upgraded, .. } = accepted;
        let handshake = Some(Box::new((request, upgraded)));
        self.phase = Phase::Open(Box::new(Open { handshake, connection, session }));
        Ok(())
    }

    /// Gives back the memory of the request and of what the upgrade agreed on: some hundred bytes, for a connection that
    /// may be idle for long.
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

    /// Queues an event for the client. Whether it subscribes to it is the hub's business.
    ///
    /// # Errors
    /// [`SendError::QueueFull`] when the client reads too slowly, [`SendError::Closed`] when the connection is not open.
    pub fn publish(&mut self, message: &SharedMessage) -> Result<(), SendError> {
        let Open { session, connection, .. } = self.open_mut().ok_or(SendError::Closed)?;
        let mut out = connection.sender();
        // A reply that still waits goes first: no event may overtake the `ack` of its subscription (`protocol.md`,
        // Subscriptions and filtering).
        if out.is_open() && session.poll_message().is_some() {
            return Err(SendError::QueueFull { queued: out.queued(), limit: out.max_queued() });
        }
        out.send_shared(message)
    }

    /// Grants a subscription that was asked for.
    ///
    /// # Errors
    /// [`UnknownTicket`] when it was decided already, or a later request overrode it.
    pub fn allow(&mut self, now: Instant, ticket: Ticket) -> Result<ServerEvent, UnknownTicket> {
        let Open { session, connection, .. } = self.open_mut().ok_or(UnknownTicket)?;
        let event = session.accept(ticket)?;
        let mut out = connection.sender();
        peer::send_messages(session, &mut out);
        peer::act(now, session, &mut out);
        Ok(event)
    }

    /// Refuses a subscription that was asked for, with `error` for a person to read.
    ///
    /// # Errors
    /// [`UnknownTicket`] when it was decided already, or a later request overrode it.
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

    /// The transport took the first `len` bytes of what [`poll_transmit`](Self::poll_transmit) lent.
    pub fn transmitted(&mut self, now: Instant, len: usize) {
        match &mut self.phase {
            Phase::Handshake(handshake) => handshake.machine.transmitted(now, len),
            Phase::Open(open) => {
                open.connection.transmitted(now, len);
                peer::send_messages(&mut open.session, &mut open.connection.sender());
            }
        }
    }

    /// Whether the write side of the transport is to be shut down now: see [`WebSocket::poll_shutdown`].
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

    /// The next event that no byte of the client brings: [`Event::Ended`], once.
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

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest.
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
