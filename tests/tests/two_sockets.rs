//! Both ends of one connection after the upgrade in virtual time: messages, and how the connection ends.
#![cfg(test)]

use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::websocket::{Cause, Closed, Config, DeflateParameters, Message, Negotiated, SharedMessage};
use multiwa_ws_core::{Instant, KeepAlive};
use multiwa_ws_testkit::event::OwnedEvent;
use multiwa_ws_testkit::link::{FailureKind, Faults};
use multiwa_ws_testkit::simulator::{Pair, deadlines};

const SECOND: u64 = 1_000_000_000;

fn rough() -> Faults {
    Faults { delay: 0..=20_000_000, longest_piece: Some(7), capacity: 300, ..Faults::default() }
}

fn deflate() -> Negotiated {
    Negotiated { deflate: Some(DeflateParameters::default()), ..Negotiated::default() }
}

fn now(pair: &Pair) -> Instant {
    Instant::from_nanos(pair.now)
}

fn closed(cause: Cause, code: CloseCode, clean: bool) -> Option<Closed> {
    Some(Closed { cause, code, clean })
}

#[test]
fn messages_of_every_kind_arrive_whole_and_in_order_whatever_the_link_does_to_their_bytes() {
    for (seed, negotiated) in (0..10).flat_map(|seed| [(seed, Negotiated::default()), (seed, deflate())]) {
        let mut pair = Pair::new(seed, &Config::default(), &negotiated, &rough());
        let shared = SharedMessage::text(&"shared ".repeat(50));
        let mut expected = Vec::new();
        for number in 0..20_u8 {
            for end in [&mut pair.client, &mut pair.server] {
                let mut out = end.socket.sender();
                out.send_text(&"é".repeat(number.into())).unwrap();
                out.send_fragment(Message::Binary(&[number; 200]), false).unwrap();
                out.ping(&[number]).unwrap();
                out.send_fragment(Message::Binary(&[number]), true).unwrap();
                out.send_shared(&shared).unwrap();
            }
            expected.push(OwnedEvent::Text("é".repeat(number.into())));
            expected.push(OwnedEvent::Ping(vec![number]));
            expected.push(OwnedEvent::Binary(vec![number; 201]));
            expected.push(OwnedEvent::Text("shared ".repeat(50)));
        }
        pair.sleep_until(20 * SECOND).unwrap();
        for end in [&pair.client, &pair.server] {
            let (pongs, events): (Vec<_>, Vec<_>) =
                end.events.iter().cloned().partition(|event| matches!(event, OwnedEvent::Pong(_)));
            assert_eq!(events, expected, "seed {seed}");
            let answers: Vec<_> = (0..20).map(|number| OwnedEvent::Pong(vec![number])).collect();
            assert_eq!(pongs, answers);
        }
    }
}

#[test]
fn rfc6455_7_1_1_whoever_closes_the_server_ends_the_transport_first_and_nothing_is_lost() {
    for seed in 0..10 {
        for closes_first in ["client", "server", "both"] {
            let mut pair = Pair::new(seed, &Config::default(), &Negotiated::default(), &rough());
            pair.client.socket.send_text("from the client").unwrap();
            pair.server.socket.send_text("from the server").unwrap();
            let now = now(&pair);
            if closes_first != "server" {
                pair.client.socket.close(now, CloseCode::new(3001), "").unwrap();
            }
            if closes_first != "client" {
                pair.server.socket.close(now, CloseCode::new(3002), "").unwrap();
            }
            pair.wind_down().unwrap();
            let (up, down) = match closes_first {
                "client" => (3001, 3001),
                "server" => (3002, 3002),
                _ => (3001, 3002),
            };
            let cause = |own: bool| if own { Cause::Local } else { Cause::Peer };
            let client = closed(cause(closes_first != "server"), CloseCode::new(down), true);
            let server = closed(cause(closes_first != "client"), CloseCode::new(up), true);
            assert_eq!((pair.client.closed, pair.server.closed), (client, server), "{closes_first} first");
            let received = |text: &str, code| vec![OwnedEvent::text(text), OwnedEvent::close(code, "")];
            assert_eq!(pair.client.events, received("from the server", down));
            assert_eq!(pair.server.events, received("from the client", up));
            assert!(pair.now < SECOND, "no timeout was waited for");
        }
    }
}

#[test]
fn a_close_that_is_never_answered_ends_after_its_timeout() {
    let mut pair = Pair::new(1, &Config::default(), &Negotiated::default(), &Faults::default());
    pair.up.cut(0, FailureKind::Silence);
    pair.client.socket.close(now(&pair), CloseCode::NORMAL, "").unwrap();
    pair.sleep_until(5 * SECOND - 1).unwrap();
    assert_eq!(pair.client.closed, None);
    pair.sleep_until(5 * SECOND).unwrap();
    assert_eq!(pair.client.closed, closed(Cause::Local, CloseCode::ABNORMAL, false));
}

#[test]
fn each_way_to_lose_the_transport_is_reported_once_at_both_ends() {
    for (kind, cause) in
        [(FailureKind::Eof, Cause::Eof), (FailureKind::Reset, Cause::Lost), (FailureKind::Silence, Cause::Unresponsive)]
    {
        let mut pair = Pair::new(1, &Config::default(), &Negotiated::default(), &Faults::default());
        pair.up.cut(0, kind);
        pair.down.cut(0, kind);
        pair.wind_down().unwrap();
        let expected = closed(cause, CloseCode::ABNORMAL, false);
        assert_eq!((pair.client.closed, pair.server.closed), (expected, expected), "{kind:?}");
    }
}

#[test]
fn a_quiet_connection_is_kept_alive_by_pings() {
    let mut pair = Pair::new(1, &Config::default(), &Negotiated::default(), &rough());
    pair.sleep_until(3_600 * SECOND).unwrap();
    assert_eq!((pair.client.closed, pair.server.closed), (None, None));
    let pings = pair.client.events.iter().filter(|event| matches!(event, OwnedEvent::Ping(_))).count();
    assert!((50..=120).contains(&pings), "{pings}");
}

#[test]
fn without_keep_alive_a_quiet_connection_has_no_deadline() {
    let config = Config::new().keep_alive(KeepAlive::OFF);
    let mut pair = Pair::new(1, &config, &Negotiated::default(), &Faults::default());
    pair.settle().unwrap();
    assert_eq!(pair.next_due(), None);
}

#[test]
fn a_violation_is_answered_and_its_reason_arrives_although_the_other_end_goes_on_sending() {
    let config = Config::new().max_message_len(100);
    for seed in 0..10 {
        let mut pair = Pair::new(seed, &config, &Negotiated::default(), &rough());
        pair.server.socket.send_text(&"x".repeat(101)).unwrap();
        for _ in 0..10 {
            pair.server.socket.send_text(&"y".repeat(100)).unwrap();
        }
        pair.wind_down().unwrap();
        assert!(matches!(pair.client.closed, Some(Closed { cause: Cause::Violation(_), .. })));
        assert_eq!(pair.client.events, []);
        assert_eq!(pair.server.events, [OwnedEvent::close(1009, "")]);
        assert_eq!(pair.server.closed, closed(Cause::Peer, CloseCode::TOO_BIG, true));
    }
}

#[test]
fn f_05_f_06_no_live_peer_is_called_dead_on_slow_lines_by_processes_that_were_stopped() {
    for seed in 0..20 {
        deadlines::live_socket(seed).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
    }
}

#[test]
fn a_dead_peer_is_found_in_time_whatever_waits_for_it() {
    for seed in 0..30 {
        deadlines::dead_socket(seed).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
    }
}
