//! The text of an event: its number, and the time before its publication.

use rustix::time::{ClockId, clock_gettime};

/// The length of the text of an event.
pub(super) const LEN: usize = 300;

/// The digits of a number of 64 bits.
pub(super) const DIGITS: usize = 20;
pub(super) const NUMBER: &str = r#"{"number":""#;
pub(super) const AT: &str = r#"","at":""#;

/// The data of an event. Its two numbers always have the same place.
pub(super) fn data(number: u64, at: u64, rest: &str) -> String {
    format!(r#"{NUMBER}{number:0DIGITS$}{AT}{at:0DIGITS$}","body":"{rest}"}}"#)
}

/// The time of a clock that all processes share.
pub(super) fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or_default() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or_default()
}
