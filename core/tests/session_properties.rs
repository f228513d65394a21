//! The guarantees of the sessions hold for any calls in any order.
#![cfg(test)]
#![cfg(all(feature = "server", feature = "session"))]

use std::collections::BTreeMap;

use core::time::Duration;

use multiwa_ws_core::session::{
    Action, ClientConfig, ClientEvent, ClientSession, ClientState, DisconnectReason, EventNames, Features,
    LifecycleEvent, ReconnectConfig, RequestId, SecondProfile, ServerConfig, ServerSession,
};
use multiwa_ws_core::{Instant, WallClock};
use proptest::prelude::*;
use serde_json::{Value, json};

#[derive(Clone, Debug)]
enum Operation {
    Connect,
    Connected,
    Opened(bool),
    Envelope(Envelope),
    Binary,
    Traffic,
    Paused,
    Resumed,
    Lost(DisconnectReason),
    Timeout,
    Wait(u64),
    Subscribe(u8, u8),
    Unsubscribe(Option<u8>),
    Ping,
    Close,
    Send,
    Act,
    Drain,
}

#[derive(Clone, Debug)]
enum Envelope {
    Hello,
    Ping,
    /// An answer to the n-th sent message, including old ones.
    Answer(&'static str, usize),
    Event(u8, u8),
    Text(&'static str),
}

fn reason() -> impl Strategy<Value = DisconnectReason> {
    prop_oneof![
        8 => Just(DisconnectReason::Io),
        4 => Just(DisconnectReason::Eof),
        1 => Just(DisconnectReason::Refused { status: 401, retry_after: None }),
        2 => Just(DisconnectReason::Refused { status: 503, retry_after: Some(Duration::from_secs(3)) }),
        3 => prop::sample::select(vec![None, Some(1000), Some(1001), Some(1002), Some(1008), Some(4000)])
            .prop_map(|code| DisconnectReason::ClosedByPeer { code }),
    ]
}

fn message() -> impl Strategy<Value = Envelope> {
    prop_oneof![
        4 => Just(Envelope::Hello),
        1 => Just(Envelope::Ping),
        8 => (prop::sample::select(vec!["ack", "pong", "error"]), 0usize..6).prop_map(|(kind, back)| Envelope::Answer(kind, back)),
        3 => (0u8..4, 0u8..3).prop_map(|(profile, event)| Envelope::Event(profile, event)),
        1 => prop::sample::select(vec!["", "{}", "[]", "{\"type\":\"pong\"}", "{\"type\":\"ack\",\"payload\":{\"action\":\"x\"}}", "{\"type\":\"x\"}"])
            .prop_map(Envelope::Text),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => Just(Operation::Connect),
        1 => Just(Operation::Connected),
        6 => any::<bool>().prop_map(Operation::Opened),
        12 => message().prop_map(Operation::Envelope),
        1 => Just(Operation::Binary),
        1 => Just(Operation::Traffic),
        1 => Just(Operation::Paused),
        1 => Just(Operation::Resumed),
        3 => reason().prop_map(Operation::Lost),
        6 => Just(Operation::Timeout),
        3 => (0u64..20_000).prop_map(Operation::Wait),
        6 => (0u8..4, 0u8..3).prop_map(|(profile, event)| Operation::Subscribe(profile, event)),
        2 => prop::option::of(0u8..4).prop_map(Operation::Unsubscribe),
        2 => Just(Operation::Ping),
        1 => Just(Operation::Close),
        8 => Just(Operation::Send),
        3 => Just(Operation::Act),
        3 => Just(Operation::Drain),
    ]
}

/// Drives one client and checks after each call the conditions that must always hold.
struct Model {
    client: ClientSession,
    now: Instant,
    sent: Vec<Value>,
    /// Each request of the application, and how often its end was reported.
    requests: BTreeMap<RequestId, u32>,
    closed: u32,
    trace: String,
}

impl Model {
    fn new(second_profile: SecondProfile, max_attempts: Option<u32>, seed: u8) -> Self {
        let reconnect = ReconnectConfig::new().max_attempts(max_attempts);
        let config = ClientConfig::new().second_profile(second_profile).reconnect(reconnect).max_requests(8);
        let client = ClientSession::new(config, [seed; 32]);
        Self {
            client,
            now: Instant::default(),
            sent: Vec::new(),
            requests: BTreeMap::new(),
            closed: 0,
            trace: String::new(),
        }
    }

    fn run(&mut self, operation: &Operation) {
        let before = self.client.state();
        self.apply(operation);
        let after = self.client.state();
        // One call makes at most two transitions: the state after the first one can end at once.
        let step = |from, to| diagram().any(|arrow| arrow == (from, to));
        let twice = || diagram().any(|(start, middle)| start == before && step(middle, after));
        assert!(before == after || step(before, after) || twice(), "{before} to {after} by {operation:?}");
        assert!(after != ClientState::Closed || self.client.poll_timeout().is_none());
        for (profile, _) in self.client.active().iter() {
            assert!(!profile.is_empty() && self.client.state().is_open());
        }
        if after != ClientState::Backoff {
            assert_eq!(self.client.next_attempt_at(), None);
        }
        self.trace +=
            &format!("{operation:?} {after} {:?} {:?}\n", self.client.poll_timeout(), self.client.poll_message());
    }

    fn apply(&mut self, operation: &Operation) {
        let (client, now) = (&mut self.client, self.now);
        match operation {
            Operation::Connect => _ = client.connect(now),
            Operation::Connected => client.connected(now),
            Operation::Opened(subscription_sets) => {
                client.opened(now, Features { subscription_sets: *subscription_sets });
            }
            Operation::Envelope(message) => self.message(message),
            Operation::Binary => client.handle_binary(now, b"\x01"),
            Operation::Traffic => client.handle_traffic(now),
            Operation::Paused => client.reading_paused(now),
            Operation::Resumed => client.reading_resumed(now),
            Operation::Lost(reason) => client.lost(now, *reason),
            Operation::Timeout => {
                if let Some(due) = client.poll_timeout() {
                    self.now = self.now.max(due);
                    client.handle_timeout(self.now);
                    assert!(client.poll_timeout().is_none_or(|next| next > self.now), "a due timeout makes progress");
                }
            }
            Operation::Wait(millis) => self.now += Duration::from_millis(*millis),
            Operation::Subscribe(profile, event) => {
                let events: EventNames = [["x", "y", "*"][usize::from(*event)]].into_iter().collect();
                let id = client.subscribe(now, &format!("p{profile}"), &events).ok();
                self.requests.extend(id.map(|id| (id, 0)));
            }
            Operation::Unsubscribe(profile) => {
                let profile = profile.map(|profile| format!("p{profile}"));
                let id = client.unsubscribe(now, profile.as_deref()).ok();
                self.requests.extend(id.map(|id| (id, 0)));
            }
            Operation::Ping => {
                let id = client.ping(now).ok();
                self.requests.extend(id.map(|id| (id, 0)));
            }
            Operation::Close => client.close(now),
            Operation::Send => {
                if let Some(text) = client.poll_message() {
                    self.sent.push(serde_json::from_str(text).unwrap());
                    client.message_sent(0);
                }
            }
            Operation::Act => {
                let action = client.poll_action();
                if let Some(Action::Connect { .. }) = action {
                    assert_eq!(client.state(), ClientState::Connecting);
                }
                self.trace += &format!("{action:?}\n");
            }
            Operation::Drain => self.drain(),
        }
    }

    fn message(&mut self, message: &Envelope) {
        let text = match message {
            Envelope::Hello => r#"{"type":"ack","payload":{"clientId":"c"}}"#.to_owned(),
            Envelope::Ping => r#"{"type":"ping","requestId":"s"}"#.to_owned(),
            Envelope::Text(text) => (*text).to_owned(),
            Envelope::Event(profile, event) => {
                let event = ["x", "y", "z"][usize::from(*event)];
                json!({"type": "event", "payload": {"event": event, "profileId": format!("p{profile}")}}).to_string()
            }
            Envelope::Answer(kind, back) => {
                let Some(request) = self.sent.iter().rev().nth(*back) else { return };
                json!({"type": kind, "payload": {"error": "e"}, "requestId": request["requestId"]}).to_string()
            }
        };
        let live_before = self.client.active().clone();
        self.drain();
        let taken = &mut Some(text.as_str());
        let event = self.client.handle_message(self.now, taken);
        assert_eq!(*taken, None);
        match &event {
            Some(ClientEvent::Event(event)) => {
                let (profile, name) = (event.profile_id(), event.name());
                assert!(self.client.active().matches(profile.as_deref(), &name));
            }
            Some(ClientEvent::RequestEnded { id, .. }) => {
                let ends = self.requests.get_mut(id).expect("a request of the application");
                *ends += 1;
            }
            Some(ClientEvent::Lifecycle(LifecycleEvent::Closed(_))) => self.closed += 1,
            None if matches!(message, Envelope::Event(..)) => assert_eq!(*self.client.active(), live_before),
            _ => {}
        }
        self.trace += &format!("{event:?}\n");
    }

    fn drain(&mut self) {
        while let Some(event) = self.client.poll_event() {
            assert_eq!(self.closed, 0, "nothing after Closed");
            match &event {
                ClientEvent::Lifecycle(LifecycleEvent::Closed(_)) => self.closed += 1,
                ClientEvent::RequestEnded { id, .. } => *self.requests.get_mut(id).expect("a request") += 1,
                _ => {}
            }
            self.trace += &format!("{event:?}\n");
        }
    }

    fn end(&mut self) {
        for ends in self.requests.values() {
            assert!(*ends <= 1);
        }
        self.client.close(self.now);
        self.now += Duration::from_secs(5);
        self.client.handle_timeout(self.now);
        self.drain();
        assert_eq!((self.client.state(), self.closed), (ClientState::Closed, 1));
        assert_eq!(self.client.poll_timeout(), None);
        for (id, ends) in &self.requests {
            assert_eq!(*ends, 1, "{id}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_client_stays_in_its_table_closes_once_and_ends_each_request_once(
        operations in prop::collection::vec(operation(), 0..120),
        displace in any::<bool>(),
        max_attempts in prop::option::of(1u32..5),
    ) {
        let second = if displace { SecondProfile::Displace } else { SecondProfile::Refuse };
        let mut model = Model::new(second, max_attempts, 1);
        for operation in &operations {
            model.run(operation);
        }
        model.end();
    }

    #[test]
    fn the_same_calls_and_seed_give_the_same_output(
        operations in prop::collection::vec(operation(), 0..60), seed in any::<u8>(),
    ) {
        let run = || {
            let mut model = Model::new(SecondProfile::Refuse, None, seed);
            operations.iter().for_each(|operation| model.run(operation));
            model.trace
        };
        prop_assert_eq!(run(), run());
    }

    /// Both roles, joined by a link that loses nothing: the active subscriptions of the client are those of the server.
    #[test]
    fn both_peers_agree_on_the_subscriptions(
        operations in prop::collection::vec(operation(), 0..60), sets in any::<bool>(), displace in any::<bool>(),
    ) {
        let second = if displace { SecondProfile::Displace } else { SecondProfile::Refuse };
        let mut model = Model::new(second, None, 1);
        let mut server: Option<ServerSession> = None;
        for operation in &operations {
            let commands = matches!(operation, Operation::Subscribe(..) | Operation::Unsubscribe(_) | Operation::Ping);
            if commands || matches!(operation, Operation::Lost(_) | Operation::Connect | Operation::Drain | Operation::Timeout) {
                model.run(operation);
            }
            while let Some(action) = model.client.poll_action() {
                if let Action::Connect { .. } = action {
                    let config = ServerConfig::new().subscription_sets(sets);
                    let opened = ServerSession::new(model.now, config, "c", WallClock::new(model.now, 0));
                    model.client.opened(model.now, opened.features());
                    server = Some(opened);
                }
            }
            let Some(server) = server.as_mut().filter(|_| model.client.state().is_open()) else { continue };
            loop {
                if let Some(text) = model.client.poll_message() {
                    server.handle_message(model.now, text);
                    model.client.message_sent(0);
                } else if let Some(text) = server.poll_message() {
                    let text = &mut Some(text);
                    while model.client.handle_message(model.now, text).is_some() {}
                    server.message_sent();
                } else {
                    break;
                }
            }
            prop_assert_eq!(model.client.active(), server.subscriptions());
            prop_assert_eq!(model.client.state(), ClientState::Ready);
            if sets || displace {
                prop_assert_eq!(&model.client.desired(), model.client.active());
            }
            prop_assert_eq!(server.counters().refused, 0);
        }
    }

    #[test]
    fn a_server_answers_anything_exactly_once_and_in_json(texts in prop::collection::vec(any_text(), 0..40)) {
        let now = Instant::default();
        let mut server = ServerSession::new(now, ServerConfig::default(), "c", WallClock::new(now, 0));
        server.message_sent();
        for text in &texts {
            prop_assert!(server.handle_message(now, text).is_some());
            let reply: Value = serde_json::from_str(server.poll_message().unwrap()).unwrap();
            prop_assert!(reply["type"] != "error" || reply["payload"]["code"].is_string());
            server.message_sent();
            prop_assert_eq!(server.poll_message(), None);
        }
    }
}

/// Valid and invalid JSON that looks like requests.
fn any_text() -> impl Strategy<Value = String> {
    let value =
        prop::sample::select(vec!["null", "\"\"", "\"p\"", "5", "[]", "[\"*\"]", "[1]", "{}", "{\"a\":[]}", "tru"]);
    let members = prop::collection::vec(
        (prop::sample::select(vec!["type", "payload", "requestId", "profileId", "sessionId", "events", "mode"]), value),
        0..6,
    );
    let object = members.prop_map(|members| {
        let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    });
    let kind = prop::sample::select(vec!["subscribe", "unsubscribe", "ping", "x"]);
    prop_oneof![
        1 => any::<String>(),
        2 => object.clone(),
        5 => (kind, object).prop_map(|(kind, payload)| format!("{{\"type\":\"{kind}\",\"payload\":{payload},\"requestId\":[1]}}")),
    ]
}

/// The transitions between the states of the client in the diagram of `docs/architecture.md`.
fn diagram() -> impl Iterator<Item = (ClientState, ClientState)> {
    const PAGE: &str = include_str!("../../docs/architecture.md");
    let (_, arrows) = PAGE.split_once("[*] --> Idle\n").unwrap();
    let (arrows, _) = arrows.split_once("```").unwrap();
    arrows.lines().filter_map(|arrow| {
        let (from, to) = arrow.split_once(':')?.0.split_once("-->")?;
        Some((state(from.trim()), state(to.trim())))
    })
}

fn state(name: &str) -> ClientState {
    use ClientState::{AwaitingAck, Backoff, Closed, Closing, Connecting, Idle, Ready};
    let states = [Idle, Connecting, AwaitingAck, Ready, Backoff, Closing, Closed];
    states.into_iter().find(|state| state.to_string() == name).unwrap()
}
