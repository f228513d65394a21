//! The builder of a blocking client.

use std::fmt;
use std::io;
use std::mem;
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use multiwa_ws_core::session::{ClientConfig, ClientSession, EventNames, ReconnectConfig};
use multiwa_ws_core::websocket;
use multiwa_ws_driver::drive::Driver;
use multiwa_ws_driver::{
    BuildError, CONNECT_DEADLINE, Clock, ConnectorError, Destination, KeyPlacement, Proxy, QueueConfig, RequestSettings,
};

#[cfg(feature = "tls")]
use crate::ClientTls;
#[cfg(doc)]
use crate::ConnectError;
use crate::clock::Std;
use crate::dial::Connector;
use crate::reach::{Provider, Reach, Route, Source};
use crate::tls::TlsSettings;
use crate::worker::Worker;
use crate::{Client, Updates};

/// Builds a [`Client`]. `Debug` hides the URL and the headers, which may contain a key.
///
/// It has the settings of the asynchronous bindings' builders, except compression, which `tungstenite` does not support.
#[derive(Clone)]
pub struct ClientBuilder {
    destination: Where,
    request: RequestSettings,
    route: Route,
    tls: TlsSettings,
    subscriptions: Vec<(String, EventNames)>,
    session: ClientConfig,
    websocket: websocket::Config,
    queue: QueueConfig,
    connect_deadline: Option<Duration>,
}

/// The server that a client dials.
#[derive(Clone)]
enum Where {
    To(Destination),
    Asked(Provider),
}

