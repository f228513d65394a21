//! The mailbox of a connection's task: events, and orders of the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use multiwa_ws_core::Instant;
use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::session::SubscriptionSet;

use super::batch::{Batch, Portion, Portions, cost};
use super::wakers::Wakers;
use crate::lock;
use crate::sync::Mutex;

/// What happens to a client that reads more slowly than events are published, when its queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SlowReader {
    /// Close the connection with code 1013 and a reason. The client can reconnect, and knows that it may have missed
    /// events.
    #[default]
    Close,
    /// Drop the oldest queued events to make room for the new one.
    DropOldest,
    /// Drop the new event.
    DropNewest,
}

/// An order of the server to the task of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// From `at` on: deliver the queued events, then start the closing handshake.
    Close { at: Instant, code: CloseCode, reason: &'static str },
    /// Abort the connection at once.
    Abort,
}

/// The queue from other tasks to the task of a connection. Its lock is held only to move a few pointers.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    contents: Mutex<Contents>,
    /// Bytes that the task has taken and not yet written. They count for the queue limit too.
    unwritten: AtomicUsize,
}

#[derive(Debug, Default)]
struct Contents {
    portions: Portions,
    /// The total cost of the events in them.
    cost: usize,
    /// Whether the batch of the last portion may have grown since it was counted.
    grows: bool,
    dropped: u64,
    /// Boxed, because most mailboxes have none.
    order: Option<Box<Order>>,
    /// The mailbox accepts no more events.
    shut: bool,
    /// The waker of the task. It is removed when it is woken, until the task calls `take` again.
    waker: Option<Waker>,
}

/// The contents that a task takes from its mailbox.
#[derive(Debug)]
pub(super) struct Mail {
    pub(super) portions: Portions,
    /// Whether more events are queued.
    pub(super) more: bool,
    pub(super) order: Option<Order>,
}

impl Mailbox {
    /// Queues a batch, if its first event fits into the limit of `max_queued` bytes. Then it returns how many bytes of
    /// events may be added to the batch before the task looks. The waker is added to `wakers`, because the caller may hold
    /// a lock.
    pub(super) fn push(
        &self,
        batch: &Arc<Batch>,
        max_queued: usize,
        policy: SlowReader,
        wakers: &mut Wakers,
    ) -> Option<usize> {
        let mut contents = lock(&self.contents);
        if contents.shut {
            return None;
        }
        contents.settle();
        let room = max_queued.saturating_sub(self.unwritten.load(Ordering::Relaxed));
        let cost = batch.first_cost();
        if policy == SlowReader::DropOldest && cost <= room {
            while contents.cost + cost > room && contents.drop_oldest() {}
        }
        let left = room.checked_sub(contents.cost + cost);
        if left.is_some() {
            contents.cost += cost;
            contents.portions.push_back(Portion::of(batch.clone()));
            contents.grows = true;
        } else {
            contents.overflow(policy);
        }
        wakers.add(contents.waker.take());
        left
    }

    /// Queues an order. `Abort` replaces `Close`, and an earlier `Close` replaces a later one. The waker is added to
    /// `wakers`.
    pub(super) fn order(&self, order: Order, wakers: &mut Wakers) {
        let mut contents = lock(&self.contents);
        contents.order(order);
        wakers.add(contents.waker.take());
    }

    /// Takes the order, and events up to a total cost of `room`. Registers the task to be woken by the next change.
    pub(super) fn take(&self, cx: &Context<'_>, room: usize) -> Mail {
        // The waker is cloned and dropped without the lock, because it is foreign code.
        let waker = cx.waker().clone();
        let mut contents = lock(&self.contents);
        let replaced = contents.waker.replace(waker);
        contents.settle();
        let (portions, taken) = contents.take(room);
        // This is an upper bound until `note_unwritten` sets the real value.
        self.unwritten.fetch_add(taken, Ordering::Relaxed);
        let mail =
            Mail { portions, more: !contents.portions.is_empty(), order: contents.order.take().map(|order| *order) };
        drop(contents);
        drop(replaced);
        mail
    }

    /// Puts back events that the connection cannot queue yet.
    pub(super) fn put_back(&self, mut portions: Portions) {
        let mut contents = lock(&self.contents);
        if contents.shut {
            return;
        }
        contents.cost += portions.iter().map(Portion::cost).sum::<usize>();
        portions.append(std::mem::take(&mut contents.portions));
        contents.portions = portions;
    }

