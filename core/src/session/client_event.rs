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

/// What happened to a client: all of it, in one order, which is that of the wire.
///
/// What a message means is lent from its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent<'t> {
    /// What happened without a message, or because of one.
    Lifecycle(LifecycleEvent),
    /// An event that an active subscription asked for.
    Event(Event<'t>),
    /// The connection's `ack`: the payload has `message`, `clientId` and `timestamp`.
    Connected(Envelope<'t>),
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
    Notification(Envelope<'t>),
    /// A message of an unknown type, or an event without a usable address.
    Unknown(Envelope<'t>),
    /// The text is no JSON, or nested too deep.
    Invalid(JsonError),
}

/// What happened to the client and its connection, apart from what the server wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LifecycleEvent {
    /// An attempt begins.
    Connecting {
        /// Its number since the last stable connection, from 1.
        attempt: u32,
    },
    /// The transport is open.
    Opened,
    /// The server sent no connection `ack` in time, or something else before it. The connection is used all the same.
    AckMissing,
    /// Each desired subscription was acknowledged, refused or timed out.
    Ready {
        /// Desired subscriptions that are not active, in the order they failed.
        failed: Vec<FailedSubscription>,
        /// When a connection was lost before: the time in which events may have been missed.
        gap: Option<Gap>,
    },
    /// The connection, or the attempt at one, was lost and is tried again.
    Backoff {
        /// How it ended.
        reason: DisconnectReason,
        /// When the next attempt begins.
        until: Instant,
    },
    /// The application closed; the end of the transport is awaited.
    Closing,
    /// Over. Comes exactly once, after everything else.
    Closed(CloseCause),
}

/// A desired subscription that is not active although the client is ready.
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
    /// When the subscriptions were active again.
    pub to: Instant,
}

/// Who ended a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCause {
    /// The application closed it.
    Application,
    /// The last connection or attempt ended so, and no further one is made.
    Lost(DisconnectReason),
}

/// A processed message without its text: what it means, and where its members lie.
///
/// It borrows nothing, so a layer above can keep it while it owns the buffer, and lend the event once it is done.
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
    /// The event itself; `text` is what was processed.
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
