//! A blocking MultiWA client, for programs of threads.
//!
//! [`Client`] stays connected to a server: lost connections are tried again with back-off, and subscriptions are asked for
//! again. Handles can be cloned and used from other threads while one reads the [`Updates`].
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
//! Each client has one thread of its own, which alone touches the socket. It sleeps in the operating system's poll (`mio`)
//! until bytes arrive, the socket takes more, a deadline comes or a handle wakes it; nothing is ever asked in a loop. So the
//! keep-alive is answered, requests are acknowledged and lost connections are opened again also while the application does
//! not read, and a close returns within its time whatever the server does. Handles and updates share a state with the
//! thread and sleep until it wakes them.
//!
//! The way to the server is made by a second thread, which lives as long as one attempt takes: a provider may block, and the
//! resolver of the operating system can do nothing else. An attempt that was given up may hold that thread for a while; the
//! next attempt waits for it, so there is never more than one.
//!
//! # What it is made of
//! The messages, the requests and the whole lifecycle are those of
//! [`ClientSession`](multiwa_ws_core::session::ClientSession), layer 3 of the core. Frames and the HTTP upgrade are those of
//! the `tungstenite` crate: nothing of layers 1 and 2 moves a byte here, and the tests hold the two against each other.
//! So some things are `tungstenite`'s way:
//! - There is no `permessage-deflate`: it is never offered, and a server that chooses it is refused.
//! - The number of fragments of a message and the time that it takes have no limit; its length has, and a frame may be no
//!   longer than a message.
//! - WebSocket pings are answered, and none are sent: the protocol's own `ping` keeps the connection alive.
//! - A server that was offered subprotocols must choose one.
//! - `tungstenite` writes what it sends to the [`log`](https://docs.rs/log) crate at its level `trace`: the upgrade request
//!   too, **with the key in it**. A program that logs must not enable that level for the target `tungstenite`.
//!
//! # TLS
//! By `rustls`, as in the asynchronous bindings. Cryptography comes from the feature `tls-ring` (on by default) or `tls-aws-lc`,
//! or from the provider that a [`ClientTls`] was given.

mod builder;
mod client;
mod clock;
mod connection;
mod dial;
mod failure;
mod race;
mod reach;
mod stream;
mod tls;
mod upgrade;
mod wait;
mod worker;

pub use builder::ClientBuilder;
pub use client::{Client, Events, TimedOut, Updates};
pub use dial::Connector;
pub use mio;
pub use multiwa_ws_driver::{
    BuildError, ClientTls, ClientTlsBuilder, ConnectError, ConnectorError, Destination, Endpoint, InvalidProxy,
    InvalidUrl, KeyPlacement, Overflow, Proxy, QueueConfig, RedirectError, RequestError, RequestSettings, Status,
    Target, TlsError, Update,
};
pub use stream::Stream;

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
