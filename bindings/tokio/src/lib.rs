//! WebSocket and the MultiWA protocol on tokio.
//!
//! [`Client`] stays connected to a server; [`WebSocket`] is WebSocket alone, over any stream.

mod runtime;

pub use multiwa_ws_driver::{
    BuildError, ConnectError, Connector, ConnectorError, Endpoint, Error, HandshakeError, InvalidUrl, KeyPlacement,
    Options, Overflow, Request, RequestError, Runtime, Status, Update,
};
pub use runtime::Tokio;

/// A handle to a client that stays connected.
pub type Client = multiwa_ws_driver::Client<Tokio>;

/// Sets up a [`Client`].
pub type ClientBuilder = multiwa_ws_driver::ClientBuilder<Tokio>;

/// What a [`Client`] tells.
pub type Updates = multiwa_ws_driver::Updates<Tokio>;

/// A WebSocket over any `AsyncRead + AsyncWrite`, without the protocol of MultiWA.
pub type WebSocket<S> = multiwa_ws_driver::WebSocket<S, Tokio>;

/// The reading side of a [`WebSocket`] that was split.
pub type Reader<S> = multiwa_ws_driver::Reader<S, Tokio>;

/// The sending side of a [`WebSocket`] that was split.
pub type Writer<S> = multiwa_ws_driver::Writer<S, Tokio>;
