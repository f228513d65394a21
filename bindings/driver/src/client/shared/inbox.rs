//! The inbox of a client: events and results that the application has not taken yet.

use std::task::{Poll, Waker};
use std::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::session::{ClientEvent, CloseCause, DisconnectReason, LifecycleEvent, RequestId, RequestOutcome};
use slab::Slab;

use super::batch::{Batch, Item};
use super::due::Due;
use super::lent::Lent;
use super::queue::{Queue, QueueConfig};
use super::requests::{Outcome, RequestError, Requests, result_of};
use crate::buffer::{Input, ReadBuffer};
use crate::client::disconnect::Cause;
use crate::sync::{Arc, SharedWaker, is_same_task};

/// How long the driver waits at most after there is room in the queue again, if the application takes updates.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// Holds events and results until the application takes them.
#[derive(Debug)]
pub struct Inbox {
    queue: Queue,
    requests: Requests,
    /// Tasks that wait until the client is ready or closed.
    pub(in crate::client) watchers: Slab<Option<SharedWaker>>,
    /// Why the client closed.
    close_cause: Option<CloseCause>,
    was_ready: bool,
    /// The last error of the transport.
    transport_error: Option<Cause>,
    /// The number of `Client` handles, plus one for the `Updates`.
    pub(in crate::client) handles: usize,
    /// Whether the `Updates` are dropped.
    updates_dropped: bool,
    /// Whether the queue overflowed and the policy is to close.
    overflown: bool,
    pub(in crate::client) driver: Option<SharedWaker>,
    /// The task that last polled for an update.
    pub(in crate::client) reader: Option<SharedWaker>,
    /// Whether that task waits.
    reader_waits: bool,
    /// What the reader holds.
    pub(in crate::client) lent: Arc<Lent>,
    /// When the queue became full.
    full_since: Instant,
    /// Whether the driver waits until the reader takes the buffer that was handed over.
    ahead: bool,
    pub(super) due: Due,
}

impl Inbox {
    /// Makes the inbox of a client with one handle and its updates.
    pub(in crate::client) fn new(queue: QueueConfig) -> Self {
        let lent = Arc::<Lent>::default();
        Self {
            queue: Queue::new(queue, lent.clone()),
            requests: Requests::default(),
            watchers: Slab::new(),
            close_cause: None,
            was_ready: false,
            transport_error: None,
            handles: 2,
            updates_dropped: false,
            overflown: false,
            driver: None,
            reader: None,
            reader_waits: false,
            lent,
            full_since: Instant::default(),
            ahead: false,
            due: Due::default(),
        }
    }

    /// Processes an event of the state machine, and copies its text into the queue.
    pub fn receive(&mut self, now: Instant, event: ClientEvent<'_>) {
        self.receive_from(now, event, None);
    }

    /// Like [`receive`](Self::receive). A text that lies in `input` is not copied: see [`input`](Self::input).
    pub(in crate::client) fn receive_from(&mut self, now: Instant, event: ClientEvent<'_>, input: Option<Input>) {
        self.due.log.received(now, &event);
        if let ClientEvent::RequestEnded { id, outcome, .. } = event {
            self.end_request(id, outcome);
        } else if let ClientEvent::Lifecycle(lifecycle) = event {
            self.lifecycle(lifecycle);
        } else if !self.updates_dropped {
            let (dropped, was_full) = (self.queue.dropped(), self.is_full());
            self.overflown |= self.queue.push(&event, input);
            if self.queue.dropped() > dropped {
                self.due.log.dropped(self.queue.dropped());
            }
            if !was_full && self.is_full() {
                self.lent.set_full(true);
                self.full_since = now;
                // One of the waiting tasks may be the one that has to take updates.
                self.due.others.extend(self.requests.waiting());
            }
            self.wake_reader();
        }
    }

    /// Whether the application must take updates before more is read: the queue is full, the policy is
    /// [`Overflow::Wait`](crate::Overflow::Wait), and the client is not closing. Report the pause to the state machine.
    #[must_use]
    pub fn is_full(&self) -> bool {
        !self.updates_dropped && self.queue.must_wait()
    }

