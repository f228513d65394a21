//! The configuration of a client, and how it connects to its server.

use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use multiwa_ws_core::client as core;
use multiwa_ws_core::handshake::{DeflateOffer, HandshakeLimits, InvalidHeader, InvalidRequest};
#[cfg(unix)]
use multiwa_ws_core::session::DisconnectReason;
use multiwa_ws_core::session::{ClientConfig, CommandError, EventNames, ReconnectConfig};
use multiwa_ws_core::{KeepAlive, websocket};

use super::connector::{Connector, ConnectorError};
use super::dial::{Dialer, Provider, Route, Source};
use super::drive::Driver;
use super::secure::TlsSettings;
#[cfg(unix)]
use super::secure::over_tls;
use super::stream::Dynamic;
use super::target::{Destination, RequestSettings};
use super::task::Task;
use super::{Client, ConnectError, InvalidUrl, KeyPlacement, Proxy, QueueConfig, Updates, event_names};
#[cfg(unix)]
use crate::UnixNet;
use crate::server::within;
#[cfg(feature = "tls")]
use crate::{ClientTls, TlsError};
use crate::{Io, Net, seed};

/// Builds a [`Client`]. `Debug` shows neither the URL nor the headers, because they may hold a key.
#[derive(Clone)]
pub struct ClientBuilder<R> {
    destination: Where,
    request: RequestSettings,
    route: Route,
    tls: TlsSettings,
    subscriptions: Vec<(String, EventNames)>,
    session: ClientConfig,
    websocket: websocket::Config,
    handshake: HandshakeLimits,
    queue: QueueConfig,
    connect_deadline: Option<Duration>,
    runtime: PhantomData<fn() -> R>,
}

/// Where the URL and the key come from.
#[derive(Clone)]
enum Where {
    To(Destination),
    Asked(Provider),
}

