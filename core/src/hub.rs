//! Fan-out: finds the connections that receive an event.

mod small_map;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use self::small_map::SmallMap;
use crate::session::{EventNames, SubscriptionSet};

/// The subscriptions of all connections of a server, indexed by profile and event name.
///
/// `K` identifies a connection. The cost of finding the receivers of an event depends on the number of receivers, not
/// on the number of connections.
///
/// - Getters: [`len`](Self::len), [`is_empty`](Self::is_empty), [`receivers`](Self::receivers).
/// - Commands: [`update`](Self::update) when the set of a connection has changed, [`remove`](Self::remove) when the
///   connection has ended.
///
/// To publish an event, encode it once as a [`SharedMessage`](crate::websocket::SharedMessage) and send that to each of
/// the receivers. A subscription is active from one `update` to the next. Queue the `ack` of a change together with its
/// `update`, and publish nothing in between: then the order of `protocol.md`, Subscriptions and filtering, holds.
///
/// ```
/// use multiwa_ws_core::hub::Hub;
/// use multiwa_ws_core::session::{EventNames, SubscriptionSet};
///
/// let mut set = SubscriptionSet::default();
/// set.replace("profile-123", EventNames::every());
/// let mut hub = Hub::new();
/// hub.update(7, set);
/// assert!(hub.receivers(Some("profile-123"), "qr.updated").eq([7]));
/// assert_eq!(hub.receivers(Some("profile-456"), "qr.updated").count(), 0);
/// ```
#[derive(Clone, Debug)]
pub struct Hub<K> {
    connections: BTreeMap<K, SubscriptionSet>,
    profiles: BTreeMap<Arc<str>, Topic<K>>,
    /// For events that concern every profile: the subscriptions of each connection to any profile.
    any_profile: Topic<K>,
}

impl<K: Ord + Copy> Hub<K> {
    /// A hub without connections.
    #[must_use]
    pub const fn new() -> Self {
        Self { connections: BTreeMap::new(), profiles: BTreeMap::new(), any_profile: Topic::new() }
    }

    /// The number of connections that have a subscription.
    #[must_use]
    pub fn len(&self) -> usize {
        self.connections.len()
    }

    /// Whether no connection has a subscription.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// The connections that receive an event `name` of `profile`, or of every profile when `profile` is `None`. Each
    /// connection comes once. The order is the same for the same calls.
    pub fn receivers(&self, profile: Option<&str>, name: &str) -> impl Iterator<Item = K> {
        let topic = match profile {
            Some(profile) => self.profiles.get(profile),
            None => Some(&self.any_profile),
        };
        topic.into_iter().flat_map(move |topic| topic.receivers(name))
    }

    /// Replaces the subscriptions of the connection `id` with `set`.
    ///
    /// The cost depends only on the profiles that have changed, so a client with a large set cannot make each small
    /// change expensive.
    pub fn update(&mut self, id: K, set: SubscriptionSet) {
        let before = self.connections.remove(&id).unwrap_or_default();
        for (profile, names) in before.shared().filter(|(profile, names)| set.get(profile) != Some(names)) {
            self.leave(id, profile, names);
        }
        for (profile, names) in set.shared().filter(|(profile, names)| before.get(profile) != Some(names)) {
            self.join(id, profile, names);
        }
        if !set.is_empty() {
            self.connections.insert(id, set);
        }
    }

    /// Removes the connection `id`, which has ended or has no subscription any more.
    pub fn remove(&mut self, id: K) {
        self.update(id, SubscriptionSet::default());
    }

    fn join(&mut self, id: K, profile: &Arc<str>, names: &EventNames) {
        self.any_profile.insert(id, names);
        match self.profiles.get_mut(profile) {
            Some(topic) => topic.insert(id, names),
            None => {
                let mut topic = Topic::new();
                topic.insert(id, names);
                self.profiles.insert(profile.clone(), topic);
            }
        }
    }

    fn leave(&mut self, id: K, profile: &str, names: &EventNames) {
        self.any_profile.remove(id, names);
        if let Some(topic) = self.profiles.get_mut(profile) {
            topic.remove(id, names);
            if topic.is_empty() {
                self.profiles.remove(profile);
            }
        }
    }
}

impl<K: Ord + Copy> Default for Hub<K> {
    fn default() -> Self {
        Self::new()
    }
}

/// The subscribers to the events of one profile, or of any profile.
#[derive(Clone, Debug)]
struct Topic<K> {
    every: Subscribers<K>,
    /// Most topics have none.
    named: Option<Box<SmallMap<Arc<str>, Subscribers<K>>>>,
}

