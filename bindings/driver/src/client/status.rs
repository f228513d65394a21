//! What a client knows, and why one was never ready.

use std::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::session::{ClientCounters, ClientState, CloseCause, SubscriptionSet};

use super::disconnect::Disconnect;
use super::machine::Machine;
use super::shared::State;

/// What a client knows at one moment. Times are durations, as counted from that moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// Where it stands.
    pub state: ClientState,
    /// How the latest connection or attempt ended.
    pub last_disconnect: Option<Disconnect>,
    /// Attempts since the last stable connection.
    pub attempt: u32,
    /// In how long the next attempt begins, while the state is [`ClientState::Backoff`].
    pub next_attempt_in: Option<Duration>,
    /// How long ago bytes arrived last, on this connection or an earlier one.
    pub last_traffic: Option<Duration>,
    /// For how long events may have been missed by now: a connection was lost, and its subscriptions are not active again.
    pub gap: Option<Duration>,
    /// The latest round trip of a `ping`.
    pub round_trip: Option<Duration>,
    /// Subscriptions that the server has acknowledged on this connection.
    pub active: SubscriptionSet,
    /// Subscriptions that the application wants.
    pub desired: SubscriptionSet,
    /// What was received.
    pub counters: ClientCounters,
    /// Events and other updates that were dropped because the application did not take them.
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

/// Why a client ended without having been ready.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The application closed it.
    #[error("the client was closed")]
    Closed,
    /// The last connection or attempt ended so, and no further one is made.
    #[error(transparent)]
    Disconnected(Disconnect),
    /// It was not ready by the deadline of `connect`, and was closed.
    #[error("not ready after {after:?}{}", if last.is_some() { "" } else { ": no attempt has ended" })]
    TimedOut {
        /// How long was waited.
        after: Duration,
        /// How the last attempt ended, if one had.
        #[source]
        last: Option<Disconnect>,
    },
}

impl ConnectError {
    /// A client that was not ready `after` so long, with `status` at that time.
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
