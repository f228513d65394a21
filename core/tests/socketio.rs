//! The client in the socket.io dialect (`socketio.md`), against packets written by hand, in virtual time.
#![cfg(test)]
#![cfg(feature = "socketio")]

use core::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::session::{
    Action, ClientConfig, ClientEvent, ClientSession, ClientState, CloseCause, Dialect, DisconnectReason, EventNames,
    Features, LifecycleEvent, RequestKind, RequestOutcome, SecondProfile,
};
use multiwa_ws_core::socketio::{MAX_ATTACHMENTS, SocketIoError};
use proptest::prelude::*;

const OPEN: &str = r#"0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
const ACCEPTED: &str = r#"40/ws,{"sid":"c1"}"#;
const JOINED: &str = r#"[{"success":true,"profileId":"p"}]"#;
const FORBIDDEN: &str = r#"[{"success":false,"error":"Forbidden"}]"#;

struct Gateway {
    now: Instant,
    client: ClientSession,
    sent: Vec<String>,
    events: Vec<ClientEvent<'static>>,
}

impl Gateway {
    /// The upgrade has just succeeded.
    fn new(config: ClientConfig) -> Self {
        let client = ClientSession::new(config.dialect(Dialect::SocketIo), [7; 32]);
        let mut gateway = Self { now: Instant::from_nanos(0), client, sent: Vec::new(), events: Vec::new() };
        gateway.client.set_connect_key(Some("k\"1".to_owned()));
        gateway.client.connect(gateway.now).unwrap();
        gateway.open();
        gateway
    }

    fn open(&mut self) {
        assert!(matches!(self.client.poll_action(), Some(Action::Connect { .. })));
        self.client.opened(self.now, Features::default());
        self.drain();
    }

    /// Connected to the namespace, with one subscription asked for.
    fn connected() -> Self {
        let mut gateway = Self::new(ClientConfig::new());
        gateway.subscribe("p");
        gateway.receive(OPEN);
        gateway.receive(ACCEPTED);
        gateway
    }

    /// The subscription is active.
    fn joined() -> Self {
        let mut gateway = Self::connected();
        gateway.answer(JOINED);
        assert_eq!(gateway.client.state(), ClientState::Ready);
        gateway.sent.clear();
        gateway.events.clear();
        gateway
    }

    fn subscribe(&mut self, profile: &str) {
        self.client.subscribe(self.now, profile, &EventNames::every()).unwrap();
        self.drain();
    }

    fn receive(&mut self, text: &str) {
        let mut message = Some(text);
        while let Some(event) = self.client.handle_message(self.now, &mut message) {
            self.events.push(event.into_owned());
        }
        self.drain();
    }

    fn receive_binary(&mut self, payload: &[u8]) {
        self.client.handle_binary(self.now, payload);
        self.drain();
    }

    /// Answers the last join or leave.
    fn answer(&mut self, result: &str) {
        let id = self.last_id();
        self.receive(&format!("43/ws,{id}{result}"));
    }

