//! Liveness of the peer: when to send a ping, and when a silent connection counts as lost.

use core::mem;
use core::time::Duration;

use crate::Instant;

/// When a ping is sent to a silent peer, and when its connection counts as lost (`protocol.md`, Keep-alive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    pub(crate) interval: Option<Duration>,
    pub(crate) timeout: Option<Duration>,
}

impl KeepAlive {
    /// No pings: for a connection whose application has its own keep-alive.
    pub const OFF: Self = Self { interval: None, timeout: None };

    /// The defaults, which each setter documents.
    #[must_use]
    pub const fn new() -> Self {
        Self { interval: Some(Duration::from_secs(30)), timeout: Some(Duration::from_secs(10)) }
    }

    /// How long the peer may be silent before a ping is sent, 30 s by default. With `None`, no ping is sent.
    #[must_use]
    pub fn interval(mut self, silence: impl Into<Option<Duration>>) -> Self {
        self.interval = silence.into();
        self
    }

    /// How long the peer may be silent after that ping was written, 10 s by default. With `None`, the wait has no
    /// limit.
    ///
    /// When the ping is written, the operating system may still hold earlier bytes. 256 KiB of them are assumed at most.
    /// The time that the line needs for them is added to the wait, up to 60 s in all. A timeout above 60 s stays as it
    /// is. While bytes that wait before the ping are being written, the peer counts as alive.
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// The value of [`interval`](Self::interval).
    #[must_use]
    pub const fn get_interval(&self) -> Option<Duration> {
        self.interval
    }

    /// The value of [`timeout`](Self::timeout).
    #[must_use]
    pub const fn get_timeout(&self) -> Option<Duration> {
        self.timeout
    }
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self::new()
    }
}

/// Watches the traffic with the peer, and reports when a ping is due and when its answer is overdue.
///
/// Bytes that arrive restart the wait for the next ping and extend the wait for a pong. A ping that waits behind other
/// bytes cannot be answered yet. Until it is written, each write of bytes shows that the peer is alive. Time in which
/// the caller did not read is added to both waits (`protocol.md`, Keep-alive). Both ping protocols use it: WebSocket's
/// and MultiWA's.
#[derive(Clone, Debug)]
pub(crate) struct Liveness {
    config: KeepAlive,
    /// When the last bytes of the peer arrived, moved forward by pauses.
    received: Instant,
    ping: Ping,
    paused_at: Option<Instant>,
    line: Line,
}

/// The ping that waits for its answer. Pauses move its time forward.
#[derive(Clone, Copy, Debug)]
enum Ping {
    None,
    /// It waits to be written. No byte was written since this time.
    Queued(Instant),
    /// It was written at this time, behind bytes for which the line needs this long.
    Written(Instant, Duration),
}

/// The step that is due in [`Liveness`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Send a ping, and report it with [`Liveness::ping_queued`] and [`Liveness::ping_written`].
    Ping,
    /// The connection counts as lost.
    Lost,
}

/// A period in which the caller did not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    since: Instant,
    until: Instant,
}

impl Pause {
    /// Moves the start of a wait forward by the part of the pause that comes after it.
    pub(crate) fn skip(self, start: &mut Instant) {
        *start += self.until.saturating_duration_since(self.since.max(*start));
    }
}

impl Liveness {
    pub(crate) fn new(now: Instant, config: KeepAlive) -> Self {
        Self { config, received: now, ping: Ping::None, paused_at: None, line: Line::new(now) }
    }

    #[inline]
    pub(crate) fn bytes_arrived(&mut self, now: Instant) {
        self.received = self.received.max(now);
    }

    /// `len` bytes were written, and `waiting` bytes are still queued.
    #[inline]
    pub(crate) fn bytes_left(&mut self, now: Instant, len: usize, waiting: usize) {
        self.line.bytes_left(now, len, waiting);
        if let Ping::Queued(since) = &mut self.ping
            && len > 0
        {
            *since = now.max(*since);
        }
    }

    /// `len` bytes were written, and nothing waits. Returns `false`, and does nothing, if the time of it matters.
    #[inline]
    pub(crate) fn try_bytes_left(&mut self, len: usize) -> bool {
        !matches!(self.ping, Ping::Queued(_)) && self.line.try_bytes_left(len)
    }

    pub(crate) fn ping_queued(&mut self, now: Instant) {
        self.ping = Ping::Queued(now);
    }

