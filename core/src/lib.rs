//! The MultiWA WebSocket API, both roles, without I/O.
#![no_std]

extern crate alloc;

pub mod client;
pub mod frame;
pub mod handshake;
pub mod hub;
mod keep_alive;
mod peer;
mod random;
pub mod server;
pub mod session;
mod time;
pub mod websocket;

pub use keep_alive::KeepAlive;
pub use time::{Instant, WallClock};
