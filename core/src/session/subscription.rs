//! Subscriptions: which events a connection gets (`protocol.md`, Subscriptions and filtering).

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The event name that matches every event. No other wildcard exists.
pub const EVERY_EVENT: &str = "*";

/// How much may be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionLimits {
    /// Subscriptions of one connection, 256 by default: each is found by a search, so the number costs memory alone.
    pub max_subscriptions: usize,
    /// Different event names in one subscription, 1,024 by default: far above the events that exist, and with the next
    /// limit it bounds a subscription to 256 KiB.
    pub max_event_names: usize,
    /// Bytes in the name of an event or a profile, 256 by default: identifiers are far shorter.
    pub max_name_bytes: usize,
    /// Bytes of all the names that one connection subscribes by, profiles and events, 1 MiB by default: the limits above
    /// would allow 64 MiB. Each name counts 32 bytes more than it has, for its place in memory, or a million short ones
    /// would fit (HPACK counts its entries so, RFC 7541 section 4.1).
    pub max_total_bytes: usize,
}

/// What a name counts beside its bytes.
const NAME_OVERHEAD: usize = 32;

impl Default for SubscriptionLimits {
    fn default() -> Self {
        Self { max_subscriptions: 256, max_event_names: 1_024, max_name_bytes: 256, max_total_bytes: 1024 * 1024 }
    }
}

/// The limit that a subscription would break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscriptionLimit {
    /// [`SubscriptionLimits::max_subscriptions`]
    #[error("more than {0} subscriptions")]
    Subscriptions(usize),
    /// [`SubscriptionLimits::max_event_names`]
    #[error("more than {0} event names in a subscription")]
    EventNames(usize),
    /// [`SubscriptionLimits::max_name_bytes`]
    #[error("a name longer than {0} bytes")]
    NameBytes(usize),
    /// [`SubscriptionLimits::max_total_bytes`]
    #[error("more than {0} bytes of names in all subscriptions")]
    TotalBytes(usize),
}

/// A set of event names, in which `*` stands for all.
///
/// Names are compared byte for byte. A clone shares the names.
///
/// ```
/// use multiwa_ws_core::session::EventNames;
///
/// let names: EventNames = ["message.received", "message.ack", "message.ack"].into_iter().collect();
/// assert_eq!(names.len(), 2);
/// assert!(names.matches("message.ack"));
/// assert!(!names.matches("message"));
/// assert!(EventNames::every().matches("whatever"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventNames {
    /// In byte order: one block of memory, however few.
    names: Arc<[Arc<str>]>,
    every: bool,
    /// What the names count towards [`SubscriptionLimits::max_total_bytes`].
    bytes: usize,
}

impl EventNames {
    /// `*` alone: every event.
    #[must_use]
    pub fn every() -> Self {
        [EVERY_EVENT].into_iter().collect()
    }

    /// Whether an event of this name is in the set.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.every || self.names.binary_search_by(|other| (**other).cmp(name)).is_ok()
    }

    /// Whether `*` is in the set.
    #[must_use]
    pub const fn is_every(&self) -> bool {
        self.every
    }

    /// The names in byte order, `*` as itself.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// How many names, `*` counted as one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether nothing is in the set. Such a set cannot be subscribed to.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names as [`iter`](Self::iter) gives them, to be shared.
    pub(crate) fn shared(&self) -> impl Iterator<Item = &Arc<str>> {
        self.names.iter()
    }

    /// Collects names until one of them breaks a limit.
    pub(crate) fn collect_within<'n, N: AsRef<str> + 'n>(
        names: impl IntoIterator<Item = N>,
        limits: &SubscriptionLimits,
    ) -> Result<Self, SubscriptionLimit> {
        let mut set = BTreeSet::<Box<str>>::new();
        let mut bytes = 0_usize;
        for name in names {
            let name = name.as_ref();
            check_name(name, limits)?;
            if set.contains(name) {
                continue;
            }
            if set.len() >= limits.max_event_names {
                return Err(SubscriptionLimit::EventNames(limits.max_event_names));
            }
            bytes = bytes.saturating_add(counted(name));
            check_total(bytes, limits)?;
            set.insert(name.into());
        }
        Ok(Self::from(set))
    }

    pub(crate) fn check(&self, limits: &SubscriptionLimits) -> Result<(), SubscriptionLimit> {
        if self.len() > limits.max_event_names {
            return Err(SubscriptionLimit::EventNames(limits.max_event_names));
        }
        self.iter().try_for_each(|name| check_name(name, limits))
    }
}

