//! WebSocket and the MultiWA protocol on tokio.
//!
//! [`Client`] stays connected to a server; [`Server`] lets clients in and publishes events to them; [`WebSocket`] is WebSocket
//! alone, over any stream.
//!
//! # The runtime
//! All of it runs on a tokio runtime whose time and I/O are enabled, as `tokio::main` and `Builder::enable_all` do. Outside of one,
//! [`ClientBuilder::start`] and [`ServerBuilder::bind`] return an error.
//!
//! # Panics
//! tokio panics where a timer or a socket is made and the runtime has none: futures of [`WebSocket`], [`Server::serve_stream`] and
//! [`Server::shutdown`] that are polled outside of a runtime, and everything on one whose time or I/O is not enabled. A client
//! whose task has panicked is over, with [`DisconnectReason::Stopped`](multiwa_ws_core::session::DisconnectReason::Stopped).

mod runtime;

pub use multiwa_ws_driver::{
    BuildError, ClientTls, ClientTlsBuilder, Clock, ConnectError, ConnectRequest, ConnectionRate, Connector,
    ConnectorError, Destination, Endpoint, Error, HandshakeError, InvalidOrigin, InvalidProxy, InvalidProxyNetwork,
    InvalidUrl, KeyPlacement, Observed, Origin, Overflow, Peer, Permissions, Proxy, Publisher, QueueConfig,
    RedirectError, Request, RequestError, ServerTls, ServerTlsBuilder, SlowReader, Status, Target, TlsError,
    TrustedProxy, Update, WebSocketConfig,
};
pub use runtime::Tokio;

/// A handle to a client that stays connected.
pub type Client = multiwa_ws_driver::Client<Tokio>;

/// Sets up a [`Client`].
pub type ClientBuilder = multiwa_ws_driver::ClientBuilder<Tokio>;

/// What a [`Client`] tells.
pub type Updates = multiwa_ws_driver::Updates<Tokio>;

/// The events of a [`Client`] alone.
pub type Events = multiwa_ws_driver::Events<Tokio>;

/// A server that lets clients in and publishes events to them.
///
/// ```
/// use multiwa_ws_core::handshake::ApiKey;
/// use multiwa_ws_core::session::RawJson;
/// use multiwa_ws_tokio::Server;
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder().api_keys([ApiKey::new("k-1")]).bind("127.0.0.1:0".parse()?).await?;
/// println!("listening on {:?}", server.local_addr());
/// let receivers = server.publisher().send("session.status", Some("p"), &RawJson::parse(r#"{"status":"connected"}"#)?);
/// assert_eq!(receivers, 0); // nobody is here yet
/// server.shutdown(Duration::from_secs(5)).await;
/// # Ok(())
/// # }
/// ```
pub type Server = multiwa_ws_driver::Server<Tokio>;

/// Sets up a [`Server`].
pub type ServerBuilder = multiwa_ws_driver::ServerBuilder<Tokio>;

/// A WebSocket over any `AsyncRead + AsyncWrite`, without the protocol of MultiWA.
pub type WebSocket<S> = multiwa_ws_driver::WebSocket<S, Tokio>;

/// The reading side of a [`WebSocket`] that was split.
pub type Reader<S> = multiwa_ws_driver::Reader<S, Tokio>;

/// The sending side of a [`WebSocket`] that was split.
pub type Writer<S> = multiwa_ws_driver::Writer<S, Tokio>;

/// The examples of the project's README compile, and those of its page about the bindings.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
#[doc = include_str!("../../../docs/bindings.md")]
struct Pages;
