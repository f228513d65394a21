//! Lost connections, the back-off, and the state that a new connection restores (`protocol.md`, Client lifecycle).
#![cfg(test)]
#![cfg(all(feature = "server", feature = "session"))]

mod session_kit;

use core::time::Duration;

use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::session::{
    Action, ClientConfig, ClientEvent, ClientState, CloseCause, CommandError, DisconnectReason, EventNames, Gap,
    LifecycleEvent, ReconnectConfig, Refusal, RequestKind, RequestOutcome, SecondProfile,
};
use serde_json::json;
use session_kit::{Kit, NO_SETS, SETS, seconds};

fn quiet() -> ClientConfig {
    ClientConfig::new().keep_alive(KeepAlive::OFF)
}

fn profiles(sent: &[serde_json::Value]) -> Vec<&str> {
    sent.iter().map(|message| message["payload"]["profileId"].as_str().unwrap()).collect()
}

#[test]
fn each_desired_subscription_is_asked_for_again_in_the_order_of_asking() {
    let mut kit = Kit::open(quiet(), SETS);
    for profile in ["c", "a", "b"] {
        kit.subscribe(profile, &["x"]);
    }
    kit.settle();
    kit.client.lost(kit.now, DisconnectReason::Eof);
    assert!(kit.client.active().is_empty());
    assert_eq!(kit.client.desired().len(), 3);
    kit.back_off();
    // A command sent during the back-off comes after the earlier desired subscriptions.
    kit.subscribe("a2", &["x"]);
    kit.send_ack(SETS);
    let sent = kit.sent();
    assert_eq!(profiles(&sent), ["c", "a", "b", "a2"]);
    for request in &sent[..3] {
        // The application sent one request and has already received its outcome.
        assert!(!kit.answer(request, "ack", &json!({})));
        assert_eq!(kit.client.state(), ClientState::AwaitingAck);
    }
    assert!(kit.answer(&sent[3], "ack", &json!({})));
    assert_eq!(kit.client.state(), ClientState::Ready);
    assert_eq!(kit.client.active(), &kit.client.desired());
}

#[test]
fn what_was_unsubscribed_from_meanwhile_is_not_asked_for_again_and_stands_in_nobodys_way() {
    for features in [SETS, NO_SETS] {
        let mut kit = Kit::new(quiet());
        kit.subscribe("a", &["x"]);
        kit.subscribe("b", &["x"]);
        kit.pass(seconds(20));
        kit.client.unsubscribe(kit.now, Some("a")).unwrap();
        kit.client.connect(kit.now).unwrap();
        kit.send_ack(features);
        let sent = kit.settle();
        assert!(sent.iter().all(|message| message["type"] != "subscribe" || message["payload"]["profileId"] == "b"));
        let live: Vec<&str> = kit.client.active().iter().map(|(profile, _)| profile).collect();
        assert_eq!((live, kit.client.desired().len()), (vec!["b"], 1), "{features:?}");
    }
}

#[test]
fn a_loss_is_reported_as_a_gap() {
    let mut kit = Kit::open(quiet(), NO_SETS);
    kit.subscribe("a", &["x"]);
    kit.settle();
    kit.lifecycle();
    let from = kit.now;
    kit.pass(seconds(7));
    kit.client.lost(kit.now, DisconnectReason::Io);
    assert_eq!(kit.client.gap_since(), Some(from));
    // Failed attempts do not shorten the gap.
    for _ in 0..3 {
        kit.back_off();
        kit.actions();
        kit.client.lost(kit.now, DisconnectReason::Io);
    }
    // A connection that is lost before it is ready does not shorten the gap either, even if some of its subscriptions
    // were active.
    kit.back_off();
    kit.send_ack(NO_SETS);
    kit.subscribe("a", &["y"]);
    for _ in 0..2 {
        let text = kit.client.poll_message().map(str::to_owned);
        kit.client.message_sent(0);
        if kit.client.active().is_empty() {
            kit.answer(&serde_json::from_str(&text.unwrap()).unwrap(), "ack", &json!({}));
        }
    }
    assert_eq!((kit.client.state(), kit.client.active().len()), (ClientState::AwaitingAck, 1));
    kit.client.lost(kit.now, DisconnectReason::Io);
    kit.back_off();
    kit.send_ack(NO_SETS);
    kit.pass(seconds(1));
    kit.settle();
    let Some(LifecycleEvent::Ready { gap, .. }) = kit.lifecycle().pop() else { panic!("ready") };
    assert_eq!(gap, Some(Gap { from, to: kit.now }));
    assert_eq!(kit.client.gap_since(), None);
}