impl<N: Into<Box<str>>> FromIterator<N> for EventNames {
    fn from_iter<I: IntoIterator<Item = N>>(names: I) -> Self {
        Self::from(names.into_iter().map(Into::into).collect::<BTreeSet<Box<str>>>())
    }
}

impl From<BTreeSet<Box<str>>> for EventNames {
    fn from(names: BTreeSet<Box<str>>) -> Self {
        let every = names.contains(EVERY_EVENT);
        let bytes = names.iter().map(|name| counted(name)).fold(0, usize::saturating_add);
        Self { names: names.into_iter().map(Arc::from).collect(), every, bytes }
    }
}

/// The subscriptions of one connection: at most one per profile, each with its event names.
///
/// ```
/// use multiwa_ws_core::session::{EventNames, SubscriptionSet};
///
/// let mut set = SubscriptionSet::default();
/// set.add("a", EventNames::every());
/// set.add("b", ["qr.updated"].into_iter().collect());
/// assert!(set.matches(Some("a"), "session.status"));
/// assert!(!set.matches(Some("b"), "session.status"));
/// assert!(set.matches(None, "qr.updated"));
/// set.replace("b", EventNames::every());
/// assert!(!set.matches(Some("a"), "session.status"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionSet {
    /// In byte order of the profiles. Nearly every connection has one or a few, for which a tree would be mostly empty.
    profiles: Vec<(Arc<str>, EventNames)>,
    /// What all names count, kept so that a change costs what has changed.
    bytes: usize,
}

impl SubscriptionSet {
    /// Whether an event is delivered: its profile is subscribed to with its name or `*`; or it has no profile and any
    /// subscription names it or `*`.
    #[must_use]
    pub fn matches(&self, profile: Option<&str>, name: &str) -> bool {
        match profile {
            Some(profile) => self.get(profile).is_some_and(|names| names.matches(name)),
            None => self.profiles.iter().any(|(_, names)| names.matches(name)),
        }
    }

    /// Makes this the only subscription, as a plain `subscribe` does.
    pub fn replace(&mut self, profile: impl Into<Arc<str>>, names: EventNames) {
        self.clear();
        self.add(profile, names);
    }

    /// Adds a subscription or replaces the event names of its profile; other profiles stay, as with `"mode": "add"`.
    pub fn add(&mut self, profile: impl Into<Arc<str>>, names: EventNames) {
        let profile = profile.into();
        self.bytes = self.bytes.saturating_add(size(&profile, &names));
        match self.find(&profile) {
            Ok(index) => {
                if let Some((_, before)) = self.profiles.get_mut(index) {
                    self.bytes = self.bytes.saturating_sub(size(&profile, before));
                    *before = names;
                }
            }
            Err(index) => {
                // The first one needs room for itself alone.
                if self.profiles.len() == self.profiles.capacity() {
                    self.profiles.reserve_exact(self.profiles.len().max(1));
                }
                self.profiles.insert(index, (profile, names));
            }
        }
    }

    /// Removes the subscription of one profile and says whether there was one.
    pub fn remove(&mut self, profile: &str) -> bool {
        let Ok(index) = self.find(profile) else { return false };
        let (profile, names) = self.profiles.remove(index);
        self.bytes = self.bytes.saturating_sub(size(&profile, &names));
        if self.profiles.len() <= self.profiles.capacity() / 4 {
            self.profiles.shrink_to_fit();
        }
        true
    }

