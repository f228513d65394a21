//! When the client sends the protocol's `ping`, and when it counts the server as lost (`protocol.md`, Keep-alive).

use super::config::KeepAliveConfig;
use crate::Instant;

/// The clock of one connection: silence leads to a `ping`, further silence to a loss.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeepAlive {
    config: KeepAliveConfig,
    waiting_for: Wait,
    due: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Ping,
    Pong,
}

/// What is to be done at a due time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Ping,
    Lost,
}

impl KeepAlive {
    pub(crate) fn new(config: KeepAliveConfig, now: Instant) -> Self {
        Self { config, waiting_for: Wait::Ping, due: now + config.interval }
    }

    pub(crate) const fn due(&self) -> Instant {
        self.due
    }

    /// Bytes arrived: they put off the next ping, or extend the wait for a `pong` that may lie behind them.
    pub(crate) fn traffic(&mut self, now: Instant) {
        self.due = match self.waiting_for {
            Wait::Ping => now + self.config.interval,
            Wait::Pong => now + self.config.timeout,
        };
    }

    /// The ping was answered, in whatever way.
    pub(crate) fn answered(&mut self, now: Instant) {
        self.waiting_for = Wait::Ping;
        self.traffic(now);
    }

    /// Nothing could have arrived between `from` and `now`: nobody was reading.
    pub(crate) fn skip(&mut self, from: Instant, now: Instant) {
        self.due = now + self.due.saturating_duration_since(from);
    }

    pub(crate) fn timeout(&mut self, now: Instant) -> Option<Due> {
        if now < self.due {
            return None;
        }
        match self.waiting_for {
            Wait::Ping => {
                self.waiting_for = Wait::Pong;
                self.due = now + self.config.timeout;
                Some(Due::Ping)
            }
            Wait::Pong => Some(Due::Lost),
        }
    }
}
