//! The events of a client session.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::disconnect::DisconnectReason;
use super::envelope::Envelope;
use super::event::Event;
use super::outcome::{Refusal, RequestOutcome, read_error};
use super::request::{RequestId, RequestKind};
use super::scanner::JsonError;
use super::spans::Spans;
use crate::Instant;

/// An event of a client. All events come in one order, the order of the wire.
///
/// An event that comes from a message borrows from the text of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent<'t> {
    /// A lifecycle event of the client or its connection.
    Lifecycle(LifecycleEvent),
    /// An event that matches an active subscription.
    Event(Event<'t>),
    /// The connection ack: its payload has `message`, `clientId` and `timestamp`.
    Connected(Envelope<'t>),
    /// A request of the application ended.
    RequestEnded {
        /// The id that the command returned.
        id: RequestId,
        /// The kind of the request.
        kind: RequestKind,
        /// The outcome of the request.
        outcome: RequestOutcome<'t>,
    },
    /// An `error` message that answers no request of this client.
    Error {
        /// Text for a person. If the server sent another JSON value in its place, this is the raw JSON.
        error: Cow<'t, str>,
        /// A stable code for programs, if the server sends one.
        code: Option<Cow<'t, str>>,
    },
    /// A `notification`: its payload has `id`, `type`, `title`, `body`, `createdAt` and optionally `metadata`.
    Notification(Envelope<'t>),
    /// A message of an unknown type, or an event without a valid name and profile.
    Unknown(Envelope<'t>),
    /// The text is not JSON, or is nested too deeply.
    Invalid(JsonError),
}

impl ClientEvent<'_> {
    /// The same event with owned texts. The text of a refusal is kept up to its first 1,024 bytes.
    #[must_use]
    pub fn into_owned(self) -> ClientEvent<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Lifecycle(event) => ClientEvent::Lifecycle(event),
            Self::Event(event) => ClientEvent::Event(event.into_owned()),
            Self::Connected(message) => ClientEvent::Connected(message.into_owned()),
            Self::RequestEnded { id, kind, outcome } => {
                ClientEvent::RequestEnded { id, kind, outcome: outcome.into_kept() }
            }
            Self::Error { error, code } => ClientEvent::Error { error: owned(error), code: code.map(owned) },
            Self::Notification(message) => ClientEvent::Notification(message.into_owned()),
            Self::Unknown(message) => ClientEvent::Unknown(message.into_owned()),
            Self::Invalid(error) => ClientEvent::Invalid(error),
        }
    }
}

/// A change in the state of the client or its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LifecycleEvent {
    /// A connection attempt begins.
    Connecting {
        /// The number of the attempt, counted from 1 since the last stable connection.
        attempt: u32,
    },
    /// The transport is open and the upgrade succeeded.
    Opened,
    /// The server did not send the connection ack in time, or sent another message first. The client uses the
    /// connection anyway.
    AckMissing,
    /// Each desired subscription was acknowledged, was refused or timed out.
    Ready {
        /// Desired subscriptions that are not active, in the order they failed.
        failed: Vec<FailedSubscription>,
        /// The period in which events may have been missed, if an earlier connection was lost.
        gap: Option<Gap>,
    },
    /// The connection was lost or the attempt failed. The client will try again.
    Backoff {
        /// Why the connection or the attempt ended.
        reason: DisconnectReason,
        /// When the next attempt begins.
        until: Instant,
    },
    /// The application closed the client. The client waits until the transport has ended.
    Closing,
    /// The client is closed. This is the last event, and it is reported exactly once.
    Closed(CloseCause),
}

/// A desired subscription that is not active although the client is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedSubscription {
    /// The profile.
    pub profile: Arc<str>,
    /// Why it is not active: the request was refused or timed out.
    pub outcome: RequestOutcome<'static>,
}

/// A period in which events may have been missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// When the last byte arrived on the lost connection.
    pub from: Instant,
    /// When the subscriptions were active again.
    pub to: Instant,
}

/// Why a client ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCause {
    /// The application closed the client.
    Application,
    /// The last connection or attempt ended for this reason, and the client does not try again.
    Lost(DisconnectReason),
}

/// A processed message without its text: its meaning and the positions of its members.
///
/// It borrows nothing, so a layer above can keep it while it still changes the buffer, and lend the event afterwards.
#[derive(Clone, Copy, Debug)]
pub(crate) enum EventSpans {
    Event(Spans),
    Connected(Spans),
    Acknowledged { id: RequestId, kind: RequestKind, after: Duration },
    Refused { id: RequestId, kind: RequestKind, spans: Spans },
    Error(Spans),
    Notification(Spans),
    Unknown(Spans),
    Invalid(JsonError),
}

impl EventSpans {
    /// Returns the event. `text` must be the text that was processed.
    pub(crate) fn lend(self, text: &str) -> ClientEvent<'_> {
        let payload = |spans: Spans| spans.payload.map_or("", |value| value.raw(text));
        match self {
            Self::Event(spans) => ClientEvent::Event(Event::lend(Cow::Borrowed(text), spans)),
            Self::Connected(spans) => ClientEvent::Connected(Envelope::lend(text, spans)),
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
            Self::Notification(spans) => ClientEvent::Notification(Envelope::lend(text, spans)),
            Self::Unknown(spans) => ClientEvent::Unknown(Envelope::lend(text, spans)),
            Self::Invalid(error) => ClientEvent::Invalid(error),
        }
    }
}
