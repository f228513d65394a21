//! The queue of updates that the application has not taken yet.

use multiwa_ws_core::session::{ClientEvent, LifecycleEvent};

use super::batch::{Batch, Item};
use super::lent::Lent;
use crate::buffer::{Input, ReadBuffer};
use crate::sync::Arc;

/// What happens to events when the queue is full because the application does not take updates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// Stop reading. Answers to requests are not read either, so requests fail with
    /// [`RequestError::UpdatesUnread`](crate::RequestError::UpdatesUnread) unless another task takes updates. Reading
    /// continues when half of the queue is free, or with the first update that is taken 100 ms or more after the queue
    /// became full. While reading is paused, the keep-alive ignores the silence of the server. No event is lost, unless
    /// the server closes the connection. While the client closes, it continues to read and drops the newest event.
    #[default]
    Wait,
    /// Drop the oldest events.
    DropOldest,
    /// Drop the newest event.
    DropNewest,
    /// Close the client.
    Close,
}

/// The limits of the queue of updates: of all that the application has not seen yet.
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

/// A bounded queue of updates.
///
/// Only messages of the server count as events and can be dropped by the policy. Lifecycle events are always queued, up
/// to the last [`MAX_LIFECYCLE_EVENTS`].
#[derive(Debug)]
pub(super) struct Queue {
    config: QueueConfig,
    batch: Batch,
    /// The updates that the reader has taken. Its events count, too.
    lent: Arc<Lent>,
    dropped: u64,
}

/// The maximum number of queued lifecycle events, enough for about sixty reconnects. Above it the oldest is dropped.
const MAX_LIFECYCLE_EVENTS: usize = 256;

/// A shorter read is copied: its buffer of 64 KiB would hold little.
const MIN_HANDED_OVER: usize = 4 << 10;

