//! WebSocket and the MultiWA protocol on async-std, on smol, and over any stream of `futures-io`.
//!
//! `Client` stays connected to a server. `Server` accepts clients and publishes events to them. `WebSocket` is a plain
//! WebSocket over any stream. The types at the root are for async-std (feature `async-std`, on by default); the module
//! `smol` has the same types for smol (feature `smol`).
//!
//! All types and methods have the same names as in `multiwa-ws-tokio`. Its front page and `docs/bindings.md` in the
//! repository have examples, and `examples/smol_client.rs` of this crate is a client on smol.
//!
//! # TLS
//! `wss` URLs and servers with TLS use `rustls`. The feature `tls-ring` (on by default) or `tls-aws-lc` adds it with a crypto
//! provider. With the feature `tls` alone, pass a provider in a `ClientTls` or `ServerTls`. Without these features no code
//! of `rustls` is compiled, and a `wss` URL is [`DialerError::NoTls`].
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "async-std")]
mod async_std;
#[cfg(any(feature = "async-std", feature = "smol"))]
mod futures_io;
#[cfg(feature = "smol")]
pub mod smol;

#[cfg(feature = "async-std")]
pub use async_std::*;
pub use multiwa_ws_driver::binding::*;
