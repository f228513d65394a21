//! Where what arrives at a client waits for its application.

use std::task::{Context, Poll, Waker};

use event_listener::EventListener;
use multiwa_ws_core::Instant;
use multiwa_ws_core::session::{ClientEvent, CloseCause, Loss, Notice};

use super::QueueConfig;
use super::queue::{Item, Queue};
use super::request::Requests;
use crate::trace::{self, ClientSpan, Entered};

/// Where what arrives waits for the application.
#[derive(Debug)]
pub struct Inbox {
    span: ClientSpan,
    queue: Queue,
    requests: Requests,
    /// Why the client is over.
    over: Option<CloseCause>,
    was_ready: bool,
    /// What the transport said of its latest failure.
    transport_error: Option<String>,
    /// Handles and updates that exist.
    pub(super) handles: usize,
    /// Nobody takes updates any more.
    unread: bool,
    /// Events were too many, and the policy is to close.
    overflown: bool,
    driver: Option<Waker>,
    reader: Option<Waker>,
    /// Notified when the client is ready or over.
    changed: event_listener::Event,
}

impl Inbox {
    /// Of a client with one handle and its updates.
    pub(super) fn new(queue: QueueConfig) -> Self {
        Self {
            span: ClientSpan::new(),
            queue: Queue::new(queue),
            requests: Requests::default(),
            over: None,
            was_ready: false,
            transport_error: None,
            handles: 2,
            unread: false,
            overflown: false,
            driver: None,
            reader: None,
            changed: event_listener::Event::new(),
        }
    }

    /// Takes an event of the machine, which it copies into the queue.
    pub fn receive(&mut self, now: Instant, event: ClientEvent<'_>) {
        trace::received(now, &event);
        if let ClientEvent::RequestEnded { id, outcome, .. } = event {
            self.requests.end(id, outcome);
        } else if let ClientEvent::Notice(notice) = event {
            self.notice(notice);
        } else if !self.unread {
            let dropped = self.queue.dropped();
            self.overflown |= self.queue.push(&event);
            if self.queue.dropped() > dropped {
                trace::dropped(self.queue.dropped());
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

    /// Keeps what the transport said of its failure, for [`Status::detail`](super::Status::detail); `None` once a
    /// transport is open.
    pub fn note_transport_error(&mut self, error: Option<String>) {
        self.transport_error = error;
    }

    fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }
}

/// For the driver.
impl Inbox {
    pub(super) fn enter(&self) -> Entered {
        self.span.enter()
    }

    /// Whom to wake when there is something to do.
    pub(super) fn set_driver(&mut self, waker: &Waker) {
        match &mut self.driver {
            Some(driver) => driver.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Whether events were too many, and the policy is to close; told once.
    pub(super) fn take_overflown(&mut self) -> bool {
        std::mem::take(&mut self.overflown)
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Ready { .. } => self.was_ready = true,
            // The answer of the server must be heard, whether the application takes its events or not.
            Notice::Closing => self.queue.stop_waiting(),
            Notice::Closed(cause) => self.over = Some(cause),
            _ => {}
        }
        if self.over.is_some() || self.was_ready {
            self.changed.notify(usize::MAX);
        }
        if !self.unread {
            self.queue.push_notice(notice);
            self.wake_reader();
        }
    }

    /// There is no driver any more.
    pub(super) fn abandon(&mut self) {
        self.driver = None;
        if self.over.is_none() {
            self.requests.end_all();
            self.notice(Notice::Closed(CloseCause::Lost(Loss::Stopped)));
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

    /// Completes when [`over`](Self::over) or [`was_ready`](Self::was_ready) may say something else than now.
    pub(super) fn changed(&self) -> EventListener {
        self.changed.listen()
    }

    pub(super) fn transport_error(&self) -> Option<&str> {
        self.transport_error.as_deref()
    }

    pub(super) fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    pub(super) fn requests(&mut self) -> &mut Requests {
        &mut self.requests
    }

    /// Takes the next update, and its text in place of what `text` was; `None` in it once there is none any more.
    pub(super) fn poll_update(&mut self, cx: &mut Context<'_>, text: &mut String) -> Poll<Option<Item>> {
        let was_full = self.is_full();
        let item = self.queue.pop(text);
        if was_full && !self.is_full() {
            self.wake_driver();
        }
        if item.is_none() && self.over.is_none() {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(item)
    }

    /// Nobody takes updates any more: a full queue must not keep the client from its requests.
    pub(super) fn stop_reading(&mut self) {
        self.unread = true;
        self.queue.clear();
    }

    pub(super) fn wake_driver(&self) {
        if let Some(driver) = &self.driver {
            driver.wake_by_ref();
        }
    }
}
