//! The handle to a client.

use std::future::poll_fn;
use std::marker::PhantomData;
use std::task::Poll;

use multiwa_ws_core::session::{ClientState, CloseCause};

use super::request::Request;
#[cfg(doc)]
use super::shared::RequestError;
use super::shared::{Machine, Shared, State, event_names};
use super::status::{ConnectError, Status};
use crate::Clock;

/// A handle to a client. Clone it to use the client from any task or thread, while another task takes its
/// [`Updates`](super::Updates).
///
/// A request (`subscribe`, `unsubscribe`, `ping`) starts when the method is called, before the future is awaited. The
/// future returns the result, and may be dropped. The client closes when the last handle and the `Updates` are dropped.
pub struct Client<R: Clock> {
    shared: Shared,
    clock: PhantomData<fn() -> R>,
}

impl<R: Clock> Client<R> {
    /// Makes the first handle. `shared` has counted it already.
    pub(super) fn new(shared: Shared) -> Self {
        Self { shared, clock: PhantomData }
    }

    /// Subscribes to events of a profile. `*` stands for all events. The client repeats the subscription after each
    /// reconnect.
    ///
    /// Take updates on another task, or await both: see [`Request`]. After the error `UpdatesUnread` the subscription stays
    /// desired.
    pub fn subscribe<N: AsRef<str>>(&self, profile: &str, events: impl IntoIterator<Item = N>) -> Request {
        let events = event_names(events);
        Request::new(&self.shared, R::now(), |machine, now| machine.subscribe(now, profile, &events))
    }

    /// Ends the subscription of a profile, or every subscription if `profile` is `None`.
    ///
    /// Take updates on another task, or await both: see [`Request`].
    pub fn unsubscribe(&self, profile: Option<&str>) -> Request {
        Request::new(&self.shared, R::now(), |machine, now| machine.unsubscribe(now, profile))
    }

    /// Measures the round-trip time with a `ping` message of the MultiWA protocol.
    ///
    /// Take updates on another task, or await both: see [`Request`].
    pub fn ping(&self) -> Request {
        Request::new(&self.shared, R::now(), |machine, now| machine.ping(now))
    }

    /// Closes the client permanently and waits until the connection is closed, at most for the close timeout. Cancel
    /// safe: the client closes even if the future is dropped.
    pub async fn close(&self) {
        self.start_close();
        self.closed().await;
    }

    /// Waits until the client is closed, and returns the cause. Cancel safe.
    pub async fn closed(&self) -> CloseCause {
        self.watch(|state| state.inbox.close_cause()).await
    }

    /// Waits until the client is ready for the first time, or closed. Cancel safe.
    ///
    /// # Errors
    /// [`ConnectError`], when the client closed before it was ready.
    pub async fn ready(&self) -> Result<(), ConnectError> {
        self.watch(|state| match (state.inbox.was_ready(), state.inbox.close_cause()) {
            (true, _) => Some(Ok(())),
            (false, Some(cause)) => Some(Err(ConnectError::new(cause, state))),
            (false, None) => None,
        })
        .await
    }

    /// Waits until `look` returns a value. It is called again when the client becomes ready and when it closes.
    async fn watch<T>(&self, look: impl Fn(&State<dyn Machine>) -> Option<T>) -> T {
        let watcher = Watcher { key: self.shared.lock().inbox.watchers.insert(None), shared: &self.shared };
        poll_fn(|cx| {
            let state = self.shared.lock_with(cx.waker(), |inbox| inbox.watchers.get_mut(watcher.key));
            look(&state).map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// The current state of the client.
    #[must_use]
    pub fn state(&self) -> ClientState {
        self.shared.lock().client_state()
    }

    /// A snapshot of the client's status.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::new(R::now(), &self.shared.lock())
    }

    fn start_close(&self) {
        let now = R::now();
        let mut state = self.shared.lock();
        state.machine.close(now);
        state.inbox.wake_driver();
    }
}

/// The registration of a task that waits for the client to become ready or to close.
struct Watcher<'c> {
    key: usize,
    shared: &'c Shared,
}

impl Drop for Watcher<'_> {
    fn drop(&mut self) {
        self.shared.lock().inbox.forget_watcher(self.key);
    }
}

impl<R: Clock> Clone for Client<R> {
    fn clone(&self) -> Self {
        self.shared.lock().inbox.handles += 1;
        Self::new(self.shared.clone())
    }
}

impl<R: Clock> Drop for Client<R> {
    fn drop(&mut self) {
        let now = R::now();
        self.shared.lock().drop_handle(now);
    }
}

impl<R: Clock> std::fmt::Debug for Client<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("state", &self.state()).finish_non_exhaustive()
    }
}
