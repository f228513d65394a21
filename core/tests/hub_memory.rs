//! How much memory a hub spends on an idle connection with one subscription.
#![cfg(test)]
#![cfg(all(feature = "server", feature = "session"))]

use std::collections::BTreeMap;

use allocation_counter::measure;
use multiwa_ws_core::hub::Hub;
use multiwa_ws_core::session::{EventNames, SubscriptionSet};

const CONNECTIONS: u32 = 1_000;

/// The bytes that a hub takes for each connection. It shares the subscription set with the session.
fn bytes_per_connection(set: impl Fn(u32) -> SubscriptionSet) -> u64 {
    let sets: BTreeMap<u32, SubscriptionSet> = (0..CONNECTIONS).map(|id| (id, set(id))).collect();
    let mut hub = Hub::new();
    let taken = measure(|| {
        for (id, set) in &sets {
            hub.update(*id, set.clone());
        }
    });
    assert_eq!(hub.len(), sets.len());
    u64::try_from(taken.bytes_current).unwrap() / u64::from(CONNECTIONS)
}

fn subscription(profile: &str, names: EventNames) -> SubscriptionSet {
    let mut set = SubscriptionSet::default();
    set.replace(profile, names);
    set
}

#[test]
fn a_connection_with_a_profile_of_its_own_takes_no_tree() {
    let every = bytes_per_connection(|id| subscription(&format!("profile-{id}"), EventNames::every()));
    let named = bytes_per_connection(|id| subscription(&format!("profile-{id}"), ["qr.updated"].into_iter().collect()));
    // 161 and 209 bytes.
    assert!(every <= 175, "{every} bytes");
    assert!(named <= 225, "{named} bytes");
}

#[test]
fn a_connection_with_a_common_profile_takes_less() {
    let every = bytes_per_connection(|_| subscription("profile", EventNames::every()));
    let named = bytes_per_connection(|_| subscription("profile", ["qr.updated"].into_iter().collect()));
    // 95 bytes each: there is one tree for all of them.
    assert!(every <= 105, "{every} bytes");
    assert!(named <= 105, "{named} bytes");
}