    /// Removes every subscription.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The event names that this profile is subscribed to with.
    #[must_use]
    pub fn get(&self, profile: &str) -> Option<&EventNames> {
        let index = self.find(profile).ok()?;
        self.profiles.get(index).map(|(_, names)| names)
    }

    /// Profiles with their event names, profiles in byte order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &EventNames)> {
        self.profiles.iter().map(|(profile, names)| (&**profile, names))
    }

    /// The same, with the names of the profiles to be shared.
    pub(crate) fn shared(&self) -> impl Iterator<Item = (&Arc<str>, &EventNames)> {
        self.profiles.iter().map(|(profile, names)| (profile, names))
    }

    /// How many profiles are subscribed to.
    #[must_use]
    pub fn len(&self) -> usize {
        self.profiles.len()
    }

    /// Whether nothing is subscribed to.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.profiles.is_empty()
    }

    fn find(&self, profile: &str) -> Result<usize, usize> {
        self.profiles.binary_search_by(|(other, _)| (**other).cmp(profile))
    }

    /// Whether the set stays within the limits with this subscription in it.
    pub(crate) fn check_room(
        &self,
        profile: &str,
        names: &EventNames,
        limits: &SubscriptionLimits,
    ) -> Result<(), SubscriptionLimit> {
        let replaced = self.get(profile);
        if self.len() >= limits.max_subscriptions && replaced.is_none() {
            return Err(SubscriptionLimit::Subscriptions(limits.max_subscriptions));
        }
        let others = self.bytes.saturating_sub(replaced.map_or(0, |names| size(profile, names)));
        check_total(others.saturating_add(size(profile, names)), limits)
    }
}

pub(crate) fn check_name(name: &str, limits: &SubscriptionLimits) -> Result<(), SubscriptionLimit> {
    if name.len() > limits.max_name_bytes {
        return Err(SubscriptionLimit::NameBytes(limits.max_name_bytes));
    }
    Ok(())
}

fn check_total(bytes: usize, limits: &SubscriptionLimits) -> Result<(), SubscriptionLimit> {
    if bytes > limits.max_total_bytes {
        return Err(SubscriptionLimit::TotalBytes(limits.max_total_bytes));
    }
    Ok(())
}

/// What one subscription counts.
fn size(profile: &str, names: &EventNames) -> usize {
    counted(profile).saturating_add(names.bytes)
}

