//! Time in the core: an integer that the caller supplies.

use core::ops::{Add, AddAssign};
use core::time::Duration;

#[cfg(feature = "session")]
use jiff::Timestamp;

/// A point on the caller's monotonic clock, in nanoseconds since an epoch of the caller's choice.
///
/// The core has no clock: every `handle_*` method takes the present time as an argument. Only differences matter, so
/// the epoch may be the start of the program, of the machine or of a simulation. Time never runs backwards inside a
/// state machine: a value before an earlier one is treated as the earlier one.
///
/// ```
/// use core::time::Duration;
/// use multiwa_ws_core::Instant;
///
/// let start = Instant::from_nanos(0);
/// assert_eq!(start + Duration::from_millis(2), Instant::from_nanos(2_000_000));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The instant `nanos` nanoseconds after the epoch.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`; zero when `earlier` is the later one.
    #[must_use]
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Saturates at the end of time, about 584 years after the epoch.
impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

/// The wall-clock time at one [`Instant`], so that timestamps can be written without a clock.
///
/// The caller reads its wall clock once, at construction. If that clock is set later, construct a new value.
#[cfg(feature = "session")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallClock {
    at: Instant,
    timestamp: Timestamp,
}

#[cfg(feature = "session")]
impl WallClock {
    /// At instant `at`, the wall clock showed `unix_millis` milliseconds since 1970-01-01T00:00:00Z.
    ///
    /// Values outside the years -9999 to 9999 are clamped to that range.
    #[must_use]
    pub fn new(at: Instant, unix_millis: i64) -> Self {
        let limit = if unix_millis < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Self { at, timestamp: Timestamp::from_millisecond(unix_millis).unwrap_or(limit) }
    }

    /// The time of day at `now`.
    #[must_use]
    pub fn timestamp(&self, now: Instant) -> Timestamp {
        let passed = now.saturating_duration_since(self.at);
        self.timestamp.saturating_add(passed).unwrap_or(Timestamp::MAX)
    }

    /// The time of day at `now` as the protocol writes it: RFC 3339 in UTC with milliseconds and `Z`
    /// (`protocol.md`, Envelope).
    #[must_use]
    pub fn rfc3339(&self, now: Instant) -> alloc::string::String {
        alloc::format!("{:.3}", self.timestamp(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_saturates_at_both_ends() {
        let end = Instant::from_nanos(u64::MAX);
        assert_eq!(end + Duration::MAX, end);
        assert_eq!(Instant::default().saturating_duration_since(end), Duration::ZERO);
    }

    #[cfg(feature = "session")]
    #[test]
    fn timestamps_are_written_as_javascript_writes_them() {
        let clock = WallClock::new(Instant::from_nanos(1_000), 1_770_285_600_000);
        assert_eq!(clock.rfc3339(Instant::from_nanos(1_000)), "2026-02-05T10:00:00.000Z");
        assert_eq!(clock.rfc3339(Instant::from_nanos(1_250_001_000)), "2026-02-05T10:00:01.250Z");
        assert_eq!(clock.rfc3339(Instant::default()), "2026-02-05T10:00:00.000Z");
    }

    #[cfg(feature = "session")]
    #[test]
    fn a_wall_clock_beyond_the_calendar_is_clamped() {
        let clock = WallClock::new(Instant::default(), i64::MAX);
        assert_eq!(clock.timestamp(Instant::default()), Timestamp::MAX);
    }
}
