//! The whole server's side of a connection, where its layers meet.
#![cfg(test)]

use multiwa_ws_core::handshake::Acceptance;
use multiwa_ws_core::server::{Config, Connection, Event};
use multiwa_ws_core::websocket::{self, SendError, SharedMessage};
use multiwa_ws_core::{Instant, WallClock};

const NOW: Instant = Instant::from_nanos(0);

fn open(config: &Config) -> Connection {
    let mut connection = Connection::new(NOW, config);
    let mut request = *b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    assert_eq!(connection.handle_input(NOW, &mut &mut request[..]), Ok(Some(Event::Requested)));
    connection.accept(NOW, Acceptance::default(), "client", WallClock::new(NOW, 0)).unwrap();
    connection
}

/// A masked text frame, with a key of zeros.
fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
    frame.extend_from_slice(text.as_bytes());
    frame
}

/// Writes everything, `step` bytes at a time, and returns it.
fn written(connection: &mut Connection, step: usize) -> String {
    let mut written = Vec::new();
    loop {
        let mut slices = [&[][..]; 1];
        if connection.poll_transmit(&mut slices) == 0 {
            return String::from_utf8_lossy(&written).into_owned();
        }
        let len = step.min(slices[0].len());
        written.extend_from_slice(&slices[0][..len]);
        connection.transmitted(len);
    }
}

/// `protocol.md`, Subscriptions: nothing that was published before the `ack` is delivered for a subscription.
#[test]
fn no_event_overtakes_an_ack_that_waits_for_room() {
    let websocket = websocket::Config { max_queued: 2_000, ..websocket::Config::default() };
    let mut connection = open(&Config { websocket, ..Config::default() });
    // As full as it can be with room for a small event and none for the answer.
    let small = SharedMessage::text("small");
    while connection.queued() + 60 < 2_000 {
        connection.publish(&small).unwrap();
    }
    let mut subscribe =
        frame(r#"{"type":"subscribe","payload":{"profileId":"p","events":["a name that takes up room"]}}"#);
    connection.handle_input(NOW, &mut &mut subscribe[..]).unwrap();
    assert!(matches!(connection.publish(&small), Err(SendError::QueueFull { limit: 2_000, .. })));
    let before = written(&mut connection, 7);
    assert!(before.ends_with(r#""events":["a name that takes up room"]}}"#), "{before}");
    connection.publish(&small).unwrap();
    assert!(written(&mut connection, 7).ends_with("small"));
}

#[test]
fn what_opened_the_connection_is_there_until_it_is_released() {
    let mut connection = open(&Config::default());
    assert_eq!(connection.request().map(|request| request.path()), Some("/ws"));
    assert!(connection.upgraded().is_some());
    connection.release_handshake();
    assert!(connection.request().is_none() && connection.upgraded().is_none());
    assert!(written(&mut connection, 64).starts_with("HTTP/1.1 101 "));
}
