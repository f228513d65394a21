//! The status of a client, and why a client was never ready.

use std::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::session::{ClientCounters, ClientState, CloseCause, SubscriptionSet};

use super::disconnect::Disconnect;
use super::shared::{Machine, State};

/// A snapshot of a client. Times are durations relative to the moment of the snapshot.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The current state.
    pub state: ClientState,
    /// How the last connection or attempt ended.
    pub last_disconnect: Option<Disconnect>,
    /// Attempts since the last stable connection.
    pub attempt: u32,
    /// The time until the next attempt, while the state is [`ClientState::Backoff`].
    pub next_attempt_in: Option<Duration>,
    /// The time since bytes last arrived, on this connection or an earlier one.
    pub last_traffic: Option<Duration>,
    /// How long the client may have been missing events: the time since a connection was lost, until its subscriptions
    /// are active again.
    pub gap: Option<Duration>,
    /// The last round-trip time of a `ping`.
    pub round_trip: Option<Duration>,
    /// The subscriptions that the server has acknowledged on this connection.
    pub active: SubscriptionSet,
    /// The subscriptions that the application desires.
    pub desired: SubscriptionSet,
    /// Counters of the received messages.
    pub counters: ClientCounters,
    /// The number of updates that were dropped because the application did not take them.
    pub dropped: u64,
}

impl Status {
    pub(super) fn new(now: Instant, state: &State<dyn Machine>) -> Self {
        let session = state.machine.session();
        let ago = |then: Instant| now.saturating_duration_since(then);
        Self {
            state: state.client_state(),
            last_disconnect: state.last_disconnect(),
            attempt: session.attempt(),
            next_attempt_in: session.next_attempt_at().map(|then| then.saturating_duration_since(now)),
            last_traffic: session.last_traffic().map(ago),
            gap: session.gap_since().map(ago),
            round_trip: session.rtt(),
            active: session.active().clone(),
            desired: session.desired(),
            counters: *session.counters(),
            dropped: state.inbox.dropped(),
        }
    }
}

/// Why a client closed before it was ready.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The application closed the client.
    #[error("the client was closed")]
    Closed,
    /// The last connection or attempt ended with this reason, and the client does not try again.
    #[error(transparent)]
    Disconnected(Disconnect),
    /// The client was not ready by the deadline of `connect`, and was closed.
    #[error("not ready after {after:?}{}", if last.is_some() { "" } else { ": no attempt has ended" })]
    TimedOut {
        /// How long `connect` waited.
        after: Duration,
        /// How the last attempt ended, if one has ended.
        #[source]
        last: Option<Disconnect>,
    },
}

impl ConnectError {
    /// Makes the error for a client that was not ready within `after`. `status` is its status at that time.
    #[must_use]
    pub fn timed_out(after: Duration, status: Status) -> Self {
        Self::TimedOut { after, last: status.last_disconnect }
    }

    pub(super) fn new(cause: CloseCause, state: &State<dyn Machine>) -> Self {
        match (cause, state.last_disconnect()) {
            (CloseCause::Application, _) => Self::Closed,
            (CloseCause::Lost(_), Some(last)) => Self::Disconnected(last),
            (CloseCause::Lost(reason), None) => Self::Disconnected(Disconnect::new(reason, None, None)),
        }
    }
}
