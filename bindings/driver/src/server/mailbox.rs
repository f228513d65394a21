//! The mailbox of a connection's task: publications, and orders of the server.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use multiwa_ws_core::Instant;
use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::session::SubscriptionSet;
use multiwa_ws_core::websocket::SharedMessage;

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

/// An encoded event, shared by all its receivers.
#[derive(Debug)]
pub(super) struct Publication {
    pub(super) message: SharedMessage,
    profile: Option<Box<str>>,
    name: Box<str>,
}

impl Publication {
    pub(super) fn new(profile: Option<&str>, name: &str, message: SharedMessage) -> Self {
        Self { message, profile: profile.map(Into::into), name: name.into() }
    }

    /// The size that counts for the queue limit: the bytes of the event and of its bookkeeping.
    fn cost(&self) -> usize {
        self.message.len() + 64
    }
}

/// An order of the server to the task of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// From `at` on: deliver the queued publications, then start the closing handshake.
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
    publications: VecDeque<Arc<Publication>>,
    /// The total cost of the publications.
    cost: usize,
    dropped: u64,
    order: Option<Order>,
    /// The mailbox accepts no more publications.
    shut: bool,
    /// The waker of the task. It is removed when it is woken, until the task calls `take` again.
    waker: Option<Waker>,
}

/// The contents that a task takes from its mailbox.
#[derive(Debug)]
pub(super) struct Mail {
    pub(super) publications: VecDeque<Arc<Publication>>,
    /// Whether more publications are queued.
    pub(super) more: bool,
    pub(super) order: Option<Order>,
}

impl Mailbox {
    /// Queues a publication, up to the limit of `max_queued` bytes, and returns whether it was queued. The waker is added
    /// to `wakers`, because the caller may hold a lock.
    pub(super) fn push(
        &self,
        publication: &Arc<Publication>,
        max_queued: usize,
        policy: SlowReader,
        wakers: &mut Wakers,
    ) -> bool {
        let mut contents = lock(&self.contents);
        if contents.shut {
            return false;
        }
        let room = max_queued.saturating_sub(self.unwritten.load(Ordering::Relaxed));
        let cost = publication.cost();
        if policy == SlowReader::DropOldest && cost <= room {
            while contents.cost + cost > room && contents.drop_oldest() {}
        }
        let fits = contents.cost + cost <= room;
        if fits {
            contents.cost += cost;
            contents.publications.push_back(publication.clone());
        } else {
            contents.overflow(policy);
        }
        wakers.add(contents.waker.take());
        fits
    }

    /// Queues an order. `Abort` replaces `Close`, and an earlier `Close` replaces a later one. The waker is added to
    /// `wakers`.
    pub(super) fn order(&self, order: Order, wakers: &mut Wakers) {
        let mut contents = lock(&self.contents);
        contents.order(order);
        wakers.add(contents.waker.take());
    }

    /// Takes the order, and publications up to a total cost of `room`. Registers the task to be woken by the next change.
    pub(super) fn take(&self, cx: &Context<'_>, room: usize) -> Mail {
        let mut replaced = None;
        let mut contents = lock(&self.contents);
        if !contents.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            // The waker is cloned and dropped without the lock, because it is foreign code.
            drop(contents);
            let waker = cx.waker().clone();
            contents = lock(&self.contents);
            replaced = contents.waker.replace(waker);
        }
        let mut taken = 0;
        let mut count = 0;
        while let Some(publication) = contents.publications.get(count)
            && taken < room
        {
            taken += publication.cost();
            count += 1;
        }
        contents.cost -= taken;
        let publications = if count == contents.publications.len() {
            std::mem::take(&mut contents.publications)
        } else {
            contents.publications.drain(..count).collect()
        };
        // This is an upper bound until `note_unwritten` sets the real value.
        self.unwritten.fetch_add(taken, Ordering::Relaxed);
        let mail = Mail { publications, more: !contents.publications.is_empty(), order: contents.order.take() };
        drop(contents);
        drop(replaced);
        mail
    }

    /// Puts back publications that the connection cannot queue yet.
    pub(super) fn put_back(&self, mut publications: VecDeque<Arc<Publication>>) {
        let mut contents = lock(&self.contents);
        if contents.shut {
            return;
        }
        contents.cost += publications.iter().map(|publication| publication.cost()).sum::<usize>();
        publications.append(&mut contents.publications);
        contents.publications = publications;
    }

    /// Applies the policy to a publication that does not fit even in an empty queue of the connection.
    pub(super) fn refuse(&self, policy: SlowReader) {
        lock(&self.contents).overflow(policy);
    }

    /// Sets how many bytes the connection has not written yet.
    pub(super) fn note_unwritten(&self, bytes: usize) {
        self.unwritten.store(bytes, Ordering::Relaxed);
    }

    /// Drops queued publications that do not match `set`, the new subscriptions of the client.
    pub(super) fn retain(&self, set: &SubscriptionSet) {
        let mut contents = lock(&self.contents);
        let Contents { publications, cost, .. } = &mut *contents;
        publications.retain(|publication| {
            let desired = set.matches(publication.profile.as_deref(), &publication.name);
            if !desired {
                *cost -= publication.cost();
            }
            desired
        });
    }

    /// Drops all queued publications and accepts no more.
    pub(super) fn shut(&self) {
        lock(&self.contents).shut();
    }

    /// The number of publications that were dropped because the client was too slow.
    pub(super) fn dropped(&self) -> u64 {
        lock(&self.contents).dropped
    }
}

