//! How a client is set up, and how it reaches its server.

use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use multiwa_ws_core::client as core;
use multiwa_ws_core::handshake::{DeflateOffer, InvalidHeader, InvalidRequest};
#[cfg(unix)]
use multiwa_ws_core::session::DisconnectReason;
use multiwa_ws_core::session::{ClientConfig, CommandError, EventNames, ReconnectConfig};

use super::connector::{Connector, ConnectorError};
#[cfg(unix)]
use super::dial::over_tls;
use super::dial::{Dialer, Provider, Route, Source, TlsSettings};
use super::drive::Driver;
use super::stream::Dynamic;
use super::target::{Destination, RequestSettings};
use super::task::Task;
use super::{Client, ConnectError, InvalidUrl, KeyPlacement, Proxy, QueueConfig, Updates, event_names};
#[cfg(unix)]
use crate::UnixNet;
use crate::server::within;
use crate::{ClientTls, Io, Net, TlsError, seed};

/// Sets up a [`Client`]. `Debug` shows neither the URL nor the headers, which may hold a key.
#[derive(Clone)]
pub struct ClientBuilder<R> {
    destination: Where,
    request: RequestSettings,
    route: Route,
    tls: Option<ClientTls>,
    subscriptions: Vec<(String, EventNames)>,
    config: core::Config,
    queue: QueueConfig,
    connect_deadline: Option<Duration>,
    runtime: PhantomData<fn() -> R>,
}

/// Where a client goes.
#[derive(Clone)]
enum Where {
    To(Destination),
    Asked(Provider),
}

