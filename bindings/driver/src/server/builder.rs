//! How a server is set up.

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
use multiwa_ws_core::server::Config;
use multiwa_ws_core::session::{ServerConfig, SubscribePolicy};
use multiwa_ws_core::websocket::{self, SharedMessage};

use super::admission::{Authorize, ConnectRequest, Permissions};
use super::connection::Task;
use super::forwarded::{Proxies, TrustedProxy};
use super::observer::{Observe, Observed};
use super::origin::{Hosts, Origin};
use super::rate::{ConnectionRate, Limiter};
use super::registry::{Entry, Registry};
use super::{Server, Shared, SlowReader, connection, listener};
#[cfg(unix)]
use crate::UnixNet;
use crate::{Io, Net, ServerTls, Tls};

/// Sets up a [`Server`].
pub struct ServerBuilder<R> {
    settings: Settings,
    keys: Option<Vec<ApiKey>>,
    handshakes_per_address: usize,
    rate: Option<ConnectionRate>,
    tls: Option<ServerTls>,
    runtime: PhantomData<fn() -> R>,
}

/// What a server was told at its start.
pub(super) struct Settings {
    pub(super) path: String,
    pub(super) origins: Vec<Origin>,
    pub(super) hosts: Hosts,
    pub(super) authorize: Option<Box<Authorize>>,
    pub(super) observe: Option<Box<Observe>>,
    pub(super) config: Config,
    pub(super) deflate: Option<DeflateConfig>,
    pub(super) slow_reader: SlowReader,
    pub(super) max_connections: usize,
    pub(super) max_handshakes: usize,
    pub(super) trusted_proxies: Proxies,
    pub(super) close_window: Duration,
}

impl Settings {
    /// The frame of an event, with a compressed form beside it if there are connections that can share one.
    pub(super) fn encode(&self, text: &str) -> SharedMessage {
        let message = SharedMessage::text(text);
        match &self.deflate {
            Some(deflate) if deflate.server_no_context_takeover => {
                message.compressed(self.config.websocket.compression.level)
            }
            _ => message,
        }
    }
}

