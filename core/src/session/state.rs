//! The lifecycle of the client as data: every transition there is.
//!
//! A session moves by [`ClientState::after`] alone, so nothing outside of [`TRANSITIONS`] can happen.

use core::fmt;

/// Where a client stands between being built and being closed (`protocol.md`, Client lifecycle).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientState {
    /// Built, not asked to connect.
    Idle,
    /// The transport is being opened, up to the end of the upgrade.
    Connecting,
    /// The transport is open; the connection's `ack` and those of the wanted subscriptions are awaited.
    AwaitingAck,
    /// Each wanted subscription was acknowledged, refused or timed out.
    Ready,
    /// The connection was lost; the next attempt waits for its time.
    Backoff,
    /// The application closed; the end of the transport is awaited.
    Closing,
    /// Over for good.
    Closed,
}

/// What moves a client from one state to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trigger {
    /// The application asks for a connection now.
    Connect,
    /// The upgrade succeeded.
    Opened,
    /// The last wanted subscription was settled.
    Settled,
    /// The connection or the attempt ended in a way that is tried again.
    Lost,
    /// The connection or the attempt ended in a way that is not tried again, or once too often.
    GivenUp,
    /// The time of the next attempt came.
    RetryDue,
    /// The application closes.
    Close,
    /// A transport that was being closed ended.
    Ended,
}

impl fmt::Display for ClientState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl ClientState {
    /// Where `trigger` leads from here; `None` when it means nothing here and is to be ignored.
    #[must_use]
    pub fn after(self, trigger: Trigger) -> Option<Self> {
        let found = TRANSITIONS.iter().find(|(from, by, _)| (*from, *by) == (self, trigger));
        found.map(|(_, _, to)| *to)
    }

    /// Whether a transport is open and messages flow.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::AwaitingAck | Self::Ready | Self::Closing)
    }
}

/// Every transition: from, by, to. The diagram in the architecture page is held against it by a test.
pub const TRANSITIONS: &[(ClientState, Trigger, ClientState)] = {
    use ClientState::{AwaitingAck, Backoff, Closed, Closing, Connecting, Idle, Ready};
    &[
        (Idle, Trigger::Connect, Connecting),
        (Idle, Trigger::Close, Closed),
        (Connecting, Trigger::Opened, AwaitingAck),
        (Connecting, Trigger::Lost, Backoff),
        (Connecting, Trigger::GivenUp, Closed),
        (Connecting, Trigger::Close, Closed),
        (AwaitingAck, Trigger::Settled, Ready),
        (AwaitingAck, Trigger::Lost, Backoff),
        (AwaitingAck, Trigger::GivenUp, Closed),
        (AwaitingAck, Trigger::Close, Closing),
        (Ready, Trigger::Lost, Backoff),
        (Ready, Trigger::GivenUp, Closed),
        (Ready, Trigger::Close, Closing),
        (Backoff, Trigger::RetryDue, Connecting),
        (Backoff, Trigger::Connect, Connecting),
        (Backoff, Trigger::Close, Closed),
        (Closing, Trigger::Ended, Closed),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [ClientState; 7] = [
        ClientState::Idle,
        ClientState::Connecting,
        ClientState::AwaitingAck,
        ClientState::Ready,
        ClientState::Backoff,
        ClientState::Closing,
        ClientState::Closed,
    ];

    #[test]
    fn a_trigger_leads_to_one_state_at_most() {
        for (index, (from, by, _)) in TRANSITIONS.iter().enumerate() {
            let same = TRANSITIONS.iter().position(|(other, trigger, _)| (other, trigger) == (from, by));
            assert_eq!(same, Some(index), "{from} {by:?}");
        }
    }

    #[test]
    fn nothing_leads_out_of_closed_and_everything_leads_there() {
        assert!(TRANSITIONS.iter().all(|(from, _, _)| *from != ClientState::Closed));
        for state in STATES {
            let mut reached = alloc::vec::Vec::from([state]);
            for _ in STATES {
                let next = TRANSITIONS.iter().filter(|(from, _, _)| reached.contains(from)).map(|(_, _, to)| *to);
                let next: alloc::vec::Vec<_> = next.collect();
                reached.extend(next);
            }
            assert!(reached.contains(&ClientState::Closed), "{state}");
        }
    }
}
