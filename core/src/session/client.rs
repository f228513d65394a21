//! The client's side of a session: its lifecycle, its requests, its subscriptions, and the filtering of events.

mod lifecycle;
mod outgoing;
mod process;
#[cfg(feature = "socketio")]
mod socketio;

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::mem;
use core::time::Duration;

use super::action::Action;
use super::client_event::{ClientEvent, CloseCause, EventSpans, FailedSubscription, LifecycleEvent};
use super::config::{ClientConfig, SecondProfile};
use super::desired::{Change, Desired, Subscription};
use super::disconnect::DisconnectReason;
use super::features::Features;
use super::request::{Ask, Origin, RequestId, Requests};
use super::retry::Backoff;
use super::spans::Spans;
use super::state::{ClientState, Input};
use super::subscription::{EventNames, SubscriptionLimit, SubscriptionSet, check_name};
use crate::Instant;
use crate::keep_alive::Liveness;
use crate::random::Random;
#[cfg(feature = "socketio")]
use {crate::socketio::SocketIo, alloc::boxed::Box};

/// The limit of events that wait to be polled. At this number, commands are refused and no further attempt begins.
const MAX_EVENTS: usize = 256;

/// One client of a MultiWA server, over any transport of text messages, with its whole lifecycle.
///
/// It opens no transport and reads no clock: the caller reports what happened, and performs the actions that the
/// session returns. One client uses many transports, one after the other.
///
/// - **Getters**, at any time: [`state`](Self::state), [`active`](Self::active), [`desired`](Self::desired),
///   [`counters`](Self::counters) and the others.
/// - **`handle_*`**, [`connected`](Self::connected), [`redirected`](Self::redirected), [`opened`](Self::opened),
///   [`lost`](Self::lost) and [`reading_paused`](Self::reading_paused) report events of the transport and the passing
///   of time.
/// - **Commands**: [`connect`](Self::connect), [`subscribe`](Self::subscribe), [`unsubscribe`](Self::unsubscribe),
///   [`ping`](Self::ping), [`close`](Self::close). They take effect before they return; a refused command changes
///   nothing.
/// - **`poll_*`**: after any of the above, send each message of [`poll_message`](Self::poll_message) and confirm it
///   with [`message_sent`](Self::message_sent). Then perform the actions of [`poll_action`](Self::poll_action), take
///   the events of [`poll_event`](Self::poll_event) until it returns `None`, and sleep until
///   [`poll_timeout`](Self::poll_timeout).
///
/// Events come in one order, the order of the wire: no message is taken while an event waits to be polled.
///
/// Calls may come in any order; a call that has no meaning in the present state is ignored. Time never runs backwards:
/// a `now` before an earlier one is treated as the latest one given.
///
/// ```
/// use multiwa_ws_core::Instant;
/// use multiwa_ws_core::session::{Action, ClientConfig, ClientEvent, ClientSession, EventNames, Features, LifecycleEvent};
///
/// let now = Instant::from_nanos(0);
/// let mut client = ClientSession::new(ClientConfig::default(), [7; 32]);
/// client.subscribe(now, "profile-123", &EventNames::every())?;
/// client.connect(now)?;
/// assert_eq!(client.poll_action(), Some(Action::Connect { attempt: 1 }));
///
/// // The transport is open, and the server sends the connection ack.
/// client.opened(now, Features::default());
/// let mut hello = Some(r#"{"type":"ack","payload":{"clientId":"c"}}"#);
/// assert_eq!(client.handle_message(now, &mut hello), Some(ClientEvent::Lifecycle(LifecycleEvent::Connecting { attempt: 1 })));
/// assert_eq!(client.handle_message(now, &mut hello), Some(ClientEvent::Lifecycle(LifecycleEvent::Opened)));
/// assert!(matches!(client.handle_message(now, &mut hello), Some(ClientEvent::Connected(_))));
/// assert_eq!(client.handle_message(now, &mut hello), None);
/// assert!(client.poll_message().is_some_and(|text| text.starts_with(r#"{"type":"subscribe""#)));
/// client.message_sent(0);
/// # Ok::<(), multiwa_ws_core::session::CommandError>(())
/// ```
#[derive(Debug)]
pub struct ClientSession {
    config: ClientConfig,
    state: ClientState,
    now: Instant,
    backoff: Backoff,
    last_disconnect: Option<DisconnectReason>,
    /// The deadline of the present state. `Connecting`, `Backoff` and `Closing` have one.
    state_due: Option<Instant>,
    /// The transport is connected and the upgrade is not complete.
    upgrading: bool,
    /// Redirects that the present attempt has followed.
    redirects: u8,
    ready_since: Option<Instant>,