/// # Who is let in
impl<R> ServerBuilder<R> {
    /// The path that clients ask for, `/ws` by default; at any other they get 404. It is compared as it is sent, without
    /// decoding percent escapes.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.settings.path = format!("/{}", path.strip_prefix('/').unwrap_or(path));
        self
    }

    /// The keys that let a client in; without one of them it gets 401. By default every client is let in, with or without
    /// a key.
    ///
    /// They can be exchanged later: see [`Server::replace_api_keys`].
    #[must_use]
    pub fn api_keys(mut self, keys: impl IntoIterator<Item = ApiKey>) -> Self {
        self.keys.get_or_insert_default().extend(keys);
        self
    }

    /// Lets the pages of `origin` in, and of further origins that are allowed; pages of all others get 403. By default every
    /// page is let in. Clients that state no origin are no browsers and always pass.
    #[must_use]
    pub fn allow_origin(mut self, origin: Origin) -> Self {
        self.settings.origins.push(origin);
        self
    }

    /// Answers requests that name `host` (without a port) as this server; others get 403.
    ///
    /// By default a server that listens on a loopback address, in whatever form it is written, answers to `localhost` and to
    /// addresses only, so that no web page can reach it under a name that its owner leads here (DNS rebinding). Any other
    /// server answers to every name; no web page reaches a Unix socket.
    #[must_use]
    pub fn allow_host(mut self, host: impl Into<String>) -> Self {
        self.settings.hosts.listed.push(host.into());
        self
    }

    /// Answers requests whatever name they use for this server.
    #[must_use]
    pub fn allow_any_host(mut self) -> Self {
        self.settings.hosts.any = true;
        self
    }

    /// Asks `authorize` last, about each client that passed everything else: `Ok(())`, a [`Permissions`] of what it may subscribe to,
    /// or the response that it gets.
    ///
    /// A decision may take as long as the handshake ([`HandshakeLimits::timeout`]); then the client gets 503. It is dropped
    /// when the client leaves.
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
    /// Connections at once, 65,536 by default: as many as one address and port of a proxy can open. Further clients get 503.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.settings.max_connections = connections;
        self
    }

    /// Handshake permits: upgrades under way at once, 1,024 by default. That many clients may be slow before others must wait
    /// to be accepted.
    #[must_use]
    pub fn max_handshakes(mut self, handshakes: usize) -> Self {
        // With none, nobody could ever connect.
        self.settings.max_handshakes = handshakes.max(1);
        self
    }

    /// The share of the handshake permits that clients of one address can hold, 256 by default, and never more than are left
    /// for all others. With IPv6, a network of 64 bits counts as one address.
    ///
    /// When an address holds its share, a new client gets the permit of the oldest one from there that has sent no request
    /// within half a second, and is dropped at once if there is none. So whoever holds sockets without using them keeps
    /// nobody out. Clients that come through a proxy have its address: see [`trusted_proxies`](Self::trusted_proxies).
    /// Streams without an address, such as those of a Unix socket, have no share.
    #[must_use]
    pub fn max_handshakes_per_address(mut self, handshakes: usize) -> Self {
        self.handshakes_per_address = handshakes.max(1);
        self
    }

    /// Trusts these proxies, and further ones, to say whom they speak for: by `X-Forwarded-For`, or by `Forwarded` (RFC 7239)
    /// in a request without it. By default no proxy is trusted, since every client could claim to be one.
    ///
    /// A trusted proxy can use every handshake permit. Once it has sent a request, the address that it names counts for the
    /// [share](Self::max_handshakes_per_address), and a client whose address holds its share gets 503. A proxy is to append to
    /// its header, or to replace it; one that sends `Forwarded` must remove an `X-Forwarded-For` that a client has sent.
    #[must_use]
    pub fn trusted_proxies(mut self, proxies: impl IntoIterator<Item = TrustedProxy>) -> Self {
        self.settings.trusted_proxies.0.extend(proxies);
        self
    }

    /// How fast clients are let in; by default there is no limit.
    #[must_use]
    pub fn connection_rate(mut self, rate: ConnectionRate) -> Self {
        self.rate = Some(rate);
        self
    }

    /// What happens to a client that reads too slowly: it is closed by default. Its queue holds
    /// [`websocket::Config::max_queued`] bytes, 4 MiB by default; each event counts for 64 bytes more than it has.
    #[must_use]
    pub fn slow_reader(mut self, policy: SlowReader) -> Self {
        self.settings.slow_reader = policy;
        self
    }

    /// Limits of each session.
    ///
    /// Its policy is the server's business: see [`authorize`](Self::authorize).
    #[must_use]
    pub fn session(mut self, session: ServerConfig) -> Self {
        self.settings.config.session = session;
        self
    }

    /// Limits and keep-alive of each connection.
    #[must_use]
    pub fn websocket(mut self, websocket: websocket::Config) -> Self {
        self.settings.config.websocket = websocket;
        self
    }

    /// Limits of each upgrade. TLS, if there is any, must be done within the same time.
    #[must_use]
    pub fn handshake(mut self, handshake: HandshakeLimits) -> Self {
        self.settings.config.handshake = handshake;
        self
    }

    /// Compresses for clients that offer `permessage-deflate`; by default nothing is compressed.
    ///
    /// With [`DeflateConfig::server_no_context_takeover`] each event is compressed once for all of them. Without it each
    /// connection compresses for itself: better by far, but it costs memory and time for each.
    #[must_use]
    pub fn compression(mut self, deflate: DeflateConfig) -> Self {
        self.settings.deflate = Some(deflate);
        self
    }

    /// Over how long a shutdown spreads its Close frames, 1 s by default and half the shutdown's deadline at most: clients
    /// that are closed together come back together.
    #[must_use]
    pub fn close_window(mut self, window: Duration) -> Self {
        self.settings.close_window = window;
        self
    }
}

impl<R> ServerBuilder<R> {
    /// Speaks TLS on the address or the Unix socket that the server listens on. It must be agreed on within the time of the
    /// upgrade: see [`HandshakeLimits::timeout`].
    #[must_use]
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Tells `observe` who comes, who is turned away and who goes. It is called on the tasks of the connections, and is not
    /// to block.
    #[must_use]
    pub fn observe(mut self, observe: impl Fn(Observed<'_>) + Send + Sync + 'static) -> Self {
        self.settings.observe = Some(Box::new(observe));
        self
    }

    /// A server that listens nowhere: hand it streams by [`Server::serve_stream`].
    #[must_use]
    pub fn build(self) -> Server<R> {
        Server { shared: self.into_shared(), address: None, runtime: PhantomData }
    }

    pub(super) fn into_shared(mut self) -> Arc<Shared> {
        // Permissions are asked before a subscription takes effect.
        self.settings.config.session.policy = match &self.settings.authorize {
            Some(_) => SubscribePolicy::Ask,
            None => SubscribePolicy::AcceptAll,
        };
        Arc::new(Shared {
            settings: self.settings,
            registry: Registry::new(self.keys, self.handshakes_per_address),
            limiter: self.rate.map(Limiter::new),
            connections: AtomicU64::new(0),
        })
    }
}

impl<R: Net> ServerBuilder<R> {
    /// A server that listens on `address`; with port 0 on a free one, which [`Server::local_addr`] tells.
    ///
    /// # Errors
    /// Those of the operating system, such as an address that is in use; that no runtime runs here.
    pub async fn bind(self, address: SocketAddr) -> io::Result<Server<R>> {
        let start = self.start::<R::TcpStream>();
        self.listen(address, start).await
    }

