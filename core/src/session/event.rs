//! Events: their raw JSON and typed views of it (`protocol.md`, Events).

use alloc::borrow::Cow;

use super::json::RawJson;
use super::scanner::{Kind, Value};
use super::spans::{Spans, member};

/// One event as it was received.
///
/// The raw JSON is always available. [`Event::view`] converts the events that the protocol defines into types. An event
/// without a profile concerns every profile.
///
/// ```
/// use multiwa_ws_core::session::{DEFAULT_MAX_DEPTH, EventView, Envelope};
///
/// let text = r#"{"type":"event","payload":{"event":"qr.updated","profileId":"p","data":{"qr":"2@x","ttl":20}}}"#;
/// let event = Envelope::parse(text, DEFAULT_MAX_DEPTH)?.into_event().expect("an event");
/// assert_eq!(event.profile_id().as_deref(), Some("p"));
/// assert_eq!(event.data(), Some(r#"{"qr":"2@x","ttl":20}"#));
/// let Ok(EventView::QrUpdated(view)) = event.view() else { unreachable!() };
/// assert_eq!(view.qr, "2@x");
/// # Ok::<(), multiwa_ws_core::session::JsonError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'t> {
    text: Cow<'t, str>,
    spans: Spans,
}

impl<'t> Event<'t> {
    /// The name, such as `message.received`.
    #[must_use]
    pub fn name(&self) -> Cow<'_, str> {
        self.string(self.spans.event).unwrap_or_default()
    }

    /// The profile that the event concerns; `None` when it concerns every profile.
    #[must_use]
    pub fn profile_id(&self) -> Option<Cow<'_, str>> {
        self.string(self.spans.profile_id)
    }

    /// The data as raw JSON; `None` when the event has none.
    #[must_use]
    pub fn data(&self) -> Option<&str> {
        self.spans.data.map(|value| value.raw(&self.text))
    }

    /// The data as a JSON value.
    #[must_use]
    pub fn raw_data(&self) -> Option<RawJson<'_>> {
        self.data().map(RawJson::from_scanned)
    }

    /// When the event happened, as RFC 3339. `None` when the event has no timestamp, or has one that is not a string:
    /// see [`raw_timestamp`](Self::raw_timestamp).
    #[must_use]
    pub fn timestamp(&self) -> Option<Cow<'_, str>> {
        self.string(self.spans.timestamp)
    }

    /// The timestamp as raw JSON of any type; `None` when the event has none.
    #[must_use]
    pub fn raw_timestamp(&self) -> Option<&str> {
        self.spans.timestamp.map(|value| value.raw(&self.text))
    }

    /// The data, converted to the type that belongs to the name of the event.
    ///
    /// # Errors
    /// [`MemberError`] names the member that is missing or has the wrong type. The raw data stays available.
    pub fn view(&self) -> Result<EventView<'_>, MemberError> {
        let data = Data(self.data().unwrap_or("null"));
        Ok(match &*self.name() {
            "message.received" => EventView::MessageReceived(MessageReceived {
                id: data.string("id")?,
                from: data.string("from")?,
                body: data.string("body")?,
                kind: data.string("type")?,
                timestamp: data.string("timestamp")?,
                has_media: data.bool("hasMedia")?,
            }),
            "session.status" => EventView::SessionStatus(SessionStatus {
                status: data.string("status")?,
                phone: data.optional_string("phone")?,
            }),
            "qr.updated" => EventView::QrUpdated(QrUpdated { qr: data.string("qr")? }),
            "message.ack" => EventView::MessageAck(MessageAck {
                message_id: data.string("messageId")?,
                status: data.string("status")?,
                ack: data.integer("ack")?,
            }),
            _ => EventView::Other,
        })
    }

    /// The whole message as it was received, including members that the protocol does not define. To forward the event,
    /// send this text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The positions of the members in the text.
    #[must_use]
    pub const fn spans(&self) -> Spans {
        self.spans
    }

    /// The same event with an owned text.
    #[must_use]
    pub fn into_owned(self) -> Event<'static> {
        Event { text: Cow::Owned(self.text.into_owned()), spans: self.spans }
    }

    /// The caller has checked [`Spans::is_event`].
    pub(crate) const fn lend(text: Cow<'t, str>, spans: Spans) -> Self {
        Self { text, spans }
    }

    fn string(&self, value: Option<Value>) -> Option<Cow<'_, str>> {
        value?.string(&self.text)
    }
}

