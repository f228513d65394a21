//! The publisher of events.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use multiwa_ws_core::session::{Event, ToJson, encode_event};
use multiwa_ws_core::{Instant, WallClock};

use super::shared::Shared;

/// Publishes events to the clients of a [`Server`](super::Server). It is cheap to clone and usable from any thread.
///
/// Each event is encoded once. All clients get the events in the order of the calls; concurrent calls are serialized.
/// Publishing does not wait for any client: see [`SlowReader`](super::SlowReader).
#[derive(Clone)]
pub struct Publisher {
    pub(super) shared: Arc<Shared>,
}

impl Publisher {
    /// Publishes an event of `profile`, or of all profiles if it is `None`, with the current time.
    ///
    /// `data` is any value that serializes, or a [`RawJson`](multiwa_ws_core::session::RawJson). Currently the future
    /// completes at its first poll, because the server publishes in memory.
    ///
    /// ```no_run
    /// # async fn example(publisher: &multiwa_ws_driver::Publisher) -> Result<(), multiwa_ws_driver::PublishError> {
    /// let status = std::collections::BTreeMap::from([("status", "connected")]);
    /// let published = publisher.publish("session.status", Some("profile-123"), &status).await?;
    /// println!("{} clients get it", published.receivers);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`PublishError`] says why the event was not published.
    pub fn publish<'p, T: ToJson + ?Sized>(
        &'p self,
        name: &'p str,
        profile: Option<&'p str>,
        data: &T,
    ) -> impl Future<Output = Result<Published, PublishError>> + Send + use<'p, T> {
        let timestamp = wall_clock(Instant::default()).rfc3339(Instant::default());
        self.publish_at(name, profile, data, &timestamp)
    }

    /// Publishes an event with the time `timestamp`, in RFC 3339 format and UTC. See [`publish`](Self::publish).
    ///
    /// # Errors
    /// [`PublishError`] says why the event was not published.
    pub fn publish_at<'p, T: ToJson + ?Sized>(
        &'p self,
        name: &'p str,
        profile: Option<&'p str>,
        data: &T,
        timestamp: &str,
    ) -> impl Future<Output = Result<Published, PublishError>> + Send + use<'p, T> {
        // The future owns the text but not the data, so it is `Send` for every `T`.
        let text = data.to_json().map(|data| encode_event(name, profile, &data, timestamp));
        async move { Ok(self.deliver(name, profile, &text?)) }
    }

    /// Publishes a received event unchanged, including its unknown members.
    ///
    /// # Errors
    /// [`PublishError`] says why the event was not published.
    pub async fn forward(&self, event: &Event<'_>) -> Result<Published, PublishError> {
        Ok(self.deliver(&event.name(), event.profile_id().as_deref(), event.as_str()))
    }

    fn deliver(&self, name: &str, profile: Option<&str>, text: &str) -> Published {
        Published { receivers: self.shared.registry.publish(&self.shared.settings, profile, name, text) }
    }
}

/// The result of publishing an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The number of clients of this server that the event was queued for.
    pub receivers: usize,
}

/// Why an event was not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The data cannot be serialized as JSON, or is nested too deeply.
    #[error("the data of the event cannot be written as JSON")]
    Data(#[from] serde_json::Error),
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Publisher")
    }
}

/// Pairs `now`, the present, with the time of the system clock.
pub(super) fn wall_clock(now: Instant) -> WallClock {
    let unix_millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        // The system clock is before 1970.
        Err(_) => 0,
    };
    WallClock::new(now, unix_millis)
}