/// Connections, each with the number of its subscriptions that are counted here: one in the topic of a profile,
/// possibly more in the topic of any profile.
type Subscribers<K> = SmallMap<K, u32>;

impl<K: Ord + Copy> Topic<K> {
    const fn new() -> Self {
        Self { every: SmallMap::new(), named: None }
    }

    fn is_empty(&self) -> bool {
        self.every.is_empty() && self.named.is_none()
    }

    /// The subscribers to every event, then the other subscribers to this name.
    fn receivers(&self, name: &str) -> impl Iterator<Item = K> {
        let named = self.named.as_ref().and_then(|named| named.get(name)).into_iter().flat_map(SmallMap::keys);
        self.every.keys().chain(named.filter(|id| self.every.get(*id).is_none())).copied()
    }

    fn insert(&mut self, id: K, names: &EventNames) {
        if names.is_every() {
            self.every.update(&id, |count| *count += 1);
            return;
        }
        let named = self.named.get_or_insert_default();
        for name in names.shared() {
            named.update(name, |ids| ids.update(&id, |count| *count += 1));
        }
    }

    fn remove(&mut self, id: K, names: &EventNames) {
        if names.is_every() {
            discount(&mut self.every, id);
            return;
        }
        let Some(named) = &mut self.named else { return };
        for name in names.iter() {
            if let Some(ids) = named.get_mut(name) {
                discount(ids, id);
                if ids.is_empty() {
                    named.remove(name);
                }
            }
        }
        if named.is_empty() {
            self.named = None;
        }
    }
}

fn discount<K: Ord + Copy>(ids: &mut Subscribers<K>, id: K) {
    if let Some(count) = ids.get_mut(&id) {
        *count -= 1;
        if *count == 0 {
            ids.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn set(subscriptions: &[(&str, &[&str])]) -> SubscriptionSet {
        let mut set = SubscriptionSet::default();
        for (profile, names) in subscriptions {
            set.add(*profile, names.iter().copied().collect());
        }
        set
    }

    fn receivers(hub: &Hub<u32>, profile: Option<&str>, name: &str) -> Vec<u32> {
        hub.receivers(profile, name).collect()
    }

    #[test]
    fn the_receivers_are_those_whose_own_set_matches() {
        let sets = [
            set(&[("a", &["x"])]),
            set(&[("a", &["*"])]),
            set(&[("a", &["x", "*"])]),
            set(&[("a", &["x", "y"]), ("b", &["*"])]),
            set(&[("b", &["x"])]),
            set(&[]),
        ];
        let mut hub = Hub::new();
        for (id, set) in (0..).zip(&sets) {
            hub.update(id, set.clone());
        }
        for profile in [None, Some("a"), Some("b"), Some("c")] {
            for name in ["x", "y", "z"] {
                let mut expected = Vec::new();
                for (id, set) in (0..).zip(&sets) {
                    if set.matches(profile, name) {
                        expected.push(id);
                    }
                }
                let mut found = receivers(&hub, profile, name);
                found.sort_unstable();
                assert_eq!(found, expected, "{profile:?} {name}");
            }
        }
    }

    #[test]
    fn an_update_forgets_what_was_subscribed_before() {
        let mut hub = Hub::new();
        hub.update(1, set(&[("a", &["x"])]));
        hub.update(1, set(&[("b", &["*"])]));
        assert!(receivers(&hub, Some("a"), "x").is_empty());
        assert_eq!(receivers(&hub, Some("b"), "x"), [1]);
        hub.remove(1);
        hub.remove(1);
        assert!(hub.is_empty() && hub.profiles.is_empty() && hub.any_profile.is_empty());
    }

    #[test]
    fn an_event_for_every_profile_goes_on_while_one_subscription_names_it() {
        let mut hub = Hub::new();
        hub.update(1, set(&[("a", &["x"]), ("b", &["x"]), ("c", &["*"]), ("d", &["*"])]));
        for subscriptions in [
            &[("b", &["x"][..]), ("c", &["*"]), ("d", &["*"])][..],
            &[("b", &["x"]), ("d", &["*"])],
            &[("b", &["x"])],
            &[("b", &["x"]), ("e", &["x"])],
            &[("e", &["x"])],
        ] {
            hub.update(1, set(subscriptions));
            assert_eq!(receivers(&hub, None, "x"), [1]);
        }
        hub.update(1, set(&[("e", &["y"])]));
        assert!(receivers(&hub, None, "x").is_empty());
        assert_eq!(receivers(&hub, None, "y"), [1]);
        hub.remove(1);
        assert!(hub.profiles.is_empty() && hub.any_profile.is_empty());
    }
}
