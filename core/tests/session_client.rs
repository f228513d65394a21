//! The client's requests, subscriptions, filter and keep-alive (`protocol.md`).
#![cfg(test)]
#![cfg(all(feature = "server", feature = "session"))]

mod session_kit;

use core::time::Duration;
use std::sync::Arc;

use allocation_counter::measure;
use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::session::{
    Action, ClientConfig, ClientEvent, ClientState, CloseCause, CommandError, DisconnectReason, EventNames, JsonError,
    LifecycleEvent, Refusal, RequestKind, RequestOutcome, SecondProfile, SubscriptionLimit, SubscriptionLimits,
    SubscriptionSet,
};
use serde_json::json;
use session_kit::{HELLO, Kit, NO_SETS, SETS, seconds};

fn config() -> ClientConfig {
    ClientConfig::default()
}

/// A client that sends pings only on command.
fn quiet() -> ClientConfig {
    config().keep_alive(KeepAlive::OFF)
}

fn outcomes(events: Vec<ClientEvent<'static>>) -> Vec<RequestOutcome<'static>> {
    let outcome = |event| match event {
        ClientEvent::RequestEnded { outcome, .. } => Some(outcome),
        _ => None,
    };
    events.into_iter().filter_map(outcome).collect()
}

#[test]
fn desired_subscriptions_are_asked_for_before_ready() {
    let mut kit = Kit::new(config());
    kit.subscribe("a", &["x"]);
    kit.client.connect(kit.now).unwrap();
    kit.send_ack(NO_SETS);
    assert_eq!(kit.client.state(), ClientState::AwaitingAck);
    assert_eq!(kit.client.desired().len(), 1);
    assert!(kit.client.active().is_empty());
    kit.settle();
    assert_eq!(kit.client.state(), ClientState::Ready);
    assert_eq!(kit.client.active(), &kit.client.desired());
    let expected = [
        LifecycleEvent::Connecting { attempt: 1 },
        LifecycleEvent::Opened,
        LifecycleEvent::Ready { failed: vec![], gap: None },
    ];
    assert_eq!(kit.lifecycle(), expected);
}

#[test]
fn nothing_is_sent_before_the_connection_ack() {
    let mut kit = Kit::new(config());
    kit.subscribe("a", &["x"]);
    kit.client.connect(kit.now).unwrap();
    assert_eq!(kit.sent(), [json!(null); 0]);
    kit.client.opened(kit.now, NO_SETS);
    assert_eq!(kit.sent(), [json!(null); 0]);
    let _ = kit.receive(HELLO);
    assert_eq!(kit.sent().len(), 1);
}

#[test]
fn a_connection_without_a_connection_ack_is_reported_and_used() {
    let mut kit = Kit::new(config());
    kit.client.connect(kit.now).unwrap();
    kit.client.opened(kit.now, NO_SETS);
    kit.pass(seconds(9));
    assert_eq!(kit.client.state(), ClientState::AwaitingAck);
    kit.pass(seconds(1));
    assert_eq!(kit.client.state(), ClientState::Ready);
    assert!(kit.lifecycle().contains(&LifecycleEvent::AckMissing));
}

#[test]
fn the_connection_ack_is_not_waited_for_once_another_message_came() {
    let mut kit = Kit::new(config());
    kit.client.connect(kit.now).unwrap();
    kit.client.opened(kit.now, NO_SETS);
    assert!(!kit.delivers(Some("a"), "x"));
    assert_eq!(kit.client.state(), ClientState::Ready);
    assert!(kit.lifecycle().contains(&LifecycleEvent::AckMissing));
    // A late `ack` is still reported.
    assert!(matches!(kit.receive(HELLO), Some(ClientEvent::Connected(_))));
}

#[test]
fn the_connection_ack_need_not_be_waited_for() {
    let mut kit = Kit::new(config().ack_timeout(None));
    kit.client.connect(kit.now).unwrap();
    kit.client.opened(kit.now, NO_SETS);
    assert_eq!(kit.client.state(), ClientState::Ready);
}

#[test]
fn ready_follows_a_refusal_and_reports_it() {
    let mut kit = Kit::new(config());
    let id = kit.subscribe("a", &["x"]);
    kit.client.connect(kit.now).unwrap();
    kit.send_ack(NO_SETS);
    let request = kit.sent().remove(0);
    let text = json!({"type": "error", "payload": {"error": "no", "code": "c"}, "requestId": request["requestId"]})
        .to_string();
    let refusal = Refusal::Server { error: "no".into(), code: Some("c".into()) };
    let event = ClientEvent::RequestEnded {
        id,
        kind: RequestKind::Subscribe,
        outcome: RequestOutcome::Refused(refusal.clone()),
    };
    assert_eq!(kit.receive(&text), Some(event));
    let Some(LifecycleEvent::Ready { failed, .. }) = kit.lifecycle().pop() else { panic!("ready") };
    assert_eq!((&*failed[0].profile, &failed[0].outcome), ("a", &RequestOutcome::Refused(refusal)));
    // A refused subscription changes nothing.
    assert!(kit.client.desired().is_empty() && kit.client.active().is_empty());
}

#[test]
fn ready_follows_a_timeout_and_reports_it() {
    let mut kit = Kit::new(quiet());
    kit.subscribe("a", &["x"]);
    kit.client.connect(kit.now).unwrap();
    kit.send_ack(NO_SETS);
    kit.sent();
    kit.pass(seconds(10));
    assert_eq!(kit.client.state(), ClientState::Ready);
    let events = kit.events();
    let Some(ClientEvent::Lifecycle(LifecycleEvent::Ready { failed, .. })) = events.last() else { panic!("ready") };
    assert_eq!(failed[0].outcome, RequestOutcome::TimedOut);
    assert_eq!(outcomes(events), [RequestOutcome::TimedOut]);
    assert_eq!(kit.client.desired().len(), 1);
}

#[test]
fn a_refusal_after_the_timeout_is_not_reported_again() {
    let mut kit = Kit::new(quiet().request_timeout(seconds(1)));
    kit.client.connect(kit.now).unwrap();
    kit.subscribe("a", &["x"]);
    kit.send_ack(NO_SETS);
    let first = kit.sent().remove(0);
    kit.pass(Duration::from_millis(500));
    kit.subscribe("a", &["y"]);
    let second = kit.sent().remove(0);
    kit.pass(Duration::from_millis(500));
    assert!(!kit.answer(&first, "error", &json!({"error": "no"})));
    assert_eq!(kit.client.counters().late, 1);
    assert!(kit.answer(&second, "ack", &json!({})));
    let Some(LifecycleEvent::Ready { failed, .. }) = kit.lifecycle().pop() else { panic!("ready") };
    assert_eq!(failed.iter().map(|failed| &failed.outcome).collect::<Vec<_>>(), [&RequestOutcome::TimedOut]);
}

#[test]
fn a_refusal_that_is_kept_is_cut_at_a_character() {
    let mut kit = Kit::new(config());
    kit.subscribe("a", &["x"]);
    kit.client.connect(kit.now).unwrap();
    kit.send_ack(NO_SETS);
    let request = kit.sent().remove(0);
    kit.answer(&request, "error", &json!({"error": format!("{}é", "x".repeat(1_023))}));
    let Some(LifecycleEvent::Ready { failed, .. }) = kit.lifecycle().pop() else { panic!("ready") };
    let RequestOutcome::Refused(Refusal::Server { error, .. }) = &failed[0].outcome else { panic!("refused") };
    assert_eq!(error.len(), 1_023);
}

#[test]
fn the_round_trip_time_runs_from_handing_over_to_the_answer() {
    let mut kit = Kit::open(quiet(), NO_SETS);
    let id = kit.client.ping(kit.now).unwrap();
    kit.pass(seconds(1));
    kit.client.handle_timeout(kit.now);
    let ping = kit.sent().remove(0);
    kit.pass(Duration::from_millis(30));
    let text = json!({"type": "pong", "requestId": ping["requestId"]}).to_string();
    let after = Duration::from_millis(30);
    let outcome = RequestOutcome::Acknowledged { after };
    assert_eq!(kit.receive(&text), Some(ClientEvent::RequestEnded { id, kind: RequestKind::Ping, outcome }));
    assert_eq!(kit.client.rtt(), Some(after));
}

#[test]
fn sec_ap_04_an_answer_to_no_request_ends_none() {
    let mut kit = Kit::open(quiet(), NO_SETS);
    kit.subscribe("a", &["x"]);
    let id = kit.sent()[0]["requestId"].as_str().unwrap().to_owned();
    let (client, number) = id.split_once('-').unwrap();
    let guesses = [
        json!("1"),
        json!(1),
        json!(format!("{client}-0{number}")),
        json!(format!("{client}-999")),
        json!(format!("00000000-{number}")),
        json!(id.to_uppercase() + " "),
        json!([id]),
        json!(""),
    ];
    for guess in guesses {
        let text = json!({"type": "ack", "payload": {"action": "subscribed"}, "requestId": guess}).to_string();
        assert_eq!(kit.receive(&text), None, "{guess}");
    }
    let nameless = r#"{"type":"ack","payload":{"action":"subscribed"}}"#;
    assert_eq!(kit.receive(nameless), None);
    // A pong does not answer a subscribe.
    assert!(!kit.answer(&json!({"requestId": id}), "pong", &json!({})));
    assert!(!kit.delivers(Some("a"), "x"));
    assert_eq!(kit.client.counters().unsolicited, 10);
    // The correct answer ends the request, once.
    assert!(kit.answer(&json!({"requestId": id}), "ack", &json!({})));
    assert!(!kit.answer(&json!({"requestId": id}), "ack", &json!({})));
    assert!(kit.delivers(Some("a"), "x"));
}

#[test]
fn sec_ap_04_a_request_that_was_not_sent_cannot_be_answered() {
    let mut kit = Kit::open(quiet(), NO_SETS);
    let id = kit.subscribe("a", &["x"]);
    assert!(kit.client.poll_message().is_some());
    assert!(!kit.answer(&json!({"requestId": id.to_string()}), "ack", &json!({})));
    assert!(kit.client.active().is_empty());
}

#[test]
fn sec_ap_04_an_answer_of_an_earlier_connection_fits_nothing() {
    let mut kit = Kit::open(quiet(), NO_SETS);
    kit.subscribe("a", &["x"]);
    let old = kit.sent().remove(0);
    kit.client.lost(kit.now, DisconnectReason::Io);
    assert_eq!(outcomes(kit.events()), [RequestOutcome::ConnectionLost]);
    kit.back_off();
    kit.send_ack(NO_SETS);
    let new = kit.sent().remove(0);
    assert_ne!(old["requestId"], new["requestId"]);
    assert!(!kit.answer(&old, "ack", &json!({})));
    assert!(kit.client.active().is_empty());
    kit.answer(&new, "ack", &json!({}));
    assert!(kit.delivers(Some("a"), "x"));
}

#[test]
fn a_pong_without_an_identifier_answers_the_oldest_ping() {
    let mut kit = Kit::open(quiet(), NO_SETS);
    let first = kit.client.ping(kit.now).unwrap();
    kit.client.ping(kit.now).unwrap();
    let pong = r#"{"type":"pong"}"#;
    assert_eq!(kit.receive(pong), None);
    kit.sent();
    let Some(ClientEvent::RequestEnded { id, .. }) = kit.receive(pong) else { panic!("an end") };
    assert_eq!(id, first);
    assert_eq!(kit.client.counters().unsolicited, 1);
}

#[test]
fn an_error_that_answers_nothing_reaches_the_application() {
    let mut kit = Kit::open(quiet(), NO_SETS);
    for text in [
        r#"{"type":"error","payload":{"error":"e","code":"c"}}"#,
        r#"{"requestId":"x","payload":{"code":"c","error":"e"},"type":"error"}"#,
    ] {
        let event = ClientEvent::Error { error: "e".into(), code: Some("c".into()) };
        assert_eq!(kit.receive(text), Some(event));
    }
    assert_eq!(kit.receive(r#"{"type":"error"}"#), Some(ClientEvent::Error { error: "".into(), code: None }));
}

#[test]
fn invalid_messages_reach_the_application_and_are_counted() {
    let mut kit = Kit::open(quiet(), NO_SETS);
    for text in [
        "[]",
        "1",
        "{}",
        r#"{"type":5}"#,
        r#"{"type":"news"}"#,
        r#"{"type":"event"}"#,
        r#"{"type":"event","payload":{"event":1}}"#,
    ] {
        let Some(ClientEvent::Unknown(message)) = kit.receive(text) else { panic!("{text}") };
        assert_eq!(message.as_str(), text);
    }
    for (text, error) in [("{", JsonError::Invalid { at: 1 }), ("", JsonError::Invalid { at: 0 })] {
        assert_eq!(kit.receive(text), Some(ClientEvent::Invalid(error)));
    }
    let notification =
        r#"{"type":"notification","payload":{"id":"n","type":"t","title":"T","body":"B","createdAt":"c"}}"#;
    let Some(ClientEvent::Notification(message)) = kit.receive(notification) else { panic!() };
    assert_eq!(message.payload_text("body").as_deref(), Some("B"));
    let counters = kit.client.counters();
    assert_eq!((counters.unknown, counters.invalid, counters.received), (7, 2, 11));
    assert_eq!(kit.client.state(), ClientState::Ready);
}

#[test]
fn a_ping_of_the_server_is_answered_with_its_identifier() {
    let mut kit = Kit::open(quiet(), NO_SETS);
    let long = format!("\"{}\"", "x".repeat(8 * 1_024 - 2));
    for id in ["\"a\"", "null", "{ \"b\" : 1 }", &long] {
        assert_eq!(kit.receive(&format!(r#"{{"type":"ping","requestId":{id}}}"#)), None);
        assert_eq!(kit.client.poll_message().unwrap(), format!(r#"{{"type":"pong","requestId":{id}}}"#));
        kit.client.message_sent(0);
    }
    // A `requestId` that is one byte longer is omitted.
    let longer = long.replacen('x', "xx", 1);
    for text in [r#"{"type":"ping"}"#.to_owned(), format!(r#"{{"type":"ping","requestId":{longer}}}"#)] {
        assert_eq!(kit.receive(&text), None);
        assert_eq!(kit.client.poll_message(), Some(r#"{"type":"pong"}"#));
        kit.client.message_sent(0);
    }
}

#[test]
fn answers_to_a_flood_of_pings_are_bounded() {
    let mut kit = Kit::open(quiet(), NO_SETS);
    for number in 0..1_000 {
        let _ = kit.receive(&format!(r#"{{"type":"ping","requestId":{number}}}"#));
    }
    let sent = kit.sent();
    // The answer that was already lent, and the latest ones.
    assert_eq!(sent.len(), 17);
    assert_eq!(
        (&sent[0]["requestId"], &sent[1]["requestId"], &sent[16]["requestId"]),
        (&json!(0), &json!(984), &json!(999))
    );
}

#[test]
fn sec_ap_05_events_that_no_active_subscription_asked_for_are_dropped_and_counted() {
    let mut kit = Kit::open(quiet(), SETS);
    kit.subscribe("a", &["x"]);
    kit.subscribe("b", &["*"]);
    assert!(!kit.delivers(Some("a"), "x"));
    kit.settle();
    assert!(kit.delivers(Some("a"), "x") && kit.delivers(Some("b"), "y") && kit.delivers(None, "z"));
    assert!(!kit.delivers(Some("a"), "y") && !kit.delivers(Some("c"), "x"));
    kit.client.unsubscribe(kit.now, Some("b")).unwrap();
    kit.settle();
    assert!(!kit.delivers(Some("b"), "y") && !kit.delivers(None, "z") && kit.delivers(None, "x"));
    assert_eq!((kit.client.counters().events, kit.client.counters().filtered), (4, 5));
}

#[test]
fn sec_ap_05_a_displaced_profile_leaks_nothing() {
    let mut kit = Kit::open(quiet().second_profile(SecondProfile::Displace), NO_SETS);
    kit.subscribe("a", &["x"]);
    kit.settle();
    kit.subscribe("b", &["x"]);
    assert_eq!(kit.client.desired().iter().map(|(profile, _)| profile).collect::<Vec<_>>(), ["b"]);
    kit.settle();
    assert!(!kit.delivers(Some("a"), "x"));
    assert!(kit.delivers(Some("b"), "x"));
}

#[test]
fn a_second_profile_is_refused_when_the_server_knows_no_sets() {
    let mut kit = Kit::open(quiet(), NO_SETS);
    kit.subscribe("a", &["x"]);
    assert_eq!(kit.client.subscribe(kit.now, "b", &EventNames::every()), Err(CommandError::SetsUnsupported));
    kit.settle();
    assert_eq!(kit.client.subscribe(kit.now, "b", &EventNames::every()), Err(CommandError::SetsUnsupported));
    // The same profile can be subscribed again. The other profile can be subscribed once the first is unsubscribed.
    kit.subscribe("a", &["y"]);
    kit.client.unsubscribe(kit.now, Some("a")).unwrap();
    kit.subscribe("b", &["x"]);
    let sent = kit.settle();
    assert_eq!(sent[1]["payload"], json!(null), "a plain unsubscribe");
    assert_eq!(sent[2]["payload"], json!({"profileId": "b", "events": ["x"]}));
    assert_eq!(kit.client.active(), &kit.client.desired());
}

#[test]
fn sets_are_used_only_when_the_server_announced_them() {
    let mut kit = Kit::open(quiet(), SETS);
    kit.subscribe("a", &["x"]);
    kit.subscribe("b", &["y", "x"]);
    kit.client.unsubscribe(kit.now, Some("a")).unwrap();
    let sent = kit.settle();
    assert_eq!(sent[0]["payload"], json!({"profileId": "a", "events": ["x"], "mode": "add"}));
    assert_eq!(sent[1]["payload"], json!({"profileId": "b", "events": ["x", "y"], "mode": "add"}));
    assert_eq!(sent[2]["payload"], json!({"profileId": "a"}));
    assert_eq!(kit.client.active(), &kit.client.desired());
}

#[test]
fn two_profiles_wanted_before_a_server_without_sets_answers_leave_the_first() {
    let mut kit = Kit::new(quiet());
    kit.subscribe("b", &["x"]);
    let second = kit.subscribe("a", &["x"]);
    kit.client.connect(kit.now).unwrap();
    kit.send_ack(NO_SETS);
    assert_eq!(kit.settle().len(), 1);
    let events = kit.events();
    let refused = RequestOutcome::Refused(Refusal::SetsUnsupported);
    assert!(events.contains(&ClientEvent::RequestEnded {
        id: second,
        kind: RequestKind::Subscribe,
        outcome: refused.clone()
    }));
    let Some(ClientEvent::Lifecycle(LifecycleEvent::Ready { failed, .. })) = events.last() else { panic!("ready") };
    assert_eq!((&*failed[0].profile, &failed[0].outcome), ("a", &refused));
    assert!(kit.delivers(Some("b"), "x"));
}

#[test]
fn two_profiles_wanted_before_a_server_without_sets_answers_leave_the_last_when_so_chosen() {
    let mut kit = Kit::new(quiet().second_profile(SecondProfile::Displace));
    kit.subscribe("b", &["x"]);
    kit.subscribe("a", &["x"]);
    kit.client.connect(kit.now).unwrap();
    kit.send_ack(NO_SETS);
    kit.settle();
    assert_eq!(kit.client.active().iter().map(|(profile, _)| profile).collect::<Vec<_>>(), ["a"]);
    assert_eq!(kit.client.active(), &kit.client.desired());
}

#[test]
fn a_refused_change_leaves_what_was_wanted() {
    let mut kit = Kit::open(quiet().second_profile(SecondProfile::Displace), NO_SETS);
    kit.subscribe("a", &["x"]);
    kit.settle();
    kit.subscribe("b", &["x"]);
    let request = kit.sent().remove(0);
    kit.answer(&request, "error", &json!({"error": "no"}));
    assert_eq!(kit.client.desired().iter().map(|(profile, _)| profile).collect::<Vec<_>>(), ["a"]);
    assert!(kit.delivers(Some("a"), "x"));
}

#[test]
fn an_unsubscribe_ends_every_subscription_of_a_server_without_sets() {
    let mut kit = Kit::open(quiet().second_profile(SecondProfile::Displace), NO_SETS);
    kit.subscribe("a", &["x"]);
    kit.settle();
    kit.subscribe("b", &["x"]);
    kit.client.unsubscribe(kit.now, Some("b")).unwrap();
    let sent = kit.sent();
    kit.answer(&sent[0], "error", &json!({"error": "no"}));
    assert!(kit.delivers(Some("a"), "x"));
    kit.answer(&sent[1], "ack", &json!({}));
    assert!(kit.client.active().is_empty());
}

#[test]
fn a_late_ack_still_activates_the_subscription() {
    let mut kit = Kit::open(quiet(), NO_SETS);
    kit.subscribe("a", &["x"]);
    let request = kit.sent().remove(0);
    kit.pass(seconds(10));
    assert_eq!(outcomes(kit.events()), [RequestOutcome::TimedOut]);
    assert!(kit.client.active().is_empty());
    // The application has already received the end of the request.
    assert!(!kit.answer(&request, "ack", &json!({})));
    assert!(kit.delivers(Some("a"), "x"));
    assert_eq!(kit.client.counters().late, 1);
}

#[test]
fn an_event_proves_a_subscription_whose_ack_never_came() {
    let mut kit = Kit::open(quiet(), NO_SETS);
    kit.subscribe("a", &["x"]);
    kit.sent();
    assert!(!kit.delivers(Some("a"), "x"), "the ack can still come");
    kit.pass(seconds(10));
    assert!(!kit.delivers(Some("a"), "y") && !kit.delivers(Some("b"), "x"));
    assert!(kit.delivers(Some("a"), "x"));
    assert_eq!(kit.client.active().len(), 1);
}

#[test]
fn a_refused_command_has_changed_nothing() {
    let subscriptions = SubscriptionLimits::new().max_subscriptions(1);
    let mut kit = Kit::new(quiet().max_requests(1).subscriptions(subscriptions));
    let every = EventNames::every();
    let none = std::iter::empty::<&str>().collect::<EventNames>();
    assert_eq!(kit.client.ping(kit.now), Err(CommandError::NotConnected));
    assert_eq!(kit.client.subscribe(kit.now, "", &every), Err(CommandError::NoProfile));
    assert_eq!(kit.client.subscribe(kit.now, "a", &none), Err(CommandError::NoEvents));
    assert_eq!(kit.client.unsubscribe(kit.now, Some("a")), Err(CommandError::NotSubscribed));
    let long = "x".repeat(257);
    let limit = Err(CommandError::Limit(SubscriptionLimit::NameBytes(256)));
    assert_eq!(kit.client.subscribe(kit.now, &long, &every), limit);
    assert_eq!(kit.client.subscribe(kit.now, "a", &[long.as_str()].into_iter().collect()), limit);
    assert!(kit.client.desired().is_empty());
    assert_eq!(kit.client.poll_timeout(), None);
    kit.subscribe("a", &["*"]);
    kit.subscribe("a", &["x"]);
    assert_eq!(kit.client.subscribe(kit.now, "a", &every), Err(CommandError::TooManyRequests));
    assert_eq!(kit.client.desired().len(), 1);
    kit.client.connect(kit.now).unwrap();
    assert_eq!(kit.client.connect(kit.now), Err(CommandError::AlreadyConnecting));
    kit.client.close(kit.now);
    assert_eq!(kit.client.connect(kit.now), Err(CommandError::Closed));
    assert_eq!(kit.client.subscribe(kit.now, "a", &every), Err(CommandError::Closed));
    assert_eq!(kit.client.unsubscribe(kit.now, None), Err(CommandError::Closed));
    assert_eq!(kit.client.ping(kit.now), Err(CommandError::Closed));
}

#[test]
fn desired_subscriptions_are_limited_at_the_limit_and_not_one_before() {
    let mut kit = Kit::new(quiet().max_requests(1_000));
    for index in 0..256 {
        kit.subscribe(&format!("p{index}"), &["x"]);
    }
    kit.subscribe("p0", &["y"]);
    let limit = CommandError::Limit(SubscriptionLimit::Subscriptions(256));
    assert_eq!(kit.client.subscribe(kit.now, "one more", &EventNames::every()), Err(limit));
    assert_eq!(kit.client.desired().len(), 256);

    // All names together: 1 MiB, with 32 bytes added for each.
    let mut kit = Kit::new(quiet());
    let name = |index: usize| format!("{index:0224}");
    let names = |count: usize| (0..count).map(name).collect::<EventNames>();
    for profile in ["a", "b", "c", "d"] {
        kit.client.subscribe(kit.now, profile, &names(1_023)).unwrap();
    }
    // Four profiles count for 33 bytes each of the remaining 1,024.
    let exact: EventNames = [name(0), name(1), "x".repeat(256), format!("{:027}", 0)].into_iter().collect();
    let past: EventNames = [name(0), name(1), "x".repeat(256), format!("{:028}", 0)].into_iter().collect();
    let limit = CommandError::Limit(SubscriptionLimit::TotalBytes(1_048_576));
    assert_eq!(kit.client.subscribe(kit.now, "e", &past), Err(limit));
    kit.client.subscribe(kit.now, "e", &exact).unwrap();
    assert_eq!(kit.client.subscribe(kit.now, "f", &EventNames::every()), Err(limit));
}

#[test]
fn a_ping_is_sent_after_30_seconds_of_silence_and_any_traffic_restarts_the_wait() {
    let mut kit = Kit::open(config(), NO_SETS);
    kit.pass(seconds(29));
    kit.client.handle_traffic(kit.now);
    kit.pass(seconds(29));
    assert!(kit.sent().is_empty());
    kit.pass(seconds(1));
    let ping = kit.sent().remove(0);
    assert_eq!(ping["type"], "ping");
    kit.pass(Duration::from_millis(5));
    // The application did not send this ping, so it receives no event for it.
    assert!(!kit.answer(&ping, "pong", &json!({})));
    assert_eq!(kit.client.rtt(), Some(Duration::from_millis(5)));
    kit.pass(seconds(30));
    assert_eq!(kit.sent().len(), 1);
    assert_eq!(kit.client.state(), ClientState::Ready);
}

#[test]
fn a_server_that_answers_no_ping_in_10_seconds_is_lost() {
    let mut kit = Kit::open(config(), NO_SETS);
    kit.pass(seconds(30));
    kit.sent();
    kit.pass(seconds(10) - Duration::from_nanos(1));
    assert_eq!(kit.client.state(), ClientState::Ready);
    kit.pass(Duration::from_nanos(1));
    assert_eq!(kit.client.state(), ClientState::Backoff);
    assert_eq!(kit.client.last_disconnect(), Some(DisconnectReason::PongTimeout));
    assert_eq!(kit.actions(), [Action::Abort]);
}

#[test]
fn a_ping_that_cannot_even_be_sent_counts_as_unanswered() {
    let mut kit = Kit::open(config(), NO_SETS);
    kit.pass(seconds(39));
    assert!(kit.client.poll_message().is_some());
    kit.pass(seconds(1));
    assert_eq!(kit.client.last_disconnect(), Some(DisconnectReason::PongTimeout));
    assert!(kit.client.poll_message().is_none());
}

#[test]
fn bytes_that_keep_arriving_extend_the_wait_for_a_pong() {
    let mut kit = Kit::open(config(), NO_SETS);
    kit.pass(seconds(30));
    let ping = kit.sent().remove(0);
    for _ in 0..10 {
        kit.pass(seconds(9));
        kit.client.handle_traffic(kit.now);
    }
    assert_eq!(kit.client.state(), ClientState::Ready);
    kit.answer(&ping, "pong", &json!({}));
    kit.pass(seconds(29));
    assert_eq!(kit.client.state(), ClientState::Ready);
}

#[test]
fn a_refused_ping_is_a_sign_of_life() {
    let mut kit = Kit::open(config(), NO_SETS);
    kit.pass(seconds(30));
    let ping = kit.sent().remove(0);
    assert!(!kit.answer(&ping, "error", &json!({"error": "Unknown message type"})));
    kit.pass(seconds(29));
    assert_eq!(kit.client.state(), ClientState::Ready);
    assert_eq!(kit.client.rtt(), None);
}

#[test]
fn time_in_which_nobody_reads_does_not_count_against_the_server() {
    let mut kit = Kit::open(config(), NO_SETS);
    kit.pass(seconds(30));
    kit.sent();
    kit.pass(seconds(4));
    kit.client.reading_paused(kit.now);
    kit.client.reading_paused(kit.now + seconds(1));
    kit.pass(seconds(1_000));
    assert_eq!(kit.client.state(), ClientState::Ready);
    kit.client.reading_resumed(kit.now);
    kit.pass(seconds(5));
    assert_eq!(kit.client.state(), ClientState::Ready);
    kit.pass(seconds(1));
    assert_eq!(kit.client.last_disconnect(), Some(DisconnectReason::PongTimeout));
}

#[test]
fn a_pause_delays_the_next_ping_and_the_wait_for_the_connection_ack() {
    let mut kit = Kit::new(config());
    kit.client.connect(kit.now).unwrap();
    kit.client.opened(kit.now, NO_SETS);
    kit.client.reading_paused(kit.now);
    kit.pass(seconds(100));
    assert_eq!(kit.client.state(), ClientState::AwaitingAck);
    assert!(kit.client.poll_timeout().is_none());
    kit.client.reading_resumed(kit.now);
    kit.pass(seconds(9));
    assert_eq!(kit.client.state(), ClientState::AwaitingAck);
    kit.pass(seconds(1));
    assert_eq!(kit.client.state(), ClientState::Ready);
}

#[test]
fn a_pause_that_outlives_its_connection_counts_on_the_next_from_its_start() {
    let mut kit = Kit::open(config(), NO_SETS);
    kit.client.reading_paused(kit.now);
    kit.pass(seconds(1_000));
    kit.client.lost(kit.now, DisconnectReason::Io);
    kit.back_off();
    kit.send_ack(NO_SETS);
    kit.client.reading_resumed(kit.now);
    kit.pass(seconds(30));
    assert_eq!(kit.sent().len(), 1);
}

#[test]
fn keep_alive_runs_before_the_connection_ack() {
    let mut kit = Kit::new(config().ack_timeout(seconds(100)));
    kit.subscribe("a", &["x"]);
    kit.client.connect(kit.now).unwrap();
    kit.client.opened(kit.now, NO_SETS);
    kit.pass(seconds(30));
    let sent = kit.sent();
    assert_eq!(sent.iter().map(|message| &message["type"]).collect::<Vec<_>>(), ["ping"]);
}

#[test]
fn requests_time_out_even_while_nobody_reads() {
    // Otherwise an application that waits for its request before it reads would wait indefinitely.
    let mut kit = Kit::open(config(), NO_SETS);
    kit.client.ping(kit.now).unwrap();
    kit.sent();
    kit.lifecycle();
    kit.client.reading_paused(kit.now);
    kit.pass(seconds(10));
    assert_eq!(outcomes(kit.events()), [RequestOutcome::TimedOut]);
}

#[test]
fn keep_alive_can_be_set_and_switched_off() {
    let mut kit = Kit::open(quiet(), NO_SETS);
    assert_eq!(kit.client.poll_timeout(), None);
    let keep_alive = KeepAlive::new().interval(seconds(1)).timeout(seconds(2));
    kit = Kit::open(config().keep_alive(keep_alive), NO_SETS);
    kit.pass(seconds(3));
    assert_eq!(kit.client.last_disconnect(), Some(DisconnectReason::PongTimeout));
}

#[test]
fn a_close_is_a_handshake_with_a_deadline() {
    let mut kit = Kit::open(quiet(), NO_SETS);
    kit.subscribe("a", &["x"]);
    kit.settle();
    kit.lifecycle();
    let ping = kit.client.ping(kit.now).unwrap();
    kit.sent();
    let unsent = kit.client.ping(kit.now).unwrap();
    kit.client.close(kit.now);
    kit.client.close(kit.now);
    assert_eq!(kit.actions(), [Action::Close { code: 1000, reason: "" }]);
    assert_eq!(kit.client.poll_message(), None);
    // A message that the server sent before its own Close frame is still delivered.
    assert!(kit.delivers(Some("a"), "x"));
    kit.pass(seconds(5));
    assert_eq!(kit.client.state(), ClientState::Closed);
    assert_eq!(kit.actions(), [Action::Abort]);
    let lost = |id| ClientEvent::RequestEnded { id, kind: RequestKind::Ping, outcome: RequestOutcome::ConnectionLost };
    let [closing, closed] =
        [LifecycleEvent::Closing, LifecycleEvent::Closed(CloseCause::Application)].map(ClientEvent::Lifecycle);
    assert_eq!(kit.events(), [closing, lost(ping), lost(unsent), closed]);
    assert_eq!(kit.client.poll_timeout(), None);
    kit.client.lost(kit.now, DisconnectReason::Io);
    kit.client.handle_timeout(kit.now);
    kit.client.close(kit.now);
    assert!(!kit.delivers(Some("a"), "x"));
    assert!(kit.lifecycle().is_empty() && kit.actions().is_empty());
}

#[test]
fn a_close_ends_with_the_transport() {
    let mut kit = Kit::open(quiet(), NO_SETS);
    kit.client.close(kit.now);
    kit.client.lost(kit.now, DisconnectReason::ClosedByPeer { code: Some(1000) });
    assert_eq!(kit.lifecycle().pop(), Some(LifecycleEvent::Closed(CloseCause::Application)));
    assert!(kit.actions().is_empty());
}

#[test]
fn a_close_without_a_connection_is_done_at_once() {
    let mut kit = Kit::new(quiet());
    kit.client.close(kit.now);
    assert_eq!(kit.lifecycle(), [LifecycleEvent::Closed(CloseCause::Application)]);
    assert!(kit.actions().is_empty());

    let mut kit = Kit::new(quiet());
    kit.client.connect(kit.now).unwrap();
    kit.client.close(kit.now);
    assert!(kit.actions().is_empty(), "nothing was begun");

    let mut kit = Kit::new(quiet());
    let id = kit.subscribe("a", &["x"]);
    kit.client.connect(kit.now).unwrap();
    kit.actions();
    kit.client.close(kit.now);
    assert_eq!(kit.actions(), [Action::Abort]);
    let lost = ClientEvent::RequestEnded { id, kind: RequestKind::Subscribe, outcome: RequestOutcome::ConnectionLost };
    assert_eq!(kit.events()[1..], [lost, ClientEvent::Lifecycle(LifecycleEvent::Closed(CloseCause::Application))]);
}

#[test]
fn a_binary_message_is_closed_with_1003_and_tried_again() {
    let mut kit = Kit::open(quiet(), NO_SETS);
    kit.client.handle_binary(kit.now, b"\x01");
    assert!(matches!(kit.actions()[..], [Action::Close { code: 1003, .. }]));
    assert_eq!(kit.client.last_disconnect(), Some(DisconnectReason::Violation { code: 1003 }));
    assert_eq!(kit.client.state(), ClientState::Backoff);
    // The remaining messages of that connection are not delivered.
    assert!(!kit.delivers(Some("a"), "x"));
    assert_eq!(kit.client.counters().stray, 1);
}

#[test]
fn undrained_lifecycle_events_stall_and_lose_nothing() {
    let mut kit = Kit::new(quiet());
    kit.client.connect(kit.now).unwrap();
    let mut losses = 0;
    while kit.client.poll_timeout().is_some() {
        kit.actions();
        kit.client.lost(kit.now, DisconnectReason::Io);
        losses += 1;
        kit.pass(kit.client.next_attempt_at().unwrap().saturating_duration_since(kit.now));
    }
    assert_eq!(kit.client.state(), ClientState::Backoff);
    assert_eq!(kit.client.connect(kit.now), Err(CommandError::Undrained));
    assert_eq!(kit.client.subscribe(kit.now, "a", &EventNames::every()), Err(CommandError::Undrained));
    let backoffs =
        kit.lifecycle().into_iter().filter(|lifecycle| matches!(lifecycle, LifecycleEvent::Backoff { .. })).count();
    assert_eq!(backoffs, losses);
    kit.pass(Duration::ZERO);
    assert_eq!(kit.client.state(), ClientState::Connecting);
}

#[test]
fn time_that_runs_backwards_is_harmless() {
    let mut kit = Kit::open(config(), NO_SETS);
    kit.pass(seconds(29));
    kit.client.handle_timeout(kit.now);
    kit.client.handle_timeout(multiwa_ws_core::Instant::from_nanos(0));
    kit.client.handle_traffic(multiwa_ws_core::Instant::from_nanos(0));
    assert_eq!(kit.client.last_traffic(), Some(kit.now));
    assert_eq!(kit.client.poll_timeout(), Some(kit.now + seconds(30)));
}

#[test]
fn f_12_every_subscription_that_there_may_be_can_be_asked_for_before_a_connection() {
    let mut kit = Kit::new(quiet());
    let profiles: Vec<String> = (0..256).map(|n| format!("p{n}")).collect();
    for profile in &profiles {
        kit.subscribe(profile, &["x"]);
    }
    let over = kit.client.subscribe(kit.now, "q", &EventNames::every());
    assert_eq!(over, Err(CommandError::Limit(SubscriptionLimit::Subscriptions(256))));
    kit.client.connect(kit.now).unwrap();
    kit.send_ack(SETS);
    // As many as the limit of unanswered requests allows.
    let first = kit.sent();
    assert_eq!(first.len(), 64);
    for request in &first {
        assert!(kit.answer(request, "ack", &json!({})));
    }
    assert_eq!(kit.settle().len(), profiles.len() - first.len());
    assert_eq!((kit.client.state(), kit.client.active().len()), (ClientState::Ready, 256));
}

#[test]
fn f_12_a_subscription_that_waits_for_its_turn_is_not_late() {
    let mut kit = Kit::open(quiet().max_requests(1), SETS);
    kit.subscribe("a", &["x"]);
    kit.subscribe("b", &["x"]);
    let first = kit.sent().remove(0);
    kit.pass(seconds(9));
    assert!(kit.answer(&first, "ack", &json!({})));
    let second = kit.sent().remove(0);
    kit.pass(seconds(9));
    assert!(kit.answer(&second, "ack", &json!({})));
}

#[test]
fn f_05_a_request_is_timed_from_when_it_has_left() {
    let mut kit = Kit::open(quiet(), SETS);
    kit.subscribe("a", &["x"]);
    let request: serde_json::Value = serde_json::from_str(kit.client.poll_message().unwrap()).unwrap();
    kit.client.message_sent(1_000);
    // A slow line: each write moves the deadline.
    for left in (0..4).rev() {
        kit.pass(seconds(8));
        kit.client.handle_progress(kit.now, 250, left * 250);
    }
    assert_eq!(kit.client.poll_timeout(), Some(kit.now + seconds(10)));
    kit.pass(seconds(9));
    assert!(kit.answer(&request, "ack", &json!({})));
}

#[test]
fn f_05_each_request_is_timed_from_when_it_has_left_itself() {
    let mut kit = Kit::open(quiet(), SETS);
    for (profile, waiting) in [("a", 1_000), ("b", 2_000)] {
        kit.subscribe(profile, &["x"]);
        kit.client.message_sent(waiting);
    }
    // The first request has been written, and the second one still waits.
    kit.client.handle_progress(kit.now, 1_000, 1_000);
    kit.pass(seconds(9));
    kit.client.handle_progress(kit.now, 500, 500);
    kit.pass(seconds(1));
    assert_eq!(outcomes(kit.events()), [RequestOutcome::TimedOut]);
}

#[test]
fn f_05_a_request_that_does_not_leave_times_out() {
    let mut kit = Kit::open(quiet(), SETS);
    kit.subscribe("a", &["x"]);
    kit.client.message_sent(1_000);
    kit.pass(seconds(10));
    assert_eq!(outcomes(kit.events()), [RequestOutcome::TimedOut]);
}

#[test]
fn f_05_a_ping_behind_a_backlog_is_answered_in_time_from_when_it_has_left() {
    let mut kit = Kit::open(config(), SETS);
    kit.pass(seconds(30));
    assert!(kit.client.poll_message().is_some());
    kit.client.message_sent(1 << 20);
    for left in (0..16).rev() {
        kit.pass(seconds(1));
        kit.client.handle_progress(kit.now, 64 << 10, left * (64 << 10));
    }
    // 10 s, plus 4 s for the bytes that the operating system holds on this line.
    kit.pass(seconds(13));
    assert_eq!(kit.client.state(), ClientState::Ready);
    kit.pass(seconds(6));
    assert_eq!(kit.client.last_disconnect(), Some(DisconnectReason::PongTimeout));
}

#[test]
fn an_attempt_that_is_due_waits_until_the_events_that_pile_up_are_taken() {
    let mut kit = Kit::new(config());
    kit.client.connect(kit.now).unwrap();
    // Each attempt causes an event, and each lost connection another one.
    for _ in 0..127 {
        kit.client.lost(kit.now, DisconnectReason::Io);
        kit.now = kit.client.poll_timeout().unwrap();
        kit.client.handle_timeout(kit.now);
    }
    kit.client.lost(kit.now, DisconnectReason::Io);
    let due = kit.client.next_attempt_at().unwrap();
    assert_eq!(kit.client.poll_timeout(), None, "256 events wait");
    kit.client.handle_timeout(due + seconds(1));
    assert_eq!((kit.client.state(), kit.client.attempt()), (ClientState::Backoff, 128));

    assert_eq!(kit.client.poll_event(), Some(ClientEvent::Lifecycle(LifecycleEvent::Connecting { attempt: 1 })));
    assert_eq!(kit.client.poll_timeout(), Some(due));
    kit.client.handle_timeout(due + seconds(1));
    assert_eq!((kit.client.state(), kit.client.attempt()), (ClientState::Connecting, 129));
}

#[test]
fn an_attempt_waits_for_its_time() {
    let mut kit = Kit::new(config());
    kit.client.connect(kit.now).unwrap();
    kit.client.lost(kit.now, DisconnectReason::Io);
    let due = kit.client.next_attempt_at().unwrap();
    assert!(due > kit.now);
    for (now, state) in [(kit.now, ClientState::Backoff), (due, ClientState::Connecting)] {
        kit.client.handle_timeout(now);
        assert_eq!(kit.client.state(), state);
    }
}

#[test]
fn a_set_has_room_for_its_subscriptions_alone() {
    let memory = |profiles: &[&'static str]| {
        let mut set = SubscriptionSet::default();
        let mut add = |profile| {
            let (profile, events) = (Arc::<str>::from(profile), EventNames::every());
            measure(|| set.add(profile, events)).bytes_current
        };
        profiles.iter().map(|profile| add(*profile)).collect::<Vec<i64>>()
    };
    let [first, second, third] = memory(&["a", "b", "c"])[..] else { panic!() };
    // The first one comes with two counters.
    assert!(second > 0 && third == second && first == second + 16, "{first} {second} {third}");
}
