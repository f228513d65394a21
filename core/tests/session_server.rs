//! The server's answers, limits and subscriptions (`protocol.md`).
#![cfg(test)]
#![cfg(all(feature = "server", feature = "session"))]

use core::time::Duration;

use multiwa_ws_core::session::{
    Action, ErrorCode, EventNames, Features, RequestRate, ServerConfig, ServerEvent, ServerSession, SubscribeMode,
    SubscribePolicy, SubscriptionLimits, Ticket, UnknownTicket,
};
use multiwa_ws_core::{Instant, WallClock};
use serde_json::{Value, json};

const NOW: Instant = Instant::from_nanos(0);

fn open(config: ServerConfig) -> ServerSession {
    let mut server = ServerSession::new(NOW, config, "c", WallClock::new(NOW, 1_770_285_600_000));
    server.message_sent();
    server
}

fn server() -> ServerSession {
    open(ServerConfig::default())
}

fn reply(server: &mut ServerSession) -> String {
    let reply = server.poll_message().expect("a reply").to_owned();
    server.message_sent();
    assert_eq!(server.poll_message(), None);
    reply
}

fn ask(server: &mut ServerSession, text: &str) -> Value {
    server.handle_message(NOW, text).expect("an event");
    serde_json::from_str(&reply(server)).unwrap()
}

fn subscribe(server: &mut ServerSession, payload: &Value) -> Value {
    ask(server, &json!({"type": "subscribe", "payload": payload}).to_string())
}

fn error(answer: &Value) -> (&str, &str) {
    assert_eq!(answer["type"], "error");
    (answer["payload"]["code"].as_str().unwrap(), answer["payload"]["error"].as_str().unwrap())
}

fn profiles(server: &ServerSession) -> Vec<&str> {
    server.subscriptions().iter().map(|(profile, _)| profile).collect()
}

#[test]
fn the_ack_is_the_first_message_and_carries_no_request_id() {
    let server = ServerSession::new(NOW, ServerConfig::default(), "c\"1", WallClock::new(NOW, 1_770_285_600_000));
    assert_eq!(
        server.poll_message(),
        Some(
            r#"{"type":"ack","payload":{"message":"Connected to MultiWA WebSocket API","clientId":"c\"1","timestamp":"2026-02-05T10:00:00.000Z"}}"#
        )
    );
}