    /// Applies the policy to an event that does not fit even in an empty queue of the connection.
    pub(super) fn refuse(&self, policy: SlowReader) {
        let mut contents = lock(&self.contents);
        contents.settle();
        contents.overflow(policy);
    }

    /// Sets how many bytes the connection has not written yet.
    pub(super) fn note_unwritten(&self, bytes: usize) {
        self.unwritten.store(bytes, Ordering::Relaxed);
    }

    /// Drops queued events that do not match `set`, the new subscriptions of the client.
    pub(super) fn retain(&self, set: &SubscriptionSet) {
        let mut contents = lock(&self.contents);
        contents.settle();
        let Contents { portions, cost, .. } = &mut *contents;
        portions.retain(|portion| {
            let desired = portion.matches(set);
            if !desired {
                *cost -= portion.cost();
            }
            desired
        });
    }

    /// Drops all queued events and accepts no more.
    pub(super) fn shut(&self) {
        lock(&self.contents).shut();
    }

    /// The number of events that were dropped because the client was too slow.
    pub(super) fn dropped(&self) -> u64 {
        lock(&self.contents).dropped
    }
}

impl Contents {
    /// Counts the events that were added to the last batch. It stops growing.
    fn settle(&mut self) {
        if std::mem::take(&mut self.grows)
            && let Some(last) = self.portions.last_mut()
        {
            self.cost += last.settle();
        }
    }

    /// Takes events up to a total cost of `room`, and returns them with their cost.
    fn take(&mut self, room: usize) -> (Portions, usize) {
        if self.cost <= room {
            return (std::mem::take(&mut self.portions), std::mem::take(&mut self.cost));
        }
        let mut portions = Portions::default();
        let mut taken = 0;
        while taken < room
            && let Some(mut portion) = self.portions.pop_front()
        {
            let mut count = 0;
            for event in portion.events() {
                if taken < room {
                    taken += cost(event);
                    count += 1;
                }
            }
            if let Some(rest) = portion.split_off(count) {
                self.portions.push_front(rest);
            }
            portions.push_back(portion);
        }
        self.cost -= taken;
        (portions, taken)
    }

    fn drop_oldest(&mut self) -> bool {
        let Some(oldest) = self.portions.pop_front() else { return false };
        self.cost -= oldest.events().first().map_or(0, cost);
        if let Some(others) = oldest.after(1) {
            self.portions.push_front(others);
        }
        self.dropped += 1;
        true
    }

    /// Applies the policy to an event that does not fit.
    fn overflow(&mut self, policy: SlowReader) {
        self.dropped += 1;
        if policy == SlowReader::Close {
            self.dropped += self.portions.iter().map(|portion| portion.events().len() as u64).sum::<u64>();
            self.shut();
            let reason = "events were published faster than they were read";
            self.order(Order::Close { at: Instant::default(), code: CloseCode::TRY_AGAIN_LATER, reason });
        }
    }

    fn shut(&mut self) {
        self.shut = true;
        self.grows = false;
        self.cost = 0;
        self.portions = Portions::default();
    }