    desired: Desired,
    active: SubscriptionSet,
    requests: Requests,
    /// Subscriptions that failed before `Ready`.
    failed: Vec<FailedSubscription>,
    /// Profiles that were not requested on this connection: a server without sets holds another profile, or an
    /// `unsubscribe` is pending that the server may still refuse.
    held_back: VecDeque<Arc<str>>,
    features: Features,
    /// Requests are sent after this wait has ended.
    connection_ack: ConnectionAck,

    liveness: Option<Liveness>,
    reading_paused: Option<Instant>,
    last_traffic: Option<Instant>,
    rtt: Option<Duration>,
    gap_from: Option<Instant>,

    /// The message that [`ClientSession::poll_message`] returns, and the request that it carries.
    front: Option<(Option<RequestId>, Text)>,
    /// Requests that the transport has accepted but not written yet, each with the position of its last byte.
    unwritten: VecDeque<(RequestId, u64)>,
    /// Bytes that this connection's transport has written.
    written: u64,
    pongs: VecDeque<String>,
    actions: Actions,
    /// Events that the application has not polled yet. No message is taken while there are any.
    events: VecDeque<ClientEvent<'static>>,
    counters: ClientCounters,
    /// What stands between the transport and this session, unless it speaks the document's protocol.
    #[cfg(feature = "socketio")]
    socketio: Option<Box<SocketIo>>,
}

/// A message to send. `Debug` does not show it, because the CONNECT of the socket.io dialect holds the key.
struct Text(String);

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} bytes]", self.0.len())
    }
}

/// The wait for the first message of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConnectionAck {
    Awaited { due: Instant },
    Done,
}

/// Actions that the transport layer has not polled yet. There is at most one of each kind, so they do not pile up.
#[derive(Clone, Copy, Debug, Default)]
struct Actions {
    abort: bool,
    close: Option<(u16, &'static str)>,
    connect: Option<u32>,
}

/// The counters of a client since its construction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientCounters {
    /// Messages received on an open connection.
    pub received: u64,
    /// Events returned to the application.
    pub events: u64,
    /// Events that match no active subscription; they are dropped.
    pub filtered: u64,
    /// Messages of an unknown type, and events without a valid name and profile.
    pub unknown: u64,
    /// Messages that are not JSON or are nested too deeply.
    pub invalid: u64,
    /// Answers that match no request of this client; they are dropped.
    pub unsolicited: u64,
    /// Answers that came after the request had timed out.
    pub late: u64,
    /// Messages that came while no connection was open; they are dropped.
    pub stray: u64,
}

/// Why a command was refused. A refused command changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The client was closed: build a new one.
    #[error("the client is closed: build a new one")]
    Closed,
    /// A connection or a connection attempt exists already.
    #[error("the client is already connecting or connected")]
    AlreadyConnecting,
    /// A `ping` needs an open connection: wait until the client is ready.
    #[error("no connection is open: wait until the client is ready")]
    NotConnected,
    /// A subscription needs the name of a profile.
    #[error("name the profile to subscribe to")]
    NoProfile,
    /// A subscription needs at least one event name: `*` stands for all.
    #[error("name at least one event, or `*` for all")]
    NoEvents,
    /// There is no subscription to the profile.
    #[error("there is no subscription to this profile")]
    NotSubscribed,
    /// The server does not support subscription sets, so a second profile would replace the first. Unsubscribe from the
    /// first one before, or configure [`ClientConfig::second_profile`] to displace it.
    #[error(
        "the server supports one profile per connection: unsubscribe from the other profile first, or choose to displace \
         it"
    )]
    SetsUnsupported,
    /// The subscription would exceed a limit of [`ClientConfig::subscriptions`].
    #[error("the subscription is over a limit: {0}")]
    Limit(SubscriptionLimit),
    /// The maximum number of requests is open: [`ClientConfig::max_requests`] plus one for each subscription that
    /// [`ClientConfig::subscriptions`] allows. Wait for one to end.
    #[error("too many requests are open: wait until one ends")]
    TooManyRequests,
    /// Too many events wait: take them from [`ClientSession::poll_event`].
    #[error("too many events wait: take them with `poll_event`")]
    Undrained,
}

