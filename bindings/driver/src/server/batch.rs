//! Consecutive events of one topic, which all their receivers share.

use std::collections::VecDeque;
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
    start: u32,
    end: u32,
}

impl Portion {
    /// The first event of a batch. [`settle`](Self::settle) adds the others.
    pub(super) fn of(batch: Arc<Batch>) -> Self {
        Self { batch, start: 0, end: 1 }
    }

    /// Adds the other events of the batch, which stops growing, and returns their cost.
    pub(super) fn settle(&mut self) -> usize {
        let events = self.batch.events();
        self.end = index(events.len());
        events.iter().skip(1).map(cost).sum()
    }

    /// Whether a client with the subscriptions `set` gets the events.
    pub(super) fn matches(&self, set: &SubscriptionSet) -> bool {
        set.matches(self.batch.profile.as_deref(), &self.batch.name)
    }

    pub(super) fn events(&self) -> &[SharedMessage] {
        let range = self.start as usize..self.end as usize;
        self.batch.events().get(range).unwrap_or_default()
    }

    pub(super) fn cost(&self) -> usize {
        self.events().iter().map(cost).sum()
    }

    /// Removes the first `count` events. Returns the others, if there are any.
    pub(super) fn after(mut self, count: usize) -> Option<Self> {
        self.start += index(count);
        (self.start < self.end).then_some(self)
    }

    /// Keeps the first `count` events. Returns the others, if there are any.
    pub(super) fn split_off(&mut self, count: usize) -> Option<Self> {
        let rest = Self { batch: self.batch.clone(), ..*self }.after(count);
        self.end = self.end.min(self.start + index(count));
        rest
    }
}

/// The index of an event. A batch has far fewer events than `u32::MAX`, each of which costs at least 64 bytes.
fn index(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

/// Portions in order. A single one, as usual, needs no memory of its own.
#[derive(Debug, Default)]
pub(super) struct Portions {
    first: Option<Portion>,
    /// It is not empty.
    #[expect(clippy::box_collection, reason = "so a mailbox has only a pointer for what it rarely has")]
    later: Option<Box<VecDeque<Portion>>>,
}

impl Portions {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Portion> {
        self.first.iter().chain(self.later.iter().flat_map(|later| later.iter()))
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut Portion> {
        match &mut self.later {
            Some(later) => later.back_mut(),
            None => self.first.as_mut(),
        }
    }

    pub(super) fn push_back(&mut self, portion: Portion) {
        if self.first.is_none() {
            self.first = Some(portion);
        } else {
            self.later.get_or_insert_default().push_back(portion);
        }
    }

    pub(super) fn push_front(&mut self, portion: Portion) {
        if let Some(second) = self.first.replace(portion) {
            self.later.get_or_insert_default().push_front(second);
        }
    }

    pub(super) fn pop_front(&mut self) -> Option<Portion> {
        let first = self.first.take();
        if let Some(later) = &mut self.later {
            self.first = later.pop_front();
            if later.is_empty() {
                self.later = None;
            }
        }
        first
    }

    /// Appends the portions of `others`.
    pub(super) fn append(&mut self, mut others: Self) {
        while let Some(portion) = others.pop_front() {
            self.push_back(portion);
        }
    }

    /// Removes the portions that `keep` does not want.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Portion) -> bool) {
        let mut all = std::mem::take(self);
        while let Some(portion) = all.pop_front() {
            if keep(&portion) {
                self.push_back(portion);
            }
        }
    }
}
