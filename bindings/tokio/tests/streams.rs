//! Clients, servers and bare WebSockets over tokio's streams: in memory, on TCP and TLS, and on streams that take and give
//! a few bytes at a time.
//!
//! Tests in memory run on a paused clock: a wait that nothing ends takes no time, and so does a deadline.
#![cfg(test)]

mod client;
mod kit;
mod server;
mod websocket;
