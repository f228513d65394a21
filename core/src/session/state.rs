//! The lifecycle of the client. `ClientState::next` holds every transition.

use core::fmt;

/// The state of a client, from its construction to its end (`protocol.md`, Client lifecycle).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientState {
    /// The client is built and was not asked to connect.
    Idle,
    /// The transport is being opened, or the upgrade is in progress.
    Connecting,
    /// The transport is open. The client waits for the connection ack and the acks of the desired subscriptions.
    AwaitingAck,
    /// Each desired subscription was acknowledged, was refused or timed out.
    Ready,
    /// The connection was lost. The client waits before the next attempt.
    Backoff,
    /// The application closed the client. The client waits until the transport has ended.
    Closing,
    /// The client has ended permanently.
    Closed,
}

/// An input that moves a client from one state to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The application requests a connection now.
    Connect,
    /// The upgrade succeeded.
    Opened,
    /// The last desired subscription was settled.
    Settled,
    /// The connection or the attempt ended, and the client will try again.
    Lost,
    /// The connection or the attempt ended, and the client will not try again.
    GivenUp,
    /// The wait before the next attempt has ended.
    RetryDue,
    /// The application closes the client.
    Close,
    /// The transport ended while the client was closing it.
    Ended,
}

impl fmt::Display for ClientState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl ClientState {
    /// The state that follows `self` after `input`, or `None` where the input has no meaning.
    pub(crate) const fn next(self, input: Input) -> Option<Self> {
        use Input as I;
        match (self, input) {
            (Self::Idle | Self::Backoff, I::Connect) | (Self::Backoff, I::RetryDue) => Some(Self::Connecting),
            (Self::Connecting, I::Opened) => Some(Self::AwaitingAck),
            (Self::AwaitingAck, I::Settled) => Some(Self::Ready),
            (Self::Connecting | Self::AwaitingAck | Self::Ready, I::Lost) => Some(Self::Backoff),
            (Self::Connecting | Self::AwaitingAck | Self::Ready, I::GivenUp) => Some(Self::Closed),
            // Only an open connection has a closing handshake to wait for.
            (Self::AwaitingAck | Self::Ready, I::Close) => Some(Self::Closing),
            (Self::Idle | Self::Connecting | Self::Backoff, I::Close) | (Self::Closing, I::Ended) => Some(Self::Closed),

            (Self::Idle, I::Opened | I::Settled | I::Lost | I::GivenUp | I::RetryDue | I::Ended)
            | (Self::Connecting, I::Connect | I::Settled | I::RetryDue | I::Ended)
            | (Self::AwaitingAck, I::Connect | I::Opened | I::RetryDue | I::Ended)
            | (Self::Ready, I::Connect | I::Opened | I::Settled | I::RetryDue | I::Ended)
            | (Self::Backoff, I::Opened | I::Settled | I::Lost | I::GivenUp | I::Ended)
            | (Self::Closing, I::Connect | I::Opened | I::Settled | I::Lost | I::GivenUp | I::RetryDue | I::Close)
            | (Self::Closed, _) => None,
        }
    }

    /// Whether a transport is open and messages can arrive.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::AwaitingAck | Self::Ready | Self::Closing)
    }
}

#[cfg(test)]
impl ClientState {
    /// Every state, beginning with the initial one.
    pub(crate) const ALL: [Self; 7] =
        [Self::Idle, Self::Connecting, Self::AwaitingAck, Self::Ready, Self::Backoff, Self::Closing, Self::Closed];
}

#[cfg(test)]
impl Input {
    pub(crate) const ALL: [Self; 8] = [
        Self::Connect,
        Self::Opened,
        Self::Settled,
        Self::Lost,
        Self::GivenUp,
        Self::RetryDue,
        Self::Close,
        Self::Ended,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out_of_closed_and_everything_leads_there() {
        let ways = |state: ClientState| Input::ALL.into_iter().filter_map(move |input| state.next(input));
        assert_eq!(ways(ClientState::Closed).next(), None);
        for state in ClientState::ALL {
            let mut reached = alloc::vec::Vec::from([state]);
            for _ in ClientState::ALL {
                let next: alloc::vec::Vec<_> = reached.iter().flat_map(|state| ways(*state)).collect();
                reached.extend(next);
                reached.sort_unstable();
                reached.dedup();
            }
            assert!(reached.contains(&ClientState::Closed), "{state}");
        }
    }
}