/// # Getters
impl ClientSession {
    /// Creates a client in [`ClientState::Idle`]. Request identifiers and the back-off are derived from the seed. It
    /// must differ from client to client, or all clients reconnect at the same time after a restart of the server.
    #[must_use]
    pub fn new(config: ClientConfig, seed: [u8; 32]) -> Self {
        let mut random = Random::new(seed);
        let client = u32::from_le_bytes(random.bytes());
        Self {
            state: ClientState::Idle,
            now: Instant::default(),
            backoff: Backoff::new(config.reconnect, random),
            last_disconnect: None,
            state_due: None,
            upgrading: false,
            redirects: 0,
            ready_since: None,
            desired: Desired::default(),
            active: SubscriptionSet::default(),
            requests: Requests::new(client),
            failed: Vec::new(),
            held_back: VecDeque::new(),
            features: Features::default(),
            connection_ack: ConnectionAck::Done,
            liveness: None,
            reading_paused: None,
            last_traffic: None,
            rtt: None,
            gap_from: None,
            front: None,
            unwritten: VecDeque::new(),
            written: 0,
            pongs: VecDeque::new(),
            actions: Actions::default(),
            events: VecDeque::new(),
            counters: ClientCounters::default(),
            #[cfg(feature = "socketio")]
            socketio: Self::dialect(&config),
            config,
        }
    }

    /// The present state.
    #[must_use]
    pub const fn state(&self) -> ClientState {
        self.state
    }

    /// Why the last connection or attempt ended.
    #[must_use]
    pub const fn last_disconnect(&self) -> Option<DisconnectReason> {
        self.last_disconnect
    }

    /// The number of the present or last attempt since the last stable connection; 0 before the first.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.backoff.attempts()
    }

    /// When the next attempt begins, in [`ClientState::Backoff`].
    #[must_use]
    pub fn next_attempt_at(&self) -> Option<Instant> {
        self.state_due.filter(|_| self.state == ClientState::Backoff)
    }

    /// When bytes last arrived.
    #[must_use]
    pub const fn last_traffic(&self) -> Option<Instant> {
        self.last_traffic
    }

    /// The round-trip time of the last answered `ping`.
    #[must_use]
    pub const fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// The time since which events may be missed: a connection was lost, and its subscriptions are not active again
    /// yet.
    #[must_use]
    pub const fn gap_since(&self) -> Option<Instant> {
        self.gap_from
    }

    /// The active subscriptions: those that the server acknowledged on this connection. Other events are dropped.
    #[must_use]
    pub const fn active(&self) -> &SubscriptionSet {
        &self.active
    }

    /// The desired subscriptions of the application. The client requests them on each connection.
    #[must_use]
    pub fn desired(&self) -> SubscriptionSet {
        let mut set = SubscriptionSet::default();
        for subscription in self.desired.current() {
            set.add(subscription.profile, subscription.events);
        }
        set
    }

    /// The features that the server announced on this connection.
    #[must_use]
    pub const fn features(&self) -> Features {
        self.features
    }

    /// The counters.
    #[must_use]
    pub const fn counters(&self) -> &ClientCounters {
        &self.counters
    }
}

/// # Commands
impl ClientSession {
    /// Starts a connection attempt now: the first one, or the next one without waiting for the back-off.
    ///
    /// # Errors
    /// [`CommandError::Closed`], [`CommandError::AlreadyConnecting`], [`CommandError::Undrained`].
    pub fn connect(&mut self, now: Instant) -> Result<(), CommandError> {
        self.advance(now);
        self.check_open()?;
        if self.state.next(Input::Connect).is_none() {
            return Err(CommandError::AlreadyConnecting);
        }
        self.attempt_by(Input::Connect);
        Ok(())
    }

