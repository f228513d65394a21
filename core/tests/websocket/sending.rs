//! The sent bytes, and the refused commands: sections 5.2, 5.3 and 5.4 for the sender.

use std::collections::BTreeSet;

use bytes::Bytes;
use multiwa_ws_core::Instant;
use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::websocket::{Config, Message, Role, SendError, SharedMessage, WebSocket};

use multiwa_ws_testkit::endpoint::{Endpoint, untimed};
use multiwa_ws_testkit::wire::{
    BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, close_body, close_to, frame_to, frames_from,
};

/// One of every item that can be sent, with the events of a peer.
fn send_one_of_each(endpoint: &mut Endpoint) -> Vec<(u8, Vec<u8>)> {
    let now = endpoint.now;
    let mut out = endpoint.ws.sender();
    out.send_text("text").unwrap();
    out.send_binary(b"\xFF\xFE").unwrap();
    out.ping(b"are you there").unwrap();
    out.send_fragment(Message::Text("one "), false).unwrap();
    out.pong(b"").unwrap();
    out.send_fragment(Message::Text(""), false).unwrap();
    out.send_fragment(Message::Text("two"), true).unwrap();
    out.send_shared(&SharedMessage::text("shared")).unwrap();
    out.send_shared(&SharedMessage::from_bytes(Bytes::from(vec![7; 300]))).unwrap();
    out.send_fragment(Message::Binary(b"only"), true).unwrap();
    out.send_text("").unwrap();
    out.close(now, CloseCode::NORMAL, "done").unwrap();
    vec![
        (FIN | TEXT, b"text".into()),
        (FIN | BINARY, b"\xFF\xFE".into()),
        (FIN | PING, b"are you there".into()),
        (TEXT, b"one ".into()),
        (FIN | PONG, b"".into()),
        (CONTINUATION, b"".into()),
        (FIN | CONTINUATION, b"two".into()),
        (FIN | TEXT, b"shared".into()),
        (FIN | BINARY, vec![7; 300]),
        (FIN | BINARY, b"only".into()),
        (FIN | TEXT, b"".into()),
        (FIN | CLOSE, close_body(1000, "done")),
    ]
}

/// Writes a message at once: `writes` times, at most `step` bytes each. The rest is queued.
fn send_at_once(endpoint: &mut Endpoint, message: Message<'_>, step: usize, writes: usize) {
    let mut scratch = [0; 1000];
    let mut unsent = endpoint.ws.frame(message).unwrap();
    for _ in 0..writes {
        let mut bytes = unsent.lend(&mut scratch).concat();
        bytes.truncate(step);
        assert_eq!(bytes.is_empty(), unsent.is_empty());
        unsent.transmitted(endpoint.now, bytes.len());
        endpoint.wire.extend_from_slice(&bytes);
    }
}

