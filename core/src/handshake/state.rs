//! All transitions of the two handshake state machines. Each machine is one exhaustive match.
//!
//! Where `next` returns `None`, the input cannot occur in that state or is refused, and the state does not change.

/// The state of a [`ClientHandshake`](super::ClientHandshake).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientPhase {
    /// The request is being sent, or the client waits for the answer.
    AwaitingAnswer,
    /// The answer is not 101; its body is being read.
    ReadingRefusal,
    /// The answer was a valid 101: the connection speaks WebSocket.
    Upgraded,
    /// The server refused with an HTTP response.
    Refused,
    /// The answer broke a rule or did not arrive.
    Failed,
}

/// An input to a [`ClientHandshake`](super::ClientHandshake).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ClientInput {
    /// A 1xx answer other than 101 was read and skipped.
    InterimAnswer,
    /// A valid 101 was read.
    SwitchingProtocols,
    /// The head of any other answer was read.
    RefusalHead,
    /// The body of that answer ended or filled its limit.
    RefusalEnd,
    /// The server broke a rule.
    Fault,
    /// The deadline passed.
    TimedOut,
    /// The server ended the stream.
    Eof,
}

impl ClientPhase {
    /// Every state, the first one first.
    #[cfg(test)]
    #[cfg(all(feature = "server", feature = "session"))]
    pub(crate) const ALL: [Self; 5] =
        [Self::AwaitingAnswer, Self::ReadingRefusal, Self::Upgraded, Self::Refused, Self::Failed];

    /// The state that follows `self` after `input`, or `None` where the input has no meaning.
    pub(crate) const fn next(self, input: ClientInput) -> Option<Self> {
        use ClientInput as I;
        match (self, input) {
            (Self::AwaitingAnswer, I::InterimAnswer) => Some(Self::AwaitingAnswer),
            (Self::AwaitingAnswer, I::SwitchingProtocols) => Some(Self::Upgraded),
            (Self::AwaitingAnswer, I::RefusalHead) => Some(Self::ReadingRefusal),
            (Self::AwaitingAnswer, I::Fault | I::TimedOut | I::Eof) => Some(Self::Failed),
            // A refusal is reported even if only a part of its body arrived.
            (Self::ReadingRefusal, I::RefusalEnd | I::TimedOut | I::Eof) => Some(Self::Refused),
            (Self::AwaitingAnswer, I::RefusalEnd)
            | (Self::ReadingRefusal, I::InterimAnswer | I::SwitchingProtocols | I::RefusalHead | I::Fault)
            | (Self::Upgraded | Self::Refused | Self::Failed, _) => None,
        }
    }
}

impl ClientInput {
    #[cfg(test)]
    #[cfg(all(feature = "server", feature = "session"))]
    pub(crate) const ALL: [Self; 7] = [
        Self::InterimAnswer,
        Self::SwitchingProtocols,
        Self::RefusalHead,
        Self::RefusalEnd,
        Self::Fault,
        Self::TimedOut,
        Self::Eof,
    ];
}

/// The state of a [`ServerHandshake`](super::ServerHandshake).
#[cfg(feature = "server")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerPhase {
    /// The request is being read.
    AwaitingRequest,
    /// The request is valid. The caller must decide.
    Deciding,
    /// The caller accepted; the 101 response is being sent.
    Accepting,
    /// The 101 response is sent. The caller has not taken over the connection yet.
    Accepted,
    /// The connection speaks WebSocket and belongs to the caller.
    Upgraded,
    /// A refusal is being sent.
    Rejecting,
    /// The refusal is sent. The caller must shut down the write side.
    ShuttingDown,
    /// The write side is shut down. Input is ignored until the client ends its side too.
    Draining,
    /// The transport can be dropped.
    Closed,
}