    /// Subscribes to events of a profile, in addition to the other profiles. It replaces an earlier subscription to the
    /// same profile.
    ///
    /// The subscription is desired from now on, whether the client is connected or not: the client requests it again on
    /// each connection, until the server refuses it or the application unsubscribes. The request ends within
    /// [`ClientConfig::request_timeout`]. If a server without sets holds another profile, the client requests this one
    /// after the other is removed.
    ///
    /// # Errors
    /// [`CommandError`] describes the cause and what to do instead.
    pub fn subscribe(&mut self, now: Instant, profile: &str, events: &EventNames) -> Result<RequestId, CommandError> {
        self.advance(now);
        self.check_open()?;
        if profile.is_empty() {
            return Err(CommandError::NoProfile);
        }
        if events.is_empty() {
            return Err(CommandError::NoEvents);
        }
        let limits = &self.config.subscriptions;
        check_name(profile, limits).map_err(CommandError::Limit)?;
        events.check(limits).map_err(CommandError::Limit)?;
        self.desired().check_room(profile, events, limits).map_err(CommandError::Limit)?;
        // `protocol.md`, Subscriptions and filtering: without sets, a second profile is refused here or displaces the
        // first.
        let alone = !self.state.is_open() || self.features.subscription_sets;
        let displace = !alone && self.occupant(|_| true).is_some_and(|other| other != profile);
        if displace && self.config.second_profile == SecondProfile::Refuse {
            return Err(CommandError::SetsUnsupported);
        }
        let profile = Arc::<str>::from(profile);
        let id = self.request(Ask::Subscribe { profile: profile.clone(), events: events.clone() })?;
        self.desired
            .change(id, Change::Subscribe { subscription: Subscription { profile, events: events.clone() }, displace });
        self.progress();
        Ok(id)
    }

    /// Ends the subscription to one profile, or with `None` every subscription.
    ///
    /// # Errors
    /// [`CommandError`] describes the cause and what to do instead.
    pub fn unsubscribe(&mut self, now: Instant, profile: Option<&str>) -> Result<RequestId, CommandError> {
        self.advance(now);
        self.check_open()?;
        let profile = match profile {
            None => None,
            Some(profile) => {
                let subscriptions = self.desired.current();
                let subscription = subscriptions.iter().find(|subscription| &*subscription.profile == profile);
                Some(subscription.ok_or(CommandError::NotSubscribed)?.profile.clone())
            }
        };
        let id = self.request(Ask::Unsubscribe { profile: profile.clone() })?;
        self.desired.change(id, Change::Unsubscribe { profile });
        self.progress();
        Ok(id)
    }

    /// Sends the protocol's `ping`; its outcome carries the round-trip time.
    ///
    /// # Errors
    /// [`CommandError`] describes the cause and what to do instead.
    pub fn ping(&mut self, now: Instant) -> Result<RequestId, CommandError> {
        self.advance(now);
        self.check_open()?;
        if !self.state.is_open() {
            return Err(CommandError::NotConnected);
        }
        let id = self.request(Ask::Ping)?;
        self.progress();
        Ok(id)
    }

    /// Closes the client permanently, with a closing handshake if a connection is open. Unsent messages are dropped. A
    /// second call does nothing.
    pub fn close(&mut self, now: Instant) {
        self.advance(now);
        let was_dialing = self.state == ClientState::Connecting && self.actions.connect.is_none();
        if !self.go(Input::Close) {
            return;
        }
        self.actions.connect = None;
        self.drop_output();
        #[cfg(feature = "socketio")]
        if let Some(dialect) = &mut self.socketio {
            // `socketio.md`, Session: a clean end is a DISCONNECT, then the Close frame.
            self.front = dialect.close().map(|packet| (None, Text(packet)));
        }
        if self.state == ClientState::Closed {
            self.actions.abort = was_dialing;
            self.finish(CloseCause::Application);
            return;
        }
        self.connection_ack = ConnectionAck::Done;
        self.actions.close = Some((1000, ""));
        self.state_due = Some(self.now + self.config.close_timeout);
        self.notify(LifecycleEvent::Closing);
    }