twins! {
    fn what_is_sent_reads_as_it_was_meant(role: Role) {
        let mut endpoint = Endpoint::new(role);
        let expected = send_one_of_each(&mut endpoint);
        assert_eq!(endpoint.sent_parts(), expected);
    }

    fn a_write_may_take_any_number_of_bytes(role: Role) {
        let mut whole = Endpoint::new(role);
        send_one_of_each(&mut whole);
        whole.flush();
        for step in 1..=whole.wire.len() + 1 {
            let mut endpoint = Endpoint::new(role);
            send_one_of_each(&mut endpoint);
            while endpoint.transmit(step) > 0 {}
            assert_eq!(endpoint.wire, whole.wire, "{step} at a time");
            assert_eq!(endpoint.ws.sender().queued(), 0);
        }
    }

    fn bytes_that_were_lent_and_not_confirmed_are_lent_again(role: Role) {
        let mut endpoint = Endpoint::new(role);
        send_one_of_each(&mut endpoint);
        let lend = |endpoint: &Endpoint| {
            let mut slices = [&[][..]; 16];
            let filled = endpoint.ws.poll_transmit(&mut slices);
            slices[..filled].concat()
        };
        let first = lend(&endpoint);
        assert_eq!(lend(&endpoint), first);
        endpoint.ws.transmitted(endpoint.now, 0);
        assert_eq!(lend(&endpoint), first);
        endpoint.ws.transmitted(endpoint.now, 3);
        assert_eq!(lend(&endpoint), first[3..]);
        assert_eq!(endpoint.ws.sender().queued(), first.len() - 3);
    }

    fn a_message_that_is_written_at_once_is_the_message_that_would_be_queued(role: Role) {
        for len in [0, 1, 125, 126, 300, 990, 2047, 2048, 2049, 5000, 65_535, 65_536] {
            let payload: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
            let mut queued = Endpoint::new(role);
            queued.ws.send_binary(&payload).unwrap();
            queued.ws.send_text("next").unwrap();
            queued.flush();
            for (step, writes) in [(usize::MAX, 0), (usize::MAX, 1), (usize::MAX, 100), (1, 1), (3, 5), (7, 100), (999, 2)] {
                let mut endpoint = Endpoint::new(role);
                send_at_once(&mut endpoint, Message::Binary(&payload), step, writes);
                assert_eq!(endpoint.wire.len() + endpoint.ws.queued(), queued.wire.len() - "next".len() - header_len(role));
                send_at_once(&mut endpoint, Message::Text("next"), step, writes);
                endpoint.flush();
                assert!(endpoint.wire == queued.wire, "{len} bytes, {writes} writes of {step}");
            }
        }
    }

    fn a_message_behind_others_is_queued_and_not_written_at_once(role: Role) {
        let mut endpoint = Endpoint::new(role);
        endpoint.ws.send_text("first").unwrap();
        let unsent = endpoint.ws.frame(Message::Text("second")).unwrap();
        assert!(unsent.is_empty() && unsent.lend(&mut [0; 100]).concat().is_empty());
        drop(unsent);
        assert_eq!(endpoint.sent_parts(), [(FIN | TEXT, b"first".into()), (FIN | TEXT, b"second".into())]);
    }

    fn a_message_that_cannot_be_queued_is_not_written_at_once_either(role: Role) {
        let mut endpoint = Endpoint::with(role, &untimed().max_queued(100));
        let refusal = |ws: &mut WebSocket, len: usize| ws.frame(Message::Binary(&vec![0; len])).err();
        assert_eq!(refusal(&mut endpoint.ws, 87), Some(SendError::QueueFull { queued: 0, limit: 100 }));
        assert_eq!(refusal(&mut endpoint.ws, 86), None);
        endpoint.flush();
        endpoint.ws.sender().send_fragment(Message::Text("a"), false).unwrap();
        endpoint.flush();
        assert_eq!(refusal(&mut endpoint.ws, 0), Some(SendError::MessageUnderWay));
        endpoint.close(1000);
        assert_eq!(refusal(&mut endpoint.ws, 0), Some(SendError::Closed));
    }

    fn no_more_of_a_message_is_confirmed_than_there_is(role: Role) {
        let mut endpoint = Endpoint::new(role);
        let mut unsent = endpoint.ws.frame(Message::Text("a")).unwrap();
        unsent.transmitted(endpoint.now, usize::MAX);
        assert!(unsent.is_empty());
        drop(unsent);
        assert_eq!(endpoint.ws.queued(), 0);
    }

    fn bytes_are_confirmed_without_a_time_unless_it_matters(role: Role) {
        let mut endpoint = Endpoint::with(role, &Config::default());
        endpoint.ws.send_text("all of it").unwrap();
        let queued = endpoint.ws.queued();
        assert!(!endpoint.ws.try_transmitted(queued - 1) && !endpoint.ws.try_transmitted(queued + 1));
        assert!(endpoint.ws.try_transmitted(queued));
        assert_eq!(endpoint.ws.queued(), 0);

        let unsent = |ws: &mut WebSocket, len: usize| {
            let payload = vec![0; len];
            let mut unsent = ws.frame(Message::Binary(&payload)).unwrap();
            let len = unsent.len();
            assert!(!unsent.try_transmitted(len - 1));
            let confirmed = unsent.try_transmitted(len);
            assert_eq!(unsent.is_empty(), confirmed);
            unsent.transmitted(Instant::default(), len);
            confirmed
        };
        assert!(unsent(&mut endpoint.ws, 100));
        assert!(!unsent(&mut endpoint.ws, 4096));
        assert!(unsent(&mut endpoint.ws, 2000), "the time of the others is known");

        for matters in [PING, CLOSE] {
            endpoint.feed(&frame_to(role, FIN | matters, b""));
            let queued = endpoint.ws.queued();
            assert!(queued > 0 && !endpoint.ws.try_transmitted(queued));
            endpoint.flush();
        }
        let mut endpoint = Endpoint::with(role, &Config::default());
        endpoint.pass(30);
        let queued = endpoint.ws.queued();
        assert!(queued > 0 && !endpoint.ws.try_transmitted(queued), "a keep-alive ping");
    }

    fn no_more_is_confirmed_than_was_queued(role: Role) {
        let mut endpoint = Endpoint::new(role);
        endpoint.ws.send_text("a").unwrap();
        endpoint.ws.transmitted(endpoint.now, usize::MAX);
        assert_eq!(endpoint.ws.sender().queued(), 0);
        endpoint.ws.send_text("b").unwrap();
        assert_eq!(endpoint.sent_parts(), [(FIN | TEXT, b"b".into())]);
    }

    fn a_driver_without_slices_is_lent_none(role: Role) {
        let mut endpoint = Endpoint::new(role);
        endpoint.ws.send_text("a").unwrap();
        assert_eq!(endpoint.ws.poll_transmit(&mut []), 0);
        assert!(endpoint.ws.sender().queued() > 0);
    }

    fn rfc6455_5_2_lengths_are_written_in_the_fewest_bytes(role: Role) {
        let masking = if role == Role::Client { 4 } else { 0 };
        for (len, header) in [(0, 2), (125, 2), (126, 4), (0xFFFF, 4), (0x1_0000, 10)] {
            let mut endpoint = Endpoint::new(role);
            endpoint.ws.send_binary(&vec![1; len]).unwrap();
            assert_eq!(endpoint.sent_parts(), [(FIN | BINARY, vec![1; len])]);
            assert_eq!(endpoint.wire.len(), header + masking + len);
        }
    }

    fn the_same_seed_and_commands_give_the_same_bytes(role: Role) {
        let wire = || {
            let mut endpoint = Endpoint::new(role);
            send_one_of_each(&mut endpoint);
            endpoint.flush();
            endpoint.wire
        };
        assert_eq!(wire(), wire());
    }

    fn rfc6455_5_4_a_fragmented_message_keeps_its_kind_and_its_place(role: Role) {
        let mut endpoint = Endpoint::new(role);
        let mut out = endpoint.ws.sender();
        out.send_fragment(Message::Text("a"), false).unwrap();
        for refused in [out.send_text("b"), out.send_binary(b"b"), out.send_shared(&SharedMessage::text("b"))] {
            assert_eq!(refused, Err(SendError::MessageUnderWay));
        }
        assert_eq!(out.send_fragment(Message::Binary(b"b"), true), Err(SendError::KindMismatch));
        out.send_fragment(Message::Text("c"), true).unwrap();
        out.send_fragment(Message::Binary(b"d"), false).unwrap();
        assert_eq!(out.send_fragment(Message::Text("e"), false), Err(SendError::KindMismatch));
        out.send_fragment(Message::Binary(b"f"), true).unwrap();
        out.send_text("g").unwrap();
        assert_eq!(
            endpoint.sent_parts(),
            [
                (TEXT, b"a".into()),
                (FIN | CONTINUATION, b"c".into()),
                (BINARY, b"d".into()),
                (FIN | CONTINUATION, b"f".into()),
                (FIN | TEXT, b"g".into()),
            ],
        );
    }

    fn rfc6455_5_4_a_close_may_be_sent_between_fragments(role: Role) {
        let mut endpoint = Endpoint::new(role);
        endpoint.ws.sender().send_fragment(Message::Text("a"), false).unwrap();
        endpoint.close(1000);
        assert_eq!(endpoint.sent_parts(), [(TEXT, b"a".into()), (FIN | CLOSE, close_body(1000, ""))]);
    }

    fn rfc6455_5_5_a_ping_or_pong_of_126_bytes_is_refused(role: Role) {
        let mut endpoint = Endpoint::new(role);
        let mut out = endpoint.ws.sender();
        out.ping(&[1; 125]).unwrap();
        out.pong(&[2; 125]).unwrap();
        assert_eq!(out.ping(&[1; 126]), Err(SendError::ControlTooLong));
        assert_eq!(out.pong(&[2; 126]), Err(SendError::ControlTooLong));
        assert_eq!(endpoint.sent_parts(), [(FIN | PING, vec![1; 125]), (FIN | PONG, vec![2; 125])]);
    }

    fn rfc6455_5_5_1_a_close_reason_of_124_bytes_is_refused(role: Role) {
        let mut endpoint = Endpoint::new(role);
        let now = endpoint.now;
        let refused = endpoint.ws.close(now, CloseCode::NORMAL, &"x".repeat(124));
        assert_eq!(refused, Err(SendError::ReasonTooLong));
        assert!(endpoint.ws.sender().is_open());
        endpoint.ws.close(now, CloseCode::NORMAL, &"x".repeat(123)).unwrap();
        assert_eq!(endpoint.sent_parts(), [(FIN | CLOSE, close_body(1000, &"x".repeat(123)))]);
    }

    fn rfc6455_7_4_a_close_code_that_must_not_be_sent_is_refused(role: Role) {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
            let mut endpoint = Endpoint::new(role);
            assert_eq!(endpoint.ws.close(endpoint.now, CloseCode::new(code), ""), Err(SendError::CloseCode));
            assert!(endpoint.ws.sender().is_open());
            assert_eq!(endpoint.sent_parts(), []);
        }
    }

    fn a_closed_connection_says_so_whatever_else_is_wrong(role: Role) {
        let mut endpoint = Endpoint::with(role, &untimed().max_queued(100));
        endpoint.ws.sender().send_fragment(Message::Text("a"), false).unwrap();
        endpoint.feed(&close_to(role, 1000, ""));
        let now = endpoint.now;
        let mut out = endpoint.ws.sender();
        for refused in [
            out.send_text(&"x".repeat(200)),
            out.send_fragment(Message::Binary(b""), true),
            out.ping(&[0; 126]),
            out.pong(&[0; 126]),
            out.close(now, CloseCode::ABNORMAL, ""),
        ] {
            assert_eq!(refused, Err(SendError::Closed));
        }
    }
}

