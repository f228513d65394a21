//! How a client is set up, and how it reaches its server.

use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::time::Duration;

use multiwa_ws_core::client as core;
use multiwa_ws_core::handshake::{ApiKey, ClientRequest, DeflateOffer, InvalidHeader, InvalidRequest};
use multiwa_ws_core::session::{ClientConfig, CommandError, EventNames, Loss, ReconnectConfig};

use super::drive::Driver;
use super::task::Task;
use super::{Client, ConnectError, Endpoint, InvalidUrl, KeyPlacement, QueueConfig, Updates, event_names};
use crate::{Io, Net, seed};

/// Sets up a [`Client`]. `Debug` shows neither the URL nor the headers, which may hold a key.
#[derive(Clone)]
pub struct ClientBuilder<R> {
    url: String,
    key: Option<ApiKey>,
    key_placement: KeyPlacement,
    origin: Option<String>,
    headers: Vec<(String, String)>,
    subscriptions: Vec<(String, EventNames)>,
    deflate: Option<DeflateOffer>,
    config: core::Config,
    queue: QueueConfig,
    runtime: PhantomData<fn() -> R>,
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
    /// `wss://` without TLS.
    #[error("this client has no TLS: use a ws:// URL, or a connector of your own")]
    NoTls,
    /// The operating system gives no random seed.
    #[error("the operating system gives no random seed")]
    Seed(#[from] io::Error),
    /// It could be built and did not connect.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl<R: Net> ClientBuilder<R> {
    /// A client of the server at `url`, `ws://HOST:PORT/ws`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            key: None,
            key_placement: KeyPlacement::default(),
            origin: None,
            headers: Vec::new(),
            subscriptions: Vec::new(),
            deflate: None,
            config: core::Config::default(),
            queue: QueueConfig::default(),
            runtime: PhantomData,
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

    /// Subscribes to events of a profile from the start, `*` for all of them: it is settled before the client is ready.
    ///
    /// A refusal is told by [`Notice::Ready`](multiwa_ws_core::session::Notice::Ready).
    #[must_use]
    pub fn subscribe<N: AsRef<str>>(mut self, profile: impl Into<String>, events: impl IntoIterator<Item = N>) -> Self {
        self.subscriptions.push((profile.into(), event_names(events)));
        self
    }

    /// Offers `permessage-deflate`; it is not offered by default.
    #[must_use]
    pub fn compression(mut self, offer: DeflateOffer) -> Self {
        self.deflate = Some(offer);
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

    /// Starts to connect over TCP and returns at once; [`Updates`] tell what comes of it.
    ///
    /// # Errors
    /// [`BuildError`], but for its `Connect`.
    pub fn start(self) -> Result<(Client<R>, Updates<R>), BuildError> {
        let endpoint: Endpoint = self.url.parse()?;
        if endpoint.is_tls() {
            return Err(BuildError::NoTls);
        }
        let mut request = endpoint.request();
        if let Some(key) = &self.key {
            self.key_placement.place(key, &mut request)?;
        }
        for (name, value) in &self.headers {
            request.headers.append(name, value)?;
        }
        request.origin.clone_from(&self.origin);
        request.deflate = self.deflate;
        request.check()?;
        self.start_with(TcpConnector::<R> { endpoint, request, runtime: PhantomData })
    }

    /// Connects over TCP and waits until the client is ready.
    ///
    /// # Errors
    /// [`BuildError`]: also when the client gave up before it was ready, as the reconnection settings say.
    pub async fn connect(self) -> Result<(Client<R>, Updates<R>), BuildError> {
        let (client, updates) = self.start()?;
        client.ready().await?;
        Ok((client, updates))
    }

    /// Starts to connect over streams of the caller's own.
    ///
    /// # Errors
    /// [`BuildError::Seed`] and [`BuildError::Subscription`].
    pub fn start_with<C>(self, connector: C) -> Result<(Client<R>, Updates<R>), BuildError>
    where
        C: Connector,
        R: Io<C::Stream>,
    {
        let mut client = core::Client::new(self.config, seed()?);
        for (profile, events) in &self.subscriptions {
            client.commands().subscribe(R::now(), profile, events)?;
        }
        // A new client connects at the first call.
        let _ = client.connect(R::now());
        let (driver, client, updates) = Driver::new(client, self.queue);
        R::spawn(Task::<C, R>::new(driver, connector));
        Ok((client, updates))
    }
}

/// Opens the streams of a client, one an attempt.
pub trait Connector: Unpin + Send + 'static {
    /// What it opens.
    type Stream: Unpin + Send + 'static;

    /// Opens a stream to the server and says what to ask of it. `attempt` counts from the last stable connection.
    ///
    /// A key that changes is read here, before each attempt. [`Loss::Stopped`] ends the client.
    fn connect(
        &mut self,
        attempt: u32,
    ) -> impl Future<Output = Result<(Self::Stream, ClientRequest), ConnectorError>> + Send + 'static;
}

/// Why a [`Connector`] has opened nothing.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct ConnectorError {
    /// What kind of failure it is, which decides whether there is another attempt.
    pub loss: Loss,
    /// What is known of it.
    #[source]
    pub error: io::Error,
}

/// Opens TCP connections to one endpoint, trying each of its addresses in turn.
#[derive(Debug)]
pub struct TcpConnector<R> {
    endpoint: Endpoint,
    request: ClientRequest,
    runtime: PhantomData<fn() -> R>,
}

impl<R: Net> Connector for TcpConnector<R> {
    type Stream = R::TcpStream;

    fn connect(
        &mut self,
        _attempt: u32,
    ) -> impl Future<Output = Result<(Self::Stream, ClientRequest), ConnectorError>> + Send + 'static {
        let (endpoint, request) = (self.endpoint.clone(), self.request.clone());
        async move {
            let lost = |loss| move |error| ConnectorError { loss, error };
            let addresses = R::resolve(endpoint.host(), endpoint.port()).await.map_err(lost(Loss::Dns))?;
            let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            for address in addresses {
                match R::connect(address).await {
                    Ok(stream) => return Ok((stream, request)),
                    Err(error) => failure = error,
                }
            }
            Err(lost(Loss::Io)(failure))
        }
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
            .field("key_placement", &self.key_placement)
            .field("deflate", &self.deflate)
            .field("config", &self.config)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}
