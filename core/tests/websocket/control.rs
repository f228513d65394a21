//! Sections 5.5.1 to 5.5.3 and 7.4: Close, Ping and Pong frames.

use multiwa_ws_core::frame::InvalidClose;
use multiwa_ws_core::websocket::{ProtocolError, Role};

use multiwa_ws_testkit::endpoint::{Endpoint, events_in_any_split};
use multiwa_ws_testkit::event::OwnedEvent;
use multiwa_ws_testkit::wire::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, close_body, close_to, frame_to};

/// Asserts the event for one Close frame with `body` and the answer to it, in any split.
#[track_caller]
fn close_is(role: Role, body: &[u8], events: OwnedEvent, answer: Vec<u8>) {
    let bytes = frame_to(role, FIN | CLOSE, body);
    let expected = (vec![events], vec![(FIN | CLOSE, answer)]);
    assert_eq!(events_in_any_split(|| Endpoint::new(role), &bytes), expected, "body {body:x?}");
}

twins! {
    fn rfc6455_5_5_1_a_close_frame_is_answered_with_its_code(role: Role) {
        close_is(role, b"", OwnedEvent::Close(None), vec![]);
        close_is(role, &close_body(1000, ""), OwnedEvent::close(1000, ""), close_body(1000, ""));
        close_is(role, &close_body(4999, "done"), OwnedEvent::close(4999, "done"), close_body(4999, ""));
        let longest = "é".repeat(61) + "!";
        close_is(role, &close_body(1001, &longest), OwnedEvent::close(1001, &longest), close_body(1001, ""));
    }

    fn rfc6455_5_5_1_a_body_of_one_byte_is_refused(role: Role) {
        let events = OwnedEvent::Failed(InvalidClose::Truncated.into());
        close_is(role, b"\x03", events.clone(), close_body(1002, ""));
        close_is(role, b"\x00", events, close_body(1002, ""));
    }

    fn rfc6455_5_5_1_a_reason_is_utf8(role: Role) {
        let cut_off = [&close_body(1000, "")[..], b"\xE2\x82"].concat();
        let surrogate = [&close_body(1000, "a")[..], b"\xED\xA0\x80"].concat();
        for body in [cut_off, surrogate] {
            close_is(role, &body, OwnedEvent::Failed(InvalidClose::Reason.into()), close_body(1007, ""));
        }
    }

    fn rfc6455_7_4_1_codes_that_may_be_sent_are_taken(role: Role) {
        for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
            close_is(role, &close_body(code, ""), OwnedEvent::close(code, ""), close_body(code, ""));
        }
    }

    fn rfc6455_7_4_2_codes_that_must_not_be_sent_are_refused(role: Role) {
        for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
            close_is(role, &close_body(code, "why"), OwnedEvent::Failed(InvalidClose::Code.into()), close_body(1002, ""));
        }
    }

    // Autobahn's case 7.1.5.
    fn rfc6455_5_5_1_a_close_frame_may_end_a_fragmented_message(role: Role) {
        let bytes = [frame_to(role, TEXT, b"never ended"), close_to(role, 1000, "")].concat();
        let (events, sent) = events_in_any_split(|| Endpoint::new(role), &bytes);
        assert_eq!(events, [OwnedEvent::close(1000, "")]);
        assert_eq!(sent, [(FIN | CLOSE, close_body(1000, ""))]);
    }

    fn rfc6455_5_5_1_nothing_after_a_close_frame_is_processed_or_answered(role: Role) {
        let close = close_to(role, 1000, "bye");
        for after in [
            frame_to(role, FIN | TEXT, b"late"),
            frame_to(role, FIN | CONTINUATION, b""),
            frame_to(role, FIN | PING, b"late"),
            close_to(role, 1001, ""),
            frame_to(role, FIN | 0x3, b""),
            vec![0xFF; 100],
        ] {
            let bytes = [&close[..], &after].concat();
            let (events, sent) = events_in_any_split(|| Endpoint::new(role), &bytes);
            assert_eq!(events, [OwnedEvent::close(1000, "bye")]);
            assert_eq!(sent, [(FIN | CLOSE, close_body(1000, ""))]);
        }
    }

    fn rfc6455_5_5_2_a_ping_is_answered_with_its_payload(role: Role) {
        for payload in [&b""[..], b"\x00\xFF\xFE", &[0xFE; 125]] {
            let bytes = frame_to(role, FIN | PING, payload);
            let expected = (vec![OwnedEvent::Ping(payload.into())], vec![(FIN | PONG, payload.into())]);
            assert_eq!(events_in_any_split(|| Endpoint::new(role), &bytes), expected);
        }
    }

    // Autobahn's cases 2.10 and 2.11 send ten, whole and byte by byte.
    fn rfc6455_5_5_2_pings_in_a_row_are_answered_in_order(role: Role) {
        let pings: Vec<u8> = (0..10).flat_map(|i| frame_to(role, FIN | PING, &[i])).collect();
        let (events, sent) = events_in_any_split(|| Endpoint::new(role), &pings);
        assert_eq!(events, (0..10).map(|i| OwnedEvent::Ping(vec![i])).collect::<Vec<_>>());
        assert_eq!(sent, (0..10).map(|i| (FIN | PONG, vec![i])).collect::<Vec<_>>());
    }

    fn rfc6455_5_5_2_a_ping_between_fragments_is_answered_at_once(role: Role) {
        let mut endpoint = Endpoint::new(role);
        endpoint.feed(&frame_to(role, BINARY, b"under way"));
        endpoint.feed(&frame_to(role, FIN | PING, b"now"));
        assert_eq!(endpoint.sent_parts(), [(FIN | PONG, b"now".into())]);
    }

    fn rfc6455_5_5_2_no_pong_follows_our_own_close_frame(role: Role) {
        let mut endpoint = Endpoint::new(role);
        endpoint.close(1000);
        assert_eq!(endpoint.feed(&frame_to(role, FIN | PING, b"?")), [OwnedEvent::Ping(b"?".into())]);
        assert_eq!(endpoint.sent_parts(), [(FIN | CLOSE, close_body(1000, ""))]);
    }

    fn rfc6455_5_5_3_an_unsolicited_pong_is_returned_and_not_answered(role: Role) {
        for payload in [&b""[..], b"unasked", &[0; 125]] {
            let bytes = frame_to(role, FIN | PONG, payload);
            let (events, sent) = events_in_any_split(|| Endpoint::new(role), &bytes);
            assert_eq!((events, sent), (vec![OwnedEvent::Pong(payload.into())], vec![]));
        }
    }

    fn rfc6455_5_5_3_of_a_flood_of_pings_the_latest_is_answered(role: Role) {
        let mut endpoint = Endpoint::new(role);
        for i in 0..1000u16 {
            endpoint.feed(&frame_to(role, FIN | PING, &i.to_be_bytes()));
        }
        let pongs = endpoint.sent_parts();
        let payloads: Vec<u16> = pongs.iter().map(|(_, payload)| u16::from_be_bytes([payload[0], payload[1]])).collect();
        assert_eq!(payloads.last(), Some(&999));
        assert!(payloads.is_sorted() && payloads.len() < 100, "{payloads:?}");
        // Once the queue is written, pings are answered as before.
        endpoint.feed(&frame_to(role, FIN | PING, b"again"));
        assert_eq!(endpoint.sent_parts(), [(FIN | PONG, b"again".into())]);
    }

    fn rfc6455_5_5_3_pings_are_answered_though_the_queue_never_runs_dry(role: Role) {
        let mut endpoint = Endpoint::new(role);
        for i in 0..200u16 {
            // The queue is never empty: each write leaves some bytes.
            endpoint.ws.send_binary(&[0; 1000]).unwrap();
            endpoint.feed(&frame_to(role, FIN | PING, &i.to_be_bytes()));
            let queued = endpoint.ws.sender().queued();
            endpoint.transmit(queued - 1);
        }
        let pongs: Vec<_> = endpoint.sent_parts().into_iter().filter(|(first, _)| *first == FIN | PONG).collect();
        assert_eq!(pongs.len(), 200);
    }

    fn rfc6455_5_5_3_a_pong_held_back_is_sent_before_the_close_frame(role: Role) {
        for i in 0..100 {
            let mut endpoint = Endpoint::new(role);
            for j in 0..=i {
                endpoint.feed(&frame_to(role, FIN | PING, &[j]));
            }
            endpoint.close(1000);
            let sent = endpoint.sent_parts();
            assert_eq!(sent[sent.len() - 2..], [(FIN | PONG, vec![i]), (FIN | CLOSE, close_body(1000, ""))]);
        }
    }

    fn rfc6455_7_1_7_a_bad_close_frame_is_answered_once(role: Role) {
        let mut endpoint = Endpoint::new(role);
        let failed = [OwnedEvent::Failed(ProtocolError::Close(InvalidClose::Code))];
        assert_eq!(endpoint.feed(&close_to(role, 1005, "")), failed);
        assert_eq!(endpoint.feed(&close_to(role, 1000, "")), failed);
        assert_eq!(endpoint.sent_parts(), [(FIN | CLOSE, close_body(1002, ""))]);
    }
}
