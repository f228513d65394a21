//! Where the members of a message lie, apart from its text.

use alloc::borrow::Cow;

use super::envelope::{Message, Spans};
use super::event::Event;

/// Where the members of one message lie in its text: with a copy of the text it is that message again, without a second
/// look at every byte.
///
/// It serves queues that keep the texts of many messages in one buffer. With any other text the members are whatever lies
/// at their places, or nothing.
///
/// ```
/// use multiwa_ws_core::session::{DEFAULT_MAX_DEPTH, Message};
///
/// let text = r#"{"type":"event","payload":{"event":"qr.updated","data":{"qr":"2@x"}}}"#;
/// let event = Message::parse(text, DEFAULT_MAX_DEPTH)?.into_event().expect("an event");
/// let (copy, outline) = (event.as_str().to_owned(), event.outline());
/// assert_eq!(outline.event(&copy), event);
/// # Ok::<(), multiwa_ws_core::session::JsonError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline(Spans);

impl Outline {
    pub(crate) const fn new(spans: Spans) -> Self {
        Self(spans)
    }

    /// The event whose [`Event::outline`] this is; `text` is what its [`Event::as_str`] was.
    #[must_use]
    pub const fn event(self, text: &str) -> Event<'_> {
        Event::lend(Cow::Borrowed(text), self.0)
    }

    /// The message whose [`Message::outline`] this is; `text` is what its [`Message::as_str`] was.
    #[must_use]
    pub const fn message(self, text: &str) -> Message<'_> {
        Message::lend(text, self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::DEFAULT_MAX_DEPTH;

    #[test]
    fn an_outline_over_another_text_finds_something_or_nothing_and_never_panics() {
        let text = r#"{"type":"event","payload":{"event":"\u0061","profileId":"p","data":{"a":[1]},"timestamp":"t"}}"#;
        let outline = Message::parse(text, DEFAULT_MAX_DEPTH).unwrap().outline();
        assert_eq!(outline.event(text).name(), "a");
        let long = "ü".repeat(text.len());
        for other in ["", "x", &text[..40], &text[1..], &long] {
            let (event, message) = (outline.event(other), outline.message(other));
            let _ = (event.name(), event.profile_id(), event.data(), event.timestamp(), event.view());
            let _ = (message.kind(), message.payload(), message.payload_text("event"), message.request_id());
        }
    }
}
