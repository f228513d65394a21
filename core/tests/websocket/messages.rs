//! Sections 5.1 to 5.4, 5.6 and 8.1: which data frames are accepted, joined to messages, or refused.

use multiwa_ws_core::frame::{FrameError, ReservedBits};
use multiwa_ws_core::websocket::{Event, Negotiated, ProtocolError, Role, State};

use multiwa_ws_testkit::endpoint::{Endpoint, events_in_any_split, untimed};
use multiwa_ws_testkit::event::OwnedEvent;
use multiwa_ws_testkit::wire::{
    BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, RSV1, TEXT, close_body, frame_to, header_to,
};

/// The events of an endpoint of `role` for these frames. They must be the same for every split of the bytes.
#[track_caller]
fn receives(role: Role, frames: &[(u8, &[u8])]) -> Vec<OwnedEvent> {
    let bytes: Vec<u8> = frames.iter().flat_map(|(first, payload)| frame_to(role, *first, payload)).collect();
    events_in_any_split(|| Endpoint::new(role), &bytes).0
}

/// Asserts that `frames` deliver `events` and then fail with `error`, and that the endpoint sends `code`.
#[track_caller]
fn fails(role: Role, frames: &[(u8, &[u8])], events: &[OwnedEvent], error: impl Into<ProtocolError>, code: u16) {
    let bytes: Vec<u8> = frames.iter().flat_map(|(first, payload)| frame_to(role, *first, payload)).collect();
    fails_on_bytes(role, &bytes, events, error.into(), code);
}

#[track_caller]
fn fails_on_bytes(role: Role, bytes: &[u8], events: &[OwnedEvent], error: ProtocolError, code: u16) {
    let (all, sent) = events_in_any_split(|| Endpoint::new(role), bytes);
    assert_eq!(all.split_last(), Some((&OwnedEvent::Failed(error), events)));
    assert_eq!(sent.last(), Some(&(FIN | CLOSE, close_body(code, ""))));
}

fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

