//! The settings that the builders of all bindings share.

use std::fmt;
use std::io;
use std::time::Duration;

use multiwa_ws_core::client::Config;
use multiwa_ws_core::handshake::HandshakeLimits;
use multiwa_ws_core::session::{ClientConfig, CommandError, Dialect, EventNames};
use multiwa_ws_core::{Instant, KeepAlive, websocket};

use super::shared::{Machine, QueueConfig, event_names};
use super::status::ConnectError;
use crate::dial::{Destination, DialSettings, DialerError, RequestSettings, Route, Source, TlsSettings};
use crate::seed;

/// The settings of a client. A builder holds them, and [`client_setters`](crate::client_setters) writes its setters.
#[derive(Clone)]
pub struct ClientSettings<P> {
    /// What to dial.
    pub dial: DialSettings<P>,
    /// The subscriptions to begin with.
    pub subscriptions: Vec<(String, EventNames)>,
    /// The deadlines and limits of the session.
    pub session: ClientConfig,
    /// The limits of each connection.
    pub websocket: websocket::Config,
    /// The limits of each upgrade.
    pub handshake: HandshakeLimits,
    /// The limits of the queue of updates.
    pub queue: QueueConfig,
    /// How long the builder's `connect` waits.
    pub connect_deadline: Option<Duration>,
}

/// The default of `connect_deadline`: enough for several attempts, and for a server that restarts.
const CONNECT_DEADLINE: Duration = Duration::from_secs(60);

impl<P> ClientSettings<P> {
    /// The defaults, for a client of the server of `source`.
    #[must_use]
    pub fn new(source: Source<Destination, P>) -> Self {
        Self {
            dial: DialSettings {
                source,
                request: RequestSettings::default(),
                route: Route::Direct,
                tls: TlsSettings::default(),
            },
            subscriptions: Vec::new(),
            session: ClientConfig::new(),
            // The session has a `ping` of its own.
            websocket: websocket::Config::new().keep_alive(KeepAlive::OFF),
            handshake: HandshakeLimits::new(),
            queue: QueueConfig::default(),
            connect_deadline: Some(CONNECT_DEADLINE),
        }
    }

    /// Adds a subscription to begin with.
    pub fn subscribe<N: AsRef<str>>(&mut self, profile: impl Into<String>, events: impl IntoIterator<Item = N>) {
        self.subscriptions.push((profile.into(), event_names(events)));
    }

    /// Sets what the client speaks.
    pub fn speak(&mut self, dialect: Dialect) {
        self.session = self.session.dialect(dialect);
        self.dial.request = std::mem::take(&mut self.dial.request).dialect(dialect);
        if dialect == Dialect::SocketIo {
            // `socketio.md`: media may come as data URLs.
            self.websocket = self.websocket.clone().max_message_len(16 << 20);
        }
    }

    /// The configuration of the core's client.
    #[must_use]
    pub fn config(&self) -> Config {
        Config::new().session(self.session).websocket(self.websocket.clone()).handshake(self.handshake)
    }

    /// Calls `machine` with the settings and a random seed to make the state machine, adds the subscriptions to it, and
    /// starts to connect.
    ///
    /// # Errors
    /// [`BuildError::Seed`] and [`BuildError::Subscription`].
    pub fn machine<M: Machine>(
        &self,
        now: Instant,
        machine: impl FnOnce(&Self, [u8; 32]) -> M,
    ) -> Result<M, BuildError> {
        let mut machine = machine(self, seed().map_err(BuildError::Seed)?);
        for (profile, events) in &self.subscriptions {
            machine.subscribe(now, profile, events)?;
        }
        // The first call of `connect` on a new client always succeeds.
        let _ = machine.connect(now);
        Ok(machine)
    }
}

/// Shows neither the URL nor the headers, because they may hold a key.
impl<P> fmt::Debug for ClientSettings<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSettings")
            .field("dial", &self.dial)
            .field("session", &self.session)
            .field("websocket", &self.websocket)
            .field("handshake", &self.handshake)
            .field("queue", &self.queue)
            .field("connect_deadline", &self.connect_deadline)
            .finish_non_exhaustive()
    }
}

