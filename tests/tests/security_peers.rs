//! Attacks on sessions, on whole peers and on the fan-out, each by the id of its row in the list of security cases. Further
//! rows of the session stand beside its other tests, in `core/tests`.

#![cfg(test)]

use std::cell::Cell;
use std::cmp::Ordering;

use multiwa_ws_core::client::{self, Client};
use multiwa_ws_core::handshake::{Acceptance, ClientRequest, Headers};
use multiwa_ws_core::hub::Hub;
use multiwa_ws_core::server::{self, Connection};
use multiwa_ws_core::session::{
    CommandError, ErrorCode, EventNames, ServerConfig, ServerEvent, ServerSession, SubscriptionSet,
};
use multiwa_ws_core::websocket::{self, MessageKind, Negotiated, Role, SendError, SharedMessage, WebSocket};
use multiwa_ws_core::{Instant, WallClock};

use multiwa_ws_testkit::wire::{FIN, TEXT, drain, frame_to, frames_from};

const NOW: Instant = Instant::from_nanos(0);

/// The default limits of subscriptions.
const MAX_SUBSCRIPTIONS: usize = 256;
const MAX_EVENT_NAMES: usize = 1_024;
const MAX_NAME_BYTES: usize = 256;

const REQUEST: &[u8] = b"GET /ws?apiKey=s3cret HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                         Cookie: session=s3cret\r\nX-API-Key: s3cret\r\nAuthorization: Bearer s3cret\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

fn clock() -> WallClock {
    WallClock::new(NOW, 1_770_285_600_000)
}

/// The server's side of a connection whose upgrade is done and whose `ack` was read.
fn connection(config: &server::Config) -> Connection {
    let mut connection = Connection::new(NOW, config);
    let mut bytes = REQUEST.to_vec();
    assert_eq!(connection.handle_input(NOW, &mut &mut bytes[..]), Ok(Some(server::Event::Requested)));
    connection.accept(NOW, Acceptance::default(), "client-1", clock()).unwrap();
    let _ = drain(&mut connection, NOW);
    connection
}

fn say(connection: &mut Connection, text: &str) -> Option<server::Event> {
    let mut bytes = frame_to(Role::Server, FIN | TEXT, text.as_bytes());
    connection.handle_input(NOW, &mut &mut bytes[..]).unwrap()
}

