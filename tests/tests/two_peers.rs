//! Whole clients and a whole server in virtual time: what they promise each other, over links with and without accidents.
#![cfg(test)]

use std::time::Duration;

use multiwa_ws_core::client::Config;
use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::handshake::Rejection;
use multiwa_ws_core::server::{self, Ended};
use multiwa_ws_core::session::{
    ClientConfig, ClientState, CloseCause, DisconnectReason, EventNames, LifecycleEvent, SecondProfile, ServerConfig,
    ServerEvent,
};
use multiwa_ws_core::websocket::{self, Cause};
use multiwa_ws_testkit::link::{FailureKind, Faults};
use multiwa_ws_testkit::simulator::{Admission, Outcome, OwnedClientEvent, World, deadlines};

/// Links that split, delay and hold little.
fn rough() -> Faults {
    Faults { delay: 0..=20_000_000, longest_piece: Some(7), capacity: 300, ..Faults::default() }
}

/// A world with one client that is ready, and subscribed to each profile.
fn ready(seed: u64, faults: Faults, profiles: &[&str]) -> World {
    let mut world = World::new(seed);
    world.faults = faults;
    connect(&mut world, Config::default(), profiles);
    world
}

fn connect(world: &mut World, config: Config, profiles: &[&str]) -> usize {
    let now = world.now();
    let client = world.add_client(config);
    let node = world.node(client).unwrap();
    for profile in profiles {
        node.client.commands().subscribe(now, profile, &EventNames::every()).unwrap();
    }
    node.client.connect(now).unwrap();
    until(world, client, ClientState::Ready);
    client
}

fn until(world: &mut World, client: usize, state: ClientState) {
    world.sleep_until(|world| world.node(client).unwrap().client.session().state() == state).unwrap();
}

/// The data of the events that the client received.
fn events(world: &mut World, client: usize) -> Vec<String> {
    let events = world.node(client).unwrap().events.iter();
    let data = events
        .filter_map(|event| if let OwnedClientEvent::Event { data, .. } = event { Some(data.clone()) } else { None });
    data.collect()
}

fn lifecycle(world: &mut World, client: usize) -> Vec<LifecycleEvent> {
    let events = world.node(client).unwrap().events.iter();
    events
        .filter_map(
            |event| if let OwnedClientEvent::Lifecycle(lifecycle) = event { Some(lifecycle.clone()) } else { None },
        )
        .collect()
}

/// How the client's connections were lost, in order.
fn losses(world: &mut World, client: usize) -> Vec<DisconnectReason> {
    let lost = |lifecycle: LifecycleEvent| match lifecycle {
        LifecycleEvent::Backoff { reason, .. } | LifecycleEvent::Closed(CloseCause::Lost(reason)) => Some(reason),
        _ => None,
    };
    lifecycle(world, client).into_iter().filter_map(lost).collect()
}

