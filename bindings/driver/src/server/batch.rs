//! Consecutive events of one topic, which all their receivers share.

use std::sync::{Arc, OnceLock};

use multiwa_ws_core::session::SubscriptionSet;
use multiwa_ws_core::websocket::SharedMessage;

use crate::lock;
use crate::sync::Mutex;

/// Encoded events of one topic, in the order of their publication.
///
/// A batch grows until its first receiver looks at it. So all receivers get the same events, and an event that is added
/// wakes nobody.
#[derive(Debug)]
pub(super) struct Batch {
    profile: Option<Box<str>>,
    name: Box<str>,
    first_cost: usize,
    /// The events, until a receiver has looked.
    growing: Mutex<Option<Vec<SharedMessage>>>,
    /// The events after that.
    events: OnceLock<Vec<SharedMessage>>,
}

impl Batch {
    /// A batch of one event.
    pub(super) fn new(profile: Option<&str>, name: &str, event: SharedMessage) -> Arc<Self> {
        Arc::new(Self {
            profile: profile.map(Into::into),
            name: name.into(),
            first_cost: cost(&event),
            growing: Mutex::new(Some(vec![event])),
            events: OnceLock::new(),
        })
    }

    /// Whether its events are of this topic.
    pub(super) fn is_of(&self, profile: Option<&str>, name: &str) -> bool {
        self.profile.as_deref() == profile && *self.name == *name
    }

    /// Adds an event. Returns `false` if the batch no longer grows.
    pub(super) fn add(&self, event: &SharedMessage) -> bool {
        lock(&self.growing).as_mut().map(|events| events.push(event.clone())).is_some()
    }

    /// The cost of the first event.
    pub(super) fn first_cost(&self) -> usize {
        self.first_cost
    }

    /// All events. From now on the batch does not grow.
    fn events(&self) -> &[SharedMessage] {
        self.events.get_or_init(|| lock(&self.growing).take().unwrap_or_default())
    }
}

/// The size of an event that counts for the queue limit: its bytes and those of its bookkeeping.
pub(super) fn cost(event: &SharedMessage) -> usize {
    event.len() + 64
}

/// The events of a batch that wait for one receiver. There is at least one.
#[derive(Debug)]
pub(super) struct Portion {
    batch: Arc<Batch>,
    start: usize,
    end: usize,
}

impl Portion {
    /// The first event of a batch. [`settle`](Self::settle) adds the others.
    pub(super) fn of(batch: Arc<Batch>) -> Self {
        Self { batch, start: 0, end: 1 }
    }

    /// Adds the other events of the batch, which stops growing, and returns their cost.
    pub(super) fn settle(&mut self) -> usize {
        let events = self.batch.events();
        self.end = events.len();
        events.iter().skip(1).map(cost).sum()
    }

    /// Whether a client with the subscriptions `set` gets the events.
    pub(super) fn matches(&self, set: &SubscriptionSet) -> bool {
        set.matches(self.batch.profile.as_deref(), &self.batch.name)
    }

    pub(super) fn events(&self) -> &[SharedMessage] {
        self.batch.events().get(self.start..self.end).unwrap_or_default()
    }

    pub(super) fn cost(&self) -> usize {
        self.events().iter().map(cost).sum()
    }

    /// Removes the first `count` events. Returns the others, if there are any.
    pub(super) fn after(mut self, count: usize) -> Option<Self> {
        self.start += count;
        (self.start < self.end).then_some(self)
    }

    /// Keeps the first `count` events. Returns the others, if there are any.
    pub(super) fn split_off(&mut self, count: usize) -> Option<Self> {
        let rest = Self { batch: self.batch.clone(), ..*self }.after(count);
        self.end = self.end.min(self.start + count);
        rest
    }
}
