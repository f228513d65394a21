//! The configuration of a server.

use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use multiwa_ws_core::handshake::{ApiKey, DeflateConfig, HandshakeLimits, Rejection};
use multiwa_ws_core::session::{ServerConfig, SubscribePolicy};
use multiwa_ws_core::websocket;

use super::connection::Task;
use super::entry::Entry;
use super::forwarded::TrustedProxy;
use super::handle::Server;
use super::mailbox::SlowReader;
use super::observer::Observed;
use super::origin::Origin;
use super::permissions::{ConnectRequest, Permissions};
use super::rate::{ConnectionRate, Limiter};
use super::registry::Registry;
use super::settings::Settings;
use super::shared::Shared;
use super::{connection, listener};
#[cfg(feature = "tls")]
use crate::ServerTls;
#[cfg(unix)]
use crate::UnixNet;
use crate::{Io, Net, Tls};

/// Builds a [`Server`].
pub struct ServerBuilder<R> {
    settings: Settings,
    keys: Option<Vec<ApiKey>>,
    handshakes_per_address: usize,
    rate: Option<ConnectionRate>,
    #[cfg(feature = "tls")]
    tls: Option<ServerTls>,
    runtime: PhantomData<fn() -> R>,
}

impl<R> Server<R> {
    /// Returns a builder for a server.
    #[must_use]
    pub fn builder() -> ServerBuilder<R> {
        ServerBuilder::default()
    }
}

/// # Admission
impl<R> ServerBuilder<R> {
    /// The path of the WebSocket endpoint, `/ws` by default. Requests for other paths get 404. The path is compared as
    /// sent, without decoding percent escapes.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.settings.path = format!("/{}", path.strip_prefix('/').unwrap_or(path));
        self
    }

    /// The API keys that the server accepts. A client without one of them gets 401. By default every client is accepted,
    /// with or without a key.
    ///
    /// The keys can be replaced later: see [`Server::replace_api_keys`].
    #[must_use]
    pub fn api_keys(mut self, keys: impl IntoIterator<Item = ApiKey>) -> Self {
        self.keys.get_or_insert_default().extend(keys);
        self
    }

    /// Accepts web pages of `origin`; call it once for each origin. Pages of all other origins get 403. By default every
    /// origin is accepted. Clients that send no origin are not browsers, and this check always accepts them.
    #[must_use]
    pub fn allow_origin(mut self, origin: Origin) -> Self {
        self.settings.origins.push(origin);
        self
    }

    /// Accepts requests with this host name (without a port) in `Host`; call it once for each name. Other names get 403.
    ///
    /// By default a server on a loopback address (in any notation) accepts only `localhost` and IP addresses. This
    /// prevents DNS rebinding, where a web page uses a name that its owner has pointed to this server. Any other server
    /// accepts every name; web pages cannot connect to a Unix socket.
    #[must_use]
    pub fn allow_host(mut self, host: impl Into<String>) -> Self {
        self.settings.hosts.listed.push(host.into());
        self
    }

    /// Accepts requests with any host name.
    #[must_use]
    pub fn allow_any_host(mut self) -> Self {
        self.settings.hosts.any = true;
        self
    }

    /// Calls `authorize` for each client that has passed all other checks. It returns `Ok(())`, the client's
    /// [`Permissions`], or the response that rejects the client.
    ///
    /// The decision may take as long as the handshake ([`HandshakeLimits::timeout`]); after that the client gets 503. The
    /// future is dropped when the client disconnects.
    #[must_use]
    pub fn authorize<F, T>(mut self, authorize: impl Fn(ConnectRequest) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<T, Rejection>> + Send + 'static,
        T: Into<Permissions>,
    {
        self.settings.authorize = Some(Box::new(move |request| {
            let decision = authorize(request);
            Box::pin(async { decision.await.map(Into::into) })
        }));
        self
    }
}

