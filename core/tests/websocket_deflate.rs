//! `permessage-deflate` on a connection: RFC 7692 sections 6 and 7, between two peers of this crate.

#![cfg(test)]

use multiwa_ws_core::Instant;
use multiwa_ws_core::websocket::{
    Config, DeflateParameters, Event, Message, Negotiated, Role, SharedMessage, WebSocket,
};

const NOW: Instant = Instant::from_nanos(0);

fn peer(role: Role, deflate: DeflateParameters) -> WebSocket {
    let negotiated = Negotiated { deflate: Some(deflate), ..Negotiated::default() };
    WebSocket::new(NOW, role, &Config::default(), &negotiated, [3; 32])
}

fn drain(from: &mut WebSocket) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let mut slices = [&[][..]; 4];
        let filled = from.poll_transmit(&mut slices);
        if filled == 0 {
            return bytes;
        }
        let lent = slices[..filled].concat();
        from.transmitted(lent.len());
        bytes.extend(lent);
    }
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
            let wire = drain(&mut from);
            // A window of 256 bytes finds little to refer to, and less with a library that does not know it.
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
    server.outgoing().send_fragment(Message::Text(long), false).unwrap();
    server.outgoing().send_fragment(Message::Text(""), false).unwrap();
    server.outgoing().send_fragment(Message::Text("short"), true).unwrap();
    server.outgoing().send_uncompressed(Message::Text(long)).unwrap();
    server.outgoing().send_shared(&shared).unwrap();
    server.send_text("").unwrap();
    server.outgoing().send_shared(&shared).unwrap();
    let wire = drain(&mut server);
    assert_eq!(texts(&mut client, wire, 3), [&format!("{long}short"), long, long, "", long]);
}
