//! Every example message of the source document can be decoded and encoded, and round-trips.
#![cfg(test)]
#![cfg(all(feature = "server", feature = "session"))]

use multiwa_ws_core::session::{
    ClientConfig, ClientEvent, ClientSession, DEFAULT_MAX_DEPTH, Envelope, Event, EventNames, EventView, Features,
    LifecycleEvent, MessageReceived, RawJson, ServerConfig, ServerEvent, ServerSession, SessionStatus, encode_event,
    encode_message,
};
use multiwa_ws_core::{Instant, WallClock};
use serde_json::Value;

const ACK: &str = r#"{
  "type": "ack",
  "payload": {
    "message": "Connected to MultiWA WebSocket API",
    "clientId": "abc123",
    "timestamp": "2026-02-05T10:00:00.000Z"
  }
}"#;

const SUBSCRIBE: &str = r#"{
  "type": "subscribe",
  "payload": {
    "profileId": "profile-123",
    "events": ["message.received", "session.status"]
  },
  "requestId": "req_001"
}"#;

const UNSUBSCRIBE: &str = r#"{
  "type": "unsubscribe",
  "requestId": "req_002"
}"#;

const PING: &str = r#"{
  "type": "ping",
  "requestId": "ping_001"
}"#;

const PONG: &str = r#"{
  "type": "pong",
  "payload": { "timestamp": "2026-02-05T10:00:00.000Z" },
  "requestId": "ping_001"
}"#;

const MESSAGE_RECEIVED: &str = r#"{
  "type": "event",
  "payload": {
    "event": "message.received",
    "profileId": "profile-123",
    "data": {
      "id": "true_628xxx_3EB0ABC",
      "from": "628123456789@c.us",
      "body": "Hello!",
      "type": "chat",
      "timestamp": "2026-02-05T10:00:00.000Z",
      "hasMedia": false
    },
    "timestamp": "2026-02-05T10:00:00.000Z"
  }
}"#;

const SESSION_STATUS: &str = r#"{
  "type": "event",
  "payload": {
    "event": "session.status",
    "profileId": "profile-123",
    "data": {
      "status": "connected",
      "phone": "628123456789"
    },
    "timestamp": "2026-02-05T10:00:00.000Z"
  }
}"#;

const ALL: [&str; 7] = [ACK, SUBSCRIBE, UNSUBSCRIBE, PING, PONG, MESSAGE_RECEIVED, SESSION_STATUS];

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn event(text: &str) -> Event<'_> {
    Envelope::parse(text, DEFAULT_MAX_DEPTH).unwrap().into_event().unwrap()
}

fn server() -> ServerSession {
    let now = Instant::default();
    ServerSession::new(now, ServerConfig::default(), "abc123", WallClock::new(now, 1_770_285_600_000))
}

fn replies(server: &mut ServerSession) -> Vec<String> {
    let mut replies = Vec::new();
    while let Some(reply) = server.poll_message() {
        replies.push(reply.to_owned());
        server.message_sent();
    }
    replies
}

#[test]
fn every_example_is_written_again_from_its_parts() {
    for text in ALL {
        let message = Envelope::parse(text, DEFAULT_MAX_DEPTH).unwrap();
        let raw = |part: Option<&str>| part.map(|part| RawJson::parse(part).unwrap().into_owned());
        let (payload, request_id) = (raw(message.payload()), raw(message.request_id()));
        let written = encode_message(&message.kind().unwrap(), payload.as_ref(), request_id.as_ref());
        assert_eq!(json(&written), json(text));
        let again = Envelope::parse(&written, DEFAULT_MAX_DEPTH).unwrap();
        assert_eq!(
            (again.kind(), again.payload(), again.request_id()),
            (message.kind(), message.payload(), message.request_id())
        );
        assert_eq!(message.as_str(), text);
    }
}

#[test]
fn the_example_events_are_read_and_written() {
    let received = event(MESSAGE_RECEIVED);
    let view = MessageReceived {
        id: "true_628xxx_3EB0ABC".into(),
        from: "628123456789@c.us".into(),
        body: "Hello!".into(),
        kind: "chat".into(),
        timestamp: "2026-02-05T10:00:00.000Z".into(),
        has_media: false,
    };
    assert_eq!(received.view(), Ok(EventView::MessageReceived(view)));
    let status = event(SESSION_STATUS);
    let view = SessionStatus { status: "connected".into(), phone: Some("628123456789".into()) };
    assert_eq!(status.view(), Ok(EventView::SessionStatus(view)));
    for (event, text) in [(&received, MESSAGE_RECEIVED), (&status, SESSION_STATUS)] {
        assert_eq!(event.profile_id().as_deref(), Some("profile-123"));
        let (data, timestamp) = (event.raw_data().unwrap(), event.timestamp().unwrap());
        let written = encode_event(&event.name(), event.profile_id().as_deref(), &data, &timestamp);
        assert_eq!(json(&written), json(text));
    }
}

