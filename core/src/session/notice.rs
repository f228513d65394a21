//! What a client session tells its application: by a message, or without one.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::envelope::{Message, Spans, member};
use super::event::Event;
use super::request::{RequestId, RequestKind};
use super::retry::Loss;
use super::scanner::{JsonError, Kind};
use crate::Instant;

/// What happened to a client: all of it, in one order, which is that of the wire.
///
/// What a message means is lent from its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent<'t> {
    /// What happened without a message, or because of one.
    Notice(Notice),
    /// An event that a live subscription asked for.
    Event(Event<'t>),
    /// The connection's `ack`: the payload has `message`, `clientId` and `timestamp`.
    Connected(Message<'t>),
    /// A request of the application ended.
    RequestEnded {
        /// What its command returned.
        id: RequestId,
        /// What it asked for.
        kind: RequestKind,
        /// How it ended.
        outcome: RequestOutcome<'t>,
    },
    /// An `error` that answers no request.
    Error {
        /// Text for a person; what is written in its place if that is no string.
        error: Cow<'t, str>,
        /// A stable word for a program, if the server sends one.
        code: Option<Cow<'t, str>>,
    },
    /// A `notification`: the payload has `id`, `type`, `title`, `body`, `createdAt` and perhaps `metadata`.
    Notification(Message<'t>),
    /// A message of an unknown type, or an event without a usable address.
    Unknown(Message<'t>),
    /// The text is no JSON, or nested too deep.
    Invalid(JsonError),
}

/// How a request ended. Each ends exactly once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestOutcome<'t> {
    /// The server did as asked.
    Acknowledged {
        /// From when the request was written to its answer: for a `ping`, the round-trip time.
        after: Duration,
    },
    /// It was refused, and changed nothing.
    Refused(Refusal<'t>),
    /// No answer in time. A subscription stays wanted, and counts should its answer come late.
    TimedOut,
    /// The connection ended before the answer. A subscription stays wanted, and is asked for again.
    ConnectionLost,
}

/// Who refused a request, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal<'t> {
    /// The server answered with an `error`.
    Server {
        /// Text for a person; what is written in its place if that is no string. Where a refusal is kept, the first 1,024
        /// bytes of it.
        error: Cow<'t, str>,
        /// A stable word for a program, if the server sends one.
        code: Option<Cow<'t, str>>,
    },
    /// The server knows no subscription sets: another profile stands, and this one would have displaced it. Nothing was
    /// sent.
    SetsUnsupported,
    /// The server knows no subscription sets, and the application chose that a later profile displaces this one.
    Displaced,
}

/// What happened to the client and its connection, apart from what the server wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// An attempt begins.
    Connecting {
        /// Its number since the last stable connection, from 1.
        attempt: u32,
    },
    /// The transport is open.
    Opened,
    /// The server sent no connection `ack` in time, or something else before it. The connection is used all the same.
    AckMissing,
    /// Each wanted subscription was acknowledged, refused or timed out.
    Ready {
        /// Wanted subscriptions that are not live, in the order they failed.
        failed: Vec<FailedSubscription>,
        /// When a connection was lost before: the time in which events may have been missed.
        gap: Option<Gap>,
    },
    /// The connection, or the attempt at one, was lost and is tried again.
    Backoff {
        /// How it ended.
        loss: Loss,
        /// When the next attempt begins.
        until: Instant,
    },
    /// The application closed; the end of the transport is awaited.
    Closing,
    /// Over. Comes exactly once, after everything else.
    Closed(CloseCause),
}

/// A wanted subscription that is not live although the client is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedSubscription {
    /// The profile.
    pub profile: Arc<str>,
    /// Why: refused or timed out.
    pub outcome: RequestOutcome<'static>,
}

/// A time in which events may have been missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// When the last byte of the lost connection arrived.
    pub from: Instant,
    /// When the subscriptions were live again.
    pub to: Instant,
}

/// Who ended a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCause {
    /// The application closed it.
    Application,
    /// The last connection or attempt ended so, and no further one is made.
    Lost(Loss),
}

