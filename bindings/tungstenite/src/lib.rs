//! A blocking MultiWA client for programs that use threads instead of an async runtime.
//!
//! [`Client`] stays connected to a server: it reconnects with back-off after a lost connection, and requests the
//! subscriptions again. Handles can be cloned and used from other threads while one thread reads the [`Updates`].
//!
//! ```no_run
//! use multiwa_ws_tungstenite::Client;
//!
//! let (client, updates) = Client::builder("ws://127.0.0.1:3001/ws").api_key("secret").connect()?;
//! client.subscribe("profile-123", ["message.received"])?;
//! for event in updates.into_events() {
//!     println!("{} {}", event.name(), event.data().unwrap_or("null"));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How it runs
//! Each client has its own thread, and only this thread uses the socket. It sleeps in the operating system's poll (`mio`)
//! until bytes arrive, the socket is writable, a deadline passes or a handle wakes it; it never busy-waits. So the client
//! answers the keep-alive, completes requests and reconnects even while the application does not read, and `close`
//! returns within its timeout even if the server does not respond. Handles and updates share a state with the thread and
//! sleep until it wakes them.
//!
//! A second thread dials the server, because a provider may block and the resolver of the operating system always blocks.
//! It runs for the duration of one attempt. A canceled attempt may keep that thread busy for a while. The next attempt
//! waits for it, so there is never more than one such thread.
//!
//! # Components
//! The messages, the requests and the whole lifecycle are those of
//! [`ClientSession`](multiwa_ws_core::session::ClientSession), layer 3 of the core. Frames and the HTTP upgrade are those
//! of the `tungstenite` crate: layers 1 and 2 of the core are not used for the connection, and the tests compare the two
//! implementations. These differences come from `tungstenite`:
//! - There is no `permessage-deflate`. It is never offered, and the client refuses a server that selects it.
//! - The number of fragments of a message and its duration have no limit. Its length has one, and a frame must not be
//!   longer than a message.
//! - WebSocket pings are answered but not sent: the protocol's own `ping` keeps the connection alive.
//! - If the client offers subprotocols, the server must choose one.
//! - `tungstenite` logs what it sends to the [`log`](https://docs.rs/log) crate at level `trace`. This includes the
//!   upgrade request **with the API key**. A program must not enable that level for the target `tungstenite`.
//!
//! # TLS
//! `wss` URLs need TLS, which uses `rustls`. The feature `tls-ring` (on by default) or `tls-aws-lc` adds it with a crypto
//! provider. With the feature `tls` alone, pass a provider in a `ClientTls`. Without these features no code of `rustls` is
//! compiled, and a `wss` URL is [`DialerError::NoTls`].
#![cfg_attr(docsrs, feature(doc_cfg))]

mod attempts;
mod builder;
mod client;
mod clock;
mod connection;
mod connector;
mod dial;
mod dial_thread;
mod failure;
mod stream;
#[cfg_attr(not(feature = "tls"), path = "without_tls.rs")]
mod tls;
mod upgrade;
mod wait;
mod worker;

pub use builder::ClientBuilder;
pub use client::{Client, Events, TimedOut, Updates};
pub use connector::Connector;
pub use mio;
pub use multiwa_ws_driver::common::*;
pub use multiwa_ws_driver::{
    BuildError, Cause, ConnectError, ConnectorError, Destination, DialerError, Disconnect, Endpoint, InvalidProxy,
    InvalidUrl, KeyPlacement, Overflow, Proxy, QueueConfig, RedirectError, RequestError, RequestSettings, Status,
    Target, Update, core,
};
#[cfg(feature = "tls")]
pub use multiwa_ws_driver::{ClientTls, ClientTlsBuilder, TlsError, rustls};
pub use stream::Stream;

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
