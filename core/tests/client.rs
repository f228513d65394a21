//! The whole client: how its commands affect the transport.
#![cfg(test)]
#![cfg(all(feature = "server", feature = "session"))]

use std::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::client::{Client, Config, Failure, TransportAction};
use multiwa_ws_core::handshake::{Acceptance, ClientRequest, HandshakeLimits, ResponseError, ServerHandshake};
use multiwa_ws_core::session::{
    ClientConfig, ClientEvent, ClientState, CloseCause, DisconnectReason, EventNames, LifecycleEvent, ReconnectConfig,
};
use multiwa_ws_testkit::wire::drain;

const NOW: Instant = Instant::from_nanos(7);

fn upgrading(config: Config) -> Client {
    let mut client = Client::new(config, [1; 32]);
    client.connect(NOW).unwrap();
    assert_eq!(client.poll_action(), Some(TransportAction::Connect { attempt: 1 }));
    client.connected(NOW, ClientRequest::new("h", "/ws")).unwrap();
    client
}

fn open() -> Client {
    open_with(Config::default())
}

fn open_with(config: Config) -> Client {
    let mut client = upgrading(config);
    let mut answer = answer_to(&mut client);
    receive(&mut client, &mut answer);
    client
}

/// Passes `bytes` to the client. Returns the events before them and the events that they cause.
fn receive(client: &mut Client, bytes: &mut [u8]) -> Vec<ClientEvent<'static>> {
    let (mut input, mut events) = (bytes, Vec::new());
    while let Some(received) = client.handle_input(NOW, &mut input) {
        match received.event {
            ClientEvent::Lifecycle(lifecycle) => events.push(ClientEvent::Lifecycle(lifecycle)),
            ClientEvent::Event(event) => events.push(ClientEvent::Event(event.into_owned())),
            ClientEvent::Connected(message) => events.push(ClientEvent::Connected(message.into_owned())),
            other => panic!("{other:?}"),
        }
    }
    events
}

#[test]
fn closing_queues_the_close_frame_before_the_command_returns() {
    let mut client = open();
    client.commands().close(NOW);
    let bytes = drain(&mut client, NOW);
    assert_eq!(bytes[..2], [0x88, 0x82], "{bytes:x?}");
}

#[test]
fn a_client_that_fails_at_a_binary_message_sends_the_server_the_reason() {
    let session = ClientConfig::new().reconnect(ReconnectConfig::new().enabled(false));
    let mut client = open_with(Config::new().session(session));
    let events = receive(&mut client, &mut [0x82, 0]);
    let [ClientEvent::Lifecycle(LifecycleEvent::Closed(CloseCause::Lost(reason)))] = events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(reason, DisconnectReason::Violation { code: 1003 });
    assert_eq!(client.session().state(), ClientState::Closed);
    let bytes = drain(&mut client, NOW);
    assert_eq!(bytes[0], 0x88, "{bytes:x?}");
    assert!(client.poll_timeout().is_some(), "the closing handshake has a deadline");
    let mut answer = [0x88, 2, 0x03, 0xeb];
    assert!(client.handle_input(NOW, &mut &mut answer[..]).is_none());
    client.handle_eof(NOW);
    assert_eq!((client.poll_action(), client.poll_timeout()), (Some(TransportAction::Disconnect), None));
}

#[test]
fn the_reason_of_an_end_that_had_begun_outlives_the_failure_of_its_transport() {
    let mut client = open();
    receive(&mut client, &mut [0x88, 2, 0x03, 0xe9]);
    client.handle_lost(NOW, DisconnectReason::Io);
    assert_eq!(client.session().last_disconnect(), Some(DisconnectReason::ClosedByPeer { code: Some(1001) }));

    let mut client = open();
    client.handle_lost(NOW, DisconnectReason::ConnectTimeout);
    assert_eq!(client.session().last_disconnect(), Some(DisconnectReason::ConnectTimeout));
}

