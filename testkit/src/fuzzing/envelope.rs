//! Compares messages of the session with `serde_json`.
//!
//! Input: a flag (0: the default depth, otherwise the maximum depth), the text.

use multiwa_ws_core::session::{
    ClientConfig, ClientSession, DEFAULT_MAX_DEPTH, Envelope, Features, RawJson, ServerConfig, ServerSession,
    encode_event, encode_message,
};
use multiwa_ws_core::{Instant, WallClock};
use serde_json::Value;
use serde_json::value::RawValue;

use super::pieces::configured;

const NOW: Instant = Instant::from_nanos(0);

/// Reads one message, writes it again, and passes it to a session of each role.
pub fn run(data: &[u8]) {
    let Some(([flag], text)) = configured(data) else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let max_depth = if flag == 0 { DEFAULT_MAX_DEPTH } else { 128 };
    let parsed = Envelope::parse(text, max_depth);
    // Whether the text is JSON. This parser does not limit numbers and allows half surrogate pairs.
    let raw = serde_json::from_str::<&RawValue>(text);
    assert_eq!(parsed.is_ok(), raw.is_ok() && depth(text) <= max_depth.into(), "{parsed:?} for {raw:?}");
    let Ok(message) = parsed else { return };
    assert_eq!(message.as_str(), text);
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        compare(&message, &value);
    }
    write_again(&message);
    sessions(text, &message);
}

/// The maximum nesting of brackets outside of strings.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn value(raw: Option<&str>) -> Option<Value> {
    raw.map(|raw| serde_json::from_str(raw).unwrap_or_else(|error| panic!("{error} in {raw}")))
}

fn compare(message: &Envelope<'_>, expected: &Value) {
    assert_eq!(message.kind().as_deref(), expected.get("type").and_then(Value::as_str));
    assert_eq!(value(message.payload()).as_ref(), expected.get("payload"));
    assert_eq!(value(message.request_id()).as_ref(), expected.get("requestId"));
    let payload = expected.get("payload").unwrap_or(&Value::Null);
    for name in ["event", "profileId", "data", "timestamp", "error", ""] {
        assert_eq!(value(message.payload_member(name)).as_ref(), payload.get(name), "{name}");
        assert_eq!(message.payload_text(name).as_deref(), payload.get(name).and_then(Value::as_str), "{name}");
    }
    let named = payload.get("event").is_some_and(Value::is_string);
    let addressed = matches!(payload.get("profileId"), None | Some(Value::Null | Value::String(_)));
    let is_event = expected.get("type").and_then(Value::as_str) == Some("event") && named && addressed;
    let Some(event) = message.clone().into_event() else { return assert!(!is_event) };
    assert!(is_event);
    assert_eq!(Some(&*event.name()), payload.get("event").and_then(Value::as_str));
    assert_eq!(event.profile_id().as_deref(), payload.get("profileId").and_then(Value::as_str));
    assert_eq!(value(event.data()).as_ref(), payload.get("data"));
    assert_eq!(event.timestamp().as_deref(), payload.get("timestamp").and_then(Value::as_str));
    let _ = event.view();
}

/// A message written from the parts of another one must read the same.
fn write_again(message: &Envelope<'_>) {
    let json = |raw: Option<&str>| raw.map(|raw| RawJson::parse(raw).map(RawJson::into_owned));
    // A payload may be nested two levels deeper than a value that can be inserted.
    let (Ok(payload), Ok(request_id)) = (json(message.payload()).transpose(), json(message.request_id()).transpose())
    else {
        return;
    };
    if let Some(kind) = message.kind() {
        let text = encode_message(&kind, payload.as_ref(), request_id.as_ref());
        let Ok(again) = Envelope::parse(&text, 128) else { panic!("{text} is not JSON") };
        assert_eq!((again.kind(), again.payload()), (message.kind(), message.payload()));
        assert_eq!(again.request_id(), message.request_id());
    }
    let Some(event) = message.clone().into_event() else { return };
    let data = event.raw_data().unwrap_or_else(|| RawJson::parse("null").unwrap_or_else(|error| panic!("{error}")));
    let timestamp = event.timestamp().unwrap_or_default();
    let text = encode_event(&event.name(), event.profile_id().as_deref(), &data, &timestamp);
    let again = Envelope::parse(&text, 128).ok().and_then(Envelope::into_event);
    let Some(again) = again else { panic!("{text} is no event") };
    assert_eq!((again.name(), again.profile_id()), (event.name(), event.profile_id()));
    assert_eq!((again.data(), again.timestamp()), (Some(data.as_str()), Some(timestamp)));
    assert_eq!(again.view(), event.view());
}

/// A server answers every message once, with its `requestId`. A client does not panic.
fn sessions(text: &str, message: &Envelope<'_>) {
    const MAX_ID: usize = 8 << 10;
    let config = ServerConfig::new().max_depth(128).max_request_id_bytes(MAX_ID);
    let mut server = ServerSession::new(NOW, config, "c", WallClock::new(NOW, 0));
    server.message_sent();
    let event = server.handle_message(NOW, text);
    assert!(event.is_some());
    let Some(answer) = server.poll_message().map(str::to_owned) else { panic!("no answer to {text}") };
    let Ok(answer) = Envelope::parse(&answer, 128) else { panic!("{answer} is not JSON") };
    let echo = message.request_id().filter(|id| id.len() <= MAX_ID);
    assert_eq!(answer.request_id(), echo, "{event:?}");
    server.message_sent();
    assert_eq!(server.poll_message(), None, "a second answer to {text}");

    let mut client = ClientSession::new(ClientConfig::new().max_depth(128), [7; 32]);
    assert_eq!(client.connect(NOW), Ok(()));
    client.opened(NOW, Features { subscription_sets: true });
    for _ in 0..2 {
        let message = &mut Some(text);
        while client.handle_message(NOW, message).is_some() {}
        while let Some(sent) = client.poll_message() {
            assert!(serde_json::from_str::<&RawValue>(sent).is_ok(), "{sent}");
            client.message_sent(0);
        }
    }
    let counters = client.counters();
    assert_eq!((counters.received, counters.invalid, counters.stray), (2, 0, 0));
}