/// Why a client cannot be built or did not connect.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The URL is invalid.
    #[error(transparent)]
    Url(#[from] InvalidUrl),
    /// A header is invalid, or a header cannot carry the key.
    #[error(transparent)]
    Header(#[from] InvalidHeader),
    /// The request is invalid and could never be sent.
    #[error(transparent)]
    Request(#[from] InvalidRequest),
    /// A subscription is invalid and could never be sent.
    #[error(transparent)]
    Subscription(#[from] CommandError),
    /// The URL is `wss`, and the features of this build do not include TLS.
    #[error("this build has no TLS: for wss URLs, enable the feature tls-ring or tls-aws-lc")]
    NoTls,
    /// TLS cannot be configured. A `wss://` URL requires it.
    #[cfg(feature = "tls")]
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The operating system does not provide a random seed.
    #[error("the operating system gives no random seed")]
    Seed(#[from] io::Error),
    /// No runtime is running. Start the client within one.
    #[error("no runtime runs here: start the client within one")]
    Runtime(#[source] io::Error),
    /// The client was built, but did not connect.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

/// How long [`ClientBuilder::connect`] waits by default: enough for several attempts, and for a server that restarts.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(60);

impl<R: Net> ClientBuilder<R> {
    /// Makes a client of the server at `url`, `ws://HOST:PORT/ws` or `wss://HOST/ws`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self::to(Where::To(Destination::new(url)))
    }

    /// Makes a client that asks `provider` for the URL and the key before each attempt. A new key takes effect at the next
    /// attempt.
    ///
    /// The argument of `provider` is the number of the attempt since the last stable connection, from 1. The provider may
    /// fail the attempt ([`ConnectorError::retry`]) or close the client ([`ConnectorError::stop`]). The connect timeout
    /// includes the time that it takes.
    #[must_use]
    pub fn with_provider<F>(provider: impl Fn(u32) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Destination, ConnectorError>> + Send + 'static,
    {
        Self::to(Where::Asked(Arc::new(move |attempt| Box::pin(provider(attempt)))))
    }

    fn to(destination: Where) -> Self {
        Self {
            destination,
            request: RequestSettings::default(),
            route: Route::Direct,
            tls: TlsSettings::default(),
            subscriptions: Vec::new(),
            session: ClientConfig::new(),
            // The session has a `ping` of its own.
            websocket: websocket::Config::new().keep_alive(KeepAlive::OFF),
            handshake: HandshakeLimits::new(),
            queue: QueueConfig::default(),
            connect_deadline: Some(CONNECT_DEADLINE),
            runtime: PhantomData,
        }
    }

    /// The API key for the server. It has no effect with a provider, which returns the key itself.
    #[must_use]
    pub fn api_key(mut self, key: impl AsRef<[u8]>) -> Self {
        if let Where::To(destination) = self.destination {
            self.destination = Where::To(destination.api_key(key));
        }
        self
    }

    /// The part of the upgrade request that carries the key. By default this is the query.
    #[must_use]
    pub fn key_placement(mut self, placement: KeyPlacement) -> Self {
        self.request = self.request.key_placement(placement);
        self
    }

    /// The origin of the web page on whose behalf the client acts. By default none is sent.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        let origin: String = origin.into();
        self.request = self.request.origin(origin);
        self
    }

    /// Adds a header to the upgrade request.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Offers a subprotocol. Add the preferred one first.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.request = self.request.subprotocol(name);
        self
    }

    /// The TLS configuration for `wss` URLs. By default the client trusts the certificates that the system trusts.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.tls = tls.into();
        self
    }

    /// Dials through an HTTP proxy, with `CONNECT`.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.route = Route::Proxy(proxy);
        self
    }

    /// Dials through the proxy that the environment variables name for the server, if any: see [`Proxy::from_env`]. By
    /// default the environment is ignored.
    #[cfg(feature = "proxy-env")]
    #[must_use]
    pub fn proxy_from_env(mut self) -> Self {
        self.route = Route::ProxyFromEnv;
        self
    }

    /// The maximum number of redirects that an attempt follows, 5 by default. 0 follows none.
    ///
    /// A redirect from `wss` to `ws` is never followed, and credentials are not sent to another origin: see
    /// [`Target::redirected`](super::Target::redirected).
    #[must_use]
    pub fn max_redirects(mut self, redirects: u8) -> Self {
        self.session = self.session.max_redirects(redirects);
        self
    }

    /// Subscribes to events of a profile from the start. `*` stands for all events. The client becomes ready after the
    /// server has answered.
    ///
    /// [`LifecycleEvent::Ready`](multiwa_ws_core::session::LifecycleEvent::Ready) reports a refusal.
    #[must_use]
    pub fn subscribe<N: AsRef<str>>(mut self, profile: impl Into<String>, events: impl IntoIterator<Item = N>) -> Self {
        self.subscriptions.push((profile.into(), event_names(events)));
        self
    }

    /// Offers `permessage-deflate`. By default it is not offered.
    #[must_use]
    pub fn compression(mut self, offer: DeflateOffer) -> Self {
        self.request = self.request.deflate(offer);
        self
    }

    /// When the client reconnects after a lost connection.
    #[must_use]
    pub fn reconnect(mut self, reconnect: ReconnectConfig) -> Self {
        self.session = self.session.reconnect(reconnect);
        self
    }

    /// Deadlines and limits of the session.
    #[must_use]
    pub fn session(mut self, session: ClientConfig) -> Self {
        self.session = session;
        self
    }

    /// The limits of each connection. By default they are those of [`websocket::Config::new`] without its WebSocket
    /// pings ([`KeepAlive::OFF`]), because the session has a `ping` of its own.
    #[must_use]
    pub fn websocket(mut self, websocket: websocket::Config) -> Self {
        self.websocket = websocket;
        self
    }

    /// The limits of each upgrade.
    #[must_use]
    pub fn handshake(mut self, handshake: HandshakeLimits) -> Self {
        self.handshake = handshake;
        self
    }

    /// The size of the queue for updates that the application has not taken, and the policy when it is full.
    #[must_use]
    pub fn queue(mut self, queue: QueueConfig) -> Self {
        self.queue = queue;
        self
    }

    /// How long [`connect`](Self::connect) waits until the client is ready, 60 s by default. `None` waits without a
    /// limit.
    #[must_use]
    pub fn connect_deadline(mut self, deadline: impl Into<Option<Duration>>) -> Self {
        self.connect_deadline = deadline.into();
        self
    }

    /// Starts to connect and returns at once. [`Updates`] report the progress.
    ///
    /// Use this when the program can wait for its server for any length of time: the client tries until it is ready, and
    /// the application can watch the attempts, or wait with [`Client::ready`].
    ///
    /// # Errors
    /// [`BuildError`], except `Connect`. Outside a runtime it is [`BuildError::Runtime`].
    pub fn start(mut self) -> Result<(Client<R>, Updates<R>), BuildError> {
        let request = std::mem::take(&mut self.request);
        let tls = std::mem::take(&mut self.tls);
        let source = match &self.destination {
            Where::To(destination) => {
                let target = request.target(destination)?;
                if target.endpoint.is_tls() {
                    tls.secure(&target.endpoint)?;
                }
                Source::Fixed(Box::new(target))
            }
            Where::Asked(provider) => Source::Provided(provider.clone(), request),
        };
        let dialer = Dialer::<R>::new(source, self.route.clone(), tls);
        self.spawn::<_, Dynamic<R>>(dialer)
    }

    /// Connects and waits until the client is ready, at most until the [deadline](Self::connect_deadline). Cancel safe:
    /// if the future is dropped, the client closes and no connection stays open.
    ///
    /// # Errors
    /// [`BuildError`]. It is `Connect` when the client closed before it was ready, as its reconnect settings define. At
    /// the deadline the client is closed, and [`ConnectError::TimedOut`] holds how the last attempt ended.
    pub async fn connect(self) -> Result<(Client<R>, Updates<R>), BuildError> {
        let deadline = self.connect_deadline;
        let (client, updates) = self.start()?;
        match deadline {
            None => client.ready().await?,
            Some(after) => match within::<R, _>(R::now() + after, client.ready()).await {
                Some(ready) => ready?,
                // The client closes when its handles are dropped.
                None => return Err(ConnectError::timed_out(after, client.status()).into()),
            },
        }
        Ok((client, updates))
    }

    /// Starts to connect over streams that the caller opens. The connector provides the upgrade request, so the settings
    /// of this builder for the request, the route (proxy, Unix socket) and TLS have no effect.
    ///
    /// # Errors
    /// [`BuildError::Seed`], [`BuildError::Subscription`] and [`BuildError::Runtime`].
    pub fn start_with<C>(self, connector: C) -> Result<(Client<R>, Updates<R>), BuildError>
    where
        C: Connector,
        R: Io<C::Stream>,
    {
        self.spawn::<C, R>(connector)
    }

    /// Spawns the task, which reads and writes the stream with `I`.
    fn spawn<C, I>(self, connector: C) -> Result<(Client<R>, Updates<R>), BuildError>
    where
        C: Connector,
        I: Io<C::Stream>,
    {
        let config = core::Config::new().session(self.session).websocket(self.websocket).handshake(self.handshake);
        let mut client = core::Client::new(config, seed()?);
        for (profile, events) in &self.subscriptions {
            client.commands().subscribe(R::now(), profile, events)?;
        }
        // The first call of `connect` on a new client always succeeds.
        let _ = client.connect(R::now());
        let (driver, client, updates) = Driver::new(client, self.queue);
        R::spawn(Task::<C, I>::new(driver, connector)).map_err(BuildError::Runtime)?;
        Ok((client, updates))
    }
}

#[cfg(unix)]
impl<R: UnixNet> ClientBuilder<R> {
    /// Dials the Unix socket at `path` instead of the host of the URL. The URL still defines the request, and whether TLS
    /// is used. Redirects are followed within the origin of the URL only.
    #[must_use]
    pub fn unix(mut self, path: impl Into<PathBuf>) -> Self {
        let path: Arc<std::path::Path> = path.into().into();
        let open = move |secure| -> super::dial::Pending<super::stream::Stream> {
            let path = path.clone();
            Box::pin(async move {
                let stream = R::connect_unix(&path)
                    .await
                    .map_err(|error| ConnectorError { reason: DisconnectReason::Io, error })?;
                over_tls::<_, R>(stream, secure).await
            })
        };
        self.route = Route::To(Arc::new(open));
        self
    }
}

impl<R> ClientBuilder<R> {
    /// The maximum duration of a connection attempt.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.session = self.session.connect_timeout(timeout);
        self
    }
}

impl<R> fmt::Debug for ClientBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("request", &self.request)
            .field("tls", &self.tls)
            .field("session", &self.session)
            .field("websocket", &self.websocket)
            .field("handshake", &self.handshake)
            .field("queue", &self.queue)
            .field("connect_deadline", &self.connect_deadline)
            .finish_non_exhaustive()
    }
}
