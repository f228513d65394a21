//! What the events of a gateway mean to the session (`socketio.md`, Events).

use alloc::borrow::Cow;
use alloc::string::String;

use super::SocketIoError;
use crate::session::{ObjectWriter, Scanner, Value, member};

/// An event of Socket.IO, as a message of the session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meaning<'t> {
    /// An envelope of the documented protocol: from the gateway as it is, or made of an event.
    Envelope(Cow<'t, str>),
    /// An envelope that has no meaning to the session.
    Unknown(String),
}

/// The types of the documented envelopes. `message` carries them beside the events of joined profiles.
const ENVELOPES: [&str; 6] = ["ack", "error", "event", "notification", "ping", "pong"];

/// Reads the payload of an event packet: an array whose first element is the name.
///
/// # Errors
/// [`SocketIoError::Json`] and [`SocketIoError::Payload`].
pub(crate) fn read(json: &str) -> Result<Meaning<'_>, SocketIoError> {
    let [name, argument] = elements(json)?;
    let name = name.and_then(|name| name.string(json)).ok_or(SocketIoError::Payload)?;
    let argument = argument.map_or("null", |argument| argument.raw(json));
    // The type counts before the name: `message` carries both kinds.
    let kind = text(argument, "type");
    let found = match (kind.as_deref(), &*name) {
        (Some("message:received"), _) => message_received(argument),
        (Some(kind), "message") if ENVELOPES.contains(&kind) => return Ok(Meaning::Envelope(Cow::Borrowed(argument))),
        (_, "message:ack") => message_ack(argument),
        (_, "connection:status") => text(argument, "profileId").map(|id| event("session.status", &id, None, argument)),
        (_, "qr:update") => qr_updated(argument),
        (_, "exception") => Some(exception(argument)),
        (_, "event" | "notification") => {
            // A broadcast has no profile, and may be a whole envelope.
            let whole = kind.as_deref() == Some(&*name) && member(argument, "payload").is_some();
            return Ok(Meaning::Envelope(if whole { argument.into() } else { envelope(&name, argument).into() }));
        }
        _ => text(argument, "profileId").map(|id| event(&name, &id, None, argument)),
    };
    Ok(match found {
        Some(envelope) => Meaning::Envelope(envelope.into()),
        None => Meaning::Unknown(envelope(&name, argument)),
    })
}

/// The first two elements of an array. The others are checked and left.
///
/// The limit of nesting here is the highest that there is. That of the session is for its messages.
pub(crate) fn elements(json: &str) -> Result<[Option<Value>; 2], SocketIoError> {
    let mut scanner = Scanner::again(json);
    if !scanner.enter_array()? {
        // The rest is checked, so that the error tells JSON of another form from what is not JSON.
        scanner.value()?;
        scanner.finish()?;
        return Err(SocketIoError::Payload);
    }
    let mut found = [None; 2];
    let mut slots = found.iter_mut();
    while scanner.next_element()? {
        let value = scanner.value()?;
        if let Some(slot) = slots.next() {
            *slot = Some(value);
        }
    }
    scanner.finish()?;
    Ok(found)
}

/// Checks that `json` is one value.
pub(crate) fn check(json: &str) -> Result<(), SocketIoError> {
    let mut scanner = Scanner::again(json);
    scanner.value()?;
    Ok(scanner.finish()?)
}

/// A member that is a string.
pub(crate) fn text<'t>(object: &'t str, name: &str) -> Option<Cow<'t, str>> {
    member(object, name)?.1.string(object)
}

fn raw<'t>(object: &'t str, name: &str) -> Option<&'t str> {
    member(object, name).map(|(raw, _)| raw)
}

fn message_received(argument: &str) -> Option<String> {
    let message = raw(argument, "message")?;
    let profile = text(message, "profileId").or_else(|| text(raw(argument, "conversation")?, "profileId"))?;
    let content = raw(message, "content");
    let body = content.and_then(|content| text(content, "text").or_else(|| text(content, "caption")));
    let kind = text(message, "type");
    let has_media = matches!(kind.as_deref(), Some("image" | "video" | "audio" | "document"));
    let data = object(|data| {
        for (name, source) in [("id", "messageId"), ("from", "senderJid")] {
            data.raw(name, raw(message, source).unwrap_or("null"));
        }
        data.string("body", body.as_deref().unwrap_or_default());
        for name in ["type", "timestamp"] {
            data.raw(name, raw(message, name).unwrap_or("null"));
        }
        data.raw("hasMedia", if has_media { "true" } else { "false" });
        data.raw("source", argument);
    });
    Some(event("message.received", &profile, text(message, "timestamp").as_deref(), &data))
}

fn message_ack(argument: &str) -> Option<String> {
    let profile = text(argument, "profileId")?;
    let status = text(argument, "status");
    let data = object(|data| {
        for name in ["messageId", "status"] {
            data.raw(name, raw(argument, name).unwrap_or("null"));
        }
        let ack = match status.as_deref() {
            Some("sent") => "1",
            Some("delivered") => "2",
            Some("read") => "3",
            _ => return,
        };
        data.raw("ack", ack);
    });
    Some(event("message.ack", &profile, None, &data))
}

fn qr_updated(argument: &str) -> Option<String> {
    let profile = text(argument, "profileId")?;
    let data = object(|data| data.raw("qr", raw(argument, "qrCode").unwrap_or("null")));
    Some(event("qr.updated", &profile, None, &data))
}

/// An error that answers no request.
fn exception(argument: &str) -> String {
    let payload = object(|payload| {
        payload.raw("error", raw(argument, "message").unwrap_or(argument));
        if let Some(status) = text(argument, "status") {
            payload.string("code", &status);
        }
    });
    envelope("error", &payload)
}

