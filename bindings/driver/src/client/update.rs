//! One update that a client delivers.

use std::borrow::Cow;

use multiwa_ws_core::session::{Envelope, Event, JsonError, LifecycleEvent};

/// An update of a client. Updates arrive in order.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Update<'u> {
    /// An event of a subscription.
    Event(Event<'u>),
    /// A `notification` of the server.
    Notification(Envelope<'u>),
    /// A message of a type that this version of the crate does not know.
    Unknown(Envelope<'u>),
    /// An `error` of the server that does not answer a request.
    Error {
        /// The error text, for people.
        error: Cow<'u, str>,
        /// A stable error code, for programs, if the server sends one.
        code: Option<Cow<'u, str>>,
    },
    /// A message that is not valid JSON, or is nested too deeply.
    Invalid(JsonError),
    /// A change of the connection. `Closed` is the last update.
    Lifecycle(LifecycleEvent),
}

impl Update<'_> {
    /// Converts to an update that owns its text.
    #[must_use]
    pub fn into_owned(self) -> Update<'static> {
        match self {
            Self::Event(event) => Update::Event(event.into_owned()),
            Self::Notification(message) => Update::Notification(message.into_owned()),
            Self::Unknown(message) => Update::Unknown(message.into_owned()),
            Self::Error { error, code } => Update::Error {
                error: Cow::Owned(error.into_owned()),
                code: code.map(|code| Cow::Owned(code.into_owned())),
            },
            Self::Invalid(error) => Update::Invalid(error),
            Self::Lifecycle(lifecycle) => Update::Lifecycle(lifecycle),
        }
    }
}
