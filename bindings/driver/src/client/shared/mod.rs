//! The state that the handles of a client and its driver share, under one lock.
//!
//! No foreign code runs under the lock: no wakers, no destructors of wakers and errors, no `tracing` subscriber. Such calls are
//! collected in a [`Due`] and run when the lock is released.

mod batch;
mod due;
mod inbox;
mod lent;
mod machine;
mod queue;
mod requests;

use std::ops::{Deref, DerefMut};
use std::task::Waker;

use multiwa_ws_core::Instant;
use multiwa_ws_core::session::ClientState;

pub(super) use batch::{Batch, Item};
use due::Due;
pub use inbox::Inbox;
pub(super) use lent::Lent;
pub use machine::Machine;
pub(super) use machine::event_names;
pub use queue::{Overflow, QueueConfig};
pub use requests::RequestError;

use super::disconnect::Disconnect;
use crate::sync::{Arc, Mutex, MutexGuard, SharedWaker, lock};

/// The reference that the handles hold.
pub(super) type Shared = Arc<Common<dyn Machine>>;

#[derive(Debug)]
pub(super) struct Common<M: ?Sized>(Mutex<State<M>>);

#[derive(Debug)]
pub(super) struct State<M: ?Sized> {
    pub(super) inbox: Inbox,
    pub(super) machine: M,
}

impl<M> Common<M> {
    pub(super) fn new(inbox: Inbox, machine: M) -> Self {
        Self(Mutex::new(State { inbox, machine }))
    }
}

impl<M: ?Sized> Common<M> {
    pub(super) fn lock(&self) -> Locked<'_, M> {
        Locked { state: lock(&self.0), due: Due::default() }
    }

    /// Locks the state and stores `waker` in `slot`, if the slot exists. A new waker is cloned without the lock.
    pub(super) fn lock_with(
        &self,
        waker: &Waker,
        slot: impl Fn(&mut Inbox) -> Option<&mut Option<SharedWaker>>,
    ) -> Locked<'_, M> {
        let mut locked = self.lock();
        match slot(&mut locked.inbox) {
            Some(slot) if !slot.as_ref().is_some_and(|own| own.will_wake(waker)) => {}
            _ => return locked,
        }
        drop(locked);
        let own = Arc::new(waker.clone());
        let mut locked = self.lock();
        let replaced = match slot(&mut locked.inbox) {
            Some(slot) => slot.replace(own),
            None => Some(own),
        };
        locked.inbox.due.dropped.extend(replaced);
        locked
    }
}

/// The locked state.
#[derive(Debug)]
pub(super) struct Locked<'c, M: ?Sized> {
    // The field order matters: `due` is dropped after the state is unlocked.
    state: MutexGuard<'c, State<M>>,
    due: Due,
}

impl<M: ?Sized> Deref for Locked<'_, M> {
    type Target = State<M>;

    fn deref(&self) -> &State<M> {
        &self.state
    }
}

impl<M: ?Sized> DerefMut for Locked<'_, M> {
    fn deref_mut(&mut self) -> &mut State<M> {
        &mut self.state
    }
}

impl<M: ?Sized> Drop for Locked<'_, M> {
    fn drop(&mut self) {
        std::mem::swap(&mut self.due, &mut self.state.inbox.due);
    }
}

impl<M: Machine> State<M> {
    pub(super) fn sides(&mut self) -> (&mut M, &mut Inbox) {
        (&mut self.machine, &mut self.inbox)
    }

    /// Passes the queued events of the state machine to the inbox. Returns whether there was anything to do.
    pub(super) fn settle(&mut self, now: Instant) -> bool {
        let mut settled = self.inbox.take_overflown();
        if settled {
            self.machine.close(now);
        }
        while let Some(event) = self.machine.poll_event() {
            self.inbox.receive(now, event);
            settled = true;
        }
        settled
    }
}

impl State<dyn Machine> {
    /// Closes the client when the last handle is dropped.
    pub(super) fn drop_handle(&mut self, now: Instant) {
        self.inbox.handles -= 1;
        if self.inbox.handles == 0 {
            self.machine.close(now);
            self.inbox.wake_driver();
        }
    }

    /// The state of the client. It is `Closed` after the driver was dropped, even if the state machine was not closed.
    pub(super) fn client_state(&self) -> ClientState {
        match self.inbox.close_cause() {
            Some(_) => ClientState::Closed,
            None => self.machine.session().state(),
        }
    }

    /// How the last connection or attempt ended.
    pub(super) fn last_disconnect(&self) -> Option<Disconnect> {
        let reason = self.machine.session().last_disconnect()?;
        Some(Disconnect::new(reason, self.machine.failure().cloned(), self.inbox.transport_error().cloned()))
    }
}