/// Why a client cannot be built or did not connect.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The server can never be dialed with these settings.
    #[error(transparent)]
    Dialer(#[from] DialerError),
    /// A subscription is invalid and could never be sent.
    #[error(transparent)]
    Subscription(#[from] CommandError),
    /// The operating system does not provide a random seed.
    #[error("the operating system provides no random seed")]
    Seed(#[source] io::Error),
    /// No runtime is running. Start the client within one.
    #[error("no runtime is running: start the client within one")]
    Runtime(#[source] io::Error),
    /// The operating system does not provide the thread of a blocking client, or the poll on which that thread sleeps.
    #[error("the operating system provides no thread for the client")]
    Thread(#[source] io::Error),
    /// The client was built, but did not connect.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

/// The setters of a client's builder, which holds a [`ClientSettings`](crate::ClientSettings) in its field
/// `settings`. Every binding has the same, with the same documentation.
#[macro_export]
macro_rules! client_setters {
    () => {
        /// The API key for the server. It has no effect with a provider, which returns the key itself.
        #[must_use]
        pub fn api_key(mut self, key: impl AsRef<[u8]>) -> Self {
            if let $crate::dial::Source::Fixed(destination) = self.settings.dial.source {
                self.settings.dial.source = $crate::dial::Source::Fixed(destination.api_key(key));
            }
            self
        }

        /// The part of the upgrade request that carries the key. By default this is the query.
        #[must_use]
        pub fn key_placement(mut self, placement: $crate::KeyPlacement) -> Self {
            self.settings.dial.request = self.settings.dial.request.key_placement(placement);
            self
        }

        /// The origin of the web page on whose behalf the client acts. By default none is sent.
        #[must_use]
        pub fn origin(mut self, origin: impl Into<String>) -> Self {
            self.settings.dial.request = self.settings.dial.request.origin(Some(origin.into()));
            self
        }

        /// Adds a header to the upgrade request.
        #[must_use]
        pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
            self.settings.dial.request = self.settings.dial.request.header(name, value);
            self
        }

        /// Offers a subprotocol. Add the preferred one first.
        #[must_use]
        pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
            self.settings.dial.request = self.settings.dial.request.subprotocol(name);
            self
        }

        /// The TLS configuration for `wss` URLs. By default the client trusts the certificates that the system trusts.
        #[cfg(feature = "tls")]
        #[must_use]
        pub fn tls(mut self, tls: $crate::ClientTls) -> Self {
            self.settings.dial.tls = tls.into();
            self
        }

        /// Dials through an HTTP proxy, with `CONNECT`.
        #[must_use]
        pub fn proxy(mut self, proxy: $crate::Proxy) -> Self {
            self.settings.dial.route = $crate::dial::Route::Proxy(proxy);
            self
        }

        /// Dials through the proxy that the environment variables name for the server, if any: see
        /// [`Proxy::from_env`](crate::Proxy::from_env). By default the environment is ignored.
        #[cfg(feature = "proxy-env")]
        #[must_use]
        pub fn proxy_from_env(mut self) -> Self {
            self.settings.dial.route = $crate::dial::Route::ProxyFromEnv;
            self
        }

        /// The maximum number of redirects that an attempt follows, 5 by default. 0 follows none.
        ///
        /// A redirect from `wss` to `ws` is never followed, and credentials are not sent to another origin: see
        /// [`Target::redirected`](crate::Target::redirected).
        #[must_use]
        pub fn max_redirects(mut self, redirects: u8) -> Self {
            self.settings.session = self.settings.session.max_redirects(redirects);
            self
        }

        /// Subscribes to events of a profile from the start. `*` stands for all events. The client becomes ready after
        /// the server has answered.
        ///
        /// [`LifecycleEvent::Ready`](multiwa_ws_core::session::LifecycleEvent::Ready) reports a refusal.
        #[must_use]
        pub fn subscribe<N: AsRef<str>>(
            mut self,
            profile: impl Into<String>,
            events: impl IntoIterator<Item = N>,
        ) -> Self {
            self.settings.subscribe(profile, events);
            self
        }

        /// When the client reconnects after a lost connection.
        #[must_use]
        pub fn reconnect(mut self, reconnect: $crate::core::session::ReconnectConfig) -> Self {
            self.settings.session = self.settings.session.reconnect(reconnect);
            self
        }

        /// The maximum duration of a connection attempt.
        #[must_use]
        pub fn connect_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.settings.session = self.settings.session.connect_timeout(timeout);
            self
        }

        /// What the client speaks: [`Dialect::Document`](multiwa_ws_core::session::Dialect::Document) by default, or
        /// [`Dialect::SocketIo`](multiwa_ws_core::session::Dialect::SocketIo) with a deployed gateway.
        ///
        /// With socket.io, a URL without a path means `/socket.io/`, the query gets `EIO=4&transport=websocket`, and the key
        /// goes into the CONNECT alone. [`KeyPlacement::Query`](crate::KeyPlacement::Query) or
        /// [`KeyPlacement::Header`](crate::KeyPlacement::Header) sends it there too; it is never sent as Bearer. No
        /// compression is offered. The longest message is 16 MiB from now on; [`websocket`](Self::websocket) sets another limit.
        #[must_use]
        pub fn dialect(mut self, dialect: $crate::core::session::Dialect) -> Self {
            self.settings.speak(dialect);
            self
        }

        /// Deadlines and limits of the session. It replaces what `max_redirects`, `reconnect`, `connect_timeout` and
        /// `dialect` have set.
        #[must_use]
        pub fn session(mut self, session: $crate::core::session::ClientConfig) -> Self {
            self.settings.session = session;
            self.settings.speak(session.get_dialect());
            self
        }

        /// The limits of each connection. By default they are those of
        /// [`Config::new`](multiwa_ws_core::websocket::Config::new) without its WebSocket pings
        /// ([`KeepAlive::OFF`](multiwa_ws_core::KeepAlive::OFF)), because the session has a `ping` of its own.
        #[must_use]
        pub fn websocket(mut self, websocket: $crate::core::websocket::Config) -> Self {
            self.settings.websocket = websocket;
            self
        }

        /// The size of the queue for updates that the application has not taken, and the policy when it is full.
        #[must_use]
        pub fn queue(mut self, queue: $crate::QueueConfig) -> Self {
            self.settings.queue = queue;
            self
        }

        /// How long [`connect`](Self::connect) waits until the client is ready, 60 s by default. `None` waits without a
        /// limit.
        #[must_use]
        pub fn connect_deadline(mut self, deadline: impl Into<Option<std::time::Duration>>) -> Self {
            self.settings.connect_deadline = deadline.into();
            self
        }
    };
}