/// The profiles that were subscribed to on the present transport of the client, in order.
fn subscribed(world: &mut World, client: usize) -> Vec<String> {
    let id = world.transport_of(client).unwrap();
    let events = world.transport(id).unwrap().events.iter();
    let profiles = events.filter_map(|event| match event {
        ServerEvent::Subscribed { profile, .. } => Some(profile.to_string()),
        _ => None,
    });
    profiles.collect()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn every_event_arrives_once_and_in_order_whatever_the_link_does_to_its_bytes() {
    for seed in 0..20 {
        let mut world = ready(seed, rough(), &["a"]);
        let published: Vec<String> = (0..200).map(|number| number.to_string()).collect();
        for data in &published {
            assert_eq!(world.publish(Some("a"), "message.received", data).unwrap().len(), 1);
        }
        world.sleep(seconds(20)).unwrap();
        assert_eq!(events(&mut world, 0), published, "seed {seed}\n{}", world.transcript);
    }
}

#[test]
fn the_same_seed_gives_the_same_run_byte_by_byte() {
    let digest = |seed| {
        let mut world = ready(seed, rough(), &["a", "b"]);
        world.publish(Some("b"), "qr.updated", "1").unwrap();
        world.cut(0, FailureKind::Reset);
        world.sleep(seconds(100)).unwrap();
        world.transcript.digest()
    };
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
}

#[test]
fn an_event_goes_to_those_who_subscribe_to_it_and_to_nobody_else() {
    let mut world = World::new(3);
    let a = connect(&mut world, Config::default(), &["a"]);
    let b = connect(&mut world, Config::default(), &["b"]);
    let both = connect(&mut world, Config::default(), &["a", "b"]);
    let none = connect(&mut world, Config::default(), &[]);
    for (profile, receivers) in [(Some("a"), 2), (Some("b"), 2), (Some("c"), 0), (None, 3)] {
        let data = format!("\"{profile:?}\"").replace("(\"", "(").replace("\")", ")");
        assert_eq!(world.publish(profile, "x", &data).unwrap().len(), receivers, "{profile:?}");
    }
    world.sleep(seconds(1)).unwrap();
    assert_eq!(events(&mut world, a), ["\"Some(a)\"", "\"None\""]);
    assert_eq!(events(&mut world, b), ["\"Some(b)\"", "\"None\""]);
    assert_eq!(events(&mut world, both), ["\"Some(a)\"", "\"Some(b)\"", "\"None\""]);
    assert!(events(&mut world, none).is_empty());
}

#[test]
fn a_quiet_connection_lives_on_the_pings_of_both_sides() {
    let mut world = ready(4, Faults::default(), &["a"]);
    world.sleep(seconds(3_600)).unwrap();
    assert_eq!((world.opened(), losses(&mut world, 0)), (1, vec![]));
    assert!(world.node(0).unwrap().client.session().rtt().is_some());
}

#[test]
fn a_peer_that_vanished_is_noticed_by_both_sides_after_a_ping() {
    let mut world = ready(5, Faults::default(), &["a"]);
    let first = world.transport_of(0).unwrap();
    world.cut(0, FailureKind::Silence);
    world.sleep(seconds(39)).unwrap();
    assert_eq!((world.opened(), losses(&mut world, 0)), (1, vec![]));
    assert_eq!(world.ending(first), None);
    // 30 s of silence, then 10 s without an answer.
    world.sleep(seconds(2)).unwrap();
    assert_eq!(losses(&mut world, 0), [DisconnectReason::PongTimeout]);
    until(&mut world, 0, ClientState::Ready);
    assert_eq!(world.opened(), 2);
    let Some(Ended::Closed(closed)) = world.ending(first) else { panic!("the server still waits") };
    assert_eq!(closed.cause, Cause::Unresponsive);
}

#[test]
fn time_in_which_the_application_does_not_read_is_no_silence_of_the_server() {
    let mut world = ready(6, Faults::default(), &["a"]);
    world.pause(0).unwrap();
    world.publish(Some("a"), "x", "1").unwrap();
    world.sleep(seconds(39)).unwrap();
    assert_eq!(events(&mut world, 0), [""; 0]);
    world.resume(0).unwrap();
    world.sleep(seconds(60)).unwrap();
    assert_eq!((events(&mut world, 0), losses(&mut world, 0)), (vec!["1".into()], vec![]));
}

#[test]
fn a_half_closed_transport_is_a_loss_and_is_opened_anew() {
    let mut world = ready(7, Faults::default(), &["a"]);
    let first = world.transport_of(0).unwrap();
    let now = world.now().as_nanos();
    world.transport(first).unwrap().down.cut(now, FailureKind::Eof);
    until(&mut world, 0, ClientState::Backoff);
    assert_eq!(losses(&mut world, 0), [DisconnectReason::Eof]);
    until(&mut world, 0, ClientState::Ready);
    assert_eq!(subscribed(&mut world, 0), ["a"]);
}

#[test]
fn a_reconnected_client_asks_for_each_subscription_exactly_once_before_it_is_ready() {
    for kind in [FailureKind::Eof, FailureKind::Reset] {
        let mut world = ready(8, rough(), &["a", "b", "c"]);
        for round in 2..6 {
            world.cut(0, kind);
            until(&mut world, 0, ClientState::Backoff);
            until(&mut world, 0, ClientState::Ready);
            assert_eq!(world.opened(), round, "one transport a reason");
            assert_eq!(subscribed(&mut world, 0), ["a", "b", "c"]);
        }
        world.publish(Some("b"), "x", "7").unwrap();
        world.sleep(seconds(1)).unwrap();
        assert_eq!(events(&mut world, 0), ["7"]);
    }
}

#[test]
fn a_server_that_restarts_gets_its_clients_back_with_their_subscriptions() {
    let mut world = World::new(9);
    let clients: Vec<usize> = (0..10).map(|_| connect(&mut world, Config::default(), &["a"])).collect();
    world.close_all(CloseCode::GOING_AWAY);
    world.admission = Admission::ConnectionRefused;
    world.sleep(seconds(20)).unwrap();
    assert!(world.transports().is_empty(), "everybody was sent away");
    world.admission = Admission::Accept;
    for &client in &clients {
        until(&mut world, client, ClientState::Ready);
        let losses = losses(&mut world, client);
        assert_eq!(losses[0], DisconnectReason::ClosedByPeer { code: Some(1001) });
        assert!(losses[1..].iter().all(|reason| *reason == DisconnectReason::Io), "{losses:?}");
    }
    assert_eq!(world.publish(Some("a"), "x", "1").unwrap().len(), clients.len());
    world.sleep(seconds(1)).unwrap();
    for client in clients {
        assert_eq!(events(&mut world, client), ["1"]);
    }
}

#[test]
fn the_attempts_of_a_client_grow_rarer_up_to_the_longest_wait() {
    let mut world = ready(10, Faults::default(), &[]);
    world.admission = Admission::ConnectionRefused;
    world.restart(FailureKind::Reset);
    world.sleep(seconds(3_600)).unwrap();
    let attempts =
        lifecycle(&mut world, 0).into_iter().filter(|lifecycle| matches!(lifecycle, LifecycleEvent::Connecting { .. }));
    // Full jitter up to 30 s: one attempt every 15 s in the mean.
    let attempts = attempts.count();
    assert!((180..320).contains(&attempts), "{attempts}");
}

#[test]
fn a_black_hole_is_given_up_after_ten_seconds_and_tried_again() {
    let mut world = World::new(11);
    world.admission = Admission::BlackHole;
    let client = world.add_client(Config::default());
    let now = world.now();
    world.node(client).unwrap().client.connect(now).unwrap();
    world.sleep(seconds(9)).unwrap();
    assert_eq!(losses(&mut world, client), []);
    world.sleep(seconds(1)).unwrap();
    assert_eq!(losses(&mut world, client), [DisconnectReason::ConnectTimeout]);
    world.admission = Admission::Accept;
    until(&mut world, client, ClientState::Ready);
}

#[test]
fn a_server_that_accepts_the_transport_and_says_nothing_is_given_up_after_ten_seconds() {
    let mut world = World::new(12);
    let client = world.add_client(Config::default());
    let now = world.now();
    world.node(client).unwrap().client.connect(now).unwrap();
    world.sleep_until(|world| world.transport_of(client).is_some()).unwrap();
    world.cut(client, FailureKind::Silence);
    world.sleep(seconds(11)).unwrap();
    assert_eq!(losses(&mut world, client), [DisconnectReason::UpgradeTimeout]);
}

#[test]
fn a_refused_key_ends_the_client_and_a_full_server_does_not() {
    let mut world = World::new(13);
    world.admission = Admission::Reject(Rejection::unavailable(seconds(7)));
    let client = world.add_client(Config::default());
    let now = world.now();
    world.node(client).unwrap().client.connect(now).unwrap();
    world.sleep(seconds(5)).unwrap();
    assert_eq!(losses(&mut world, client), [DisconnectReason::Refused { status: 503, retry_after: Some(seconds(7)) }]);
    world.admission = Admission::Reject(Rejection::unauthorized());
    until(&mut world, client, ClientState::Closed);
    let refused = DisconnectReason::Refused { status: 401, retry_after: None };
    assert_eq!(lifecycle(&mut world, client).last(), Some(&LifecycleEvent::Closed(CloseCause::Lost(refused))));
    world.sleep(seconds(3_600)).unwrap();
    assert_eq!(world.opened(), 2);
}

#[test]
fn a_closed_client_ends_both_sides_cleanly() {
    for seed in 0..20 {
        let mut world = ready(seed, rough(), &["a"]);
        let id = world.transport_of(0).unwrap();
        world.publish(Some("a"), "x", "1").unwrap();
        let now = world.now();
        world.node(0).unwrap().client.commands().close(now);
        world.sleep_until(|world| world.transports().is_empty()).unwrap();
        let Some(Ended::Closed(closed)) = world.ending(id) else { panic!() };
        assert_eq!((closed.cause, closed.code, closed.clean), (Cause::Peer, CloseCode::NORMAL, true));
        assert_eq!(lifecycle(&mut world, 0).last(), Some(&LifecycleEvent::Closed(CloseCause::Application)));
        assert_eq!(world.next_due(), None, "nothing is left to do");
    }
}

#[test]
fn a_second_profile_displaces_the_first_where_the_server_holds_one_and_the_application_wants_it() {
    let mut world = World::new(14);
    world.config = server::Config::new().session(ServerConfig::new().subscription_sets(false));
    let session = ClientConfig::new().second_profile(SecondProfile::Displace);
    connect(&mut world, Config::new().session(session), &["a"]);
    let now = world.now();
    world.node(0).unwrap().client.commands().subscribe(now, "b", &EventNames::every()).unwrap();
    // Published before the server knows of it.
    assert_eq!(world.publish(Some("a"), "x", "1").unwrap().len(), 1);
    world.sleep(seconds(1)).unwrap();
    assert!(world.publish(Some("a"), "x", "2").unwrap().is_empty());
    assert_eq!(world.publish(Some("b"), "x", "3").unwrap().len(), 1);
    world.sleep(seconds(1)).unwrap();
    assert_eq!(events(&mut world, 0), ["1", "3"]);
    assert_eq!(subscribed(&mut world, 0), ["a", "b"]);

    world.cut(0, FailureKind::Reset);
    until(&mut world, 0, ClientState::Backoff);
    until(&mut world, 0, ClientState::Ready);
    assert_eq!(subscribed(&mut world, 0), ["b"]);
}

#[test]
fn a_second_profile_is_refused_where_the_server_holds_one_and_nothing_was_said() {
    let mut world = World::new(15);
    world.config = server::Config::new().session(ServerConfig::new().subscription_sets(false));
    connect(&mut world, Config::default(), &["a", "b"]);
    assert_eq!(subscribed(&mut world, 0), ["a"]);
    let events = &world.node(0).unwrap().events;
    assert!(
        events.iter().any(|event| matches!(event, OwnedClientEvent::Ended { outcome: Outcome::Displaced, .. })),
        "{events:?}"
    );
}

#[test]
fn a_client_that_does_not_read_is_closed_and_the_others_do_not_wait_for_it() {
    let mut world = World::new(16);
    world.config = server::Config::new().websocket(websocket::Config::new().max_queued(4_096));
    world.faults.capacity = 1_024;
    let slow = connect(&mut world, Config::default(), &["a"]);
    let quick = connect(&mut world, Config::default(), &["a"]);
    let id = world.transport_of(slow).unwrap();
    world.pause(slow).unwrap();
    let mut published = 0;
    while world.ending(id).is_none() {
        assert!(published < 100, "the queue is not bounded");
        let data = format!("\"{}\"", "x".repeat(200));
        world.publish(Some("a"), "x", &data).unwrap();
        published += 1;
        world.sleep(seconds(1)).unwrap();
    }
    let Some(Ended::Closed(closed)) = world.ending(id) else { panic!() };
    assert_eq!((closed.cause, closed.clean), (Cause::Local, false));
    assert_eq!(events(&mut world, quick).len(), published);
}

#[test]
fn f_05_f_06_neither_a_live_client_nor_a_live_server_is_called_dead_on_slow_lines_or_after_a_stop() {
    for seed in 0..10 {
        deadlines::live_peer(seed).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
    }
}

#[test]
fn a_dead_client_and_a_dead_server_are_found_in_time_whatever_waits_for_them() {
    for seed in 0..20 {
        deadlines::dead_peer(seed).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
    }
}
