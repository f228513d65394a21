//! The MultiWA WebSocket API, both roles, without I/O.
#![no_std]

extern crate alloc;

pub mod frame;
pub mod handshake;
pub mod hub;
mod random;
pub mod session;
mod time;
pub mod websocket;

pub use time::{Instant, WallClock};