fn event(name: &str, profile: &str, timestamp: Option<&str>, data: &str) -> String {
    let payload = object(|payload| {
        payload.string("event", name);
        payload.string("profileId", profile);
        payload.raw("data", data);
        if let Some(timestamp) = timestamp {
            payload.string("timestamp", timestamp);
        }
    });
    envelope("event", &payload)
}

/// A message of the session with this payload.
pub(crate) fn envelope(kind: &str, payload: &str) -> String {
    object(|message| {
        message.string("type", kind);
        message.raw("payload", payload);
    })
}

pub(crate) fn object(members: impl FnOnce(&mut ObjectWriter<'_>)) -> String {
    let mut text = String::new();
    let mut writer = ObjectWriter::new(&mut text);
    members(&mut writer);
    writer.end();
    text
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    fn mapped(json: &str) -> String {
        match read(json) {
            Ok(Meaning::Envelope(text)) => text.into_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_received_message_has_the_members_of_the_document_and_its_source() {
        let argument = r#"{"type":"message:received","message":{"id":"row","profileId":"p","messageId":"m","senderJid":"s@x","type":"image","content":{"caption":"c"},"timestamp":"2026-02-05T10:00:00.000Z"},"conversation":{"profileId":"p"}}"#;
        assert_eq!(
            mapped(&format!(r#"["message",{argument}]"#)),
            format!(
                r#"{{"type":"event","payload":{{"event":"message.received","profileId":"p","data":{{"id":"m","from":"s@x","body":"c","type":"image","timestamp":"2026-02-05T10:00:00.000Z","hasMedia":true,"source":{argument}}},"timestamp":"2026-02-05T10:00:00.000Z"}}}}"#
            )
        );
        let text = mapped(
            r#"["message",{"type":"message:received","message":{"profileId":"p","type":"text","content":{"text":"t","caption":"c"}}}]"#,
        );
        assert!(text.contains(r#""body":"t""#) && text.contains(r#""hasMedia":false"#), "{text}");
        let empty = mapped(r#"["message",{"type":"message:received","message":{"profileId":"p","content":5}}]"#);
        assert!(empty.contains(r#""body":"""#), "{empty}");
    }

    #[test]
    fn the_other_events_of_a_profile_have_the_names_of_the_document() {
        for (json, payload) in [
            (
                r#"["message:ack",{"profileId":"p","messageId":"m","status":"read"}]"#,
                r#""event":"message.ack","profileId":"p","data":{"messageId":"m","status":"read","ack":3}"#,
            ),
            (
                r#"["message:ack",{"profileId":"p","messageId":"m","status":"failed"}]"#,
                r#""event":"message.ack","profileId":"p","data":{"messageId":"m","status":"failed"}"#,
            ),
            (
                r#"["connection:status",{"profileId":"p","status":"connected","phone":"1"}]"#,
                r#""event":"session.status","profileId":"p","data":{"profileId":"p","status":"connected","phone":"1"}"#,
            ),
            (
                r#"["qr:update",{"profileId":"p","qrCode":"2@x"}]"#,
                r#""event":"qr.updated","profileId":"p","data":{"qr":"2@x"}"#,
            ),
            (
                r#"["group:joined",{"profileId":"p","n":1}]"#,
                r#""event":"group:joined","profileId":"p","data":{"profileId":"p","n":1}"#,
            ),
        ] {
            assert_eq!(mapped(json), format!(r#"{{"type":"event","payload":{{{payload}}}}}"#));
        }
    }

    #[test]
    fn envelopes_come_as_they_are_and_broadcasts_without_a_profile() {
        let pong = r#"{"type":"pong","requestId":"r"}"#;
        assert_eq!(mapped(&format!(r#"["message",{pong}]"#)), pong);
        let whole = r#"{"type":"event","payload":{"event":"a"}}"#;
        assert_eq!(mapped(&format!(r#"["event",{whole}]"#)), whole);
        assert_eq!(mapped(r#"["event",{"event":"a"}]"#), whole);
        // The type of a notification is a member of its payload.
        let payload = r#"{"id":"1","type":"info","title":"t"}"#;
        assert_eq!(
            mapped(&format!(r#"["notification",{payload}]"#)),
            format!(r#"{{"type":"notification","payload":{payload}}}"#)
        );
        assert_eq!(
            mapped(r#"["exception",{"status":"error","message":"no"}]"#),
            r#"{"type":"error","payload":{"error":"no","code":"error"}}"#
        );
    }

    #[test]
    fn an_event_without_a_profile_is_unknown_whatever_its_name() {
        for (json, name, argument) in [
            (r#"["pong",{"a":1}]"#, "pong", r#"{"a":1}"#),
            (r#"["message",{"type":"other"}]"#, "message", r#"{"type":"other"}"#),
            (r#"["message:ack",{"profileId":5}]"#, "message:ack", r#"{"profileId":5}"#),
            (r#"["x"]"#, "x", "null"),
        ] {
            let unknown = envelope(name, argument);
            assert_eq!(read(json), Ok(Meaning::Unknown(unknown)), "{json}");
        }
    }

    #[test]
    fn sec_ap_10_a_payload_of_another_form_is_an_error() {
        for json in ["{}", "[]", "[5]", "5", r#""a""#, "[null,{}]"] {
            assert_eq!(read(json), Err(SocketIoError::Payload), "{json}");
        }
        for json in ["", "[", r#"["a""#, r#"["a"]x"#, "{"] {
            assert!(matches!(read(json), Err(SocketIoError::Json(_))), "{json}");
        }
        let deep = format!(r#"["a",{}{}]"#, "[".repeat(128), "]".repeat(128));
        assert!(matches!(read(&deep), Err(SocketIoError::Json(_))));
    }
}
