//! A server of any binding, as scenarios see it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use multiwa_ws_core::handshake::HandshakeLimits;
use multiwa_ws_core::session::ServerConfig;
use multiwa_ws_core::websocket;
use multiwa_ws_driver::ServerTls;

use super::{NEVER, Outcome, wait_for};

/// A binding's server.
pub trait ServerBinding: Sync {
    /// Its name in the table.
    fn name(&self) -> &'static str;

    /// Starts a server.
    ///
    /// # Errors
    /// When it cannot listen.
    fn start(&self, setup: &ServerSetup) -> Outcome<Box<dyn Server>>;
}

/// How a server is set up.
#[derive(Clone, Debug)]
pub struct ServerSetup {
    /// Where it listens.
    pub address: SocketAddr,
    /// The keys that let clients in; without any, every client is let in.
    pub keys: Vec<String>,
    /// The only page that is let in.
    pub origin: Option<String>,
    /// Limits of each session.
    pub session: ServerConfig,
    /// Limits and keep-alive of each connection.
    pub websocket: websocket::Config,
    /// Limits of each upgrade.
    pub handshake: HandshakeLimits,
    /// What happens to a client that reads too slowly.
    pub slow_reader: SlowReader,
    /// Whether it compresses.
    pub compression: bool,
    /// What it shows to clients over TLS; without, it speaks plain text.
    pub tls: Option<ServerTls>,
}

/// What happens to a client that reads too slowly.
#[derive(Clone, Copy, Debug)]
pub enum SlowReader {
    /// It is closed.
    Close,
    /// It loses the oldest events.
    DropOldest,
    /// It loses the newest events.
    DropNewest,
}

impl Default for ServerSetup {
    /// On a free port of the loopback. The deadline of a closing handshake does not pass within the limit of the suite, so
    /// that it hides no fault.
    fn default() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            keys: Vec::new(),
            origin: None,
            session: ServerConfig::default(),
            handshake: HandshakeLimits::default(),
            websocket: websocket::Config { close_timeout: NEVER, ..websocket::Config::default() },
            slow_reader: SlowReader::Close,
            compression: false,
            tls: None,
        }
    }
}

/// A running server. Dropped, it ends at once and tells nobody.
pub trait Server: Send {
    /// Where it listens.
    fn address(&self) -> SocketAddr;

    /// Publishes an event whose data is JSON; to how many clients.
    ///
    /// # Errors
    /// When `data` is no JSON.
    fn publish(&self, event: &str, profile: Option<&str>, data: &str) -> Outcome<usize>;

    /// How many connections are open.
    fn connections(&self) -> usize;

    /// Lets clients in with these keys alone; how many connections that ends.
    fn replace_keys(&self, keys: &[&str]) -> usize;

    /// Closes every connection and stops to listen; how many connections had to be cut.
    ///
    /// # Errors
    /// When it did not end in time.
    fn shutdown(&mut self, deadline: Duration) -> Outcome<usize>;

    /// Whether a client has offered `permessage-deflate` to a server that compresses.
    fn was_offered_compression(&self) -> bool;

    /// The connections that have ended, in that order.
    fn left(&self) -> Vec<Left>;
}

/// How a connection to a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Who ended it, and with which code.
    pub closed: websocket::Closed,
    /// Events that it missed.
    pub dropped: u64,
}

impl dyn Server + '_ {
    /// Where clients connect to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ws://{}/ws", self.address())
    }

    /// How the first connection ended, once it has.
    ///
    /// # Errors
    /// When it has not.
    pub fn first_left(&self) -> Outcome<Left> {
        wait_for("the end of a connection", || self.left().first().copied())
    }
}
