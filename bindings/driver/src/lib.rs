//! What the asynchronous bindings of multiwa-ws share: the state machines of [`multiwa_ws_core`], driven over any stream
//! and any runtime.
//!
//! A binding implements [`Runtime`] and [`Io`] for a marker type of its own and names the types of this crate with it.

mod buffer;
mod client;
mod error;
mod handshake;
mod net;
mod runtime;
mod server;
mod sync;
mod tls;
mod trace;
mod transport;
mod websocket;

pub use client::drive;
pub use client::{
    ATTEMPT_DELAY, BuildError, CONNECT_DEADLINE, Client, ClientBuilder, ConnectError, Connector, ConnectorError,
    Destination, Endpoint, Events, InvalidProxy, InvalidUrl, KeyPlacement, Overflow, Proxy, ProxyError, QueueConfig,
    RedirectError, Request, RequestError, RequestSettings, Status, Target, Tunnel, Update, Updates, interleave,
    tls_disconnect_reason,
};
pub use error::{Error, HandshakeError};
pub use handshake::WebSocketConfig;
#[cfg(unix)]
pub use net::UnixNet;
pub use net::{Net, Tls, limit_unsent};
pub use runtime::{Clock, Io, Runtime};
pub use server::{
    ConnectRequest, ConnectionRate, InvalidOrigin, InvalidProxyNetwork, Observed, Origin, Peer, Permissions, Publisher,
    Server, ServerBuilder, SlowReader, TrustedProxy,
};
pub use tls::{ClientTls, ClientTlsBuilder, ServerTls, ServerTlsBuilder, TlsError};
pub use websocket::{Reader, WebSocket, Writer};

use sync::lock;

/// A seed for a state machine, from the operating system.
fn seed() -> std::io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(seed)
}