    /// The last byte of the ping was written.
    pub(crate) fn ping_written(&mut self, now: Instant) {
        if let Ping::Queued(_) = self.ping {
            self.ping = Ping::Written(now, self.line.drain_time(now));
        }
    }

    pub(crate) fn pong_received(&mut self) {
        self.ping = Ping::None;
    }

    pub(crate) fn paused(&mut self, now: Instant) {
        self.paused_at.get_or_insert(now);
    }

    /// Ends a pause and returns it.
    pub(crate) fn resumed(&mut self, now: Instant) -> Option<Pause> {
        let pause = Pause { since: self.paused_at.take()?, until: now };
        pause.skip(&mut self.received);
        if let Ping::Queued(since) | Ping::Written(since, _) = &mut self.ping {
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
        // While the caller does not read, silence says nothing about the peer.
        if self.is_paused() {
            return None;
        }
        let (since, drain_time) = match self.ping {
            Ping::None => return Some((self.received + self.config.interval?, Due::Ping)),
            Ping::Queued(since) => (since, self.line.drain_time(since)),
            Ping::Written(since, drain_time) => (since, drain_time),
        };
        let timeout = self.config.timeout?;
        // A timeout that the application chose above the longest wait is not shortened.
        let wait = timeout.saturating_add(drain_time).min(LONGEST_WAIT.max(timeout));
        Some((since.max(self.received) + wait, Due::Lost))
    }
}

/// The longest wait for a pong, on any line (`protocol.md`, Keep-alive).
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How many written bytes the operating system may still hold: its unsent backlog, which the bindings keep short, and
/// the bytes in flight (`protocol.md`, Keep-alive).
const IN_KERNEL: u32 = 256 << 10;

/// The rate of the line is measured over the last two spans of this length: 30 s.
const SPAN: Duration = Duration::from_secs(15);

/// The lowest assumed rate of a line in bytes per second, as long as its rate was not measured.
const SLOWEST: u32 = 4 << 10;

/// Estimates how many bytes the operating system still holds, and how fast the line sends them.
///
/// While bytes wait, the operating system is full, and the bytes that it accepts show the rate of the line. When bytes
/// never wait, it accepts all of them at once: then it is only known that the line has sent the bytes that the
/// operating system cannot hold.
#[derive(Clone, Debug)]
struct Line {
    /// How many bytes the operating system held at most at this time.
    held: (u32, Instant),
    /// The bytes that were written since then at an unknown time, at most [`SLOWEST`]. They count as written at the next
    /// known time, so each wait for a pong is at most a second longer than with the exact time.
    untimed: u32,
    /// When the current span began.
    since: Instant,
    /// The time since which bytes wait although they were offered to the transport.
    waiting_since: Option<Instant>,
    spans: [Span; 2],
}

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    /// Bytes that were written.
    bytes: u32,
    /// The part of them that had to wait.
    waited: u32,
    /// Milliseconds in which bytes waited to be written.
    millis: u32,
}

impl Line {
    fn new(now: Instant) -> Self {
        Self { held: (0, now), untimed: 0, since: now, waiting_since: None, spans: [Span::default(); 2] }
    }

    #[inline]
    fn bytes_left(&mut self, now: Instant, len: usize, waiting: usize) {
        let len = u32::try_from(len).unwrap_or(u32::MAX).saturating_add(mem::take(&mut self.untimed));
        if now.saturating_duration_since(self.held.1) >= Duration::from_secs(1) {
            self.time_passed(now);
        }
        let [current, _] = &mut self.spans;
        current.bytes = current.bytes.saturating_add(len);
        if let Some(since) = self.waiting_since {
            let millis = now.saturating_duration_since(since).as_millis();
            current.waited = current.waited.saturating_add(len);
            current.millis = current.millis.saturating_add(u32::try_from(millis).unwrap_or(u32::MAX));
        }
        self.waiting_since = (waiting > 0).then_some(now);
        self.held.0 = self.held.0.saturating_add(len).min(IN_KERNEL);
    }

    #[inline]
    fn try_bytes_left(&mut self, len: usize) -> bool {
        let untimed = u32::try_from(len).unwrap_or(u32::MAX).saturating_add(self.untimed);
        // If no bytes had to wait, the rate is at least `SLOWEST`.
        let [current, earlier] = &self.spans;
        let is_fast = self.waiting_since.is_none() && current.waited == 0 && earlier.waited == 0;
        if !is_fast || untimed > SLOWEST {
            return false;
        }
        self.untimed = untimed;
        true
    }