    fn check_open(&self) -> Result<(), CommandError> {
        if matches!(self.state, ClientState::Closing | ClientState::Closed) {
            return Err(CommandError::Closed);
        }
        if self.events.len() >= MAX_EVENTS {
            return Err(CommandError::Undrained);
        }
        Ok(())
    }

    fn request(&mut self, ask: Ask) -> Result<RequestId, CommandError> {
        // This bounds all open requests. `fill_front` bounds those that are sent at a time.
        let max = self.config.max_requests.saturating_add(self.config.subscriptions.max_subscriptions);
        if !self.requests.make_room(max) {
            return Err(CommandError::TooManyRequests);
        }
        let deadline = self.now + self.config.request_timeout;
        Ok(self.requests.push(ask, Origin::Application, Some(deadline)))
    }
}

/// # Input
impl ClientSession {
    /// The transport is connected and the upgrade begins: from now on [`ClientConfig::upgrade_timeout`] applies instead
    /// of [`ClientConfig::connect_timeout`]. Call it again when the upgrade request was written: the timeout restarts.
    pub fn connected(&mut self, now: Instant) {
        self.advance(now);
        if self.state == ClientState::Connecting {
            self.upgrading = true;
            self.state_due = Some(self.now + self.config.upgrade_timeout);
        }
    }

    /// The server answered the upgrade with a redirect. Returns whether the client may follow it.
    ///
    /// With `true`, the attempt continues on a new transport: [`ClientConfig::connect_timeout`] applies to it, and
    /// [`connected`](Self::connected) is the next call. With `false`, [`ClientConfig::max_redirects`] is reached:
    /// report the answer as a refusal with [`lost`](Self::lost).
    #[must_use = "a redirect that is not followed is a refusal"]
    pub fn redirected(&mut self, now: Instant) -> bool {
        self.advance(now);
        if self.state != ClientState::Connecting || self.redirects >= self.config.max_redirects {
            return false;
        }
        self.redirects += 1;
        self.upgrading = false;
        self.state_due = Some(self.now + self.config.connect_timeout);
        true
    }

    /// The key that the CONNECT of the next transports carries, with [`Dialect::SocketIo`](super::Dialect::SocketIo). Set
    /// it before [`opened`](Self::opened). It has no effect in the other dialect.
    #[cfg(feature = "socketio")]
    pub fn set_connect_key(&mut self, key: Option<String>) {
        if let Some(dialect) = &mut self.socketio {
            dialect.set_key(key);
        }
    }

    /// The upgrade succeeded. `features` are those that the 101 response announced.
    pub fn opened(&mut self, now: Instant, features: Features) {
        self.advance(now);
        if !self.go(Input::Opened) {
            return;
        }
        self.actions.connect = None;
        self.features = features;
        self.last_traffic = Some(self.now);
        #[cfg(feature = "socketio")]
        if self.open_dialect() {
            self.notify(LifecycleEvent::Opened);
            self.progress();
            return;
        }
        let mut liveness = Liveness::new(self.now, self.config.keep_alive);
        if self.reading_paused.is_some() {
            liveness.paused(self.now);
        }
        self.liveness = Some(liveness);
        // A pause that began on an earlier connection counts from the start of this one.
        self.reading_paused = self.reading_paused.map(|_| self.now);
        self.notify(LifecycleEvent::Opened);
        match self.config.ack_timeout {
            Some(timeout) => self.connection_ack = ConnectionAck::Awaited { due: self.now + timeout },
            None => self.renew(),
        }
        self.progress();
    }

