//! Layer 2: a WebSocket connection after the upgrade.

#[cfg_attr(not(test), expect(dead_code, unused_imports, reason = "the connection is the first to use it"))]
mod deflate;
mod negotiated;

pub use negotiated::{DeflateParameters, Negotiated};