    fn last_id(&self) -> u64 {
        let id = |packet: &String| {
            let rest = packet.strip_prefix("42/ws,")?;
            rest.split('[').next().filter(|id| !id.is_empty())?.parse().ok()
        };
        self.sent.iter().rev().find_map(id).expect("a packet with an id")
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.client.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.client.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn drain(&mut self) {
        loop {
            if let Some(message) = self.client.poll_message() {
                self.sent.push(message.to_owned());
                self.client.message_sent(0);
            } else if let Some(event) = self.client.poll_event() {
                self.events.push(event);
            } else {
                return;
            }
        }
    }

    fn joins(&self) -> Vec<&str> {
        self.sent.iter().map(String::as_str).filter(|packet| packet.contains(r#"["join""#)).collect()
    }

    fn outcomes(&self) -> Vec<&RequestOutcome<'static>> {
        let mut outcomes = Vec::new();
        for event in &self.events {
            if let ClientEvent::RequestEnded { outcome, .. } = event {
                outcomes.push(outcome);
            }
        }
        outcomes
    }

    fn events_of(&self, name: &str) -> Vec<&str> {
        let mut texts = Vec::new();
        for event in &self.events {
            if let ClientEvent::Event(event) = event
                && event.name() == name
            {
                texts.push(event.as_str());
            }
        }
        texts
    }

    fn reason(&self) -> Option<DisconnectReason> {
        self.client.last_disconnect()
    }
}

fn lost(error: SocketIoError) -> Option<DisconnectReason> {
    Some(DisconnectReason::SocketIo(error))
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn nothing_but_the_connect_is_sent_before_its_answer_and_the_key_is_in_it() {
    let mut gateway = Gateway::new(ClientConfig::new());
    gateway.subscribe("p");
    assert!(gateway.sent.is_empty());
    gateway.receive(OPEN);
    assert_eq!(gateway.sent, [r#"40/ws,{"apiKey":"k\"1"}"#]);
    gateway.receive("2");
    assert_eq!(gateway.sent.last().unwrap(), "3");
    gateway.receive(ACCEPTED);
    assert_eq!(gateway.sent[2], r#"42/ws,1["join",{"profileId":"p"}]"#);
    assert!(gateway.sent[3].starts_with(r#"42/ws,["message",{"type":"subscribe","#), "{}", gateway.sent[3]);
    assert_eq!(gateway.sent.len(), 4);
    assert_eq!(gateway.client.state(), ClientState::AwaitingAck);
    gateway.answer(JOINED);
    assert_eq!(gateway.client.state(), ClientState::Ready);
    let connected = gateway.events.iter().filter(|event| matches!(event, ClientEvent::Connected(_)));
    assert_eq!(connected.count(), 1);
}

#[test]
fn the_answer_to_the_connect_is_the_connection_ack_and_no_envelope_is() {
    let mut gateway = Gateway::joined();
    gateway.receive(r#"42/ws,["message",{"type":"ack","payload":{"message":"Connected to MultiWA WebSocket API"}}]"#);
    assert!(gateway.events.is_empty());
}

#[test]
fn a_join_that_comes_before_the_key_check_is_asked_again() {
    let mut gateway = Gateway::connected();
    for (wait, id) in [(500, 2), (1_000, 3), (2_000, 4)] {
        gateway.answer(FORBIDDEN);
        gateway.pass(Duration::from_millis(wait - 1));
        assert_eq!(gateway.joins().len(), id - 1);
        gateway.pass(Duration::from_millis(1));
        assert_eq!(*gateway.joins().last().unwrap(), format!(r#"42/ws,{id}["join",{{"profileId":"p"}}]"#));
    }
    assert!(gateway.outcomes().is_empty());
    gateway.answer(JOINED);
    assert!(matches!(gateway.outcomes()[..], [RequestOutcome::Acknowledged { .. }]));
}

#[test]
fn a_join_that_stays_forbidden_is_refused() {
    let mut gateway = Gateway::connected();
    for _ in 0..3 {
        gateway.answer(FORBIDDEN);
        gateway.pass(seconds(2));
    }
    gateway.answer(FORBIDDEN);
    assert!(matches!(gateway.outcomes()[..], [RequestOutcome::Refused(_)]), "{:?}", gateway.events);
    assert_eq!(gateway.client.state(), ClientState::Ready);
    // The right may be missing for another profile later: after the first five seconds, it is a refusal at once.
    gateway.pass(seconds(5));
    gateway.subscribe("q");
    gateway.answer(FORBIDDEN);
    assert_eq!(gateway.outcomes().len(), 2);
}

#[test]
fn an_envelope_counts_only_when_the_join_is_not_answered_in_five_seconds() {
    let ack = |gateway: &Gateway| {
        let envelope = gateway.sent.iter().find(|packet| packet.contains(r#""type":"subscribe""#)).unwrap();
        let id = envelope.split(r#""requestId":""#).nth(1).unwrap().split('"').next().unwrap();
        format!(r#"42/ws,["message",{{"type":"ack","payload":{{"action":"subscribed"}},"requestId":"{id}"}}]"#)
    };
    let mut gateway = Gateway::connected();
    gateway.receive(&ack(&gateway));
    gateway.pass(seconds(5) - Duration::from_millis(1));
    assert!(gateway.outcomes().is_empty());
    gateway.pass(Duration::from_millis(1));
    assert!(matches!(gateway.outcomes()[..], [RequestOutcome::Acknowledged { .. }]));
    // The answer to the join decides when it comes.
    let mut gateway = Gateway::connected();
    gateway.receive(&ack(&gateway));
    gateway.pass(seconds(4));
    gateway.receive(r#"43/ws,1[{"success":false,"error":"No such profile"}]"#);
    assert!(matches!(gateway.outcomes()[..], [RequestOutcome::Refused(_)]));
    // Without either, the request times out.
    let mut gateway = Gateway::connected();
    gateway.pass(seconds(11));
    assert!(matches!(gateway.outcomes()[..], [RequestOutcome::TimedOut]));
}

#[test]
fn several_profiles_are_joined_and_each_is_left_by_itself() {
    let mut gateway = Gateway::joined();
    gateway.subscribe("q");
    gateway.answer(JOINED);
    assert_eq!(gateway.client.active().len(), 2);
    gateway.client.unsubscribe(gateway.now, Some("p")).unwrap();
    gateway.drain();
    assert!(gateway.sent.iter().any(|packet| packet.ends_with(r#"["unsubscribe:profile",{"profileId":"p"}]"#)));
    gateway.answer(JOINED);
    assert_eq!(gateway.client.active().len(), 1);
    gateway.subscribe("r");
    gateway.answer(JOINED);
    gateway.sent.clear();
    gateway.client.unsubscribe(gateway.now, None).unwrap();
    gateway.drain();
    let id = gateway.last_id();
    gateway.receive(&format!("43/ws,{}{JOINED}", id - 1));
    assert_eq!(gateway.client.active().len(), 2);
    gateway.receive(&format!("43/ws,{id}{JOINED}"));
    assert!(gateway.client.active().is_empty());
}

#[test]
fn a_subscribe_that_replaces_the_set_joins_first_and_then_leaves() {
    let mut gateway = Gateway::new(ClientConfig::new().second_profile(SecondProfile::Displace));
    gateway.subscribe("p");
    gateway.receive(OPEN);
    gateway.receive(ACCEPTED);
    gateway.answer(JOINED);
    gateway.sent.clear();
    gateway.subscribe("q");
    assert!(gateway.sent[0].ends_with(r#"["join",{"profileId":"q"}]"#));
    assert!(!gateway.sent.iter().any(|packet| packet.contains("unsubscribe:profile")));
    gateway.answer(JOINED);
    assert!(gateway.sent.last().unwrap().ends_with(r#"["unsubscribe:profile",{"profileId":"p"}]"#));
    let active: Vec<_> = gateway.client.active().iter().map(|(profile, _)| profile.to_owned()).collect();
    assert_eq!(active, ["q"]);
}

#[test]
fn the_filter_by_event_name_is_the_clients() {
    let mut gateway = Gateway::joined();
    gateway.client.subscribe(gateway.now, "p", &EventNames::from(["qr.updated"])).unwrap();
    gateway.drain();
    gateway.answer(JOINED);
    gateway.receive(r#"42/ws,["qr:update",{"profileId":"p","qrCode":"2@x"}]"#);
    gateway.receive(r#"42/ws,["message:ack",{"profileId":"p","messageId":"m","status":"read"}]"#);
    gateway.receive(r#"42/ws,["qr:update",{"profileId":"other","qrCode":"2@x"}]"#);
    assert_eq!(gateway.events_of("qr.updated").len(), 1);
    assert_eq!((gateway.client.counters().events, gateway.client.counters().filtered), (1, 2));
}

#[test]
fn an_event_that_comes_both_ways_is_one_event() {
    let mut gateway = Gateway::joined();
    let ack = |status| format!(r#"42/ws,["message:ack",{{"profileId":"p","messageId":"m","status":"{status}"}}]"#);
    gateway.receive(&ack("sent"));
    gateway.receive(
        r#"42/ws,["message",{"type":"event","payload":{"event":"message.ack","profileId":"p","data":{"messageId":"m","status":"sent","ack":1}}}]"#,
    );
    gateway.receive(&ack("read"));
    assert_eq!(gateway.events_of("message.ack").len(), 2);
    gateway.pass(seconds(20));
    gateway.receive("2");
    gateway.pass(seconds(40));
    gateway.receive(&ack("sent"));
    assert_eq!(gateway.events_of("message.ack").len(), 3);
}

#[test]
fn a_ping_of_the_application_is_an_envelope_and_nothing_else_times_out() {
    let mut gateway = Gateway::joined();
    gateway.client.ping(gateway.now).unwrap();
    gateway.drain();
    let packet = gateway.sent.last().unwrap();
    assert!(packet.starts_with(r#"42/ws,["message",{"type":"ping""#), "{packet}");
    let id = packet.split(r#""requestId":""#).nth(1).unwrap().split('"').next().unwrap().to_owned();
    gateway.pass(Duration::from_millis(30));
    gateway.receive(&format!(r#"42/ws,["message",{{"type":"pong","requestId":"{id}"}}]"#));
    assert_eq!(gateway.client.rtt(), Some(Duration::from_millis(30)));
    gateway.client.ping(gateway.now).unwrap();
    gateway.drain();
    gateway.pass(seconds(11));
    assert!(matches!(
        gateway.events.last(),
        Some(ClientEvent::RequestEnded { kind: RequestKind::Ping, outcome: RequestOutcome::TimedOut, .. })
    ));
    assert_eq!(gateway.client.state(), ClientState::Ready);
}

#[test]
fn silence_of_both_periods_is_a_dead_link_and_any_byte_is_a_sign_of_life() {
    let mut gateway = Gateway::joined();
    gateway.pass(seconds(44));
    gateway.client.handle_traffic(gateway.now);
    gateway.pass(seconds(44));
    assert_eq!(gateway.client.state(), ClientState::Ready);
    gateway.pass(seconds(1));
    assert_eq!(gateway.reason(), lost(SocketIoError::HeartbeatTimeout));
    assert!(matches!(gateway.events.last(), Some(ClientEvent::Lifecycle(LifecycleEvent::Backoff { .. }))));
    // The caller did not read, so the silence was not the server's.
    let mut gateway = Gateway::joined();
    gateway.client.reading_paused(gateway.now);
    gateway.pass(seconds(300));
    gateway.client.reading_resumed(gateway.now);
    gateway.pass(seconds(44));
    assert_eq!(gateway.client.state(), ClientState::Ready);
    gateway.pass(seconds(1));
    assert_eq!(gateway.reason(), lost(SocketIoError::HeartbeatTimeout));
}

#[test]
fn a_server_that_never_answers_is_given_up_and_tried_again() {
    let mut gateway = Gateway::new(ClientConfig::new());
    gateway.pass(seconds(10));
    assert_eq!(gateway.reason(), lost(SocketIoError::OpenTimeout));
    let mut gateway = Gateway::new(ClientConfig::new());
    gateway.receive(OPEN);
    gateway.pass(seconds(10));
    assert_eq!(gateway.reason(), lost(SocketIoError::ConnectTimeout));
    assert_eq!(gateway.client.state(), ClientState::Backoff);
}

#[test]
fn a_refused_key_ends_the_client() {
    let after_connect: [fn(&mut Gateway); 6] = [
        |gateway| gateway.receive("41/ws,"),
        |gateway| gateway.receive("1"),
        |gateway| gateway.client.lost(gateway.now, DisconnectReason::Eof),
        |gateway| gateway.client.lost(gateway.now, DisconnectReason::ClosedByPeer { code: None }),
        |gateway| gateway.client.lost(gateway.now, DisconnectReason::ClosedByPeer { code: Some(1000) }),
        |gateway| gateway.client.lost(gateway.now, DisconnectReason::ClosedByPeer { code: Some(1008) }),
    ];
    for end in after_connect {
        let mut gateway = Gateway::connected();
        gateway.pass(Duration::from_millis(300));
        end(&mut gateway);
        gateway.drain();
        let cause = CloseCause::Lost(DisconnectReason::SocketIo(SocketIoError::KeyRefused));
        assert_eq!(gateway.events.last(), Some(&ClientEvent::Lifecycle(LifecycleEvent::Closed(cause))));
        // Once a join has succeeded, or later, it is an ending like others.
        let mut proven = Gateway::joined();
        end(&mut proven);
        proven.drain();
        assert_ne!(proven.reason(), lost(SocketIoError::KeyRefused));
        let mut late = Gateway::connected();
        late.pass(seconds(6));
        end(&mut late);
        assert_ne!(late.reason(), lost(SocketIoError::KeyRefused));
    }
}

#[test]
fn an_error_in_place_of_the_connection_is_reported_and_ends_the_client() {
    for (json, text) in [(r#"{"message":"Not allowed"}"#, "Not allowed"), (r#""no""#, "no")] {
        let mut gateway = Gateway::new(ClientConfig::new());
        gateway.receive(OPEN);
        gateway.receive(&format!("44/ws,{json}"));
        assert!(
            gateway.events.iter().any(|event| matches!(event, ClientEvent::Error { error, .. } if error == text)),
            "{:?}",
            gateway.events
        );
        assert_eq!(gateway.client.state(), ClientState::Closed);
        assert_eq!(gateway.reason(), lost(SocketIoError::ConnectRefused));
    }
}

#[test]
fn an_http_response_after_the_upgrade_is_a_wrong_version() {
    let mut gateway = Gateway::new(ClientConfig::new());
    gateway.client.lost(gateway.now, DisconnectReason::Violation { code: 1002 });
    assert_eq!(gateway.reason(), lost(SocketIoError::Version));
    let mut gateway = Gateway::joined();
    gateway.client.lost(gateway.now, DisconnectReason::Violation { code: 1002 });
    assert_eq!(gateway.reason(), Some(DisconnectReason::Violation { code: 1002 }));
}

#[test]
fn a_new_transport_starts_anew() {
    let mut gateway = Gateway::joined();
    gateway.receive("451-/ws,[\"a\",{\"_placeholder\":true,\"num\":0}]");
    gateway.client.lost(gateway.now, DisconnectReason::Io);
    gateway.drain();
    gateway.sent.clear();
    while gateway.client.state() == ClientState::Backoff {
        gateway.pass(seconds(1));
    }
    gateway.open();
    gateway.receive(OPEN);
    gateway.receive(ACCEPTED);
    assert_eq!(gateway.joins().len(), 1);
    gateway.answer(JOINED);
    assert_eq!(gateway.client.state(), ClientState::Ready);
}

#[test]
fn a_clean_end_is_a_disconnect_and_then_a_close_frame() {
    let mut gateway = Gateway::joined();
    gateway.client.close(gateway.now);
    assert_eq!(gateway.client.poll_message(), Some("41/ws,"));
    gateway.client.message_sent(0);
    assert!(matches!(gateway.client.poll_action(), Some(Action::Close { code: 1000, .. })));
}

#[test]
fn attachments_follow_their_packet_and_a_ping_may_come_between() {
    let mut gateway = Gateway::joined();
    gateway.receive(
        r#"452-/ws,["media",{"profileId":"p","a":{"_placeholder":true,"num":1},"b":{"_placeholder":true,"num":0}}]"#,
    );
    gateway.receive_binary(b"hi");
    gateway.receive("2");
    assert_eq!(gateway.sent.last().unwrap(), "3");
    gateway.receive_binary(b"you");
    let events = gateway.events_of("media");
    assert!(events[0].contains(r#""a":"eW91","b":"aGk=""#), "{}", events[0]);
    // No attachment is no attachment to wait for.
    gateway.receive(r#"450-/ws,["media",{"profileId":"p"}]"#);
    assert_eq!(gateway.events_of("media").len(), 2);
}

#[test]
fn sec_ap_10_a_packet_that_breaks_a_rule_ends_the_connection_with_its_reason() {
    let due = r#"451-/ws,["a",{"_placeholder":true,"num":0}]"#;
    let too_many = format!("45{}-/ws,[\"a\"]", MAX_ATTACHMENTS + 1);
    let cases: [(&[&str], SocketIoError); 15] = [
        (&[""], SocketIoError::EmptyPacket),
        (&["4"], SocketIoError::EmptyPacket),
        (&["9"], SocketIoError::EngineType),
        (&["49"], SocketIoError::PacketType),
        (&["3"], SocketIoError::NotDue),
        (&["5"], SocketIoError::NotDue),
        (&[OPEN], SocketIoError::NotDue),
        (&[ACCEPTED], SocketIoError::NotDue),
        (&["42[\"a\"]"], SocketIoError::ForeignNamespace),
        (&["42/other,[\"a\"]"], SocketIoError::ForeignNamespace),
        (&["43/ws,[]"], SocketIoError::AckId),
        (&["42/ws,{}"], SocketIoError::Payload),
        (&["41/ws,{}"], SocketIoError::Payload),
        (&[due, "42/ws,[\"a\"]"], SocketIoError::AttachmentDue),
        (&[&too_many], SocketIoError::AttachmentCount),
    ];
    for (packets, error) in cases {
        let mut gateway = Gateway::joined();
        for packet in packets {
            gateway.receive(packet);
        }
        assert_eq!(gateway.reason(), lost(error), "{packets:?}");
        assert!(matches!(gateway.client.poll_action(), Some(Action::Close { code: 1002, .. })));
    }
    let mut gateway = Gateway::joined();
    gateway.receive_binary(b"x");
    assert_eq!(gateway.reason(), lost(SocketIoError::AttachmentNotDue));
    for open in ["0", "0{}", "0[]", r#"0{"sid":"s"}"#, r#"0{"sid":"s","pingInterval":-1,"pingTimeout":1}"#] {
        let mut gateway = Gateway::new(ClientConfig::new());
        gateway.receive(open);
        let reason = gateway.reason();
        assert!(
            matches!(reason, Some(DisconnectReason::SocketIo(SocketIoError::Open | SocketIoError::Json(_)))),
            "{open}: {reason:?}"
        );
    }
    let mut gateway = Gateway::new(ClientConfig::new());
    gateway.receive("2");
    assert_eq!(gateway.reason(), lost(SocketIoError::NotDue));
}

#[test]
fn sec_ap_10_pings_that_are_not_answered_yet_do_not_pile_up() {
    let mut gateway = Gateway::joined();
    for _ in 0..10_000 {
        let mut ping = Some("2");
        while gateway.client.handle_message(gateway.now, &mut ping).is_some() {}
    }
    gateway.sent.clear();
    gateway.drain();
    assert!(gateway.sent.len() < 3, "{}", gateway.sent.len());
}

fn packets() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(OPEN.to_owned()),
        Just(ACCEPTED.to_owned()),
        (1_u64..5).prop_map(|id| format!("43/ws,{id}{JOINED}")),
        (1_u64..5).prop_map(|id| format!("43/ws,{id}{FORBIDDEN}")),
        Just("2".to_owned()),
        Just("6".to_owned()),
        Just("41/ws,".to_owned()),
        Just(r#"42/ws,["message:ack",{"profileId":"p","messageId":"m","status":"read"}]"#.to_owned()),
        Just(r#"451-/ws,["a",{"profileId":"p","x":{"_placeholder":true,"num":0}}]"#.to_owned()),
        Just("binary".to_owned()),
        r"[0-6]{0,2}[0-9]{0,2}-?(/ws,)?\PC{0,20}",
    ]
}

proptest! {
    /// Whatever comes in whatever order: no panic, one end a connection, and a new connection works.
    #[test]
    fn any_order_of_packets_is_survived(packets in proptest::collection::vec((packets(), 0_u64..3_000), 0..30)) {
        let mut gateway = Gateway::new(ClientConfig::new());
        gateway.subscribe("p");
        for (packet, wait) in packets {
            if packet == "binary" {
                gateway.receive_binary(b"attachment");
            } else {
                gateway.receive(&packet);
            }
            gateway.pass(Duration::from_millis(wait));
            if let Some(Action::Connect { .. }) = gateway.client.poll_action() {
                gateway.client.opened(gateway.now, Features::default());
                gateway.drain();
            }
        }
        gateway.client.close(gateway.now);
        gateway.drain();
        gateway.client.lost(gateway.now, DisconnectReason::Eof);
        gateway.drain();
        let closed = gateway.events.iter().filter(|event| matches!(event, ClientEvent::Lifecycle(LifecycleEvent::Closed(_))));
        prop_assert_eq!(closed.count(), 1);
        prop_assert_eq!(gateway.client.state(), ClientState::Closed);
    }
}
