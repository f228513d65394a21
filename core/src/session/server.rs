//! The server's side of a session: it answers requests and holds the subscriptions of one connection.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::action::Action;
use super::config::{RequestRate, ServerConfig, SubscribePolicy};
use super::envelope::{encode_connection_ack, encode_error, encode_pong, encode_subscribed, encode_unsubscribed};
use super::features::Features;
use super::scanner::{Kind, Scanner, Value};
use super::spans::{Spans, member};
use super::subscription::{EventNames, SubscriptionLimit, SubscriptionSet, check_name};
use crate::{Instant, WallClock};

/// One connection of a MultiWA server, over any transport of text messages.
///
/// The first message it sends is the connection ack. It has no timeouts, because it never waits for the client: the
/// transport has the keep-alive of a server (`protocol.md`, Keep-alive).
///
/// - **Getters**: [`subscriptions`](Self::subscriptions), [`matches`](Self::matches), [`counters`](Self::counters) and the
///   others.
/// - **`handle_*`**: [`handle_message`](Self::handle_message), [`handle_binary`](Self::handle_binary).
/// - **Commands**, only under [`SubscribePolicy::Ask`]: [`accept`](Self::accept), [`refuse`](Self::refuse).
/// - **`poll_*`**: after any of the above, send each message of [`poll_message`](Self::poll_message) and confirm it
///   with [`message_sent`](Self::message_sent). Then perform the action of [`poll_action`](Self::poll_action). Send the
///   replies before any event that is published later, so that no event arrives before the `ack` of its subscription.
///
/// ```
/// use multiwa_ws_core::session::{ServerConfig, ServerSession};
/// use multiwa_ws_core::{Instant, WallClock};
///
/// let now = Instant::from_nanos(0);
/// let clock = WallClock::new(now, 1_770_285_600_000);
/// let mut server = ServerSession::new(now, ServerConfig::default(), "abc123", clock);
/// assert!(server.poll_message().is_some_and(|text| text.contains("Connected to MultiWA WebSocket API")));
/// server.message_sent();
///
/// server.handle_message(now, r#"{"type":"subscribe","payload":{"profileId":"p","events":["*"]},"requestId":"r"}"#);
/// assert_eq!(
///     server.poll_message(),
///     Some(r#"{"type":"ack","payload":{"action":"subscribed","profileId":"p","events":["*"]},"requestId":"r"}"#)
/// );
/// assert!(server.matches(Some("p"), "qr.updated"));
/// ```
#[derive(Debug)]
pub struct ServerSession {
    config: Arc<ServerConfig>,
    clock: WallClock,
    now: Instant,
    subscriptions: SubscriptionSet,
    /// Most connections have nothing that waits.
    waiting: Option<Box<Waiting>>,
    refused_in_a_row: u32,
    /// When the next message of a client that sends exactly at its rate is due.
    rate_due: Instant,
    closed: bool,
    counters: ServerCounters,
}

/// The effect of one message of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// A subscription was made; its `ack` is queued.
    Subscribed {
        /// The profile.
        profile: Arc<str>,
        /// The event names.
        events: EventNames,
        /// Whether the other subscriptions were removed.
        mode: SubscribeMode,
    },
    /// The client requests a subscription: decide with [`ServerSession::accept`] or [`ServerSession::refuse`].
    SubscribeRequested {
        /// Identifies the request in the decision.
        ticket: Ticket,
        /// The profile.
        profile: Arc<str>,
        /// The event names.
        events: EventNames,
        /// Whether the other subscriptions will be removed.
        mode: SubscribeMode,
    },
    /// The subscription to one profile, or with `None` every subscription, was removed; the `ack` is queued.
    Unsubscribed {
        /// The profile.
        profile: Option<Arc<str>>,
    },
    /// A `ping` was answered.
    Pinged,
    /// The message was answered with an `error`; nothing changed.
    Refused {
        /// The code of the error.
        code: ErrorCode,
    },
}

/// The effect of a `subscribe` on the subscriptions of other profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscribeMode {
    /// They are removed.
    Replace,
    /// They stay: `"mode": "add"`.
    Add,
}

