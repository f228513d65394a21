//! The client's side of the dialect (`socketio.md`): between a transport of messages and the session.

use alloc::borrow::Cow;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::attachments::Collected;
use super::events::{self, Meaning, envelope, object, text};
use super::joins::{Answer, Joins, KEY_CHECK, answer};
use super::repeats::{Repeats, Way};
use super::state::{Input, State};
use super::{Engine, Kind, NAMESPACE, Packet, SocketIoError};
use crate::Instant;
use crate::session::{Ask, DisconnectReason, RequestId, member};

/// The longest period of a heartbeat that is accepted.
const MAX_PERIOD: u64 = 24 * 60 * 60 * 1_000;

/// The longest text of a ping that its answer repeats, in bytes. A heartbeat has none.
const MAX_ECHO: usize = 125;

/// What a message or a passed deadline means to the session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<'t> {
    /// Nothing.
    Nothing,
    /// The gateway answered the CONNECT: this is the connection ack.
    Connected(String),
    /// A message of the session.
    Message(Cow<'t, str>),
    /// A message that has no meaning to the session.
    Unknown(String),
    /// The connection ended. An error of the gateway is reported before.
    Ended(SocketIoError, Option<String>),
}

/// The dialect of one client, over many connections.
pub(crate) struct SocketIo {
    state: State,
    /// The key for the CONNECT.
    key: Option<String>,
    /// The time for the open packet, and again for the answer to the CONNECT.
    timeout: Duration,
    /// When the server is given up: the open packet, the answer to the CONNECT, or a heartbeat is overdue.
    due: Option<Instant>,
    /// The silence that means a dead link, of the open packet.
    silence: Duration,
    /// Nothing is read at present, so silence means nothing.
    paused: bool,
    /// When the CONNECT was sent.
    connected_at: Option<Instant>,
    joins: Joins,
    collected: Option<Collected>,
    repeats: Repeats,
    /// A new profile displaces the others.
    displaces: bool,
    /// How the last event came.
    way: Way,
    /// The longest message that the server accepts.
    max_payload: u64,
    /// The answer to the last ping. It answers all before it.
    pong: Option<String>,
    out: VecDeque<String>,
}

impl SocketIo {
    pub(crate) fn new(timeout: Duration, displaces: bool) -> Self {
        Self {
            state: State::Ended,
            key: None,
            timeout,
            due: None,
            silence: Duration::ZERO,
            paused: false,
            connected_at: None,
            joins: Joins::default(),
            collected: None,
            repeats: Repeats::default(),
            displaces,
            way: Way::Joined,
            max_payload: u64::MAX,
            pong: None,
            out: VecDeque::new(),
        }
    }

    pub(crate) fn set_key(&mut self, key: Option<String>) {
        self.key = key;
    }

    /// The transport is open. Nothing of the last one stays.
    pub(crate) fn open(&mut self, now: Instant) {
        self.end();
        self.state = State::Opening;
        self.due = Some(now + self.timeout);
    }

    /// The transport ended.
    pub(crate) fn end(&mut self) {
        self.state = State::Ended;
        self.due = None;
        self.connected_at = None;
        self.collected = None;
        self.joins.clear();
        self.pong = None;
        self.out.clear();
    }

