//! A server: it lets clients in, holds their connections and publishes events to them.

mod admission;
mod builder;
mod connection;
mod forwarded;
mod listener;
mod mailbox;
mod observer;
mod origin;
mod permits;
mod publisher;
mod rate;
mod registry;
mod wakers;

use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::handshake::ApiKey;

pub use admission::{ConnectRequest, Permissions};
pub use builder::ServerBuilder;
pub use forwarded::{InvalidProxyNetwork, TrustedProxy};
pub use mailbox::SlowReader;
pub use observer::{Observed, Peer};
pub use origin::{InvalidOrigin, Origin};
pub use publisher::{PublishError, Published, Publisher};
pub use rate::ConnectionRate;

use crate::{Io, Runtime, trace};
use builder::Settings;
use connection::Task;
use rate::Limiter;
use registry::{Entry, Registry};

/// How long a shutdown waits for tasks that it has aborted. They end at once, unless the application keeps them from running.
const CUT_TIMEOUT: Duration = Duration::from_secs(1);

/// A server of the MultiWA WebSocket API on the runtime `R`.
///
/// Each connection is a task of its own. What is published is left in its mailbox, so that a client that does not read delays
/// nobody; a client that falls too far behind is dealt with as [`SlowReader`] says.
///
/// Dropped, a server stops to listen and its connections end at once, without a closing handshake. [`shutdown`](Self::shutdown)
/// is the polite way.
pub struct Server<R> {
    shared: Arc<Shared>,
    address: Option<SocketAddr>,
    runtime: PhantomData<fn() -> R>,
}

/// What a server, its connections and its publishers share.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    registry: Registry,
    limiter: Option<Limiter>,
    connections: AtomicU64,
}

impl<R> Server<R> {
    /// Sets up a server.
    #[must_use]
    pub fn builder() -> ServerBuilder<R> {
        ServerBuilder::default()
    }

    /// The address that it listens on; `None` when it was [built](ServerBuilder::build) without one.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.address
    }

    /// A handle to publish events with.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        Publisher { shared: self.shared.clone() }
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.registry.open()
    }

    /// Lets clients in with one of `keys` from now on, and with no other key: without any, nobody.
    ///
    /// Connections whose key is not among them are closed with 1008. Returns how many those are.
    pub fn replace_api_keys(&self, keys: impl IntoIterator<Item = ApiKey>) -> usize {
        self.shared.registry.replace_keys(keys.into_iter().collect())
    }
}

impl<R: Runtime> Server<R> {
    /// Runs one connection over a stream of the caller's own (TLS, a Unix socket, memory) until its end, as one of this
    /// server. `address` is where the client comes from, for the decision, for logs and for its
    /// [share of permits](ServerBuilder::max_handshakes_per_address).
    ///
    /// The future is to be spawned, or awaited; dropped, it drops the stream.
    pub fn serve_stream<S>(&self, stream: S, address: Option<SocketAddr>) -> impl Future<Output = ()> + Send + use<S, R>
    where
        S: Unpin + Send,
        R: Io<S>,
    {
        let entry = Entry::new(&self.shared, R::now(), address.map(|address| address.ip()));
        let task = entry.map(|entry| Task::<S, R>::new(entry, stream, address));
        async {
            // Without a task the server is going down, or the address holds its share, and the stream is dropped.
            if let Some(task) = task {
                task.await;
            }
        }
    }

    /// Stops to listen, delivers what was published, and closes every connection with 1001. Waits until all have gone, and
    /// after `deadline` ends those that have not; returns how many these were.
    ///
    /// The Close frames are spread over a window: see [`ServerBuilder::close_window`]. When the future is dropped the
    /// shutdown goes on, but without its deadline.
    pub async fn shutdown(&self, deadline: Duration) -> usize {
        let registry = &self.shared.registry;
        let now = R::now();
        registry.shut_down(now, self.shared.settings.close_window.min(deadline / 2));
        if within::<R, _>(now + deadline, registry.emptied()).await.is_some() {
            return 0;
        }
        let aborted = registry.abort();
        let _ = within::<R, _>(R::now() + CUT_TIMEOUT, registry.emptied()).await;
        aborted
    }
}

impl<R> Drop for Server<R> {
    fn drop(&mut self) {
        self.shared.registry.abort();
    }
}

impl<R> fmt::Debug for Server<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Shared {
    fn observe(&self, observed: Observed<'_>) {
        trace::observed(&observed);
        if let Some(observe) = &self.settings.observe {
            observe(observed);
        }
    }

    fn next_peer(&self, address: Option<SocketAddr>) -> Peer {
        Peer { id: self.connections.fetch_add(1, Ordering::Relaxed) + 1, address }
    }
}

/// What `future` gives, if it does so before `deadline`.
pub(crate) async fn within<R: Runtime, F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut sleep = pin!(R::sleep_until(deadline));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => sleep.as_mut().poll(cx).map(|()| None),
    })
    .await
}
