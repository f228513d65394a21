//! What moves the messages of a client: for bindings that do their own I/O.
//!
//! The handles of a client, [`Client`] and [`Updates`], know neither sockets nor frames. [`Driver::new`] makes them together
//! with a [`Driver`], for the one task or thread that does. That one locks the client with [`Driver::turn`] whenever it has
//! something to do, drives the [`Machine`] as its documentation says, hands each event to [`Inbox::receive`], ends
//! with [`Turn::settle`], and sleeps, unlocked, until its transport, the machine's next deadline or the waker that it
//! gave to `turn` calls it again.

use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use event_listener::EventListener;
use multiwa_ws_core::Instant;
use multiwa_ws_core::client as core;
use multiwa_ws_core::session::{
    ClientEvent, ClientSession, CloseCause, CommandError, EventNames, Loss, Notice, RequestId,
};

use super::queue::{Item, Queue};
use super::request::Requests;
use super::{Client, QueueConfig, Updates};
use crate::{Clock, lock};

/// A state machine of the core that a client's handles can command.
pub trait Machine: Send {
    /// What it knows.
    fn session(&self) -> &ClientSession;

    /// What is known of its latest failure beyond the session's loss, as text for a person.
    fn failure(&self) -> Option<String>;

    /// See [`ClientSession::subscribe`].
    ///
    /// # Errors
    /// Those of [`ClientSession::subscribe`].
    fn subscribe(&mut self, now: Instant, profile: &str, events: &EventNames) -> Result<RequestId, CommandError>;

    /// See [`ClientSession::unsubscribe`].
    ///
    /// # Errors
    /// Those of [`ClientSession::unsubscribe`].
    fn unsubscribe(&mut self, now: Instant, profile: Option<&str>) -> Result<RequestId, CommandError>;

    /// See [`ClientSession::ping`].
    ///
    /// # Errors
    /// Those of [`ClientSession::ping`].
    fn ping(&mut self, now: Instant) -> Result<RequestId, CommandError>;

    /// See [`ClientSession::close`].
    fn close(&mut self, now: Instant);

    /// See [`ClientSession::poll_event`].
    #[must_use]
    fn poll_event(&mut self) -> Option<Notice>;
}

/// A whole client: upgrade, connection and session.
impl Machine for core::Client {
    fn session(&self) -> &ClientSession {
        self.session()
    }

    fn failure(&self) -> Option<String> {
        self.failure().map(ToString::to_string)
    }

    fn subscribe(&mut self, now: Instant, profile: &str, events: &EventNames) -> Result<RequestId, CommandError> {
        self.commands().subscribe(now, profile, events)
    }

    fn unsubscribe(&mut self, now: Instant, profile: Option<&str>) -> Result<RequestId, CommandError> {
        self.commands().unsubscribe(now, profile)
    }

    fn ping(&mut self, now: Instant) -> Result<RequestId, CommandError> {
        self.commands().ping(now)
    }

    fn close(&mut self, now: Instant) {
        self.commands().close(now);
    }

    fn poll_event(&mut self) -> Option<Notice> {
        self.poll_event()
    }
}

/// A session alone, over frames that the binding has from elsewhere.
impl Machine for ClientSession {
    fn session(&self) -> &ClientSession {
        self
    }

    fn failure(&self) -> Option<String> {
        None
    }

    fn subscribe(&mut self, now: Instant, profile: &str, events: &EventNames) -> Result<RequestId, CommandError> {
        self.subscribe(now, profile, events)
    }

    fn unsubscribe(&mut self, now: Instant, profile: Option<&str>) -> Result<RequestId, CommandError> {
        self.unsubscribe(now, profile)
    }

    fn ping(&mut self, now: Instant) -> Result<RequestId, CommandError> {
        self.ping(now)
    }

    fn close(&mut self, now: Instant) {
        self.close(now);
    }

    fn poll_event(&mut self) -> Option<Notice> {
        self.poll_event()
    }
}

/// The side of a client that moves its messages.
#[derive(Debug)]
pub struct Driver<M> {
    state: Arc<Mutex<State<M>>>,
}

