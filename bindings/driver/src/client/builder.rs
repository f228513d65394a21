//! Builds the client of an asynchronous binding.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
#[cfg(unix)]
use std::path::PathBuf;

use multiwa_ws_core::client as core;
use multiwa_ws_core::handshake::{DeflateOffer, HandshakeLimits};

use super::drive::Driver;
use super::handle::Client;
use super::settings::{BuildError, ClientSettings};
use super::status::ConnectError;
use super::task::Task;
use super::updates::Updates;
#[cfg(unix)]
use crate::UnixNet;
use crate::dial::{
    Connect, Connector, ConnectorError, Destination, Dialer, Dynamic, NetConnector, Provider, Source, TlsSettings,
    connect_tcp,
};
#[cfg(unix)]
use crate::dial::{Route, connect_any};
use crate::server::within;
use crate::sync::Arc;
use crate::{Io, Net, Tls};

/// Builds a [`Client`]. `Debug` shows neither the URL nor the headers, because they may hold a key.
#[derive(Clone)]
pub struct ClientBuilder<R> {
    settings: ClientSettings<Provider>,
    connect: Connect,
    runtime: PhantomData<fn() -> R>,
}

impl<R: Net> Client<R> {
    /// Returns a builder for a client of the server at `url`, `ws://HOST:PORT/ws`.
    #[must_use]
    pub fn builder(url: impl Into<String>) -> ClientBuilder<R> {
        ClientBuilder::new(url)
    }

    /// Returns a builder for a client that asks `provider` for the URL and the key before each attempt: see
    /// [`ClientBuilder::with_provider`].
    #[must_use]
    pub fn builder_with<F>(provider: impl Fn(u32) -> F + Send + Sync + 'static) -> ClientBuilder<R>
    where
        F: Future<Output = Result<Destination, ConnectorError>> + Send + 'static,
    {
        ClientBuilder::with_provider(provider)
    }
}

impl<R: Net> ClientBuilder<R> {
    /// A builder for a client of the server at `url`, `ws://HOST:PORT/ws` or `wss://HOST/ws`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self::from(Source::Fixed(Destination::new(url)))
    }

    /// A builder for a client that asks `provider` for the URL and the key before each attempt. A new key takes effect at
    /// the next attempt.
    ///
    /// The argument of `provider` is the number of the attempt since the last stable connection, from 1. The provider may
    /// fail the attempt ([`ConnectorError::retry`]) or close the client ([`ConnectorError::stop`]). The connect timeout
    /// includes the time that it takes.
    #[must_use]
    pub fn with_provider<F>(provider: impl Fn(u32) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Destination, ConnectorError>> + Send + 'static,
    {
        Self::from(Source::Provider(Arc::new(move |attempt| Box::pin(provider(attempt)))))
    }

    fn from(source: Source<Destination, Provider>) -> Self {
        Self { settings: ClientSettings::new(source), connect: connect_tcp::<R>, runtime: PhantomData }
    }

    crate::client_setters!();

    /// Offers `permessage-deflate`. By default it is not offered.
    #[must_use]
    pub fn compression(mut self, offer: DeflateOffer) -> Self {
        self.settings.dial.request = self.settings.dial.request.deflate(offer);
        self
    }

    /// The limits of each upgrade.
    #[must_use]
    pub fn handshake(mut self, handshake: HandshakeLimits) -> Self {
        self.settings.handshake = handshake;
        self
    }

    /// Starts to connect and returns at once. [`Updates`] report the progress.
    ///
    /// Use this when the program can wait for its server for any length of time: the client tries until it is ready, and
    /// the application can watch the attempts, or wait with [`Client::ready`].
    ///
    /// # Errors
    /// [`BuildError`], except `Connect`. Outside a runtime it is [`BuildError::Runtime`].
    pub fn start(self) -> Result<(Client<R>, Updates<R>), BuildError> {
        let mut settings = self.settings.dial.clone();
        if !<R as Tls<R::TcpStream>>::IS_SUPPORTED {
            settings.tls = TlsSettings::none();
        }
        let dialer = Dialer::new(settings)?;
        let connector = NetConnector::<R>::new(dialer, self.connect);
        self.spawn::<_, Dynamic<R>>(connector)
    }

    /// Connects and waits until the client is ready, at most until the [deadline](Self::connect_deadline). Cancel safe:
    /// if the future is dropped, the client closes and no connection stays open.
    ///
    /// # Errors
    /// [`BuildError`]. It is `Connect` when the client closed before it was ready, as its reconnect settings define. At
    /// the deadline the client is closed, and [`ConnectError::TimedOut`] holds how the last attempt ended.
    pub async fn connect(self) -> Result<(Client<R>, Updates<R>), BuildError> {
        let deadline = self.settings.connect_deadline;
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
        let machine = self.settings.machine(R::now(), |settings, seed| core::Client::new(settings.config(), seed))?;
        let (driver, client, updates) = Driver::new(machine, self.settings.queue);
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
        self.settings.dial.route = Route::Unix(path.into().into());
        self.connect = connect_any::<R>;
        self
    }
}

impl<R> fmt::Debug for ClientBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}
