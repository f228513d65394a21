//! A server: it accepts clients, holds their connections and publishes events to them.

mod admission;
mod builder;
mod connection;
mod forwarded;
mod hosts;
mod listener;
mod mailbox;
mod observer;
mod origin;
mod permits;
mod publisher;
mod rate;
mod registry;
#[cfg(feature = "http")]
mod upgrade;
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
#[cfg(feature = "http")]
pub use upgrade::UpgradeTicket;

use crate::{Io, Runtime, trace};
use builder::Settings;
use connection::Task;
use rate::Limiter;
use registry::{Entry, Registry};

/// How long a shutdown waits for the tasks that it has aborted. They end at once, unless the application blocks them.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);

/// A server of the MultiWA WebSocket API on the runtime `R`.
///
/// Each connection is a task. Publishing puts events into the mailbox of each connection, so a client that does not read
/// does not delay other clients. [`SlowReader`] defines how the server handles a client that falls too far behind.
///
/// Dropping the server stops the listener and aborts all connections, without a closing handshake. Use
/// [`shutdown`](Self::shutdown) to close them properly.
pub struct Server<R> {
    shared: Arc<Shared>,
    address: Option<SocketAddr>,
    runtime: PhantomData<fn() -> R>,
}

/// The state that a server shares with its connections and publishers.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    registry: Registry,
    limiter: Option<Limiter>,
    connections: AtomicU64,
}

impl<R> Server<R> {
    /// Returns a builder for a server.
    #[must_use]
    pub fn builder() -> ServerBuilder<R> {
        ServerBuilder::default()
    }

    /// The address that the server listens on. `None` if it was [built](ServerBuilder::build) without a listener.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Returns a handle to publish events.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        Publisher { shared: self.shared.clone() }
    }

    /// The number of open connections, with those of accepted clients that are not served yet.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.registry.open()
    }

    /// Replaces the API keys. From now on the server accepts only clients with one of `keys`, and no clients if there are
    /// none.
    ///
    /// Connections with any other key are closed with code 1008. Returns their number.
    pub fn replace_api_keys(&self, keys: impl IntoIterator<Item = ApiKey>) -> usize {
        self.shared.registry.replace_keys(keys.into_iter().collect())
    }
}

impl<R: Runtime> Server<R> {
    /// Serves one connection over a stream that the caller opened (TLS, a Unix socket, memory), until the connection
    /// ends. `address` is the address of the client. It is used for authorization, for logs and for the
    /// [share of permits](ServerBuilder::max_handshakes_per_address).
    ///
    /// Spawn or await the future. Dropping it drops the stream.
    pub fn serve_stream<S>(&self, stream: S, address: Option<SocketAddr>) -> impl Future<Output = ()> + Send + use<S, R>
    where
        S: Unpin + Send,
        R: Io<S>,
    {
        let entry = Entry::new(&self.shared, R::now(), address.map(|address| address.ip()));
        let task = entry.map(|entry| Task::<S, R>::new(entry, stream, address));
        async {
            // Without a task the stream is dropped: the server is shutting down, or the address holds its share of
            // permits.
            if let Some(task) = task {
                task.await;
            }
        }
    }

    /// Stops the listener, delivers the published events, and closes every connection with code 1001. Waits until all
    /// connections have ended. After `deadline` it aborts the remaining connections and returns their number.
    ///
    /// The Close frames are spread over a window: see [`ServerBuilder::close_window`]. If the future is dropped the
    /// shutdown continues, but without the deadline.
    pub async fn shutdown(&self, deadline: Duration) -> usize {
        let registry = &self.shared.registry;
        let now = R::now();
        registry.shut_down(now, self.shared.settings.close_window.min(deadline / 2));
        if within::<R, _>(now + deadline, registry.emptied()).await.is_some() {
            return 0;
        }
        let aborted = registry.abort();
        let _ = within::<R, _>(R::now() + ABORT_TIMEOUT, registry.emptied()).await;
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

/// Returns the output of `future` if it completes before `deadline`.
pub(crate) async fn within<R: Runtime, F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut sleep = pin!(R::sleep_until(deadline));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => sleep.as_mut().poll(cx).map(|()| None),
    })
    .await
}