impl Queue {
    pub(super) fn new(config: QueueConfig, lent: Arc<Lent>) -> Self {
        Self { config, batch: Batch::default(), lent, dropped: 0 }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether reading must pause until the application takes an update.
    pub(super) fn must_wait(&self) -> bool {
        self.config.overflow == Overflow::Wait && self.is_full()
    }

    /// Where texts lie that need not be copied, while the bytes in `buffer` are processed. Call
    /// [`adopt`](Self::adopt) after it.
    ///
    /// While earlier events wait, texts are copied. So the queue holds one buffer at most.
    pub(super) fn input(&self, buffer: &ReadBuffer) -> Option<Input> {
        (self.batch.can_adopt() && buffer.len() >= MIN_HANDED_OVER).then(|| Input::new(buffer))
    }

    /// Takes the buffer over if all of it was processed and events lie in it. Returns whether it did.
    pub(super) fn adopt(&mut self, buffer: &mut ReadBuffer) -> bool {
        self.batch.adopt(buffer)
    }

    /// Queues an event. Returns whether the client must close, because the queue is full and the policy is `Close`.
    #[must_use]
    pub(super) fn push(&mut self, event: &ClientEvent<'_>, input: Option<Input>) -> bool {
        if self.is_full() {
            match self.config.overflow {
                Overflow::Wait => {}
                Overflow::DropOldest => {
                    while self.is_full() && self.batch.remove_first(|item| !item.is_lifecycle()) {
                        self.dropped += 1;
                    }
                }
                Overflow::DropNewest | Overflow::Close => {
                    self.dropped += 1;
                    return self.config.overflow == Overflow::Close;
                }
            }
        }
        match event {
            ClientEvent::Event(event) => self.append(Item::Event(event.spans()), event.as_str(), input),
            ClientEvent::Notification(message) => {
                self.append(Item::Notification(message.spans()), message.as_str(), input);
            }
            ClientEvent::Unknown(message) => self.append(Item::Unknown(message.spans()), message.as_str(), input),
            ClientEvent::Error { error, code: None } => self.batch.push(Item::Error { code: None }, &[error]),
            ClientEvent::Error { error, code: Some(code) } => {
                self.batch.push(Item::Error { code: Some(error.len()) }, &[error, code]);
            }
            ClientEvent::Invalid(error) => self.batch.push(Item::Invalid(*error), &[]),
            // Other events are not queued: results go to the requests, and the session handles the connection ack.
            _ => {}
        }
        false
    }

    pub(super) fn push_lifecycle(&mut self, lifecycle: LifecycleEvent) {
        if self.batch.lifecycle_events() >= MAX_LIFECYCLE_EVENTS && self.batch.remove_first(Item::is_lifecycle) {
            self.dropped += 1;
        }
        self.batch.push(Item::Lifecycle(lifecycle), &[]);
    }

    /// Moves updates into `taken`, whose updates the reader has seen: all of them, or one if the policy may have to drop
    /// the oldest.
    pub(super) fn take(&mut self, taken: &mut Batch) {
        taken.clear();
        if self.config.overflow == Overflow::DropOldest {
            self.batch.move_first(taken);
        } else if !self.batch.is_empty() || taken.capacity() > self.batch.capacity() {
            std::mem::swap(&mut self.batch, taken);
        }
        // A reader that waits owns no memory. The queue keeps it for the next read.
        if taken.is_empty() {
            *taken = Batch::default();
        }
    }

    /// Whether events of a buffer that was handed over wait.
    pub(super) fn holds_buffer(&self) -> bool {
        self.batch.holds_buffer()
    }

    /// Frees the memory of an empty queue.
    pub(super) fn release_memory(&mut self) {
        if self.batch.is_empty() {
            self.batch = Batch::default();
        }
    }

    /// Stops waiting for the application: from now on the newest event is dropped when the queue is full.
    pub(super) fn stop_waiting(&mut self) {
        if self.config.overflow == Overflow::Wait {
            self.config.overflow = Overflow::DropNewest;
        }
    }

    pub(super) fn clear(&mut self) {
        self.batch = Batch::default();
    }

    /// Whether at most half of the limits is used.
    pub(super) fn is_half_free(&self) -> bool {
        let (events, bytes) = self.used();
        events <= self.config.events / 2 && (events == 0 || bytes <= self.config.bytes / 2)
    }

    fn is_full(&self) -> bool {
        let (events, bytes) = self.used();
        events >= self.config.events.max(1) || (events > 0 && bytes >= self.config.bytes)
    }

    /// The events that the application has not seen, and the bytes of their texts. With [`Overflow::DropOldest`] the reader
    /// takes one update at a time. That one does not count, since it cannot be dropped.
    fn used(&self) -> (usize, usize) {
        let (events, bytes) = (self.batch.events(), self.batch.bytes());
        match self.config.overflow {
            Overflow::DropOldest => (events, bytes),
            _ => (events + self.lent.events(), bytes + self.lent.bytes()),
        }
    }

    fn append(&mut self, item: Item, text: &str, input: Option<Input>) {
        match input.and_then(|input| input.find(text)) {
            Some((start, len)) => self.batch.push_received(item, start, len),
            None => self.batch.push(item, &[text]),
        }
    }
}

#[cfg(test)]
mod tests {
    use multiwa_ws_core::session::{DEFAULT_MAX_DEPTH, Envelope};

    use super::super::batch::MAX_KEPT;
    use super::*;
    use crate::client::Update;

