//! A blocking MultiWA client, for programs of threads.
//!
//! [`Client`] stays connected to a server: lost connections are tried again with back-off, and subscriptions are asked for
//! again. Handles can be cloned and used from other threads while one reads the [`Updates`].
//!
//! # How it runs
//! Each client has one thread of its own, which alone touches the socket. It sleeps in the operating system's poll (`mio`)
//! until bytes arrive, the socket takes more, a deadline comes or a handle wakes it; nothing is ever asked in a loop. So the
//! keep-alive is answered, requests are acknowledged and lost connections are opened again also while the application does
//! not read. Handles and updates share a state with it and sleep until it wakes them. Names are resolved by a second thread
//! that lives as long as one attempt to connect, since the resolver of the operating system can only block.
//!
//! # What it is made of
//! The messages, the requests and the whole lifecycle are those of
//! [`ClientSession`](multiwa_ws_core::session::ClientSession), layer 3 of the core. Frames and the HTTP upgrade are those of
//! the `tungstenite` crate: nothing of layers 1 and 2 is used, and what the two think of one another is tested here.
//! So some things are `tungstenite`'s way:
//! - There is no `permessage-deflate`: it is never offered, and a server that chooses it is refused.
//! - The number of fragments of a message and the time that it takes have no limit; its length has.
//! - WebSocket pings are answered, and none are sent: the protocol's own `ping` keeps the connection alive.
//! - A server that was offered subprotocols must choose one.
//! - `tungstenite` writes what it sends to the [`log`](https://docs.rs/log) crate at its level `trace`: the upgrade request
//!   too, **with the key in it**. A program that logs must not enable that level for the target `tungstenite`.

mod builder;
mod client;
mod clock;
mod connection;
mod dial;
mod loss;
mod stream;
mod upgrade;
mod wait;
mod worker;

pub use builder::ClientBuilder;
pub use client::{Client, TimedOut, Updates};
pub use dial::Connector;
pub use mio;
pub use multiwa_ws_driver::{
    BuildError, ConnectError, ConnectorError, Endpoint, InvalidUrl, KeyPlacement, Overflow, QueueConfig, RequestError,
    Status, Update,
};
pub use stream::Stream;
