//! The queue of updates that the application has not taken yet.

use std::collections::VecDeque;

use multiwa_ws_core::session::{ClientEvent, JsonError, LifecycleEvent, Spans};

use crate::client::update::Update;

/// What happens to events when the queue is full because the application does not take updates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// Stop reading. Answers to requests are not read either, so requests fail with
    /// [`RequestError::UpdatesUnread`](crate::RequestError::UpdatesUnread) unless another task takes updates. While
    /// reading is paused, the keep-alive ignores the silence of the server. No event is lost, unless the server closes
    /// the connection. While the client closes, it continues to read and drops the newest event.
    #[default]
    Wait,
    /// Drop the oldest events.
    DropOldest,
    /// Drop the newest event.
    DropNewest,
    /// Close the client.
    Close,
}

/// The limits of the queue of updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    events: usize,
    bytes: usize,
    overflow: Overflow,
}

impl QueueConfig {
    /// The defaults, which each setter documents.
    #[must_use]
    pub const fn new() -> Self {
        Self { events: 1024, bytes: 4 << 20, overflow: Overflow::Wait }
    }

    /// The maximum number of events, 1,024 by default: some seconds of a busy server. The minimum is 1.
    #[must_use]
    pub const fn events(mut self, events: usize) -> Self {
        self.events = events;
        self
    }

    /// The maximum number of bytes, 4 MiB by default: several messages of the maximum default length. The queue counts as
    /// full only when it has reached this limit, so a longer message still fits in an empty queue.
    #[must_use]
    pub const fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// What happens when the queue is full.
    #[must_use]
    pub const fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// A bounded queue of updates. Their texts lie one after the other in one buffer.
///
/// Only messages of the server count as events and can be dropped by the policy. Lifecycle events are always queued, up
/// to the last [`MAX_LIFECYCLE_EVENTS`].
#[derive(Debug)]
pub(super) struct Queue {
    config: QueueConfig,
    items: VecDeque<(Item, usize)>,
    /// The texts of the items, after `read` bytes of items that were taken.
    texts: String,
    read: usize,
    lifecycle: usize,
    dropped: u64,
}

/// The maximum number of queued lifecycle events, enough for about sixty reconnects. Above it the oldest is dropped.
const MAX_LIFECYCLE_EVENTS: usize = 256;

/// The capacity in bytes and items that an empty queue keeps: enough for one read of the connection.
const KEPT: usize = 64 << 10;
const KEPT_ITEMS: usize = 512;

/// An update without its text.
#[derive(Debug)]
pub(in crate::client) enum Item {
    Event(Spans),
    Notification(Spans),
    Unknown(Spans),
    /// The code follows after this many bytes of text.
    Error {
        code: Option<usize>,
    },
    Invalid(JsonError),
    Lifecycle(LifecycleEvent),
}

impl Item {
    /// Converts to the update. `text` is the text that it was queued with.
    pub(in crate::client) fn lend(self, text: &str) -> Update<'_> {
        match self {
            Self::Event(spans) => Update::Event(spans.event(text)),
            Self::Notification(spans) => Update::Notification(spans.message(text)),
            Self::Unknown(spans) => Update::Unknown(spans.message(text)),
            Self::Error { code } => {
                let (error, code) = match code {
                    Some(at) => (text.get(..at), text.get(at..)),
                    None => (Some(text), None),
                };
                Update::Error { error: error.unwrap_or_default().into(), code: code.map(Into::into) }
            }
            Self::Invalid(error) => Update::Invalid(error),
            Self::Lifecycle(lifecycle) => Update::Lifecycle(lifecycle),
        }
    }

    /// Whether the policy may drop this item.
    fn is_droppable(&self) -> bool {
        !matches!(self, Self::Lifecycle(_))
    }
}

