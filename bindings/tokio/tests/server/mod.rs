//! The server over real sockets and pipes.
#![cfg(test)]

mod admission;
mod client;
mod delivery;
mod endings;
mod lifecycle;
#[path = "../kit/lines.rs"]
mod lines;
mod slow_line;
