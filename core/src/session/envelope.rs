//! The envelope of every message, and the encoding of each message (`protocol.md`, Envelope).

use alloc::borrow::Cow;
use alloc::string::String;

use super::event::Event;
use super::json::{ObjectWriter, RawJson};
use super::scanner::JsonError;
use super::spans::{Spans, member};
use super::subscription::EventNames;

/// One message as it was received: its text, and the positions of the members of the envelope in it.
///
/// Members that the protocol does not define stay in the text. If a member occurs more than once, the last one counts.
///
/// ```
/// use multiwa_ws_core::session::{DEFAULT_MAX_DEPTH, Envelope};
///
/// let message = Envelope::parse(r#"{"payload":{"title":"Hi"},"type":"notification","v":2}"#, DEFAULT_MAX_DEPTH)?;
/// assert_eq!(message.kind().as_deref(), Some("notification"));
/// assert_eq!(message.payload_text("title").as_deref(), Some("Hi"));
/// assert_eq!(message.request_id(), None);
/// # Ok::<(), multiwa_ws_core::session::JsonError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<'t> {
    text: Cow<'t, str>,
    spans: Spans,
}

impl<'t> Envelope<'t> {
    /// Reads one message, nested at most `max_depth` levels (at most 128).
    ///
    /// # Errors
    /// When `text` is not JSON or is nested too deeply. JSON that is not an object is a message without members.
    pub fn parse(text: &'t str, max_depth: u8) -> Result<Self, JsonError> {
        Spans::locate(text, max_depth).map(|spans| Self::lend(text, spans))
    }

    /// The `type`; `None` when there is none or it is not a string.
    #[must_use]
    pub fn kind(&self) -> Option<Cow<'_, str>> {
        self.spans.kind?.string(&self.text)
    }

    /// The `payload` as raw JSON of any type.
    #[must_use]
    pub fn payload(&self) -> Option<&str> {
        self.spans.payload.map(|value| value.raw(&self.text))
    }

    /// The `requestId` as raw JSON, including quotes; an explicit `null` is `Some("null")`.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.spans.request_id.map(|value| value.raw(&self.text))
    }

    /// The member of the payload with this name, as raw JSON.
    #[must_use]
    pub fn payload_member(&self, name: &str) -> Option<&str> {
        member(self.payload()?, name).map(|(raw, _)| raw)
    }

    /// The member of the payload with this name, if it is a string.
    #[must_use]
    pub fn payload_text(&self, name: &str) -> Option<Cow<'_, str>> {
        let payload = self.payload()?;
        member(payload, name)?.1.string(payload)
    }

    /// The whole message as it was received.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Converts the message to an event. Returns `None` unless the `type` is `event`, the event has a name, and its
    /// profile is a string, `null` or absent.
    #[must_use]
    pub fn into_event(self) -> Option<Event<'t>> {
        if !self.spans.is_event(&self.text) {
            return None;
        }
        Some(Event::lend(self.text, self.spans))
    }

    /// The positions of the members in the text.
    #[must_use]
    pub const fn spans(&self) -> Spans {
        self.spans
    }

    /// The same message with an owned text.
    #[must_use]
    pub fn into_owned(self) -> Envelope<'static> {
        Envelope { text: Cow::Owned(self.text.into_owned()), spans: self.spans }
    }

    pub(crate) const fn lend(text: &'t str, spans: Spans) -> Self {
        Self { text: Cow::Borrowed(text), spans }
    }
}

impl Spans {
    /// The message whose [`Envelope::spans`] returned these positions. `text` must be equal to its
    /// [`Envelope::as_str`].
    #[must_use]
    pub const fn message(self, text: &str) -> Envelope<'_> {
        Envelope::lend(text, self)
    }
}

impl Event<'_> {
    /// The same event as a message, to read members of its payload that the protocol does not define.
    #[must_use]
    pub fn as_message(&self) -> Envelope<'_> {
        Envelope::lend(self.as_str(), self.spans())
    }
}

/// Writes a message of any type: `payload` and `request_id` are JSON, and left out when `None`.
///
/// The other `encode_*` functions write messages whose payload the protocol defines.
#[must_use]
pub fn encode_message(kind: &str, payload: Option<&RawJson<'_>>, request_id: Option<&RawJson<'_>>) -> String {
    write(kind, request_id.map(RawJson::as_str), |message| {
        if let Some(payload) = payload {
            message.raw("payload", payload.as_str());
        }
    })
}

