//! The settings of a server.

use std::fmt;
use std::time::Duration;

use multiwa_ws_core::handshake::{Acceptance, DeflateConfig, HandshakeLimits};
use multiwa_ws_core::server::Config;
use multiwa_ws_core::session::ServerConfig;
use multiwa_ws_core::websocket::{self, SharedMessage};

use super::forwarded::Proxies;
use super::hosts::Hosts;
use super::mailbox::SlowReader;
use super::observer::Observe;
use super::origin::Origin;
use super::permissions::Authorize;

/// The settings of a server, which do not change after its start.
pub(super) struct Settings {
    pub(super) path: String,
    pub(super) origins: Vec<Origin>,
    pub(super) hosts: Hosts,
    pub(super) authorize: Option<Box<Authorize>>,
    pub(super) observe: Option<Box<Observe>>,
    pub(super) session: ServerConfig,
    pub(super) websocket: websocket::Config,
    pub(super) handshake: HandshakeLimits,
    pub(super) deflate: Option<DeflateConfig>,
    pub(super) slow_reader: SlowReader,
    pub(super) max_connections: usize,
    pub(super) max_handshakes: usize,
    pub(super) trusted_proxies: Proxies,
    pub(super) close_window: Duration,
}

impl Settings {
    /// The settings of a connection.
    pub(super) fn config(&self) -> Config {
        Config::new().session(self.session).websocket(self.websocket.clone()).handshake(self.handshake)
    }

    /// The choices of the server for an accepted client.
    pub(super) fn acceptance(&self) -> Acceptance {
        Acceptance::new().deflate(self.deflate)
    }

    /// Encodes the frame of an event, with a shared compressed form if connections can use one.
    pub(super) fn encode(&self, text: &str) -> SharedMessage {
        let message = SharedMessage::text(text);
        match &self.deflate {
            Some(deflate) if deflate.get_server_no_context_takeover() => {
                message.compressed(self.websocket.get_compression().get_level())
            }
            _ => message,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            path: "/ws".to_owned(),
            origins: Vec::new(),
            hosts: Hosts::default(),
            authorize: None,
            observe: None,
            session: ServerConfig::new(),
            websocket: websocket::Config::new(),
            handshake: HandshakeLimits::new(),
            deflate: None,
            slow_reader: SlowReader::default(),
            max_connections: 65_536,
            max_handshakes: 1_024,
            trusted_proxies: Proxies::default(),
            close_window: Duration::from_secs(1),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("path", &self.path).field("config", &self.config()).finish_non_exhaustive()
    }
}