impl Contents {
    fn drop_oldest(&mut self) -> bool {
        let Some(oldest) = self.publications.pop_front() else { return false };
        self.cost -= oldest.cost();
        self.dropped += 1;
        true
    }

    /// Applies the policy to a publication that does not fit.
    fn overflow(&mut self, policy: SlowReader) {
        self.dropped += 1;
        if policy == SlowReader::Close {
            self.dropped += self.publications.len() as u64;
            self.shut();
            let reason = "events were published faster than they were read";
            self.order(Order::Close { at: Instant::default(), code: CloseCode::TRY_AGAIN_LATER, reason });
        }
    }

    fn shut(&mut self) {
        self.shut = true;
        self.cost = 0;
        self.publications = VecDeque::new();
    }

    fn order(&mut self, order: Order) {
        let stands = match (self.order, order) {
            (Some(Order::Abort), _) => true,
            (Some(Order::Close { at: earlier, .. }), Order::Close { at, .. }) => earlier <= at,
            (_, Order::Abort) | (None, _) => false,
        };
        if !stands {
            self.order = Some(order);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use multiwa_ws_core::session::EventNames;

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

    /// 100 bytes including the bookkeeping.
    fn publication(profile: &str) -> Arc<Publication> {
        Arc::new(Publication::new(Some(profile), "x", SharedMessage::text(&"e".repeat(36))))
    }

    fn profiles(mail: &Mail) -> Vec<&str> {
        mail.publications.iter().filter_map(|publication| publication.profile.as_deref()).collect()
    }

    fn push(mailbox: &Mailbox, publication: &Arc<Publication>, max_queued: usize, policy: SlowReader) -> bool {
        let mut wakers = Wakers::new();
        let fits = mailbox.push(publication, max_queued, policy, &mut wakers);
        wakers.wake();
        fits
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
            let pushed = (0..5).filter(|_| push(&mailbox, &publication("p"), bound, SlowReader::DropNewest)).count();
            assert_eq!((pushed, mailbox.dropped()), (held, 5 - held as u64), "{bound}");
        }
    }

    #[test]
    fn what_is_not_yet_written_counts_for_the_bound() {
        let mailbox = Mailbox::default();
        let push_one = || push(&mailbox, &publication("p"), 200, SlowReader::DropNewest);
        assert!(push_one() && push_one() && !push_one());
        assert_eq!(take(&mailbox, usize::MAX).publications.len(), 2);
        assert!(!push_one());
        mailbox.note_unwritten(100);
        assert!(push_one() && !push_one());
    }

    #[test]
    fn the_oldest_go_when_the_policy_says_so() {
        let mailbox = Mailbox::default();
        for profile in ["a", "b", "c", "d"] {
            assert!(push(&mailbox, &publication(profile), 200, SlowReader::DropOldest));
        }
        assert_eq!(profiles(&take(&mailbox, usize::MAX)), ["c", "d"]);
        assert_eq!(mailbox.dropped(), 2);
        // It would not fit even in an empty mailbox beside the unwritten bytes.
        assert!(!push(&mailbox, &publication("e"), 250, SlowReader::DropOldest));
    }

    #[test]
    fn an_overflow_closes_and_forgets_when_the_policy_says_so() {
        let mailbox = Mailbox::default();
        let push_one = || push(&mailbox, &publication("p"), 100, SlowReader::Close);
        assert!(push_one() && !push_one() && !push_one());
        let mail = take(&mailbox, usize::MAX);
        assert!(mail.publications.is_empty() && !mail.more);
        assert!(matches!(mail.order, Some(Order::Close { code: CloseCode::TRY_AGAIN_LATER, .. })));
        assert_eq!(mailbox.dropped(), 2);
    }

    #[test]
    fn a_take_stops_at_its_room_and_what_is_put_back_comes_first() {
        let mailbox = Mailbox::default();
        for profile in ["a", "b", "c"] {
            push(&mailbox, &publication(profile), 1_000, SlowReader::Close);
        }
        assert!(take(&mailbox, 0).publications.is_empty());
        let mail = take(&mailbox, 101);
        assert_eq!((profiles(&mail), mail.more), (vec!["a", "b"], true));
        mailbox.put_back(mail.publications);
        let mail = take(&mailbox, usize::MAX);
        assert_eq!((profiles(&mail), mail.more), (vec!["a", "b", "c"], false));
    }

    #[test]
    fn only_what_is_still_subscribed_to_stays() {
        let mailbox = Mailbox::default();
        for profile in ["a", "b", "a"] {
            push(&mailbox, &publication(profile), 300, SlowReader::DropNewest);
        }
        let mut set = SubscriptionSet::default();
        set.add("b", EventNames::every());
        mailbox.retain(&set);
        // The room of the dropped publications is free again.
        assert!(push(&mailbox, &publication("b"), 200, SlowReader::DropNewest));
        assert_eq!(profiles(&take(&mailbox, usize::MAX)), ["b", "b"]);
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
            push(&mailbox, &publication("p"), 1_000, SlowReader::Close);
        }
        assert_eq!(count.get(), 1);
        look();
        order(&mailbox, Order::Abort);
        assert_eq!(count.get(), 2);
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
