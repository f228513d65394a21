//! The MultiWA WebSocket API, both roles, without I/O.
#![no_std]

extern crate alloc;

mod random;
mod time;

pub use time::{Instant, WallClock};