twins! {
    fn rfc6455_5_1_a_frame_with_the_wrong_masking_fails_the_connection(role: Role) {
        let error = match role {
            Role::Client => FrameError::Masked,
            Role::Server => FrameError::Unmasked,
        };
        for first in [TEXT, BINARY, PING, PONG, CLOSE] {
            // The frame has the correct masking for the other role.
            let wrong = frame_to(other(role), FIN | first, b"");
            fails_on_bytes(role, &wrong, &[], error.into(), 1002);
        }
    }

    fn rfc6455_5_1_messages_before_a_wrongly_masked_frame_are_delivered(role: Role) {
        let bytes = [frame_to(role, FIN | TEXT, b"first"), frame_to(other(role), FIN | TEXT, b"second")].concat();
        let (events, _) = events_in_any_split(|| Endpoint::new(role), &bytes);
        assert_eq!(events[0], OwnedEvent::text("first"));
        assert!(matches!(events[..], [_, OwnedEvent::Failed(_)]));
    }

    fn rfc6455_5_2_every_reserved_bit_fails_the_connection_when_none_is_negotiated(role: Role) {
        for bits in (0x10..=0x70).step_by(0x10) {
            for first in [FIN | TEXT, BINARY, FIN | CONTINUATION, FIN | CLOSE, FIN | PING, FIN | PONG] {
                let frames: [(u8, &[u8]); 2] = [(FIN | TEXT, b"before"), (first | bits, b"")];
                fails(role, &frames, &[OwnedEvent::text("before")], FrameError::ReservedBits, 1002);
            }
        }
    }

    fn rfc6455_5_2_a_negotiated_bit_is_taken_on_first_frames_only(role: Role) {
        let negotiated = Negotiated {
            reserved: ReservedBits::RSV1,
            #[cfg(feature = "deflate")]
            deflate: None,
        };
        let receives = |frames: &[(u8, &[u8])]| {
            let bytes: Vec<u8> = frames.iter().flat_map(|(first, payload)| frame_to(role, *first, payload)).collect();
            events_in_any_split(|| Endpoint::negotiated(role, &untimed(), &negotiated), &bytes).0
        };
        let refused = vec![OwnedEvent::Failed(FrameError::ReservedBits.into())];
        assert_eq!(receives(&[(FIN | RSV1 | TEXT, b"a")]), [OwnedEvent::text("a")]);
        assert_eq!(receives(&[(FIN | TEXT, b"a")]), [OwnedEvent::text("a")]);
        assert_eq!(receives(&[(RSV1 | BINARY, b"a"), (FIN, b"b")]), [OwnedEvent::Binary(b"ab".into())]);
        assert_eq!(receives(&[(RSV1 | BINARY, b"a"), (FIN | RSV1, b"b")]), refused);
        assert_eq!(receives(&[(BINARY, b"a"), (FIN | RSV1, b"b")]), refused);
        for control in [PING, PONG, CLOSE] {
            assert_eq!(receives(&[(FIN | RSV1 | control, b"")]), refused);
        }
        for bits in [0x20, 0x10, RSV1 | 0x20, RSV1 | 0x10] {
            assert_eq!(receives(&[(FIN | bits | TEXT, b"")]), refused);
        }
    }

    fn rfc6455_5_2_reserved_opcodes_fail_the_connection(role: Role) {
        for opcode in (0x3..=0x7).chain(0xB..=0xF) {
            for payload in [&b""[..], b"data"] {
                let frames: [(u8, &[u8]); 3] = [(FIN | TEXT, b"before"), (FIN | opcode, payload), (FIN | PING, b"")];
                fails(role, &frames, &[OwnedEvent::text("before")], FrameError::ReservedOpcode, 1002);
            }
        }
    }

    fn rfc6455_5_2_a_length_is_written_in_the_fewest_bytes(role: Role) {
        let mask_bit = if role == Role::Server { 0x80 } else { 0 };
        for (field, error) in [
            (vec![mask_bit | 126, 0, 0], FrameError::NonMinimalLength),
            (vec![mask_bit | 126, 0, 125], FrameError::NonMinimalLength),
            (vec![mask_bit | 127, 0, 0, 0, 0, 0, 0, 0, 125], FrameError::NonMinimalLength),
            (vec![mask_bit | 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], FrameError::NonMinimalLength),
            (vec![mask_bit | 127, 0x80], FrameError::LengthOverflow),
            (vec![mask_bit | 127, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], FrameError::LengthOverflow),
        ] {
            let bytes = [&[FIN | BINARY], &field[..]].concat();
            fails_on_bytes(role, &bytes, &[], error.into(), 1002);
        }
    }

    fn rfc6455_5_2_payloads_at_the_edge_of_each_length_field_are_whole(role: Role) {
        for len in [0, 1, 125, 126, 127, 128, 0xFFFF, 0x1_0000] {
            let payload: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
            assert_eq!(receives(role, &[(FIN | BINARY, &payload)]), [OwnedEvent::Binary(payload.clone())]);
            let text = "x".repeat(len);
            assert_eq!(receives(role, &[(FIN | TEXT, text.as_bytes())]), [OwnedEvent::Text(text)]);
        }
    }

    fn rfc6455_5_3_a_whole_message_is_lent_from_the_callers_own_buffer(role: Role) {
        let mut bytes = frame_to(role, FIN | TEXT, b"in place");
        let payload = bytes[bytes.len() - 8..].as_ptr();
        let mut endpoint = Endpoint::new(role);
        let received = endpoint.ws.handle_input(endpoint.now, &mut &mut bytes[..]).unwrap().unwrap();
        let Event::Text(text) = received.event else { panic!("{:?}", received.event) };
        assert_eq!((text, text.as_ptr()), ("in place", payload));
    }

    fn rfc6455_5_4_fragments_are_joined(role: Role) {
        assert_eq!(
            receives(role, &[(TEXT, b"frag"), (CONTINUATION, b"ment"), (FIN, b"ed"), (FIN | BINARY, b"next")]),
            [OwnedEvent::text("fragmented"), OwnedEvent::Binary(b"next".into())],
        );
        assert_eq!(receives(role, &[(BINARY, b"\xFF"), (FIN, b"\x00")]), [OwnedEvent::Binary(b"\xFF\x00".into())]);
    }

    fn rfc6455_5_4_fragments_may_be_empty(role: Role) {
        assert_eq!(receives(role, &[(TEXT, b""), (CONTINUATION, b""), (FIN, b"")]), [OwnedEvent::text("")]);
        assert_eq!(receives(role, &[(TEXT, b""), (CONTINUATION, b"mid"), (FIN, b"")]), [OwnedEvent::text("mid")]);
        assert_eq!(receives(role, &[(BINARY, b""), (FIN, b"end")]), [OwnedEvent::Binary(b"end".into())]);
    }

    fn rfc6455_5_4_control_frames_come_between_fragments(role: Role) {
        assert_eq!(
            receives(role, &[(TEXT, b"a"), (FIN | PING, b"1"), (CONTINUATION, b"b"), (FIN | PONG, b""), (FIN, b"c")]),
            [OwnedEvent::Ping(b"1".into()), OwnedEvent::Pong(b"".into()), OwnedEvent::text("abc")],
        );
        assert_eq!(
            receives(role, &[(BINARY, b"a"), (FIN | PING, b""), (FIN | PING, b"2"), (FIN, b"c")]),
            [OwnedEvent::Ping(b"".into()), OwnedEvent::Ping(b"2".into()), OwnedEvent::Binary(b"ac".into())],
        );
    }

    fn rfc6455_5_4_a_continuation_continues_something(role: Role) {
        for first in [CONTINUATION, FIN | CONTINUATION] {
            for payload in [&b""[..], b"data"] {
                fails(role, &[(first, payload)], &[], ProtocolError::UnexpectedContinuation, 1002);
                fails(
                    role,
                    &[(TEXT, b"a"), (FIN, b"b"), (first, payload), (FIN | TEXT, b"never")],
                    &[OwnedEvent::text("ab")],
                    ProtocolError::UnexpectedContinuation,
                    1002,
                );
            }
        }
    }

    fn rfc6455_5_4_a_continuation_of_nothing_is_that_error_whatever_its_length(role: Role) {
        let config = untimed().max_message_len(3);
        let bytes = frame_to(role, FIN | CONTINUATION, b"long");
        let (events, _) = events_in_any_split(|| Endpoint::with(role, &config), &bytes);
        assert_eq!(events, [OwnedEvent::Failed(ProtocolError::UnexpectedContinuation)]);
    }

    fn rfc6455_5_4_messages_are_not_interleaved(role: Role) {
        for first in [TEXT, FIN | TEXT, BINARY, FIN | BINARY] {
            fails(role, &[(TEXT, b"a"), (first, b"b")], &[], ProtocolError::ExpectedContinuation, 1002);
            fails(role, &[(BINARY, b""), (first, b"")], &[], ProtocolError::ExpectedContinuation, 1002);
        }
    }

    fn rfc6455_5_5_control_frames_are_not_fragmented(role: Role) {
        for control in [PING, PONG, CLOSE] {
            fails(role, &[(control, b"")], &[], FrameError::FragmentedControl, 1002);
        }
    }

    fn rfc6455_5_5_control_frames_hold_at_most_125_bytes(role: Role) {
        assert_eq!(receives(role, &[(FIN | PING, &[1; 125])]), [OwnedEvent::Ping(vec![1; 125])]);
        assert_eq!(receives(role, &[(FIN | PONG, &[1; 125])]), [OwnedEvent::Pong(vec![1; 125])]);
        for control in [PING, PONG, CLOSE] {
            fails(role, &[(FIN | control, &[1; 126])], &[], FrameError::ControlTooLong, 1002);
        }
    }

    fn rfc6455_8_1_text_is_utf8_in_any_split(role: Role) {
        for text in ["κόσμε", "\u{0}\u{7F}\u{80}\u{7FF}\u{800}\u{D7FF}\u{E000}\u{FFFF}\u{10000}\u{10FFFF}", "😀😀"] {
            assert_eq!(receives(role, &[(FIN | TEXT, text.as_bytes())]), [OwnedEvent::text(text)]);
            for cut in 0..=text.len() {
                let (head, tail) = text.as_bytes().split_at(cut);
                assert_eq!(receives(role, &[(TEXT, head), (FIN, tail)]), [OwnedEvent::text(text)], "cut at {cut}");
                let frames: [(u8, &[u8]); 4] = [(TEXT, head), (CONTINUATION, b""), (FIN | PING, b"\xFF"), (FIN, tail)];
                assert_eq!(receives(role, &frames), [OwnedEvent::Ping(b"\xFF".into()), OwnedEvent::text(text)]);
            }
        }
    }

    fn rfc6455_8_1_text_that_is_not_utf8_fails_with_1007(role: Role) {
        for bytes in [
            &b"\x80"[..],
            b"ab\xC0\x80",
            b"\xC3(",
            b"\xE0\x80\xAF",
            b"\xED\xA0\x80",
            b"\xF4\x90\x80\x80",
            b"\xF8\x88\x80\x80\x80",
            b"\xFE",
            // Incomplete characters at the end.
            b"\xC3",
            b"a\xE2\x82",
            b"\xF0\x9F\x98",
        ] {
            fails(role, &[(FIN | TEXT, bytes)], &[], ProtocolError::InvalidText, 1007);
            for cut in 0..=bytes.len() {
                let (head, tail) = bytes.split_at(cut);
                fails(role, &[(TEXT, head), (FIN, tail)], &[], ProtocolError::InvalidText, 1007);
            }
            assert_eq!(receives(role, &[(FIN | BINARY, bytes)]), [OwnedEvent::Binary(bytes.into())]);
        }
    }

    // Autobahn's 6.4.3 and 6.4.4 require this: the endpoint detects the fault before the frame, and so also the
    // message, is complete.
    fn rfc6455_8_1_the_first_bad_byte_fails_the_connection_before_its_frame_ends(role: Role) {
        let text = b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xF4\x90\x80\x80edited";
        let frame = frame_to(role, FIN | TEXT, text);
        let header = frame.len() - text.len();
        let mut endpoint = Endpoint::new(role);
        assert_eq!(endpoint.feed(&frame[..header + 12]), []);
        assert_eq!(endpoint.feed(&frame[header + 12..=header + 12]), [OwnedEvent::Failed(ProtocolError::InvalidText)]);
        assert_eq!(endpoint.sent_parts(), [(FIN | CLOSE, close_body(1007, ""))]);
    }

    // Long payloads are processed in blocks: characters and faults lie at every place of the boundaries.
    fn rfc6455_8_1_long_text_is_utf8_wherever_its_characters_lie(role: Role) {
        let text = "aé€😀".repeat(2_000);
        for shift in 0..10 {
            let text = ["x".repeat(shift), text.clone()].concat();
            let frame = frame_to(role, FIN | TEXT, text.as_bytes());
            for cut in [15, 4_096, 8_192 + 5, frame.len() - 1] {
                let (head, tail) = frame.split_at(cut);
                let mut endpoint = Endpoint::new(role);
                assert_eq!(endpoint.feed(head), []);
                assert!(endpoint.feed(tail) == [OwnedEvent::text(&text)], "cut at {cut}, shifted by {shift}");
            }
        }
    }

    fn rfc6455_8_1_a_bad_byte_in_long_text_fails_the_connection_when_it_arrives(role: Role) {
        for at in [1, 8_190, 8_191, 8_192, 8_193, 16_383, 16_384, 19_999] {
            let mut text = [b'x'; 20_000];
            text[at] = 0xFF;
            let frame = frame_to(role, FIN | TEXT, &text);
            let bad = frame.len() - text.len() + at;
            for from in [0, 3, bad - 1] {
                let mut endpoint = Endpoint::new(role);
                assert_eq!(endpoint.feed(&frame[..from]), []);
                assert_eq!(endpoint.feed(&frame[from..bad]), []);
                let failed = [OwnedEvent::Failed(ProtocolError::InvalidText)];
                assert_eq!(endpoint.feed(&frame[bad..=bad]), failed, "at {at}");
                let mut endpoint = Endpoint::new(role);
                assert_eq!(endpoint.feed(&frame[..from]), []);
                assert_eq!(endpoint.feed(&frame[from..frame.len() - 1]), if at < 19_999 { &failed[..] } else { &[] });
            }
        }
    }

    fn rfc6455_7_1_7_an_error_is_returned_for_all_further_input(role: Role) {
        let mut endpoint = Endpoint::new(role);
        let failed = [OwnedEvent::Failed(FrameError::ReservedOpcode.into())];
        assert_eq!(endpoint.feed(&[FIN | 0x3]), failed);
        assert_eq!(endpoint.feed(&frame_to(role, FIN | TEXT, b"late")), failed);
        assert_eq!(endpoint.feed(&[]), failed);
        assert_eq!(endpoint.sent_parts(), [(FIN | CLOSE, close_body(1002, ""))]);
        assert_eq!(endpoint.feed(&frame_to(role, FIN | CLOSE, b"")), failed);
    }

    fn rfc6455_7_1_7_an_error_is_returned_for_all_further_input_while_we_close(role: Role) {
        let mut endpoint = Endpoint::new(role);
        endpoint.close(1000);
        let failed = [OwnedEvent::Failed(FrameError::ReservedOpcode.into())];
        assert_eq!(endpoint.feed(&[FIN | 0x3]), failed);
        assert_eq!(endpoint.feed(&frame_to(role, FIN | TEXT, b"late")), failed);
    }

    fn rfc6455_5_4_an_event_between_fragments_leaves_what_is_kept_of_the_message(role: Role) {
        // The ping is split, so that its payload is stored next to that of the message.
        let ping = frame_to(role, FIN | PING, b"between");
        let (head, tail) = ping.split_at(ping.len() - 3);
        let mut endpoint = Endpoint::new(role);
        assert_eq!(endpoint.feed(&frame_to(role, TEXT, b"one ")), []);
        assert_eq!(endpoint.feed(head), []);
        assert_eq!(endpoint.feed(tail), [OwnedEvent::Ping(b"between".into())]);
        assert_eq!(endpoint.closed(), None);
        endpoint.pass(0);
        assert_eq!(endpoint.feed(&frame_to(role, FIN, b"message")), [OwnedEvent::text("one message")]);
        assert_eq!(endpoint.feed(&frame_to(role, FIN | TEXT, b"next")), [OwnedEvent::text("next")]);
    }

    fn rfc6455_5_2_the_header_alone_is_no_event(role: Role) {
        let mut endpoint = Endpoint::new(role);
        assert_eq!(endpoint.feed(&header_to(role, FIN | TEXT, 5)), []);
        assert_eq!(endpoint.feed(&[]), []);
        assert_eq!(endpoint.ws.state(), State::Open);
    }
}
