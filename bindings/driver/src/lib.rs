//! The code that the asynchronous bindings of multiwa-ws share: it drives the state machines of [`multiwa_ws_core`] over
//! any stream and any runtime.
//!
//! A binding implements [`Clock`], [`Runtime`], [`Io`], [`Tls`] and [`Net`] (and `UnixNet` on Unix) for its own marker type.
//! At its root it re-exports [`binding`] and calls [`name_types!`].
#![cfg_attr(docsrs, feature(doc_cfg))]

mod buffer;
mod client;
pub mod dial;
mod error;
pub mod generic;
mod handshake;
mod net;
mod runtime;
mod server;
mod sync;
#[cfg(feature = "tls")]
mod tls;
mod trace;
mod transport;
mod websocket;

pub use client::drive;
pub use client::{
    BuildError, Cause, Client, ClientBuilder, ClientSettings, ConnectError, Disconnect, Events, Overflow, QueueConfig,
    Request, RequestError, Status, Update, Updates,
};
pub use dial::{
    Connector, ConnectorError, Destination, DialerError, Endpoint, InvalidProxy, InvalidUrl, KeyPlacement, Proxy,
    ProxyError, RedirectError, RequestSettings, Target, Tunnel,
};
pub use error::{Error, HandshakeError};
pub use handshake::WebSocketConfig;
#[cfg(unix)]
pub use net::UnixNet;
pub use net::{Net, Tls, limit_unsent};
pub use runtime::{Clock, Io, Runtime};
#[cfg(feature = "http")]
pub use server::UpgradeTicket;
pub use server::{
    ConnectRequest, ConnectionRate, InvalidOrigin, InvalidProxyNetwork, Observed, Origin, Peer, Permissions,
    PublishError, Published, Publisher, Server, ServerBuilder, SlowReader, TrustedProxy,
};
#[cfg(feature = "tls")]
pub use tls::{ClientTls, ClientTlsBuilder, ServerTls, ServerTlsBuilder, TlsError};
pub use websocket::{Message, MessageSink, MessageStream, Reader, WebSocket, Writer};

/// The buffers of a binary [`Message`].
pub use bytes;
/// The types of the requests and responses of [`Server::upgrade`].
#[cfg(feature = "http")]
pub use http;
/// The whole core. The bindings re-export it, so that a program depends on one crate only.
pub use multiwa_ws_core as core;
/// The TLS library. [`ClientTls`] and [`ServerTls`] are made from its types.
#[cfg(feature = "tls")]
pub use rustls;

/// The names of the [`core`] that programs use most. Each binding re-exports them at its root.
pub mod common {
    pub use multiwa_ws_core::KeepAlive;
    pub use multiwa_ws_core::frame::CloseCode;
    pub use multiwa_ws_core::handshake::{Acceptance, ApiKey, ClientRequest, DeflateConfig, DeflateOffer, Rejection};
    pub use multiwa_ws_core::session::{
        ClientConfig, ClientState, CloseCause, Dialect, DisconnectReason, Envelope, Event, EventNames, EventView,
        LifecycleEvent, RawJson, ReconnectConfig, ToJson,
    };
}

/// The names that every asynchronous binding has at its root.
pub mod binding {
    pub use crate::common::*;
    pub use crate::generic;
    #[cfg(feature = "http")]
    pub use crate::http;
    pub use crate::{
        BuildError, Cause, Clock, ConnectError, ConnectRequest, ConnectionRate, Connector, ConnectorError, Destination,
        DialerError, Disconnect, Endpoint, Error, HandshakeError, InvalidOrigin, InvalidProxy, InvalidProxyNetwork,
        InvalidUrl, KeyPlacement, Message, Observed, Origin, Overflow, Peer, Permissions, Proxy, PublishError,
        Published, Publisher, QueueConfig, RedirectError, Request, RequestError, SlowReader, Status, Target,
        TrustedProxy, Update, WebSocketConfig, bytes, core,
    };
    #[cfg(feature = "tls")]
    pub use crate::{ClientTls, ClientTlsBuilder, ServerTls, ServerTlsBuilder, TlsError, rustls};
}

use sync::lock;

/// Takes a random seed for a state machine from the operating system.
fn seed() -> std::io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(seed)
}
