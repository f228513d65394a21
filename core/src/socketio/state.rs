//! All transitions of the dialect, in one exhaustive match.

use super::SocketIoError;

/// The state of one connection, from the end of its upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The transport is open. The client waits for the open packet, and sends nothing.
    Opening,
    /// The CONNECT is on its way. The client waits for its answer, and sends nothing else but pongs.
    Connecting,
    /// The client is connected to the namespace.
    Connected,
    /// A packet has come whose attachments have not.
    Collecting,
    /// The server ended the session, or broke a rule.
    Ended,
}

/// An input to the dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The open packet.
    Open,
    /// A ping or a noop of Engine.IO.
    Heartbeat,
    /// The answer to the CONNECT: connected.
    Accepted,
    /// The answer to the CONNECT: an error.
    Refused,
    /// An event or an acknowledgement without attachments to come.
    Message,
    /// An event or an acknowledgement whose attachments follow.
    Header,
    /// An attachment, and others are still to come.
    Attachment,
    /// The last attachment of a packet.
    LastAttachment,
    /// A DISCONNECT from the namespace, or the close packet of Engine.IO.
    Disconnected,
    /// The server broke a rule.
    Fault,
    /// A deadline passed: there was no open packet, no answer to the CONNECT, or no heartbeat.
    TimedOut,
}

impl State {
    /// The state that follows `self` after `input`, or `None` where the input has no meaning.
    pub(crate) const fn next(self, input: Input) -> Option<Self> {
        use Input as I;
        match (self, input) {
            (Self::Opening, I::Open) => Some(Self::Connecting),
            // `socketio.md`, Session: a ping is answered in every state after the open packet.
            (Self::Connecting | Self::Connected | Self::Collecting, I::Heartbeat) => Some(self),
            (Self::Connecting, I::Accepted) => Some(Self::Connected),
            (Self::Connecting, I::Refused) => Some(Self::Ended),
            (Self::Connected, I::Message) => Some(Self::Connected),
            (Self::Connected, I::Header) => Some(Self::Collecting),
            (Self::Collecting, I::Attachment) => Some(Self::Collecting),
            (Self::Collecting, I::LastAttachment) => Some(Self::Connected),
            (Self::Opening | Self::Connecting | Self::Connected | Self::Collecting, I::Fault | I::TimedOut) => {
                Some(Self::Ended)
            }
            // The close packet may also take the place of the open packet.
            (Self::Opening | Self::Connecting | Self::Connected | Self::Collecting, I::Disconnected) => {
                Some(Self::Ended)
            }
            (
                Self::Opening,
                I::Heartbeat | I::Accepted | I::Refused | I::Message | I::Header | I::Attachment | I::LastAttachment,
            )
            | (Self::Connecting, I::Open | I::Message | I::Header | I::Attachment | I::LastAttachment)
            | (Self::Connected, I::Open | I::Accepted | I::Refused | I::Attachment | I::LastAttachment)
            | (Self::Collecting, I::Open | I::Accepted | I::Refused | I::Message | I::Header)
            | (Self::Ended, _) => None,
        }
    }

    /// The rule that an input without a meaning breaks.
    pub(crate) const fn broken_by(self, input: Input) -> SocketIoError {
        match (self, input) {
            (Self::Collecting, _) => SocketIoError::AttachmentDue,
            (_, Input::Attachment | Input::LastAttachment) => SocketIoError::AttachmentNotDue,
            _ => SocketIoError::NotDue,
        }
    }

    /// The rule that a server breaks with its silence.
    pub(crate) const fn overdue(self) -> SocketIoError {
        match self {
            Self::Opening => SocketIoError::OpenTimeout,
            Self::Connecting => SocketIoError::ConnectTimeout,
            Self::Connected | Self::Collecting | Self::Ended => SocketIoError::HeartbeatTimeout,
        }
    }
}

#[cfg(test)]
impl State {
    /// Every state, beginning with the initial one.
    pub(crate) const ALL: [Self; 5] = [Self::Opening, Self::Connecting, Self::Connected, Self::Collecting, Self::Ended];
}

#[cfg(test)]
impl Input {
    pub(crate) const ALL: [Self; 11] = [
        Self::Open,
        Self::Heartbeat,
        Self::Accepted,
        Self::Refused,
        Self::Message,
        Self::Header,
        Self::Attachment,
        Self::LastAttachment,
        Self::Disconnected,
        Self::Fault,
        Self::TimedOut,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out_of_the_end_and_a_fault_leads_there_from_everywhere() {
        for state in State::ALL {
            for input in [Input::Fault, Input::TimedOut, Input::Disconnected] {
                assert_eq!(state.next(input), (state != State::Ended).then_some(State::Ended), "{state:?}");
            }
        }
        assert!(Input::ALL.iter().all(|input| State::Ended.next(*input).is_none()));
    }
}
