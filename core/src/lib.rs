//! The WebSocket API of MultiWA, and WebSocket itself (RFC 6455, RFC 7692), both roles, without I/O.
//!
//! Nothing here opens a socket, reads a clock or spawns a task: state machines are fed bytes and times and hand back events,
//! bytes and deadlines. The same calls give the same bytes, always. The crate is `no_std` with `alloc`.
//!
//! # Layers
//! Each is usable alone and knows nothing of those above it.
//!
//! | layer | module | for |
//! | --- | --- | --- |
//! | 1 | [`frame`] | headers, masking, UTF-8 in pieces, close codes; no allocation |
//! | 2 | [`websocket`] | a connection after the upgrade: messages, keep-alive, closing handshake, compression, limits |
//! | 2 | [`handshake`] | the HTTP upgrade, as values that become a connection |
//! | 3 | [`session`] | MultiWA's messages, requests, subscriptions and reconnection, over any transport of text |
//! | 4 | [`client`], [`server`], [`hub`] | whole peers, and fan-out of one event to many connections |
//!
//! # The verbs
//! They are the same at every layer. `handle_input(now, &mut input)` takes the caller's own bytes and returns at most one
//! event; a message that lies whole in them is unmasked there and lent. `poll_event()` returns events that no byte causes.
//! `poll_transmit(&mut slices)` lends bytes to write and `transmitted(n)` confirms them. `poll_timeout()` is the next
//! deadline, `handle_timeout(now)` acts on it. Commands take effect before they return, and a refused one has changed nothing.
//!
//! # A whole client
//! ```
//! use multiwa_ws_core::Instant;
//! use multiwa_ws_core::client::{Client, Config, TransportAction};
//! use multiwa_ws_core::handshake::ClientRequest;
//! use multiwa_ws_core::session::EventNames;
//!
//! let now = Instant::default(); // any monotonic clock, as an integer
//! let seed = [0; 32]; // from the operating system, in earnest
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
//! // From here on: write what `poll_transmit` lends, feed what arrives to `handle_input`, take `poll_event` and
//! // `poll_action`, and sleep until `poll_timeout`.
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//! - `std`: SIMD detection at run time and a faster codec for compression. With and without it the same messages are
//!   accepted, with one exception: where a compression window below 32 KiB was negotiated and a peer refers to bytes beyond
//!   it, the message is refused without `std` and may be accepted with it. The compressed bytes differ.
#![no_std]

extern crate alloc;

pub mod client;
#[cfg(test)]
mod diagrams;
pub mod frame;
pub mod handshake;
pub mod hub;
mod keep_alive;
mod peer;
mod random;
pub mod server;
pub mod session;
mod simd;
mod time;
pub mod websocket;

pub use keep_alive::KeepAlive;
pub use time::{Instant, WallClock};