impl<M: Machine + 'static> Driver<M> {
    /// A client around `machine`, whose handles keep time by the clock `R`; `queue` bounds what waits in its updates.
    #[must_use]
    pub fn new<R: Clock>(machine: M, queue: QueueConfig) -> (Self, Client<R>, Updates<R>) {
        let inbox = Inbox {
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
        };
        let state = Arc::new(Mutex::new(State { inbox, machine }));
        (Self { state: state.clone() }, Client::new(state.clone()), Updates::new(state))
    }
}

impl<M: Machine> Driver<M> {
    /// Locks the client, and leaves word to whom to turn when a handle has commanded something, or has made room for
    /// events.
    #[must_use]
    pub fn turn(&self, waker: &Waker) -> Turn<'_, M> {
        let mut state = lock(&self.state);
        match &mut state.inbox.driver {
            Some(driver) => driver.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        Turn { state }
    }
}

/// A driver that is dropped before its client is over, with its runtime or by a panic, leaves nobody waiting.
impl<M> Drop for Driver<M> {
    fn drop(&mut self) {
        lock(&self.state).inbox.abandon();
    }
}

/// A client that its driver has locked: the handles wait until this is dropped.
#[derive(Debug)]
pub struct Turn<'d, M> {
    state: MutexGuard<'d, State<M>>,
}

impl<M: Machine> Turn<'_, M> {
    /// What to drive.
    #[must_use]
    pub fn machine(&mut self) -> &mut M {
        &mut self.state.machine
    }

    /// Both sides, so that an event that the machine lends can be handed on.
    #[must_use]
    pub fn sides(&mut self) -> (&mut M, &mut Inbox) {
        let State { inbox, machine } = &mut *self.state;
        (machine, inbox)
    }

    /// Hands on what the machine has to tell besides events, and closes it when events overflow and that is the policy.
    ///
    /// To be called whenever the machine was told something. Whether there was anything: then reading may be due again, and
    /// the machine may have more to do.
    pub fn settle(&mut self, now: Instant) -> bool {
        let (machine, inbox) = self.sides();
        let mut settled = std::mem::take(&mut inbox.overflown);
        if settled {
            machine.close(now);
        }
        while let Some(notice) = machine.poll_event() {
            inbox.notice(notice);
            settled = true;
        }
        settled
    }

    /// Whether the client is over: nothing is left to be done.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state.inbox.over.is_some()
    }
}

/// Where what arrives waits for the application.
#[derive(Debug)]
pub struct Inbox {
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
    /// Takes an event of the machine, which it copies into the queue.
    pub fn receive(&mut self, event: ClientEvent<'_>) {
        if let ClientEvent::RequestEnded { id, outcome, .. } = event {
            self.requests.end(id, outcome);
        } else if !self.unread {
            self.overflown |= self.queue.push(&event);
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

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::RequestEnded { id, outcome, .. } => return self.requests.end(id, outcome),
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

    fn abandon(&mut self) {
        if self.over.is_none() {
            self.requests.end_all();
            self.notice(Notice::Closed(CloseCause::Lost(Loss::Stopped)));
        }
    }

    fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
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

/// What the handles and the driver share.
pub(super) type Shared = Arc<Mutex<State<dyn Machine>>>;

#[derive(Debug)]
pub(super) struct State<M: ?Sized> {
    pub(super) inbox: Inbox,
    pub(super) machine: M,
}

impl State<dyn Machine> {
    /// The last one to leave closes the client.
    pub(super) fn drop_handle(&mut self, now: Instant) {
        self.inbox.handles -= 1;
        if self.inbox.handles == 0 {
            self.machine.close(now);
        }
        self.inbox.wake_driver();
    }

    /// What is known of how the latest connection or attempt ended.
    pub(super) fn detail(&self) -> Option<String> {
        let loss = self.machine.session().last_loss()?;
        Some(match (self.machine.failure(), self.inbox.transport_error()) {
            (Some(failure), Some(error)) => format!("{failure}: {error}"),
            (Some(failure), None) => failure,
            (None, Some(error)) => format!("{loss}: {error}"),
            (None, None) => loss.to_string(),
        })
    }
}
