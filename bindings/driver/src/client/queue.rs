//! What a client has to tell and its application has not taken yet.

use std::collections::VecDeque;

use super::Update;

/// What happens to events while the application does not take them and the queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// Nothing more is read: the server waits, and answers to requests wait with it. Nothing is lost, unless the server
    /// loses patience.
    #[default]
    Wait,
    /// The oldest event is dropped.
    DropOldest,
    /// The newest event is dropped.
    DropNewest,
    /// The client is closed.
    Close,
}

/// A bounded queue of updates. Only events count and can be dropped; what happens to the connection is always told.
#[derive(Debug)]
pub(super) struct Queue {
    updates: VecDeque<Update>,
    events: usize,
    capacity: usize,
    overflow: Overflow,
    dropped: u64,
}

impl Queue {
    pub(super) fn new(capacity: usize, overflow: Overflow) -> Self {
        Self { updates: VecDeque::new(), events: 0, capacity: capacity.max(1), overflow, dropped: 0 }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether reading must pause until the application has taken something.
    pub(super) fn must_wait(&self) -> bool {
        self.overflow == Overflow::Wait && self.events >= self.capacity
    }

    /// Whether the client must close: the queue is full and that is the policy.
    #[must_use]
    pub(super) fn push(&mut self, update: Update) -> bool {
        if !update.is_droppable() {
            self.updates.push_back(update);
            return false;
        }
        if self.events >= self.capacity {
            match self.overflow {
                Overflow::Wait => {}
                Overflow::DropOldest => self.drop_oldest(),
                Overflow::DropNewest => {
                    self.dropped += 1;
                    return false;
                }
                Overflow::Close => {
                    self.dropped += 1;
                    return true;
                }
            }
        }
        self.events += 1;
        self.updates.push_back(update);
        false
    }

    pub(super) fn pop(&mut self) -> Option<Update> {
        let update = self.updates.pop_front()?;
        self.events -= usize::from(update.is_droppable());
        if self.updates.is_empty() {
            self.updates.shrink_to(KEPT);
        }
        Some(update)
    }

    pub(super) fn clear(&mut self) {
        self.updates = VecDeque::new();
        self.events = 0;
    }

    fn drop_oldest(&mut self) {
        if let Some(at) = self.updates.iter().position(Update::is_droppable) {
            self.updates.remove(at);
            self.events -= 1;
            self.dropped += 1;
        }
    }
}

/// Places an empty queue keeps.
const KEPT: usize = 16;

#[cfg(test)]
mod tests {
    use multiwa_ws_core::session::{DEFAULT_MAX_DEPTH, Message, Notice};

    use super::*;

    fn event(n: u32) -> Update {
        let text = format!(r#"{{"type":"event","payload":{{"event":"e","data":{n}}}}}"#);
        let message = Message::parse(&text, DEFAULT_MAX_DEPTH).unwrap().into_owned();
        Update::Event(message.into_event().unwrap())
    }

    fn drain(queue: &mut Queue) -> Vec<String> {
        std::iter::from_fn(|| queue.pop())
            .map(|update| match update {
                Update::Event(event) => event.data().unwrap().to_owned(),
                _ => "notice".to_owned(),
            })
            .collect()
    }

    fn filled(overflow: Overflow) -> (Queue, bool) {
        let mut queue = Queue::new(2, overflow);
        assert!(!queue.push(event(1)));
        assert!(!queue.push(Update::Notice(Notice::Opened)));
        assert!(!queue.push(event(2)));
        let close = queue.push(event(3));
        (queue, close)
    }

    #[test]
    fn a_full_queue_drops_what_its_policy_says_and_never_a_notice() {
        let (mut queue, close) = filled(Overflow::DropOldest);
        assert_eq!((queue.dropped(), close), (1, false));
        assert_eq!(drain(&mut queue), ["notice", "2", "3"]);

        let (mut queue, close) = filled(Overflow::DropNewest);
        assert_eq!((queue.dropped(), close), (1, false));
        assert_eq!(drain(&mut queue), ["1", "notice", "2"]);

        let (mut queue, close) = filled(Overflow::Close);
        assert_eq!((queue.dropped(), close), (1, true));
        assert_eq!(drain(&mut queue), ["1", "notice", "2"]);
    }

    #[test]
    fn a_queue_that_waits_says_so_until_there_is_room() {
        let mut queue = Queue::new(2, Overflow::Wait);
        assert!(!queue.push(event(1)) && !queue.must_wait());
        assert!(!queue.push(event(2)) && queue.must_wait());
        assert!(queue.pop().is_some() && !queue.must_wait());
    }
}