impl Spans {
    /// The event whose [`Event::spans`] returned these positions. `text` must be equal to its [`Event::as_str`].
    #[must_use]
    pub const fn event(self, text: &str) -> Event<'_> {
        Event::lend(Cow::Borrowed(text), self)
    }
}

/// The data of an event, as the type that belongs to its name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventView<'e> {
    /// `message.received`
    MessageReceived(MessageReceived<'e>),
    /// `session.status`
    SessionStatus(SessionStatus<'e>),
    /// `qr.updated`
    QrUpdated(QrUpdated<'e>),
    /// `message.ack`
    MessageAck(MessageAck<'e>),
    /// A name that the protocol does not define. The list of names can grow.
    Other,
}

/// `message.received`: a message was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageReceived<'e> {
    /// `id`: the id of the message.
    pub id: Cow<'e, str>,
    /// `from`: the address of the sender.
    pub from: Cow<'e, str>,
    /// `body`: the text. It may contain any characters, including control characters.
    pub body: Cow<'e, str>,
    /// `type`: the type of the message, such as `chat`.
    pub kind: Cow<'e, str>,
    /// `timestamp`: the time of the message, as RFC 3339.
    pub timestamp: Cow<'e, str>,
    /// `hasMedia`: whether a picture or a file belongs to the message.
    pub has_media: bool,
}

/// `session.status`: the connection of a profile changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStatus<'e> {
    /// `status`: the new status, such as `connected`.
    pub status: Cow<'e, str>,
    /// `phone`: the number of the profile, when it is known.
    pub phone: Option<Cow<'e, str>>,
}

/// `qr.updated`: a new QR code to link a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QrUpdated<'e> {
    /// `qr`: the content of the code.
    pub qr: Cow<'e, str>,
}

/// `message.ack`: the delivery status of a sent message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageAck<'e> {
    /// `messageId`: the id of the message.
    pub message_id: Cow<'e, str>,
    /// `status`: `sent`, `delivered`, `read` or `unknown`.
    pub status: Cow<'e, str>,
    /// `ack`: 1 for `sent`, 2 for `delivered`, 3 for `read`, or another number.
    pub ack: i64,
}

/// An error in the data of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemberError {
    /// The member is missing.
    #[error("the data has no `{member}`")]
    Missing {
        /// The name of the member.
        member: &'static str,
    },
    /// The member has another type than expected.
    #[error("`{member}` in the data is not of type {expected}")]
    WrongType {
        /// The name of the member.
        member: &'static str,
        /// The expected type.
        expected: &'static str,
    },
    /// The data is missing or is not an object.
    #[error("the data is not an object")]
    NoObject,
}

/// Looks up members by name in JSON text that was checked before.
struct Data<'e>(&'e str);