    #[cold]
    fn time_passed(&mut self, now: Instant) {
        self.held = (self.held_at(now), now);
        let age = now.saturating_duration_since(self.since);
        if age >= SPAN {
            let [current, _] = self.spans;
            self.spans = [Span::default(), if age < SPAN * 2 { current } else { Span::default() }];
            self.since = now;
        }
    }

    /// How long the line needs for the bytes that the operating system may hold at `now`.
    fn drain_time(&self, now: Instant) -> Duration {
        // In whole seconds, so that a ping alone does not extend the wait.
        Duration::from_secs(u64::from(self.held_at(now)) / self.rate())
    }

    fn held_at(&self, now: Instant) -> u32 {
        let (held, at) = self.held;
        // While bytes wait, the operating system is full.
        if self.waiting_since.is_some() {
            return held;
        }
        let left = u128::from(self.rate()).saturating_mul(now.saturating_duration_since(at).as_millis()) / 1000;
        held.saturating_sub(u32::try_from(left).unwrap_or(u32::MAX)).saturating_add(self.untimed)
    }

    /// The rate of the line in bytes per second.
    fn rate(&self) -> u64 {
        let [current, earlier] = self.spans;
        let waited = current.waited.saturating_add(earlier.waited);
        if waited > 0 {
            let millis = current.millis.saturating_add(earlier.millis).max(1);
            return (u64::from(waited) * 1000 / u64::from(millis)).max(1);
        }
        let bytes = current.bytes.saturating_add(earlier.bytes);
        u64::from(SLOWEST.max(bytes.saturating_sub(IN_KERNEL) / 30))
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
        liveness.ping_queued(at(30));
        liveness.ping_written(at(30));
        assert_eq!((liveness.deadline(), liveness.due(at(39))), (Some(at(40)), None));
        assert_eq!(liveness.due(at(40)), Some(Due::Lost));
    }

    #[test]
    fn traffic_restarts_the_wait_for_a_ping_and_extends_that_for_a_pong() {
        let mut liveness = Liveness::new(at(0), KeepAlive::default());
        liveness.bytes_arrived(at(20));
        assert_eq!(liveness.deadline(), Some(at(50)));
        liveness.ping_queued(at(50));
        liveness.ping_written(at(50));
        liveness.bytes_arrived(at(55));
        assert_eq!(liveness.deadline(), Some(at(65)));
        liveness.pong_received();
        assert_eq!(liveness.deadline(), Some(at(85)));
    }

    #[test]
    fn time_without_reading_counts_for_neither_wait() {
        let mut liveness = Liveness::new(at(0), KeepAlive::default());
        liveness.ping_queued(at(30));
        liveness.ping_written(at(30));
        liveness.paused(at(32));
        liveness.paused(at(33));
        assert_eq!((liveness.deadline(), liveness.due(at(1000))), (None, None));
        assert_eq!(liveness.resumed(at(1000)), Some(Pause { since: at(32), until: at(1000) }));
        assert_eq!(liveness.resumed(at(2000)), None);
        assert_eq!(liveness.deadline(), Some(at(1008)));
    }

    #[test]
    fn f_05_a_ping_behind_a_backlog_waits_for_it_while_bytes_leave() {
        let mut liveness = Liveness::new(at(0), KeepAlive::default());
        liveness.ping_queued(at(30));
        for second in 31..=60 {
            liveness.bytes_left(at(second), 64 << 10, 1 << 20);
            assert_eq!(liveness.due(at(second)), None, "{second}");
        }
        // At 64 KiB per second, the line needs four seconds for the 256 KiB of the operating system.
        assert_eq!(liveness.deadline(), Some(at(74)));
        liveness.bytes_left(at(61), 64 << 10, 1 << 20);
        liveness.ping_written(at(61));
        liveness.bytes_left(at(62), 64 << 10, 1 << 20);
        assert_eq!(liveness.deadline(), Some(at(75)));
    }

    #[test]
    fn a_backlog_that_does_not_move_is_silence() {
        let mut liveness = Liveness::new(at(0), KeepAlive::default());
        liveness.bytes_left(at(1), 64 << 10, 1 << 20);
        liveness.ping_queued(at(30));
        liveness.bytes_left(at(35), 0, 1 << 20);
        // 64 KiB come before the ping, on a line whose rate is unknown.
        assert_eq!(liveness.deadline(), Some(at(30 + 10 + 16)));
    }

