//! Events that come both ways: with a joined profile, and in a documented envelope (`socketio.md`, Events).

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;

use super::events::text;
use crate::Instant;

/// How long an event is remembered.
const MEMORY: Duration = Duration::from_secs(60);

/// The largest number of events that are remembered.
const MAX_REMEMBERED: usize = 1_024;

/// The longest identity that is remembered, in bytes. An event with a longer one is never a repetition.
const MAX_IDENTITY: usize = 1_024;

/// How an event came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// With a joined profile.
    Joined,
    /// In a documented envelope.
    Envelope,
}

/// The events of the last minute.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    order: VecDeque<(Instant, Arc<str>)>,
    /// Each with the way that it came.
    known: BTreeMap<Arc<str>, Way>,
}

impl Repeats {
    /// Remembers an event. Returns whether it is known from the other way: same profile, name, message id and status. One
    /// without a message id is never known.
    pub(super) fn is_repeated(
        &mut self,
        now: Instant,
        way: Way,
        profile: Option<&str>,
        name: &str,
        data: &str,
    ) -> bool {
        let Some(identity) = identity(profile, name, data) else { return false };
        while let Some((since, oldest)) = self.order.front()
            && (self.order.len() >= MAX_REMEMBERED || *since + MEMORY <= now)
        {
            self.known.remove(oldest);
            self.order.pop_front();
        }
        if let Some(known) = self.known.get(&*identity) {
            return *known != way;
        }
        let identity = Arc::<str>::from(identity);
        self.order.push_back((now, identity.clone()));
        self.known.insert(identity, way);
        false
    }
}

fn identity(profile: Option<&str>, name: &str, data: &str) -> Option<String> {
    // Only there, `id` is the id of a message.
    let member = if name == "message.received" { "id" } else { "messageId" };
    let message = text(data, member)?;
    let status = text(data, "status");
    let parts = [profile.unwrap_or_default(), name, &*message, status.as_deref().unwrap_or_default()];
    // A control character is in no name, so that the parts cannot be divided in another way.
    let identity = parts.join("\u{1f}");
    (identity.len() <= MAX_IDENTITY).then_some(identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn second(second: u64) -> Instant {
        Instant::from_nanos(second * 1_000_000_000)
    }

    #[test]
    fn an_event_is_known_by_profile_name_message_and_status_for_a_minute() {
        let mut repeats = Repeats::default();
        let sent = r#"{"messageId":"m","status":"sent"}"#;
        assert!(!repeats.is_repeated(second(0), Way::Envelope, Some("p"), "message.ack", sent));
        // The same way again is another event.
        assert!(!repeats.is_repeated(second(0), Way::Envelope, Some("p"), "message.ack", sent));
        let mut known =
            |at, profile, name, data| repeats.is_repeated(second(at), Way::Joined, Some(profile), name, data);
        assert!(known(59, "p", "message.ack", sent));
        assert!(!known(59, "q", "message.ack", sent));
        assert!(!known(59, "p", "other", sent));
        assert!(!known(59, "p", "message.ack", r#"{"messageId":"m","status":"read"}"#));
        assert!(!known(60, "p", "message.ack", sent));
    }

    #[test]
    fn an_event_without_a_message_id_is_never_known() {
        let mut repeats = Repeats::default();
        for _ in 0..2 {
            assert!(!repeats.is_repeated(second(0), Way::Joined, None, "session.status", r#"{"status":"c"}"#));
        }
        assert!(!repeats.is_repeated(second(0), Way::Joined, Some("p"), "group", r#"{"id":"g"}"#));
        assert!(repeats.order.is_empty());
    }

    #[test]
    fn sec_ap_10_what_is_remembered_is_bounded() {
        let mut repeats = Repeats::default();
        for number in 0..5_000 {
            let data = alloc::format!(r#"{{"id":"{number}"}}"#);
            assert!(!repeats.is_repeated(second(1), Way::Joined, Some("p"), "message.received", &data));
        }
        assert_eq!((repeats.order.len(), repeats.known.len()), (MAX_REMEMBERED, MAX_REMEMBERED));
        let long = alloc::format!(r#"{{"id":"{}"}}"#, "x".repeat(MAX_IDENTITY));
        assert!(!repeats.is_repeated(second(1), Way::Joined, Some("p"), "message.received", &long));
        assert!(!repeats.is_repeated(second(1), Way::Joined, Some("p"), "message.received", &long));
    }
}