impl<'e> Data<'e> {
    fn string(&self, name: &'static str) -> Result<Cow<'e, str>, MemberError> {
        let (_, value) = self.required(name)?;
        value.string(self.0).ok_or(MemberError::WrongType { member: name, expected: "string" })
    }

    /// An explicit `null` counts as absent.
    fn optional_string(&self, name: &'static str) -> Result<Option<Cow<'e, str>>, MemberError> {
        match self.required(name) {
            Err(MemberError::Missing { .. }) => Ok(None),
            Ok((_, value)) if value.kind() == Kind::Null => Ok(None),
            _ => self.string(name).map(Some),
        }
    }

    fn bool(&self, name: &'static str) -> Result<bool, MemberError> {
        match self.required(name)?.0 {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(MemberError::WrongType { member: name, expected: "boolean" }),
        }
    }

    fn integer(&self, name: &'static str) -> Result<i64, MemberError> {
        let (raw, _) = self.required(name)?;
        serde_json::from_str(raw).map_err(|_| MemberError::WrongType { member: name, expected: "integer" })
    }

    fn required(&self, name: &'static str) -> Result<(&'e str, Value), MemberError> {
        if !self.0.starts_with('{') {
            return Err(MemberError::NoObject);
        }
        member(self.0, name).ok_or(MemberError::Missing { member: name })
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::session::{Envelope, encode_event};

    fn event(name: &str, data: &str) -> Event<'static> {
        let text = encode_event(name, Some("p"), &RawJson::parse(data).unwrap(), "2026-02-05T10:00:00.000Z");
        Envelope::parse(&text, 64).unwrap().into_owned().into_event().unwrap()
    }

    #[test]
    fn a_view_says_which_member_is_missing_or_of_the_wrong_type() {
        let cases = [
            ("qr.updated", "{}", MemberError::Missing { member: "qr" }),
            ("qr.updated", r#"{"qr":1}"#, MemberError::WrongType { member: "qr", expected: "string" }),
            ("qr.updated", "[]", MemberError::NoObject),
            (
                "session.status",
                r#"{"status":"x","phone":1}"#,
                MemberError::WrongType { member: "phone", expected: "string" },
            ),
            (
                "message.ack",
                r#"{"messageId":"m","status":"sent","ack":1.5}"#,
                MemberError::WrongType { member: "ack", expected: "integer" },
            ),
        ];
        for (name, data, error) in cases {
            let event = event(name, data);
            assert_eq!(event.view(), Err(error), "{name} {data}");
            // The event itself stays usable.
            assert_eq!(event.data(), Some(data));
        }
        let text = r#"{"type":"event","payload":{"event":"qr.updated"}}"#;
        let event = Envelope::parse(text, 64).unwrap().into_event().unwrap();
        assert_eq!((event.data(), event.timestamp(), event.view()), (None, None, Err(MemberError::NoObject)));
    }

    #[test]
    fn f_25_a_timestamp_that_is_no_string_is_there_as_it_was_written() {
        for (written, text) in [
            ("1760000000.500", None),
            ("null", None),
            (r#"{"seconds":1}"#, None),
            (r#""\ud800""#, None),
            (r#""2026-02-05T10:00:00.000Z""#, Some("2026-02-05T10:00:00.000Z")),
        ] {
            let message = format!(r#"{{"type":"event","payload":{{"event":"a","timestamp":{written}}}}}"#);
            let event = Envelope::parse(&message, 64).unwrap().into_event().unwrap();
            assert_eq!((event.raw_timestamp(), event.timestamp().as_deref()), (Some(written), text));
        }
        let message = Envelope::parse(r#"{"type":"event","payload":{"event":"a"}}"#, 64).unwrap();
        assert_eq!(message.into_event().unwrap().raw_timestamp(), None);
    }

    #[test]
    fn members_that_may_be_left_out_may_be_null() {
        for data in [r#"{"status":"connected"}"#, r#"{"status":"connected","phone":null}"#] {
            let event = event("session.status", data);
            let view = EventView::SessionStatus(SessionStatus { status: "connected".into(), phone: None });
            assert_eq!(event.view(), Ok(view));
        }
    }

    #[test]
    fn the_number_of_an_ack_may_be_any() {
        for ack in [-1, 0, 1, 2, 3, 4, i64::MAX] {
            let event = event("message.ack", &format!(r#"{{"messageId":"m","status":"read","ack":{ack}}}"#));
            let view = EventView::MessageAck(MessageAck { message_id: "m".into(), status: "read".into(), ack });
            assert_eq!(event.view(), Ok(view));
        }
    }

    #[test]
    fn an_unknown_event_is_an_event() {
        let event = event("call.received", r#"{"from":"x"}"#);
        assert_eq!(event.view(), Ok(EventView::Other));
        assert_eq!(event.raw_data().unwrap().as_str(), r#"{"from":"x"}"#);
        assert_eq!(event.as_message().payload_text("event").as_deref(), Some("call.received"));
    }
}
