//! The server's side of a whole connection.
#![cfg(test)]
#![cfg(all(feature = "server", feature = "session"))]

use allocation_counter::measure;
use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::handshake::{Acceptance, Rejection, RequestError};
use multiwa_ws_core::server::{Config, Connection, Ended, Event};
use multiwa_ws_core::session::{ServerConfig, ServerEvent, SubscribePolicy};
use multiwa_ws_core::websocket::{self, Cause, SendError, SharedMessage};
use multiwa_ws_core::{Instant, WallClock};

const NOW: Instant = Instant::from_nanos(7);

const REQUEST: &[u8] = b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn open(config: &Config) -> Connection {
    let mut connection = Connection::new(NOW, config);
    connection.handle_input(NOW, &mut &mut REQUEST.to_vec()[..]).unwrap();
    connection.accept(NOW, Acceptance::default(), "c", WallClock::new(NOW, 0)).unwrap();
    connection
}

#[test]
fn a_connection_is_open_from_its_acceptance_to_its_close() {
    let message = SharedMessage::text("{}");
    let mut connection = Connection::new(NOW, &Config::default());
    assert_eq!((connection.is_open(), connection.publish(&message)), (false, Err(SendError::Closed)));
    let requested = connection.handle_input(NOW, &mut &mut REQUEST.to_vec()[..]);
    assert_eq!((requested, connection.is_open()), (Ok(Some(Event::Requested)), false));
    connection.accept(NOW, Acceptance::default(), "c", WallClock::new(NOW, 0)).unwrap();
    assert_eq!((connection.is_open(), connection.publish(&message)), (true, Ok(())));
    connection.close(NOW, CloseCode::NORMAL, "").unwrap();
    assert_eq!((connection.is_open(), connection.publish(&message)), (false, Err(SendError::Closed)));
}

#[test]
fn the_request_and_what_was_agreed_on_are_there_until_they_are_released() {
    let mut connection = Connection::new(NOW, &Config::default());
    assert_eq!(connection.request(), None);
    connection.handle_input(NOW, &mut &mut REQUEST.to_vec()[..]).unwrap();
    assert_eq!(connection.request().map(|request| request.path()), Some("/ws"));
    connection.accept(NOW, Acceptance::default(), "c", WallClock::new(NOW, 0)).unwrap();
    assert!(connection.request().is_some() && connection.upgraded().is_some());
    connection.release_handshake();
    assert!(connection.request().is_none() && connection.upgraded().is_none());
}

#[test]
fn a_binary_message_closes_the_connection_with_1003() {
    let mut connection = open(&Config::default());
    let queued = connection.queued();
    connection.handle_input(NOW, &mut &mut [0x82, 0x80, 0, 0, 0, 0][..]).unwrap();
    assert!(!connection.is_open());
    let mut slices = [&[][..]; 8];
    let filled = connection.poll_transmit(&mut slices);
    assert_eq!(slices[..filled].concat()[queued..][2..4], 1003u16.to_be_bytes());
}

#[test]
fn a_decision_whose_answer_is_one_too_many_closes_the_connection_at_once() {
    // There is room for the request, but not for the answer as long as the client has not read the earlier messages.
    let session = ServerConfig::new().policy(SubscribePolicy::Ask).max_queued_bytes(200);
    let config = Config::new().session(session).websocket(websocket::Config::new().max_queued(0));
    for allow in [true, false] {
        let mut connection = open(&config);
        let mut request = masked(r#"{"type":"subscribe","payload":{"profileId":"p","events":["*"]}}"#);
        let event = connection.handle_input(NOW, &mut &mut request[..]);
        let Ok(Some(Event::Session(ServerEvent::SubscribeRequested { ticket, .. }))) = event else {
            panic!("{event:?}")
        };
        assert!(connection.is_open());
        let decided = if allow {
            connection.allow(NOW, ticket).map(|_| ())
        } else {
            connection.refuse(NOW, ticket, &"no ".repeat(70))
        };
        assert_eq!((decided, connection.is_open()), (Ok(()), false), "allowed: {allow}");
    }
}

#[test]
fn each_end_of_a_connection_is_returned_by_poll_event_once() {
    let mut left = Connection::new(NOW, &Config::default());
    assert_eq!(left.poll_event(), None);
    left.handle_lost(NOW);
    assert_eq!(left.poll_event(), Some(Event::Ended(Ended::Failed(RequestError::NoRequest))));
    assert_eq!(left.poll_event(), None);

    for end in [Connection::handle_lost, Connection::abort] {
        let mut rejected = Connection::new(NOW, &Config::default());
        rejected.handle_input(NOW, &mut &mut REQUEST.to_vec()[..]).unwrap();
        rejected.reject(NOW, &Rejection::unauthorized()).unwrap();
        assert_eq!(rejected.poll_event(), None, "the response has not left");
        end(&mut rejected, NOW);
        assert_eq!((rejected.poll_event(), rejected.poll_event()), (Some(Event::Ended(Ended::Rejected)), None));
    }

    let mut open = open(&Config::default());
    assert_eq!(open.poll_event(), None);
    open.abort(NOW);
    let Some(Event::Ended(Ended::Closed(closed))) = open.poll_event() else { panic!("no end") };
    assert_eq!((closed.cause, closed.clean, open.poll_event()), (Cause::Aborted, false, None));
}

#[test]
fn a_write_is_confirmed_without_a_time_unless_a_reply_waits() {
    assert!(!Connection::new(NOW, &Config::default()).try_transmitted(0));
    let mut connection = open(&Config::default());
    let queued = connection.queued();
    assert!(!connection.try_transmitted(queued - 1));
    assert!(connection.try_transmitted(queued));
    assert_eq!(connection.queued(), 0);
    // There is no room for the connection ack behind the response to the upgrade.
    let mut connection = open(&Config::new().websocket(websocket::Config::new().max_queued(200)));
    let queued = connection.queued();
    assert!(!connection.try_transmitted(queued));
    connection.transmitted(NOW, queued);
    assert!(connection.queued() > 0, "the ack");
}

#[test]
fn an_idle_connection_with_a_subscription_takes_little_memory() {
    let config = Config::default();
    let mut kept = None;
    let taken = measure(|| {
        let mut connection = open(&config);
        connection.release_handshake();
        let mut request = masked(r#"{"type":"subscribe","payload":{"profileId":"profile-1","events":["*"]}}"#);
        connection.handle_input(NOW, &mut &mut request[..]).unwrap();
        connection.transmitted(NOW, connection.queued());
        kept = Some(connection);
    });
    assert!(kept.is_some_and(|connection| connection.queued() == 0));
    // 848 bytes: the connection, the profile and the subscription.
    assert!(taken.bytes_current <= 880, "{taken:?}");
}

/// A text frame of a client whose masking key is zero.
fn masked(text: &str) -> Vec<u8> {
    let len = u8::try_from(text.len()).unwrap();
    [&[0x81, 0x80 | len, 0, 0, 0, 0], text.as_bytes()].concat()
}