    /// A server that listens on `address` and speaks over what `secure` makes of each TCP stream, instead of what
    /// [`tls`](Self::tls) says.
    ///
    /// # Errors
    /// Those of the operating system, such as an address that is in use; that no runtime runs here.
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
            // It is called by a task of the runtime.
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

    /// Starts the task of a connection, with TLS if that was asked for.
    fn start<S>(&self) -> impl Fn(Entry, S, Option<SocketAddr>) + Send + Sync + use<S, R>
    where
        S: Unpin + Send + 'static,
        R: Tls<S>,
    {
        let tls = self.tls.clone();
        move |entry, stream, address| {
            // It is called by a task of the runtime.
            let _ = match &tls {
                None => R::spawn(Task::<S, R>::new(entry, stream, address)),
                Some(tls) => {
                    let stream = R::accept_tls(tls.config().clone(), stream);
                    R::spawn(connection::serve::<_, R>(entry, stream, address))
                }
            };
        }
    }
}

#[cfg(unix)]
impl<R: UnixNet> ServerBuilder<R> {
    /// A server that listens on a Unix socket at `path`. Who may connect is for the permissions of its directory to say.
    ///
    /// A socket file that a server has left behind is to be removed first, and this one after the server.
    ///
    /// # Errors
    /// Those of the operating system, such as a path where something is already; that no runtime runs here.
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
            settings: Settings {
                path: "/ws".to_owned(),
                origins: Vec::new(),
                hosts: Hosts::default(),
                authorize: None,
                observe: None,
                config: Config::default(),
                deflate: None,
                slow_reader: SlowReader::default(),
                max_connections: 65_536,
                max_handshakes: 1_024,
                trusted_proxies: Proxies::default(),
                close_window: Duration::from_secs(1),
            },
            keys: None,
            handshakes_per_address: 256,
            rate: None,
            tls: None,
            runtime: PhantomData,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("path", &self.path).field("config", &self.config).finish_non_exhaustive()
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
    use multiwa_ws_core::websocket::{Config as WebSocketConfig, DeflateParameters, Negotiated, Role, WebSocket};

    use super::*;

    #[test]
    fn what_is_written_about_a_builder_names_its_path_and_limits_and_no_key() {
        let keys = ["s3cret", "0ther"].map(ApiKey::new);
        let websocket = WebSocketConfig { max_queued: 123_456, ..WebSocketConfig::default() };
        let builder = ServerBuilder::<()>::default().path("/events").websocket(websocket).api_keys(keys);
        for written in [format!("{builder:?}"), format!("{builder:#?}")] {
            assert!(written.starts_with("ServerBuilder"), "{written}");
            assert!(written.contains("\"/events\"") && written.contains("max_queued: 123456"), "{written}");
            assert!(!written.contains("s3cret") && !written.contains("0ther"), "{written}");
        }
    }

    /// Bytes that an event takes on a connection that lets compressed forms be shared.
    fn sent(deflate: Option<DeflateConfig>, text: &str) -> usize {
        let mut builder = ServerBuilder::<()>::default();
        builder.settings.deflate = deflate;
        let deflate = DeflateParameters { server_no_context_takeover: true, ..DeflateParameters::default() };
        let negotiated = Negotiated { deflate: Some(deflate), ..Negotiated::default() };
        // What it compresses by itself does not shrink.
        let mut config = WebSocketConfig::default();
        config.compression.level = 0;
        let mut connection = WebSocket::new(Instant::default(), Role::Server, &config, &negotiated, [0; 32]);
        connection.sender().send_shared(&builder.settings.encode(text)).unwrap();
        connection.queued()
    }

    #[test]
    fn an_event_is_compressed_once_for_all_where_no_connection_keeps_a_context() {
        let text = "event ".repeat(100);
        let takeover = DeflateConfig { server_no_context_takeover: false, ..DeflateConfig::default() };
        let alone = DeflateConfig { server_no_context_takeover: true, ..DeflateConfig::default() };
        assert!(sent(Some(alone), &text) < text.len() / 10);
        assert!(sent(Some(takeover), &text) > text.len());
        assert!(sent(None, &text) > text.len());
    }
}
