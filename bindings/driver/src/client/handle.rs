//! The handle to a client.

use std::future::poll_fn;
use std::marker::PhantomData;
use std::task::Poll;

use multiwa_ws_core::session::{ClientState, CloseCause};

#[cfg(doc)]
use super::RequestError;
use super::machine::Machine;
use super::shared::{Shared, State};
use super::{ClientBuilder, ConnectError, ConnectorError, Destination, Request, Status, event_names};
use crate::{Clock, Net};

/// A handle to a client, to be cloned and used from any task or thread while another takes its [`Updates`](super::Updates).
///
/// A request (`subscribe`, `unsubscribe`, `ping`) takes effect when it is called, before it is awaited; the future tells how
/// it ended, and may be dropped. When the last handle and the `Updates` are dropped, the client closes.
pub struct Client<R: Clock> {
    shared: Shared,
    clock: PhantomData<fn() -> R>,
}

impl<R: Net> Client<R> {
    /// Sets up a client of the server at `url`, `ws://HOST:PORT/ws`.
    #[must_use]
    pub fn builder(url: impl Into<String>) -> ClientBuilder<R> {
        ClientBuilder::new(url)
    }

    /// Sets up a client that asks `provider` before each attempt where to go and with which key: see
    /// [`ClientBuilder::with_provider`].
    #[must_use]
    pub fn builder_with<F>(provider: impl Fn(u32) -> F + Send + Sync + 'static) -> ClientBuilder<R>
    where
        F: Future<Output = Result<Destination, ConnectorError>> + Send + 'static,
    {
        ClientBuilder::with_provider(provider)
    }
}

impl<R: Clock> Client<R> {
    /// The first handle, which `shared` counts already.
    pub(super) fn new(shared: Shared) -> Self {
        Self { shared, clock: PhantomData }
    }

    /// Subscribes to events of a profile, `*` for all of them. The subscription is asked for again after each reconnect.
    ///
    /// Take updates on another task, or wait for both: see [`Request`] and [`RequestError::UpdatesUnread`], after which the
    /// subscription stays desired.
    pub fn subscribe<N: AsRef<str>>(&self, profile: &str, events: impl IntoIterator<Item = N>) -> Request {
        let events = event_names(events);
        Request::new(&self.shared, R::now(), |machine, now| machine.subscribe(now, profile, &events))
    }

    /// Ends the subscription of a profile, or with `None` every subscription.
    ///
    /// Take updates on another task, or wait for both: see [`Request`] and [`RequestError::UpdatesUnread`].
    pub fn unsubscribe(&self, profile: Option<&str>) -> Request {
        Request::new(&self.shared, R::now(), |machine, now| machine.unsubscribe(now, profile))
    }

    /// Measures a round trip with the protocol's `ping`.
    ///
    /// Take updates on another task, or wait for both: see [`Request`] and [`RequestError::UpdatesUnread`].
    pub fn ping(&self) -> Request {
        Request::new(&self.shared, R::now(), |machine, now| machine.ping(now))
    }

    /// Closes the client for good and waits until the connection is closed, at most the close timeout. Cancel safe: the
    /// client closes even if the future is dropped.
    pub async fn close(&self) {
        self.start_close();
        self.closed().await;
    }

    /// Waits until the client is over, and tells why. Cancel safe.
    pub async fn closed(&self) -> CloseCause {
        self.watch(|state| state.inbox.over()).await
    }

    /// Waits until the client is ready for the first time, or over. Cancel safe.
    ///
    /// # Errors
    /// Why it is over without having been ready.
    pub async fn ready(&self) -> Result<(), ConnectError> {
        self.watch(|state| match (state.inbox.was_ready(), state.inbox.over()) {
            (true, _) => Some(Ok(())),
            (false, Some(cause)) => Some(Err(ConnectError::new(cause, state))),
            (false, None) => None,
        })
        .await
    }

    /// Waits until `look` finds something, which it may once the client is ready or over.
    async fn watch<T>(&self, look: impl Fn(&State<dyn Machine>) -> Option<T>) -> T {
        let watcher = Watcher { key: self.shared.lock().inbox.watchers.insert(None), shared: &self.shared };
        poll_fn(|cx| {
            let state = self.shared.lock_with(cx.waker(), |inbox| inbox.watchers.get_mut(watcher.key));
            look(&state).map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Where the client stands.
    #[must_use]
    pub fn state(&self) -> ClientState {
        self.shared.lock().client_state()
    }

    /// Everything that the client knows, at this moment.
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

/// A place among those who wait for a change of the client.
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
