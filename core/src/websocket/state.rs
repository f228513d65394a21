//! The lifecycle of a connection after the upgrade. `State::next` has every transition.

use super::Role;

/// The state of a connection between the upgrade and its end (RFC 6455 section 7.1), in the order in which they occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Both sides may send messages.
    Open,
    /// Our Close frame is queued or sent; messages of the peer still arrive until its own Close.
    Closing,
    /// The peer's Close frame arrived and ours is queued or sent. The queued bytes must still be written.
    Flushing,
    /// The peer broke a rule. Its bytes are no longer read; our Close frame must still be written.
    Failing,
    /// The peer ended its side of the transport during `Flushing` or `Failing`. The queued bytes must still be written.
    FlushingLast,
    /// Everything is written. The caller must shut down its write side.
    ShuttingDown,
    /// Our side is finished. The connection waits for the peer to end the transport.
    Lingering,
    /// The connection has ended. Drop the transport.
    Closed,
}

/// An input that moves a connection from one [`State`] to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Input {
    /// The application closes the connection.
    Close,
    /// The peer's Close frame arrived.
    PeerClose,
    /// The peer broke a rule.
    Violation,
    /// The last queued byte was written.
    Flushed,
    /// The write side of the transport was shut down.
    ShutDown,
    /// The peer ended its side of the transport.
    Eof,
    /// A deadline passed: that of the closing handshake, or that of an unanswered ping.
    TimedOut,
    /// The transport failed, or the application aborted the connection.
    Lost,
}

impl State {
    /// Every state, in the order of a connection's life.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 8] = [
        Self::Open,
        Self::Closing,
        Self::Flushing,
        Self::Failing,
        Self::FlushingLast,
        Self::ShuttingDown,
        Self::Lingering,
        Self::Closed,
    ];

    /// The state that follows `self` after `input`, or `None` where the input changes nothing.
    pub(crate) const fn next(self, input: Input, role: Role) -> Option<Self> {
        use Input as I;
        match (self, input) {
            (Self::Closed, _) => None,
            (_, I::Lost | I::TimedOut) => Some(Self::Closed),

            (Self::Open, I::Close) => Some(Self::Closing),
            // Section 5.5.1: a Close frame is answered with a Close frame.
            (Self::Open | Self::Closing, I::PeerClose) => Some(Self::Flushing),
            // Section 7.1.7: to fail the connection is to send Close and to stop reading.
            (Self::Open | Self::Closing, I::Violation) => Some(Self::Failing),

            // Section 7.1.1: the server closes the TCP connection first, so that the client does not hold TIME_WAIT;
            // the client waits for it.
            (Self::Flushing, I::Flushed) => match role {
                Role::Server => Some(Self::ShuttingDown),
                Role::Client => Some(Self::Lingering),
            },
            (Self::Failing, I::Flushed) => Some(Self::ShuttingDown),
            (Self::FlushingLast, I::Flushed) => Some(Self::Closed),
            (Self::ShuttingDown, I::ShutDown) => Some(Self::Lingering),

            // The peer may have ended its write side only: it can still be reading our Close frame.
            (Self::Flushing | Self::Failing, I::Eof) => Some(Self::FlushingLast),
            // Section 7.1.5: an end without a Close frame from the peer.
            (Self::Open | Self::Closing, I::Eof) => Some(Self::Closed),
            (Self::ShuttingDown | Self::Lingering, I::Eof) => Some(Self::Closed),

            (Self::Open, I::Flushed | I::ShutDown)
            | (Self::Closing, I::Close | I::Flushed | I::ShutDown)
            | (Self::Flushing | Self::Failing, I::Close | I::PeerClose | I::Violation | I::ShutDown)
            | (Self::FlushingLast, I::Close | I::PeerClose | I::Violation | I::ShutDown | I::Eof)
            | (Self::ShuttingDown, I::Close | I::PeerClose | I::Violation | I::Flushed)
            | (Self::Lingering, I::Close | I::PeerClose | I::Violation | I::Flushed | I::ShutDown) => None,
        }
    }

    /// Whether the peer's frames are read: they are ignored after its Close frame and after a violation (section 7.1.7).
    pub(crate) const fn reads(self) -> bool {
        matches!(self, Self::Open | Self::Closing)
    }

    /// Whether queued bytes are still to be written.
    pub(crate) const fn writes(self) -> bool {
        matches!(self, Self::Open | Self::Closing | Self::Flushing | Self::Failing | Self::FlushingLast)
    }
}

impl Input {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 8] = [
        Self::Close,
        Self::PeerClose,
        Self::Violation,
        Self::Flushed,
        Self::ShutDown,
        Self::Eof,
        Self::TimedOut,
        Self::Lost,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_is_the_only_state_without_a_way_on() {
        for role in [Role::Client, Role::Server] {
            for state in State::ALL {
                let leaves = Input::ALL.iter().any(|&input| state.next(input, role).is_some());
                assert_eq!(leaves, state != State::Closed, "{state:?} as {role:?}");
            }
        }
    }

    #[test]
    fn no_state_returns_to_an_earlier_one() {
        for role in [Role::Client, Role::Server] {
            for (at, state) in State::ALL.iter().enumerate() {
                for input in Input::ALL {
                    let next = state.next(input, role);
                    assert!(
                        next.is_none_or(|next| State::ALL[at + 1..].contains(&next)),
                        "{state:?} on {input:?} as {role:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn rfc6455_7_1_1_the_server_ends_the_transport_and_the_client_waits() {
        assert_eq!(State::Flushing.next(Input::Flushed, Role::Server), Some(State::ShuttingDown));
        assert_eq!(State::Flushing.next(Input::Flushed, Role::Client), Some(State::Lingering));
    }
}