/// Why a client cannot be built as it was set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The URL.
    #[error(transparent)]
    Url(#[from] InvalidUrl),
    /// A header, or a key that a header cannot carry.
    #[error(transparent)]
    Header(#[from] InvalidHeader),
    /// The request, which could never be sent.
    #[error(transparent)]
    Request(#[from] InvalidRequest),
    /// A subscription, which could never be asked for.
    #[error(transparent)]
    Subscription(#[from] CommandError),
    /// TLS, which a `wss://` URL asks for.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The operating system gives no random seed.
    #[error("the operating system gives no random seed")]
    Seed(#[from] io::Error),
    /// No runtime runs here: start the client within one.
    #[error("no runtime runs here: start the client within one")]
    Runtime(#[source] io::Error),
    /// It could be built and did not connect.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

/// How long [`ClientBuilder::connect`] waits by default: long enough for several attempts, and for a server that restarts.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(60);

impl<R: Net> ClientBuilder<R> {
    /// A client of the server at `url`, `ws://HOST:PORT/ws` or `wss://HOST/ws`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self::to(Where::To(Destination::new(url)))
    }

    /// A client that asks `provider` before each attempt where to go and with which key, so that a key that was exchanged is
    /// used from the next attempt on.
    ///
    /// It is told the number of the attempt since the last stable connection, from 1, and may say that it cannot tell now
    /// ([`ConnectorError::retry`]) or that the client is to end ([`ConnectorError::stop`]). The connect timeout holds for
    /// it too.
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
            tls: None,
            subscriptions: Vec::new(),
            config: core::Config::default(),
            queue: QueueConfig::default(),
            connect_deadline: Some(CONNECT_DEADLINE),
            runtime: PhantomData,
        }
    }

    /// The key that the server asks for. A provider tells one itself.
    #[must_use]
    pub fn api_key(mut self, key: impl AsRef<[u8]>) -> Self {
        if let Where::To(destination) = self.destination {
            self.destination = Where::To(destination.api_key(key));
        }
        self
    }

    /// Where the key travels; in the query by default.
    #[must_use]
    pub fn key_placement(mut self, placement: KeyPlacement) -> Self {
        self.request.key_placement = placement;
        self
    }

    /// The origin of the web page on whose behalf the client acts; by default none is sent.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.request.origin = Some(origin.into());
        self
    }

    /// A further header of the upgrade request.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.headers.push((name.into(), value.into()));
        self
    }

    /// Offers a subprotocol; the best one first.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.request.subprotocols.push(name.into());
        self
    }

    /// How `wss` URLs are dialed. By default the certificates that the system trusts are trusted.
    #[must_use]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Dials through an HTTP proxy, by `CONNECT`.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.route = Route::Proxy(proxy);
        self
    }

    /// Dials through the proxy that the environment names for the server, if any: see [`Proxy::from_env`]. By default the
    /// environment does not count.
    #[cfg(feature = "proxy-env")]
    #[must_use]
    pub fn proxy_from_env(mut self) -> Self {
        self.route = Route::ProxyFromEnv;
        self
    }

    /// How many redirects an attempt follows, 5 by default. 0 follows none.
    ///
    /// None is followed from `wss` to `ws`, and credentials stay at their origin: see
    /// [`Target::redirected`](super::Target::redirected).
    #[must_use]
    pub fn max_redirects(mut self, redirects: u8) -> Self {
        self.config.session.max_redirects = redirects;
        self
    }

    /// Subscribes to events of a profile from the start, `*` for all of them: it is settled before the client is ready.
    ///
    /// A refusal is told by [`LifecycleEvent::Ready`](multiwa_ws_core::session::LifecycleEvent::Ready).
    #[must_use]
    pub fn subscribe<N: AsRef<str>>(mut self, profile: impl Into<String>, events: impl IntoIterator<Item = N>) -> Self {
        self.subscriptions.push((profile.into(), event_names(events)));
        self
    }

    /// Offers `permessage-deflate`; it is not offered by default.
    #[must_use]
    pub fn compression(mut self, offer: DeflateOffer) -> Self {
        self.request.deflate = Some(offer);
        self
    }

    /// When a lost connection is tried again.
    #[must_use]
    pub fn reconnect(mut self, reconnect: ReconnectConfig) -> Self {
        self.config.session.reconnect = reconnect;
        self
    }

    /// Deadlines and limits of the session.
    #[must_use]
    pub fn session(mut self, session: ClientConfig) -> Self {
        self.config.session = session;
        self
    }

    /// Every setting of the core's client.
    #[must_use]
    pub fn config(mut self, config: core::Config) -> Self {
        self.config = config;
        self
    }

    /// How much is held for an application that does not take its updates, and what happens to more.
    #[must_use]
    pub fn queue(mut self, queue: QueueConfig) -> Self {
        self.queue = queue;
        self
    }

    /// How long [`connect`](Self::connect) waits until the client is ready, 60 s by default; `None` waits without end.
    #[must_use]
    pub fn connect_deadline(mut self, deadline: impl Into<Option<Duration>>) -> Self {
        self.connect_deadline = deadline.into();
        self
    }

    /// Starts to connect and returns at once; [`Updates`] tell what comes of it.
    ///
    /// This is the way for a program that waits for its server however long it takes: the client tries until it is ready, and
    /// the application can watch it do so, or wait with [`Client::ready`].
    ///
    /// # Errors
    /// [`BuildError`], but for its `Connect`. [`BuildError::Runtime`] outside of the runtime.
    pub fn start(mut self) -> Result<(Client<R>, Updates<R>), BuildError> {
        let request = std::mem::take(&mut self.request);
        let tls = TlsSettings::new(self.tls.take());
        let source = match &self.destination {
            Where::To(destination) => {
                let target = request.target(destination)?;
                if target.endpoint.is_tls() {
                    tls.get()?;
                    target.endpoint.server_name()?;
                }
                Source::Fixed(Box::new(target))
            }
            Where::Asked(provider) => Source::Provided(provider.clone(), request),
        };
        let dialer = Dialer::<R>::new(source, self.route.clone(), tls);
        self.spawn::<_, Dynamic<R>>(dialer)
    }

    /// Connects and waits until the client is ready, at most until the [deadline](Self::connect_deadline). Cancel safe: if the
    /// future is dropped, the client closes, and no connection stays.
    ///
    /// # Errors
    /// [`BuildError`]: also when the client gave up before it was ready, as the reconnection settings say. At the deadline the
    /// client is closed, and [`ConnectError::TimedOut`] tells how the last attempt ended.
    pub async fn connect(self) -> Result<(Client<R>, Updates<R>), BuildError> {
        let deadline = self.connect_deadline;
        let (client, updates) = self.start()?;
        match deadline {
            None => client.ready().await?,
            Some(after) => match within::<R, _>(R::now() + after, client.ready()).await {
                Some(ready) => ready?,
                // With its handles the client closes.
                None => return Err(ConnectError::timed_out(after, client.status()).into()),
            },
        }
        Ok((client, updates))
    }

    /// Starts to connect over streams of the caller's own. The connector says what to ask of the server: of the settings
    /// here, those of the request and of the way to the server do not count.
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

    /// Spawns the task, which moves bytes the way of `I`.
    fn spawn<C, I>(self, connector: C) -> Result<(Client<R>, Updates<R>), BuildError>
    where
        C: Connector,
        I: Io<C::Stream>,
    {
        let mut client = core::Client::new(self.config, seed()?);
        for (profile, events) in &self.subscriptions {
            client.commands().subscribe(R::now(), profile, events)?;
        }
        // A new client connects at the first call.
        let _ = client.connect(R::now());
        let (driver, client, updates) = Driver::new(client, self.queue);
        R::spawn(Task::<C, I>::new(driver, connector)).map_err(BuildError::Runtime)?;
        Ok((client, updates))
    }
}

#[cfg(unix)]
impl<R: UnixNet> ClientBuilder<R> {
    /// Dials the Unix socket at `path` instead of the host of the URL, which still says what to ask for, and whether by TLS.
    /// Redirects are followed within its origin only.
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
    /// How long a connection attempt may take, for tests and tools that cannot wait.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.config.session.connect_timeout = timeout;
        self
    }
}

impl<R> fmt::Debug for ClientBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("request", &self.request)
            .field("tls", &self.tls)
            .field("config", &self.config)
            .field("queue", &self.queue)
            .field("connect_deadline", &self.connect_deadline)
            .finish_non_exhaustive()
    }
}
