//! Subscriptions: which events a connection receives (`protocol.md`, Subscriptions and filtering).

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;

/// The event name that matches every event. No other wildcard exists.
pub const EVERY_EVENT: &str = "*";

/// The limits of subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionLimits {
    pub(crate) max_subscriptions: usize,
    pub(crate) max_event_names: usize,
    pub(crate) max_name_bytes: usize,
    pub(crate) max_total_bytes: usize,
}

impl SubscriptionLimits {
    /// The defaults, which each setter documents.
    #[must_use]
    pub const fn new() -> Self {
        Self { max_subscriptions: 256, max_event_names: 1_024, max_name_bytes: 256, max_total_bytes: 1024 * 1024 }
    }

    /// How many subscriptions one connection may have, 256 by default. They are found by a binary search, so a large
    /// number costs only memory.
    #[must_use]
    pub const fn max_subscriptions(mut self, subscriptions: usize) -> Self {
        self.max_subscriptions = subscriptions;
        self
    }

    /// How many different event names one subscription may have, 1,024 by default. Far fewer events exist. Together
    /// with the next limit, it bounds a subscription to 256 KiB.
    #[must_use]
    pub const fn max_event_names(mut self, names: usize) -> Self {
        self.max_event_names = names;
        self
    }

    /// The longest name of an event or a profile in bytes, 256 by default. Identifiers are far shorter.
    #[must_use]
    pub const fn max_name_bytes(mut self, bytes: usize) -> Self {
        self.max_name_bytes = bytes;
        self
    }

    /// The total size of all profile names and event names of one connection in bytes, 1 MiB by default. The limits
    /// above alone would allow 64 MiB. Each name counts its length plus 32 bytes for its overhead in memory; otherwise
    /// a million short names would fit. HPACK counts its entries in the same way (RFC 7541 section 4.1).
    #[must_use]
    pub const fn max_total_bytes(mut self, bytes: usize) -> Self {
        self.max_total_bytes = bytes;
        self
    }
}

/// The overhead that a name counts in addition to its bytes.
const NAME_OVERHEAD: usize = 32;

impl Default for SubscriptionLimits {
    fn default() -> Self {
        Self::new()
    }
}

/// The limit that a subscription would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
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
    /// In byte order, in one block of memory. There are none if `*` is the only name: most subscriptions are to every
    /// event, and an empty block takes no memory of its own.
    names: Arc<[Arc<str>]>,
    every: bool,
}

impl EventNames {
    /// The set that contains only `*`: every event.
    #[must_use]
    pub fn every() -> Self {
        Self { names: Arc::default(), every: true }
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

    /// The names in byte order, including `*`.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let alone = self.is_only_every().then_some(EVERY_EVENT);
        alone.into_iter().chain(self.names.iter().map(|name| &**name))
    }

    /// The number of names. `*` counts as one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len() + usize::from(self.is_only_every())
    }

    /// Whether the set is empty. A subscription needs at least one name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn is_only_every(&self) -> bool {
        self.every && self.names.is_empty()
    }

    /// The size of the names, as [`SubscriptionLimits::max_total_bytes`] counts it.
    fn bytes(&self) -> usize {
        self.iter().map(counted).fold(0, usize::saturating_add)
    }

    /// Like [`iter`](Self::iter), with names that can be shared. There is no `*` if it is the only name.
    #[cfg(feature = "server")]
    pub(crate) fn shared(&self) -> impl Iterator<Item = &Arc<str>> {
        self.names.iter()
    }

    /// Collects names. Fails at the first name that exceeds a limit.
    #[cfg(feature = "server")]
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

impl<const N: usize> From<[&str; N]> for EventNames {
    fn from(names: [&str; N]) -> Self {
        names.into_iter().collect()
    }
}

impl From<BTreeSet<Box<str>>> for EventNames {
    fn from(names: BTreeSet<Box<str>>) -> Self {
        if names.len() == 1 && names.contains(EVERY_EVENT) {
            return Self::every();
        }
        let every = names.contains(EVERY_EVENT);
        Self { names: names.into_iter().map(Arc::from).collect(), every }
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
    /// In byte order of the profiles. Nearly every connection has only a few, for which a tree would be mostly empty. The
    /// session and the hub share them.
    profiles: Arc<[(Arc<str>, EventNames)]>,
    /// The size of all names. It is stored, so that a change does not count all of them again.
    bytes: usize,
}

impl SubscriptionSet {
    /// Whether an event is delivered. The subscription to its profile must contain its name or `*`. If it has no
    /// profile, any subscription that contains its name or `*` is enough.
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
        self.remove(&profile);
        self.bytes = self.bytes.saturating_add(size(&profile, &names));
        let index = self.find(&profile).unwrap_or_else(|index| index);
        let (before, after) = self.profiles.split_at(index);
        self.profiles = before.iter().cloned().chain([(profile, names)]).chain(after.iter().cloned()).collect();
    }

    /// Removes the subscription of one profile, and returns whether there was one.
    pub fn remove(&mut self, profile: &str) -> bool {
        let Some(names) = self.get(profile) else { return false };
        self.bytes = self.bytes.saturating_sub(size(profile, names));
        self.profiles = self.profiles.iter().filter(|(other, _)| **other != *profile).cloned().collect();
        true
    }

    /// Removes every subscription.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The event names of the subscription to this profile.
    #[must_use]
    pub fn get(&self, profile: &str) -> Option<&EventNames> {
        let index = self.find(profile).ok()?;
        self.profiles.get(index).map(|(_, names)| names)
    }

    /// The profiles with their event names, in byte order of the profiles.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &EventNames)> {
        self.profiles.iter().map(|(profile, names)| (&**profile, names))
    }

    /// Like [`iter`](Self::iter), with profile names that can be shared.
    #[cfg(feature = "server")]
    pub(crate) fn shared(&self) -> impl Iterator<Item = (&Arc<str>, &EventNames)> {
        self.profiles.iter().map(|(profile, names)| (profile, names))
    }

    /// The number of subscriptions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.profiles.len()
    }

    /// Whether there is no subscription.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.profiles.is_empty()
    }

    fn find(&self, profile: &str) -> Result<usize, usize> {
        self.profiles.binary_search_by(|(other, _)| (**other).cmp(profile))
    }

    /// Checks that the set stays within the limits when this subscription is added.
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

/// The size of one subscription, as [`SubscriptionLimits::max_total_bytes`] counts it.
fn size(profile: &str, names: &EventNames) -> usize {
    counted(profile).saturating_add(names.bytes())
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
        let limits = SubscriptionLimits::new().max_total_bytes(exact);
        let tight = limits.max_total_bytes(exact - 1);
        let mut set = SubscriptionSet::default();
        set.add("a", names(&["xyz"]));
        assert_eq!(set.check_room("b", &names(&["xyz"]), &limits), Ok(()));
        let over = SubscriptionLimit::TotalBytes(exact - 1);
        assert_eq!(set.check_room("b", &names(&["xyz"]), &tight), Err(over));
        set.add("b", names(&["xyz"]));
        // A replaced subscription makes room, and so does a removed one.
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