#[test]
fn without_an_active_subscription_a_loss_is_no_gap() {
    let mut kit = Kit::open(quiet(), NO_SETS);
    kit.client.lost(kit.now, DisconnectReason::Io);
    assert_eq!(kit.client.gap_since(), None);
}

#[test]
fn attempts_grow_apart_and_are_counted_from_the_last_stable_connection() {
    let mut kit = Kit::new(quiet());
    kit.client.connect(kit.now).unwrap();
    for attempt in 1..=12 {
        assert_eq!(kit.actions(), [Action::Connect { attempt }]);
        assert_eq!(kit.client.attempt(), attempt);
        kit.client.lost(kit.now, DisconnectReason::Dns);
        let wait = kit.client.next_attempt_at().unwrap().saturating_duration_since(kit.now);
        assert!(!wait.is_zero() && wait <= ReconnectConfig::default().ceiling(attempt));
        kit.back_off();
    }
    kit.send_ack(NO_SETS);
    kit.pass(seconds(59));
    kit.client.lost(kit.now, DisconnectReason::Io);
    kit.back_off();
    assert_eq!(kit.client.attempt(), 14);
    kit.send_ack(NO_SETS);
    kit.pass(seconds(60));
    kit.client.lost(kit.now, DisconnectReason::Io);
    kit.back_off();
    assert_eq!(kit.client.attempt(), 1);
}

#[test]
fn connect_and_upgrade_have_deadlines_of_their_own() {
    let mut kit = Kit::new(quiet());
    kit.client.connect(kit.now).unwrap();
    kit.actions();
    kit.pass(seconds(9));
    kit.client.connected(kit.now);
    kit.pass(seconds(9));
    assert_eq!(kit.client.state(), ClientState::Connecting);
    kit.pass(seconds(1));
    assert_eq!(kit.client.last_disconnect(), Some(DisconnectReason::UpgradeTimeout));
    assert_eq!(kit.client.poll_action(), Some(Action::Abort));
    kit.back_off();
    kit.actions();
    kit.pass(seconds(10));
    assert_eq!(kit.client.last_disconnect(), Some(DisconnectReason::ConnectTimeout));
}

#[test]
fn an_attempt_that_was_never_begun_is_not_aborted() {
    let mut kit = Kit::new(quiet());
    kit.client.connect(kit.now).unwrap();
    kit.pass(seconds(10));
    assert_eq!(kit.client.last_disconnect(), Some(DisconnectReason::ConnectTimeout));
    assert!(!kit.actions().contains(&Action::Abort));
}

#[test]
fn an_application_may_try_before_its_time() {
    let mut kit = Kit::open(quiet(), NO_SETS);
    kit.client.lost(kit.now, DisconnectReason::Io);
    kit.client.connect(kit.now).unwrap();
    assert_eq!(kit.client.state(), ClientState::Connecting);
    assert_eq!(kit.client.attempt(), 2);
}

#[test]
fn endings_that_are_not_tried_again_close_the_client() {
    let closed = |code| DisconnectReason::ClosedByPeer { code: Some(code) };
    let refused = |status| DisconnectReason::Refused { status, retry_after: Some(seconds(1)) };
    for reason in [
        refused(401),
        refused(403),
        refused(404),
        closed(1000),
        closed(1008),
        DisconnectReason::TlsCertificate,
        DisconnectReason::Stopped,
    ] {
        let mut kit = Kit::open(quiet(), NO_SETS);
        kit.client.lost(kit.now, reason);
        assert_eq!(kit.client.state(), ClientState::Closed);
        assert_eq!(kit.lifecycle().pop(), Some(LifecycleEvent::Closed(CloseCause::Lost(reason))));
        assert_eq!(kit.client.poll_timeout(), None);
    }
}

#[test]
fn attempts_can_be_limited_or_switched_off() {
    let reconnect = ReconnectConfig::new().max_attempts(3);
    let mut kit = Kit::new(quiet().reconnect(reconnect));
    kit.client.connect(kit.now).unwrap();
    for _ in 0..2 {
        kit.client.lost(kit.now, DisconnectReason::Io);
        kit.back_off();
    }
    kit.client.lost(kit.now, DisconnectReason::Io);
    assert_eq!(kit.client.state(), ClientState::Closed);

    let reconnect = ReconnectConfig::new().enabled(false);
    let mut kit = Kit::open(quiet().reconnect(reconnect), NO_SETS);
    kit.client.lost(kit.now, DisconnectReason::Io);
    assert_eq!(kit.client.state(), ClientState::Closed);
}

