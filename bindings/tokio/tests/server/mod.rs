//! The server over real sockets and pipes.

mod admission;
mod client;
mod delivery;
mod endings;
mod lifecycle;
mod slow_line;