/// Writes an event once, for all its receivers.
///
/// `timestamp` is RFC 3339 in UTC, see [`WallClock::rfc3339`](crate::WallClock::rfc3339). Without a profile the event
/// concerns every profile.
///
/// ```
/// use multiwa_ws_core::session::{RawJson, encode_event};
///
/// let data = RawJson::parse(r#"{"status":"connected"}"#)?;
/// let text = encode_event("session.status", Some("p"), &data, "2026-02-05T10:00:00.000Z");
/// assert_eq!(
///     text,
///     r#"{"type":"event","payload":{"event":"session.status","profileId":"p","data":{"status":"connected"},"timestamp":"2026-02-05T10:00:00.000Z"}}"#
/// );
/// # Ok::<(), multiwa_ws_core::session::JsonError>(())
/// ```
#[must_use]
pub fn encode_event(name: &str, profile_id: Option<&str>, data: &RawJson<'_>, timestamp: &str) -> String {
    write("event", None, |message| {
        message.object("payload", |payload| {
            payload.string("event", name);
            if let Some(profile_id) = profile_id {
                payload.string("profileId", profile_id);
            }
            payload.raw("data", data.as_str());
            payload.string("timestamp", timestamp);
        });
    })
}

/// Writes a `subscribe`. With `add`, the earlier subscriptions stay (`protocol.md`, Subscriptions and filtering).
pub(crate) fn encode_subscribe(profile: &str, events: &EventNames, add: bool, request_id: &str) -> String {
    write("subscribe", Some(request_id), |message| {
        message.object("payload", |payload| {
            payload.string("profileId", profile);
            payload.strings("events", events.iter());
            if add {
                payload.string("mode", "add");
            }
        });
    })
}

/// Writes an `unsubscribe`, for one profile or for all.
pub(crate) fn encode_unsubscribe(profile: Option<&str>, request_id: &str) -> String {
    write("unsubscribe", Some(request_id), |message| {
        if let Some(profile) = profile {
            message.object("payload", |payload| payload.string("profileId", profile));
        }
    })
}

pub(crate) fn encode_ping(request_id: &str) -> String {
    write("ping", Some(request_id), |_| {})
}

pub(crate) fn encode_pong(timestamp: Option<&str>, request_id: Option<&str>) -> String {
    write("pong", request_id, |message| {
        if let Some(timestamp) = timestamp {
            message.object("payload", |payload| payload.string("timestamp", timestamp));
        }
    })
}

/// Writes the connection ack, the first message of a connection.
#[cfg(feature = "server")]
pub(crate) fn encode_connection_ack(client_id: &str, timestamp: &str) -> String {
    write("ack", None, |message| {
        message.object("payload", |payload| {
            payload.string("message", "Connected to MultiWA WebSocket API");
            payload.string("clientId", client_id);
            payload.string("timestamp", timestamp);
        });
    })
}

/// Writes the `ack` of a `subscribe`. `events` is the raw JSON that the client sent.
#[cfg(feature = "server")]
pub(crate) fn encode_subscribed(profile: &str, events: &str, add: bool, request_id: Option<&str>) -> String {
    write("ack", request_id, |message| {
        message.object("payload", |payload| {
            payload.string("action", "subscribed");
            payload.string("profileId", profile);
            payload.raw("events", events);
            if add {
                payload.string("mode", "add");
            }
        });
    })
}

#[cfg(feature = "server")]
pub(crate) fn encode_unsubscribed(profile: Option<&str>, request_id: Option<&str>) -> String {
    write("ack", request_id, |message| {
        message.object("payload", |payload| {
            payload.string("action", "unsubscribed");
            if let Some(profile) = profile {
                payload.string("profileId", profile);
            }
        });
    })
}

#[cfg(feature = "server")]
pub(crate) fn encode_error(error: &str, code: &str, request_id: Option<&str>) -> String {
    write("error", request_id, |message| {
        message.object("payload", |payload| {
            payload.string("error", error);
            payload.string("code", code);
        });
    })
}

