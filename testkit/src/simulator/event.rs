//! The events of a client, copied out of the buffers they borrow from.

use multiwa_ws_core::session::{ClientEvent, LifecycleEvent, Refusal, RequestId, RequestKind, RequestOutcome};

/// One event of a client to its application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedClientEvent {
    /// The connection's `ack`.
    Connected,
    /// An event.
    Event {
        /// The profile. `None` if it concerns every profile.
        profile: Option<String>,
        /// The name.
        name: String,
        /// The data, unchanged.
        data: String,
    },
    /// A request of the application ended, with or without an answer.
    Ended {
        /// The request.
        id: RequestId,
        /// The kind of the request.
        kind: RequestKind,
        /// How it ended.
        outcome: Outcome,
    },
    /// A message that this server should not send, as text.
    Invalid(String),
    /// An event that no message caused, except for the end of a request.
    Lifecycle(LifecycleEvent),
}

/// How a request ended, without measured times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server did it.
    Acknowledged,
    /// The server refused.
    Refused,
    /// The client did not send it, or the server dropped it, because the server holds only one profile.
    Displaced,
    /// No answer arrived in time.
    TimedOut,
    /// The connection ended first.
    ConnectionLost,
}

impl From<ClientEvent<'_>> for OwnedClientEvent {
    fn from(event: ClientEvent<'_>) -> Self {
        match event {
            ClientEvent::Connected(_) => Self::Connected,
            ClientEvent::Event(event) => Self::Event {
                profile: event.profile_id().map(Into::into),
                name: event.name().into(),
                data: event.data().unwrap_or_default().into(),
            },
            ClientEvent::RequestEnded { id, kind, outcome } => Self::Ended { id, kind, outcome: (&outcome).into() },
            ClientEvent::Lifecycle(lifecycle) => Self::Lifecycle(lifecycle),
            other => Self::Invalid(format!("{other:?}")),
        }
    }
}

impl From<&RequestOutcome<'_>> for Outcome {
    fn from(outcome: &RequestOutcome<'_>) -> Self {
        match outcome {
            RequestOutcome::Acknowledged { .. } => Self::Acknowledged,
            RequestOutcome::Refused(Refusal::Server { .. }) => Self::Refused,
            RequestOutcome::Refused(Refusal::SetsUnsupported | Refusal::Displaced) => Self::Displaced,
            RequestOutcome::TimedOut => Self::TimedOut,
            RequestOutcome::ConnectionLost => Self::ConnectionLost,
        }
    }
}