/// What the layer below shall do with the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Drop whatever is left of an earlier transport, and open a new one.
    Connect {
        /// The number of the attempt since the last stable connection, from 1.
        attempt: u32,
    },
    /// Begin the closing handshake.
    Close {
        /// The close code, RFC 6455 section 7.4.
        code: u16,
        /// The reason.
        reason: &'static str,
    },
    /// Drop the transport at once: its peer does not answer, or it is not open yet.
    Abort,
}

/// How many bytes of a refusal's texts are kept beyond the message they came in.
const KEPT_TEXT: usize = 1_024;

impl<'t> Refusal<'t> {
    /// What the payload of an `error` says.
    pub(crate) fn read(payload: &'t str) -> Self {
        let (error, code) = read_error(payload);
        Self::Server { error, code }
    }

    pub(crate) fn into_kept(self) -> Refusal<'static> {
        match self {
            Self::Server { error, code } => Refusal::Server { error: keep(&error), code: code.as_deref().map(keep) },
            Self::SetsUnsupported => Refusal::SetsUnsupported,
            Self::Displaced => Refusal::Displaced,
        }
    }
}

fn keep(text: &str) -> Cow<'static, str> {
    let kept = (0..=KEPT_TEXT.min(text.len())).rev().find_map(|end| text.get(..end));
    Cow::Owned(String::from(kept.unwrap_or_default()))
}

/// What is no string is told as it was written, and without an `error` the payload is what is known.
fn read_error(payload: &str) -> (Cow<'_, str>, Option<Cow<'_, str>>) {
    let text = |name| {
        let (raw, value) = member(payload, name).filter(|(_, value)| value.kind() != Kind::Null)?;
        Some(value.string(payload).unwrap_or(Cow::Borrowed(raw)))
    };
    (text("error").unwrap_or(Cow::Borrowed(payload)), text("code"))
}

/// A judged message without its text: what it means, and where.
///
/// It borrows nothing, so a layer above can keep it while it owns the buffer, and lend the event once it is done.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Located {
    Event(Spans),
    Connected(Spans),
    Acknowledged { id: RequestId, kind: RequestKind, after: Duration },
    Refused { id: RequestId, kind: RequestKind, spans: Spans },
    Error(Spans),
    Notification(Spans),
    Unknown(Spans),
    Invalid(JsonError),
}

impl Located {
    /// The event itself; `text` is what was judged.
    pub(crate) fn lend(self, text: &str) -> ClientEvent<'_> {
        let payload = |spans: Spans| spans.payload.map_or("", |value| value.raw(text));
        match self {
            Self::Event(spans) => ClientEvent::Event(Event::lend(Cow::Borrowed(text), spans)),
            Self::Connected(spans) => ClientEvent::Connected(Message::lend(text, spans)),
            Self::Acknowledged { id, kind, after } => {
                ClientEvent::RequestEnded { id, kind, outcome: RequestOutcome::Acknowledged { after } }
            }
            Self::Refused { id, kind, spans } => {
                let outcome = RequestOutcome::Refused(Refusal::read(payload(spans)));
                ClientEvent::RequestEnded { id, kind, outcome }
            }
            Self::Error(spans) => {
                let (error, code) = read_error(payload(spans));
                ClientEvent::Error { error, code }
            }
            Self::Notification(spans) => ClientEvent::Notification(Message::lend(text, spans)),
            Self::Unknown(spans) => ClientEvent::Unknown(Message::lend(text, spans)),
            Self::Invalid(error) => ClientEvent::Invalid(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f_25_an_error_whose_members_are_no_strings_says_what_was_written() {
        for (payload, error, code) in [
            (r#"{"error":"e","code":"c"}"#, "e", Some("c")),
            (r#"{"error":{"reason":"e"},"code":429}"#, r#"{"reason":"e"}"#, Some("429")),
            (r#"{"error":404}"#, "404", None),
            (r#"{"error":null,"code":null}"#, r#"{"error":null,"code":null}"#, None),
            (r#"{"error":"\ud800","code":"\ud800"}"#, r#""\ud800""#, Some(r#""\ud800""#)),
            (r#"{"message":"e"}"#, r#"{"message":"e"}"#, None),
            (r#""e""#, r#""e""#, None),
            ("", "", None),
        ] {
            let (error, code) = (Cow::Borrowed(error), code.map(Cow::Borrowed));
            assert_eq!(Refusal::read(payload), Refusal::Server { error, code }, "{payload}");
        }
    }
}
