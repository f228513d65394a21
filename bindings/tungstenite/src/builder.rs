//! How a blocking client is set up.

use std::fmt;
use std::io;
use std::mem;
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use multiwa_ws_core::client as core;
use multiwa_ws_core::session::{ClientConfig, ClientSession, EventNames, ReconnectConfig};
use multiwa_ws_driver::drive::Driver;
use multiwa_ws_driver::{
    BuildError, CONNECT_DEADLINE, ClientTls, Clock, ConnectorError, Destination, KeyPlacement, Proxy, QueueConfig,
    RequestSettings,
};

#[cfg(doc)]
use crate::ConnectError;
use crate::clock::Std;
use crate::dial::Connector;
use crate::reach::{Provider, Reach, Route, Source};
use crate::worker::Worker;
use crate::{Client, Updates};

/// Sets up a [`Client`]. `Debug` shows neither the URL nor the headers, which may hold a key.
///
/// It has the settings of the asynchronous bindings' builders but for compression, which `tungstenite` does not have.
#[derive(Clone)]
pub struct ClientBuilder {
    destination: Where,
    request: RequestSettings,
    route: Route,
    tls: Option<ClientTls>,
    subscriptions: Vec<(String, EventNames)>,
    config: core::Config,
    queue: QueueConfig,
    connect_deadline: Option<Duration>,
}

/// Where a client goes.
#[derive(Clone)]
enum Where {
    To(Destination),
    Asked(Provider),
}

impl ClientBuilder {
    /// A client of the server at `url`, `ws://HOST:PORT/ws` or `wss://HOST/ws`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self::to(Where::To(Destination::new(url)))
    }

    /// A client that asks `provider` before each attempt where to go and with which key, so that a key that was exchanged is
    /// used from the next attempt on.
    ///
    /// It is told the number of the attempt since the last stable connection, from 1, and may say that it cannot tell now
    /// ([`ConnectorError::retry`]) or that the client is to end ([`ConnectorError::stop`]). It may block: it is called on a
    /// thread of its own, within the connect timeout.
    #[must_use]
    pub fn with_provider(
        provider: impl Fn(u32) -> Result<Destination, ConnectorError> + Send + Sync + 'static,
    ) -> Self {
        Self::to(Where::Asked(Arc::new(provider)))
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

    /// Offers a subprotocol; the best one first. `tungstenite` takes it for a fault if the server chooses none.
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

    /// Dials the Unix socket at `path` instead of the host of the URL, which still says what to ask for, and whether by TLS.
    /// Redirects are followed within its origin only.
    #[cfg(unix)]
    #[must_use]
    pub fn unix(mut self, path: impl Into<PathBuf>) -> Self {
        self.route = Route::Unix(path.into());
        self
    }

    /// How many redirects an attempt follows, 5 by default. 0 follows none.
    ///
    /// None is followed from `wss` to `ws`, and credentials stay at their origin: see
    /// [`Target::redirected`](crate::Target::redirected).
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
        let events = events.into_iter().map(|name| Box::<str>::from(name.as_ref())).collect();
        self.subscriptions.push((profile.into(), events));
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

    /// Every setting of the core's client. Of those of the WebSocket, `tungstenite` knows the length of a message and of a
    /// frame, the bytes that wait to be sent, and the close timeout; of those of the upgrade none.
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
    /// [`BuildError`], but for its `Connect`.
    pub fn start(mut self) -> Result<(Client, Updates), BuildError> {
        let request = mem::take(&mut self.request);
        let source = match &self.destination {
            Where::To(destination) => Source::Fixed(Box::new(request.target(destination)?)),
            Where::Asked(provider) => Source::Provided(provider.clone(), request),
        };
        let timeout = self.config.session.connect_timeout;
        let reach = Reach::new(source, self.route.clone(), self.tls.take(), timeout)?;
        self.start_with(reach)
    }

    /// Connects and waits until the client is ready, at most until the [deadline](Self::connect_deadline).
    ///
    /// # Errors
    /// [`BuildError`]: also when the client gave up before it was ready, as the reconnection settings say. At the deadline the
    /// client is closed, and [`ConnectError::TimedOut`] tells how the last attempt ended.
    pub fn connect(self) -> Result<(Client, Updates), BuildError> {
        let deadline = self.connect_deadline;
        let (client, updates) = self.start()?;
        match deadline {
            None => client.ready()?,
            Some(after) => client.ready_within(after)?,
        }
        Ok((client, updates))
    }

    /// Starts to connect over streams of the caller's own. The connector says what to ask of the server: of the settings
    /// here, those of the request and of the way to the server do not count.
    ///
    /// # Errors
    /// [`BuildError::Seed`] and [`BuildError::Subscription`].
    pub fn start_with<C: Connector>(self, connector: C) -> Result<(Client, Updates), BuildError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(io::Error::from)?;
        let mut session = ClientSession::new(self.config.session, seed);
        for (profile, events) in &self.subscriptions {
            session.subscribe(Std::now(), profile, events)?;
        }
        // A new session connects at the first call.
        let _ = session.connect(Std::now());
        let (driver, client, updates) = Driver::new::<Std>(session, self.queue);
        let worker = Worker::new(driver, connector, self.config.websocket)?;
        thread::Builder::new().name("multiwa-ws client".to_owned()).spawn(move || worker.run())?;
        Ok((Client::new(client), Updates::new(updates)))
    }
}

impl fmt::Debug for ClientBuilder {
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
