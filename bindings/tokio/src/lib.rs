//! WebSocket and the MultiWA protocol on tokio.

mod runtime;

pub use runtime::Tokio;

/// A WebSocket over any `AsyncRead + AsyncWrite`, without the protocol of MultiWA.
pub type WebSocket<S> = multiwa_ws_driver::WebSocket<S, Tokio>;
