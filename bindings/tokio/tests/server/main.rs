//! The server over real sockets and pipes.
#![cfg(test)]

mod admission;
mod client;
mod delivery;
mod lifecycle;
mod slow_line;