#[test]
fn sec_ap_01_a_reader_that_stops_holds_no_more_than_the_queues() {
    let config = server::Config::new()
        .websocket(websocket::Config::new().max_queued(64 << 10))
        .session(ServerConfig::new().max_queued_bytes(64 << 10));
    let event = SharedMessage::text(&"e".repeat(1000));
    let id = "i".repeat(1000);
    let info = allocation_counter::measure(|| {
        let mut connection = connection(&config);
        for number in 0..10_000 {
            let _ = connection.publish(&event);
            let ping = format!(r#"{{"type":"ping","requestId":"{number}{id}"}}"#);
            say(&mut connection, &ping);
        }
        // The client reads nothing and asks on, so it is closed with 1013 behind what is queued.
        let sent = drain(&mut connection, NOW);
        assert!(sent.len() <= (64 << 10) + 100, "{} bytes", sent.len());
        let last = frames_from(Role::Server, &sent).pop().unwrap();
        assert_eq!(last.payload[..2], 1013_u16.to_be_bytes());
    });
    assert!(info.bytes_max <= 6 * (64 << 10), "{info:?}");
}

#[test]
fn sec_ap_02_hostile_json_is_checked_in_linear_time_and_little_memory() {
    const MEBIBYTE: usize = 1 << 20;
    let mut server = ServerSession::new(NOW, ServerConfig::default(), "c", clock());
    server.message_sent();
    let fill = |unit: &str| unit.repeat(MEBIBYTE / unit.len());
    let subscribe = |member: &str| format!(r#"{{"type":"subscribe","payload":{{"profileId":"p",{member}}}}}"#);
    for (text, code) in [
        (fill("["), ErrorCode::InvalidMessage),
        (fill("{\"a\":"), ErrorCode::InvalidMessage),
        (fill("\""), ErrorCode::InvalidMessage),
        (fill("9"), ErrorCode::UnknownType),
        (format!("1{}", fill("0")), ErrorCode::UnknownType),
        (format!("{{\"type\":1{}}}", fill("0")), ErrorCode::UnknownType),
        ("\u{feff}{\"type\":\"ping\"}".into(), ErrorCode::InvalidMessage),
        ("{\"type\":\"ping\"}\0".into(), ErrorCode::InvalidMessage),
        ("{\"type\":\"ping\"}{\"type\":\"ping\"}".into(), ErrorCode::InvalidMessage),
        ("{\"type\":\"\\ud800\"}".into(), ErrorCode::UnknownType),
        (format!("\"{}\"", fill("\\ud800")), ErrorCode::UnknownType),
        (format!("{{{}\"type\":\"x\"}}", fill("\"type\":\"ping\",")), ErrorCode::UnknownType),
        (format!("{{{}\"type\":\"x\"}}", fill("\"\\u0074ype\":\"ping\",")), ErrorCode::UnknownType),
        (format!("{{{}\"a\":1}}", fill("\"payload\":{\"events\":[]},")), ErrorCode::UnknownType),
        (subscribe(&format!("\"events\":[{}1]", fill("\"a\","))), ErrorCode::EventsRequired),
        (subscribe(&format!("\"events\":[\"{}\"]", fill("\\u0061"))), ErrorCode::LimitExceeded),
        (subscribe(&format!("{}\"events\":[]", fill("\"events\":[\"a\"],"))), ErrorCode::EventsRequired),
        (
            subscribe(&format!(
                "\"events\":[{}]",
                (0..MEBIBYTE / 10).map(|n| format!("\"{n:06}\"")).collect::<Vec<_>>().join(",")
            )),
            ErrorCode::LimitExceeded,
        ),
    ] {
        let info = allocation_counter::measure(|| {
            let start: String = text.chars().take(60).collect();
            assert_eq!(server.handle_message(NOW, &text), Some(ServerEvent::Refused { code }), "{start}");
        });
        // A member with escapes is decoded, each at a time.
        assert!(info.bytes_max <= 3 * MEBIBYTE as u64, "{info:?}");
        server.message_sent();
    }
    assert!(server.poll_message().is_none());
}

#[test]
fn sec_ap_03_names_are_limited_wherever_they_stand() {
    let mut server = ServerSession::new(NOW, ServerConfig::default(), "c", clock());
    let mut say = |text: &str| server.handle_message(NOW, text);
    for (length, refused) in [(MAX_NAME_BYTES, false), (MAX_NAME_BYTES + 1, true)] {
        let name = "n".repeat(length);
        for text in [
            format!(r#"{{"type":"subscribe","payload":{{"profileId":"{name}","events":["*"]}}}}"#),
            format!(r#"{{"type":"subscribe","payload":{{"sessionId":"{name}","events":["*"]}}}}"#),
            format!(r#"{{"type":"subscribe","payload":{{"profileId":"p","events":["{name}"]}}}}"#),
            format!(r#"{{"type":"unsubscribe","payload":{{"profileId":"{name}"}}}}"#),
        ] {
            let event = say(&text).unwrap();
            assert_eq!(event == ServerEvent::Refused { code: ErrorCode::LimitExceeded }, refused, "{event:?}");
        }
    }
}

#[test]
fn sec_ap_03_all_names_of_a_connection_hold_little_memory_however_short_they_are() {
    for length in [3, MAX_NAME_BYTES] {
        let names: Vec<_> = (0..MAX_EVENT_NAMES).map(|name| format!("\"{name:0length$x}\"")).collect();
        let names = names.join(",");
        let subscribe = |profile| {
            format!(r#"{{"type":"subscribe","payload":{{"profileId":"{profile}","events":[{names}],"mode":"add"}}}}"#)
        };
        let texts: Vec<_> = (0..MAX_SUBSCRIPTIONS).map(subscribe).collect();
        let mut server = ServerSession::new(NOW, ServerConfig::default(), "c", clock());
        server.message_sent();
        let mut refused = 0;
        let info = allocation_counter::measure(|| {
            for text in &texts {
                refused = match server.handle_message(NOW, text) {
                    Some(ServerEvent::Refused { code: ErrorCode::LimitExceeded }) => refused + 1,
                    _ => 0,
                };
                server.message_sent();
                if refused == 3 {
                    break;
                }
            }
        });
        assert_eq!(refused, 3, "names of {length} bytes");
        assert!(server.subscriptions().len() > 2);
        assert!(info.bytes_current <= 2 * 1024 * 1024, "{info:?}");
    }
}

/// A key of the hub that counts how often it is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Counted(u32);

thread_local! {
    static COMPARED: Cell<u64> = const { Cell::new(0) };
}

impl Ord for Counted {
    fn cmp(&self, other: &Self) -> Ordering {
        COMPARED.set(COMPARED.get() + 1);
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Counted {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[test]
fn sec_ap_03_a_small_change_of_a_full_set_costs_the_hub_what_has_changed() {
    let names: EventNames = (0..MAX_EVENT_NAMES).map(|name| name.to_string()).collect();
    let mut set = SubscriptionSet::default();
    for profile in 0..MAX_SUBSCRIPTIONS {
        set.add(profile.to_string(), names.clone());
    }
    let mut hub = Hub::new();
    for connection in 0..3 {
        hub.update(Counted(connection), set.clone());
    }
    let mut steps_of = |set: &SubscriptionSet| {
        COMPARED.set(0);
        hub.update(Counted(1), set.clone());
        COMPARED.get()
    };
    assert!(steps_of(&set) < 100, "nothing has changed");
    // The names of one profile go and one comes: a few steps each, of a quarter of a million that stay.
    set.add("7", ["x"].into_iter().collect());
    let steps = steps_of(&set);
    assert!(steps < 20 * 1024, "{steps} steps");
    set.add("7", ["y"].into_iter().collect());
    let steps = steps_of(&set);
    assert!(steps < 100, "{steps} steps");
    set.remove("7");
    let steps = steps_of(&set);
    assert!(steps < 100, "{steps} steps");
}

#[test]
fn sec_ap_05_no_event_overtakes_the_ack_of_its_subscription() {
    let config = server::Config::new().websocket(websocket::Config::new().max_queued(1000));
    let mut connection = connection(&config);
    let filler = SharedMessage::text(&"f".repeat(950));
    connection.publish(&filler).unwrap();
    // The `ack` finds no room, and an event that is shorter would.
    say(&mut connection, r#"{"type":"subscribe","payload":{"profileId":"p","events":["*"]}}"#).unwrap();
    let event = SharedMessage::text("short");
    assert!(matches!(connection.publish(&event), Err(SendError::QueueFull { limit: 1000, .. })));
    let mut sent = drain(&mut connection, NOW);
    connection.publish(&event).unwrap();
    sent.extend(drain(&mut connection, NOW));
    let payloads: Vec<_> = frames_from(Role::Server, &sent).into_iter().map(|frame| frame.payload).collect();
    assert!(payloads[1].starts_with(br#"{"type":"ack","payload":{"action":"subscribed""#));
    assert_eq!((payloads.len(), &payloads[2][..]), (3, &b"short"[..]));
}

#[test]
fn sec_ap_06_what_comes_before_the_upgrade_is_accepted_waits_and_what_follows_an_unsubscribe_is_not_delivered() {
    let mut connection = Connection::new(NOW, &server::Config::default());
    let subscribe = r#"{"type":"subscribe","payload":{"profileId":"p","events":["*"]}}"#;
    let mut bytes = [REQUEST, &frame_to(Role::Server, FIN | TEXT, subscribe.as_bytes())].concat();
    let mut input = &mut bytes[..];
    assert_eq!(connection.handle_input(NOW, &mut input), Ok(Some(server::Event::Requested)));
    // Nothing of it is looked at while the decision is owed.
    assert_eq!(connection.handle_input(NOW, &mut input), Ok(None));
    assert!(connection.subscriptions().is_none());
    connection.accept(NOW, Acceptance::default(), "client-1", clock()).unwrap();
    let subscribed = connection.handle_input(NOW, &mut input).unwrap();
    assert!(matches!(subscribed, Some(server::Event::Session(ServerEvent::Subscribed { .. }))));
    let mut hub = Hub::new();
    hub.update(1, connection.subscriptions().unwrap().clone());
    assert!(hub.receivers(Some("p"), "x").eq([1]));
    say(&mut connection, r#"{"type":"unsubscribe"}"#).unwrap();
    hub.update(1, connection.subscriptions().unwrap().clone());
    assert_eq!(hub.receivers(Some("p"), "x").count() + hub.receivers(None, "x").count(), 0);

    let mut client = Client::new(client::Config::default(), [7; 32]);
    client.connect(NOW).unwrap();
    assert_eq!(client.connect(NOW), Err(CommandError::AlreadyConnecting));
}

#[test]
fn sec_ap_08_debug_output_shows_no_secret_of_the_upgrade_nor_what_was_said() {
    let mut shown = Vec::new();
    let mut server = Connection::new(NOW, &server::Config::default());
    // In pieces, so that each state of the handshake is seen.
    let mut bytes = REQUEST.to_vec();
    for chunk in bytes.chunks_mut(40) {
        let mut input = chunk;
        server.handle_input(NOW, &mut input).unwrap();
        shown.push(format!("{server:?} {server:#?}"));
    }
    let mut headers = Headers::new();
    headers.append("Set-Cookie", "session=s3cret").unwrap();
    let acceptance = Acceptance::new().headers(headers);
    shown.push(format!("{acceptance:?}"));
    server.accept(NOW, acceptance, "client-1", clock()).unwrap();
    // A QR code is the key to an account.
    server.publish(&SharedMessage::text(r#"{"qr":"s3cret"}"#)).unwrap();
    server.publish(&SharedMessage::text(&"s3cret".repeat(100))).unwrap();
    shown.push(format!("{server:?} {server:#?}"));

    let request = || {
        let mut request = ClientRequest::new("h", "/ws");
        request.append_query("apiKey", "s3cret");
        request.headers.append("X-API-Key", "s3cret").unwrap();
        request
    };
    shown.push(format!("{:?}", request()));
    let mut client = Client::new(client::Config::default(), [7; 32]);
    client.connect(NOW).unwrap();
    let _ = client.poll_action();
    client.connected(NOW, request()).unwrap();
    shown.push(format!("{client:?} {client:#?}"));

    for role in [Role::Client, Role::Server] {
        for kind in [MessageKind::Text, MessageKind::Binary] {
            let mut ws = WebSocket::new(NOW, role, &websocket::Config::default(), &Negotiated::default(), [7; 32]);
            let opcode = if kind == MessageKind::Text { 1 } else { 2 };
            let mut bytes = [frame_to(role, opcode, b"s3cret"), frame_to(role, FIN | 9, b"s3cret")].concat();
            let (head, tail) = bytes.split_at_mut(12);
            for mut input in [head, tail] {
                while ws.handle_input(NOW, &mut input).unwrap().is_some() {}
                ws.sender().ping(b"s3cret").unwrap();
                shown.push(format!("{ws:?} {ws:#?}"));
            }
        }
    }
    shown.push(format!("{:?}", SharedMessage::text("s3cret")));
    // As text, as a list of numbers over several lines or in one.
    for shown in shown {
        let packed: String = shown.split_whitespace().collect();
        for secret in ["s3cret", "115,51,99,114"] {
            assert!(!packed.contains(secret), "{shown}");
        }
    }
}
