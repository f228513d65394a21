//! Keep-alive (`protocol.md`, Keep-alive) and the contract of every deadline.

use std::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::websocket::{Cause, Config, Role, State};

use multiwa_ws_testkit::endpoint::Endpoint;
use multiwa_ws_testkit::event::OwnedEvent;
use multiwa_ws_testkit::wire::{BINARY, CONTINUATION, FIN, PING, PONG, TEXT, close_to, frame_to, header_to};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An endpoint with the default periods: 30 s without input, 10 s for the answer.
fn endpoint(role: Role) -> Endpoint {
    Endpoint::with(role, &Config::default())
}

/// Sleeps exactly until the next deadline, like a driver, and returns the time that this took.
fn sleep(endpoint: &mut Endpoint) -> Option<Duration> {
    let deadline = endpoint.ws.poll_timeout()?;
    let slept = deadline.saturating_duration_since(endpoint.now);
    endpoint.now = endpoint.now.max(deadline);
    endpoint.ws.handle_timeout(endpoint.now);
    Some(slept)
}

twins! {
    fn a_silent_peer_is_pinged_and_then_lost(role: Role) {
        let mut endpoint = endpoint(role);
        assert_eq!(sleep(&mut endpoint), Some(seconds(30)));
        let sent = endpoint.sent_parts();
        assert!(matches!(sent[..], [(first, _)] if first == FIN | PING), "{sent:?}");
        assert_eq!(sleep(&mut endpoint), Some(seconds(10)));
        assert_eq!(endpoint.sent_parts(), []);
        endpoint.assert_closed(Cause::Unresponsive, 1006, false);
    }

    fn a_pong_restarts_the_wait_and_gives_the_round_trip(role: Role) {
        let mut endpoint = endpoint(role);
        sleep(&mut endpoint);
        let (_, payload) = endpoint.sent_parts().remove(0);
        assert_eq!(endpoint.ws.sender().round_trip(), None);
        endpoint.now += Duration::from_millis(70);
        assert_eq!(endpoint.feed(&frame_to(role, FIN | PONG, &payload)), [OwnedEvent::Pong(payload)]);
        assert_eq!(endpoint.ws.sender().round_trip(), Some(Duration::from_millis(70)));
        assert_eq!(sleep(&mut endpoint), Some(seconds(30)));
        assert_eq!((endpoint.sent().len(), endpoint.ws.state()), (1, State::Open));
    }

    fn each_keep_alive_ping_has_a_payload_of_its_own(role: Role) {
        let mut endpoint = endpoint(role);
        let mut seen = Vec::new();
        for _ in 0..5 {
            sleep(&mut endpoint);
            let (_, payload) = endpoint.sent_parts().remove(0);
            assert!(!seen.contains(&payload));
            endpoint.feed(&frame_to(role, FIN | PONG, &payload));
            seen.push(payload);
        }
    }

    fn a_pong_of_another_ping_shows_life_but_gives_no_round_trip(role: Role) {
        let mut endpoint = endpoint(role);
        sleep(&mut endpoint);
        endpoint.now += seconds(1);
        endpoint.feed(&frame_to(role, FIN | PONG, b"other"));
        assert_eq!(endpoint.ws.sender().round_trip(), None);
        assert_eq!(sleep(&mut endpoint), Some(seconds(30)));
        assert_eq!(endpoint.ws.state(), State::Open);
    }

    fn any_traffic_restarts_the_wait_for_the_next_ping(role: Role) {
        let mut endpoint = endpoint(role);
        for bytes in [
            frame_to(role, FIN | TEXT, b"a"),
            frame_to(role, FIN | PING, b""),
            frame_to(role, TEXT, b"a"),
            frame_to(role, CONTINUATION, b""),
            header_to(role, FIN, 5)[..1].to_vec(),
        ] {
            endpoint.pass(29);
            endpoint.feed(&bytes);
            assert!(endpoint.ws.poll_timeout().unwrap() > endpoint.now + seconds(1));
        }
        assert!(endpoint.sent_parts().iter().all(|(first, _)| *first != FIN | PING));
    }

    fn bytes_that_keep_arriving_extend_the_wait_for_a_pong(role: Role) {
        let mut endpoint = Endpoint::with(role, &Config::new().message_timeout(None));
        sleep(&mut endpoint);
        endpoint.feed(&header_to(role, FIN | BINARY, 100));
        for _ in 0..99 {
            endpoint.pass(9);
            assert_eq!(endpoint.feed(b"x"), []);
            assert_eq!(endpoint.ws.state(), State::Open);
        }
        assert_eq!(sleep(&mut endpoint), Some(seconds(10)));
        endpoint.assert_closed(Cause::Unresponsive, 1006, false);
    }

    fn an_input_without_bytes_is_no_traffic(role: Role) {
        let mut endpoint = endpoint(role);
        endpoint.pass(29);
        endpoint.feed(&[]);
        assert_eq!(sleep(&mut endpoint), Some(seconds(1)));
        assert_eq!(endpoint.sent().len(), 1);
    }

    fn time_in_which_we_do_not_read_counts_for_no_wait(role: Role) {
        for answered in [true, false] {
            let mut endpoint = endpoint(role);
            let left = if answered {
                endpoint.pass(20);
                seconds(10)
            } else {
                endpoint.pass(30);
                endpoint.flush();
                endpoint.pass(4);
                seconds(6)
            };
            let sent = endpoint.sent().len();
            endpoint.ws.reading_paused(endpoint.now);
            assert_eq!(endpoint.ws.poll_timeout(), None);
            endpoint.pass(10_000);
            assert_eq!((endpoint.ws.state(), endpoint.sent().len()), (State::Open, 0));
            endpoint.ws.reading_resumed(endpoint.now);
            assert_eq!(endpoint.ws.poll_timeout(), Some(endpoint.now + left), "after {sent} pings");
        }
    }

    fn of_a_pause_only_what_lies_after_the_last_byte_is_added_to_a_wait(role: Role) {
        let mut endpoint = endpoint(role);
        endpoint.ws.reading_paused(endpoint.now);
        endpoint.pass(1000);
        // Bytes that the caller had read before the pause.
        endpoint.feed(&frame_to(role, FIN | TEXT, b"a"));
        endpoint.pass(5);
        endpoint.ws.reading_resumed(endpoint.now);
        assert_eq!(endpoint.ws.poll_timeout(), Some(endpoint.now + seconds(30)));
    }

    fn a_pause_in_which_the_peer_closed_does_not_count_against_the_closing_handshake(role: Role) {
        for ending in [close_to(role, 1000, ""), vec![FIN | 0x3]] {
            let mut endpoint = endpoint(role);
            // Bytes of the same read as the event that the caller still processes.
            endpoint.ws.reading_paused(endpoint.now);
            endpoint.feed(&ending);
            endpoint.now += seconds(1000);
            endpoint.ws.reading_resumed(endpoint.now);
            assert_eq!(endpoint.ws.poll_timeout(), Some(endpoint.now + seconds(5)));
        }
    }

    fn a_pause_does_not_put_off_the_end_while_messages_may_still_come(role: Role) {
        let mut endpoint = endpoint(role);
        let closing = endpoint.now;
        endpoint.close(1000);
        endpoint.ws.reading_paused(endpoint.now);
        endpoint.pass(3);
        endpoint.ws.reading_resumed(endpoint.now);
        assert_eq!(endpoint.ws.poll_timeout(), Some(closing + seconds(5)));
    }

    fn a_closing_connection_is_not_pinged(role: Role) {
        let mut endpoint = Endpoint::with(role, &Config::new().close_timeout(seconds(1000)));
        endpoint.close(1000);
        endpoint.flush();
        assert_eq!(sleep(&mut endpoint), Some(seconds(1000)));
        assert_eq!(endpoint.sent().len(), 1);
        endpoint.assert_closed(Cause::Local, 1006, false);
    }

    fn without_an_interval_there_is_no_ping_and_without_a_timeout_no_loss(role: Role) {
        let config = |keep_alive| Config::new().keep_alive(keep_alive);
        let mut endpoint = Endpoint::with(role, &config(KeepAlive::new().interval(None).timeout(seconds(10))));
        assert_eq!(sleep(&mut endpoint), None);
        let mut endpoint = Endpoint::with(role, &config(KeepAlive::new().interval(seconds(30)).timeout(None)));
        assert_eq!(sleep(&mut endpoint), Some(seconds(30)));
        assert_eq!(endpoint.sent().len(), 1);
        assert_eq!(sleep(&mut endpoint), None);
        endpoint.pass(10_000);
        assert_eq!(endpoint.ws.state(), State::Open);
    }

    fn a_timeout_that_comes_early_does_nothing(role: Role) {
        let mut endpoint = endpoint(role);
        endpoint.feed(&frame_to(role, TEXT, b"under way"));
        let deadline = endpoint.ws.poll_timeout().unwrap();
        for nanos in [endpoint.now.as_nanos(), deadline.as_nanos() / 2, deadline.as_nanos() - 1] {
            endpoint.ws.handle_timeout(Instant::from_nanos(nanos));
            assert_eq!(endpoint.ws.poll_timeout(), Some(deadline));
            assert_eq!((endpoint.transmit(usize::MAX), endpoint.closed()), (0, None));
        }
    }

    fn a_timeout_that_is_due_moves_the_deadline_or_ends_the_connection(role: Role) {
        let periods = [None, Some(Duration::ZERO), Some(seconds(1)), Some(Duration::MAX)];
        for interval in periods {
            for timeout in periods {
                for message_timeout in periods {
                    for close_timeout in periods.into_iter().flatten() {
                        let keep_alive = KeepAlive::new().interval(interval).timeout(timeout);
                        let config = Config::new().keep_alive(keep_alive).message_timeout(message_timeout).close_timeout(close_timeout);
                        let mut endpoint = Endpoint::with(role, &config);
                        endpoint.feed(&frame_to(role, TEXT, b"under way"));
                        let mut steps = 0;
                        while let Some(slept) = sleep(&mut endpoint) {
                            steps += 1;
                            // One ping, one message and one close deadline at most.
                            assert!(steps <= 3, "{config:?} spins, last {slept:?}");
                        }
                    }
                }
            }
        }
    }

    fn time_that_runs_backwards_is_the_latest_time_passed(role: Role) {
        let mut endpoint = endpoint(role);
        endpoint.pass(20);
        let past = Instant::default();
        let deadline = endpoint.ws.poll_timeout();
        endpoint.ws.handle_timeout(past);
        assert_eq!(endpoint.ws.poll_timeout(), deadline);
        let now = std::mem::replace(&mut endpoint.now, past);
        endpoint.feed(&frame_to(role, TEXT, b"a"));
        assert_eq!(endpoint.ws.poll_timeout(), Some(now + seconds(30)));
        endpoint.ws.reading_paused(past);
        endpoint.ws.reading_resumed(past);
        assert_eq!(endpoint.ws.poll_timeout(), Some(now + seconds(30)));
        endpoint.close(1000);
        assert_eq!(endpoint.ws.poll_timeout(), Some(now + seconds(5)));
    }

    fn at_the_end_of_time_every_deadline_is_due_and_nothing_overflows(role: Role) {
        let mut endpoint = endpoint(role);
        endpoint.now = Instant::from_nanos(u64::MAX);
        endpoint.ws.handle_timeout(endpoint.now);
        assert_eq!(endpoint.sent().len(), 1);
        endpoint.ws.reading_paused(endpoint.now);
        endpoint.ws.reading_resumed(endpoint.now);
        endpoint.ws.handle_timeout(endpoint.now);
        endpoint.assert_closed(Cause::Unresponsive, 1006, false);
    }
}