    /// Takes a received text message out of `message`, unless an earlier event waits, and returns the next event. An
    /// event of the message borrows from its text.
    ///
    /// Call it until it returns `None`: then the message is processed, and all of its events have been returned.
    pub fn handle_message<'t>(&mut self, now: Instant, message: &mut Option<&'t str>) -> Option<ClientEvent<'t>> {
        self.advance(now);
        if let Some(event) = self.poll_event() {
            return Some(event);
        }
        let text = message.take()?;
        match self.process(now, text) {
            Some(spans) => Some(spans.lend(text)),
            None => self.poll_event(),
        }
    }

    /// Like [`handle_message`](Self::handle_message), for a caller that owns the buffer and lends the event from it
    /// later. No event may be waiting.
    pub(crate) fn process(&mut self, now: Instant, text: &str) -> Option<EventSpans> {
        self.handle_traffic(now);
        if !self.state.is_open() {
            self.counters.stray += 1;
            return None;
        }
        self.counters.received += 1;
        #[cfg(feature = "socketio")]
        if self.socketio.is_some() {
            self.process_packet(text);
            return None;
        }
        let mut spans = Spans::default();
        let found = match spans.read(text, self.config.max_depth) {
            Ok(()) => self.process_message(text, &spans),
            Err(error) => {
                self.counters.invalid += 1;
                Some(EventSpans::Invalid(error))
            }
        };
        // The connection ack is the first message of a connection. After another message, the client no longer waits
        // for it (`protocol.md`, Envelope).
        self.end_connection_ack();
        self.progress();
        found
    }

    /// A binary message arrived. The client closes the connection with 1003 (`protocol.md`, Transport), unless its dialect
    /// has binary messages.
    pub fn handle_binary(&mut self, now: Instant, payload: &[u8]) {
        self.handle_traffic(now);
        #[cfg(feature = "socketio")]
        if self.process_attachment(payload) {
            return;
        }
        #[cfg(not(feature = "socketio"))]
        let _ = payload;
        if matches!(self.state, ClientState::AwaitingAck | ClientState::Ready) {
            self.lose(DisconnectReason::Violation { code: 1003 });
            self.actions.close = Some((1003, "binary messages have no meaning here"));
        }
    }

    /// Bytes arrived, perhaps not a whole message yet. They show that the server is alive.
    pub fn handle_traffic(&mut self, now: Instant) {
        self.advance(now);
        if self.state.is_open() {
            self.last_traffic = Some(self.now);
            if let Some(liveness) = &mut self.liveness {
                liveness.bytes_arrived(self.now);
            }
            #[cfg(feature = "socketio")]
            if let Some(dialect) = &mut self.socketio {
                dialect.handle_traffic(self.now);
            }
        }
    }

    /// `len` bytes of the transport's queue were written, and `waiting` bytes are still queued.
    ///
    /// The timeout of a request counts from the time when its last byte was written, because the server cannot answer
    /// before. Until then, each write restarts it.
    pub fn handle_progress(&mut self, now: Instant, len: usize, waiting: usize) {
        self.advance(now);
        self.written += len as u64;
        if let Some(liveness) = &mut self.liveness {
            liveness.bytes_left(self.now, len, waiting);
        }
        if self.unwritten.is_empty() {
            return;
        }
        while let Some((request, end)) = self.unwritten.front()
            && (waiting == 0 || *end <= self.written)
        {
            let request = *request;
            self.unwritten.pop_front();
            self.written_whole(request);
        }
        if len > 0 {
            self.requests.restart_unwritten(self.now + self.config.request_timeout);
        }
    }

    /// The caller stops reading. No data of the server can arrive, so its silence is ignored.
    pub fn reading_paused(&mut self, now: Instant) {
        self.advance(now);
        self.reading_paused.get_or_insert(self.now);
        if let Some(liveness) = &mut self.liveness {
            liveness.paused(self.now);
        }
        #[cfg(feature = "socketio")]
        if let Some(dialect) = &mut self.socketio {
            dialect.reading_paused();
        }
    }

    /// The caller resumes reading.
    pub fn reading_resumed(&mut self, now: Instant) {
        self.advance(now);
        let Some(from) = self.reading_paused.take() else { return };
        if let Some(liveness) = &mut self.liveness {
            let _ = liveness.resumed(self.now);
        }
        #[cfg(feature = "socketio")]
        if let Some(dialect) = &mut self.socketio {
            dialect.reading_resumed(self.now);
        }
        if let ConnectionAck::Awaited { due } = &mut self.connection_ack {
            *due = self.now + due.saturating_duration_since(from);
        }
    }

    /// The transport ended, or could not be opened.
    ///
    /// Do not call it for a transport that the session itself has ended: after [`Action::Abort`], or after an
    /// [`Action::Close`] that was returned when [`ClientState::is_open`] was already `false`.
    pub fn lost(&mut self, now: Instant, reason: DisconnectReason) {
        self.advance(now);
        #[cfg(feature = "socketio")]
        let reason = self.socketio.as_ref().map_or(reason, |dialect| dialect.explain(self.now, reason));
        self.lose(reason);
    }

    /// Acts on the deadlines that have passed. Does nothing before [`poll_timeout`](Self::poll_timeout). First report
    /// input that has already arrived.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        let due = self.state_due.is_some_and(|due| due <= self.now);
        match self.state {
            ClientState::Connecting if due => self.give_up_attempt(),
            ClientState::Backoff if due && !self.is_stalled() => self.attempt_by(Input::RetryDue),
            // The closing handshake failed. The application requested the end, so the reason is not reported.
            ClientState::Closing if due => self.abort_with(DisconnectReason::Eof),
            ClientState::AwaitingAck | ClientState::Ready if self.reading_paused.is_none() => self.check_silence(),
            _ => {}
        }
        #[cfg(feature = "socketio")]
        self.expire_dialect();
        self.expire_requests();
        self.progress();
    }
}