/// # Limits
impl<R> ServerBuilder<R> {
    /// The maximum number of connections, 65,536 by default: as many as a proxy can open from one address to one port.
    /// Further clients get 503.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.settings.max_connections = connections;
        self
    }

    /// The number of handshake permits, which is the maximum number of upgrades in progress. 1,024 by default. When all
    /// permits are held, other clients wait to be accepted.
    #[must_use]
    pub fn max_handshakes(mut self, handshakes: usize) -> Self {
        // With no permit, no client could connect.
        self.settings.max_handshakes = handshakes.max(1);
        self
    }

    /// The maximum share of handshake permits for the clients of one address. It is 256 by default, and never more than
    /// the number of free permits. With IPv6, a /64 network counts as one address.
    ///
    /// When an address holds its share, a new client takes over the permit of the oldest client from this address that
    /// has sent no request within half a second. If there is none, the new client is dropped at once. So idle sockets
    /// cannot keep other clients out. Clients behind a proxy count as the address of the proxy: see
    /// [`trusted_proxies`](Self::trusted_proxies). Streams without an address, such as those of a Unix socket, have no
    /// share.
    #[must_use]
    pub fn max_handshakes_per_address(mut self, handshakes: usize) -> Self {
        self.handshakes_per_address = handshakes.max(1);
        self
    }

    /// Trusts the client addresses that these proxies send in `X-Forwarded-For`, or, in a request without it, in
    /// `Forwarded` (RFC 7239). The proxies are added to those of earlier calls. By default no proxy is trusted, because
    /// any client can send these headers.
    ///
    /// A trusted proxy can use every handshake permit. When its request has arrived, the address that it names counts for
    /// the [share](Self::max_handshakes_per_address), and the client gets 503 if that address holds its share. A proxy
    /// must append to its header or replace it. A proxy that sends `Forwarded` must remove an `X-Forwarded-For` header of
    /// the client.
    #[must_use]
    pub fn trusted_proxies(mut self, proxies: impl IntoIterator<Item = TrustedProxy>) -> Self {
        self.settings.trusted_proxies.0.extend(proxies);
        self
    }

    /// Limits the rate of accepted clients. By default there is no limit.
    #[must_use]
    pub fn connection_rate(mut self, rate: ConnectionRate) -> Self {
        self.rate = Some(rate);
        self
    }

    /// What happens to a client that reads too slowly. By default it is closed. The queue of a client holds
    /// [`websocket::Config::max_queued`] bytes, 4 MiB by default. Each event counts for its length plus 64 bytes.
    #[must_use]
    pub fn slow_reader(mut self, policy: SlowReader) -> Self {
        self.settings.slow_reader = policy;
        self
    }

    /// The limits of each session.
    ///
    /// The server sets the subscribe policy itself: see [`authorize`](Self::authorize).
    #[must_use]
    pub fn session(mut self, session: ServerConfig) -> Self {
        self.settings.session = session;
        self
    }

    /// The limits and the keep-alive of each connection.
    #[must_use]
    pub fn websocket(mut self, websocket: websocket::Config) -> Self {
        self.settings.websocket = websocket;
        self
    }

    /// The limits of each upgrade. Its timeout also limits the TLS handshake.
    #[must_use]
    pub fn handshake(mut self, handshake: HandshakeLimits) -> Self {
        self.settings.handshake = handshake;
        self
    }

    /// Enables compression for clients that offer `permessage-deflate`. By default compression is off.
    ///
    /// With [`DeflateConfig::server_no_context_takeover`] each event is compressed once for all clients. Without it each
    /// connection compresses for itself: the compression ratio is much better, but each connection costs memory and time.
    #[must_use]
    pub fn compression(mut self, deflate: DeflateConfig) -> Self {
        self.settings.deflate = Some(deflate);
        self
    }

    /// The time over which a shutdown spreads its Close frames, 1 s by default and at most half of the shutdown's
    /// deadline. Clients that are closed at the same moment also reconnect at the same moment.
    #[must_use]
    pub fn close_window(mut self, window: Duration) -> Self {
        self.settings.close_window = window;
        self
    }
}

impl<R> ServerBuilder<R> {
    /// Uses TLS on the address or the Unix socket that the server listens on. The TLS handshake must complete within
    /// [`HandshakeLimits::timeout`].
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Calls `observe` when clients are accepted, rejected and disconnected. It runs on the tasks of the connections and
    /// must not block.
    #[must_use]
    pub fn observe(mut self, observe: impl Fn(Observed<'_>) + Send + Sync + 'static) -> Self {
        self.settings.observe = Some(Box::new(observe));
        self
    }

    /// Makes a server without a listener. Pass streams to it with [`Server::serve_stream`], or, with the feature `http`,
    /// requests with `Server::upgrade`.
    #[must_use]
    pub fn build(self) -> Server<R> {
        Server { shared: self.into_shared(), address: None, runtime: PhantomData }
    }

    pub(super) fn into_shared(mut self) -> Arc<Shared> {
        // The server asks [`Permissions`] before a subscription takes effect.
        let policy = match &self.settings.authorize {
            Some(_) => SubscribePolicy::Ask,
            None => SubscribePolicy::AcceptAll,
        };
        self.settings.session = self.settings.session.policy(policy);
        Arc::new(Shared {
            config: self.settings.config(),
            settings: self.settings,
            registry: Registry::new(self.keys, self.handshakes_per_address),
            limiter: self.rate.map(Limiter::new),
            connections: AtomicU64::new(0),
        })
    }
}

impl<R: Net> ServerBuilder<R> {
    /// Makes a server that listens on `address`. With port 0 the system selects a free port: see [`Server::local_addr`].
    ///
    /// # Errors
    /// The errors of the operating system, for example an address in use, or that no runtime is running.
    pub async fn bind(self, address: SocketAddr) -> io::Result<Server<R>> {
        let start = self.start::<R::TcpStream>();
        self.listen(address, start).await
    }

    /// Makes a server that listens on `address` and serves the streams that `secure` makes of the TCP streams. It takes
    /// the place of the setting `tls`.
    ///
    /// # Errors
    /// The errors of the operating system, for example an address in use, or that no runtime is running.
    pub async fn bind_with<S, F>(
        self,
        address: SocketAddr,
        secure: impl Fn(R::TcpStream) -> F + Send + Sync + 'static,
    ) -> io::Result<Server<R>>
    where
        S: Unpin + Send + 'static,
        F: Future<Output = io::Result<S>> + Send + 'static,
        R: Io<S>,
    {
        let start = move |entry, stream, address| {
            // A task of the runtime calls this, so a runtime exists.
            let _ = R::spawn(connection::serve::<S, R>(entry, secure(stream), address));
        };
        self.listen(address, start).await
    }

