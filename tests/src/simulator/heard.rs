//! What a client was told, kept beyond the buffers it was lent from.

use multiwa_ws_core::session::{ClientEvent, LifecycleEvent, Refusal, RequestId, RequestKind, RequestOutcome};

/// One thing that a client told its application, by a message or without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The connection's `ack`.
    Connected,
    /// An event.
    Event {
        /// The profile, unless it concerns every one.
        profile: Option<String>,
        /// The name.
        name: String,
        /// The data as it was written.
        data: String,
    },
    /// A request of the application ended, by an answer or without one.
    Ended {
        /// Which request.
        id: RequestId,
        /// What it asked for.
        kind: RequestKind,
        /// How it ended.
        outcome: Outcome,
    },
    /// A message that should not come from this server; what it was, in words.
    Invalid(String),
    /// What no message brought, but for the end of a request.
    Lifecycle(LifecycleEvent),
}

/// How a request ended, without what was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server did as asked.
    Acknowledged,
    /// The server refused.
    Refused,
    /// The client did not ask, or the server forgot, since the server holds one profile alone.
    Displaced,
    /// No answer came in time.
    TimedOut,
    /// The connection ended first.
    ConnectionLost,
}

impl From<ClientEvent<'_>> for Heard {
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
