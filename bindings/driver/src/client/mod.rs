//! A client that stays connected: a task that drives the core's client, a handle to command it, and what it tells.

mod builder;
mod connector;
mod dial;
mod endpoint;
mod proxy;
mod queue;
mod race;
mod stream;
mod target;
mod task;
mod tunnel;

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use multiwa_ws_core::client as core;
use multiwa_ws_core::session::{
    ClientCounters, ClientState, CloseCause, CommandError, Event, EventNames, JsonError, Loss, Message, Notice,
    RequestId, RequestOutcome, SubscriptionSet,
};

pub use builder::{BuildError, ClientBuilder};
pub use connector::{Connector, ConnectorError};
pub use endpoint::{Endpoint, InvalidUrl, KeyPlacement};
pub use proxy::{InvalidProxy, Proxy};
pub use queue::Overflow;
pub use race::{ATTEMPT_DELAY, interleave};
pub use target::{Destination, RedirectError, RequestSettings, Target};
pub use tunnel::{ProxyError, Tunnel};

use crate::lock;
use crate::{Net, Runtime};
use queue::Queue;

/// A handle to a client, to be cloned and used from any task while another takes its [`Updates`].
///
/// A request (`subscribe`, `unsubscribe`, `ping`) takes effect when it is called, before it is awaited; the future tells how
/// it ended, and may be dropped. When the last handle and the [`Updates`] are dropped, the client closes.
pub struct Client<R> {
    shared: Arc<Shared>,
    runtime: PhantomData<fn() -> R>,
}

impl<R: Net> Client<R> {
    /// Sets up a client of the server at `url`, `ws://HOST:PORT/ws` or `wss://HOST/ws`.
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

impl<R: Runtime> Client<R> {
    /// Subscribes to events of a profile, `*` for all of them. The subscription is asked for again after each reconnect.
    pub fn subscribe<N: AsRef<str>>(&self, profile: &str, events: impl IntoIterator<Item = N>) -> Request {
        let events = event_names(events);
        self.request(|commands| commands.subscribe(R::now(), profile, &events))
    }

    /// Ends the subscription of a profile, or with `None` every subscription.
    pub fn unsubscribe(&self, profile: Option<&str>) -> Request {
        self.request(|commands| commands.unsubscribe(R::now(), profile))
    }

    /// Measures a round trip with the protocol's `ping`.
    pub fn ping(&self) -> Request {
        self.request(|commands| commands.ping(R::now()))
    }

    /// Closes the client for good and waits until the connection is closed, at most the close timeout. Cancel safe: the
    /// client closes even if the future is dropped.
    pub async fn close(&self) {
        self.shared.start_close::<R>();
        self.closed().await;
    }

    /// Waits until the client is over, and tells why.
    pub async fn closed(&self) -> CloseCause {
        poll_fn(|cx| self.shared.lock().poll_status(cx, |state| state.over)).await
    }

    /// Waits until the client is ready for the first time, or over.
    ///
    /// # Errors
    /// Why it is over without having been ready.
    pub async fn ready(&self) -> Result<(), ConnectError> {
        poll_fn(|cx| {
            self.shared.lock().poll_status(cx, |state| match (state.was_ready, state.over) {
                (true, _) => Some(Ok(())),
                (false, Some(cause)) => Some(Err(state.connect_error(cause))),
                (false, None) => None,
            })
        })
        .await
    }

    /// Where the client stands.
    #[must_use]
    pub fn state(&self) -> ClientState {
        self.shared.lock().client.session().state()
    }

    /// Everything else the client knows, at this moment.
    #[must_use]
    pub fn status(&self) -> Status {
        let state = self.shared.lock();
        let session = state.client.session();
        Status {
            state: session.state(),
            last_loss: session.last_loss(),
            detail: state.detail(),
            attempt: session.attempt(),
            round_trip: session.rtt(),
            live: session.live().clone(),
            wanted: session.wanted(),
            counters: *session.counters(),
            dropped: state.queue.dropped(),
        }
    }

    fn request(&self, command: impl FnOnce(&mut core::Commands<'_>) -> Result<RequestId, CommandError>) -> Request {
        let mut state = self.shared.lock();
        let id = command(&mut state.client.commands());
        if let Ok(id) = id {
            state.requests.insert(id, Slot::Waiting(None));
        }
        state.wake_task();
        Request { id, shared: self.shared.clone() }
    }
}

impl<R> Clone for Client<R> {
    fn clone(&self) -> Self {
        self.shared.lock().handles += 1;
        Self { shared: self.shared.clone(), runtime: PhantomData }
    }
}

impl<R> Drop for Client<R> {
    fn drop(&mut self) {
        self.shared.lock().drop_handle();
    }
}

impl<R> std::fmt::Debug for Client<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("state", &self.shared.lock().client.session().state()).finish_non_exhaustive()
    }
}

