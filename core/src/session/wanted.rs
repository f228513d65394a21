//! What the application wants to be subscribed to, apart from what the server acknowledged.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::request::{Ask, RequestId};
use super::subscription::EventNames;

/// One wanted subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) profile: Arc<str>,
    pub(crate) events: EventNames,
}

impl Wish {
    pub(crate) fn ask(&self) -> Ask {
        Ask::Subscribe { profile: self.profile.clone(), events: self.events.clone() }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// With `displace`, every other profile goes.
    Subscribe {
        wish: Wish,
        displace: bool,
    },
    Unsubscribe {
        profile: Option<Arc<str>>,
    },
}

/// The wanted subscriptions in the order they were asked for, which is the order they are asked for again.
///
/// A change counts from its command on. Should the server refuse it, it never was: "one that is refused changes nothing"
/// (`protocol.md`, Subscriptions and filtering). So changes whose request has not ended are kept beside what they change.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    settled: Vec<Wish>,
    changes: VecDeque<(RequestId, Change, Progress)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Open,
    Settled,
}

impl Wanted {
    pub(crate) fn change(&mut self, request: RequestId, change: Change) {
        self.changes.push_back((request, change, Progress::Open));
    }

    /// The request ended in another way than by a refusal: the change stays.
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

    /// The request was refused: the change never was.
    pub(crate) fn withdraw(&mut self, request: RequestId) {
        self.changes.retain(|(id, _, _)| *id != request);
        // What waited behind it may be settled already.
        self.settle(request);
    }

    /// It turned out that the server replaces the whole set with this one.
    pub(crate) fn displace(&mut self, request: RequestId) {
        for (id, change, _) in &mut self.changes {
            if let Change::Subscribe { displace, .. } = change
                && *id == request
            {
                *displace = true;
            }
        }
    }

    /// Drops all settled wishes but the last, and hands them out.
    pub(crate) fn keep_last(&mut self) -> Vec<Wish> {
        let last = self.settled.len().saturating_sub(1);
        self.settled.drain(..last).collect()
    }

    /// The wishes without the changes whose requests are under way.
    pub(crate) fn settled(&self) -> &[Wish] {
        &self.settled
    }

    /// The wishes with every change.
    pub(crate) fn current(&self) -> Vec<Wish> {
        let mut wishes = self.settled.clone();
        for (_, change, _) in &self.changes {
            apply(&mut wishes, change);
        }
        wishes
    }
}

fn apply(wishes: &mut Vec<Wish>, change: &Change) {
    match change {
        Change::Subscribe { wish, displace } => {
            if *displace {
                wishes.retain(|other| other.profile == wish.profile);
            }
            match wishes.iter_mut().find(|other| other.profile == wish.profile) {
                Some(other) => other.events = wish.events.clone(),
                None => wishes.push(wish.clone()),
            }
        }
        Change::Unsubscribe { profile: Some(profile) } => wishes.retain(|wish| wish.profile != *profile),
        Change::Unsubscribe { profile: None } => wishes.clear(),
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
        Change::Subscribe { wish: Wish { profile: profile.into(), events: EventNames::every() }, displace }
    }

    fn profiles(wanted: &Wanted) -> Vec<Arc<str>> {
        wanted.current().into_iter().map(|wish| wish.profile).collect()
    }

    #[test]
    fn a_change_counts_at_once_and_a_refused_one_never_was() {
        let mut wanted = Wanted::default();
        wanted.change(id(1), subscribe("a", false));
        wanted.change(id(2), subscribe("b", true));
        wanted.change(id(3), subscribe("c", false));
        assert_eq!(profiles(&wanted), ["b".into(), "c".into()]);
        wanted.settle(id(3));
        wanted.settle(id(1));
        wanted.withdraw(id(2));
        assert_eq!(profiles(&wanted), ["a".into(), "c".into()]);
        assert_eq!(wanted.settled().len(), 2);
        assert!(wanted.changes.is_empty());
    }

    #[test]
    fn wishes_keep_the_order_they_were_first_asked_in() {
        let mut wanted = Wanted::default();
        for (number, profile) in ["z", "a", "m", "z"].into_iter().enumerate() {
            let id = id(number as u64 + 1);
            wanted.change(id, subscribe(profile, false));
            wanted.settle(id);
        }
        assert_eq!(profiles(&wanted), ["z".into(), "a".into(), "m".into()]);
        wanted.change(id(9), Change::Unsubscribe { profile: Some("a".into()) });
        assert_eq!(profiles(&wanted), ["z".into(), "m".into()]);
        wanted.change(id(10), Change::Unsubscribe { profile: None });
        assert!(profiles(&wanted).is_empty());
    }
}