    /// Whether requests may be sent.
    pub(crate) const fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected | State::Collecting)
    }

    /// What the end of a transport means. A gateway that refuses the key closes the transport soon after the CONNECT, and
    /// one that refuses the version writes an HTTP response where the open packet is due.
    pub(crate) fn explain(&self, now: Instant, reason: DisconnectReason) -> DisconnectReason {
        match reason {
            DisconnectReason::Violation { code: 1002 } if self.state == State::Opening => SocketIoError::Version.into(),
            DisconnectReason::Eof | DisconnectReason::ClosedByPeer { code: None | Some(1000 | 1008) }
                if self.may_refuse_key(now) =>
            {
                SocketIoError::KeyRefused.into()
            }
            _ => reason,
        }
    }

    /// Whether the gateway may still be checking the key.
    fn may_refuse_key(&self, now: Instant) -> bool {
        !self.joins.proved && self.checks_key(now)
    }

    fn checks_key(&self, now: Instant) -> bool {
        self.connected_at.is_some_and(|connected| now < connected + KEY_CHECK)
    }

    /// Bytes arrived: the link is not dead.
    pub(crate) fn handle_traffic(&mut self, now: Instant) {
        if self.is_connected() {
            self.due = Some(now + self.silence);
        }
    }

    pub(crate) fn reading_paused(&mut self) {
        self.paused = true;
    }

    pub(crate) fn reading_resumed(&mut self, now: Instant) {
        self.paused = false;
        // All of the silence may have been ours.
        self.due = self.due.map(|due| due.max(now + if self.is_connected() { self.silence } else { self.timeout }));
    }

    /// A text message arrived.
    pub(crate) fn handle_text<'t>(&mut self, now: Instant, message: &'t str) -> Step<'t> {
        self.process_text(now, message).unwrap_or_else(|error| self.fail(error))
    }

    /// A binary message arrived.
    pub(crate) fn handle_binary(&mut self, now: Instant, payload: &[u8]) -> Step<'static> {
        self.process_binary(now, payload).unwrap_or_else(|error| self.fail(error))
    }

    /// The next packet to send, other than those of requests.
    pub(crate) fn poll_packet(&mut self) -> Option<String> {
        self.pong.take().or_else(|| self.out.pop_front())
    }

    /// The packet of a request, whose documented envelope is `message`. Both forms are sent: gateways of two generations
    /// exist.
    pub(crate) fn request(&mut self, now: Instant, id: RequestId, ask: &Ask, message: &str) -> String {
        let message = event(None, &alloc::format!(r#"["message",{message}]"#));
        let fits = message.len() as u64 <= self.max_payload;
        let (leaves, profiles) = match ask {
            Ask::Ping => return message,
            Ask::Subscribe { profile, .. } => (false, alloc::vec![profile.clone()]),
            Ask::Unsubscribe { profile: Some(profile) } => (true, alloc::vec![profile.clone()]),
            Ask::Unsubscribe { profile: None } => (true, self.joins.held()),
        };
        let mut packets = profiles.into_iter().map(|profile| {
            let (id, payload) = self.joins.ask(now, profile, leaves, Some(id));
            event(Some(id), &payload)
        });
        let Some(first) = packets.next() else { return message };
        self.out.extend(packets);
        // Without sets, the envelope of an `unsubscribe` ends every subscription.
        let others_stay = matches!(ask, Ask::Unsubscribe { profile: Some(_) }) && self.joins.joined().len() > 1;
        if fits && !others_stay {
            self.out.push_back(message);
        }
        first
    }

    /// Whether a profile is joined, or is being joined.
    pub(crate) fn holds_any(&self) -> bool {
        !self.joins.held().is_empty()
    }

    /// A message of the session that is no request.
    pub(crate) fn message(message: &str) -> String {
        event(None, &alloc::format!(r#"["message",{message}]"#))
    }

    /// The packet that ends the session, if there is one.
    pub(crate) fn close(&mut self) -> Option<String> {
        let connected = self.is_connected();
        self.end();
        connected.then(|| Engine::Message(packet(Kind::Disconnect, None, "")).encode())
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        [self.due.filter(|_| !self.paused), self.joins.deadline()].into_iter().flatten().min()
    }

    /// Acts on one deadline that has passed. Call it until it returns [`Step::Nothing`].
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Step<'static> {
        if !self.paused && self.due.is_some_and(|due| due <= now) {
            let error = self.state.overdue();
            self.go(Input::TimedOut);
            return Step::Ended(error, None);
        }
        while let Some((id, payload)) = self.joins.due_again(now) {
            self.out.push_back(event(Some(id), &payload));
        }
        while let Some(found) = self.joins.due(now) {
            let error = matches!(found, Answer::Refused(_)).then_some("Forbidden");
            match self.answered(now, found, error) {
                Step::Nothing => {}
                step => return step,
            }
        }
        Step::Nothing
    }

    /// Whether an event was returned before, by the other generation of handlers.
    pub(crate) fn is_repeated(&mut self, now: Instant, profile: Option<&str>, name: &str, data: &str) -> bool {
        self.repeats.is_repeated(now, self.way, profile, name, data)
    }

    fn process_text<'t>(&mut self, now: Instant, message: &'t str) -> Result<Step<'t>, SocketIoError> {
        if self.state == State::Ended {
            return Ok(Step::Nothing);
        }
        match Engine::parse(message)? {
            Engine::Open(json) => self.opened(now, json),
            Engine::Close => {
                self.step(Input::Disconnected)?;
                Ok(self.disconnected(now))
            }
            Engine::Ping(text) => {
                self.step(Input::Heartbeat)?;
                let echo = if text.len() <= MAX_ECHO { text } else { "" };
                self.pong = Some(Engine::Pong(echo).encode());
                Ok(Step::Nothing)
            }
            Engine::Noop => self.step(Input::Heartbeat).map(|()| Step::Nothing),
            // Only a client sends these.
            Engine::Pong(_) | Engine::Upgrade => Err(SocketIoError::NotDue),
            Engine::Message(packet) => self.process_packet(now, &packet),
        }
    }

    fn opened(&mut self, now: Instant, json: &str) -> Result<Step<'static>, SocketIoError> {
        self.step(Input::Open)?;
        events::check(json)?;
        text(json, "sid").ok_or(SocketIoError::Open)?;
        let number = |name| member(json, name).and_then(|(raw, _)| raw.parse::<u64>().ok());
        let period = |name| number(name).filter(|period| *period <= MAX_PERIOD).ok_or(SocketIoError::Open);
        let silence = period("pingInterval")? + period("pingTimeout")?;
        if silence == 0 {
            return Err(SocketIoError::Open);
        }
        self.silence = Duration::from_millis(silence);
        self.max_payload = number("maxPayload").unwrap_or(u64::MAX);
        self.due = Some(now + self.timeout);
        self.connected_at = Some(now);
        let auth = self.key.as_ref().map(|key| object(|auth| auth.string("apiKey", key)));
        self.out.push_back(Engine::Message(packet(Kind::Connect, None, auth.as_deref().unwrap_or_default())).encode());
        Ok(Step::Nothing)
    }

    fn process_packet<'t>(&mut self, now: Instant, packet: &Packet<'t>) -> Result<Step<'t>, SocketIoError> {
        if packet.namespace != NAMESPACE {
            return Err(SocketIoError::ForeignNamespace);
        }
        let json = packet.json;
        match packet.kind {
            Kind::Connect => {
                self.step(Input::Accepted)?;
                if !json.is_empty() {
                    events::check(json)?;
                    if !json.starts_with('{') {
                        return Err(SocketIoError::Payload);
                    }
                }
                // The gateway checks the key after this.
                self.connected_at = Some(now);
                self.due = Some(now + self.silence);
                Ok(Step::Connected(envelope(
                    "ack",
                    &object(|ack| {
                        if let Some(sid) = text(json, "sid") {
                            ack.string("clientId", &sid);
                        }
                    }),
                )))
            }
            Kind::ConnectError => {
                self.step(Input::Refused)?;
                events::check(json)?;
                let reason = member(json, "message").map_or(json, |(message, _)| message);
                let error = envelope("error", &object(|error| error.raw("error", reason)));
                Ok(Step::Ended(SocketIoError::ConnectRefused, Some(error)))
            }
            Kind::Disconnect => {
                if !json.is_empty() {
                    return Err(SocketIoError::Payload);
                }
                self.step(Input::Disconnected)?;
                Ok(self.disconnected(now))
            }
            Kind::Event | Kind::Ack => {
                self.step(Input::Message)?;
                self.process_payload(now, packet.kind, packet.id, json)
            }
            Kind::BinaryEvent | Kind::BinaryAck if packet.attachments == 0 => {
                self.step(Input::Message)?;
                self.process_payload(now, packet.kind, packet.id, json)
            }
            Kind::BinaryEvent | Kind::BinaryAck => {
                self.step(Input::Header)?;
                events::elements(json)?;
                self.collected = Some(Collected::new(packet.kind, packet.id, json, packet.attachments)?);
                Ok(Step::Nothing)
            }
        }
    }

    fn process_binary(&mut self, now: Instant, payload: &[u8]) -> Result<Step<'static>, SocketIoError> {
        if self.state == State::Ended {
            return Ok(Step::Nothing);
        }
        let Some(collected) = &mut self.collected else {
            return Err(State::Connected.broken_by(Input::Attachment));
        };
        if !collected.add(payload)? {
            self.step(Input::Attachment)?;
            return Ok(Step::Nothing);
        }
        self.step(Input::LastAttachment)?;
        let Some(collected) = self.collected.take() else { return Ok(Step::Nothing) };
        let (kind, id, json) = (collected.kind, collected.id, collected.into_json()?);
        Ok(match self.process_payload(now, kind, id, &json)? {
            Step::Nothing => Step::Nothing,
            Step::Connected(text) => Step::Connected(text),
            Step::Message(text) => Step::Message(Cow::Owned(text.into_owned())),
            Step::Unknown(text) => Step::Unknown(text),
            Step::Ended(error, text) => Step::Ended(error, text),
        })
    }

    fn process_payload<'t>(
        &mut self,
        now: Instant,
        kind: Kind,
        id: Option<u64>,
        json: &'t str,
    ) -> Result<Step<'t>, SocketIoError> {
        if matches!(kind, Kind::Ack | Kind::BinaryAck) {
            let id = id.ok_or(SocketIoError::AckId)?;
            let [result, _] = events::elements(json)?;
            let result = result.map_or("null", |result| result.raw(json));
            // Anything but a success is a refusal, whose text may be missing.
            let refused = member(result, "success").map(|(raw, _)| raw) != Some("true");
            let error = refused.then(|| text(result, "error").unwrap_or_else(|| result.into()));
            let answer = self.joins.answer(now, id, error.as_deref(), self.checks_key(now));
            return Ok(self.answered(now, answer, error.as_deref()));
        }
        Ok(match events::read(json)? {
            Meaning::Unknown(text) => Step::Unknown(text),
            Meaning::Envelope(message) => {
                self.way = if matches!(message, Cow::Borrowed(_)) { Way::Envelope } else { Way::Joined };
                self.envelope(message)
            }
        })
    }

    /// A documented envelope. The answer to a join decides about a request, not the one of the envelope.
    fn envelope<'t>(&mut self, message: Cow<'t, str>) -> Step<'t> {
        let kind = text(&message, "type");
        let request = text(&message, "requestId").and_then(|id| RequestId::parse(&id));
        let decided_elsewhere = match (kind.as_deref(), request) {
            (Some("ack"), Some(request)) => self.joins.acknowledged(request),
            // The connection was acknowledged by the CONNECT.
            (Some("ack"), None) => true,
            (Some("error"), Some(request)) => self.joins.decides(request),
            _ => false,
        };
        if decided_elsewhere { Step::Nothing } else { Step::Message(message) }
    }

    fn answered(&mut self, now: Instant, found: Answer, error: Option<&str>) -> Step<'static> {
        match found {
            Answer::Nothing | Answer::Again => Step::Nothing,
            Answer::Refused(request) => Step::Message(answer(request, Some(error.unwrap_or_default())).into()),
            Answer::Done(request, profile) => {
                if self.displaces && self.joins.joined().contains(&profile) {
                    // The new profile is joined before the others are left.
                    let others = self.joins.joined().iter().filter(|other| **other != profile).cloned();
                    for other in others.collect::<Vec<_>>() {
                        let (id, payload) = self.joins.ask(now, other, true, None);
                        self.out.push_back(event(Some(id), &payload));
                    }
                }
                Step::Message(answer(request, None).into())
            }
        }
    }

    fn disconnected(&self, now: Instant) -> Step<'static> {
        let error = if self.may_refuse_key(now) { SocketIoError::KeyRefused } else { SocketIoError::Disconnected };
        Step::Ended(error, None)
    }

    fn fail(&mut self, error: SocketIoError) -> Step<'static> {
        self.go(Input::Fault);
        Step::Ended(error, None)
    }

    fn step(&mut self, input: Input) -> Result<(), SocketIoError> {
        if self.go(input) { Ok(()) } else { Err(self.state.broken_by(input)) }
    }

    fn go(&mut self, input: Input) -> bool {
        let next = self.state.next(input);
        self.state = next.unwrap_or(self.state);
        next.is_some()
    }
}

/// Shows neither the key nor the packets, of which one holds it.
impl fmt::Debug for SocketIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketIo").field("state", &self.state).field("due", &self.due).finish_non_exhaustive()
    }
}

/// An event of the client.
fn event(id: Option<u64>, payload: &str) -> String {
    Engine::Message(packet(Kind::Event, id, payload)).encode()
}

const fn packet(kind: Kind, id: Option<u64>, json: &str) -> Packet<'_> {
    Packet { kind, attachments: 0, namespace: NAMESPACE, id, json }
}
