//! The positions of the members of a message in its text (`protocol.md`, Envelope).

use alloc::borrow::Cow;

use super::scanner::{JsonError, Kind, Scanner, Value};

/// The positions of the members of one message in its text. With a copy of the text, they give the message again,
/// without parsing it a second time.
///
/// They are useful for queues that keep the texts of many messages in one buffer. With any other text, the members have
/// arbitrary values or are absent.
///
/// ```
/// use multiwa_ws_core::session::{DEFAULT_MAX_DEPTH, Envelope};
///
/// let text = r#"{"type":"event","payload":{"event":"qr.updated","data":{"qr":"2@x"}}}"#;
/// let event = Envelope::parse(text, DEFAULT_MAX_DEPTH)?.into_event().expect("an event");
/// let (copy, spans) = (event.as_str().to_owned(), event.spans());
/// assert_eq!(spans.event(&copy), event);
/// # Ok::<(), multiwa_ws_core::session::JsonError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spans {
    pub(crate) is_object: bool,
    pub(crate) kind: Option<Value>,
    pub(crate) payload: Option<Value>,
    pub(crate) request_id: Option<Value>,
    pub(crate) event: Option<Value>,
    pub(crate) profile_id: Option<Value>,
    pub(crate) data: Option<Value>,
    pub(crate) timestamp: Option<Value>,
}

impl Spans {
    pub(crate) fn locate(text: &str, max_depth: u8) -> Result<Self, JsonError> {
        let mut spans = Self::default();
        spans.read(text, max_depth)?;
        Ok(spans)
    }

    /// Like `locate`, but writes into `self`, which must be empty. This avoids a move.
    #[inline]
    pub(crate) fn read(&mut self, text: &str, max_depth: u8) -> Result<(), JsonError> {
        let mut scanner = Scanner::new(text, max_depth);
        self.is_object = scanner.enter_object()?;
        if self.is_object {
            // Of duplicate members, each one overwrites the one before it (`protocol.md`, Envelope).
            while let Some(member) = scanner.next_key(Member::named)? {
                match member {
                    Member::Payload => self.locate_payload(&mut scanner)?,
                    member => {
                        let value = Some(scanner.value()?);
                        match member {
                            Member::Kind => self.kind = value,
                            Member::RequestId => self.request_id = value,
                            _ => {}
                        }
                    }
                }
            }
        } else {
            scanner.value()?;
        }
        scanner.finish()
    }

    #[inline]
    fn locate_payload(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        (self.event, self.profile_id, self.data, self.timestamp) = (None, None, None, None);
        let start = scanner.position();
        if !scanner.enter_object()? {
            self.payload = Some(scanner.value()?);
            return Ok(());
        }
        while let Some(slot) = scanner.next_key(|name| self.slot_in_payload(name))? {
            let value = scanner.value()?;
            if let Some(slot) = slot {
                *slot = Some(value);
            }
        }
        self.payload = Some(scanner.object_since(start));
        Ok(())
    }

    /// The field for the position of this member of the payload.
    #[inline]
    fn slot_in_payload(&mut self, name: &[u8]) -> Option<&mut Option<Value>> {
        // Each comparison works on whole words; a `match` would compare byte by byte.
        if name == b"event" {
            Some(&mut self.event)
        } else if name == b"profileId" {
            Some(&mut self.profile_id)
        } else if name == b"data" {
            Some(&mut self.data)
        } else if name == b"timestamp" {
            Some(&mut self.timestamp)
        } else {
            None
        }
    }

    /// Whether the message is an event that can be filtered: see [`Spans::address`].
    pub(crate) fn is_event(&self, text: &str) -> bool {
        self.address(text).is_some()
    }

    /// The profile and the name by which an event is filtered; `None` when the message is not a valid event. A valid
    /// event has a name, and its profile is a string, or is absent or `null` when it concerns every profile. There is
    /// no other condition.
    #[inline]
    pub(crate) fn address<'t>(&self, text: &'t str) -> Option<Address<'t>> {
        if !self.kind?.is(text, "event") {
            return None;
        }
        let name = self.event?.string(text)?;
        let profile = match self.profile_id {
            Some(profile) if profile.kind() != Kind::Null => Some(profile.string(text)?),
            _ => None,
        };
        Some(Address { profile, name })
    }
}

/// The profile and the name by which an event is filtered.
pub(crate) struct Address<'t> {
    /// `None` when the event concerns every profile.
    pub(crate) profile: Option<Cow<'t, str>>,
    pub(crate) name: Cow<'t, str>,
}

/// The members of the envelope.
enum Member {
    Kind,
    Payload,
    RequestId,
    Unknown,
}

impl Member {
    #[inline]
    fn named(name: &[u8]) -> Self {
        // Each comparison works on whole words; a `match` would compare byte by byte.
        if name == b"type" {
            Self::Kind
        } else if name == b"payload" {
            Self::Payload
        } else if name == b"requestId" {
            Self::RequestId
        } else {
            Self::Unknown
        }
    }
}

/// The last member of `object` with this name: its raw JSON and its position. `None` when there is none, or when
/// `object` is not an object.
pub(crate) fn member<'t>(object: &'t str, name: &str) -> Option<(&'t str, Value)> {
    let mut scanner = Scanner::again(object);
    let mut found = None;
    if scanner.enter_object().ok()? {
        while let Some(is_meant) = scanner.next_key(|key| key == name.as_bytes()).ok()? {
            let value = scanner.value().ok()?;
            if is_meant {
                found = Some((value.raw(object), value));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::session::{DEFAULT_MAX_DEPTH, Envelope};

    #[test]
    fn spans_over_another_text_finds_something_or_nothing_and_never_panics() {
        let text = r#"{"type":"event","payload":{"event":"\u0061","profileId":"p","data":{"a":[1]},"timestamp":"t"}}"#;
        let spans = Envelope::parse(text, DEFAULT_MAX_DEPTH).unwrap().spans();
        assert_eq!(spans.event(text).name(), "a");
        let long = "ü".repeat(text.len());
        for other in ["", "x", &text[..40], &text[1..], &long] {
            let (event, message) = (spans.event(other), spans.message(other));
            let _ = (event.name(), event.profile_id(), event.data(), event.timestamp(), event.view());
            let _ = (message.kind(), message.payload(), message.payload_text("event"), message.request_id());
        }
    }
}
