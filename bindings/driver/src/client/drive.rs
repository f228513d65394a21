//! Drives the state machine of a client, for bindings that do their own I/O.
//!
//! The handles of a client, [`Client`] and [`Updates`], know neither sockets nor frames. [`Driver::new`] makes them
//! together with a [`Driver`], for the task or thread that does the I/O. In each turn the task locks the client with
//! [`Driver::turn`], drives the [`Machine`] as its documentation describes, passes each event to [`Inbox::receive`], and
//! ends with [`Turn::settle`]. Then it unlocks the client and sleeps until the transport is ready, the next deadline of
//! the machine passes, or the waker that it passed to `turn` is woken.
//!
//! Connectors, streams and their destructors may call the handles, which would deadlock in a turn. Call them between
//! turns.

use std::task::Waker;

use multiwa_ws_core::Instant;

use super::handle::Client;
use super::shared::{Common, Locked, QueueConfig};
pub use super::shared::{Inbox, Machine};
use super::updates::Updates;
use crate::Clock;
use crate::sync::Arc;
use crate::trace::{ClientSpan, Entered};

/// The driving side of a client.
#[derive(Debug)]
pub struct Driver<M> {
    shared: Arc<Common<M>>,
    span: ClientSpan,
}

impl<M: Machine + 'static> Driver<M> {
    /// Makes a client around `machine`. Its handles use the clock `R`, and `queue` limits the updates that are not taken.
    #[must_use]
    pub fn new<R: Clock>(machine: M, queue: QueueConfig) -> (Self, Client<R>, Updates<R>) {
        let shared = Arc::new(Common::new(Inbox::new(queue), machine));
        let driver = Self { shared: shared.clone(), span: ClientSpan::new() };
        (driver, Client::new(shared.clone()), Updates::new(shared))
    }
}

impl<M: Machine> Driver<M> {
    /// Locks the client, and registers the waker. It is woken when a handle has given a command or has made room in the
    /// queue of updates.
    ///
    /// Tasks that this turn must wake are woken when it ends.
    #[must_use]
    pub fn turn(&self, waker: &Waker) -> Turn<'_, M> {
        let entered = self.enter();
        Turn { state: self.lock(waker), _entered: entered }
    }

    /// Like [`turn`](Self::turn), for a caller that has [entered](Self::enter) the span.
    pub(super) fn lock(&self, waker: &Waker) -> Locked<'_, M> {
        self.shared.lock_with(waker, |inbox| Some(&mut inbox.driver))
    }

    /// Like [`lock`](Self::lock), when the waker is already registered.
    pub(super) fn lock_again(&self) -> Locked<'_, M> {
        self.shared.lock()
    }
}

impl<M> Driver<M> {
    /// Enters the span of this client until the result is dropped.
    pub(super) fn enter(&self) -> Entered {
        self.span.enter()
    }
}

/// A driver may be dropped before its client is closed, with its runtime or by a panic. Then this wakes all waiting tasks.
impl<M> Drop for Driver<M> {
    fn drop(&mut self) {
        let _entered = self.enter();
        self.shared.lock().inbox.driver_dropped();
    }
}

/// A locked client. The handles block until this is dropped.
#[derive(Debug)]
pub struct Turn<'d, M> {
    // The field order matters: the state is unlocked before the span is left.
    state: Locked<'d, M>,
    _entered: Entered,
}

impl<M: Machine> Turn<'_, M> {
    /// The state machine to drive.
    #[must_use]
    pub fn machine(&mut self) -> &mut M {
        &mut self.state.machine
    }

    /// The state machine and the inbox, so that a borrowed event of the machine can be passed to the inbox.
    #[must_use]
    pub fn sides(&mut self) -> (&mut M, &mut Inbox) {
        self.state.sides()
    }

    /// Passes the queued events of the machine to the inbox. Closes the client when its queue overflows with
    /// [`Overflow::Close`](crate::Overflow::Close).
    ///
    /// Call this after each call of the machine. Returns whether there was anything to do. If so, reading may continue,
    /// and the machine may have more output.
    pub fn settle(&mut self, now: Instant) -> bool {
        self.state.settle(now)
    }

    /// Whether the client is closed and no work is left.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state.inbox.close_cause().is_some()
    }
}
