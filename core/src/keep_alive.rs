//! Liveness of the peer: when to ping, and when silence is a loss.

use core::time::Duration;

use crate::Instant;

/// When a silent peer is asked whether it lives, and when it is given up (`protocol.md`, Keep-alive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Silence of the peer after which a ping is sent. Default 30 s; `None` sends none.
    pub interval: Option<Duration>,
    /// Silence after that ping at which the peer counts as lost. Default 10 s; `None` waits for ever.
    pub timeout: Option<Duration>,
}

impl KeepAlive {
    /// No pings: for a connection whose application has a keep-alive of its own.
    pub const OFF: Self = Self { interval: None, timeout: None };
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self { interval: Some(Duration::from_secs(30)), timeout: Some(Duration::from_secs(10)) }
    }
}

/// Watches the traffic of the peer and says when a ping is due and when its answer is overdue.
///
/// Bytes that arrive restart the wait for the next ping and extend the wait for a pong. Time in which the caller did not
/// read is added to both waits (`protocol.md`, Keep-alive). Both ping protocols use it: WebSocket's and MultiWA's.
#[derive(Clone, Debug)]
pub(crate) struct Liveness {
    config: KeepAlive,
    /// When the peer was last heard, moved on by pauses.
    heard: Instant,
    /// When the ping went out whose answer is awaited, moved on by pauses.
    waiting_since: Option<Instant>,
    paused_at: Option<Instant>,
}

/// What [`Liveness`] found due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Send a ping, and say so with [`Liveness::ping_sent`].
    Ping,
    /// The peer is lost.
    Lost,
}

/// A time in which the caller did not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    since: Instant,
    until: Instant,
}

impl Pause {
    /// Moves the start of a wait on by as much of the pause as lies behind it.
    pub(crate) fn skip(self, start: &mut Instant) {
        *start += self.until.saturating_duration_since(self.since.max(*start));
    }
}

impl Liveness {
    pub(crate) fn new(now: Instant, config: KeepAlive) -> Self {
        Self { config, heard: now, waiting_since: None, paused_at: None }
    }

    #[inline]
    pub(crate) fn bytes_arrived(&mut self, now: Instant) {
        self.heard = self.heard.max(now);
    }

    pub(crate) fn ping_sent(&mut self, now: Instant) {
        self.waiting_since = Some(now);
    }

    pub(crate) fn pong_received(&mut self) {
        self.waiting_since = None;
    }

    pub(crate) fn paused(&mut self, now: Instant) {
        self.paused_at.get_or_insert(now);
    }

    /// Ends a pause and returns it.
    pub(crate) fn resumed(&mut self, now: Instant) -> Option<Pause> {
        let pause = Pause { since: self.paused_at.take()?, until: now };
        pause.skip(&mut self.heard);
        if let Some(since) = &mut self.waiting_since {
            pause.skip(since);
        }
        Some(pause)
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused_at.is_some()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.next().map(|(at, _)| at)
    }

    pub(crate) fn due(&self, now: Instant) -> Option<Due> {
        self.next().and_then(|(at, due)| (at <= now).then_some(due))
    }

    fn next(&self) -> Option<(Instant, Due)> {
        // While we do not read, silence says nothing of the peer.
        if self.is_paused() {
            return None;
        }
        let after = |since: Instant, wait: Option<Duration>, due| wait.map(|wait| (since + wait, due));
        match self.waiting_since {
            Some(since) => after(since.max(self.heard), self.config.timeout, Due::Lost),
            None => after(self.heard, self.config.interval, Due::Ping),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::default() + Duration::from_secs(seconds)
    }

    #[test]
    fn silence_asks_for_a_ping_and_then_is_a_loss() {
        let mut liveness = Liveness::new(at(0), KeepAlive::default());
        assert_eq!((liveness.deadline(), liveness.due(at(29))), (Some(at(30)), None));
        assert_eq!(liveness.due(at(30)), Some(Due::Ping));
        liveness.ping_sent(at(30));
        assert_eq!((liveness.deadline(), liveness.due(at(39))), (Some(at(40)), None));
        assert_eq!(liveness.due(at(40)), Some(Due::Lost));
    }

    #[test]
    fn traffic_restarts_the_wait_for_a_ping_and_extends_that_for_a_pong() {
        let mut liveness = Liveness::new(at(0), KeepAlive::default());
        liveness.bytes_arrived(at(20));
        assert_eq!(liveness.deadline(), Some(at(50)));
        liveness.ping_sent(at(50));
        liveness.bytes_arrived(at(55));
        assert_eq!(liveness.deadline(), Some(at(65)));
        liveness.pong_received();
        assert_eq!(liveness.deadline(), Some(at(85)));
    }

    #[test]
    fn time_without_reading_counts_for_neither_wait() {
        let mut liveness = Liveness::new(at(0), KeepAlive::default());
        liveness.ping_sent(at(30));
        liveness.paused(at(32));
        liveness.paused(at(33));
        assert_eq!((liveness.deadline(), liveness.due(at(1000))), (None, None));
        assert_eq!(liveness.resumed(at(1000)), Some(Pause { since: at(32), until: at(1000) }));
        assert_eq!(liveness.resumed(at(2000)), None);
        assert_eq!(liveness.deadline(), Some(at(1008)));
    }

    #[test]
    fn every_period_can_be_switched_off() {
        let mut liveness = Liveness::new(at(0), KeepAlive::OFF);
        assert_eq!(liveness.deadline(), None);
        liveness.ping_sent(at(1));
        assert_eq!(liveness.deadline(), None);
    }
}