#[test]
fn unknown_members_survive_a_decode_and_encode() {
    let text = r#"{"type":"event","v":2,"payload":{"event":"qr.updated","profileId":"p","data":{"qr":"q","ttl":[1,{}]},"timestamp":"t","seq":7}}"#;
    let event = event(text).into_owned();
    assert_eq!(event.as_str(), text);
    assert_eq!(event.as_message().payload_member("seq"), Some("7"));
    let data: Value = event.raw_data().unwrap().deserialize().unwrap();
    assert_eq!(data["ttl"], json("[1,{}]"));
}

#[test]
fn the_server_says_what_the_document_shows() {
    let mut server = server();
    assert_eq!(replies(&mut server).iter().map(|reply| json(reply)).collect::<Vec<_>>(), [json(ACK)]);
    server.handle_message(Instant::default(), PING);
    assert_eq!(replies(&mut server).iter().map(|reply| json(reply)).collect::<Vec<_>>(), [json(PONG)]);
}

#[test]
fn the_server_understands_what_the_document_shows() {
    let mut server = server();
    assert!(matches!(server.handle_message(Instant::default(), SUBSCRIBE), Some(ServerEvent::Subscribed { .. })));
    assert!(server.matches(Some("profile-123"), "session.status"));
    assert!(!server.matches(Some("profile-123"), "qr.updated"));
    let unsubscribed = server.handle_message(Instant::default(), UNSUBSCRIBE);
    assert_eq!(unsubscribed, Some(ServerEvent::Unsubscribed { profile: None }));
    let replies = replies(&mut server);
    assert_eq!(
        json(&replies[1]),
        json(
            r#"{"type":"ack","payload":{"action":"subscribed","profileId":"profile-123","events":["message.received","session.status"]},"requestId":"req_001"}"#
        )
    );
    assert_eq!(json(&replies[2]), json(r#"{"type":"ack","payload":{"action":"unsubscribed"},"requestId":"req_002"}"#));
}

#[test]
fn the_client_says_and_understands_what_the_document_shows() {
    let now = Instant::default();
    let mut client = ClientSession::new(ClientConfig::default(), [1; 32]);
    let mut server = server();
    let events: EventNames = ["message.received", "session.status"].into_iter().collect();
    client.subscribe(now, "profile-123", &events).unwrap();
    client.connect(now).unwrap();
    client.opened(now, Features::default());
    let connecting = [LifecycleEvent::Connecting { attempt: 1 }, LifecycleEvent::Opened].map(ClientEvent::Lifecycle);
    assert!(connecting.into_iter().eq(std::iter::from_fn(|| client.poll_event())));
    let Some(ClientEvent::Connected(ack)) = client.handle_message(now, &mut Some(ACK)) else { panic!("an ack") };
    assert_eq!(ack.payload_text("clientId").as_deref(), Some("abc123"));
    let mut said = Vec::new();
    for _ in 0..3 {
        let text = client.poll_message().unwrap().to_owned();
        client.message_sent(0);
        server.handle_message(now, &text);
        for reply in replies(&mut server) {
            let reply = &mut Some(reply.as_str());
            while client.handle_message(now, reply).is_some() {}
        }
        said.push(text);
        match said.len() {
            1 => {
                for text in [MESSAGE_RECEIVED, SESSION_STATUS] {
                    let meant = client.handle_message(now, &mut Some(text));
                    assert_eq!(meant, Some(ClientEvent::Event(event(text))));
                }
                client.ping(now).unwrap();
            }
            2 => _ = client.unsubscribe(now, None).unwrap(),
            _ => {}
        }
    }
    for (said, shown) in said.iter().zip([SUBSCRIBE, PING, UNSUBSCRIBE]) {
        let (mut said, mut shown) = (json(said), json(shown));
        assert_ne!(said["requestId"].take(), shown["requestId"].take());
        assert_eq!(said, shown);
    }
}
