//! What waits for one connection's task: publications, and orders of the server.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use multiwa_ws_core::Instant;
use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::session::SubscriptionSet;
use multiwa_ws_core::websocket::SharedMessage;

use crate::lock;

/// What happens to a client that reads more slowly than events are published for it, once its queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SlowReader {
    /// It is closed with 1013 and a reason, and can come back: it never misses an event without knowing.
    #[default]
    Close,
    /// The oldest events that wait are dropped for the new one.
    DropOldest,
    /// The new event is dropped.
    DropNewest,
}

/// An event as it is sent, once for all its receivers.
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

    /// What it counts for in a queue: its bytes and those of the bookkeeping.
    fn cost(&self) -> usize {
        self.message.len() + 64
    }
}

/// An order of the server to the task of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Deliver what waits, then begin the closing handshake; from `at` on.
    Close { at: Instant, code: CloseCode, reason: &'static str },
    /// End at once.
    Abort,
}

/// The place where other tasks leave things for the task of a connection. They wait for its lock at most as long as
/// somebody moves a few pointers.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    inbox: Mutex<Inbox>,
    /// Bytes that the task has taken and not yet written: they count for the bound, too.
    unwritten: AtomicUsize,
}

#[derive(Debug, Default)]
struct Inbox {
    publications: VecDeque<Arc<Publication>>,
    /// What the publications cost together.
    cost: usize,
    dropped: u64,
    order: Option<Order>,
    /// Nothing more is taken in.
    shut: bool,
    /// Gone once it was woken, until the task looks here again.
    waker: Option<Waker>,
}

/// What a task finds in its mailbox.
#[derive(Debug)]
pub(super) struct Mail {
    pub(super) publications: VecDeque<Arc<Publication>>,
    /// More publications wait.
    pub(super) more: bool,
    pub(super) order: Option<Order>,
}

impl Mailbox {
    /// Leaves a publication, as far as `max_queued` bytes go, and says whether it was taken in.
    pub(super) fn push(&self, publication: &Arc<Publication>, max_queued: usize, policy: SlowReader) -> bool {
        let mut inbox = lock(&self.inbox);
        if inbox.shut {
            return false;
        }
        let room = max_queued.saturating_sub(self.unwritten.load(Ordering::Relaxed));
        let cost = publication.cost();
        if policy == SlowReader::DropOldest && cost <= room {
            while inbox.cost + cost > room && inbox.drop_oldest() {}
        }
        let fits = inbox.cost + cost <= room;
        if fits {
            inbox.cost += cost;
            inbox.publications.push_back(publication.clone());
        } else {
            inbox.overflow(policy);
        }
        let waker = inbox.waker.take();
        drop(inbox);
        if let Some(waker) = waker {
            waker.wake();
        }
        fits
    }

    /// Leaves an order. The harsher or earlier one counts.
    pub(super) fn order(&self, order: Order) {
        let mut inbox = lock(&self.inbox);
        inbox.order(order);
        let waker = inbox.waker.take();
        drop(inbox);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes the order, and publications until they cost `room`; from now on news wake the task.
    pub(super) fn take(&self, cx: &Context<'_>, room: usize) -> Mail {
        let mut inbox = lock(&self.inbox);
        match &mut inbox.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        let mut taken = 0;
        let mut count = 0;
        while let Some(publication) = inbox.publications.get(count)
            && taken < room
        {
            taken += publication.cost();
            count += 1;
        }
        inbox.cost -= taken;
        let publications = if count == inbox.publications.len() {
            std::mem::take(&mut inbox.publications)
        } else {
            inbox.publications.drain(..count).collect()
        };
        // Until `note_unwritten` says what is left of them.
        self.unwritten.fetch_add(taken, Ordering::Relaxed);
        Mail { publications, more: !inbox.publications.is_empty(), order: inbox.order.take() }
    }

    /// Puts back what was taken and cannot be queued on the connection yet.
    pub(super) fn put_back(&self, mut publications: VecDeque<Arc<Publication>>) {
        let mut inbox = lock(&self.inbox);
        if inbox.shut {
            return;
        }
        inbox.cost += publications.iter().map(|publication| publication.cost()).sum::<usize>();
        publications.append(&mut inbox.publications);
        inbox.publications = publications;
    }

    /// A publication was taken that does not fit the connection's queue even when that is empty.
    pub(super) fn refuse(&self, policy: SlowReader) {
        lock(&self.inbox).overflow(policy);
    }

    /// How many bytes the connection has yet to write.
    pub(super) fn note_unwritten(&self, bytes: usize) {
        self.unwritten.store(bytes, Ordering::Relaxed);
    }

    /// Drops what waits and does not match `set`, which the client subscribes to from now on.
    pub(super) fn retain(&self, set: &SubscriptionSet) {
        let mut inbox = lock(&self.inbox);
        let Inbox { publications, cost, .. } = &mut *inbox;
        publications.retain(|publication| {
            let wanted = set.matches(publication.profile.as_deref(), &publication.name);
            if !wanted {
                *cost -= publication.cost();
            }
            wanted
        });
    }

    /// Drops what waits and takes nothing more in.
    pub(super) fn shut(&self) {
        lock(&self.inbox).shut();
    }

    /// How many publications were dropped because the client was too slow.
    pub(super) fn dropped(&self) -> u64 {
        lock(&self.inbox).dropped
    }
}

impl Inbox {
    fn drop_oldest(&mut self) -> bool {
        let Some(oldest) = self.publications.pop_front() else { return false };
        self.cost -= oldest.cost();
        self.dropped += 1;
        true
    }

    /// One publication is not taken in.
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