/// The length of the header of a short frame.
fn header_len(role: Role) -> usize {
    if role == Role::Client { 6 } else { 2 }
}

#[test]
fn rfc6455_5_3_a_client_draws_a_fresh_key_for_each_frame() {
    let mut client = Endpoint::new(Role::Client);
    for _ in 0..1000 {
        client.ws.send_text("the same each time").unwrap();
    }
    let keys: BTreeSet<_> = client.sent().into_iter().map(|frame| frame.masking_key).collect();
    // Two of 1,000 random keys out of 2^32 are equal for about one in 8,600 seeds. With this seed there are none.
    assert_eq!(keys.len(), 1000);
}

#[test]
fn rfc6455_5_3_the_key_covers_the_whole_payload_of_any_length() {
    for len in 0..70 {
        let payload: Vec<u8> = (0..len).collect();
        let mut client = Endpoint::new(Role::Client);
        client.ws.send_binary(&payload).unwrap();
        client.ws.send_binary(&payload).unwrap();
        assert_eq!(client.sent_parts(), [(FIN | BINARY, payload.clone()), (FIN | BINARY, payload)]);
    }
}

#[test]
fn a_shared_message_leaves_a_server_from_the_buffer_it_was_made_in() {
    let payload = Bytes::from(vec![7; 1000]);
    let message = SharedMessage::from_bytes(payload.clone());
    for _ in 0..3 {
        let mut server = Endpoint::new(Role::Server);
        server.ws.sender().send_shared(&message).unwrap();
        server.ws.sender().send_shared(&message.clone()).unwrap();
        let mut slices = [&[][..]; 8];
        let filled = server.ws.poll_transmit(&mut slices);
        let lent = slices[..filled].iter().filter(|slice| slice.as_ptr() == payload.as_ptr() && slice.len() == 1000);
        assert_eq!(lent.count(), 2);
        assert_eq!(server.sent_parts(), [(FIN | BINARY, vec![7; 1000]), (FIN | BINARY, vec![7; 1000])]);
    }
}

