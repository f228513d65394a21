//! Where what arrives at a client waits for its application.

use std::task::{Poll, Waker};
use std::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::session::{ClientEvent, CloseCause, DisconnectReason, LifecycleEvent, RequestId, RequestOutcome};
use slab::Slab;

use super::QueueConfig;
use super::disconnect::Cause;
use super::queue::{Item, Queue};
use super::request::{Outcome, RequestError, Requests, result_of};
use super::shared::Due;
use crate::sync::SharedWaker;

/// Where what arrives waits for the application.
#[derive(Debug)]
pub struct Inbox {
    queue: Queue,
    requests: Requests,
    /// Who waits until the client is ready or over.
    pub(super) watchers: Slab<Option<SharedWaker>>,
    /// Why the client is over.
    over: Option<CloseCause>,
    was_ready: bool,
    /// What the transport said of its latest failure.
    transport_error: Option<Cause>,
    /// Handles and updates that exist.
    pub(super) handles: usize,
    /// Nobody takes updates any more.
    unread: bool,
    /// Events were too many, and the policy is to close.
    overflown: bool,
    pub(super) driver: Option<SharedWaker>,
    /// The task that asked for an update last.
    pub(super) reader: Option<SharedWaker>,
    /// It waits for one.
    reader_waits: bool,
    /// How many updates were taken.
    taken: u64,
    pub(super) due: Due,
}

impl Inbox {
    /// Of a client with one handle and its updates.
    pub(super) fn new(queue: QueueConfig) -> Self {
        Self {
            queue: Queue::new(queue),
            requests: Requests::default(),
            watchers: Slab::new(),
            over: None,
            was_ready: false,
            transport_error: None,
            handles: 2,
            unread: false,
            overflown: false,
            driver: None,
            reader: None,
            reader_waits: false,
            taken: 0,
            due: Due::default(),
        }
    }

    /// Takes an event of the machine, which it copies into the queue.
    pub fn receive(&mut self, now: Instant, event: ClientEvent<'_>) {
        self.due.log.received(now, &event);
        if let ClientEvent::RequestEnded { id, outcome, .. } = event {
            self.end_request(id, outcome);
        } else if let ClientEvent::Lifecycle(lifecycle) = event {
            self.lifecycle(lifecycle);
        } else if !self.unread {
            let (dropped, was_full) = (self.queue.dropped(), self.is_full());
            self.overflown |= self.queue.push(&event);
            if self.queue.dropped() > dropped {
                self.due.log.dropped(self.queue.dropped());
            }
            if !was_full && self.is_full() {
                // One of those who wait may be the one that should take something.
                self.due.others.extend(self.requests.waiting());
            }
            self.wake_reader();
        }
    }

    /// Whether the application is to take something before more is read: the queue is full, the policy is
    /// [`Overflow::Wait`](super::Overflow::Wait), and the client is not closing. The machine is to be told of the pause.
    #[must_use]
    pub fn is_full(&self) -> bool {
        !self.unread && self.queue.must_wait()
    }

    /// Keeps what the transport said of its failure, for [`Status::last_disconnect`](super::Status::last_disconnect); `None` once a
    /// transport is open.
    pub fn note_transport_error(&mut self, error: Option<Cause>) {
        self.transport_error = error;
    }

    fn wake_reader(&mut self) {
        if std::mem::take(&mut self.reader_waits) {
            self.due.reader.clone_from(&self.reader);
        }
    }

    fn end_request(&mut self, id: RequestId, outcome: RequestOutcome<'_>) {
        let unread = outcome == RequestOutcome::TimedOut && self.is_full();
        let result = if unread { Err(RequestError::UpdatesUnread) } else { result_of(outcome) };
        self.due.others.extend(self.requests.end(id, result));
    }
}

/// For the driver.
impl Inbox {
    /// Whether events were too many, and the policy is to close; told once.
    pub(super) fn take_overflown(&mut self) -> bool {
        std::mem::take(&mut self.overflown)
    }

    fn lifecycle(&mut self, lifecycle: LifecycleEvent) {
        match lifecycle {
            LifecycleEvent::Ready { .. } => self.was_ready = true,
            // The answer of the server must be heard, whether the application takes its events or not.
            LifecycleEvent::Closing => self.queue.stop_waiting(),
            LifecycleEvent::Closed(cause) => self.over = Some(cause),
            _ => {}
        }
        if self.over.is_some() || self.was_ready {
            self.due.others.extend(self.watchers.iter().filter_map(|(_, watcher)| watcher.clone()));
        }
        if !self.unread {
            self.queue.push_lifecycle(lifecycle);
            self.wake_reader();
        }
    }

    /// There is no driver any more.
    pub(super) fn abandon(&mut self) {
        self.due.dropped.extend(self.driver.take());
        if self.over.is_none() {
            self.due.others.extend(self.requests.end_all());
            self.lifecycle(LifecycleEvent::Closed(CloseCause::Lost(DisconnectReason::Stopped)));
        }
    }
}

/// For the handles.
impl Inbox {
    pub(super) fn over(&self) -> Option<CloseCause> {
        self.over
    }

    pub(super) fn was_ready(&self) -> bool {
        self.was_ready
    }

    pub(super) fn transport_error(&self) -> Option<&Cause> {
        self.transport_error.as_ref()
    }

    pub(super) fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    pub(super) fn requests(&mut self) -> &mut Requests {
        &mut self.requests
    }

    /// Asks about a request for the task of `waker`.
    pub(super) fn poll_request(&mut self, id: RequestId, waker: &Waker) -> Poll<Result<Duration, RequestError>> {
        let reads = self.reader.as_ref().is_none_or(|reader| reader.will_wake(waker));
        let stuck = (self.is_full() && reads).then_some(self.taken);
        match self.requests.poll(id, stuck) {
            Outcome::Ended(result) => Poll::Ready(result),
            Outcome::Waits => Poll::Pending,
            Outcome::AskAgain(waker) => {
                self.due.others.extend(waker);
                Poll::Pending
            }
            Outcome::Stuck => {
                let result = Err(RequestError::UpdatesUnread);
                self.due.dropped.extend(self.requests.end(id, result.clone()));
                Poll::Ready(result)
            }
        }
    }

    /// Nobody waits there any more for the client to be ready or over.
    pub(super) fn forget_watcher(&mut self, watcher: usize) {
        self.due.dropped.extend(self.watchers.try_remove(watcher).flatten());
    }

    /// Nobody asks about a request any more.
    pub(super) fn forget_request(&mut self, id: RequestId) {
        self.due.dropped.extend(self.requests.remove(id));
    }

    /// Takes the next update for the [reader](Self::reader), and its text in place of what `text` was; `None` in it once there
    /// is none any more.
    pub(super) fn poll_update(&mut self, text: &mut String) -> Poll<Option<Item>> {
        let was_full = self.is_full();
        let item = self.queue.pop(text);
        self.taken += u64::from(item.is_some());
        if was_full && !self.is_full() {
            self.wake_driver();
        }
        if item.is_none() && self.over.is_none() {
            self.reader_waits = true;
            return Poll::Pending;
        }
        Poll::Ready(item)
    }

    /// Nobody takes updates any more: a full queue must not keep the client from its requests.
    pub(super) fn stop_reading(&mut self) {
        if self.is_full() {
            self.wake_driver();
        }
        self.unread = true;
        self.queue.clear();
        self.due.dropped.extend(self.reader.take());
    }

    pub(super) fn wake_driver(&mut self) {
        self.due.driver.clone_from(&self.driver);
    }
}
