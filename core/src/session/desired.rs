//! The desired subscriptions of the application, separate from the active ones that the server acknowledged.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::request::{Ask, RequestId};
use super::subscription::EventNames;

/// One desired subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) profile: Arc<str>,
    pub(crate) events: EventNames,
}

impl Subscription {
    pub(crate) fn ask(&self) -> Ask {
        Ask::Subscribe { profile: self.profile.clone(), events: self.events.clone() }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// With `displace`, every other profile is removed.
    Subscribe {
        subscription: Subscription,
        displace: bool,
    },
    Unsubscribe {
        profile: Option<Arc<str>>,
    },
}

/// The desired subscriptions, in the order in which they were first requested. A new connection requests them in the
/// same order.
///
/// A change takes effect with its command. If the server refuses it, it is undone: "one that is refused changes
/// nothing" (`protocol.md`, Subscriptions and filtering). For this reason, changes whose request has not ended are kept
/// separate.
#[derive(Debug, Default)]
pub(crate) struct Desired {
    settled: Vec<Subscription>,
    changes: VecDeque<(RequestId, Change, Progress)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Open,
    Settled,
}

impl Desired {
    pub(crate) fn change(&mut self, request: RequestId, change: Change) {
        self.changes.push_back((request, change, Progress::Open));
    }

    /// The request ended without a refusal: the change stays.
    pub(crate) fn settle(&mut self, request: RequestId) {
        for (id, _, progress) in &mut self.changes {
            if *id == request {
                *progress = Progress::Settled;
            }
        }
        while let Some((_, _, Progress::Settled)) = self.changes.front() {
            if let Some((_, change, _)) = self.changes.pop_front() {
                apply(&mut self.settled, &change);
            }
        }
    }

    /// The request was refused: the change is undone.
    pub(crate) fn withdraw(&mut self, request: RequestId) {
        self.changes.retain(|(id, _, _)| *id != request);
        // Changes behind it may be settled already.
        self.settle(request);
    }

    /// The server replaces the whole set with this subscription, because it does not support sets.
    pub(crate) fn displace(&mut self, request: RequestId) {
        for (id, change, _) in &mut self.changes {
            if let Change::Subscribe { displace, .. } = change
                && *id == request
            {
                *displace = true;
            }
        }
    }

    /// Removes all settled subscriptions except the last, and returns them.
    pub(crate) fn keep_last(&mut self) -> Vec<Subscription> {
        let last = self.settled.len().saturating_sub(1);
        self.settled.drain(..last).collect()
    }

    /// The desired subscriptions without the changes that are not settled.
    pub(crate) fn settled(&self) -> &[Subscription] {
        &self.settled
    }

    /// The desired subscriptions with all changes.
    pub(crate) fn current(&self) -> Vec<Subscription> {
        let mut subscriptions = self.settled.clone();
        for (_, change, _) in &self.changes {
            apply(&mut subscriptions, change);
        }
        subscriptions
    }
}

fn apply(subscriptions: &mut Vec<Subscription>, change: &Change) {
    match change {
        Change::Subscribe { subscription, displace } => {
            if *displace {
                subscriptions.retain(|other| other.profile == subscription.profile);
            }
            match subscriptions.iter_mut().find(|other| other.profile == subscription.profile) {
                Some(other) => other.events = subscription.events.clone(),
                None => subscriptions.push(subscription.clone()),
            }
        }
        Change::Unsubscribe { profile: Some(profile) } => {
            subscriptions.retain(|subscription| subscription.profile != *profile);
        }
        Change::Unsubscribe { profile: None } => subscriptions.clear(),
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    fn id(number: u64) -> RequestId {
        RequestId::parse(&format!("00000000-{number}")).unwrap()
    }

    fn subscribe(profile: &str, displace: bool) -> Change {
        Change::Subscribe {
            subscription: Subscription { profile: profile.into(), events: EventNames::every() },
            displace,
        }
    }

    fn profiles(desired: &Desired) -> Vec<Arc<str>> {
        desired.current().into_iter().map(|subscription| subscription.profile).collect()
    }

    #[test]
    fn a_change_counts_at_once_and_a_refused_one_never_was() {
        let mut desired = Desired::default();
        desired.change(id(1), subscribe("a", false));
        desired.change(id(2), subscribe("b", true));
        desired.change(id(3), subscribe("c", false));
        assert_eq!(profiles(&desired), ["b".into(), "c".into()]);
        desired.settle(id(3));
        desired.settle(id(1));
        desired.withdraw(id(2));
        assert_eq!(profiles(&desired), ["a".into(), "c".into()]);
        assert_eq!(desired.settled().len(), 2);
        assert!(desired.changes.is_empty());
    }

    #[test]
    fn subscriptions_keep_the_order_of_their_first_request() {
        let mut desired = Desired::default();
        for (number, profile) in ["z", "a", "m", "z"].into_iter().enumerate() {
            let id = id(number as u64 + 1);
            desired.change(id, subscribe(profile, false));
            desired.settle(id);
        }
        assert_eq!(profiles(&desired), ["z".into(), "a".into(), "m".into()]);
        desired.change(id(9), Change::Unsubscribe { profile: Some("a".into()) });
        assert_eq!(profiles(&desired), ["z".into(), "m".into()]);
        desired.change(id(10), Change::Unsubscribe { profile: None });
        assert!(profiles(&desired).is_empty());
    }
}
