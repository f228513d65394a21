//! A whole client: upgrade, connection and session behind one set of methods.

use alloc::boxed::Box;

use crate::handshake::{
    Answer, ClientHandshake, ClientRequest, HandshakeLimits, InvalidRequest, Response, ResponseError,
};
use crate::peer;
use crate::random::Random;
use crate::session::{
    Action, ClientConfig, ClientEvent, ClientSession, ClientState, CommandError, DisconnectReason, EventNames,
    EventSpans, Features, RequestId,
};
use crate::websocket::{self, Cause, Closed, ProtocolError, Role, Sender, WebSocket};
use crate::{Instant, KeepAlive};

/// The configuration of a [`Client`].
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) session: ClientConfig,
    pub(crate) websocket: websocket::Config,
    pub(crate) handshake: HandshakeLimits,
}

impl Config {
    /// The defaults, which each setter documents.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            session: ClientConfig::new(),
            websocket: websocket::Config::new().keep_alive(KeepAlive::OFF),
            handshake: HandshakeLimits::new(),
        }
    }

    /// Deadlines, reconnection and limits of the session.
    #[must_use]
    pub const fn session(mut self, config: ClientConfig) -> Self {
        self.session = config;
        self
    }

    /// Limits of each connection. The default has no WebSocket pings ([`KeepAlive::OFF`]), since the protocol has a
    /// `ping` of its own; [`websocket::Config::new`] has them.
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

/// A MultiWA client without I/O. One client uses many connections, one after the other.
///
/// - Getters: [`session`](Self::session) for its whole state, [`failure`](Self::failure).
/// - Input: [`connected`](Self::connected) or [`connect_failed`](Self::connect_failed) after a
///   [`TransportAction::Connect`] or `Redirect`; [`handle_input`](Self::handle_input), [`handle_eof`](Self::handle_eof),
///   [`handle_lost`](Self::handle_lost), [`handle_timeout`](Self::handle_timeout),
///   [`reading_paused`](Self::reading_paused) and [`reading_resumed`](Self::reading_resumed).
/// - Commands: [`connect`](Self::connect), and through [`commands`](Self::commands) those of [`Commands`].
/// - Output: [`poll_action`](Self::poll_action), [`poll_transmit`](Self::poll_transmit) with
///   [`transmitted`](Self::transmitted), [`poll_shutdown`](Self::poll_shutdown) with
///   [`shutdown_done`](Self::shutdown_done), [`poll_event`](Self::poll_event) and
///   [`poll_timeout`](Self::poll_timeout).
///
/// After any input or command, drain the output methods, the actions first. `handle_input` and `poll_event` return
/// events in one order, the order of the wire. A protocol violation of the server is reported as the disconnect reason
/// that it causes.
#[derive(Debug)]
pub struct Client {
    session: ClientSession,
    stage: Stage,
    /// The transport must be dropped.
    disconnect: bool,
    connect: Option<u32>,
    redirect: Option<Box<Response>>,
    failure: Option<Failure>,
    websocket: websocket::Config,
    handshake: HandshakeLimits,
    random: Random,
    /// The latest time that was passed in.
    now: Instant,
}

/// The stage of the present transport.
#[derive(Debug)]
enum Stage {
    None,
    Connecting,
    Upgrading(Box<ClientHandshake>),
    Open(Box<WebSocket>),
}

/// An action that the caller must perform on the transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportAction {
    /// Open a transport to the server; then call [`Client::connected`] or [`Client::connect_failed`].
    Connect {
        /// The number of the attempt, counted from 1 since the last stable connection.
        attempt: u32,
    },
    /// Drop the transport and open one to the address in [`Response::location`]; then continue as after `Connect`.
    ///
    /// The caller decides whether to follow the redirect, because it knows the address that it dialed. Do not follow a
    /// redirect from TLS to plain text, and do not send credentials to another origin. If you do not follow it, call
    /// [`Client::connect_failed`] with [`DisconnectReason::Refused`]. [`ClientConfig::max_redirects`] limits the number
    /// of redirects.
    Redirect(Box<Response>),
    /// Drop the transport, or the attempt to open one.
    Disconnect,
}