#[test]
fn the_write_side_is_to_be_shut_down_once_the_close_frame_of_a_violation_has_left() {
    let mut client = open();
    // A masked frame of a server (RFC 6455 section 5.1).
    receive(&mut client, &mut [0x81, 0x80, 0, 0, 0, 0]);
    assert!(!client.poll_shutdown(), "the Close frame waits");
    assert_eq!(drain(&mut client, NOW)[0], 0x88);
    assert!(client.poll_shutdown());
    client.shutdown_done();
    assert!(!client.poll_shutdown());
}

#[test]
fn closing_while_the_upgrade_is_under_way_drops_the_transport() {
    let mut client = upgrading(Config::default());
    client.commands().close(NOW);
    assert_eq!((drain(&mut client, NOW), client.poll_timeout()), (vec![], None));
    assert_eq!(client.poll_action(), Some(TransportAction::Disconnect));
}

#[test]
fn closing_while_the_transport_is_being_opened_gives_the_attempt_up() {
    let mut client = Client::new(Config::default(), [1; 32]);
    client.connect(NOW).unwrap();
    assert_eq!(client.poll_action(), Some(TransportAction::Connect { attempt: 1 }));
    client.commands().close(NOW);
    assert_eq!(client.poll_action(), Some(TransportAction::Disconnect));
    assert_eq!(client.poll_action(), None);
}

const REDIRECT: &[u8] = b"HTTP/1.1 307 Elsewhere\r\nLocation: /b?apiKey=s3cret\r\nContent-Length: 0\r\n\r\n";

/// The server answers with `answer`. Returns the next action of the client.
fn answered(client: &mut Client, answer: &[u8]) -> Option<TransportAction> {
    drain(client, NOW);
    receive(client, &mut answer.to_vec());
    client.poll_action()
}

#[test]
fn a_redirect_asks_for_another_transport_within_the_same_attempt() {
    let mut client = upgrading(Config::default());
    let Some(TransportAction::Redirect(refusal)) = answered(&mut client, REDIRECT) else { panic!("no redirect") };
    assert_eq!((refusal.status, refusal.location()), (307, Some("/b?apiKey=s3cret")));
    assert!(!format!("{refusal:?}").contains("s3cret"));
    assert_eq!((client.poll_action(), client.session().state()), (None, ClientState::Connecting));
    // The connect timeout starts again.
    assert_eq!(client.poll_timeout(), Some(NOW + Duration::from_secs(10)));

    client.connected(NOW, ClientRequest::new("h", "/b")).unwrap();
    assert!(drain(&mut client, NOW).starts_with(b"GET /b HTTP/1.1\r\n"));
    assert_eq!((client.session().attempt(), client.session().last_disconnect()), (1, None));
}

#[test]
fn redirects_are_limited_in_each_attempt() {
    for limit in [0, 1, 3] {
        let session = ClientConfig::new().max_redirects(limit);
        let mut client = Client::new(Config::new().session(session), [1; 32]);
        client.connect(NOW).unwrap();
        for attempt in 1..=2 {
            assert_eq!(client.poll_action(), Some(TransportAction::Connect { attempt }));
            for _ in 0..limit {
                client.connected(NOW, ClientRequest::new("h", "/ws")).unwrap();
                assert!(matches!(answered(&mut client, REDIRECT), Some(TransportAction::Redirect(_))));
            }
            client.connected(NOW, ClientRequest::new("h", "/ws")).unwrap();
            assert_eq!(answered(&mut client, REDIRECT), Some(TransportAction::Disconnect));
            assert_eq!(
                client.session().last_disconnect(),
                Some(DisconnectReason::Refused { status: 307, retry_after: None })
            );
            client.handle_timeout(client.poll_timeout().unwrap());
        }
    }
}

#[test]
fn a_redirect_that_is_not_followed_is_the_refusal_that_it_was() {
    let mut client = upgrading(Config::default());
    assert!(matches!(answered(&mut client, REDIRECT), Some(TransportAction::Redirect(_))));
    client.connect_failed(NOW, DisconnectReason::Refused { status: 307, retry_after: None });
    assert_eq!(client.poll_action(), None);
    assert_eq!((client.session().state(), client.failure()), (ClientState::Backoff, None));
}