impl ClientBuilder {
    /// Builds a client of the server at `url`, `ws://HOST:PORT/ws` or `wss://HOST/ws`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self::to(Where::To(Destination::new(url)))
    }

    /// Builds a client that calls `provider` before each attempt for the URL and the key, so that a replaced key is used
    /// from the next attempt on.
    ///
    /// Its argument is the number of the attempt since the last stable connection, starting at 1. It may return
    /// [`ConnectorError::retry`] if it has no destination now, or [`ConnectorError::stop`] to end the client. It may
    /// block: it runs on its own thread, within the connect timeout.
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
            tls: TlsSettings::default(),
            subscriptions: Vec::new(),
            session: ClientConfig::new(),
            websocket: websocket::Config::new(),
            queue: QueueConfig::default(),
            connect_deadline: Some(CONNECT_DEADLINE),
        }
    }

    /// Sets the API key. A provider returns its own key instead.
    #[must_use]
    pub fn api_key(mut self, key: impl AsRef<[u8]>) -> Self {
        if let Where::To(destination) = self.destination {
            self.destination = Where::To(destination.api_key(key));
        }
        self
    }

    /// Where the request contains the key. By default it is in the query.
    #[must_use]
    pub fn key_placement(mut self, placement: KeyPlacement) -> Self {
        self.request = self.request.key_placement(placement);
        self
    }

    /// Sets the `Origin` header. By default it is not sent.
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

    /// Offers a subprotocol, in order of preference. `tungstenite` fails the upgrade if the server chooses none.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.request = self.request.subprotocol(name);
        self
    }

    /// Sets the TLS settings for `wss` URLs. By default the client trusts the certificates that the system trusts.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.tls = tls.into();
        self
    }

    /// Dials through an HTTP proxy with `CONNECT`.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.route = Route::Proxy(proxy);
        self
    }

    /// Dials through the proxy that the environment sets for the server, if any: see [`Proxy::from_env`]. By default the
    /// environment is ignored.
    #[cfg(feature = "proxy-env")]
    #[must_use]
    pub fn proxy_from_env(mut self) -> Self {
        self.route = Route::ProxyFromEnv;
        self
    }

    /// Dials the Unix socket at `path` instead of the host of the URL. The URL still sets the request and whether TLS is
    /// used. Redirects are followed only within its origin.
    #[cfg(unix)]
    #[must_use]
    pub fn unix(mut self, path: impl Into<PathBuf>) -> Self {
        self.route = Route::Unix(path.into());
        self
    }

    /// How many redirects an attempt follows, 5 by default. 0 follows none.
    ///
    /// Redirects from `wss` to `ws` are never followed, and credentials are not sent to another origin: see
    /// [`Target::redirected`](crate::Target::redirected).
    #[must_use]
    pub fn max_redirects(mut self, redirects: u8) -> Self {
        self.session = self.session.max_redirects(redirects);
        self
    }

    /// Subscribes to events of a profile from the start, `*` for all of them. The server's answer arrives before the
    /// client is ready.
    ///
    /// [`LifecycleEvent::Ready`](multiwa_ws_core::session::LifecycleEvent::Ready) reports a refusal.
    #[must_use]
    pub fn subscribe<N: AsRef<str>>(mut self, profile: impl Into<String>, events: impl IntoIterator<Item = N>) -> Self {
        let events = events.into_iter().map(|name| Box::<str>::from(name.as_ref())).collect();
        self.subscriptions.push((profile.into(), events));
        self
    }

    /// Sets when the client reconnects after a lost connection.
    #[must_use]
    pub fn reconnect(mut self, reconnect: ReconnectConfig) -> Self {
        self.session = self.session.reconnect(reconnect);
        self
    }

    /// Sets the deadlines and limits of the session.
    #[must_use]
    pub fn session(mut self, session: ClientConfig) -> Self {
        self.session = session;
        self
    }

    /// Sets the limits of each connection. Only the length of a message and of a frame, the bytes that wait to be sent,
    /// and the close timeout take effect with `tungstenite`.
    #[must_use]
    pub fn websocket(mut self, websocket: websocket::Config) -> Self {
        self.websocket = websocket;
        self
    }

    /// Sets how many updates are queued for an application that does not read them, and the policy when the queue is
    /// full.
    #[must_use]
    pub fn queue(mut self, queue: QueueConfig) -> Self {
        self.queue = queue;
        self
    }

    /// Sets how long [`connect`](Self::connect) waits until the client is ready. Default 60 s; `None` waits indefinitely.
    #[must_use]
    pub fn connect_deadline(mut self, deadline: impl Into<Option<Duration>>) -> Self {
        self.connect_deadline = deadline.into();
        self
    }

    /// Starts to connect and returns immediately. The [`Updates`] report the result.
    ///
    /// Use it in a program that must wait for its server for any length of time: the client tries until it is ready. The
    /// application can observe this in the updates, or wait with [`Client::ready`].
    ///
    /// # Errors
    /// [`BuildError`], except `Connect`.
    pub fn start(mut self) -> Result<(Client, Updates), BuildError> {
        let request = mem::take(&mut self.request);
        let source = match &self.destination {
            Where::To(destination) => Source::Fixed(Box::new(request.target(destination)?)),
            Where::Asked(provider) => Source::Provided(provider.clone(), request),
        };
        let timeout = self.session.get_connect_timeout();
        let reach = Reach::new(source, self.route.clone(), mem::take(&mut self.tls), timeout)?;
        self.start_with(reach)
    }

    /// Connects and waits until the client is ready, at most until the [deadline](Self::connect_deadline).
    ///
    /// # Errors
    /// [`BuildError`], also when the client gave up before it was ready because of the reconnect settings. At the
    /// deadline the client is closed, and [`ConnectError::TimedOut`] contains the result of the last attempt.
    pub fn connect(self) -> Result<(Client, Updates), BuildError> {
        let deadline = self.connect_deadline;
        let (client, updates) = self.start()?;
        match deadline {
            None => client.ready()?,
            Some(after) => client.ready_within(after)?,
        }
        Ok((client, updates))
    }

    /// Starts to connect over the caller's own streams. The connector supplies the upgrade request, so the builder's
    /// settings of the request, the proxy, TLS and the Unix socket have no effect.
    ///
    /// # Errors
    /// [`BuildError::Seed`] and [`BuildError::Subscription`].
    pub fn start_with<C: Connector>(self, connector: C) -> Result<(Client, Updates), BuildError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(io::Error::from)?;
        let mut session = ClientSession::new(self.session, seed);
        for (profile, events) in &self.subscriptions {
            session.subscribe(Std::now(), profile, events)?;
        }
        // A new session always starts to connect at the first call.
        let _ = session.connect(Std::now());
        let (driver, client, updates) = Driver::new::<Std>(session, self.queue);
        let worker = Worker::new(driver, connector, self.websocket)?;
        thread::Builder::new().name("multiwa-ws client".to_owned()).spawn(move || worker.run())?;
        Ok((Client::new(client), Updates::new(updates)))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("request", &self.request)
            .field("tls", &self.tls)
            .field("session", &self.session)
            .field("websocket", &self.websocket)
            .field("queue", &self.queue)
            .field("connect_deadline", &self.connect_deadline)
            .finish_non_exhaustive()
    }
}
