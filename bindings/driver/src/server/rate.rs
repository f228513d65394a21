//! The limit of connections per second.

use std::time::Duration;

use multiwa_ws_core::Instant;

use crate::lock;
use crate::sync::Mutex;

/// The rate limit for upgrade requests: `burst` at once, and `per_second` on average.
///
/// Other clients get 503 with a `Retry-After` that increases with each rejected client, so that clients that were
/// disconnected together do not all return together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionRate {
    burst: u32,
    per_second: u32,
}

impl ConnectionRate {
    /// A limit of `burst` upgrade requests at once, and of `per_second` upgrade requests per second on average.
    #[must_use]
    pub const fn new(burst: u32, per_second: u32) -> Self {
        Self { burst, per_second }
    }
}

/// The longest `Retry-After`. A client that waits longer would appear to be down.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Enforces a [`ConnectionRate`].
#[derive(Debug)]
pub(super) struct Limiter {
    rate: ConnectionRate,
    clients: Mutex<Clients>,
}

#[derive(Debug, Default)]
struct Clients {
    /// When the next request is due if all requests arrived exactly at the average rate.
    due: Instant,
    /// The time at which the last rejected client was asked to retry.
    turn: Instant,
}

impl Limiter {
    pub(super) fn new(rate: ConnectionRate) -> Self {
        Self { rate, clients: Mutex::default() }
    }

    /// Accepts one client, or returns how long it must wait.
    pub(super) fn admit(&self, now: Instant) -> Result<(), Duration> {
        let interval = Duration::from_secs(1) / self.rate.per_second.max(1);
        let mut clients = lock(&self.clients);
        if clients.due > now + interval * self.rate.burst.saturating_sub(1) {
            clients.turn = (clients.turn.max(clients.due) + interval).min(now + LONGEST_WAIT);
            return Err(clients.turn.saturating_duration_since(now));
        }
        clients.due = clients.due.max(now) + interval;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::default() + Duration::from_millis(millis)
    }

    #[test]
    fn sec_ap_12_a_burst_is_accepted_and_then_one_client_per_interval() {
        let limiter = Limiter::new(ConnectionRate::new(3, 10));
        let admitted = |now| (0..50).filter(|_| limiter.admit(now).is_ok()).count();
        assert_eq!(admitted(at(0)), 3);
        assert_eq!(admitted(at(99)), 0);
        assert_eq!(admitted(at(100)), 1);
        assert_eq!(admitted(at(10_000)), 3);
    }

    #[test]
    fn sec_ap_12_rejected_clients_get_retry_times_one_after_the_other() {
        let limiter = Limiter::new(ConnectionRate::new(1, 1));
        assert_eq!(limiter.admit(at(0)), Ok(()));
        for seconds in 2..=60 {
            assert_eq!(limiter.admit(at(0)), Err(Duration::from_secs(seconds)));
        }
        assert_eq!(limiter.admit(at(0)), Err(LONGEST_WAIT));
    }
}