    #[test]
    fn the_wait_for_a_pong_on_a_slow_line_has_an_end() {
        let mut liveness = Liveness::new(at(0), KeepAlive::default());
        liveness.bytes_left(at(0), 256 << 10, 1 << 20);
        liveness.bytes_left(at(10), 1, 1 << 20);
        liveness.ping_queued(at(30));
        liveness.ping_written(at(30));
        assert_eq!(liveness.deadline(), Some(at(90)));
        let patient = KeepAlive::new().timeout(Duration::from_secs(100));
        let mut liveness = Liveness { config: patient, ..liveness };
        assert_eq!(liveness.deadline(), Some(at(130)));
        // After 30 s the earlier rate no longer counts.
        liveness.bytes_left(at(31), 0, 1);
        liveness.bytes_left(at(61), 1 << 20, 0);
        assert_eq!(liveness.deadline(), Some(at(130)));
    }

    /// The wait for a pong behind this many bytes that were written at once.
    fn wait_after_a_burst(bytes: usize) -> Duration {
        let mut liveness = Liveness::new(at(0), KeepAlive::default());
        liveness.bytes_left(at(30), bytes, 0);
        liveness.ping_queued(at(30));
        liveness.ping_written(at(30));
        // Later bytes change nothing: they come after the ping.
        liveness.bytes_left(at(80), 1 << 20, 1);
        liveness.deadline().unwrap().saturating_duration_since(at(30))
    }

    #[test]
    fn f_05_what_the_system_took_long_ago_may_still_be_there() {
        let mut liveness = Liveness::new(at(0), KeepAlive::default());
        liveness.bytes_left(at(0), 256 << 10, 0);
        // A line of 4 KiB per second needs 64 s for these bytes.
        liveness.bytes_left(at(40), 0, 0);
        liveness.ping_queued(at(40));
        liveness.ping_written(at(40));
        assert_eq!(liveness.deadline(), Some(at(74)));
    }

    #[test]
    fn f_05_what_the_system_took_at_once_is_given_the_time_of_a_slow_line() {
        assert_eq!(wait_after_a_burst(0), Duration::from_secs(10));
        assert_eq!(wait_after_a_burst(40 << 10), Duration::from_secs(20));
        assert_eq!(wait_after_a_burst(200 << 10), LONGEST_WAIT);
    }

    #[test]
    fn a_line_that_took_more_than_the_system_holds_is_not_slow() {
        // The system holds 256 KiB of them, so the line has sent 100 KiB per second.
        assert_eq!(wait_after_a_burst((256 << 10) + 30 * (100 << 10)), Duration::from_secs(12));
    }

    #[test]
    fn bytes_of_an_unknown_time_extend_the_wait_by_at_most_a_second() {
        let mut liveness = Liveness::new(at(0), KeepAlive::default());
        let slowest = SLOWEST as usize;
        assert!(liveness.try_bytes_left(slowest - 10) && liveness.try_bytes_left(10) && !liveness.try_bytes_left(1));
        liveness.ping_queued(at(30));
        assert_eq!(liveness.deadline(), Some(at(41)));
        assert!(!liveness.try_bytes_left(0), "a ping waits");
        liveness.bytes_left(at(30), 10, 0);
        liveness.ping_written(at(30));
        assert_eq!(liveness.deadline(), Some(at(41)));
        // From a known time on, the line sends them.
        assert!(liveness.try_bytes_left(slowest));
        liveness.bytes_left(at(35), 1, 0);
        liveness.bytes_left(at(40), 1, 0);
        liveness.ping_queued(at(40));
        assert_eq!(liveness.deadline(), Some(at(50)));
    }

    #[test]
    fn the_time_of_bytes_matters_on_a_line_where_others_waited() {
        let mut liveness = Liveness::new(at(0), KeepAlive::default());
        liveness.bytes_left(at(1), 10, 10);
        assert!(!liveness.try_bytes_left(10));
        liveness.bytes_left(at(2), 10, 0);
        assert!(!liveness.try_bytes_left(10));
        liveness.bytes_left(at(40), 10, 0);
        assert!(liveness.try_bytes_left(10));
    }

    #[test]
    fn every_period_can_be_switched_off() {
        let mut liveness = Liveness::new(at(0), KeepAlive::OFF);
        assert_eq!(liveness.deadline(), None);
        liveness.ping_queued(at(1));
        liveness.ping_written(at(1));
        assert_eq!(liveness.deadline(), None);
    }
}
