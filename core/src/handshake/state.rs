//! Every transition of the two handshake machines, each as one exhaustive match.
//!
//! A pair that is not listed cannot happen, or is refused to the caller: `on` answers `None` and the state stays.

/// Where a [`ClientHandshake`](super::ClientHandshake) stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientState {
    /// The request is being sent, or its answer is awaited.
    AwaitingAnswer,
    /// The answer is not 101; its body is being read.
    ReadingRefusal,
    /// The answer was a valid 101: the connection speaks WebSocket.
    Upgraded,
    /// The server refused, and said so in HTTP.
    Refused,
    /// The answer broke a rule, or never came.
    Failed,
}

/// What can happen to a [`ClientHandshake`](super::ClientHandshake).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientEvent {
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

impl ClientState {
    /// Every state, the first one first.
    pub const ALL: [Self; 5] =
        [Self::AwaitingAnswer, Self::ReadingRefusal, Self::Upgraded, Self::Refused, Self::Failed];

    /// The state that follows `self` after `event`, or `None` where the event has no meaning.
    #[must_use]
    pub const fn on(self, event: ClientEvent) -> Option<Self> {
        use ClientEvent as E;
        match (self, event) {
            (Self::AwaitingAnswer, E::InterimAnswer) => Some(Self::AwaitingAnswer),
            (Self::AwaitingAnswer, E::SwitchingProtocols) => Some(Self::Upgraded),
            (Self::AwaitingAnswer, E::RefusalHead) => Some(Self::ReadingRefusal),
            (Self::AwaitingAnswer, E::Fault | E::TimedOut | E::Eof) => Some(Self::Failed),
            // A refusal is worth reporting with whatever part of its text arrived.
            (Self::ReadingRefusal, E::RefusalEnd | E::TimedOut | E::Eof) => Some(Self::Refused),
            (Self::AwaitingAnswer, E::RefusalEnd)
            | (Self::ReadingRefusal, E::InterimAnswer | E::SwitchingProtocols | E::RefusalHead | E::Fault)
            | (Self::Upgraded | Self::Refused | Self::Failed, _) => None,
        }
    }
}

impl ClientEvent {
    /// Every event.
    pub const ALL: [Self; 7] = [
        Self::InterimAnswer,
        Self::SwitchingProtocols,
        Self::RefusalHead,
        Self::RefusalEnd,
        Self::Fault,
        Self::TimedOut,
        Self::Eof,
    ];
}

/// Where a [`ServerHandshake`](super::ServerHandshake) stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerState {
    /// The request is being read.
    AwaitingRequest,
    /// The request is valid and the caller owes a decision.
    Deciding,
    /// The caller accepted; the 101 response is being sent.
    Accepting,
    /// The 101 response is sent, and nobody has taken the connection over yet.
    Accepted,
    /// The connection speaks WebSocket and belongs to the caller.
    Upgraded,
    /// A refusal is being sent.
    Rejecting,
    /// The refusal is sent: the writing side wants to be shut down.
    ShuttingDown,
    /// The writing side is shut down; what the client still sends is ignored until it ends too.
    Draining,
    /// The transport can be dropped.
    Closed,
}

/// What can happen to a [`ServerHandshake`](super::ServerHandshake).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerEvent {
    /// A valid upgrade request was read.
    Request,
    /// The client broke a rule.
    Fault,
    /// The caller accepted the upgrade.
    Accept,
    /// The caller refused the upgrade.
    Reject,
    /// The last byte of the response left.
    ResponseSent,
    /// The caller took the connection over.
    TakenOver,
    /// The caller shut its writing side down.
    ShutdownDone,
    /// The deadline passed.
    TimedOut,
    /// The client ended the stream.
    Eof,
}

impl ServerState {
    /// Every state, the first one first.
    pub const ALL: [Self; 9] = [
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

    /// The state that follows `self` after `event`, or `None` where the event has no meaning.
    #[must_use]
    pub const fn on(self, event: ServerEvent) -> Option<Self> {
        use ServerEvent as E;
        match (self, event) {
            (Self::AwaitingRequest, E::Request) => Some(Self::Deciding),
            (Self::AwaitingRequest, E::Fault | E::TimedOut) => Some(Self::Rejecting),
            (Self::AwaitingRequest, E::Eof) => Some(Self::Closed),
            (Self::Deciding, E::Accept) => Some(Self::Accepting),
            (Self::Deciding, E::Reject) => Some(Self::Rejecting),
            (Self::Deciding, E::Eof) => Some(Self::Closed),
            (Self::Accepting, E::ResponseSent) => Some(Self::Accepted),
            (Self::Accepting | Self::Accepted, E::TakenOver) => Some(Self::Upgraded),
            (Self::Accepting, E::TimedOut | E::Eof) => Some(Self::Closed),
            (Self::Accepted, E::Eof) => Some(Self::Closed),
            // A client that only half-closed still reads why it was refused.
            (Self::Rejecting, E::Eof) => Some(Self::Rejecting),
            (Self::Rejecting, E::ResponseSent) => Some(Self::ShuttingDown),
            (Self::ShuttingDown, E::Eof) => Some(Self::ShuttingDown),
            (Self::ShuttingDown, E::ShutdownDone) => Some(Self::Draining),
            (Self::Draining, E::Eof) => Some(Self::Closed),
            (Self::Rejecting | Self::ShuttingDown | Self::Draining, E::TimedOut) => Some(Self::Closed),
            (Self::AwaitingRequest, E::Accept | E::Reject | E::ResponseSent | E::TakenOver | E::ShutdownDone)
            | (
                Self::Deciding,
                E::Request | E::Fault | E::ResponseSent | E::TakenOver | E::ShutdownDone | E::TimedOut,
            )
            | (Self::Accepting, E::Request | E::Fault | E::Accept | E::Reject | E::ShutdownDone)
            | (
                Self::Accepted,
                E::Request | E::Fault | E::Accept | E::Reject | E::ResponseSent | E::ShutdownDone | E::TimedOut,
            )
            | (Self::Rejecting, E::Request | E::Fault | E::Accept | E::Reject | E::TakenOver | E::ShutdownDone)
            | (Self::ShuttingDown, E::Request | E::Fault | E::Accept | E::Reject | E::TakenOver | E::ResponseSent)
            | (
                Self::Draining,
                E::Request | E::Fault | E::Accept | E::Reject | E::TakenOver | E::ResponseSent | E::ShutdownDone,
            )
            | (Self::Upgraded | Self::Closed, _) => None,
        }
    }
}

impl ServerEvent {
    /// Every event.
    pub const ALL: [Self; 9] = [
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