/// The `code` of an `error` (`protocol.md`, Errors a server sends).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// `unknown_type`
    UnknownType,
    /// `events_required`
    EventsRequired,
    /// `profile_required`
    ProfileRequired,
    /// `invalid_message`
    InvalidMessage,
    /// `limit_exceeded`
    LimitExceeded,
    /// `not_allowed`: the application refused a subscription.
    NotAllowed,
}

/// Identifies a `subscribe` that the application decides on. It is unique within its connection.
///
/// A ticket becomes invalid when the application has decided, or when a later request that overrides it takes effect:
/// an `unsubscribe` of the profile or of everything, a subscription to the same profile, or one that replaces the whole
/// set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// The `subscribe` was decided on before, a later request overrode it, or its connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the subscription was already decided, a later request replaced it, or its connection is closed")]
pub struct UnknownTicket;

/// The counters of a server session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerCounters {
    /// Messages received.
    pub received: u64,
    /// Messages answered with an `error`.
    pub refused: u64,
}

/// What waits to be sent or decided on.
#[derive(Debug, Default)]
struct Waiting {
    replies: VecDeque<String>,
    undecided: BTreeMap<Ticket, Undecided>,
    /// The bytes of both.
    bytes: usize,
    /// The code and the reason of the close.
    close: Option<(u16, &'static str)>,
}

/// A valid `subscribe` before the decision on it.
#[derive(Debug)]
struct Undecided {
    profile: Arc<str>,
    events: EventNames,
    mode: SubscribeMode,
    /// The `events` as they were sent.
    events_sent: String,
    request_id: Option<String>,
}

/// A refusal, before it is sent to the client.
struct Refused(ErrorCode, Cow<'static, str>);

/// # Getters
impl ServerSession {
    /// Creates the session of a connection whose upgrade was just accepted. The connection ack sends `client_id` to the
    /// client. Many sessions can share one `config`.
    #[must_use]
    pub fn new(now: Instant, config: impl Into<Arc<ServerConfig>>, client_id: &str, clock: WallClock) -> Self {
        let mut session = Self {
            config: config.into(),
            clock,
            now,
            subscriptions: SubscriptionSet::default(),
            waiting: None,
            refused_in_a_row: 0,
            rate_due: now,
            closed: false,
            counters: ServerCounters::default(),
        };
        session.reply(encode_connection_ack(client_id, &clock.rfc3339(now)));
        session
    }

    /// The features of the session: see [`ServerConfig::features`].
    #[must_use]
    pub fn features(&self) -> Features {
        self.config.features()
    }

    /// The subscriptions of the connection; none once it is closed.
    #[must_use]
    pub const fn subscriptions(&self) -> &SubscriptionSet {
        &self.subscriptions
    }

    /// Whether the connection receives an event of this name and profile, see [`SubscriptionSet::matches`].
    #[must_use]
    pub fn matches(&self, profile: Option<&str>, name: &str) -> bool {
        self.subscriptions.matches(profile, name)
    }

    /// The counters.
    #[must_use]
    pub const fn counters(&self) -> &ServerCounters {
        &self.counters
    }

    /// Whether the session has closed the connection. Later messages are ignored.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }
}

/// # Input
impl ServerSession {
    /// A text message arrived. Its answer is queued when this returns.
    ///
    /// The event borrows nothing from `text`. Returns `None` only when the session is closed.
    pub fn handle_message(&mut self, now: Instant, text: &str) -> Option<ServerEvent> {
        self.now = self.now.max(now);
        if self.closed {
            return None;
        }
        self.counters.received += 1;
        let spans = Spans::locate(text, self.config.max_depth);
        let id = spans.ok().and_then(|spans| spans.request_id).map(|id| id.raw(text));
        // A longer id would make the answer as long as the message, so such a message is refused and its id is not sent
        // back.
        let echo = id.filter(|id| id.len() <= self.config.max_request_id_bytes);
        let done = match spans {
            Err(error) => Err(Refused(ErrorCode::InvalidMessage, error.to_string().into())),
            Ok(_) if id != echo => {
                Err(limit(format!("a requestId longer than {} bytes", self.config.max_request_id_bytes)))
            }
            Ok(spans) => self.check_rate().and_then(|()| self.process(text, spans, echo)),
        };
        Some(match done {
            Ok(event) => {
                self.refused_in_a_row = 0;
                event
            }
            Err(Refused(code, error)) => {
                self.reply_error(code, &error, echo);
                self.refused_in_a_row += 1;
                if self.refused_in_a_row > self.config.max_refused_in_a_row {
                    self.close_with(1008, "too many refused messages");
                }
                ServerEvent::Refused { code }
            }
        })
    }

    /// A binary message arrived. The session closes the connection with 1003 (`protocol.md`, Transport).
    pub fn handle_binary(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.close_with(1003, "binary messages have no meaning here");
    }

    fn process(&mut self, text: &str, spans: Spans, request_id: Option<&str>) -> Result<ServerEvent, Refused> {
        // A JSON value that is not an object has no type.
        let kind = spans.kind.and_then(|kind| kind.string(text));
        // A payload that is not an object has no members.
        let payload = spans.payload.map_or("", |payload| payload.raw(text));
        match kind.as_deref() {
            Some("subscribe") => self.subscribe(payload, request_id),
            Some("unsubscribe") => self.unsubscribe(payload, request_id),
            Some("ping") => {
                let timestamp = self.clock.rfc3339(self.now);
                self.reply(encode_pong(Some(&timestamp), request_id));
                Ok(ServerEvent::Pinged)
            }
            _ => Err(Refused(ErrorCode::UnknownType, "Unknown message type".into())),
        }
    }

    fn subscribe(&mut self, payload: &str, request_id: Option<&str>) -> Result<ServerEvent, Refused> {
        // The protocol defines the order of these checks: first the events, then the profile, then the limits.
        let events_sent = member(payload, "events").map(|(raw, _)| raw).filter(|raw| is_array_of_strings(raw));
        let events_sent = events_sent.ok_or(Refused(ErrorCode::EventsRequired, "Events array is required".into()))?;
        let profile = subscribe_profile(payload)
            .ok_or(Refused(ErrorCode::ProfileRequired, "profileId or sessionId is required".into()))?;
        let limits = self.config.subscriptions;
        check_name(&profile, &limits)?;
        let events = EventNames::collect_within(Strings::of(events_sent).flatten(), &limits)?;
        // Any other `mode` is ignored like an unknown member, and so is `add` unless sets were announced.
        let add =
            self.config.subscription_sets && member(payload, "mode").is_some_and(|(_, mode)| mode.is(payload, "add"));
        let mode = if add { SubscribeMode::Add } else { SubscribeMode::Replace };
        let request = Undecided {
            profile: Arc::from(&*profile),
            events,
            mode,
            events_sent: events_sent.into(),
            request_id: request_id.map(Into::into),
        };
        match self.config.policy {
            SubscribePolicy::AcceptAll => self.apply(request, self.place()),
            SubscribePolicy::Ask => self.ask(request),
        }
    }

    /// The position of this message in the order of the requests. It is unique.
    const fn place(&self) -> Ticket {
        Ticket(self.counters.received)
    }

    /// Applies a subscription. `place` is its position in the order of the requests.
    fn apply(&mut self, request: Undecided, place: Ticket) -> Result<ServerEvent, Refused> {
        let Undecided { profile, events, mode, events_sent, request_id } = request;
        let limits = &self.config.subscriptions;
        match mode {
            SubscribeMode::Add => {
                self.subscriptions.check_room(&profile, &events, limits)?;
                self.subscriptions.add(profile.clone(), events.clone());
            }
            SubscribeMode::Replace => {
                SubscriptionSet::default().check_room(&profile, &events, limits)?;
                self.subscriptions.replace(profile.clone(), events.clone());
            }
        }
        self.supersede(place, Some(&*profile).filter(|_| mode == SubscribeMode::Add));
        let add = mode == SubscribeMode::Add;
        self.reply(encode_subscribed(&profile, &events_sent, add, request_id.as_deref()));
        Ok(ServerEvent::Subscribed { profile, events, mode })
    }

    fn ask(&mut self, request: Undecided) -> Result<ServerEvent, Refused> {
        let size = request.size();
        let (undecided, bytes) =
            self.waiting.as_ref().map_or((0, 0), |waiting| (waiting.undecided.len(), waiting.bytes));
        if undecided >= self.config.max_undecided || bytes + size > self.config.max_queued_bytes {
            return Err(limit("more subscriptions than can be decided on at once"));
        }
        let ticket = self.place();
        let (profile, events, mode) = (request.profile.clone(), request.events.clone(), request.mode);
        let waiting = self.waiting.get_or_insert_default();
        waiting.bytes += size;
        waiting.undecided.insert(ticket, request);
        Ok(ServerEvent::SubscribeRequested { ticket, profile, events, mode })
    }

    fn unsubscribe(&mut self, payload: &str, request_id: Option<&str>) -> Result<ServerEvent, Refused> {
        let named = member(payload, "profileId").filter(|_| self.config.subscription_sets);
        let profile = match named.and_then(|(_, value)| given(value, payload)) {
            None => None,
            // An `unsubscribe` for one profile must not clear everything.
            Some(profile) => {
                let profile =
                    profile.ok_or(Refused(ErrorCode::ProfileRequired, "profileId must be a string".into()))?;
                check_name(&profile, &self.config.subscriptions)?;
                Some(profile)
            }
        };
        match &profile {
            Some(profile) => _ = self.subscriptions.remove(profile),
            None => self.subscriptions.clear(),
        }
        self.supersede(self.place(), profile.as_deref());
        self.reply(encode_unsubscribed(profile.as_deref(), request_id));
        Ok(ServerEvent::Unsubscribed { profile: profile.map(|profile| Arc::from(&*profile)) })
    }

    /// The request at `place` took effect for this profile, or with `None` for all profiles. Refuses earlier undecided
    /// requests, because accepting them afterwards would undo it.
    fn supersede(&mut self, place: Ticket, profile: Option<&str>) {
        let about = |request: &Undecided| profile.is_none_or(|profile| *request.profile == *profile);
        let Some(waiting) = &self.waiting else { return };
        let undecided = waiting.undecided.range(..place);
        let tickets: Vec<Ticket> = undecided.filter(|(_, r)| about(r)).map(|(t, _)| *t).collect();
        for ticket in tickets {
            // The ticket is valid.
            _ = self.refuse(ticket, "a later request overrides this one");
        }
    }

    fn check_rate(&mut self) -> Result<(), Refused> {
        let Some(RequestRate { burst, per_second }) = self.config.request_rate else { return Ok(()) };
        let interval = core::time::Duration::from_secs(1) / per_second.max(1);
        if self.rate_due > self.now + interval * burst.saturating_sub(1) {
            return Err(limit(format!("more than {per_second} messages a second")));
        }
        self.rate_due = self.rate_due.max(self.now) + interval;
        Ok(())
    }
}

/// # Commands
impl ServerSession {
    /// Accepts a subscription that the client requested. It takes effect now, and its `ack` is queued.
    ///
    /// Returns [`ServerEvent::Subscribed`], or [`ServerEvent::Refused`] when the subscription exceeds a limit by now.
    ///
    /// # Errors
    /// [`UnknownTicket`] when the ticket is not valid.
    pub fn accept(&mut self, ticket: Ticket) -> Result<ServerEvent, UnknownTicket> {
        let request = self.decided(ticket)?;
        let request_id = request.request_id.clone();
        Ok(self.apply(request, ticket).unwrap_or_else(|Refused(code, error)| {
            self.reply_error(code, &error, request_id.as_deref());
            ServerEvent::Refused { code }
        }))
    }

    /// Refuses a subscription that the client requested. `error` is text for a person; the code is `not_allowed`. The
    /// refusal does not count toward [`ServerConfig::max_refused_in_a_row`].
    ///
    /// # Errors
    /// [`UnknownTicket`] when the ticket is not valid.
    pub fn refuse(&mut self, ticket: Ticket, error: &str) -> Result<(), UnknownTicket> {
        let request = self.decided(ticket)?;
        self.reply_error(ErrorCode::NotAllowed, error, request.request_id.as_deref());
        Ok(())
    }

    fn decided(&mut self, ticket: Ticket) -> Result<Undecided, UnknownTicket> {
        let waiting = self.waiting.as_mut().ok_or(UnknownTicket)?;
        let request = waiting.undecided.remove(&ticket).ok_or(UnknownTicket)?;
        waiting.bytes = waiting.bytes.saturating_sub(request.size());
        self.release();
        Ok(request)
    }
}

/// # Output
impl ServerSession {
    /// The next message to send. It stays the same until [`message_sent`](Self::message_sent).
    #[must_use]
    pub fn poll_message(&self) -> Option<&str> {
        self.waiting.as_ref()?.replies.front().map(String::as_str)
    }

    /// The layer below accepted the message of [`poll_message`](Self::poll_message).
    pub fn message_sent(&mut self) {
        if let Some(waiting) = &mut self.waiting
            && let Some(reply) = waiting.replies.pop_front()
        {
            waiting.bytes = waiting.bytes.saturating_sub(reply.len());
        }
        self.release();
    }

    /// Frees the memory if nothing waits: most connections send no further request.
    fn release(&mut self) {
        self.waiting
            .take_if(|waiting| waiting.replies.is_empty() && waiting.undecided.is_empty() && waiting.close.is_none());
    }

    /// The next action for the transport: [`Action::Close`] at most once, and no other action. Replies that were not
    /// sent before it are dropped.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        let (code, reason) = self.waiting.as_ref()?.close?;
        // A closed session decides on no request either.
        self.waiting = None;
        Some(Action::Close { code, reason })
    }

    fn reply_error(&mut self, code: ErrorCode, error: &str, request_id: Option<&str>) {
        self.counters.refused += 1;
        self.reply(encode_error(error, code.as_str(), request_id));
    }

    fn reply(&mut self, text: String) {
        let waiting = self.waiting.get_or_insert_default();
        waiting.bytes += text.len();
        waiting.replies.push_back(text);
        if waiting.bytes > self.config.max_queued_bytes {
            self.close_with(1013, "replies are not read");
        }
    }

    fn close_with(&mut self, code: u16, reason: &'static str) {
        if self.closed {
            return;
        }
        self.closed = true;
        self.subscriptions.clear();
        let waiting = self.waiting.get_or_insert_default();
        waiting.undecided.clear();
        waiting.close = Some((code, reason));
    }
}

impl ErrorCode {
    /// The code as it is sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownType => "unknown_type",
            Self::EventsRequired => "events_required",
            Self::ProfileRequired => "profile_required",
            Self::InvalidMessage => "invalid_message",
            Self::LimitExceeded => "limit_exceeded",
            Self::NotAllowed => "not_allowed",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Undecided {
    fn size(&self) -> usize {
        self.events_sent.len() + self.request_id.as_ref().map_or(0, String::len)
    }
}

impl From<SubscriptionLimit> for Refused {
    fn from(broken: SubscriptionLimit) -> Self {
        limit(broken.to_string())
    }
}

fn limit(broken: impl Into<Cow<'static, str>>) -> Refused {
    Refused(ErrorCode::LimitExceeded, broken.into())
}

/// `profileId`, or its older alias `sessionId` when `profileId` is absent, null or empty. `None` when the member that
/// was found is not a string, or when there is none.
fn subscribe_profile(payload: &str) -> Option<Cow<'_, str>> {
    let named = |name| member(payload, name).and_then(|(_, value)| given(value, payload));
    named("profileId").or_else(|| named("sessionId")).flatten()
}

/// The outer `None` means that the value counts as absent: null or the empty string. The inner `None` means that it is
/// not a string.
fn given(value: Value, text: &str) -> Option<Option<Cow<'_, str>>> {
    let string = value.string(text);
    let absent = value.kind() == Kind::Null || string.as_ref().is_some_and(|string| string.is_empty());
    (!absent).then_some(string)
}

fn is_array_of_strings(raw: &str) -> bool {
    let mut elements = Strings::of(raw).peekable();
    elements.peek().is_some() && elements.all(|element| element.is_some())
}

/// The elements of an array that was checked before: the content of a string, or `None` for another value. There are
/// none when the text is not an array.
struct Strings<'t> {
    text: &'t str,
    scanner: Scanner<'t>,
    inside: bool,
}

impl<'t> Strings<'t> {
    fn of(text: &'t str) -> Self {
        let mut scanner = Scanner::again(text);
        let inside = scanner.enter_array() == Ok(true);
        Self { text, scanner, inside }
    }
}

impl<'t> Iterator for Strings<'t> {
    type Item = Option<Cow<'t, str>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.inside = self.inside && self.scanner.next_element() == Ok(true);
        if !self.inside {
            return None;
        }
        Some(self.scanner.value().ok()?.string(self.text))
    }
}