const fn counted(name: &str) -> usize {
    name.len().saturating_add(NAME_OVERHEAD)
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::*;

    fn names(names: &[&str]) -> EventNames {
        names.iter().copied().collect()
    }

    #[test]
    fn a_plain_subscribe_replaces_the_whole_set() {
        let mut set = SubscriptionSet::default();
        set.add("a", EventNames::every());
        set.add("b", EventNames::every());
        set.replace("b", names(&["x"]));
        assert_eq!(set.iter().map(|(profile, _)| profile).collect::<Vec<_>>(), ["b"]);
        assert!(!set.matches(Some("b"), "y"));
    }

    #[test]
    fn adding_replaces_the_names_of_its_profile_alone() {
        let mut set = SubscriptionSet::default();
        set.add("a", names(&["x"]));
        set.add("b", names(&["x"]));
        set.add("a", names(&["y"]));
        assert!(!set.matches(Some("a"), "x"));
        assert!(set.matches(Some("a"), "y"));
        assert!(set.matches(Some("b"), "x"));
        assert!(set.remove("a"));
        assert!(!set.remove("a"));
        assert_eq!(set.len(), 1);
    }

    #[test]
    fn names_are_compared_byte_for_byte_and_only_the_star_is_a_wildcard() {
        let mut set = SubscriptionSet::default();
        set.add("p", names(&["message.*", "Envelope.Ack", "é"]));
        for name in ["message.received", "message.ack", "e\u{301}", "", "*"] {
            assert!(!set.matches(Some("p"), name), "{name}");
        }
        for name in ["message.*", "Envelope.Ack", "é"] {
            assert!(set.matches(Some("p"), name), "{name}");
        }
        assert!(!set.matches(Some("P"), "é"));
        set.add("*", EventNames::every());
        assert!(!set.matches(Some("q"), "x"), "a star is no wildcard for profiles");
    }

    #[test]
    fn an_event_without_a_profile_matches_any_subscription_that_names_it() {
        let mut set = SubscriptionSet::default();
        assert!(!set.matches(None, "x"));
        set.add("a", names(&["x"]));
        set.add("b", names(&["y"]));
        assert!(set.matches(None, "x") && set.matches(None, "y") && !set.matches(None, "z"));
        set.add("c", names(&["*"]));
        assert!(set.matches(None, "z"));
    }

    #[test]
    fn limits_hold_at_the_limit_and_break_one_past_it() {
        let limits = SubscriptionLimits::default();
        let many = |count: usize| (0..count).map(|index| format!("event.{index}")).collect::<Vec<String>>();
        let collect = |names: Vec<String>| EventNames::collect_within(names, &limits);
        assert_eq!(collect(many(1_024)).unwrap().len(), 1_024);
        assert_eq!(collect(many(1_025)), Err(SubscriptionLimit::EventNames(1_024)));
        // Duplicates are harmless.
        assert_eq!(collect(["x"; 5_000].map(String::from).into()).unwrap().len(), 1);
        assert_eq!(collect(Vec::from(["x".repeat(256)])).unwrap().len(), 1);
        assert_eq!(collect(Vec::from(["x".repeat(257)])), Err(SubscriptionLimit::NameBytes(256)));
        assert!(many(1_024).into_iter().collect::<EventNames>().check(&limits).is_ok());
        assert!(many(1_025).into_iter().collect::<EventNames>().check(&limits).is_err());

        let mut set = SubscriptionSet::default();
        for index in 0..256 {
            let profile = format!("p{index}");
            assert_eq!(set.check_room(&profile, &EventNames::every(), &limits), Ok(()));
            set.add(profile, EventNames::every());
        }
        assert_eq!(set.check_room("p0", &EventNames::every(), &limits), Ok(()));
        let full = set.check_room("one more", &EventNames::every(), &limits);
        assert_eq!(full, Err(SubscriptionLimit::Subscriptions(256)));
    }

    #[test]
    fn all_names_together_hold_to_the_limit_and_break_one_past_it() {
        // Two subscriptions of a profile of one byte and an event of three.
        let exact = 2 * (1 + 32 + 3 + 32);
        let limits = SubscriptionLimits { max_total_bytes: exact, ..SubscriptionLimits::default() };
        let tight = SubscriptionLimits { max_total_bytes: exact - 1, ..limits };
        let mut set = SubscriptionSet::default();
        set.add("a", names(&["xyz"]));
        assert_eq!(set.check_room("b", &names(&["xyz"]), &limits), Ok(()));
        let over = SubscriptionLimit::TotalBytes(exact - 1);
        assert_eq!(set.check_room("b", &names(&["xyz"]), &tight), Err(over));
        set.add("b", names(&["xyz"]));
        // What a subscription replaces makes room, and so does what is removed.
        assert_eq!(set.check_room("b", &names(&["abc"]), &limits), Ok(()));
        assert!(set.check_room("b", &names(&["abcd"]), &limits).is_err());
        set.add("b", names(&["abc"]));
        assert!(set.check_room("c", &names(&[""]), &limits).is_err());
        assert!(set.remove("a"));
        assert_eq!(set.check_room("c", &names(&["xyz"]), &limits), Ok(()));
        set.replace("d", names(&["xyz"]));
        assert_eq!(set.check_room("c", &names(&["xyz"]), &limits), Ok(()));
        set.clear();
        assert_eq!(set, SubscriptionSet::default());
        // The names of one subscription alone, duplicates counted once.
        let collect = |names: &[&str]| EventNames::collect_within(names, &tight);
        assert_eq!(collect(&["a", "bb", "c", "a"]).unwrap().len(), 3);
        assert_eq!(collect(&["a", "bb", "c", "dddd"]), Err(over));
    }
}