/// What a client knows at one moment.
#[derive(Clone, Debug)]
pub struct Status {
    /// Where it stands.
    pub state: ClientState,
    /// How the latest connection or attempt ended.
    pub last_loss: Option<Loss>,
    /// What more is known of that ending, as text for a person.
    pub detail: Option<String>,
    /// Attempts since the last stable connection.
    pub attempt: u32,
    /// The latest round trip of a `ping`.
    pub round_trip: Option<Duration>,
    /// Subscriptions that the server has acknowledged on this connection.
    pub live: SubscriptionSet,
    /// Subscriptions that the application wants.
    pub wanted: SubscriptionSet,
    /// What was received.
    pub counters: ClientCounters,
    /// Events that were dropped because the application did not take them.
    pub dropped: u64,
}

/// What a client tells, in order.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Update {
    /// An event that was subscribed to.
    Event(Event<'static>),
    /// A `notification` of the server.
    Notification(Message<'static>),
    /// A message of a type that this version does not know.
    Unknown(Message<'static>),
    /// An `error` of the server that answers no request.
    Error {
        /// Text for a person.
        error: String,
        /// A stable word for a program, if the server sends one.
        code: Option<String>,
    },
    /// A message that is no JSON, or nested too deep.
    Invalid(JsonError),
    /// What happened to the connection. `Closed` is the last update.
    Notice(Notice),
}

impl Update {
    /// Whether it may be dropped when the application is slow: whatever a server can send at will.
    fn is_droppable(&self) -> bool {
        !matches!(self, Self::Notice(_))
    }
}

/// The updates of a client: events, and what happens to the connection.
pub struct Updates<R> {
    shared: Arc<Shared>,
    runtime: PhantomData<fn() -> R>,
}

impl<R> Updates<R> {
    /// Waits for the next update; `None` after [`Notice::Closed`]. Cancel safe.
    pub async fn next(&mut self) -> Option<Update> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Waits for the next event, passing over all other updates; `None` once the client is over. Cancel safe.
    pub async fn next_event(&mut self) -> Option<Event<'static>> {
        loop {
            if let Update::Event(event) = self.next().await? {
                return Some(event);
            }
        }
    }

    /// As [`next`](Self::next), to be polled.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Update>> {
        let mut state = self.shared.lock();
        let waited = state.queue.must_wait();
        let update = state.queue.pop();
        if waited && !state.queue.must_wait() {
            state.wake_task();
        }
        match update {
            Some(update) => Poll::Ready(Some(update)),
            None if state.over.is_some() => Poll::Ready(None),
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<R> Drop for Updates<R> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.unread = true;
        state.drop_handle();
    }
}

impl<R> std::fmt::Debug for Updates<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Updates").finish_non_exhaustive()
    }
}

/// Why a request has not done what it asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The command was refused here, before anything was sent.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The server refused.
    #[error("the server refused: {error}")]
    Refused {
        /// Text for a person.
        error: String,
        /// A stable word for a program, if the server sends one.
        code: Option<String>,
    },
    /// The server holds one profile a connection, and another one stands.
    #[error("the server holds one profile a connection, and another one is subscribed to")]
    SetsUnsupported,
    /// A later subscription has displaced this one.
    #[error("a later subscription has displaced this one")]
    Displaced,
    /// No answer in time.
    #[error("the server did not answer in time")]
    TimedOut,
    /// The connection was lost before the answer. A subscription is asked for again.
    #[error("the connection was lost before the answer")]
    ConnectionLost,
}

/// Why a client ended without having been ready.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The application closed it.
    #[error("the client was closed")]
    Closed,
    /// The last attempt ended so.
    #[error("{detail}")]
    Lost {
        /// What kind of ending it was.
        loss: Loss,
        /// What is known of it.
        detail: String,
    },
}

/// What the handles, the updates and the task share.
struct Shared {
    state: Mutex<State>,
}

