//! What moves the messages of a client: for bindings that do their own I/O.
//!
//! The handles of a client, [`Client`] and [`Updates`], know neither sockets nor frames. [`Driver::new`] makes them together
//! with a [`Driver`], for the one task or thread that does. That one locks the client with [`Driver::turn`] whenever it has
//! something to do, drives the [`Machine`] as its documentation says, hands each event to [`Inbox::receive`], ends
//! with [`Turn::settle`], and sleeps, unlocked, until its transport, the machine's next deadline or the waker that it
//! gave to `turn` calls it again.
//!
//! Connectors, streams and their destructors may call the handles, so the driver calls them between its turns, never in one.

use std::task::Waker;

use multiwa_ws_core::Instant;

pub use super::inbox::Inbox;
pub use super::machine::Machine;
use super::shared::{Common, Locked};
use super::{Client, QueueConfig, Updates};
use crate::Clock;
use crate::sync::Arc;
use crate::trace::{ClientSpan, Entered};

/// The side of a client that moves its messages.
#[derive(Debug)]
pub struct Driver<M> {
    shared: Arc<Common<M>>,
    span: ClientSpan,
}

impl<M: Machine + 'static> Driver<M> {
    /// A client around `machine`, whose handles keep time by the clock `R`; `queue` bounds what waits in its updates.
    #[must_use]
    pub fn new<R: Clock>(machine: M, queue: QueueConfig) -> (Self, Client<R>, Updates<R>) {
        let shared = Arc::new(Common::new(Inbox::new(queue), machine));
        let driver = Self { shared: shared.clone(), span: ClientSpan::new() };
        (driver, Client::new(shared.clone()), Updates::new(shared))
    }
}

impl<M: Machine> Driver<M> {
    /// Locks the client, and leaves word to whom to turn when a handle has commanded something, or has made room for
    /// events.
    ///
    /// What the turn causes to be woken is woken when it ends.
    #[must_use]
    pub fn turn(&self, waker: &Waker) -> Turn<'_, M> {
        let entered = self.enter();
        Turn { state: self.lock(waker), _entered: entered }
    }

    /// As [`turn`](Self::turn), for who has [entered](Self::enter).
    pub(super) fn lock(&self, waker: &Waker) -> Locked<'_, M> {
        self.shared.lock_with(waker, |inbox| Some(&mut inbox.driver))
    }

    /// As [`lock`](Self::lock), again: the waker has been left.
    pub(super) fn lock_again(&self) -> Locked<'_, M> {
        self.shared.lock()
    }
}

impl<M> Driver<M> {
    /// What happens until the result is dropped happens in the span of this client.
    pub(super) fn enter(&self) -> Entered {
        self.span.enter()
    }
}

/// A driver that is dropped before its client is over, with its runtime or by a panic, leaves nobody waiting.
impl<M> Drop for Driver<M> {
    fn drop(&mut self) {
        let _entered = self.enter();
        self.shared.lock().inbox.abandon();
    }
}

/// A client that its driver has locked: the handles wait until this is dropped.
#[derive(Debug)]
pub struct Turn<'d, M> {
    // In this order: the span is left unlocked.
    state: Locked<'d, M>,
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
        self.state.sides()
    }

    /// Hands on what the machine has to tell besides events, and closes it when events overflow and that is the policy.
    ///
    /// To be called whenever the machine was told something. Whether there was anything: then reading may be due again, and
    /// the machine may have more to do.
    pub fn settle(&mut self, now: Instant) -> bool {
        self.state.settle(now)
    }

    /// Whether the client is over: nothing is left to be done.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state.inbox.over().is_some()
    }
}