#[test]
fn the_time_that_a_server_asks_for_is_given() {
    let mut kit = Kit::new(quiet());
    kit.client.connect(kit.now).unwrap();
    kit.client.lost(kit.now, DisconnectReason::Refused { status: 503, retry_after: Some(seconds(120)) });
    let wait = kit.client.next_attempt_at().unwrap().saturating_duration_since(kit.now);
    assert!(wait > seconds(120) && wait <= seconds(120) + Duration::from_millis(500));
}

#[test]
fn a_request_that_was_not_sent_goes_over_the_next_connection() {
    let mut kit = Kit::open(quiet(), NO_SETS);
    let id = kit.subscribe("a", &["x"]);
    kit.lifecycle();
    kit.client.lost(kit.now, DisconnectReason::Io);
    kit.back_off();
    kit.send_ack(NO_SETS);
    let sent = kit.sent();
    assert_eq!(sent[0]["requestId"], id.to_string());
    assert_eq!(sent.len(), 1);
    assert!(kit.answer(&sent[0], "ack", &json!({})));
    assert!(kit.events().iter().all(|event| !matches!(event, ClientEvent::RequestEnded { .. })));
}

#[test]
fn a_ping_that_was_not_sent_ends_with_its_connection() {
    let mut kit = Kit::open(quiet(), NO_SETS);
    let id = kit.client.ping(kit.now).unwrap();
    kit.client.lost(kit.now, DisconnectReason::Io);
    let lost = ClientEvent::RequestEnded { id, kind: RequestKind::Ping, outcome: RequestOutcome::ConnectionLost };
    assert!(kit.events().contains(&lost));
    kit.back_off();
    kit.send_ack(NO_SETS);
    assert!(kit.sent().is_empty());
}

#[test]
fn a_request_that_timed_out_before_a_connection_was_open_is_asked_once() {
    let mut kit = Kit::new(quiet());
    let id = kit.subscribe("a", &["x"]);
    kit.pass(seconds(10));
    assert!(matches!(kit.events()[..], [ClientEvent::RequestEnded { outcome: RequestOutcome::TimedOut, .. }]));
    kit.client.connect(kit.now).unwrap();
    kit.send_ack(NO_SETS);
    let sent = kit.sent();
    assert_eq!(profiles(&sent), ["a"]);
    assert_ne!(sent[0]["requestId"], id.to_string());
    assert!(!kit.answer(&sent[0], "ack", &json!({})));
    assert!(kit.delivers(Some("a"), "x"));
}

#[test]
fn a_subscription_that_a_new_connection_refuses_stays_desired_and_is_reported() {
    let mut kit = Kit::open(quiet(), NO_SETS);
    kit.subscribe("a", &["x"]);
    kit.settle();
    kit.client.lost(kit.now, DisconnectReason::Io);
    kit.back_off();
    kit.send_ack(NO_SETS);
    let request = kit.sent().remove(0);
    assert!(!kit.answer(&request, "error", &json!({"error": "later", "code": "limit_exceeded"})));
    let Some(LifecycleEvent::Ready { failed, .. }) = kit.lifecycle().pop() else { panic!("ready") };
    let refusal = Refusal::Server { error: "later".into(), code: Some("limit_exceeded".into()) };
    assert_eq!((&*failed[0].profile, &failed[0].outcome), ("a", &RequestOutcome::Refused(refusal)));
    assert_eq!(kit.client.desired().len(), 1);
}