/// Why the latest connection or attempt failed, with more details than its [`DisconnectReason`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The server refused the upgrade.
    #[error("the server refused the connection with HTTP status {}", .0.status)]
    Refused(Response),
    /// The answer to the upgrade was invalid, or did not come.
    #[error(transparent)]
    Response(ResponseError),
    /// The server violated the WebSocket protocol.
    #[error(transparent)]
    Violation(ProtocolError),
}

/// A [`ClientEvent`] with the commands of the same client.
#[derive(Debug)]
pub struct Received<'e> {
    /// The event.
    pub event: ClientEvent<'e>,
    /// The commands of the client that received it.
    pub commands: Commands<'e>,
}

impl Client {
    /// Creates a client that waits for [`connect`](Self::connect). `seed` must be unpredictable and differ from client
    /// to client.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let mut random = Random::new(seed);
        Self {
            session: ClientSession::new(config.session, random.seed()),
            stage: Stage::None,
            disconnect: false,
            connect: None,
            redirect: None,
            failure: None,
            websocket: config.websocket,
            handshake: config.handshake,
            random,
            now: Instant::default(),
        }
    }

    /// The session of the client: its state, subscriptions, disconnect reasons and counters.
    #[must_use]
    pub fn session(&self) -> &ClientSession {
        &self.session
    }

    /// Why the latest connection or attempt failed, if there are more details than its [`DisconnectReason`].
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Requests a connection. [`poll_action`](Self::poll_action) reports when to open the transport.
    ///
    /// # Errors
    /// Those of [`ClientSession::connect`].
    pub fn connect(&mut self, now: Instant) -> Result<(), CommandError> {
        self.session.connect(now)?;
        self.settle(now);
        Ok(())
    }

    /// The commands of the client.
    pub fn commands(&mut self) -> Commands<'_> {
        let out = match &mut self.stage {
            Stage::Open(connection) => Some(connection.sender()),
            _ => None,
        };
        Commands { session: &mut self.session, out }
    }

    /// The transport is open: the upgrade begins with `request`.
    ///
    /// # Errors
    /// When the request cannot be sent. The attempt then ends with [`DisconnectReason::Stopped`].
    #[cfg_attr(not(feature = "socketio"), expect(unused_mut, reason = "only a socket.io client takes the key out"))]
    pub fn connected(&mut self, now: Instant, mut request: ClientRequest) -> Result<(), InvalidRequest> {
        if !matches!(self.stage, Stage::Connecting) {
            return Ok(());
        }
        #[cfg(feature = "socketio")]
        self.session.set_connect_key(request.connect_key.take());
        self.session.connected(now);
        match ClientHandshake::new(now, request, self.handshake, self.random.seed()) {
            Ok(handshake) => {
                self.stage = Stage::Upgrading(Box::new(handshake));
                Ok(())
            }
            Err(error) => {
                self.lose(now, DisconnectReason::Stopped);
                Err(error)
            }
        }
    }

    /// The transport could not be opened.
    pub fn connect_failed(&mut self, now: Instant, reason: DisconnectReason) {
        if matches!(self.stage, Stage::Connecting) {
            // There is no transport to drop.
            self.stage = Stage::None;
            self.failure = None;
            self.lose(now, reason);
        }
    }

    /// Takes bytes of the server from the front of `input` up to the next event, and advances `input` past them. If an
    /// earlier event waits, it returns that event and takes no bytes.
    ///
    /// Call it until it returns `None`: then all of `input` is processed, and all of its events have been returned. An
    /// event borrows from `input`, or from an internal buffer when `input` does not hold the whole message.
    pub fn handle_input<'e, 'x: 'e>(&'e mut self, now: Instant, input: &mut &'x mut [u8]) -> Option<Received<'e>> {
        if let Some(event) = self.session.poll_event() {
            return Some(Received { event, commands: self.commands() });
        }
        if let Stage::Upgrading(handshake) = &mut self.stage {
            let answer = handshake.handle_input(now, input);
            self.answered(now, answer);
        } else if let Some(decoded) = self.handle_frames(now, input) {
            return self.lend(decoded);
        }
        match self.stage {
            // The end of the upgrade is reported before the bytes after it are read.
            Stage::Open(_) | Stage::Upgrading(_) => {}
            // Bytes of a transport that was dropped.
            Stage::None | Stage::Connecting => *input = &mut [],
        }
        let event = self.session.poll_event()?;
        Some(Received { event, commands: self.commands() })
    }

    /// Takes frames up to the next message that is an event, or that causes another event of the session.
    fn handle_frames<'x>(
        &mut self,
        now: Instant,
        input: &mut &'x mut [u8],
    ) -> Option<(websocket::Decoded<'x>, EventSpans)> {
        let Stage::Open(connection) = &mut self.stage else { return None };
        let (recv, out) = connection.sides();
        let mut arrived = !input.is_empty();
        let found = loop {
            match recv.advance(now, input, out) {
                Ok(Some(decoded)) => match recv.lend(decoded) {
                    websocket::Event::Text(text) => {
                        arrived = false;
                        let spans = self.session.process(now, text);
                        peer::send_messages(&mut self.session, &mut Sender::new(out));
                        match spans {
                            Some(spans) => break Some((decoded, spans)),
                            None if self.session.has_events() => break None,
                            None => {}
                        }
                    }
                    // `protocol.md`, Transport: a binary message has no meaning.
                    websocket::Event::Binary(payload) => {
                        self.session.handle_binary(now, payload);
                        break None;
                    }
                    _ => {}
                },
                // A violation is reported when the connection has ended, after the Close frame was sent.
                Ok(None) | Err(_) => break None,
            }
        };
        if arrived {
            self.session.handle_traffic(now);
        }
        if found.is_none() {
            self.settle(now);
        }
        found
    }

    fn lend<'e, 'x: 'e>(&'e mut self, (decoded, spans): (websocket::Decoded<'x>, EventSpans)) -> Option<Received<'e>> {
        let Stage::Open(connection) = &mut self.stage else { return None };
        let (recv, out) = connection.sides();
        let websocket::Event::Text(text) = recv.lend(decoded) else { return None };
        let commands = Commands { session: &mut self.session, out: Some(Sender::new(out)) };
        Some(Received { event: spans.lend(text), commands })
    }

    /// The server ended its side of the transport.
    pub fn handle_eof(&mut self, now: Instant) {
        match &mut self.stage {
            Stage::Upgrading(handshake) => {
                let answer = handshake.handle_eof(now);
                self.answered(now, answer);
            }
            Stage::Open(connection) => connection.handle_eof(now),
            Stage::None | Stage::Connecting => {}
        }
        self.settle(now);
    }

    /// The transport failed because of `reason`.
    pub fn handle_lost(&mut self, now: Instant, reason: DisconnectReason) {
        match &mut self.stage {
            // If the connection has already begun to close, it knows the cause better than the transport.
            Stage::Open(connection) if connection.state() != websocket::State::Open => connection.handle_lost(now),
            Stage::None => {}
            stage => {
                // A gateway that speaks another protocol may reset the connection instead of ending it.
                self.failure = match stage {
                    Stage::Upgrading(handshake) => handshake.handle_eof(now).err().map(Failure::Response),
                    _ => None,
                };
                self.lose(now, reason);
            }
        }
        self.settle(now);
    }

    /// Acts on every deadline that has passed at `now`. Does nothing when none has.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.stage {
            Stage::Upgrading(handshake) => {
                let answer = handshake.handle_timeout(now);
                self.answered(now, answer);
            }
            Stage::Open(connection) => connection.handle_timeout(now),
            Stage::None | Stage::Connecting => {}
        }
        self.session.handle_timeout(now);
        self.settle(now);
    }

    /// The caller stops reading. Until [`reading_resumed`](Self::reading_resumed), the silence of the server is
    /// ignored.
    pub fn reading_paused(&mut self, now: Instant) {
        self.session.reading_paused(now);
        if let Stage::Open(connection) = &mut self.stage {
            connection.reading_paused(now);
        }
    }

    /// The caller resumes reading.
    pub fn reading_resumed(&mut self, now: Instant) {
        self.session.reading_resumed(now);
        if let Stage::Open(connection) = &mut self.stage {
            connection.reading_resumed(now);
        }
    }

    /// The next action for the transport.
    #[must_use = "without a transport nothing happens"]
    pub fn poll_action(&mut self) -> Option<TransportAction> {
        self.settle(self.now);
        if core::mem::take(&mut self.disconnect) {
            return Some(TransportAction::Disconnect);
        }
        if let Some(response) = self.redirect.take() {
            return Some(TransportAction::Redirect(response));
        }
        self.connect.take().map(|attempt| TransportAction::Connect { attempt })
    }

    /// Lends bytes to write: see [`WebSocket::poll_transmit`].
    #[must_use = "lent bytes are to be written, then confirmed with `transmitted`"]
    pub fn poll_transmit<'q>(&'q self, slices: &mut [&'q [u8]]) -> usize {
        match self.stage() {
            Stage::Upgrading(handshake) => handshake.poll_transmit(slices),
            Stage::Open(connection) => connection.poll_transmit(slices),
            Stage::None | Stage::Connecting => 0,
        }
    }

    /// The transport accepted the first `len` bytes that [`poll_transmit`](Self::poll_transmit) lent.
    pub fn transmitted(&mut self, now: Instant, len: usize) {
        match &mut self.stage {
            Stage::Upgrading(handshake) => {
                // The wait for the answer begins when the request was written.
                if handshake.transmitted(now, len) {
                    self.session.connected(now);
                }
            }
            Stage::Open(connection) => {
                let len = len.min(connection.queued());
                connection.transmitted(now, len);
                self.session.handle_progress(now, len, connection.queued());
            }
            Stage::None | Stage::Connecting => {}
        }
        self.settle(now);
    }

    /// Whether the write side of the transport must be shut down now: see [`WebSocket::poll_shutdown`].
    #[must_use = "shut the write side down, then call `shutdown_done`"]
    pub fn poll_shutdown(&self) -> bool {
        matches!(&self.stage, Stage::Open(connection) if connection.poll_shutdown())
    }

    /// The write side of the transport was shut down.
    pub fn shutdown_done(&mut self) {
        if let Stage::Open(connection) = &mut self.stage {
            connection.shutdown_done();
        }
    }

    /// Returns the next event that waits, as [`handle_input`](Self::handle_input) does without input.
    #[must_use = "states, timeouts and the end of the client are reported here"]
    pub fn poll_event(&mut self) -> Option<ClientEvent<'static>> {
        self.session.poll_event()
    }

    /// The latest time at which [`handle_timeout`](Self::handle_timeout) must be called.
    #[must_use = "without a timer a silent server is never noticed"]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let stage = match self.stage() {
            Stage::Upgrading(handshake) => handshake.poll_timeout(),
            Stage::Open(connection) => connection.poll_timeout(),
            Stage::None | Stage::Connecting => None,
        };
        [stage, self.session.poll_timeout()].into_iter().flatten().min()
    }

    /// The stage for the output. A command may have closed the client during the upgrade, after the last input: then
    /// there is no output. An open connection still closes after the client has ended, so that the server receives the
    /// close code.
    fn stage(&self) -> &Stage {
        match &self.stage {
            Stage::Connecting | Stage::Upgrading(_) if self.session.state() == ClientState::Closed => &Stage::None,
            stage => stage,
        }
    }

    fn answered(&mut self, now: Instant, answer: Result<Option<Answer>, ResponseError>) {
        match answer {
            Ok(None) => {}
            Ok(Some(Answer::Upgraded(upgraded))) => {
                let seed = self.random.seed();
                let connection = WebSocket::new(now, Role::Client, &self.websocket, &upgraded.negotiated, seed);
                self.stage = Stage::Open(Box::new(connection));
                self.failure = None;
                let features = upgraded.headers.get_str(Features::HEADER).map(Features::parse).unwrap_or_default();
                self.session.opened(now, features);
                self.settle(now);
            }
            Ok(Some(Answer::Refused(response))) if response.location().is_some() && self.session.redirected(now) => {
                self.failure = None;
                self.stage = Stage::Connecting;
                self.redirect = Some(Box::new(response));
            }
            Ok(Some(Answer::Refused(response))) => {
                let reason = DisconnectReason::Refused { status: response.status, retry_after: response.retry_after() };
                self.failure = Some(Failure::Refused(response));
                self.lose(now, reason);
            }
            Err(error) => {
                self.failure = Some(Failure::Response(error));
                self.lose(now, response_loss(error));
            }
        }
    }

    /// Passes messages, actions and events between the session and the connection, until neither has any.
    fn settle(&mut self, now: Instant) {
        self.now = self.now.max(now);
        loop {
            if let Stage::Open(connection) = &mut self.stage {
                peer::send_messages(&mut self.session, &mut connection.sender());
                if let Some(websocket::Event::Closed(closed)) = connection.poll_event() {
                    self.failure = match closed.cause {
                        Cause::Violation(error) => Some(Failure::Violation(error)),
                        _ => None,
                    };
                    self.lose(now, closed_loss(closed));
                }
            }
            match self.session.poll_action() {
                None => return,
                Some(Action::Connect { attempt }) => {
                    self.drop_link();
                    self.stage = Stage::Connecting;
                    self.connect = Some(attempt);
                }
                Some(Action::Close { code, reason }) => {
                    if let Stage::Open(connection) = &mut self.stage {
                        peer::close(now, &mut connection.sender(), code, reason);
                    }
                }
                Some(Action::Abort) => {
                    self.failure = None;
                    self.drop_link();
                }
            }
        }
    }

    fn lose(&mut self, now: Instant, reason: DisconnectReason) {
        self.drop_link();
        self.session.lost(now, reason);
        #[cfg(feature = "socketio")]
        if matches!(self.session.last_disconnect(), Some(DisconnectReason::SocketIo(_))) {
            // The reason of the dialect says more than the frame that broke a rule of WebSocket.
            self.failure = None;
        }
        self.settle(now);
    }

    fn drop_link(&mut self) {
        let begun = match core::mem::replace(&mut self.stage, Stage::None) {
            Stage::None => return,
            // The caller was not asked to open one yet.
            Stage::Connecting => self.connect.is_none() && self.redirect.is_none(),
            Stage::Upgrading(_) | Stage::Open(_) => true,
        };
        self.connect = None;
        // A redirect also drops the transport on which it was received.
        self.disconnect |= begun || self.redirect.take().is_some();
    }
}

