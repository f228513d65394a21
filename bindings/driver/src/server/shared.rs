//! The state that a server shares with its connections and publishers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use multiwa_ws_core::server::Config;

use super::observer::{Observed, Peer};
use super::rate::Limiter;
use super::registry::Registry;
use super::settings::Settings;
use crate::trace;

/// The state that a server shares with its connections and publishers.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    /// The settings of every connection.
    pub(super) config: Config,
    pub(super) registry: Registry,
    pub(super) limiter: Option<Limiter>,
    pub(super) connections: AtomicU64,
}

impl Shared {
    pub(super) fn observe(&self, observed: Observed<'_>) {
        trace::observed(&observed);
        if let Some(observe) = &self.settings.observe {
            observe(observed);
        }
    }

    pub(super) fn next_peer(&self, address: Option<SocketAddr>) -> Peer {
        Peer { id: self.connections.fetch_add(1, Ordering::Relaxed) + 1, address }
    }
}
