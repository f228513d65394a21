//! Publishing events to whoever subscribes to them.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use multiwa_ws_core::session::{Event, RawJson, encode_event};
use multiwa_ws_core::{Instant, WallClock};

use super::Shared;

/// Publishes events to the clients of a [`Server`](super::Server); cheap to clone, for any thread.
///
/// Each event is encoded once. All clients get the events in the order of the calls, calls from several threads one after
/// the other. Nothing waits for a client: see [`SlowReader`](super::SlowReader).
#[derive(Clone)]
pub struct Publisher {
    pub(super) shared: Arc<Shared>,
}

#[expect(clippy::must_use_candidate, reason = "to publish is what they are for; few care for how many")]
impl Publisher {
    /// Publishes an event that happens now: `data` of `profile`, or of every profile.
    ///
    /// Returns how many clients it was queued for.
    ///
    /// ```no_run
    /// # fn example(publisher: &multiwa_ws_driver::Publisher) -> Result<(), multiwa_ws_core::session::JsonError> {
    /// use multiwa_ws_core::session::RawJson;
    ///
    /// publisher.send("session.status", Some("profile-123"), &RawJson::parse(r#"{"status":"connected"}"#)?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn send(&self, name: &str, profile: Option<&str>, data: &RawJson<'_>) -> usize {
        let timestamp = wall_clock(Instant::default()).rfc3339(Instant::default());
        self.send_at(name, profile, data, &timestamp)
    }

    /// Publishes an event that happened at `timestamp`, RFC 3339 in UTC.
    pub fn send_at(&self, name: &str, profile: Option<&str>, data: &RawJson<'_>, timestamp: &str) -> usize {
        let text = encode_event(name, profile, data, timestamp);
        self.shared.registry.publish(&self.shared, profile, name, &text)
    }

    /// Publishes an event as it was received elsewhere, with every member that the protocol does not know.
    pub fn publish(&self, event: &Event<'_>) -> usize {
        self.shared.registry.publish(&self.shared, event.profile_id().as_deref(), &event.name(), event.as_str())
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Publisher")
    }
}

/// What the calendar says at `now`, the present.
pub(super) fn wall_clock(now: Instant) -> WallClock {
    let unix_millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        // A clock that was never set.
        Err(_) => 0,
    };
    WallClock::new(now, unix_millis)
}
