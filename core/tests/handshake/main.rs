//! The HTTP upgrade against the rules of RFC 6455 section 4, RFC 9110, RFC 9112 and RFC 7692. Each test runs for client
//! and server.

#![cfg(test)]
#![cfg(all(feature = "deflate", feature = "server"))]

mod client;
mod pair;
mod server;
mod support;