    async fn listen(
        mut self,
        address: SocketAddr,
        start: impl Fn(Entry, R::TcpStream, Option<SocketAddr>) + Send + Sync + 'static,
    ) -> io::Result<Server<R>> {
        let listener = R::bind(address).await?;
        let address = R::local_addr(&listener)?;
        // An IPv4 address may be written as an IPv6 address (RFC 4291 section 2.5.5.2).
        self.settings.hosts.on_loopback = address.ip().to_canonical().is_loopback();
        let mut server = self.build();
        server.address = Some(address);
        R::spawn(listener::accept::<R, _>(server.shared.clone(), listener::Tcp::<R>(listener), start))?;
        Ok(server)
    }

    /// Returns a function that spawns the task of a connection, with TLS if it is configured.
    fn start<S>(&self) -> impl Fn(Entry, S, Option<SocketAddr>) + Send + Sync + use<S, R>
    where
        S: Unpin + Send + 'static,
        R: Tls<S>,
    {
        #[cfg(feature = "tls")]
        let tls = self.tls.clone();
        // A task of the runtime calls this, so a runtime exists.
        move |entry, stream, address| {
            #[cfg(feature = "tls")]
            if let Some(tls) = &tls {
                let stream = R::accept_tls(tls.config().clone(), stream);
                let _ = R::spawn(connection::serve::<_, R>(entry, stream, address));
                return;
            }
            let _ = R::spawn(Task::<S, R>::new(entry, stream, address));
        }
    }
}

#[cfg(unix)]
impl<R: UnixNet> ServerBuilder<R> {
    /// Makes a server that listens on a Unix socket at `path`. The permissions of the directory control which users may
    /// connect.
    ///
    /// Before the call, remove the socket file that an earlier server has left. The server does not remove its socket
    /// file either.
    ///
    /// # Errors
    /// The errors of the operating system, for example a file that exists at the path, or that no runtime is running.
    pub async fn bind_unix(self, path: impl AsRef<Path>) -> io::Result<Server<R>> {
        let start = self.start::<R::UnixStream>();
        let listener = R::bind_unix(path.as_ref()).await?;
        let server = self.build();
        R::spawn(listener::accept::<R, _>(server.shared.clone(), listener::Unix::<R>(listener), start))?;
        Ok(server)
    }
}

impl<R> Default for ServerBuilder<R> {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            keys: None,
            handshakes_per_address: 256,
            rate: None,
            #[cfg(feature = "tls")]
            tls: None,
            runtime: PhantomData,
        }
    }
}

impl<R> fmt::Debug for ServerBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use multiwa_ws_core::Instant;
    use multiwa_ws_core::websocket::{
        Compression, Config as WebSocketConfig, DeflateParameters, Negotiated, Role, WebSocket,
    };

    use super::*;

    #[test]
    fn what_is_written_about_a_builder_names_its_path_and_limits_and_no_key() {
        let keys = ["s3cret", "0ther"].map(ApiKey::new);
        let websocket = WebSocketConfig::new().max_queued(123_456);
        let builder = ServerBuilder::<()>::default().path("/events").websocket(websocket).api_keys(keys);
        for written in [format!("{builder:?}"), format!("{builder:#?}")] {
            assert!(written.starts_with("ServerBuilder"), "{written}");
            assert!(written.contains("\"/events\"") && written.contains("max_queued: 123456"), "{written}");
            assert!(!written.contains("s3cret") && !written.contains("0ther"), "{written}");
        }
    }

    /// The number of bytes that an event takes on a connection that can use shared compressed forms.
    fn sent(deflate: Option<DeflateConfig>, text: &str) -> usize {
        let mut builder = ServerBuilder::<()>::default();
        builder.settings.deflate = deflate;
        let deflate = DeflateParameters { server_no_context_takeover: true, ..DeflateParameters::default() };
        let negotiated = Negotiated { deflate: Some(deflate), ..Negotiated::default() };
        // The connection's own compression is off, so it does not change the size.
        let config = WebSocketConfig::new().compression(Compression::new().level(0));
        let mut connection = WebSocket::new(Instant::default(), Role::Server, &config, &negotiated, [0; 32]);
        connection.sender().send_shared(&builder.settings.encode(text)).unwrap();
        connection.queued()
    }

    #[test]
    fn an_event_is_compressed_once_for_all_where_no_connection_keeps_a_context() {
        let text = "event ".repeat(100);
        let takeover = DeflateConfig::new().server_no_context_takeover(false);
        let alone = DeflateConfig::new().server_no_context_takeover(true);
        assert!(sent(Some(alone), &text) < text.len() / 10);
        assert!(sent(Some(takeover), &text) > text.len());
        assert!(sent(None, &text) > text.len());
    }
}