/// An input to a [`ServerHandshake`](super::ServerHandshake).
#[cfg(feature = "server")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ServerInput {
    /// A valid upgrade request was read.
    Request,
    /// The client broke a rule.
    Fault,
    /// The caller accepted the upgrade.
    Accept,
    /// The caller refused the upgrade.
    Reject,
    /// The last byte of the response was sent.
    ResponseSent,
    /// The caller took over the connection.
    TakenOver,
    /// The caller shut down its write side.
    ShutdownDone,
    /// The deadline passed.
    TimedOut,
    /// The client ended the stream.
    Eof,
}

#[cfg(feature = "server")]
impl ServerPhase {
    /// Every state, the first one first.
    #[cfg(test)]
    #[cfg(all(feature = "server", feature = "session"))]
    pub(crate) const ALL: [Self; 9] = [
        Self::AwaitingRequest,
        Self::Deciding,
        Self::Accepting,
        Self::Accepted,
        Self::Upgraded,
        Self::Rejecting,
        Self::ShuttingDown,
        Self::Draining,
        Self::Closed,
    ];

    /// The state that follows `self` after `input`, or `None` where the input has no meaning.
    pub(crate) const fn next(self, input: ServerInput) -> Option<Self> {
        use ServerInput as I;
        match (self, input) {
            (Self::AwaitingRequest, I::Request) => Some(Self::Deciding),
            (Self::AwaitingRequest, I::Fault | I::TimedOut) => Some(Self::Rejecting),
            (Self::AwaitingRequest, I::Eof) => Some(Self::Closed),
            (Self::Deciding, I::Accept) => Some(Self::Accepting),
            (Self::Deciding, I::Reject) => Some(Self::Rejecting),
            (Self::Deciding, I::Eof) => Some(Self::Closed),
            (Self::Accepting, I::ResponseSent) => Some(Self::Accepted),
            (Self::Accepting | Self::Accepted, I::TakenOver) => Some(Self::Upgraded),
            (Self::Accepting, I::TimedOut | I::Eof) => Some(Self::Closed),
            (Self::Accepted, I::Eof) => Some(Self::Closed),
            // A client that closed only its write side can still read the refusal.
            (Self::Rejecting, I::Eof) => Some(Self::Rejecting),
            (Self::Rejecting, I::ResponseSent) => Some(Self::ShuttingDown),
            (Self::ShuttingDown, I::Eof) => Some(Self::ShuttingDown),
            (Self::ShuttingDown, I::ShutdownDone) => Some(Self::Draining),
            (Self::Draining, I::Eof) => Some(Self::Closed),
            (Self::Rejecting | Self::ShuttingDown | Self::Draining, I::TimedOut) => Some(Self::Closed),
            (Self::AwaitingRequest, I::Accept | I::Reject | I::ResponseSent | I::TakenOver | I::ShutdownDone)
            | (
                Self::Deciding,
                I::Request | I::Fault | I::ResponseSent | I::TakenOver | I::ShutdownDone | I::TimedOut,
            )
            | (Self::Accepting, I::Request | I::Fault | I::Accept | I::Reject | I::ShutdownDone)
            | (
                Self::Accepted,
                I::Request | I::Fault | I::Accept | I::Reject | I::ResponseSent | I::ShutdownDone | I::TimedOut,
            )
            | (Self::Rejecting, I::Request | I::Fault | I::Accept | I::Reject | I::TakenOver | I::ShutdownDone)
            | (Self::ShuttingDown, I::Request | I::Fault | I::Accept | I::Reject | I::TakenOver | I::ResponseSent)
            | (
                Self::Draining,
                I::Request | I::Fault | I::Accept | I::Reject | I::TakenOver | I::ResponseSent | I::ShutdownDone,
            )
            | (Self::Upgraded | Self::Closed, _) => None,
        }
    }
}

#[cfg(feature = "server")]
impl ServerInput {
    #[cfg(test)]
    #[cfg(all(feature = "server", feature = "session"))]
    pub(crate) const ALL: [Self; 9] = [
        Self::Request,
        Self::Fault,
        Self::Accept,
        Self::Reject,
        Self::ResponseSent,
        Self::TakenOver,
        Self::ShutdownDone,
        Self::TimedOut,
        Self::Eof,
    ];
}