/// `request_id` is JSON: a string with its quotes, or the value that a client sent.
fn write(kind: &str, request_id: Option<&str>, payload: impl FnOnce(&mut ObjectWriter<'_>)) -> String {
    let mut text = String::new();
    let mut message = ObjectWriter::new(&mut text);
    message.string("type", kind);
    payload(&mut message);
    if let Some(request_id) = request_id {
        message.raw("requestId", request_id);
    }
    message.end();
    text
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    fn message(text: &str) -> Envelope<'_> {
        Envelope::parse(text, 64).unwrap()
    }

    #[test]
    fn duplicate_members_the_last_one_counts() {
        let text = r#"{"type":"ping","payload":{"event":"a","data":1},"requestId":1,
                       "type":"event","payload":{"event":"b","profileId":"p","profileId":"q"},"requestId":2}"#;
        let message = message(text);
        assert_eq!(message.kind().as_deref(), Some("event"));
        assert_eq!(message.request_id(), Some("2"));
        let event = message.into_event().unwrap();
        assert_eq!(event.name(), "b");
        assert_eq!(event.profile_id().as_deref(), Some("q"));
        // No member of the first payload remains.
        assert_eq!(event.data(), None);
    }

    #[test]
    fn a_last_payload_that_is_no_object_hides_the_one_before() {
        let message = message(r#"{"type":"event","payload":{"event":"a"},"payload":[{"event":"b"}]}"#);
        assert_eq!(message.payload(), Some(r#"[{"event":"b"}]"#));
        assert!(message.into_event().is_none());
    }

    #[test]
    fn an_array_in_place_of_the_object_is_no_message() {
        // serde would read the members of a struct from it, in order.
        let whole = message(r#"["event",{"event":"a","profileId":"p"},"id"]"#);
        assert_eq!(whole.kind(), None);
        assert!(whole.into_event().is_none());
        let payload = message(r#"{"type":"event","payload":["a","p",{},"t"]}"#);
        assert!(payload.into_event().is_none());
    }

    #[test]
    fn an_explicit_null_as_request_id_is_kept() {
        assert_eq!(message(r#"{"type":"ping","requestId":null}"#).request_id(), Some("null"));
        assert_eq!(message(r#"{"type":"ping"}"#).request_id(), None);
    }

    #[test]
    fn depth_counts_from_the_envelope() {
        let nested = |levels: usize| {
            let (open, close) = ("[".repeat(levels), "]".repeat(levels));
            format!(r#"{{"type":"event","payload":{{"event":"a","data":{open}{close}}}}}"#)
        };
        assert!(Envelope::parse(&nested(62), 64).is_ok());
        assert!(matches!(Envelope::parse(&nested(63), 64), Err(JsonError::TooDeep { limit: 64, .. })));
    }

    #[test]
    fn order_white_space_and_escapes_never_matter() {
        let text = "\n{ \"pa\\u0079load\" : { \"d\\u0061ta\" : { \"a\" : 1 } ,\t\"event\":\"\\u0061.b\" } , \"ty\\u0070e\":\"ev\\u0065nt\" }\r\n";
        let event = message(text).into_event().unwrap();
        assert_eq!(event.name(), "a.b");
        assert_eq!(event.data(), Some("{ \"a\" : 1 }"));
        assert_eq!(event.profile_id(), None);
    }

    #[test]
    fn members_are_read_from_the_payload_alone() {
        let text = r#"{"type":"event","event":"x","payload":{"data":{"event":"y"},"deep":{"event":"z"}}}"#;
        assert!(message(text).into_event().is_none());
    }

    #[test]
    fn an_event_with_an_invalid_address_is_a_message_and_not_an_event() {
        for payload in
            [r#"{"event":5}"#, r#"{"event":null}"#, r#"{"event":"a","profileId":5}"#, r#"{"event":"\ud800"}"#, "{}"]
        {
            let text = format!(r#"{{"type":"event","payload":{payload}}}"#);
            assert!(message(&text).into_event().is_none(), "{payload}");
        }
        let text = r#"{"type":"event","payload":{"event":"a","profileId":null}}"#;
        assert_eq!(message(text).into_event().unwrap().profile_id(), None);
    }

    #[test]
    fn unknown_members_stay() {
        let text = r#"{"type":"notification","v":[1],"payload":{"title":"T","badge":{"n":1}},"requestId":"r"}"#;
        let owned = message(text).into_owned();
        assert_eq!(owned.as_str(), text);
        assert_eq!(owned.payload_member("badge"), Some(r#"{"n":1}"#));
        assert_eq!(owned.payload_member("v"), None);
        assert_eq!(owned.payload_text("badge"), None);
    }

    #[test]
    fn any_message_can_be_written() {
        let payload = RawJson::parse(r#"{"title":"T"}"#).unwrap();
        let id = RawJson::parse("[1]").unwrap();
        assert_eq!(
            encode_message("notification", Some(&payload), Some(&id)),
            r#"{"type":"notification","payload":{"title":"T"},"requestId":[1]}"#
        );
        assert_eq!(encode_message("a\"b\n", None, None), r#"{"type":"a\"b\n"}"#);
    }
}