/// The commands of an application to its client. Each command takes effect before it returns; a refused command changes
/// nothing.
#[derive(Debug)]
pub struct Commands<'c> {
    session: &'c mut ClientSession,
    /// The connection, while there is one.
    out: Option<Sender<'c>>,
}

impl Commands<'_> {
    /// Subscribes to events of a profile: see [`ClientSession::subscribe`].
    ///
    /// # Errors
    /// Those of [`ClientSession::subscribe`].
    pub fn subscribe(&mut self, now: Instant, profile: &str, events: &EventNames) -> Result<RequestId, CommandError> {
        let id = self.session.subscribe(now, profile, events);
        self.send();
        id
    }

    /// Ends the subscription to a profile, or all subscriptions: see [`ClientSession::unsubscribe`].
    ///
    /// # Errors
    /// Those of [`ClientSession::unsubscribe`].
    pub fn unsubscribe(&mut self, now: Instant, profile: Option<&str>) -> Result<RequestId, CommandError> {
        let id = self.session.unsubscribe(now, profile);
        self.send();
        id
    }

    /// Measures the round-trip time: see [`ClientSession::ping`].
    ///
    /// # Errors
    /// Those of [`ClientSession::ping`].
    pub fn ping(&mut self, now: Instant) -> Result<RequestId, CommandError> {
        let id = self.session.ping(now);
        self.send();
        id
    }

    /// Closes the client permanently: see [`ClientSession::close`].
    pub fn close(&mut self, now: Instant) {
        self.session.close(now);
        // The DISCONNECT of the socket.io dialect goes before the Close frame.
        self.send();
        // `Client::poll_action` handles a transport that is not open yet.
        if let Some(out) = &mut self.out {
            peer::act(now, self.session, out);
        }
    }

    fn send(&mut self) {
        if let Some(out) = &mut self.out {
            peer::send_messages(self.session, out);
        }
    }
}

fn response_loss(error: ResponseError) -> DisconnectReason {
    match error {
        ResponseError::TimedOut => DisconnectReason::UpgradeTimeout,
        ResponseError::NoAnswer | ResponseError::Truncated => DisconnectReason::Eof,
        _ => DisconnectReason::BadUpgrade,
    }
}

fn closed_loss(closed: Closed) -> DisconnectReason {
    let code = closed.code;
    match closed.cause {
        Cause::Violation(error) => DisconnectReason::Violation { code: error.close_code().get() },
        Cause::Unresponsive => DisconnectReason::PongTimeout,
        Cause::Eof => DisconnectReason::Eof,
        Cause::Lost | Cause::Aborted => DisconnectReason::Io,
        Cause::Local | Cause::Peer => {
            DisconnectReason::ClosedByPeer { code: (code != crate::frame::CloseCode::NO_STATUS).then_some(code.get()) }
        }
    }
}
