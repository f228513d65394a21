//! Section 10.4: each limit at its value, one past it, and with empty fragments.

use std::time::Duration;

use bytes::Bytes;
use multiwa_ws_core::Instant;
use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::frame::FrameError;
use multiwa_ws_core::websocket::{Cause, Config, Message, ProtocolError, Role, SendError, SharedMessage, State};

use multiwa_ws_testkit::endpoint::{Endpoint, events_in_any_split, untimed};
use multiwa_ws_testkit::event::OwnedEvent;
use multiwa_ws_testkit::wire::{
    BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, close_body, close_to, frame_to, header_to,
};

fn receives(role: Role, config: &Config, frames: &[(u8, &[u8])]) -> Vec<OwnedEvent> {
    let bytes: Vec<u8> = frames.iter().flat_map(|(first, payload)| frame_to(role, *first, payload)).collect();
    events_in_any_split(|| Endpoint::with(role, config), &bytes).0
}

fn failed(error: impl Into<ProtocolError>) -> OwnedEvent {
    OwnedEvent::Failed(error.into())
}

/// The longest header, which is counted for each queued frame.
const HEADER: usize = 14;

twins! {
    fn a_message_at_the_limit_passes_and_one_byte_more_does_not(role: Role) {
        let config = untimed().max_message_len(300);
        let (at, past) = (&[b'x'; 300][..], &[b'x'; 301][..]);
        for kind in [TEXT, BINARY] {
            let events = if kind == TEXT { OwnedEvent::Text("x".repeat(300)) } else { OwnedEvent::Binary(at.into()) };
            let passes: [&[(u8, &[u8])]; 4] = [
                &[(FIN | kind, at)],
                &[(kind, at), (FIN, b"")],
                &[(kind, b""), (CONTINUATION, b""), (FIN, at)],
                &[(kind, &at[..150]), (FIN, &at[150..])],
            ];
            for frames in passes {
                assert_eq!(receives(role, &config, frames), std::slice::from_ref(&events));
            }
            let refused = [failed(ProtocolError::MessageTooLarge)];
            assert_eq!(receives(role, &config, &[(FIN | kind, past)]), refused);
            assert_eq!(receives(role, &config, &[(kind, past)]), refused);
            assert_eq!(receives(role, &config, &[(kind, at), (FIN, b"x")]), refused);
            assert_eq!(receives(role, &config, &[(kind, &at[..150]), (FIN, &past[150..])]), refused);
        }
    }

    fn a_message_limit_of_nothing_lets_empty_messages_pass(role: Role) {
        let config = untimed().max_message_len(0);
        assert_eq!(receives(role, &config, &[(FIN | TEXT, b""), (TEXT, b""), (FIN, b"")]), [OwnedEvent::text(""), OwnedEvent::text("")]);
        assert_eq!(receives(role, &config, &[(FIN | TEXT, b"x")]), [failed(ProtocolError::MessageTooLarge)]);
        assert_eq!(receives(role, &config, &[(TEXT, b""), (FIN, b"x")]), [failed(ProtocolError::MessageTooLarge)]);
    }

    fn the_limit_for_one_message_is_whole_again_for_the_next(role: Role) {
        let config = untimed().max_message_len(3).max_fragments(2);
        let frames: [(u8, &[u8]); 4] = [(TEXT, b"a"), (FIN, b"bc"), (TEXT, b"de"), (FIN, b"f")];
        assert_eq!(receives(role, &config, &frames), [OwnedEvent::text("abc"), OwnedEvent::text("def")]);
    }

    fn a_message_over_the_limit_is_refused_at_the_header_that_announces_it(role: Role) {
        let config = untimed().max_message_len(1000);
        let mut endpoint = Endpoint::with(role, &config);
        assert_eq!(endpoint.feed(&header_to(role, FIN | BINARY, 1001)), [failed(ProtocolError::MessageTooLarge)]);
        assert_eq!(endpoint.sent_parts(), [(FIN | CLOSE, close_body(1009, ""))]);
        let mut endpoint = Endpoint::with(role, &config);
        endpoint.feed(&frame_to(role, BINARY, &[0; 999]));
        assert_eq!(endpoint.feed(&header_to(role, CONTINUATION, 2)), [failed(ProtocolError::MessageTooLarge)]);
    }

    fn a_frame_at_the_limit_passes_and_one_byte_more_does_not(role: Role) {
        let config = untimed().max_frame_len(300);
        assert_eq!(receives(role, &config, &[(FIN | BINARY, &[1; 300])]), [OwnedEvent::Binary(vec![1; 300])]);
        assert_eq!(receives(role, &config, &[(BINARY, &[1; 300]), (FIN, &[1; 300])]), [OwnedEvent::Binary(vec![1; 600])]);
        assert_eq!(receives(role, &config, &[(FIN | BINARY, &[1; 301])]), [failed(FrameError::TooLarge)]);
        assert_eq!(receives(role, &config, &[(BINARY, b""), (CONTINUATION, &[1; 301])]), [failed(FrameError::TooLarge)]);
        let mut endpoint = Endpoint::with(role, &config);
        assert_eq!(endpoint.feed(&header_to(role, FIN | BINARY, 301)), [failed(FrameError::TooLarge)]);
        assert_eq!(endpoint.sent_parts(), [(FIN | CLOSE, close_body(1009, ""))]);
    }

    fn as_many_fragments_as_the_limit_pass_and_one_more_does_not(role: Role) {
        let config = untimed().max_fragments(3);
        for piece in [&b""[..], b"x"] {
            let events = OwnedEvent::Binary(piece.repeat(3));
            assert_eq!(receives(role, &config, &[(BINARY, piece), (CONTINUATION, piece), (FIN, piece)]), [events]);
            let past = [(BINARY, piece), (CONTINUATION, piece), (CONTINUATION, piece), (FIN, piece)];
            assert_eq!(receives(role, &config, &past), [failed(ProtocolError::TooManyFragments)]);
        }
        let mut endpoint = Endpoint::with(role, &config);
        for first in [BINARY, CONTINUATION, CONTINUATION] {
            assert_eq!(endpoint.feed(&frame_to(role, first, b"")), []);
            // Control frames between them do not count.
            assert_eq!(endpoint.feed(&frame_to(role, FIN | PONG, b"")), [OwnedEvent::Pong(vec![])]);
        }
        assert_eq!(endpoint.feed(&header_to(role, CONTINUATION, 5)), [failed(ProtocolError::TooManyFragments)]);
        assert_eq!(endpoint.sent_parts(), [(FIN | CLOSE, close_body(1008, ""))]);
    }

    fn f_14_a_message_of_65_537_fragments_passes_the_default_limit(role: Role) {
        // The original Autobahn suite splits its cases 9.3.1 and 9.4.1 in this way: continuations of 64 bytes after a
        // text or binary frame.
        let config = untimed().max_message_len(5 << 20);
        for (kind, events) in [
            (TEXT, OwnedEvent::Text("x".repeat(65_537 * 64))),
            (BINARY, OwnedEvent::Binary(vec![b'x'; 65_537 * 64])),
        ] {
            let mut endpoint = Endpoint::with(role, &config);
            assert_eq!(endpoint.feed(&frame_to(role, kind, &[b'x'; 64])), []);
            assert_eq!(endpoint.feed(&frame_to(role, CONTINUATION, &[b'x'; 64]).repeat(65_535)), []);
            assert!(endpoint.feed(&frame_to(role, FIN | CONTINUATION, &[b'x'; 64])) == [events]);
        }
    }

    fn whole_messages_pass_when_fragments_are_not_wanted_at_all(role: Role) {
        for max_fragments in [0, 1] {
            let config = untimed().max_fragments(max_fragments);
            assert_eq!(receives(role, &config, &[(FIN | TEXT, b"whole")]), [OwnedEvent::text("whole")]);
            let refused = [failed(ProtocolError::TooManyFragments)];
            assert_eq!(receives(role, &config, &[(TEXT, b""), (FIN, b"")]), refused);
        }
    }

    fn the_queue_takes_what_fits_and_a_refused_send_changes_nothing(role: Role) {
        let shared = |payload: &[u8]| SharedMessage::from_bytes(Bytes::copy_from_slice(payload));
        type Send = fn(&mut Endpoint, &[u8]) -> Result<(), SendError>;
        let sends: [Send; 4] = [
            |endpoint, payload| endpoint.ws.send_text(std::str::from_utf8(payload).unwrap()),
            |endpoint, payload| endpoint.ws.send_binary(payload),
            |endpoint, payload| endpoint.ws.sender().send_shared(&SharedMessage::binary(payload)),
            |endpoint, payload| endpoint.ws.sender().send_fragment(Message::Binary(payload), true),
        ];
        let config = untimed().max_queued(1000 + HEADER);
        for send in sends {
            let mut endpoint = Endpoint::with(role, &config);
            let refused = Err(SendError::QueueFull { queued: 0, limit: 1000 + HEADER });
            assert_eq!(send(&mut endpoint, &[b'x'; 1001]), refused);
            assert_eq!(endpoint.ws.sender().queued(), 0);
            assert_eq!(send(&mut endpoint, &[b'x'; 1000]), Ok(()));
            let queued = endpoint.ws.sender().queued();
            assert_eq!(send(&mut endpoint, b""), Err(SendError::QueueFull { queued, limit: 1000 + HEADER }));
            assert_eq!(endpoint.sent().len(), 1);
            assert_eq!(send(&mut endpoint, b""), Ok(()));
        }
        let mut endpoint = Endpoint::with(role, &config);
        let refused = endpoint.ws.sender().send_shared(&shared(&[b'x'; 1001]));
        assert_eq!(refused, Err(SendError::QueueFull { queued: 0, limit: 1000 + HEADER }));
        assert_eq!(endpoint.ws.sender().send_shared(&shared(&[b'x'; 1000])), Ok(()));
    }

    fn a_refused_fragment_leaves_the_message_under_way_as_it_was(role: Role) {
        let mut endpoint = Endpoint::with(role, &untimed().max_queued(100));
        let mut out = endpoint.ws.sender();
        assert!(out.send_fragment(Message::Text(&"x".repeat(100)), false).is_err());
        out.send_text("no message is under way").unwrap();
        assert!(out.send_fragment(Message::Text(&"x".repeat(100)), false).is_err());
        endpoint.flush();
        let mut out = endpoint.ws.sender();
        out.send_fragment(Message::Text("a"), false).unwrap();
        assert!(out.send_fragment(Message::Text(&"x".repeat(100)), true).is_err());
        assert_eq!(out.send_text(""), Err(SendError::MessageUnderWay));
        out.send_fragment(Message::Text("b"), true).unwrap();
        assert_eq!(endpoint.sent_parts()[1..], [(TEXT, b"a".into()), (FIN | CONTINUATION, b"b".into())]);
    }

    fn pings_and_pongs_of_the_application_count_for_the_queue(role: Role) {
        let mut endpoint = Endpoint::with(role, &untimed().max_queued(50));
        let mut out = endpoint.ws.sender();
        out.ping(&[1; 36]).unwrap();
        assert!(matches!(out.ping(b""), Err(SendError::QueueFull { .. })));
        assert!(matches!(out.pong(b""), Err(SendError::QueueFull { .. })));
        assert_eq!(endpoint.sent().len(), 1);
    }

    fn a_close_and_the_answer_to_a_ping_fit_into_a_full_queue(role: Role) {
        let full = || {
            let mut endpoint = Endpoint::with(role, &untimed().max_queued(20));
            endpoint.ws.send_text("123456").unwrap();
            assert!(endpoint.ws.send_text("").is_err());
            endpoint
        };
        let mut endpoint = full();
        endpoint.feed(&frame_to(role, FIN | PING, &[9; 125]));
        endpoint.close(1000);
        assert_eq!(endpoint.sent_parts()[1..], [(FIN | PONG, vec![9; 125]), (FIN | CLOSE, close_body(1000, ""))]);
        let mut endpoint = full();
        endpoint.feed(&close_to(role, 1000, ""));
        assert_eq!(endpoint.sent_parts()[1..], [(FIN | CLOSE, close_body(1000, ""))]);
        let mut endpoint = full();
        endpoint.feed(&[FIN | 0x3]);
        assert_eq!(endpoint.sent_parts()[1..], [(FIN | CLOSE, close_body(1002, ""))]);
    }

    fn a_flood_of_pings_queues_a_bounded_number_of_bytes(role: Role) {
        let mut endpoint = Endpoint::new(role);
        let ping = frame_to(role, FIN | PING, &[1; 125]);
        for _ in 0..20_000 {
            endpoint.feed(&ping);
        }
        assert!(endpoint.ws.sender().queued() <= 64 * (125 + 6), "{}", endpoint.ws.sender().queued());
        // A peer also gains nothing if it reads a little at a time.
        for _ in 0..2000 {
            endpoint.transmit(200);
            endpoint.feed(&ping.repeat(10));
            assert!(endpoint.ws.sender().queued() <= 65 * (125 + 6));
        }
    }

    fn a_peer_that_never_reads_makes_us_queue_one_ping(role: Role) {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let keep_alive = KeepAlive::new().interval(seconds(1)).timeout(seconds(1));
        let mut endpoint = Endpoint::with(role, &untimed().keep_alive(keep_alive));
        for _ in 0..10_000 {
            endpoint.pass(1);
            endpoint.feed(&frame_to(role, FIN | PONG, b""));
        }
        assert_eq!(endpoint.ws.state(), State::Open);
        assert_eq!(endpoint.sent().len(), 1);
        // Once the ping was written, the next one is sent.
        endpoint.pass(1);
        assert_eq!(endpoint.sent().len(), 1);
    }

    fn a_message_that_is_never_completed_is_refused_at_its_deadline(role: Role) {
        let config = untimed().message_timeout(Duration::from_secs(60)).keep_alive(KeepAlive::OFF);
        for beginning in [frame_to(role, TEXT, b"for ev"), frame_to(role, FIN | TEXT, b"for ever")[..9].to_vec()] {
            let mut endpoint = Endpoint::with(role, &config);
            assert_eq!(endpoint.ws.poll_timeout(), None);
            endpoint.feed(&beginning);
            let deadline = endpoint.now + Duration::from_secs(60);
            assert_eq!(endpoint.ws.poll_timeout(), Some(deadline));
            endpoint.pass(59);
            assert_eq!(endpoint.ws.poll_timeout(), Some(deadline));
            endpoint.now = Instant::from_nanos(deadline.as_nanos() - 1);
            endpoint.ws.handle_timeout(endpoint.now);
            assert_eq!(endpoint.ws.state(), State::Open);
            endpoint.now = deadline;
            endpoint.ws.handle_timeout(endpoint.now);
            assert_eq!(endpoint.sent_parts(), [(FIN | CLOSE, close_body(1008, ""))]);
            assert_eq!(endpoint.feed(b"x"), [failed(ProtocolError::MessageTimeout)]);
            endpoint.eof();
            endpoint.assert_closed(Cause::Violation(ProtocolError::MessageTimeout), 1006, false);
        }
    }

    fn traffic_does_not_move_the_deadline_of_a_message_and_its_end_lifts_it(role: Role) {
        let config = untimed().message_timeout(Duration::from_secs(60)).keep_alive(KeepAlive::OFF);
        let mut endpoint = Endpoint::with(role, &config);
        endpoint.feed(&frame_to(role, TEXT, b""));
        let deadline = endpoint.ws.poll_timeout();
        for _ in 0..59 {
            endpoint.pass(1);
            endpoint.feed(&frame_to(role, CONTINUATION, b""));
            endpoint.feed(&frame_to(role, FIN | PONG, b""));
            assert_eq!(endpoint.ws.poll_timeout(), deadline);
        }
        assert_eq!(endpoint.feed(&frame_to(role, FIN, b"end")), [OwnedEvent::text("end")]);
        assert_eq!(endpoint.ws.poll_timeout(), None);
        endpoint.pass(1000);
        assert_eq!(endpoint.ws.state(), State::Open);
    }

    fn time_in_which_we_do_not_read_does_not_count_for_a_message(role: Role) {
        let config = untimed().message_timeout(Duration::from_secs(60)).keep_alive(KeepAlive::OFF);
        let mut endpoint = Endpoint::with(role, &config);
        endpoint.feed(&frame_to(role, TEXT, b""));
        endpoint.pass(50);
        endpoint.ws.reading_paused(endpoint.now);
        assert_eq!(endpoint.ws.poll_timeout(), None);
        endpoint.pass(1000);
        endpoint.ws.reading_resumed(endpoint.now);
        assert_eq!(endpoint.ws.poll_timeout(), Some(endpoint.now + Duration::from_secs(10)));
        endpoint.pass(9);
        assert_eq!(endpoint.ws.state(), State::Open);
        endpoint.pass(1);
        assert_eq!(endpoint.ws.state(), State::Failing);
    }

    fn of_a_pause_only_what_lies_after_the_start_of_a_message_is_added_to_its_deadline(role: Role) {
        let config = untimed().message_timeout(Duration::from_secs(60)).keep_alive(KeepAlive::OFF);
        let mut endpoint = Endpoint::with(role, &config);
        endpoint.ws.reading_paused(endpoint.now);
        endpoint.pass(1000);
        // Bytes that the caller had read before the pause.
        endpoint.feed(&frame_to(role, TEXT, b""));
        endpoint.ws.reading_resumed(endpoint.now);
        assert_eq!(endpoint.ws.poll_timeout(), Some(endpoint.now + Duration::from_secs(60)));
    }
}
