//! WebSocket and the MultiWA protocol on async-std, and over any stream of `futures-io`.
//!
//! [`Client`] stays connected to a server; [`Server`] lets clients in and publishes events to them; [`WebSocket`] is WebSocket
//! alone, over any stream.

mod runtime;
mod socket;

pub use multiwa_ws_driver::{
    BuildError, ClientTls, ClientTlsBuilder, Clock, ConnectError, ConnectionRate, Connector, ConnectorError,
    Destination, Endpoint, Error, Grant, HandshakeError, InvalidOrigin, InvalidProxy, InvalidUrl, KeyPlacement, Knock,
    Observed, Options, Origin, Overflow, Peer, Proxy, Publisher, QueueConfig, RedirectError, Request, RequestError,
    ServerTls, ServerTlsBuilder, SlowReader, Status, Target, TlsError, Update,
};
pub use runtime::AsyncStd;
pub use socket::Socket;

/// A handle to a client that stays connected.
pub type Client = multiwa_ws_driver::Client<AsyncStd>;

/// Sets up a [`Client`].
pub type ClientBuilder = multiwa_ws_driver::ClientBuilder<AsyncStd>;

/// What a [`Client`] tells.
pub type Updates = multiwa_ws_driver::Updates<AsyncStd>;

/// The events of a [`Client`] alone.
pub type Events = multiwa_ws_driver::Events<AsyncStd>;

/// A server that lets clients in and publishes events to them.
pub type Server = multiwa_ws_driver::Server<AsyncStd>;

/// Sets up a [`Server`].
pub type ServerBuilder = multiwa_ws_driver::ServerBuilder<AsyncStd>;

/// A WebSocket over any `futures_io::AsyncRead + AsyncWrite`, without the protocol of MultiWA. Sockets of async-std itself are
/// to be wrapped in a [`Socket`].
pub type WebSocket<S> = multiwa_ws_driver::WebSocket<S, AsyncStd>;

/// The reading side of a [`WebSocket`] that was split.
pub type Reader<S> = multiwa_ws_driver::Reader<S, AsyncStd>;

/// The sending side of a [`WebSocket`] that was split.
pub type Writer<S> = multiwa_ws_driver::Writer<S, AsyncStd>;
