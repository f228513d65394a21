//! Section 7: how a connection ends, from each side, in order and out of order.

use std::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::frame::{CloseCode, FrameError};
use multiwa_ws_core::websocket::{Cause, Config, ProtocolError, Role, SendError, SharedMessage, State};

use multiwa_ws_testkit::endpoint::{Endpoint, untimed};
use multiwa_ws_testkit::event::OwnedEvent;
use multiwa_ws_testkit::wire::{BINARY, CLOSE, FIN, PONG, TEXT, close_body, close_to, frame_to};

const VIOLATION: Cause = Cause::Violation(ProtocolError::Frame(FrameError::ReservedOpcode));

/// Breaks a rule: opcode 3.
const BROKEN: [u8; 1] = [FIN | 0x3];

/// An endpoint in `state`, with the cause, code and cleanness of its `Closed` event if it ends there.
fn reach(state: State, role: Role) -> (Endpoint, Option<Cause>, u16, bool) {
    let mut endpoint = Endpoint::new(role);
    let ends = match (state, role) {
        (State::Open, _) => (None, 1006, false),
        (State::Closing, _) => {
            endpoint.close(1000);
            (Some(Cause::Local), 1006, false)
        }
        (State::Flushing, _) => {
            endpoint.feed(&close_to(role, 1001, ""));
            (Some(Cause::Peer), 1001, false)
        }
        (State::Failing, _) => {
            endpoint.feed(&BROKEN);
            (Some(VIOLATION), 1006, false)
        }
        (State::FlushingLast, _) => {
            endpoint.feed(&close_to(role, 1001, ""));
            endpoint.eof();
            (Some(Cause::Peer), 1001, false)
        }
        (State::ShuttingDown, Role::Client) => {
            endpoint.feed(&BROKEN);
            endpoint.flush();
            (Some(VIOLATION), 1006, false)
        }
        (State::ShuttingDown, Role::Server) | (State::Lingering, Role::Client) => {
            endpoint.feed(&close_to(role, 1001, ""));
            endpoint.flush();
            (Some(Cause::Peer), 1001, true)
        }
        (State::Lingering, Role::Server) => {
            endpoint.feed(&close_to(role, 1001, ""));
            endpoint.flush();
            endpoint.ws.shutdown_done();
            (Some(Cause::Peer), 1001, true)
        }
        (State::Closed, _) => {
            endpoint.ws.handle_lost(endpoint.now);
            (Some(Cause::Lost), 1006, false)
        }
    };
    assert_eq!(endpoint.ws.state(), state);
    (endpoint, ends.0, ends.1, ends.2)
}

/// Each state, in order.
const STATES: [State; 8] = [
    State::Open,
    State::Closing,
    State::Flushing,
    State::Failing,
    State::FlushingLast,
    State::ShuttingDown,
    State::Lingering,
    State::Closed,
];

/// Each state except the last one, in which nothing happens any more.
fn live_states() -> impl Iterator<Item = State> {
    STATES.into_iter().filter(|state| *state != State::Closed)
}

/// Does the rest of a normal end: the server closes the transport, and the client waits for it.
#[track_caller]
fn end_in_order(endpoint: &mut Endpoint) {
    let unwritten = endpoint.ws.sender().queued() > 0;
    assert!(!(unwritten && endpoint.ws.poll_shutdown()), "our Close frame is to be written first");
    endpoint.flush();
    assert_eq!(endpoint.ws.poll_shutdown(), endpoint.role == Role::Server);
    endpoint.ws.shutdown_done();
    assert_eq!(endpoint.ws.state(), State::Lingering);
    assert!(!endpoint.ws.poll_shutdown());
    assert_eq!(endpoint.closed(), None);
    endpoint.eof();
}

