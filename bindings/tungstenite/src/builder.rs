//! How a blocking client is set up.

use std::fmt;
use std::io;
use std::thread;

use multiwa_ws_core::client as core;
use multiwa_ws_core::handshake::ApiKey;
use multiwa_ws_core::session::{ClientConfig, ClientSession, EventNames, ReconnectConfig};
use multiwa_ws_driver::drive::Driver;
use multiwa_ws_driver::{BuildError, Clock, Endpoint, KeyPlacement, QueueConfig, TlsError};

use crate::clock::Std;
use crate::dial::{Connector, TcpConnector};
use crate::worker::Worker;
use crate::{Client, Updates};

/// Sets up a [`Client`]. `Debug` shows neither the URL nor the headers, which may hold a key.
#[derive(Clone)]
pub struct ClientBuilder {
    url: String,
    key: Option<ApiKey>,
    key_placement: KeyPlacement,
    origin: Option<String>,
    headers: Vec<(String, String)>,
    subprotocols: Vec<String>,
    subscriptions: Vec<(String, EventNames)>,
    config: core::Config,
    queue: QueueConfig,
}

impl ClientBuilder {
    /// A client of the server at `url`, `ws://HOST:PORT/ws`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            key: None,
            key_placement: KeyPlacement::default(),
            origin: None,
            headers: Vec::new(),
            subprotocols: Vec::new(),
            subscriptions: Vec::new(),
            config: core::Config::default(),
            queue: QueueConfig::default(),
        }
    }

    /// The key that the server asks for.
    #[must_use]
    pub fn api_key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.key = Some(ApiKey::new(key));
        self
    }

    /// Where the key travels; in the query by default.
    #[must_use]
    pub fn key_placement(mut self, placement: KeyPlacement) -> Self {
        self.key_placement = placement;
        self
    }

    /// The origin of the web page on whose behalf the client acts; by default none is sent.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// A further header of the upgrade request.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Offers a subprotocol, after the ones before it.
    #[must_use]
    pub fn subprotocol(mut self, subprotocol: impl Into<String>) -> Self {
        self.subprotocols.push(subprotocol.into());
        self
    }

    /// Subscribes to events of a profile from the start, `*` for all of them: it is settled before the client is ready.
    ///
    /// A refusal is told by [`Notice::Ready`](multiwa_ws_core::session::Notice::Ready).
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

    /// How much is held for an application that does not take its updates, and what happens to more.
    #[must_use]
    pub fn queue(mut self, queue: QueueConfig) -> Self {
        self.queue = queue;
        self
    }

    /// Starts to connect over TCP and returns at once; [`Updates`] tell what comes of it.
    ///
    /// # Errors
    /// [`BuildError`], but for its `Connect`.
    pub fn start(self) -> Result<(Client, Updates), BuildError> {
        let endpoint: Endpoint = self.url.parse()?;
        if endpoint.is_tls() {
            return Err(BuildError::Tls(TlsError::NoProvider));
        }
        let mut request = endpoint.request();
        if let Some(key) = &self.key {
            self.key_placement.place(key, &mut request)?;
        }
        for (name, value) in &self.headers {
            request.headers.append(name, value)?;
        }
        request.origin.clone_from(&self.origin);
        request.subprotocols.clone_from(&self.subprotocols);
        request.check()?;
        let timeout = self.config.session.connect_timeout;
        self.start_with(TcpConnector { endpoint, request, timeout })
    }

    /// Connects over TCP and waits until the client is ready.
    ///
    /// # Errors
    /// [`BuildError`]: also when the client gave up before it was ready, as the reconnection settings say.
    pub fn connect(self) -> Result<(Client, Updates), BuildError> {
        let (client, updates) = self.start()?;
        client.ready()?;
        Ok((client, updates))
    }

    /// Starts to connect over streams of the caller's own.
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
            .field("key_placement", &self.key_placement)
            .field("config", &self.config)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}
