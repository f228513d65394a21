//! `permessage-deflate` on a connection: RFC 7692 sections 6 and 7, between two peers of this crate.

#![cfg(test)]
#![cfg(feature = "deflate")]

use allocation_counter::measure;
use multiwa_ws_core::Instant;
use multiwa_ws_core::websocket::{
    Config, DeflateParameters, Event, Message, Negotiated, Role, SharedMessage, WebSocket,
};
use multiwa_ws_testkit::wire::drain;

const NOW: Instant = Instant::from_nanos(0);

fn peer(role: Role, deflate: DeflateParameters) -> WebSocket {
    let negotiated = Negotiated { deflate: Some(deflate), ..Negotiated::default() };
    WebSocket::new(NOW, role, &Config::default(), &negotiated, [3; 32])
}

fn texts(to: &mut WebSocket, mut bytes: Vec<u8>, chunk: usize) -> Vec<String> {
    let mut texts = Vec::new();
    for chunk in bytes.chunks_mut(chunk) {
        let mut input = chunk;
        while let Some(received) = to.handle_input(NOW, &mut input).expect("valid frames") {
            match received.event {
                Event::Text(text) => texts.push(text.to_owned()),
                event => panic!("unexpected {event:?}"),
            }
        }
    }
    texts
}

fn every_parameter() -> impl Iterator<Item = DeflateParameters> {
    (0..4).flat_map(|flags| {
        (8..=15).map(move |bits| DeflateParameters {
            server_no_context_takeover: flags & 1 != 0,
            client_no_context_takeover: flags & 2 != 0,
            server_max_window_bits: bits,
            client_max_window_bits: 23 - bits,
        })
    })
}

#[test]
fn messages_arrive_whatever_was_negotiated_and_however_the_bytes_are_split() {
    let message = |i: usize| format!("{{\"event\":\"message.received\",\"n\":{i},\"ü\":\"€\"}}").repeat(i);
    let messages: Vec<String> = (0..20).map(message).collect();
    for parameters in every_parameter() {
        for (from, to) in [(Role::Client, Role::Server), (Role::Server, Role::Client)] {
            let mut from = peer(from, parameters);
            for text in &messages {
                from.send_text(text).unwrap();
            }
            let wire = drain(&mut from, NOW);
            // A window of 256 bytes contains few matches, and fewer with a library that does not support it.
            if parameters.server_max_window_bits > 8 && parameters.client_max_window_bits > 8 {
                assert!(wire.len() < messages.concat().len() / 2, "{} bytes, {parameters:?}", wire.len());
            }
            for chunk in [1, 7, 1 << 20] {
                assert_eq!(texts(&mut peer(to, parameters), wire.clone(), chunk), messages);
            }
        }
    }
}

#[test]
fn fragments_plain_messages_and_shared_ones_mix() {
    let parameters = DeflateParameters { server_no_context_takeover: true, ..DeflateParameters::default() };
    let (mut server, mut client) = (peer(Role::Server, parameters), peer(Role::Client, parameters));
    let long = "an event that is worth compressing, an event that is worth compressing, an event";
    let shared = SharedMessage::text(long).compressed(1);
    server.sender().send_fragment(Message::Text(long), false).unwrap();
    server.sender().send_fragment(Message::Text(""), false).unwrap();
    server.sender().send_fragment(Message::Text("short"), true).unwrap();
    server.sender().send_uncompressed(Message::Text(long)).unwrap();
    server.sender().send_shared(&shared).unwrap();
    server.send_text("").unwrap();
    server.sender().send_shared(&shared).unwrap();
    let wire = drain(&mut server, NOW);
    assert_eq!(texts(&mut client, wire, 3), [&format!("{long}short"), long, long, "", long]);
}

/// The address of the lent bytes.
fn lent(from: &WebSocket) -> (*const u8, usize) {
    let mut slices = [&[][..]; 1];
    assert_eq!(from.poll_transmit(&mut slices), 1);
    (slices[0].as_ptr(), slices[0].len())
}

/// An event that is long enough to compress, in both forms.
fn shared() -> (String, SharedMessage) {
    let text = "an event that is worth compressing, ".repeat(20);
    let message = SharedMessage::text(&text).compressed(1);
    (text, message)
}

/// The frames that two servers with these parameters queue for a shared message, which is sent twice.
fn shared_twice(parameters: DeflateParameters) -> [(*const u8, usize); 2] {
    let (text, message) = shared();
    // Both exist at the same time, so that neither reuses the memory of the other.
    let mut servers = [(); 2].map(|()| peer(Role::Server, parameters));
    for server in &mut servers {
        server.sender().send_shared(&message).unwrap();
    }
    let lent = [lent(&servers[0]), lent(&servers[1])];
    for mut server in servers {
        server.sender().send_shared(&message).unwrap();
        assert_eq!(texts(&mut peer(Role::Client, parameters), drain(&mut server, NOW), 100), [&*text, &*text]);
    }
    lent
}

