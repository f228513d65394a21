//! Layer 2: a WebSocket connection after the upgrade.

mod negotiated;

pub use negotiated::{DeflateParameters, Negotiated};