#[test]
fn a_server_that_lost_its_sets_gets_the_first_profile_and_the_others_stay_desired() {
    let mut kit = Kit::open(quiet(), SETS);
    for profile in ["b", "a"] {
        kit.subscribe(profile, &["x"]);
    }
    kit.settle();
    kit.client.lost(kit.now, DisconnectReason::Io);
    kit.back_off();
    kit.send_ack(NO_SETS);
    assert_eq!(profiles(&kit.settle()), ["b"]);
    let Some(LifecycleEvent::Ready { failed, .. }) = kit.lifecycle().pop() else { panic!("ready") };
    assert_eq!(failed.len(), 1);
    assert_eq!((&*failed[0].profile, &failed[0].outcome), ("a", &RequestOutcome::Refused(Refusal::SetsUnsupported)));
    // To unsubscribe from a profile that is not active must not clear the active one, and must not allow another
    // profile.
    kit.client.ping(kit.now).unwrap();
    kit.client.unsubscribe(kit.now, Some("a")).unwrap();
    let another = kit.client.subscribe(kit.now, "c", &EventNames::every());
    assert_eq!(another, Err(CommandError::SetsUnsupported));
    assert_eq!(kit.sent()[0]["type"], "ping");
    assert!(kit.sent().is_empty());
    assert!(matches!(
        kit.events()[..],
        [ClientEvent::RequestEnded { outcome: RequestOutcome::Acknowledged { .. }, .. }]
    ));
    assert!(kit.delivers(Some("b"), "x"));
    assert_eq!(kit.client.desired().len(), 1);
}

#[test]
fn a_profile_that_was_held_back_is_asked_for_once_its_turn_comes() {
    let mut kit = Kit::open(quiet(), SETS);
    for profile in ["c", "b", "a"] {
        kit.subscribe(profile, &["x"]);
    }
    kit.settle();
    kit.client.lost(kit.now, DisconnectReason::Io);
    kit.back_off();
    kit.send_ack(NO_SETS);
    assert_eq!(profiles(&kit.settle()), ["c"]);
    // The next request waits for the answer of the server, because the application may still choose another profile.
    kit.client.unsubscribe(kit.now, Some("c")).unwrap();
    let request = kit.sent().remove(0);
    assert!(kit.sent().is_empty());
    kit.answer(&request, "ack", &json!({}));
    let asked = kit.sent();
    assert_eq!(profiles(&asked), ["b"]);
    assert_eq!(asked[0]["payload"], json!({"profileId": "b", "events": ["x"]}));
    // If a profile is refused, the next one takes its place.
    kit.answer(&asked[0], "error", &json!({"error": "no"}));
    assert_eq!(profiles(&kit.settle()), ["a"]);
    assert!(kit.delivers(Some("a"), "x"));
}

#[test]
fn what_a_connection_was_not_asked_for_is_unsubscribed_from_without_a_message() {
    for features in [SETS, NO_SETS] {
        let mut kit = Kit::open(quiet(), SETS);
        for profile in ["b", "a"] {
            kit.subscribe(profile, &["x"]);
        }
        kit.settle();
        kit.client.lost(kit.now, DisconnectReason::Io);
        let ended = kit.client.unsubscribe(kit.now, Some("b")).unwrap();
        kit.back_off();
        kit.lifecycle();
        kit.send_ack(features);
        assert_eq!(profiles(&kit.settle()), ["a"]);
        let outcome = RequestOutcome::Acknowledged { after: Duration::ZERO };
        let ended = ClientEvent::RequestEnded { id: ended, kind: RequestKind::Unsubscribe, outcome };
        assert!(kit.events().contains(&ended), "{features:?}");
        assert_eq!((kit.client.active().len(), kit.client.active()), (1, &kit.client.desired()));
    }
}

#[test]
fn profiles_whose_waiting_unsubscribe_is_refused_are_asked_for_after_all() {
    let mut kit = Kit::open(quiet(), SETS);
    for profile in ["b", "a"] {
        kit.subscribe(profile, &["x"]);
    }
    kit.settle();
    kit.client.lost(kit.now, DisconnectReason::Io);
    kit.client.unsubscribe(kit.now, None).unwrap();
    kit.back_off();
    kit.send_ack(SETS);
    let request = kit.sent().remove(0);
    assert!(kit.sent().is_empty());
    kit.answer(&request, "error", &json!({"error": "too many requests"}));
    assert_eq!(profiles(&kit.settle()), ["b", "a"]);
    assert_eq!((kit.client.active().len(), kit.client.active()), (2, &kit.client.desired()));
}

