//! The builder of a blocking client.

use std::fmt;
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use multiwa_ws_core::session::ClientSession;
#[cfg(unix)]
use multiwa_ws_driver::dial::Route;
use multiwa_ws_driver::dial::{Dialer, Source, TlsSettings};
use multiwa_ws_driver::drive::Driver;
use multiwa_ws_driver::{BuildError, ClientSettings, Clock, ConnectorError, Destination, client_setters};

#[cfg(doc)]
use crate::ConnectError;
use crate::client::{Client, Updates};
use crate::clock::Std;
use crate::connector::Connector;
use crate::dial::{NetConnector, Provider};
use crate::worker::Worker;

/// Builds a [`Client`]. `Debug` hides the URL and the headers, which may contain a key.
///
/// It has the settings of the asynchronous bindings' builders, except compression, which `tungstenite` does not support.
/// If subprotocols are offered, `tungstenite` fails the upgrade when the server chooses none. Of the WebSocket settings
/// ([`websocket`](Self::websocket)), only the length of a message and of a frame, the bytes that wait to be sent, and the
/// close timeout take effect.
#[derive(Clone)]
pub struct ClientBuilder {
    settings: ClientSettings<Provider>,
}

impl Client {
    /// Returns a builder for a client of the server at `url`, `ws://HOST:PORT/ws` or `wss://HOST/ws`.
    #[must_use]
    pub fn builder(url: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(url)
    }

    /// Returns a builder for a client that calls `provider` for the URL and the key before each attempt: see
    /// [`ClientBuilder::with_provider`].
    #[must_use]
    pub fn builder_with(
        provider: impl Fn(u32) -> Result<Destination, ConnectorError> + Send + Sync + 'static,
    ) -> ClientBuilder {
        ClientBuilder::with_provider(provider)
    }
}

impl ClientBuilder {
    /// A builder for a client of the server at `url`, `ws://HOST:PORT/ws` or `wss://HOST/ws`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { settings: ClientSettings::new(Source::Fixed(Destination::new(url))) }
    }

    /// A builder for a client that calls `provider` for the URL and the key before each attempt. A new key takes effect
    /// at the next attempt.
    ///
    /// The argument of `provider` is the number of the attempt since the last stable connection, from 1. The provider may
    /// fail the attempt ([`ConnectorError::retry`]) or close the client ([`ConnectorError::stop`]). It may block: it runs
    /// on a thread of its own, within the connect timeout.
    #[must_use]
    pub fn with_provider(
        provider: impl Fn(u32) -> Result<Destination, ConnectorError> + Send + Sync + 'static,
    ) -> Self {
        Self { settings: ClientSettings::new(Source::Provider(Arc::new(provider))) }
    }

    client_setters!();

    /// Dials the Unix socket at `path` instead of the host of the URL. The URL still sets the request and whether TLS is
    /// used. Redirects are followed only within its origin.
    #[cfg(unix)]
    #[must_use]
    pub fn unix(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.dial.route = Route::Unix(path.into().into());
        self
    }

    /// Starts to connect and returns immediately. The [`Updates`] report the result.
    ///
    /// Use this when the program can wait for its server for any length of time: the client tries until it is ready, and
    /// the application can watch the attempts in the updates, or wait with [`Client::ready`].
    ///
    /// # Errors
    /// [`BuildError`], except `Connect`.
    pub fn start(self) -> Result<(Client, Updates), BuildError> {
        let mut settings = self.settings.dial.clone();
        if !cfg!(feature = "tls") {
            settings.tls = TlsSettings::none();
        }
        let dialer = Dialer::new(settings)?;
        let timeout = self.settings.session.get_connect_timeout();
        self.start_with(NetConnector::new(dialer, timeout))
    }

    /// Connects and waits until the client is ready, at most until the [deadline](Self::connect_deadline).
    ///
    /// # Errors
    /// [`BuildError`]. It is `Connect` when the client closed before it was ready, as its reconnect settings define. At
    /// the deadline the client is closed, and [`ConnectError::TimedOut`] holds how the last attempt ended.
    pub fn connect(self) -> Result<(Client, Updates), BuildError> {
        let deadline = self.settings.connect_deadline;
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
    /// [`BuildError::Seed`], [`BuildError::Subscription`] and [`BuildError::Thread`].
    pub fn start_with<C: Connector>(self, connector: C) -> Result<(Client, Updates), BuildError> {
        let session = self.settings.machine(Std::now(), |settings, seed| ClientSession::new(settings.session, seed))?;
        let (driver, client, updates) = Driver::new::<Std>(session, self.settings.queue);
        let worker = Worker::new(driver, connector, self.settings.websocket).map_err(BuildError::Thread)?;
        let thread = thread::Builder::new().name("multiwa-ws client".to_owned());
        thread.spawn(move || worker.run()).map_err(BuildError::Thread)?;
        Ok((Client::new(client), Updates::new(updates)))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}