#[test]
fn a_shared_text_is_framed_once_for_all_servers() {
    let message = SharedMessage::text(&"x".repeat(500));
    let lent = |server: &Endpoint| {
        let mut slices = [&[][..]; 2];
        assert_eq!(server.ws.poll_transmit(&mut slices), 1);
        slices[0].as_ptr()
    };
    let (mut one, mut other) = (Endpoint::new(Role::Server), Endpoint::new(Role::Server));
    one.ws.sender().send_shared(&message).unwrap();
    other.ws.sender().send_shared(&message).unwrap();
    assert_eq!(lent(&one), lent(&other));
}

#[test]
fn a_shared_message_is_masked_for_each_client_and_stays_as_it_was() {
    let message = SharedMessage::from_bytes(Bytes::from_static(b"for everyone"));
    let mut client = Endpoint::new(Role::Client);
    client.ws.sender().send_shared(&message).unwrap();
    client.ws.sender().send_shared(&message).unwrap();
    let sent = client.sent();
    assert_ne!(sent[0].masking_key, sent[1].masking_key);
    assert_eq!((&sent[0].payload[..], &sent[1].payload[..]), (&b"for everyone"[..], &b"for everyone"[..]));
    assert_eq!(message.payload(), b"for everyone");
}

#[test]
fn shared_messages_are_equal_when_they_say_the_same() {
    let payload = vec![1; 300];
    assert_eq!(SharedMessage::binary(&payload), SharedMessage::from_bytes(payload.clone().into()));
    assert_eq!(SharedMessage::binary(b""), SharedMessage::from_bytes(Bytes::new()));
    assert_ne!(SharedMessage::binary(b"a"), SharedMessage::text("a"));
    assert_ne!(SharedMessage::binary(b"a"), SharedMessage::binary(b"b"));
}

#[test]
fn different_seeds_give_different_keys() {
    let key = |seed| {
        let config = untimed();
        let negotiated = multiwa_ws_core::websocket::Negotiated::default();
        let now = Instant::default();
        let mut ws = WebSocket::new(now, Role::Client, &config, &negotiated, seed);
        ws.send_text("a").unwrap();
        let mut slices = [&[][..]; 1];
        assert_eq!(ws.poll_transmit(&mut slices), 1);
        frames_from(Role::Client, slices[0])[0].masking_key
    };
    assert_ne!(key([1; 32]), key([2; 32]));
}