twins! {
    fn rfc6455_7_1_2_a_close_of_ours_is_clean_once_the_peer_has_answered(role: Role) {
        let mut endpoint = Endpoint::new(role);
        endpoint.ws.close(endpoint.now, CloseCode::GOING_AWAY, "until later").unwrap();
        assert_eq!(endpoint.sent_parts(), [(FIN | CLOSE, close_body(1001, "until later"))]);
        assert_eq!(endpoint.ws.state(), State::Closing);
        assert!(!endpoint.ws.poll_shutdown());
        assert_eq!(endpoint.feed(&close_to(role, 1001, "")), [OwnedEvent::close(1001, "")]);
        end_in_order(&mut endpoint);
        assert_eq!(endpoint.sent_parts(), []);
        endpoint.assert_closed(Cause::Local, 1001, true);
    }

    fn rfc6455_7_1_3_a_close_of_the_peer_is_clean_once_our_answer_is_written(role: Role) {
        let mut endpoint = Endpoint::new(role);
        assert_eq!(endpoint.feed(&close_to(role, 4000, "bye")), [OwnedEvent::close(4000, "bye")]);
        end_in_order(&mut endpoint);
        assert_eq!(endpoint.sent_parts(), [(FIN | CLOSE, close_body(4000, ""))]);
        endpoint.assert_closed(Cause::Peer, 4000, true);
    }

    fn rfc6455_7_1_5_a_close_frame_without_a_code_is_reported_as_1005(role: Role) {
        let mut endpoint = Endpoint::new(role);
        assert_eq!(endpoint.feed(&frame_to(role, FIN | CLOSE, b"")), [OwnedEvent::Close(None)]);
        end_in_order(&mut endpoint);
        assert_eq!(endpoint.sent_parts(), [(FIN | CLOSE, vec![])]);
        endpoint.assert_closed(Cause::Peer, 1005, true);
    }

    fn rfc6455_7_1_3_when_both_close_at_once_neither_answers(role: Role) {
        let mut endpoint = Endpoint::new(role);
        endpoint.close(1000);
        assert_eq!(endpoint.feed(&close_to(role, 1001, "")), [OwnedEvent::close(1001, "")]);
        end_in_order(&mut endpoint);
        assert_eq!(endpoint.sent_parts(), [(FIN | CLOSE, close_body(1000, ""))]);
        endpoint.assert_closed(Cause::Local, 1001, true);
    }

    fn rfc6455_5_5_1_messages_still_arrive_after_our_close_frame(role: Role) {
        let mut endpoint = Endpoint::new(role);
        endpoint.close(1000);
        endpoint.flush();
        assert_eq!(endpoint.feed(&frame_to(role, FIN | TEXT, b"late")), [OwnedEvent::text("late")]);
        assert_eq!(endpoint.feed(&close_to(role, 1000, "")), [OwnedEvent::close(1000, "")]);
    }

    fn rfc6455_5_5_1_what_was_sent_before_goes_out_before_the_close_frame(role: Role) {
        let mut endpoint = Endpoint::new(role);
        endpoint.ws.send_text("first").unwrap();
        endpoint.ws.sender().send_shared(&SharedMessage::binary(&[1; 300])).unwrap();
        endpoint.feed(&close_to(role, 1000, ""));
        assert_eq!(
            endpoint.sent_parts(),
            [
                (FIN | TEXT, b"first".into()),
                (FIN | BINARY, vec![1; 300]),
                (FIN | CLOSE, close_body(1000, "")),
            ],
        );
    }

    fn rfc6455_5_5_1_nothing_can_be_sent_after_a_close_frame(role: Role) {
        for state in STATES.into_iter().filter(|state| *state != State::Open) {
            let (mut endpoint, ..) = reach(state, role);
            endpoint.flush();
            let written = endpoint.wire.len();
            let now = endpoint.now;
            let mut out = endpoint.ws.sender();
            for refused in [
                out.send_text("a"),
                out.send_binary(b"a"),
                out.send_shared(&SharedMessage::text("a")),
                out.send_fragment(multiwa_ws_core::websocket::Message::Text("a"), true),
                out.ping(b""),
                out.pong(b""),
                out.close(now, CloseCode::NORMAL, ""),
            ] {
                assert_eq!(refused, Err(SendError::Closed));
            }
            endpoint.flush();
            assert_eq!(endpoint.wire.len(), written);
        }
    }

    fn rfc6455_5_5_1_the_write_side_stays_open_to_the_last_byte_of_the_close_frame(role: Role) {
        let mut endpoint = Endpoint::new(role);
        endpoint.feed(&close_to(role, 1000, ""));
        while endpoint.ws.sender().queued() > 0 {
            assert!(!endpoint.ws.poll_shutdown());
            assert_eq!((endpoint.ws.state(), endpoint.transmit(1)), (State::Flushing, 1));
        }
        assert_eq!(endpoint.ws.poll_shutdown(), role == Role::Server);
    }

    fn rfc6455_7_1_7_a_violation_ends_with_a_close_frame_and_a_shutdown_by_either_role(role: Role) {
        let mut endpoint = Endpoint::new(role);
        assert_eq!(endpoint.feed(&BROKEN), [OwnedEvent::Failed(FrameError::ReservedOpcode.into())]);
        assert!(!endpoint.ws.poll_shutdown());
        assert_eq!(endpoint.sent_parts(), [(FIN | CLOSE, close_body(1002, ""))]);
        assert!(endpoint.ws.poll_shutdown());
        endpoint.ws.shutdown_done();
        assert_eq!(endpoint.closed(), None);
        endpoint.eof();
        endpoint.assert_closed(VIOLATION, 1006, false);
    }

    fn rfc6455_7_1_7_a_violation_while_we_close_sends_no_second_close_frame(role: Role) {
        let mut endpoint = Endpoint::new(role);
        endpoint.close(1000);
        assert_eq!(endpoint.feed(&BROKEN), [OwnedEvent::Failed(FrameError::ReservedOpcode.into())]);
        assert_eq!(endpoint.sent_parts(), [(FIN | CLOSE, close_body(1000, ""))]);
        assert!(endpoint.ws.poll_shutdown());
        endpoint.ws.shutdown_done();
        endpoint.eof();
        endpoint.assert_closed(Cause::Local, 1006, false);
    }

    fn rfc6455_7_1_5_an_end_of_the_transport_in_each_state_is_the_end_or_waits_for_our_close_frame(role: Role) {
        for state in live_states() {
            let (mut endpoint, cause, code, clean) = reach(state, role);
            endpoint.eof();
            match state {
                // The peer may still read: our Close frame is sent and completes the handshake.
                State::Flushing | State::Failing | State::FlushingLast => {
                    assert_eq!(endpoint.ws.state(), State::FlushingLast);
                    assert_eq!(endpoint.closed(), None);
                    assert_eq!(endpoint.sent().len(), 1);
                    endpoint.assert_closed(cause.unwrap(), code, code == 1001);
                }
                _ => endpoint.assert_closed(cause.unwrap_or(Cause::Eof), code, clean),
            }
        }
    }

    fn a_lost_transport_ends_the_connection_in_each_state_and_keeps_the_first_cause(role: Role) {
        for state in live_states() {
            let (mut endpoint, cause, code, clean) = reach(state, role);
            endpoint.ws.handle_lost(endpoint.now);
            endpoint.assert_closed(cause.unwrap_or(Cause::Lost), code, clean);
        }
    }

    fn an_abort_ends_the_connection_in_each_state_and_sends_nothing_more(role: Role) {
        for state in live_states() {
            let (mut endpoint, cause, code, clean) = reach(state, role);
            endpoint.ws.abort(endpoint.now);
            assert_eq!(endpoint.transmit(usize::MAX), 0);
            endpoint.assert_closed(cause.unwrap_or(Cause::Aborted), code, clean);
        }
    }

    fn a_closing_handshake_ends_at_its_deadline_in_each_state(role: Role) {
        for state in live_states().filter(|state| *state != State::Open) {
            let (mut endpoint, cause, code, clean) = reach(state, role);
            let deadline = endpoint.now + Config::default().get_close_timeout();
            assert_eq!(endpoint.ws.poll_timeout(), Some(deadline), "{state:?}");
            endpoint.now = Instant::from_nanos(deadline.as_nanos() - 1);
            endpoint.ws.handle_timeout(endpoint.now);
            assert_eq!((endpoint.ws.state(), endpoint.closed()), (state, None));
            endpoint.now = deadline;
            endpoint.ws.handle_timeout(endpoint.now);
            endpoint.assert_closed(cause.unwrap(), code, clean);
        }
    }

    fn the_deadline_of_a_close_does_not_move_whatever_happens_meanwhile(role: Role) {
        let mut endpoint = Endpoint::new(role);
        endpoint.close(1000);
        endpoint.flush();
        let deadline = endpoint.ws.poll_timeout();
        assert_eq!(deadline, Some(endpoint.now + Duration::from_secs(5)));
        endpoint.pass(1);
        endpoint.feed(&frame_to(role, TEXT, b"still talking"));
        endpoint.ws.reading_paused(endpoint.now);
        endpoint.pass(1);
        assert_eq!(endpoint.ws.poll_timeout(), deadline);
        endpoint.ws.reading_resumed(endpoint.now);
        endpoint.feed(&frame_to(role, FIN | PONG, b""));
        endpoint.pass(1);
        endpoint.feed(&close_to(role, 1000, ""));
        assert_eq!(endpoint.ws.poll_timeout(), deadline);
        endpoint.ws.shutdown_done();
        assert_eq!(endpoint.ws.poll_timeout(), deadline);
        endpoint.pass(2);
        endpoint.assert_closed(Cause::Local, 1000, true);
    }

    fn f_05_the_deadline_of_a_close_begins_when_its_frame_was_written(role: Role) {
        let mut endpoint = Endpoint::new(role);
        endpoint.ws.send_binary(&[0; 100_000]).unwrap();
        endpoint.close(1000);
        for _ in 0..25 {
            endpoint.pass(4);
            endpoint.transmit(4_000);
            assert_eq!(endpoint.ws.state(), State::Closing);
        }
        endpoint.flush();
        assert_eq!(endpoint.ws.poll_timeout(), Some(endpoint.now + Duration::from_secs(5)));
        endpoint.pass(5);
        endpoint.assert_closed(Cause::Local, 1006, false);
    }

    fn a_peer_that_broke_a_rule_does_not_put_the_end_off_by_reading_slowly(role: Role) {
        let mut endpoint = Endpoint::new(role);
        endpoint.ws.send_binary(&[0; 100_000]).unwrap();
        endpoint.feed(&frame_to(role, 0x83, b""));
        endpoint.pass(4);
        endpoint.transmit(4_000);
        endpoint.pass(1);
        assert_eq!(endpoint.ws.state(), State::Closed);
    }

    fn a_close_that_is_never_written_ends_at_its_deadline_too(role: Role) {
        let mut endpoint = Endpoint::new(role);
        endpoint.ws.send_binary(&[0; 100_000]).unwrap();
        endpoint.close(1000);
        endpoint.feed(&close_to(role, 1000, ""));
        endpoint.transmit(50_000);
        endpoint.pass(5);
        endpoint.assert_closed(Cause::Local, 1000, false);
    }

    fn a_close_timeout_without_length_ends_the_connection_at_once(role: Role) {
        let mut endpoint = Endpoint::with(role, &untimed().close_timeout(Duration::ZERO));
        endpoint.close(1000);
        assert_eq!(endpoint.ws.poll_timeout(), Some(endpoint.now));
        endpoint.pass(0);
        endpoint.assert_closed(Cause::Local, 1006, false);
    }

    fn a_shutdown_that_nobody_asked_for_changes_nothing(role: Role) {
        for state in live_states().filter(|state| *state != State::ShuttingDown) {
            let (mut endpoint, ..) = reach(state, role);
            endpoint.ws.shutdown_done();
            assert_eq!(endpoint.ws.state(), state);
        }
    }

    fn the_other_side_of_a_close_may_be_drawn_out_byte_by_byte(role: Role) {
        let mut endpoint = Endpoint::new(role);
        endpoint.close(1000);
        let close = close_to(role, 1000, "a reason");
        for byte in &close[..close.len() - 1] {
            assert_eq!(endpoint.feed(&[*byte]), []);
            assert_eq!(endpoint.ws.state(), State::Closing);
        }
        assert_eq!(endpoint.feed(&close[close.len() - 1..]), [OwnedEvent::close(1000, "a reason")]);
        end_in_order(&mut endpoint);
        endpoint.assert_closed(Cause::Local, 1000, true);
    }

    fn rfc6455_7_1_5_a_close_frame_that_the_transport_cut_off_does_not_count(role: Role) {
        let mut endpoint = Endpoint::new(role);
        let close = close_to(role, 1000, "");
        endpoint.feed(&close[..close.len() - 1]);
        endpoint.eof();
        endpoint.assert_closed(Cause::Eof, 1006, false);
    }
}

/// Passes the bytes that one endpoint wrote to the other.
fn carry(from: &mut Endpoint, to: &mut Endpoint) -> Vec<OwnedEvent> {
    let sent = from.wire.len();
    from.flush();
    let bytes = from.wire[sent..].to_vec();
    to.feed(&bytes)
}

#[test]
fn rfc6455_7_1_1_two_of_our_own_end_with_the_server_closing_first() {
    for closer in [Role::Client, Role::Server] {
        let (mut client, mut server) = (Endpoint::new(Role::Client), Endpoint::new(Role::Server));
        let first = if closer == Role::Client { &mut client } else { &mut server };
        first.close(1000);
        carry(&mut client, &mut server);
        carry(&mut server, &mut client);
        carry(&mut client, &mut server);
        assert!(server.ws.poll_shutdown() && !client.ws.poll_shutdown());
        server.ws.shutdown_done();
        client.eof();
        let causes = if closer == Role::Client { (Cause::Local, Cause::Peer) } else { (Cause::Peer, Cause::Local) };
        client.assert_closed(causes.0, 1000, true);
        // The client closed the transport.
        server.eof();
        server.assert_closed(causes.1, 1000, true);
    }
}