impl Queue {
    pub(super) fn new(config: QueueConfig) -> Self {
        Self { config, items: VecDeque::new(), texts: String::new(), read: 0, lifecycle: 0, dropped: 0 }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether reading must pause until the application takes an update.
    pub(super) fn must_wait(&self) -> bool {
        self.config.overflow == Overflow::Wait && self.is_full()
    }

    /// Queues an event. Returns whether the client must close, because the queue is full and the policy is `Close`.
    #[must_use]
    pub(super) fn push(&mut self, event: &ClientEvent<'_>) -> bool {
        if self.is_full() {
            match self.config.overflow {
                Overflow::Wait => {}
                Overflow::DropOldest => while self.is_full() && self.drop_oldest(Item::is_droppable) {},
                Overflow::DropNewest | Overflow::Close => {
                    self.dropped += 1;
                    return self.config.overflow == Overflow::Close;
                }
            }
        }
        match event {
            ClientEvent::Event(event) => self.append(Item::Event(event.spans()), &[event.as_str()]),
            ClientEvent::Notification(message) => {
                self.append(Item::Notification(message.spans()), &[message.as_str()]);
            }
            ClientEvent::Unknown(message) => self.append(Item::Unknown(message.spans()), &[message.as_str()]),
            ClientEvent::Error { error, code: None } => self.append(Item::Error { code: None }, &[error]),
            ClientEvent::Error { error, code: Some(code) } => {
                self.append(Item::Error { code: Some(error.len()) }, &[error, code]);
            }
            ClientEvent::Invalid(error) => self.append(Item::Invalid(*error), &[]),
            // Other events are not queued: results go to the requests, and the session handles the connection ack.
            _ => {}
        }
        false
    }

    pub(super) fn push_lifecycle(&mut self, lifecycle: LifecycleEvent) {
        if self.lifecycle >= MAX_LIFECYCLE_EVENTS {
            self.drop_oldest(|item| matches!(item, Item::Lifecycle(_)));
        }
        self.lifecycle += 1;
        self.append(Item::Lifecycle(lifecycle), &[]);
    }

    /// Takes the oldest update, and replaces `text` with its text.
    pub(super) fn pop(&mut self, text: &mut String) -> Option<Item> {
        let (item, len) = self.items.pop_front()?;
        text.clear();
        text.shrink_to(KEPT);
        text.push_str(self.texts.get(self.read..self.read + len).unwrap_or_default());
        self.forget(&item, len);
        Some(item)
    }

    /// Stops waiting for the application: from now on the newest event is dropped when the queue is full.
    pub(super) fn stop_waiting(&mut self) {
        if self.config.overflow == Overflow::Wait {
            self.config.overflow = Overflow::DropNewest;
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self { dropped: self.dropped, ..Self::new(self.config) };
    }

    fn is_full(&self) -> bool {
        let events = self.items.len() - self.lifecycle;
        events >= self.config.events.max(1) || (events > 0 && self.texts.len() - self.read >= self.config.bytes)
    }

    fn append(&mut self, item: Item, texts: &[&str]) {
        let len = texts.iter().map(|text| text.len()).sum();
        // The unread bytes are moved to the front only if at least as many bytes were read, which bounds the cost.
        if self.texts.capacity() - self.texts.len() < len && self.read >= self.texts.len() - self.read {
            self.texts.drain(..self.read);
            self.read = 0;
        }
        texts.iter().for_each(|text| self.texts.push_str(text));
        self.items.push_back((item, len));
    }

    fn drop_oldest(&mut self, is_one: impl Fn(&Item) -> bool) -> bool {
        let Some(at) = self.items.iter().position(|(item, _)| is_one(item)) else { return false };
        let Some((item, len)) = self.items.remove(at) else { return false };
        // Lifecycle events have no text, so the oldest event has the first text.
        self.forget(&item, len);
        self.dropped += 1;
        true
    }

    /// Updates the counters after `item` was removed from the queue.
    fn forget(&mut self, item: &Item, len: usize) {
        self.read += len;
        self.lifecycle -= usize::from(!item.is_droppable());
        if self.items.is_empty() {
            self.texts.clear();
            self.texts.shrink_to(KEPT);
            self.read = 0;
            self.items.shrink_to(KEPT_ITEMS);
        }
    }
}

#[cfg(test)]
mod tests {
    use multiwa_ws_core::session::{DEFAULT_MAX_DEPTH, Envelope};

    use super::*;

    fn text(data: &str) -> String {
        format!(r#"{{"type":"event","payload":{{"event":"e","data":{data}}}}}"#)
    }

    fn push(queue: &mut Queue, data: &str) -> bool {
        let text = text(data);
        let event = Envelope::parse(&text, DEFAULT_MAX_DEPTH).unwrap().into_event().unwrap();
        queue.push(&ClientEvent::Event(event))
    }

    fn drain(queue: &mut Queue) -> Vec<String> {
        let mut text = String::new();
        std::iter::from_fn(|| {
            Some(match queue.pop(&mut text)?.lend(&text) {
                Update::Event(event) => event.data().unwrap().to_owned(),
                Update::Lifecycle(LifecycleEvent::Connecting { attempt }) => format!("attempt {attempt}"),
                Update::Error { error, code } => format!("{error}, {code:?}"),
                _ => "other".to_owned(),
            })
        })
        .collect()
    }

    fn queue(events: usize, overflow: Overflow) -> Queue {
        Queue::new(QueueConfig::new().events(events).overflow(overflow))
    }

    fn filled(overflow: Overflow) -> (Queue, bool) {
        let mut queue = queue(2, overflow);
        assert!(!push(&mut queue, "1"));
        queue.push_lifecycle(LifecycleEvent::Opened);
        assert!(!push(&mut queue, "2"));
        let close = push(&mut queue, "3");
        (queue, close)
    }

    #[test]
    fn a_full_queue_drops_what_its_policy_says_and_never_a_notice() {
        let (mut queue, close) = filled(Overflow::DropOldest);
        assert_eq!((queue.dropped(), close), (1, false));
        assert_eq!(drain(&mut queue), ["other", "2", "3"]);

        let (mut queue, close) = filled(Overflow::DropNewest);
        assert_eq!((queue.dropped(), close), (1, false));
        assert_eq!(drain(&mut queue), ["1", "other", "2"]);

        let (mut queue, close) = filled(Overflow::Close);
        assert_eq!((queue.dropped(), close), (1, true));
        assert_eq!(drain(&mut queue), ["1", "other", "2"]);
    }

    #[test]
    fn a_queue_that_waits_says_so_until_there_is_room() {
        let mut queue = queue(2, Overflow::Wait);
        assert!(!push(&mut queue, "1") && !queue.must_wait());
        assert!(!push(&mut queue, "2") && queue.must_wait());
        assert!(queue.pop(&mut String::new()).is_some() && !queue.must_wait());
    }

    #[test]
    fn a_queue_is_full_at_its_bytes_and_not_before() {
        let one = text("1").len();
        for (bytes, full) in [(2 * one + 1, false), (2 * one, true), (2 * one - 1, true)] {
            let mut queue = Queue::new(QueueConfig::new().bytes(bytes));
            assert!(!push(&mut queue, "1") && !queue.must_wait());
            assert!(!push(&mut queue, "2"));
            assert_eq!(queue.must_wait(), full, "{bytes} bytes");
        }
        // An empty queue accepts any message.
        let mut queue = Queue::new(QueueConfig::new().bytes(0).overflow(Overflow::DropOldest));
        assert!(!push(&mut queue, "1") && !push(&mut queue, "2"));
        assert_eq!((drain(&mut queue), queue.dropped()), (vec!["2".to_owned()], 1));
    }

    #[test]
    fn the_texts_of_a_queue_that_is_never_empty_take_no_more_room_than_they_need() {
        let mut queue = queue(8, Overflow::DropOldest);
        let mut taken = String::new();
        for n in 0..10_000 {
            push(&mut queue, &n.to_string());
            if n % 3 == 0 {
                assert!(queue.pop(&mut taken).is_some());
            }
        }
        assert!(queue.texts.capacity() < 8 * 4 * text("1000").len(), "{}", queue.texts.capacity());
        assert_eq!(drain(&mut queue).last().unwrap(), "9999");
    }

    #[test]
    fn a_queue_that_is_empty_again_keeps_little() {
        let mut queue = queue(usize::MAX, Overflow::Wait);
        let long = format!("\"{}\"", "x".repeat(1 << 20));
        for _ in 0..3 {
            push(&mut queue, &long);
        }
        (0..1_000).for_each(|_| _ = push(&mut queue, "1"));
        let mut taken = String::new();
        while queue.pop(&mut taken).is_some() {}
        assert!(queue.texts.capacity() <= KEPT && queue.items.capacity() <= 2 * KEPT_ITEMS && taken.capacity() <= KEPT);
    }

    #[test]
    fn the_latest_notices_are_kept() {
        let mut queue = queue(2, Overflow::Wait);
        push(&mut queue, "1");
        for attempt in 0..=257 {
            queue.push_lifecycle(LifecycleEvent::Connecting { attempt });
        }
        let kept = drain(&mut queue);
        assert_eq!((kept.len(), kept[0].as_str(), kept[1].as_str()), (257, "1", "attempt 2"));
        assert_eq!(queue.dropped(), 2);
    }

    #[test]
    fn an_error_keeps_its_text_and_its_code() {
        let mut queue = queue(9, Overflow::Wait);
        for code in [None, Some("".into()), Some("c".into())] {
            let _ = queue.push(&ClientEvent::Error { error: "no".into(), code });
        }
        assert_eq!(drain(&mut queue), ["no, None", "no, Some(\"\")", "no, Some(\"c\")"]);
    }
}
