//! What the handles of a client and its driver share, under one lock.
//!
//! No foreign code runs under that lock: neither wakers nor their destructors, nor a subscriber of `tracing`. Whatever of that
//! is due meanwhile waits in a [`Due`] until the lock is released.

use std::ops::{Deref, DerefMut};
use std::task::Waker;

use multiwa_ws_core::Instant;
use multiwa_ws_core::session::ClientState;

use super::disconnect::Disconnect;
use super::inbox::Inbox;
use super::machine::Machine;
use crate::sync::{Arc, Mutex, MutexGuard, SharedWaker, lock};
use crate::trace;

/// What the handles hold.
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

    /// Locks the state with `waker` in `slot`, if there is such a slot. A waker that is new there is cloned first.
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

/// The state, locked.
#[derive(Debug)]
pub(super) struct Locked<'c, M: ?Sized> {
    // In this order: what is due runs once the state is unlocked.
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

/// Foreign code to run once the state is unlocked: when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// What is told to `tracing`.
    pub(super) log: trace::Log,
    /// To be woken.
    pub(super) driver: Option<SharedWaker>,
    /// To be woken.
    pub(super) reader: Option<SharedWaker>,
    /// To be woken: who waits for the end of a request, or for a change of the client.
    pub(super) others: Vec<SharedWaker>,
    /// To be dropped.
    pub(super) dropped: Vec<SharedWaker>,
}

impl Drop for Due {
    fn drop(&mut self) {
        self.log.tell();
        let woken = self.driver.iter().chain(&self.reader).chain(&self.others);
        woken.for_each(|waker| waker.wake_by_ref());
    }
}

impl<M: Machine> State<M> {
    pub(super) fn sides(&mut self) -> (&mut M, &mut Inbox) {
        (&mut self.machine, &mut self.inbox)
    }

    /// Hands on what the machine has to tell besides events; whether there was anything.
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
    /// The last one to leave closes the client.
    pub(super) fn drop_handle(&mut self, now: Instant) {
        self.inbox.handles -= 1;
        if self.inbox.handles == 0 {
            self.machine.close(now);
            self.inbox.wake_driver();
        }
    }

    /// Where the client stands. A machine without a driver stands where it was left.
    pub(super) fn client_state(&self) -> ClientState {
        match self.inbox.over() {
            Some(_) => ClientState::Closed,
            None => self.machine.session().state(),
        }
    }

    /// What is known of how the latest connection or attempt ended.
    pub(super) fn last_disconnect(&self) -> Option<Disconnect> {
        let reason = self.machine.session().last_disconnect()?;
        Some(Disconnect::new(reason, self.machine.failure().cloned(), self.inbox.transport_error().cloned()))
    }
}