#[test]
fn a_profile_that_was_held_back_leaves_its_turn_to_the_choice_of_the_application() {
    let mut kit = Kit::open(quiet(), SETS);
    for profile in ["c", "b", "a"] {
        kit.subscribe(profile, &["x"]);
    }
    kit.settle();
    kit.client.lost(kit.now, DisconnectReason::Io);
    kit.back_off();
    kit.send_ack(NO_SETS);
    kit.settle();
    kit.client.unsubscribe(kit.now, Some("b")).unwrap();
    kit.client.unsubscribe(kit.now, Some("c")).unwrap();
    kit.subscribe("d", &["x"]);
    assert_eq!(kit.settle().last().map(|request| &request["payload"]["profileId"]), Some(&json!("d")));
    kit.client.unsubscribe(kit.now, Some("d")).unwrap();
    assert_eq!(profiles(&kit.settle()[1..]), ["a"], "`b` is not desired any more");
    assert_eq!(*kit.client.active(), kit.client.desired());
}

#[test]
fn a_profile_that_was_held_back_and_then_had_is_no_failure() {
    let mut kit = Kit::open(quiet(), SETS);
    for profile in ["b", "a"] {
        kit.subscribe(profile, &["x"]);
    }
    kit.settle();
    kit.client.lost(kit.now, DisconnectReason::Io);
    kit.back_off();
    kit.lifecycle();
    kit.send_ack(NO_SETS);
    let request = kit.sent().remove(0);
    kit.answer(&request, "error", &json!({"error": "no"}));
    assert_eq!(profiles(&kit.settle()), ["a"]);
    let Some(LifecycleEvent::Ready { failed, .. }) = kit.lifecycle().pop() else { panic!("ready") };
    assert_eq!(failed.iter().map(|failed| &*failed.profile).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn a_server_that_lost_its_sets_gets_the_last_profile_when_so_chosen() {
    let mut kit = Kit::open(quiet().second_profile(SecondProfile::Displace), SETS);
    for profile in ["b", "c", "a"] {
        kit.subscribe(profile, &["x"]);
    }
    kit.settle();
    kit.client.lost(kit.now, DisconnectReason::Io);
    kit.back_off();
    kit.send_ack(NO_SETS);
    assert_eq!(profiles(&kit.settle()), ["a"]);
    let Some(LifecycleEvent::Ready { failed, .. }) = kit.lifecycle().pop() else { panic!("ready") };
    let displaced: Vec<_> = failed.iter().map(|failed| (&*failed.profile, failed.outcome.clone())).collect();
    let refused = RequestOutcome::Refused(Refusal::Displaced);
    assert_eq!(displaced, [("b", refused.clone()), ("c", refused)]);
    assert_eq!(kit.client.desired(), *kit.client.active());
}

#[test]
fn an_old_ping_never_affects_a_new_connection() {
    let mut kit = Kit::open(ClientConfig::default(), NO_SETS);
    kit.pass(seconds(30));
    kit.sent();
    kit.pass(seconds(9));
    kit.client.lost(kit.now, DisconnectReason::Io);
    kit.back_off();
    kit.send_ack(NO_SETS);
    kit.pass(seconds(29));
    assert_eq!(kit.client.state(), ClientState::Ready);
    assert!(kit.sent().is_empty());
}

/// Loses the connection after each message of a session with three subscriptions, 10,000 times.
#[test]
fn after_any_loss_each_desired_subscription_is_active_exactly_once() {
    let mut kit = Kit::new(quiet());
    let desired = ["a", "b", "c"];
    for profile in desired {
        kit.subscribe(profile, &["x"]);
    }
    kit.client.connect(kit.now).unwrap();
    for round in 0..10_000 {
        kit.actions();
        kit.client.opened(kit.now, SETS);
        let _ = kit.receive(session_kit::HELLO);
        let mut live = Vec::new();
        for _ in 0..round % 7 {
            // Messages and answers alternate, so that the connection is lost before or after each answer.
            if let Some(text) = kit.client.poll_message() {
                live.push(serde_json::from_str::<serde_json::Value>(text).unwrap());
                kit.client.message_sent(0);
            } else if let Some(request) = live.pop() {
                kit.answer(&request, "ack", &json!({}));
            }
        }
        kit.client.lost(kit.now, DisconnectReason::Eof);
        kit.lifecycle();
        let wait = kit.client.next_attempt_at().unwrap().saturating_duration_since(kit.now);
        assert!(wait <= ReconnectConfig::default().ceiling(kit.client.attempt()));
        kit.back_off();
    }
    kit.send_ack(SETS);
    let sent = kit.settle();
    assert_eq!(profiles(&sent), desired);
    assert_eq!(kit.client.active().len(), 3);
    assert_eq!(kit.client.state(), ClientState::Ready);
}