struct State {
    client: core::Client,
    queue: Queue,
    requests: BTreeMap<RequestId, Slot>,
    /// Why the client is over.
    over: Option<CloseCause>,
    was_ready: bool,
    /// What the transport said of its latest failure.
    transport_error: Option<String>,
    /// Handles and updates that exist.
    handles: usize,
    /// Nobody takes updates any more.
    unread: bool,
    /// Nobody is left: close.
    abandoned: bool,
    task: Option<Waker>,
    reader: Option<Waker>,
    watchers: Vec<Waker>,
}

/// A request and whoever waits for its end.
enum Slot {
    Waiting(Option<Waker>),
    Ended(Result<Duration, RequestError>),
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn start_close<R: Runtime>(&self) {
        let mut state = self.lock();
        state.client.commands().close(R::now());
        state.wake_task();
    }
}

impl State {
    fn wake_task(&mut self) {
        if let Some(waker) = self.task.take() {
            waker.wake();
        }
    }

    fn drop_handle(&mut self) {
        self.handles -= 1;
        if self.handles == 0 {
            self.abandoned = true;
        }
        self.wake_task();
    }

    fn poll_status<T>(&mut self, cx: &mut Context<'_>, status: impl FnOnce(&Self) -> Option<T>) -> Poll<T> {
        if let Some(status) = status(self) {
            return Poll::Ready(status);
        }
        if !self.watchers.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.watchers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn wake_watchers(&mut self) {
        self.watchers.drain(..).for_each(Waker::wake);
    }

    fn push(&mut self, update: Update) -> bool {
        if self.unread {
            return false;
        }
        let close = self.queue.push(update);
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
        close
    }

    fn end_request(&mut self, id: RequestId, result: Result<Duration, RequestError>) {
        let Some(slot) = self.requests.get_mut(&id) else { return };
        if let Slot::Waiting(Some(waker)) = std::mem::replace(slot, Slot::Ended(result)) {
            waker.wake();
        }
    }

    fn connect_error(&self, cause: CloseCause) -> ConnectError {
        match cause {
            CloseCause::Application => ConnectError::Closed,
            CloseCause::Lost(loss) => {
                ConnectError::Lost { loss, detail: self.detail().unwrap_or_else(|| loss.to_string()) }
            }
        }
    }

    /// What is known of how the latest connection or attempt ended.
    fn detail(&self) -> Option<String> {
        let loss = self.client.session().last_loss()?;
        Some(match (self.client.failure(), &self.transport_error) {
            (Some(failure), Some(error)) => format!("{failure}: {error}"),
            (Some(failure), None) => failure.to_string(),
            (None, Some(error)) => format!("{loss}: {error}"),
            (None, None) => loss.to_string(),
        })
    }
}

/// A request that was made: the future of how it ends, which is after the time from sending it to its answer.
///
/// Dropping it changes nothing about the request.
#[must_use = "a refusal is told here; await it, or drop it when it does not matter"]
pub struct Request {
    id: Result<RequestId, CommandError>,
    shared: Arc<Shared>,
}

impl Future for Request {
    type Output = Result<Duration, RequestError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let id = self.id?;
        match self.shared.lock().requests.get_mut(&id) {
            Some(Slot::Ended(result)) => Poll::Ready(result.clone()),
            Some(Slot::Waiting(waker)) => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
            None => Poll::Ready(Err(RequestError::ConnectionLost)),
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if let Ok(id) = &self.id {
            self.shared.lock().requests.remove(id);
        }
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("id", &self.id).finish_non_exhaustive()
    }
}

fn event_names<N: AsRef<str>>(events: impl IntoIterator<Item = N>) -> EventNames {
    events.into_iter().map(|name| Box::<str>::from(name.as_ref())).collect()
}

fn result_of(outcome: RequestOutcome<'_>) -> Result<Duration, RequestError> {
    use multiwa_ws_core::session::Refusal;
    match outcome {
        RequestOutcome::Acknowledged { after } => Ok(after),
        RequestOutcome::TimedOut => Err(RequestError::TimedOut),
        RequestOutcome::ConnectionLost => Err(RequestError::ConnectionLost),
        RequestOutcome::Refused(Refusal::Server { error, code }) => {
            Err(RequestError::Refused { error: error.into_owned(), code: code.map(|code| code.into_owned()) })
        }
        RequestOutcome::Refused(Refusal::SetsUnsupported) => Err(RequestError::SetsUnsupported),
        RequestOutcome::Refused(Refusal::Displaced) => Err(RequestError::Displaced),
    }
}