/// # Output
impl ClientSession {
    /// The next message to send. It stays the same until [`message_sent`](Self::message_sent), or until its connection ends.
    #[must_use]
    pub fn poll_message(&self) -> Option<&str> {
        self.front.as_ref().map(|(_, text)| text.0.as_str())
    }

    /// The transport accepted the message of [`poll_message`](Self::poll_message). `waiting` is the number of queued
    /// bytes up to and including its last byte, 0 when all of them were written. Report later writes with
    /// [`handle_progress`](Self::handle_progress).
    pub fn message_sent(&mut self, waiting: usize) {
        if let Some((Some(request), _)) = self.front.take() {
            self.requests.mark_sent(request, self.now + self.config.request_timeout);
            if waiting == 0 {
                self.written_whole(request);
            } else {
                self.unwritten.push_back((request, self.written + waiting as u64));
            }
        }
        self.progress();
    }

    fn written_whole(&mut self, request: RequestId) {
        let is_ping = self.requests.mark_written(request, self.now, self.config.request_timeout);
        if is_ping && let Some(liveness) = &mut self.liveness {
            liveness.ping_written(self.now);
        }
    }

    /// The next action for the transport.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        if mem::take(&mut self.actions.abort) {
            return Some(Action::Abort);
        }
        if let Some((code, reason)) = self.actions.close.take() {
            return Some(Action::Close { code, reason });
        }
        self.actions.connect.take().map(|attempt| Action::Connect { attempt })
    }

    /// Returns the next event that waits, as [`handle_message`](Self::handle_message) does without a message. While 256
    /// events wait, commands are refused and no attempt begins.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<ClientEvent<'static>> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let state = self.state_due.filter(|_| !self.is_stalled());
        let silence = match self.state {
            ClientState::AwaitingAck | ClientState::Ready if self.reading_paused.is_none() => {
                let ack_due = match self.connection_ack {
                    ConnectionAck::Awaited { due } => Some(due),
                    ConnectionAck::Done => None,
                };
                let liveness = self.liveness.as_ref().and_then(Liveness::deadline);
                ack_due.into_iter().chain(liveness).min()
            }
            _ => None,
        };
        #[cfg(feature = "socketio")]
        let dialect = self.socketio.as_ref().and_then(|dialect| dialect.poll_timeout());
        #[cfg(not(feature = "socketio"))]
        let dialect = None;
        [state, silence, dialect, self.requests.next_deadline()].into_iter().flatten().min()
    }

    pub(crate) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    fn is_stalled(&self) -> bool {
        self.state == ClientState::Backoff && self.events.len() >= MAX_EVENTS
    }
}