    /// Stores the error of the transport, for [`Status::last_disconnect`](crate::Status::last_disconnect). Pass `None`
    /// when a new transport is open.
    pub fn note_transport_error(&mut self, error: Option<Cause>) {
        let replaced = std::mem::replace(&mut self.transport_error, error);
        self.due.causes.extend(replaced);
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

/// Methods for the driver.
impl Inbox {
    /// Where texts lie that the queue need not copy, while the bytes in `buffer` are processed with
    /// [`receive_from`](Self::receive_from). Call [`adopt`](Self::adopt) after it.
    pub(in crate::client) fn input(&self, buffer: &ReadBuffer) -> Option<Input> {
        self.queue.input(buffer)
    }

    /// Hands the buffer over to the application if its events lie in it. If bytes in it are still to be processed, copies
    /// these events. Returns whether it was handed over.
    pub(in crate::client) fn adopt(&mut self, buffer: &mut ReadBuffer) -> bool {
        self.queue.adopt(buffer)
    }

    /// Whether the application has yet to take the buffer that was handed over, so that the driver may wait for it before
    /// it reads more. It is woken when the buffer is taken. It does not wait while a request has no answer.
    pub(in crate::client) fn is_ahead(&mut self) -> bool {
        self.ahead = self.queue.holds_buffer() && self.requests.is_empty();
        self.ahead
    }

    /// Frees memory that an idle client does not need.
    pub(in crate::client) fn release_memory(&mut self) {
        self.queue.release_memory();
    }

    /// Returns once whether the queue overflowed and the policy is to close.
    pub(in crate::client) fn take_overflown(&mut self) -> bool {
        std::mem::take(&mut self.overflown)
    }

    fn lifecycle(&mut self, lifecycle: LifecycleEvent) {
        match lifecycle {
            LifecycleEvent::Ready { .. } => self.was_ready = true,
            // The answer of the server must be received even if the application takes no updates.
            LifecycleEvent::Closing => self.queue.stop_waiting(),
            LifecycleEvent::Closed(cause) => self.close_cause = Some(cause),
            _ => {}
        }
        if self.close_cause.is_some() || self.was_ready {
            self.due.others.extend(self.watchers.iter().filter_map(|(_, watcher)| watcher.clone()));
        }
        if !self.updates_dropped {
            self.queue.push_lifecycle(lifecycle);
            self.wake_reader();
        }
    }

    /// Closes the client when its driver is dropped.
    pub(in crate::client) fn driver_dropped(&mut self) {
        self.due.dropped.extend(self.driver.take());
        if self.close_cause.is_none() {
            self.due.others.extend(self.requests.end_all());
            self.lifecycle(LifecycleEvent::Closed(CloseCause::Lost(DisconnectReason::Stopped)));
        }
    }
}

/// Methods for the handles.
impl Inbox {
    pub(in crate::client) fn close_cause(&self) -> Option<CloseCause> {
        self.close_cause
    }

    pub(in crate::client) fn was_ready(&self) -> bool {
        self.was_ready
    }

    pub(in crate::client) fn transport_error(&self) -> Option<&Cause> {
        self.transport_error.as_ref()
    }

    pub(in crate::client) fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    pub(in crate::client) fn add_request(&mut self, id: RequestId) {
        self.requests.insert(id);
    }

    pub(in crate::client) fn request_waker(&mut self, id: RequestId) -> Option<&mut Option<SharedWaker>> {
        self.requests.waker(id)
    }

    /// Polls a request for the task of `waker`.
    pub(in crate::client) fn poll_request(
        &mut self,
        id: RequestId,
        waker: &Waker,
    ) -> Poll<Result<Duration, RequestError>> {
        if !self.is_full() {
            self.resume();
        }
        let reads = self.reader.as_ref().is_none_or(|reader| is_same_task(reader, waker));
        let stuck = (self.is_full() && reads).then(|| self.lent.taken());
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

    /// Removes a task that waited for the client to become ready or to close.
    pub(in crate::client) fn forget_watcher(&mut self, watcher: usize) {
        self.due.dropped.extend(self.watchers.try_remove(watcher).flatten());
    }

    /// Removes a request whose future is dropped.
    pub(in crate::client) fn forget_request(&mut self, id: RequestId) {
        self.due.dropped.extend(self.requests.remove(id));
    }

    /// Takes the next update for the [reader](Self::reader). If nothing is left in `batch`, moves updates there. Returns
    /// `None` when the client is closed and the queue is empty.
    pub(in crate::client) fn poll_updates(&mut self, now: Instant, batch: &mut Batch) -> Poll<Option<Item>> {
        if batch.is_empty() {
            self.queue.take(batch);
            if std::mem::take(&mut self.ahead) {
                self.wake_driver();
            }
        }
        let item = batch.pop();
        self.lent.set(batch.events(), batch.bytes(), item.is_some());
        self.check_room(now);
        if item.is_none() && self.close_cause.is_none() {
            self.reader_waits = true;
            return Poll::Pending;
        }
        Poll::Ready(item)
    }

    /// Wakes the driver if it waits for room in the queue, and half of the queue is free or it has waited for
    /// [`MAX_WAIT`]. If it continued for each update that is taken, most of the time would go into waking it.
    pub(in crate::client) fn check_room(&mut self, now: Instant) {
        let is_due = now.saturating_duration_since(self.full_since) >= MAX_WAIT;
        if self.lent.is_full() && !self.is_full() && (is_due || self.queue.is_half_free()) {
            self.resume();
        }
    }

    /// Wakes the driver if it waits for room in the queue.
    fn resume(&mut self) {
        if self.lent.is_full() {
            self.lent.set_full(false);
            self.wake_driver();
        }
    }

    /// Called when the `Updates` are dropped. A full queue must no longer block requests.
    pub(in crate::client) fn stop_reading(&mut self) {
        if self.is_full() || self.ahead {
            self.wake_driver();
        }
        self.updates_dropped = true;
        self.queue.clear();
        self.due.dropped.extend(self.reader.take());
    }

    pub(in crate::client) fn wake_driver(&mut self) {
        self.due.driver.clone_from(&self.driver);
    }
}