#[test]
fn errors_have_the_deployed_texts_and_a_code() {
    let unknown = ("unknown_type", "Unknown message type");
    let events = ("events_required", "Events array is required");
    let profile = ("profile_required", "profileId or sessionId is required");
    let cases = [
        ("{}", unknown),
        ("[]", unknown),
        (r#"["subscribe"]"#, unknown),
        ("null", unknown),
        ("1", unknown),
        (r#""ping""#, unknown),
        (r#"{"type":null}"#, unknown),
        (r#"{"type":5}"#, unknown),
        (r#"{"type":["ping"]}"#, unknown),
        (r#"{"type":"Ping"}"#, unknown),
        (r#"{"type":"event"}"#, unknown),
        (r#"{"type":"\ud800"}"#, unknown),
        (r#"{"type":"subscribe"}"#, events),
        (r#"{"type":"subscribe","payload":null}"#, events),
        (r#"{"type":"subscribe","payload":["p",["*"]]}"#, events),
        (r#"{"type":"subscribe","payload":{}}"#, events),
        (r#"{"type":"subscribe","payload":{"profileId":"p","events":[]}}"#, events),
        (r#"{"type":"subscribe","payload":{"profileId":"p","events":"*"}}"#, events),
        (r#"{"type":"subscribe","payload":{"profileId":"p","events":{"0":"*"}}}"#, events),
        (r#"{"type":"subscribe","payload":{"profileId":"p","events":["*",1]}}"#, events),
        (r#"{"type":"subscribe","payload":{"profileId":"p","events":[["*"]]}}"#, events),
        (r#"{"type":"subscribe","payload":{"profileId":"p","events":["\udfff"]}}"#, events),
        // The server checks the events first.
        (r#"{"type":"subscribe","payload":{"profileId":5,"events":[]}}"#, events),
        (r#"{"type":"subscribe","payload":{"events":["*"]}}"#, profile),
        (r#"{"type":"subscribe","payload":{"profileId":null,"events":["*"]}}"#, profile),
        (r#"{"type":"subscribe","payload":{"profileId":"","sessionId":"","events":["*"]}}"#, profile),
        (r#"{"type":"subscribe","payload":{"profileId":5,"sessionId":"s","events":["*"]}}"#, profile),
        (r#"{"type":"subscribe","payload":{"sessionId":["s"],"events":["*"]}}"#, profile),
        ("{", ("invalid_message", "not JSON at byte 1")),
        ("", ("invalid_message", "not JSON at byte 0")),
        ("{\"type\":\"ping\"} x", ("invalid_message", "not JSON at byte 16")),
        ("\u{feff}{}", ("invalid_message", "not JSON at byte 0")),
    ];
    let mut server = server();
    subscribe(&mut server, &json!({"profileId": "before", "events": ["*"]}));
    for (text, expected) in cases {
        assert_eq!(error(&ask(&mut server, text)), expected, "{text}");
        // The connection stays open and keeps the earlier subscriptions.
        assert_eq!(profiles(&server), ["before"]);
        assert_eq!(server.poll_action(), None);
    }
    assert_eq!(server.counters().refused, cases.len() as u64);
}

#[test]
fn depth_is_limited_at_64() {
    let nested = |levels: usize| format!(r#"{{"type":"ping","x":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
    assert_eq!(ask(&mut server(), &nested(63))["type"], "pong");
    let answer = ask(&mut server(), &nested(64));
    assert_eq!(error(&answer), ("invalid_message", "nested deeper than 64 levels at byte 82"));
}

#[test]
fn a_request_id_is_echoed_byte_for_byte() {
    let ids = ["\"r\"", "null", "0", "-0.0e+1", "\"\\u0061\\/\"", "{ \"a\" : [ 1 , null ] }", "[\n]", "\"\"", "true"];
    for id in ids {
        for kind in [r#""ping""#, r#""unsubscribe""#, r#""nonsense""#, r#""subscribe""#] {
            let mut server = server();
            server.handle_message(NOW, &format!(r#"{{"requestId" : {id} ,"type":{kind}}}"#));
            assert!(reply(&mut server).ends_with(&format!(r#","requestId":{id}}}"#)), "{id} {kind}");
        }
    }
    // If there is none, the answer has none either.
    assert_eq!(ask(&mut server(), r#"{"type":"ping"}"#).get("requestId"), None);
}

#[test]
fn a_request_id_of_more_than_8_kib_is_refused_and_not_echoed() {
    let ping = |bytes: usize| format!(r#"{{"type":"ping","requestId":"{}"}}"#, "x".repeat(bytes - 2));
    let answer = ask(&mut server(), &ping(8_192));
    assert_eq!((answer["type"].as_str(), answer["requestId"].as_str().map(str::len)), (Some("pong"), Some(8_190)));
    let answer = ask(&mut server(), &ping(8_193));
    assert_eq!(error(&answer), ("limit_exceeded", "a requestId longer than 8192 bytes"));
    assert_eq!(answer.get("requestId"), None);
}

#[test]
fn a_plain_subscribe_replaces_the_whole_set() {
    let mut server = server();
    for profile in ["a", "b"] {
        subscribe(&mut server, &json!({"profileId": profile, "events": ["x"]}));
    }
    assert_eq!(profiles(&server), ["b"]);
    assert!(!server.matches(Some("a"), "x"));
}

#[test]
fn an_ack_repeats_the_events_as_they_were_sent() {
    let mut server = server();
    server.handle_message(
        NOW,
        r#"{"type":"subscribe","payload":{"events":[ "b","\u0061", "b" ],"profileId":"p\u0021"}}"#,
    );
    assert_eq!(
        reply(&mut server),
        r#"{"type":"ack","payload":{"action":"subscribed","profileId":"p!","events":[ "b","\u0061", "b" ]}}"#
    );
    assert!(server.matches(Some("p!"), "a"));
}

#[test]
fn the_older_alias_serves_when_the_profile_is_absent_null_or_empty() {
    let payloads = [
        json!({"sessionId": "s", "events": ["x"]}),
        json!({"profileId": null, "sessionId": "s", "events": ["x"]}),
        json!({"profileId": "", "sessionId": "s", "events": ["x"]}),
        json!({"profileId": "s", "sessionId": "t", "events": ["x"]}),
        json!({"profileId": "s", "sessionId": 5, "events": ["x"]}),
    ];
    for payload in &payloads {
        let mut server = server();
        let answer = subscribe(&mut server, payload);
        assert_eq!(answer["payload"], json!({"action": "subscribed", "profileId": "s", "events": ["x"]}));
        assert_eq!(profiles(&server), ["s"]);
    }
}

#[test]
fn the_mode_add_leaves_other_profiles_and_is_repeated() {
    let mut server = server();
    assert_eq!(server.features(), Features { subscription_sets: true });
    subscribe(&mut server, &json!({"profileId": "a", "events": ["x"]}));
    let answer = subscribe(&mut server, &json!({"profileId": "b", "events": ["y"], "mode": "add"}));
    assert_eq!(answer["payload"], json!({"action": "subscribed", "profileId": "b", "events": ["y"], "mode": "add"}));
    subscribe(&mut server, &json!({"profileId": "a", "events": ["z"], "mode": "add"}));
    assert_eq!(profiles(&server), ["a", "b"]);
    assert!(server.matches(Some("a"), "z") && !server.matches(Some("a"), "x"));
    // Any other mode is treated as an unknown member.
    for mode in [json!("replace"), json!("Add"), json!(null), json!(["add"])] {
        let answer = subscribe(&mut server, &json!({"profileId": "c", "events": ["y"], "mode": mode}));
        assert_eq!(answer["payload"].get("mode"), None);
        assert_eq!(profiles(&server), ["c"]);
    }
}

#[test]
fn unsubscribe_clears_everything_or_one_profile() {
    let mut server = server();
    for profile in ["a", "b", "c"] {
        subscribe(&mut server, &json!({"profileId": profile, "events": ["x"], "mode": "add"}));
    }
    let text = r#"{"type":"unsubscribe","payload":{"profileId":"b"},"requestId":1}"#;
    let event = server.handle_message(NOW, text);
    assert_eq!(event, Some(ServerEvent::Unsubscribed { profile: Some("b".into()) }));
    assert_eq!(
        reply(&mut server),
        r#"{"type":"ack","payload":{"action":"unsubscribed","profileId":"b"},"requestId":1}"#
    );
    assert_eq!(profiles(&server), ["a", "c"]);
    // A request that contains an invalid profile must not clear all subscriptions.
    let answer = ask(&mut server, r#"{"type":"unsubscribe","payload":{"profileId":5}}"#);
    assert_eq!(error(&answer).0, "profile_required");
    assert_eq!(profiles(&server), ["a", "c"]);
    let answer = ask(&mut server, r#"{"type":"unsubscribe"}"#);
    assert_eq!(answer, json!({"type": "ack", "payload": {"action": "unsubscribed"}}));
    assert!(profiles(&server).is_empty());
}

#[test]
fn a_server_without_sets_takes_every_subscribe_as_plain() {
    let mut server = open(ServerConfig::new().subscription_sets(false));
    assert_eq!(server.features().header_value(), None);
    subscribe(&mut server, &json!({"profileId": "a", "events": ["x"]}));
    let answer = subscribe(&mut server, &json!({"profileId": "b", "events": ["x"], "mode": "add"}));
    assert_eq!(answer["payload"].get("mode"), None);
    assert_eq!(profiles(&server), ["b"]);
    ask(&mut server, r#"{"type":"unsubscribe","payload":{"profileId":"other"}}"#);
    assert!(profiles(&server).is_empty());
}

#[test]
fn sec_ap_03_subscriptions_are_limited_at_the_limit() {
    let mut server = server();
    for index in 0..256 {
        let answer = subscribe(&mut server, &json!({"profileId": format!("p{index}"), "events": ["x"], "mode": "add"}));
        assert_eq!(answer["type"], "ack");
    }
    let answer = subscribe(&mut server, &json!({"profileId": "one more", "events": ["x"], "mode": "add"}));
    assert_eq!(error(&answer), ("limit_exceeded", "more than 256 subscriptions"));
    assert_eq!(subscribe(&mut server, &json!({"profileId": "p7", "events": ["y"], "mode": "add"}))["type"], "ack");
    assert_eq!(server.subscriptions().len(), 256);
    assert_eq!(subscribe(&mut server, &json!({"profileId": "one more", "events": ["x"]}))["type"], "ack");
    assert_eq!(server.subscriptions().len(), 1);
}

#[test]
fn sec_ap_03_names_are_limited_at_the_limit() {
    let names = |count: usize| (0..count).map(|index| format!("e{index}")).collect::<Vec<_>>();
    let mut server = server();
    assert_eq!(subscribe(&mut server, &json!({"profileId": "p", "events": names(1_024)}))["type"], "ack");
    let answer = subscribe(&mut server, &json!({"profileId": "p", "events": names(1_025)}));
    assert_eq!(error(&answer), ("limit_exceeded", "more than 1024 event names in a subscription"));
    assert_eq!(subscribe(&mut server, &json!({"profileId": "p", "events": vec!["x"; 2_000]}))["type"], "ack");
    for (bytes, answer_type) in [(256, "ack"), (257, "error")] {
        let name = "x".repeat(bytes);
        assert_eq!(subscribe(&mut server, &json!({"profileId": name, "events": ["x"]}))["type"], answer_type);
        assert_eq!(subscribe(&mut server, &json!({"profileId": "p", "events": [name]}))["type"], answer_type);
    }
    assert_eq!(profiles(&server), ["p"]);
}

#[test]
fn sec_ap_03_all_names_of_a_connection_are_limited_together() {
    // Four subscriptions with a profile of two bytes and an event of one byte. 32 bytes are added for each name.
    let subscriptions = SubscriptionLimits::new().max_total_bytes(4 * (34 + 33));
    let mut server = open(ServerConfig::new().subscriptions(subscriptions));
    for profile in ["p0", "p1", "p2", "p3"] {
        let answer = subscribe(&mut server, &json!({"profileId": profile, "events": ["x"], "mode": "add"}));
        assert_eq!(answer["type"], "ack");
    }
    let refused = ("limit_exceeded", "more than 268 bytes of names in all subscriptions");
    for payload in [
        json!({"profileId": "p4", "events": ["x"], "mode": "add"}),
        json!({"profileId": "p3", "events": ["xy"], "mode": "add"}),
        // 8 names and their profile already exceed the limit as a single subscription.
        json!({"profileId": "p", "events": ["1", "2", "3", "4", "5", "6", "7", "8"]}),
    ] {
        assert_eq!(error(&subscribe(&mut server, &payload)), refused);
    }
    assert_eq!(profiles(&server), ["p0", "p1", "p2", "p3"]);
    let exact = json!({"profileId": "p", "events": ["1", "2", "3", "4", "5", "6", "seven"]});
    assert_eq!(subscribe(&mut server, &exact)["type"], "ack");
    assert_eq!(profiles(&server), ["p"]);
}

#[test]
fn limits_can_be_set() {
    let subscriptions = SubscriptionLimits::new().max_subscriptions(1).max_event_names(1).max_name_bytes(1);
    let mut server = open(ServerConfig::new().subscriptions(subscriptions));
    assert_eq!(subscribe(&mut server, &json!({"profileId": "p", "events": ["x"], "mode": "add"}))["type"], "ack");
    for payload in [
        json!({"profileId": "pp", "events": ["x"]}),
        json!({"profileId": "p", "events": ["x", "y"]}),
        json!({"profileId": "q", "events": ["x"], "mode": "add"}),
    ] {
        assert_eq!(error(&subscribe(&mut server, &payload)).0, "limit_exceeded");
    }
}

#[test]
fn the_request_rate_is_limited_when_configured() {
    let request_rate = Some(RequestRate::new(3, 2));
    let mut server = open(ServerConfig::new().request_rate(request_rate));
    let mut at = |millis: u64| {
        server.handle_message(NOW + Duration::from_millis(millis), r#"{"type":"ping","requestId":1}"#);
        let answer: Value = serde_json::from_str(&reply(&mut server)).unwrap();
        assert_eq!(answer["requestId"], 1);
        answer["type"] == "pong"
    };
    assert!(at(0) && at(0) && at(0) && !at(0) && !at(499));
    assert!(at(500) && !at(500) && at(1_000));
    // A long pause allows one burst and no more.
    assert!(at(60_000) && at(60_000) && at(60_000) && !at(60_000));
}

#[test]
fn a_client_that_keeps_sending_refused_messages_is_closed_with_1008() {
    let mut server = server();
    for _ in 0..64 {
        ask(&mut server, "x");
    }
    // A valid message in between resets the count.
    ask(&mut server, r#"{"type":"ping"}"#);
    for _ in 0..64 {
        ask(&mut server, "{}");
        assert_eq!(server.poll_action(), None);
    }
    assert_eq!(error(&ask(&mut server, "[]")).0, "unknown_type");
    assert!(matches!(server.poll_action(), Some(Action::Close { code: 1008, .. })));
    assert!(server.is_closed() && server.subscriptions().is_empty());
    assert_eq!(server.handle_message(NOW, r#"{"type":"ping"}"#), None);
    assert_eq!(server.poll_message(), None);
    assert_eq!(server.poll_action(), None);
}

#[test]
fn a_binary_message_is_closed_with_1003() {
    let mut server = server();
    server.handle_binary(NOW);
    server.handle_binary(NOW);
    assert!(matches!(server.poll_action(), Some(Action::Close { code: 1003, .. })));
    assert_eq!(server.poll_action(), None);
}

#[test]
fn sec_ap_01_replies_that_are_not_read_are_bounded() {
    let mut server = open(ServerConfig::new().max_queued_bytes(1_000));
    let mut answered = 0;
    while server.poll_action().is_none() {
        server.handle_message(NOW, r#"{"type":"ping"}"#);
        answered += 1;
        assert!(answered < 100);
    }
    assert_eq!(answered, 1_000 / r#"{"type":"pong","payload":{"timestamp":"2026-02-05T10:00:00.000Z"}}"#.len() + 1);
    assert_eq!(server.poll_message(), None);
    // A client that reads can send any number of requests.
    let mut server = open(ServerConfig::new().max_queued_bytes(1_000));
    for _ in 0..1_000 {
        ask(&mut server, r#"{"type":"ping"}"#);
    }
    assert_eq!(server.poll_action(), None);
}

#[test]
fn an_application_can_decide_on_each_subscription() {
    let mut server = open(ServerConfig::new().policy(SubscribePolicy::Ask));
    let request = |server: &mut ServerSession, id: u8| -> Ticket {
        let text =
            json!({"type": "subscribe", "payload": {"profileId": "p", "events": ["x"]}, "requestId": id}).to_string();
        let Some(ServerEvent::SubscribeRequested { ticket, profile, events, mode }) = server.handle_message(NOW, &text)
        else {
            panic!("a request")
        };
        assert_eq!((&*profile, events, mode), ("p", ["x"].into_iter().collect::<EventNames>(), SubscribeMode::Replace));
        ticket
    };
    let (first, second) = (request(&mut server, 1), request(&mut server, 2));
    assert_eq!(server.poll_message(), None);
    assert_eq!(server.refuse(first, "not yours"), Ok(()));
    let answer: Value = serde_json::from_str(&reply(&mut server)).unwrap();
    assert_eq!((error(&answer), &answer["requestId"]), (("not_allowed", "not yours"), &json!(1)));
    assert!(profiles(&server).is_empty());
    assert!(matches!(server.accept(second), Ok(ServerEvent::Subscribed { .. })));
    assert!(reply(&mut server).ends_with(r#""requestId":2}"#));
    assert!(server.matches(Some("p"), "x"));
    assert_eq!(server.accept(second), Err(UnknownTicket));
    assert_eq!(server.refuse(first, ""), Err(UnknownTicket));
}

#[test]
fn decisions_that_are_owed_are_bounded() {
    let mut server = open(ServerConfig::new().policy(SubscribePolicy::Ask));
    let text = r#"{"type":"subscribe","payload":{"profileId":"p","events":["x"],"mode":"add"}}"#;
    for _ in 0..16 {
        assert!(matches!(server.handle_message(NOW, text), Some(ServerEvent::SubscribeRequested { .. })));
    }
    let refused = Some(ServerEvent::Refused { code: ErrorCode::LimitExceeded });
    assert_eq!(server.handle_message(NOW, text), refused);

    let config = ServerConfig::new().policy(SubscribePolicy::Ask).max_queued_bytes(400);
    let mut server = open(config);
    let long = format!(r#"{{"type":"subscribe","payload":{{"profileId":"p","events":["{}"]}}}}"#, "x".repeat(200));
    let Some(ServerEvent::SubscribeRequested { ticket, .. }) = server.handle_message(NOW, &long) else { panic!() };
    assert_eq!(server.handle_message(NOW, &long), refused);
    server.message_sent();
    // The decision makes room for another request.
    server.refuse(ticket, "no").unwrap();
    server.message_sent();
    assert!(matches!(server.handle_message(NOW, &long), Some(ServerEvent::SubscribeRequested { .. })));
}

#[test]
fn an_accepted_subscription_is_held_to_the_limit_once_more() {
    let subscriptions = SubscriptionLimits::new().max_subscriptions(1);
    let mut server = open(ServerConfig::new().policy(SubscribePolicy::Ask).subscriptions(subscriptions));
    let tickets = ["a", "b"].map(|profile| {
        let text =
            json!({"type": "subscribe", "payload": {"profileId": profile, "events": ["x"], "mode": "add"}}).to_string();
        let Some(ServerEvent::SubscribeRequested { ticket, .. }) = server.handle_message(NOW, &text) else { panic!() };
        ticket
    });
    assert!(matches!(server.accept(tickets[0]), Ok(ServerEvent::Subscribed { .. })));
    assert_eq!(server.accept(tickets[1]), Ok(ServerEvent::Refused { code: ErrorCode::LimitExceeded }));
    assert_eq!(profiles(&server), ["a"]);
}

/// `protocol.md`, Subscriptions and filtering: after the `ack` of its removal, a subscription delivers no event that is
/// published later.
#[test]
fn a_request_that_takes_effect_ends_earlier_ones_that_it_overrides_and_nobody_decided_on() {
    let ask = |server: &mut ServerSession, profile: &str, mode: &str| -> Ticket {
        let payload = json!({"profileId": profile, "events": ["*"], "mode": mode});
        let text = json!({"type": "subscribe", "payload": payload, "requestId": profile}).to_string();
        let Some(ServerEvent::SubscribeRequested { ticket, .. }) = server.handle_message(NOW, &text) else { panic!() };
        ticket
    };
    let answers = |server: &mut ServerSession| -> Vec<(String, String)> {
        let mut answers = Vec::new();
        while let Some(text) = server.poll_message() {
            let answer: Value = serde_json::from_str(text).unwrap();
            let id = answer["requestId"].as_str().unwrap_or("none").to_owned();
            answers.push((id, answer["type"].as_str().unwrap().to_owned()));
            server.message_sent();
        }
        answers
    };
    let answer = |id: &str, kind: &str| (id.to_owned(), kind.to_owned());
    let config = ServerConfig::new().policy(SubscribePolicy::Ask);

    let mut server = open(config);
    let [a, b] = ["a", "b"].map(|profile| ask(&mut server, profile, "add"));
    server.handle_message(NOW, r#"{"type":"unsubscribe","payload":{"profileId":"a"},"requestId":"u"}"#);
    assert_eq!(answers(&mut server), [answer("a", "error"), answer("u", "ack")]);
    assert_eq!(server.accept(a), Err(UnknownTicket));
    server.handle_message(NOW, r#"{"type":"unsubscribe","requestId":"v"}"#);
    assert_eq!(answers(&mut server), [answer("b", "error"), answer("v", "ack")]);
    assert_eq!((server.accept(b), profiles(&server)), (Err(UnknownTicket), vec![]));

    let mut server = open(config);
    let [a, b, c] = [("a", "add"), ("b", "replace"), ("c", "add")].map(|(one, mode)| ask(&mut server, one, mode));
    assert!(matches!(server.accept(b), Ok(ServerEvent::Subscribed { .. })));
    assert_eq!(answers(&mut server), [answer("a", "error"), answer("b", "ack")]);
    // A later request is not affected.
    assert_eq!(server.accept(a), Err(UnknownTicket));
    assert!(matches!(server.accept(c), Ok(ServerEvent::Subscribed { .. })));
    assert_eq!(profiles(&server), ["b", "c"]);
}