#[test]
fn closing_while_a_redirect_is_to_be_followed_gives_the_attempt_up() {
    let mut client = upgrading(Config::default());
    drain(&mut client, NOW);
    receive(&mut client, &mut REDIRECT.to_vec());
    client.commands().close(NOW);
    assert_eq!(client.poll_action(), Some(TransportAction::Disconnect));
    assert_eq!(client.poll_action(), None);
}

#[test]
fn a_reset_before_any_answer_names_the_deployed_gateway_like_an_end() {
    let mut client = upgrading(Config::default());
    client.handle_lost(NOW, DisconnectReason::Io);
    assert!(client.failure().unwrap().to_string().contains("socket.io"));
    assert_eq!(client.session().last_disconnect(), Some(DisconnectReason::Io));
    // A later failure of another kind does not have this error.
    client.handle_timeout(client.poll_timeout().unwrap());
    client.connect_failed(client.poll_timeout().unwrap(), DisconnectReason::Io);
    assert_eq!(client.failure(), None);
}

/// The frames of a server for these texts.
fn frames(texts: &[&str]) -> Vec<u8> {
    let frame = |text: &&str| [&[0x81, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    texts.iter().flat_map(frame).collect()
}

#[test]
fn f_02_an_ack_and_an_event_of_one_segment_are_returned_in_the_order_of_the_wire() {
    let mut client = upgrading(Config::default());
    let events = EventNames::every();
    let id = client.commands().subscribe(NOW, "p", &events).unwrap();
    let answer = answer_to(&mut client);
    let ack = format!(r#"{{"type":"ack","requestId":"{id}"}}"#);
    let event = r#"{"type":"event","payload":{"event":"e","profileId":"p","data":1}}"#;
    let mut segment = [answer, frames(&[r#"{"type":"ack","payload":{}}"#])].concat();
    let mut input = &mut segment[..];
    let mut reported = describe(&mut client, &mut input);
    assert!(drain(&mut client, NOW).len() > 6, "the subscription is asked for");
    let mut segment = frames(&[&ack, event]);
    reported.extend(describe(&mut client, &mut &mut segment[..]));
    let kinds = ["Connecting", "Opened", "Connected", "RequestEnded", "Ready", "Event"];
    assert!(
        reported.iter().zip(kinds).all(|(reported, kind)| reported.contains(kind)) && reported.len() == kinds.len(),
        "{reported:#?}"
    );
}

#[test]
fn f_02_what_an_ack_brings_without_a_request_of_its_own_comes_before_the_next_event() {
    let mut client = open();
    let events = EventNames::every();
    let id = client.commands().subscribe(NOW, "p", &events).unwrap();
    let ack = format!(r#"{{"type":"ack","requestId":"{id}"}}"#);
    let event = r#"{"type":"event","payload":{"event":"e","profileId":"p","data":1}}"#;
    let mut segment = frames(&[r#"{"type":"ack","payload":{}}"#, &ack]);
    describe(&mut client, &mut &mut segment[..]);
    // On the next connection, the client sends the subscription by itself, so its `ack` ends no request of the
    // application.
    client.handle_lost(NOW, DisconnectReason::Io);
    describe(&mut client, &mut &mut [][..]);
    client.handle_timeout(client.poll_timeout().unwrap());
    while client.poll_action().is_some() {}
    client.connected(NOW, ClientRequest::new("h", "/ws")).unwrap();
    let mut segment = [answer_to(&mut client), frames(&[r#"{"type":"ack","payload":{}}"#])].concat();
    describe(&mut client, &mut &mut segment[..]);
    let asked = String::from_utf8_lossy(&unmasked(&drain(&mut client, NOW))).into_owned();
    let asked: serde_json::Value = serde_json::from_str(&asked).unwrap();
    let ack = format!(r#"{{"type":"ack","requestId":{}}}"#, asked["requestId"]);
    let mut segment = frames(&[&ack, event]);
    let reported = describe(&mut client, &mut &mut segment[..]);
    assert!(reported.len() == 2 && reported[0].contains("Ready") && reported[1].contains("Event"), "{reported:#?}");
}

/// The payload of the only frame of a client, which is shorter than 126 bytes.
fn unmasked(frame: &[u8]) -> Vec<u8> {
    let (head, payload) = frame.split_at(6);
    assert_eq!(usize::from(head[1] & 0x7f), payload.len());
    payload.iter().zip(head[2..].iter().cycle()).map(|(byte, key)| byte ^ key).collect()
}

#[test]
fn f_02_nothing_is_taken_while_an_event_waits_to_be_returned() {
    let mut client = upgrading(Config::default());
    let mut answer = answer_to(&mut client);
    let mut input = &mut answer[..];
    let before = input.len();
    assert!(client.handle_input(NOW, &mut input).is_some());
    assert_eq!(input.len(), before, "an attempt was to be reported first");
}

#[test]
fn f_15_an_attempt_that_failed_asks_nobody_to_drop_a_transport() {
    let mut client = Client::new(Config::default(), [1; 32]);
    client.connect(NOW).unwrap();
    assert_eq!(client.poll_action(), Some(TransportAction::Connect { attempt: 1 }));
    client.connect_failed(NOW, DisconnectReason::Io);
    assert_eq!(client.poll_action(), None);
    // An attempt that ends before its action was polled also leaves no action.
    client.handle_timeout(client.poll_timeout().unwrap());
    client.handle_timeout(client.poll_timeout().unwrap());
    assert_eq!((client.poll_action(), client.session().state()), (None, ClientState::Backoff));
}

/// The response that accepts the client's request.
fn answer_to(client: &mut Client) -> Vec<u8> {
    let mut server = ServerHandshake::new(NOW, HandshakeLimits::default());
    assert!(server.handle_input(NOW, &mut &mut drain(client, NOW)[..]).unwrap().is_some());
    server.accept(NOW, &Acceptance::default()).unwrap();
    server.poll_accepted().unwrap().unsent
}

/// The events that the client returns for this input, as text.
fn describe(client: &mut Client, input: &mut &mut [u8]) -> Vec<String> {
    let mut reported = Vec::new();
    while let Some(received) = client.handle_input(NOW, input) {
        reported.push(format!("{:?}", received.event));
    }
    reported
}

#[test]
fn what_no_byte_brings_is_returned_by_poll_event() {
    let mut client = Client::new(Config::default(), [1; 32]);
    assert_eq!(client.poll_event(), None);
    client.connect(NOW).unwrap();
    assert_eq!(client.poll_event(), Some(ClientEvent::Lifecycle(LifecycleEvent::Connecting { attempt: 1 })));
    assert_eq!(client.poll_event(), None);
}

#[test]
fn each_way_to_get_no_valid_answer_to_the_upgrade_has_its_own_error() {
    // The session has a longer timeout, so that the upgrade times out first.
    let config = Config::new().handshake(HandshakeLimits::new().timeout(Duration::from_secs(5)));
    let after = |act: fn(&mut Client)| {
        let mut client = upgrading(config.clone());
        drain(&mut client, NOW);
        act(&mut client);
        let Some(Failure::Response(error)) = client.failure() else { panic!("{:?}", client.failure()) };
        (*error, client.session().last_disconnect())
    };
    let late = after(|client| client.handle_timeout(client.poll_timeout().unwrap()));
    assert_eq!(late, (ResponseError::TimedOut, Some(DisconnectReason::UpgradeTimeout)));
    let silent = after(|client| client.handle_eof(NOW));
    assert_eq!(silent, (ResponseError::NoAnswer, Some(DisconnectReason::Eof)));
    let short = after(|client| {
        receive(client, &mut b"HTTP/1.1 101 ".to_vec());
        client.handle_eof(NOW);
    });
    assert_eq!(short, (ResponseError::Truncated, Some(DisconnectReason::Eof)));
    let foreign = after(|client| {
        receive(client, &mut b"\x16\x03\x01".to_vec());
    });
    assert_eq!(foreign, (ResponseError::NotHttp, Some(DisconnectReason::BadUpgrade)));
}
