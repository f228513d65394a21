//! WebSocket and the MultiWA protocol on tokio.

mod runtime;

pub use runtime::Tokio;

/// A WebSocket over any `AsyncRead + AsyncWrite`, without the protocol of MultiWA.
pub type WebSocket<S> = multiwa_ws_driver::WebSocket<S, Tokio>;

/// The reading side of a [`WebSocket`] that was split.
pub type Reader<S> = multiwa_ws_driver::Reader<S, Tokio>;

/// The sending side of a [`WebSocket`] that was split.
pub type Writer<S> = multiwa_ws_driver::Writer<S, Tokio>;

pub use multiwa_ws_driver::{Error, HandshakeError, Options};
