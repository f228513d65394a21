//! The handle of a server.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use multiwa_ws_core::handshake::ApiKey;

use super::connection::Task;
use super::entry::Entry;
use super::publisher::Publisher;
use super::shared::Shared;
use super::timeout::within;
use crate::{Io, Runtime};

/// How long a shutdown waits for the tasks that it has aborted. They end at once, unless the application blocks them.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);

/// A server of the MultiWA WebSocket API on the runtime `R`.
///
/// Each connection is a task. Publishing puts events into the mailbox of each connection, so a client that does not read
/// does not delay other clients. [`SlowReader`](super::SlowReader) defines how the server handles a client that falls too
/// far behind.
///
/// Dropping the server stops the listener and aborts all connections, without a closing handshake. Use
/// [`shutdown`](Self::shutdown) to close them properly.
pub struct Server<R> {
    pub(super) shared: Arc<Shared>,
    pub(super) address: Option<SocketAddr>,
    pub(super) runtime: PhantomData<fn() -> R>,
}

impl<R> Server<R> {
    /// The address that the server listens on. `None` if it was [built](super::ServerBuilder::build) without a listener.
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

    /// The number of open connections that have a subscription, and so receive events.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.shared.registry.subscribers()
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
    /// [share of permits](super::ServerBuilder::max_handshakes_per_address).
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
    /// The Close frames are spread over a window: see
    /// [`ServerBuilder::close_window`](super::ServerBuilder::close_window). If the future is dropped, the shutdown continues
    /// without the deadline.
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
