//! What moves the messages of a client: for bindings that do their own I/O.
//!
//! The handles of a client, [`Client`] and [`Updates`], know neither sockets nor frames. [`Driver::new`] makes them together
//! with a [`Driver`], for the one task or thread that does. That one locks the client with [`Driver::turn`] whenever it has
//! something to do, drives the [`Machine`] as its documentation says, hands each event to [`Inbox::receive`], ends
//! with [`Turn::settle`], and sleeps, unlocked, until its transport, the machine's next deadline or the waker that it
//! gave to `turn` calls it again.

use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;

use multiwa_ws_core::Instant;
use multiwa_ws_core::session::ClientState;

pub use super::inbox::Inbox;
pub use super::machine::Machine;
use super::{Client, QueueConfig, Updates};
use crate::trace::Entered;
use crate::{Clock, lock};

/// The side of a client that moves its messages.
#[derive(Debug)]
pub struct Driver<M> {
    state: Arc<Mutex<State<M>>>,
}

impl<M: Machine + 'static> Driver<M> {
    /// A client around `machine`, whose handles keep time by the clock `R`; `queue` bounds what waits in its updates.
    #[must_use]
    pub fn new<R: Clock>(machine: M, queue: QueueConfig) -> (Self, Client<R>, Updates<R>) {
        let state = Arc::new(Mutex::new(State { inbox: Inbox::new(queue), machine }));
        (Self { state: state.clone() }, Client::new(state.clone()), Updates::new(state))
    }
}

impl<M: Machine> Driver<M> {
    /// Locks the client, and leaves word to whom to turn when a handle has commanded something, or has made room for
    /// events.
    #[must_use]
    pub fn turn(&self, waker: &Waker) -> Turn<'_, M> {
        let mut state = lock(&self.state);
        state.inbox.set_driver(waker);
        let entered = state.inbox.enter();
        Turn { state, _entered: entered }
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
    _entered: Entered,
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
        let mut settled = inbox.take_overflown();
        if settled {
            machine.close(now);
        }
        while let Some(event) = machine.poll_event() {
            inbox.receive(now, event);
            settled = true;
        }
        settled
    }

    /// Whether the client is over: nothing is left to be done.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state.inbox.over().is_some()
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

    /// Where the client stands. A machine without a driver stands where it was left.
    pub(super) fn client_state(&self) -> ClientState {
        match self.inbox.over() {
            Some(_) => ClientState::Closed,
            None => self.machine.session().state(),
        }
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