    fn text(data: &str) -> String {
        format!(r#"{{"type":"event","payload":{{"event":"e","data":{data}}}}}"#)
    }

    fn push(queue: &mut Queue, data: &str) -> bool {
        let text = text(data);
        let event = Envelope::parse(&text, DEFAULT_MAX_DEPTH).unwrap().into_event().unwrap();
        queue.push(&ClientEvent::Event(event), None)
    }

    /// Takes an update as the reader does, and returns what it is.
    fn take(queue: &mut Queue, batch: &mut Batch) -> Option<String> {
        if batch.is_empty() {
            queue.take(batch);
        }
        let item = batch.pop();
        queue.lent.set(batch.events(), batch.bytes(), item.is_some());
        Some(match item?.lend(batch.text()) {
            Update::Event(event) => event.data().unwrap().to_owned(),
            Update::Lifecycle(LifecycleEvent::Connecting { attempt }) => format!("attempt {attempt}"),
            Update::Error { error, code } => format!("{error}, {code:?}"),
            _ => "other".to_owned(),
        })
    }

    fn drain(queue: &mut Queue) -> Vec<String> {
        let mut batch = Batch::default();
        std::iter::from_fn(|| take(queue, &mut batch)).collect()
    }

    fn with(config: QueueConfig) -> Queue {
        Queue::new(config, Arc::default())
    }

    fn queue(events: usize, overflow: Overflow) -> Queue {
        with(QueueConfig::new().events(events).overflow(overflow))
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
    fn a_full_queue_drops_what_its_policy_says_and_never_a_lifecycle_event() {
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
        let mut batch = Batch::default();
        assert_eq!(take(&mut queue, &mut batch).unwrap(), "1");
        assert!(!queue.must_wait());
        // The reader holds the second one. It still counts.
        assert!(!push(&mut queue, "3") && queue.must_wait());
        assert_eq!(take(&mut queue, &mut batch).unwrap(), "2");
        assert!(!queue.must_wait());
    }

    #[test]
    fn what_the_reader_holds_counts_unless_the_oldest_is_dropped() {
        for (overflow, rest, dropped) in [
            (Overflow::DropNewest, &["2", "3"][..], 1),
            (Overflow::Close, &["2", "3"], 1),
            (Overflow::DropOldest, &["3", "4"], 1),
        ] {
            let mut queue = queue(2, overflow);
            assert!(!push(&mut queue, "1") && !push(&mut queue, "2"));
            let mut batch = Batch::default();
            assert_eq!(take(&mut queue, &mut batch).unwrap(), "1");
            assert!(!push(&mut queue, "3"));
            assert_eq!(push(&mut queue, "4"), overflow == Overflow::Close);
            let taken: Vec<_> = std::iter::from_fn(|| take(&mut queue, &mut batch)).collect();
            assert_eq!(
                (&taken[..], queue.dropped()),
                (&rest.iter().map(|&n| n.to_owned()).collect::<Vec<_>>()[..], dropped)
            );
        }
    }

    #[test]
    fn a_queue_is_full_at_its_bytes_and_not_before() {
        let one = text("1").len();
        for (bytes, full) in [(2 * one + 1, false), (2 * one, true), (2 * one - 1, true)] {
            let mut queue = with(QueueConfig::new().bytes(bytes));
            assert!(!push(&mut queue, "1") && !queue.must_wait());
            assert!(!push(&mut queue, "2"));
            assert_eq!(queue.must_wait(), full, "{bytes} bytes");
        }
        // An empty queue accepts any message.
        let mut queue = with(QueueConfig::new().bytes(0).overflow(Overflow::DropOldest));
        assert!(!push(&mut queue, "1") && !push(&mut queue, "2"));
        assert_eq!((drain(&mut queue), queue.dropped()), (vec!["2".to_owned()], 1));
    }

    #[test]
    fn a_queue_that_is_never_empty_takes_no_more_memory_than_it_needs() {
        let mut queue = queue(8, Overflow::DropOldest);
        let mut batch = Batch::default();
        for n in 0..10_000 {
            push(&mut queue, &n.to_string());
            if n % 3 == 0 {
                assert!(take(&mut queue, &mut batch).is_some());
            }
        }
        assert!(queue.batch.capacity() < 8 << 10, "{}", queue.batch.capacity());
        assert_eq!(drain(&mut queue).last().unwrap(), "9999");
    }

    #[test]
    fn a_queue_that_is_empty_again_keeps_little_and_nothing_when_it_is_idle() {
        let mut queue = queue(usize::MAX, Overflow::Wait);
        let long = format!("\"{}\"", "x".repeat(1 << 20));
        for _ in 0..3 {
            push(&mut queue, &long);
        }
        (0..1_000).for_each(|_| _ = push(&mut queue, "1"));
        let mut batch = Batch::default();
        while take(&mut queue, &mut batch).is_some() {}
        assert_eq!(batch.capacity(), 0);
        let kept = queue.batch.capacity();
        assert!(kept > 0 && kept <= MAX_KEPT, "{kept}");
        queue.release_memory();
        assert_eq!(queue.batch.capacity(), 0);
    }

    #[test]
    fn the_latest_lifecycle_events_are_kept() {
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
            let _ = queue.push(&ClientEvent::Error { error: "no".into(), code }, None);
        }
        assert_eq!(drain(&mut queue), ["no, None", "no, Some(\"\")", "no, Some(\"c\")"]);
    }

    /// A read buffer with the texts of these events, and these texts.
    fn read(events: &[&str]) -> (ReadBuffer, Vec<String>) {
        let texts: Vec<_> = events.iter().map(|data| text(data)).collect();
        (ReadBuffer::with(texts.concat().as_bytes()), texts)
    }

    /// Queues what lies in `buffer`, as the driver does, up to `until` events.
    fn receive(queue: &mut Queue, buffer: &mut ReadBuffer, texts: &[String], until: usize) -> bool {
        let input = queue.input(buffer);
        buffer.consume(|bytes| {
            for text in texts.iter().take(until) {
                let (event, rest) = std::mem::take(bytes).split_at_mut(text.len());
                *bytes = rest;
                let event = str::from_utf8(event).unwrap();
                let event = Envelope::parse(event, DEFAULT_MAX_DEPTH).unwrap().into_event().unwrap();
                assert!(!queue.push(&ClientEvent::Event(event), input));
            }
        });
        input.is_some() && queue.adopt(buffer)
    }

    #[test]
    fn events_are_lent_from_the_buffer_into_which_they_were_read() {
        let long = format!("\"{}\"", "x".repeat(MIN_HANDED_OVER));
        let mut queue = queue(9, Overflow::Wait);
        let (mut buffer, texts) = read(&["1", &long, "3"]);
        assert!(receive(&mut queue, &mut buffer, &texts, 3));
        assert!(!buffer.is_held());
        // Text from elsewhere stands in its place between the others.
        push(&mut queue, "4");
        assert!(queue.batch.capacity() < MIN_HANDED_OVER, "they are not copied");
        // An event waits, so the next ones are copied.
        let (mut buffer, texts) = read(&[&long, "6"]);
        assert!(!receive(&mut queue, &mut buffer, &texts, 2));
        assert_eq!(drain(&mut queue), ["1", &long, "3", "4", &long, "6"]);
    }

    #[test]
    fn events_of_a_short_read_or_of_a_buffer_that_is_still_needed_are_copied() {
        let mut queue = queue(9, Overflow::Wait);
        let (mut buffer, texts) = read(&["1", "2"]);
        assert!(!receive(&mut queue, &mut buffer, &texts, 2));
        assert_eq!(drain(&mut queue), ["1", "2"]);

        let long = format!("\"{}\"", "x".repeat(MIN_HANDED_OVER));
        let (mut buffer, texts) = read(&["1", &long, "3"]);
        assert!(!receive(&mut queue, &mut buffer, &texts, 2));
        assert_eq!(buffer.len(), texts[2].len());
        assert!(!receive(&mut queue, &mut buffer, &texts[2..], 1));
        assert_eq!(drain(&mut queue), ["1", &long, "3"]);
    }

    #[test]
    fn the_oldest_events_of_a_buffer_can_be_dropped() {
        let long = format!("\"{}\"", "x".repeat(MIN_HANDED_OVER));
        let mut queue = queue(2, Overflow::DropOldest);
        let (mut buffer, texts) = read(&["1", &long, "3"]);
        assert!(receive(&mut queue, &mut buffer, &texts, 3));
        push(&mut queue, "4");
        assert_eq!((drain(&mut queue), queue.dropped()), (vec!["3".to_owned(), "4".to_owned()], 2));
    }
}
