//! The WebSocket API of MultiWA, and WebSocket itself (RFC 6455, RFC 7692), both roles, without I/O.
//!
//! The crate opens no socket, reads no clock and spawns no task. Its state machines take bytes and times as input, and
//! return events, bytes and deadlines. The same calls always give the same bytes. The crate is `no_std` with `alloc`.
//!
//! # Layers
//! Each layer can be used alone and does not depend on the layers above it.
//!
//! | layer | module | for |
//! | --- | --- | --- |
//! | 1 | [`frame`] | headers, masking, incremental UTF-8, close codes; no allocation |
//! | 2 | [`websocket`] | a connection after the upgrade: messages, keep-alive, closing handshake, compression, limits |
//! | 2 | [`handshake`] | the HTTP upgrade; its result becomes a connection |
//! | 3 | [`session`] | MultiWA's messages, requests, subscriptions and reconnection, over any transport of text |
//! | 4 | [`client`], [`server`], [`hub`] | whole peers, and fan-out of one event to many connections |
//!
//! # The methods
//! Every state machine with a transport has the same methods:
//! [`handle_input`](websocket::WebSocket::handle_input) takes bytes and returns events,
//! [`poll_transmit`](StateMachine::poll_transmit) lends bytes to write,
//! [`poll_timeout`](StateMachine::poll_timeout) returns the next deadline. The [`guide`] shows how to write a driver: the
//! loop that reads, writes and sleeps. If you do not want to write one, use a binding, such as `multiwa-ws-tokio`.
//!
//! # A whole client
//! ```
//! use multiwa_ws_core::Instant;
//! use multiwa_ws_core::client::{Client, Config, TransportAction};
//! use multiwa_ws_core::handshake::ClientRequest;
//! use multiwa_ws_core::session::EventNames;
//!
//! let now = Instant::default(); // the time of any monotonic clock, as an integer
//! let seed = [0; 32]; // in production, from the operating system
//! let mut client = Client::new(Config::default(), seed);
//! client.commands().subscribe(now, "profile-123", &EventNames::every())?;
//! client.connect(now)?;
//! assert_eq!(client.poll_action(), Some(TransportAction::Connect { attempt: 1 }));
//!
//! // Open a transport to gateway:3001, then:
//! client.connected(now, ClientRequest::new("gateway:3001", "/ws?apiKey=KEY"))?;
//! let mut slices = [&[][..]; 4];
//! assert_eq!(client.poll_transmit(&mut slices), 1); // the upgrade request, to be written
//!
//! // From now on: write the bytes of `poll_transmit`, pass received bytes to `handle_input`, process `poll_event` and
//! // `poll_action`, and sleep until `poll_timeout`.
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//! All are on by default, and each can be left out. Without any of them, the crate has [`frame`], [`websocket`] for both
//! roles, and the client's side of [`handshake`].
//!
//! | feature | brings | dependencies |
//! | --- | --- | --- |
//! | `std` | SIMD detection at run time, and a faster codec for `deflate` | `zlib-rs` |
//! | `deflate` | `permessage-deflate` (RFC 7692) and its configuration. Without it, the extension is neither offered nor accepted | `miniz_oxide` |
//! | `server` | the server's side of [`handshake`] | `serde_json`, `subtle` |
//! | `session` | [`session`] and [`client`], `WallClock`, `Response::retry_after` | `jiff`, `serde`, `serde_json` |
//! | `server` and `session` | `session::ServerSession`, [`server`] and [`hub`] | |
//! | `socketio` | [`socketio`], the dialect of a deployed gateway, and with it `session` | |
//!
//! The same messages are accepted with and without `std`, with one exception: if a compression window below 32 KiB was
//! negotiated and a peer refers to bytes beyond it, the message is refused without `std` and may be accepted with it. The
//! compressed bytes differ.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![no_std]

extern crate alloc;

#[cfg(feature = "session")]
pub mod client;
#[cfg(test)]
#[cfg(all(feature = "server", feature = "session"))]
mod diagrams;
pub mod frame;
pub mod guide;
pub mod handshake;
#[cfg(all(feature = "server", feature = "session"))]
pub mod hub;
mod keep_alive;
mod machine;
#[cfg(feature = "session")]
mod peer;
mod random;
#[cfg(all(feature = "server", feature = "session"))]
pub mod server;
#[cfg(feature = "session")]
pub mod session;
mod simd;
#[cfg(feature = "socketio")]
pub mod socketio;
mod time;
pub mod websocket;

pub use keep_alive::KeepAlive;
pub use machine::StateMachine;
pub use time::Instant;
#[cfg(feature = "session")]
pub use time::WallClock;
