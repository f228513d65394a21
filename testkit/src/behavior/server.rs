//! A server of any binding, with the interface that scenarios use.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use multiwa_ws_core::handshake::HandshakeLimits;
use multiwa_ws_core::session::ServerConfig;
use multiwa_ws_core::websocket;
use multiwa_ws_driver::ServerTls;

use super::{NEVER, Outcome, wait_for};

/// The server of a binding.
pub trait ServerBinding: Sync {
    /// Its name in the table.
    fn name(&self) -> &'static str;

    /// Starts a server.
    ///
    /// # Errors
    /// If it cannot listen.
    fn start(&self, setup: &ServerSetup) -> Outcome<Box<dyn Server>>;
}

/// The settings of a server.
#[derive(Clone, Debug)]
pub struct ServerSetup {
    /// The address to listen on.
    pub address: SocketAddr,
    /// The keys that clients must send. If there are none, every client is accepted.
    pub keys: Vec<String>,
    /// The only origin that is accepted.
    pub origin: Option<String>,
    /// Limits of each session.
    pub session: ServerConfig,
    /// Limits and keep-alive of each connection.
    pub websocket: websocket::Config,
    /// Limits of each upgrade.
    pub handshake: HandshakeLimits,
    /// The policy for a client that reads too slowly.
    pub slow_reader: SlowReader,
    /// Whether the server compresses.
    pub compression: bool,
    /// The TLS certificate of the server. `None`: the server uses plain TCP.
    pub tls: Option<ServerTls>,
}

/// The policy for a client that reads too slowly.
#[derive(Clone, Copy, Debug)]
pub enum SlowReader {
    /// The server closes it.
    Close,
    /// The server drops its oldest events.
    DropOldest,
    /// The server drops its newest events.
    DropNewest,
}

impl Default for ServerSetup {
    /// A server on a free port of loopback. Its deadline for a closing handshake is longer than the limit of the suite,
    /// so that it hides no fault.
    fn default() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            keys: Vec::new(),
            origin: None,
            session: ServerConfig::default(),
            handshake: HandshakeLimits::default(),
            websocket: websocket::Config::new().close_timeout(NEVER),
            slow_reader: SlowReader::Close,
            compression: false,
            tls: None,
        }
    }
}

/// A running server. When it is dropped, it ends at once and sends no Close frames.
pub trait Server: Send {
    /// The address it listens on.
    fn address(&self) -> SocketAddr;

    /// Publishes an event whose data is JSON. Returns the number of receivers.
    ///
    /// # Errors
    /// If `data` is not JSON.
    fn publish(&self, event: &str, profile: Option<&str>, data: &str) -> Outcome<usize>;

    /// The number of open connections.
    fn connections(&self) -> usize;

    /// Accepts only clients with these keys from now on. Returns the number of connections that this closes.
    fn replace_keys(&self, keys: &[&str]) -> usize;

    /// Closes every connection and stops listening. Returns the number of connections that were aborted.
    ///
    /// # Errors
    /// If the server does not end in time.
    fn shutdown(&mut self, deadline: Duration) -> Outcome<usize>;

    /// Whether a client has offered `permessage-deflate` to a server that compresses.
    fn was_offered_compression(&self) -> bool;

    /// The closed connections, in the order in which they ended.
    fn left(&self) -> Vec<Left>;
}

/// How a connection to a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Who ended it, and with which code.
    pub closed: websocket::Closed,
    /// The number of events that the client missed.
    pub dropped: u64,
}

impl dyn Server + '_ {
    /// Where clients connect to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ws://{}/ws", self.address())
    }

    /// How the first connection ended.
    ///
    /// # Errors
    /// If no connection has ended.
    pub fn first_left(&self) -> Outcome<Left> {
        wait_for("the end of a connection", || self.left().first().copied())
    }
}