#[test]
fn a_message_compressed_once_is_lent_to_every_connection_that_keeps_no_context() {
    let [one, other] =
        shared_twice(DeflateParameters { server_no_context_takeover: true, ..DeflateParameters::default() });
    assert_eq!(one, other);
    assert!(one.1 < 100, "{} bytes", one.1);
}

/// RFC 7692 section 7.1.1: a message that is compressed once for all would be missing from the context of the peer.
#[test]
fn a_connection_with_a_context_or_a_smaller_window_compresses_a_shared_message_by_itself() {
    let no_context = DeflateParameters { server_no_context_takeover: true, ..DeflateParameters::default() };
    for parameters in [
        DeflateParameters::default(),
        DeflateParameters { client_no_context_takeover: true, ..DeflateParameters::default() },
        DeflateParameters { server_max_window_bits: 14, ..no_context },
    ] {
        let [one, other] = shared_twice(parameters);
        assert_ne!(one.0, other.0, "{parameters:?}");
        assert!(one.1 < 100, "{} bytes, {parameters:?}", one.1);
    }
}

/// RFC 6455 section 5.1: a client masks its frames, so it cannot lend the shared bytes.
#[test]
fn a_client_masks_a_shared_message_whatever_form_it_has() {
    let parameters = DeflateParameters { client_no_context_takeover: true, ..DeflateParameters::default() };
    let (text, message) = shared();
    let mut client = peer(Role::Client, parameters);
    client.sender().send_shared(&message).unwrap();
    assert_eq!(texts(&mut peer(Role::Server, parameters), drain(&mut client, NOW), 100), [text]);
}

#[test]
fn a_shared_message_below_the_threshold_is_sent_as_it_is() {
    let parameters = DeflateParameters { server_no_context_takeover: true, ..DeflateParameters::default() };
    let message = SharedMessage::text("short").compressed(1);
    let mut server = peer(Role::Server, parameters);
    server.sender().send_shared(&message).unwrap();
    assert_eq!(drain(&mut server, NOW), b"\x81\x05short");
}

/// RFC 7692 section 6.1: RSV1 is set on the first fragment only, and applies to the whole message.
#[test]
fn the_first_fragment_says_whether_a_message_is_compressed() {
    let long = "a fragment that is worth compressing, a fragment that is worth compressing";
    let first_bytes = |fragments: [&str; 2]| {
        let mut server = peer(Role::Server, DeflateParameters::default());
        [false, true].map(|end| {
            server.sender().send_fragment(Message::Text(fragments[usize::from(end)]), end).unwrap();
            drain(&mut server, NOW)[0]
        })
    };
    assert_eq!(first_bytes([long, "short"]), [0x41, 0x80]);
    assert_eq!(first_bytes(["short", long]), [0x01, 0x80]);
}

/// The table in the documentation of `Compression`.
#[test]
fn a_connection_holds_the_memory_that_is_stated_and_gives_it_back() {
    let stated = match cfg!(feature = "std") {
        true => [(9, 148, 51), (12, 162, 55), (15, 274, 83)],
        false => [(9, 312, 11), (12, 312, 15), (15, 312, 43)],
    };
    // More changing data than the largest window holds.
    let message = |n: u64| format!("{{\"event\":\"message.received\",\"n\":{}}}", n * n * n * n * n).repeat(4);
    for (bits, sending, receiving) in stated {
        let parameters = DeflateParameters { server_max_window_bits: bits, ..DeflateParameters::default() };
        let mut server = peer(Role::Server, parameters);
        let mut client = peer(Role::Client, parameters);
        let (mut held_by_server, mut held_by_client) = (0, 0);
        for n in 0..300 {
            let mut sent = Vec::new();
            let text = message(n);
            let info = measure(|| {
                server.send_text(&text).expect("there is room");
                sent = drain(&mut server, NOW);
            });
            held_by_server += info.bytes_current - sent.capacity() as i64;
            let info = measure(|| assert_eq!(receive(&mut client, &mut sent), text.len()));
            held_by_client += info.bytes_current;
        }
        // In addition to the codec, there are three buffers of a message: the compressed form, the queue and the text.
        let within = |held: i64, kib: i64| (kib << 10) - 1024 < held && held < (kib << 10) + 4096;
        assert!(within(held_by_server, sending), "{held_by_server} bytes to send with {bits} bits");
        assert!(within(held_by_client, receiving), "{held_by_client} bytes to receive with {bits} bits");
        let info = measure(|| {
            server.release_memory();
            client.release_memory();
        });
        let window = 1 << bits;
        let left = held_by_server + held_by_client + info.bytes_current;
        assert!((0..window + 4096).contains(&left), "{left} bytes are left with {bits} bits");
    }
}

/// Takes one text and returns its length.
fn receive(to: &mut WebSocket, bytes: &mut [u8]) -> usize {
    let mut input = bytes;
    let received = to.handle_input(NOW, &mut input).expect("valid frames").expect("a whole message");
    let Event::Text(text) = received.event else { panic!("a text was sent") };
    text.len()
}
