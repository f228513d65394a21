//! What `listen` reports when nothing fails, but no event arrives, or events arrive that were not requested.

use std::time::{Duration, Instant};

use multiwa_ws_core::session::SubscriptionSet;

/// After this time without an event of a profile, its name may be wrong.
const PATIENCE: Duration = Duration::from_secs(10);

/// The shortest time between two reports of events that were not requested.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// Observes which profiles have no events. Times are arguments.
#[derive(Debug)]
pub(crate) struct Silence {
    /// The profiles without an event. Empty after the report.
    silent: Vec<String>,
    /// When to report them. `None` before the client is ready.
    due: Option<Instant>,
    /// The number of events that were not requested, at the last warning.
    unrequested: u64,
    warned: Option<Instant>,
}

impl Silence {
    pub(crate) fn new(profiles: &[String]) -> Self {
        Self { silent: profiles.to_vec(), due: None, unrequested: 0, warned: None }
    }

    /// The client is ready, for the first time or again.
    pub(crate) fn ready(&mut self, now: Instant) {
        self.due.get_or_insert(now + PATIENCE);
    }

    /// An event arrived. Without a profile it belongs to all.
    pub(crate) fn received(&mut self, profile: Option<&str>) {
        self.silent.retain(|silent| profile.is_some_and(|profile| profile != silent));
    }

    /// Names the subscribed profiles without an event. Each is reported once.
    pub(crate) fn text(&mut self, now: Instant, active: &SubscriptionSet) -> Option<String> {
        self.due.filter(|due| *due <= now)?;
        let mut silent = std::mem::take(&mut self.silent);
        // The refusal of the others was reported.
        silent.retain(|profile| active.get(profile).is_some());
        if silent.is_empty() {
            return None;
        }
        let subscribed = active.iter().map(|(profile, events)| {
            let events: Vec<_> = events.iter().collect();
            format!("{profile} ({})", events.join(", "))
        });
        let subscribed: Vec<_> = subscribed.collect();
        Some(format!(
            "no event came yet for {}; subscribed to {}; a wrong profile or event name is not an error for the server",
            silent.join(", "),
            subscribed.join(", ")
        ))
    }

    /// Reports that events were dropped because they match no subscription. `count` is their number so far.
    pub(crate) fn unrequested(&mut self, now: Instant, count: u64) -> Option<String> {
        let is_early = self.warned.is_some_and(|warned| now.saturating_duration_since(warned) < WARNING_INTERVAL);
        let more = count.saturating_sub(self.unrequested);
        if more == 0 || is_early {
            return None;
        }
        (self.unrequested, self.warned) = (count, Some(now));
        Some(format!("{more} events were dropped because they match no --profile and --event"))
    }
}

#[cfg(test)]
mod tests {
    use multiwa_ws_core::session::EventNames;

    use super::*;

    fn after(seconds: u64) -> Instant {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *START.get_or_init(Instant::now) + Duration::from_secs(seconds)
    }

    fn set(profiles: &[&str]) -> SubscriptionSet {
        let mut set = SubscriptionSet::default();
        for profile in profiles {
            set.add(*profile, EventNames::every());
        }
        set
    }

    fn silence() -> Silence {
        Silence::new(&["a".to_owned(), "b".to_owned()])
    }

    #[test]
    fn profiles_without_an_event_are_named_once_after_ten_seconds() {
        let mut silence = silence();
        let active = set(&["a", "b"]);
        assert_eq!(silence.text(after(99), &active), None, "not ready");
        silence.ready(after(100));
        silence.received(Some("a"));
        silence.received(Some("c"));
        // A reconnect does not extend the wait.
        silence.ready(after(105));
        assert_eq!(silence.text(after(109), &active), None);
        let text = silence.text(after(110), &active).unwrap();
        assert!(text.starts_with("no event came yet for b; subscribed to a (*), b (*);"), "{text}");
        assert_eq!(silence.text(after(200), &active), None);
    }

    #[test]
    fn silence_is_not_reported_of_refused_profiles_nor_after_an_event_of_every_profile() {
        let mut refused = silence();
        refused.ready(after(0));
        let text = refused.text(after(10), &set(&["a"])).unwrap();
        assert!(text.starts_with("no event came yet for a; subscribed to a (*);"), "{text}");
        let mut news = silence();
        news.ready(after(0));
        news.received(None);
        assert_eq!(news.text(after(10), &set(&["a", "b"])), None);
    }

    #[test]
    fn events_that_were_not_requested_are_reported_at_most_once_a_minute() {
        let mut silence = silence();
        assert_eq!(silence.unrequested(after(0), 0), None);
        assert!(silence.unrequested(after(1), 3).unwrap().starts_with("3 events"));
        assert_eq!(silence.unrequested(after(60), 9), None);
        assert!(silence.unrequested(after(61), 9).unwrap().starts_with("6 events"));
        assert_eq!(silence.unrequested(after(300), 9), None);
    }
}