    fn order(&mut self, order: Order) {
        let stands = match (self.order.as_deref(), order) {
            (Some(Order::Abort), _) => true,
            (Some(Order::Close { at: earlier, .. }), Order::Close { at, .. }) => *earlier <= at,
            (_, Order::Abort) | (None, _) => false,
        };
        if !stands {
            self.order = Some(Box::new(order));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use multiwa_ws_core::session::EventNames;
    use multiwa_ws_core::websocket::SharedMessage;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Count {
        fn get(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    /// An event of 100 bytes including the bookkeeping, whose text begins with `mark`.
    fn event(mark: &str) -> SharedMessage {
        SharedMessage::text(&format!("{mark:.<36}"))
    }

    /// A batch of one such event of this profile, which is its mark.
    fn batch(profile: &str) -> Arc<Batch> {
        Batch::new(Some(profile), "x", event(profile))
    }

    /// The marks of the events.
    fn marks(mail: &Mail) -> Vec<String> {
        let events = mail.portions.iter().flat_map(|portion| portion.events());
        events.map(|event| String::from_utf8(event.payload().into()).unwrap().replace('.', "")).collect()
    }

    fn push(mailbox: &Mailbox, batch: &Arc<Batch>, max_queued: usize, policy: SlowReader) -> Option<usize> {
        let mut wakers = Wakers::new();
        let left = mailbox.push(batch, max_queued, policy, &mut wakers);
        wakers.wake();
        left
    }

    /// Queues a batch of one event, which nothing is added to.
    fn push_one(mailbox: &Mailbox, profile: &str, max_queued: usize, policy: SlowReader) -> bool {
        push(mailbox, &batch(profile), max_queued, policy).is_some()
    }

    fn order(mailbox: &Mailbox, order: Order) {
        let mut wakers = Wakers::new();
        mailbox.order(order, &mut wakers);
        wakers.wake();
    }

    fn take(mailbox: &Mailbox, room: usize) -> Mail {
        mailbox.take(&Context::from_waker(Waker::noop()), room)
    }

    #[test]
    fn a_mailbox_holds_its_bound_and_not_one_byte_more() {
        for (bound, held) in [(99, 0), (100, 1), (299, 2), (300, 3)] {
            let mailbox = Mailbox::default();
            let pushed = (0..5).filter(|_| push_one(&mailbox, "p", bound, SlowReader::DropNewest)).count();
            assert_eq!((pushed, mailbox.dropped()), (held, 5 - held as u64), "{bound}");
        }
    }

    #[test]
    fn what_is_not_yet_written_counts_for_the_bound() {
        let mailbox = Mailbox::default();
        let push_one = || push_one(&mailbox, "p", 200, SlowReader::DropNewest);
        assert!(push_one() && push_one() && !push_one());
        assert_eq!(marks(&take(&mailbox, usize::MAX)).len(), 2);
        assert!(!push_one());
        mailbox.note_unwritten(100);
        assert!(push_one() && !push_one());
    }

    #[test]
    fn the_oldest_go_when_the_policy_says_so() {
        let mailbox = Mailbox::default();
        for profile in ["a", "b", "c", "d"] {
            assert!(push_one(&mailbox, profile, 200, SlowReader::DropOldest));
        }
        assert_eq!(marks(&take(&mailbox, usize::MAX)), ["c", "d"]);
        assert_eq!(mailbox.dropped(), 2);
        // It would not fit even in an empty mailbox beside the unwritten bytes.
        assert!(!push_one(&mailbox, "e", 250, SlowReader::DropOldest));
    }

    #[test]
    fn an_overflow_closes_and_forgets_when_the_policy_says_so() {
        let mailbox = Mailbox::default();
        let push_one = || push_one(&mailbox, "p", 100, SlowReader::Close);
        assert!(push_one() && !push_one() && !push_one());
        let mail = take(&mailbox, usize::MAX);
        assert!(mail.portions.is_empty() && !mail.more);
        assert!(matches!(mail.order, Some(Order::Close { code: CloseCode::TRY_AGAIN_LATER, .. })));
        assert_eq!(mailbox.dropped(), 2);
    }

    #[test]
    fn a_take_stops_at_its_room_and_what_is_put_back_comes_first() {
        let mailbox = Mailbox::default();
        for profile in ["a", "b", "c"] {
            push_one(&mailbox, profile, 1_000, SlowReader::Close);
        }
        assert!(take(&mailbox, 0).portions.is_empty());
        let mail = take(&mailbox, 101);
        assert_eq!((marks(&mail), mail.more), (["a", "b"].map(String::from).into(), true));
        mailbox.put_back(mail.portions);
        let mail = take(&mailbox, usize::MAX);
        assert_eq!((marks(&mail), mail.more), (["a", "b", "c"].map(String::from).into(), false));
    }

    #[test]
    fn only_what_is_still_subscribed_to_stays() {
        let mailbox = Mailbox::default();
        for profile in ["a", "b", "a"] {
            push_one(&mailbox, profile, 300, SlowReader::DropNewest);
        }
        let mut set = SubscriptionSet::default();
        set.add("b", EventNames::every());
        mailbox.retain(&set);
        // The room of the dropped events is free again.
        assert!(push_one(&mailbox, "b", 200, SlowReader::DropNewest));
        assert_eq!(marks(&take(&mailbox, usize::MAX)), ["b", "b"]);
    }

    #[test]
    fn the_task_is_woken_once_until_it_looks() {
        let mailbox = Mailbox::default();
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let look = || mailbox.take(&Context::from_waker(&waker), usize::MAX);
        look();
        assert_eq!(count.get(), 0);
        for _ in 0..3 {
            push_one(&mailbox, "p", 1_000, SlowReader::Close);
        }
        assert_eq!(count.get(), 1);
        look();
        order(&mailbox, Order::Abort);
        assert_eq!(count.get(), 2);
    }

    #[test]
    fn a_batch_grows_until_a_task_looks() {
        let (one, other) = (Mailbox::default(), Mailbox::default());
        let batch = batch("a");
        for mailbox in [&one, &other] {
            assert_eq!(push(mailbox, &batch, 350, SlowReader::DropNewest), Some(250));
        }
        assert!(batch.add(&event("b")) && batch.add(&event("c")));
        // A look takes nothing if there is no room, and ends the growth all the same.
        assert!(take(&one, 0).portions.is_empty());
        assert!(!batch.add(&event("d")));
        for mailbox in [&one, &other] {
            // What was added counts.
            assert!(!push_one(mailbox, "e", 350, SlowReader::DropNewest));
            assert_eq!(marks(&take(mailbox, usize::MAX)), ["a", "b", "c"]);
            mailbox.note_unwritten(0);
            assert!(push_one(mailbox, "e", 100, SlowReader::DropNewest));
        }
    }

    /// A mailbox with a batch of the events `a`, `b` and `c`.
    fn with_three() -> Mailbox {
        let mailbox = Mailbox::default();
        let batch = batch("a");
        assert!(push(&mailbox, &batch, 1_000, SlowReader::DropNewest).is_some());
        assert!(batch.add(&event("b")) && batch.add(&event("c")));
        mailbox
    }

    #[test]
    fn a_batch_is_taken_and_put_back_in_parts() {
        let mailbox = with_three();
        let mail = take(&mailbox, 101);
        assert_eq!((marks(&mail), mail.more), (["a", "b"].map(String::from).into(), true));
        let mut portions = mail.portions;
        let rest = portions.pop_front().and_then(|portion| portion.after(1)).unwrap();
        portions.push_front(rest);
        mailbox.put_back(portions);
        assert!(push_one(&mailbox, "d", 1_000, SlowReader::DropNewest));
        assert_eq!(marks(&take(&mailbox, 1)), ["b"]);
        let mail = take(&mailbox, usize::MAX);
        assert_eq!((marks(&mail), mail.more), (["c", "d"].map(String::from).into(), false));
    }

    #[test]
    fn each_event_of_a_batch_counts_for_the_bound_and_as_dropped() {
        let mailbox = with_three();
        assert!(push_one(&mailbox, "d", 300, SlowReader::DropOldest));
        assert_eq!(
            (marks(&take(&mailbox, usize::MAX)), mailbox.dropped()),
            (["b", "c", "d"].map(String::from).into(), 1)
        );
        let mailbox = with_three();
        assert!(!push_one(&mailbox, "d", 399, SlowReader::Close));
        assert_eq!((marks(&take(&mailbox, usize::MAX)).len(), mailbox.dropped()), (0, 4));
        let mailbox = with_three();
        mailbox.refuse(SlowReader::Close);
        assert_eq!(mailbox.dropped(), 4);
        let mailbox = with_three();
        mailbox.retain(&SubscriptionSet::default());
        assert!(take(&mailbox, 0).portions.is_empty());
        assert!(push_one(&mailbox, "d", 100, SlowReader::DropNewest));
    }

    #[test]
    fn the_harsher_or_earlier_order_counts() {
        let close = |nanos, reason| Order::Close { at: Instant::from_nanos(nanos), code: CloseCode::NORMAL, reason };
        for (orders, counts) in [
            ([close(1, "a"), close(1, "b")], close(1, "a")),
            ([close(2, "a"), close(1, "b")], close(1, "b")),
            ([close(1, "a"), Order::Abort], Order::Abort),
            ([Order::Abort, close(1, "a")], Order::Abort),
        ] {
            let mailbox = Mailbox::default();
            for order in orders {
                self::order(&mailbox, order);
            }
            assert_eq!(take(&mailbox, 0).order, Some(counts));
        }
    }
}
