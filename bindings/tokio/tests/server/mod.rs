//! The server over real sockets and pipes.

mod admission;
#[cfg(feature = "http")]
mod behind;
#[cfg(feature = "http")]
#[path = "../../examples/behind_axum.rs"]
mod behind_axum;
#[cfg(feature = "http")]
#[path = "../../examples/behind_hyper.rs"]
mod behind_hyper;
mod client;
mod delivery;
mod endings;
mod lifecycle;
mod slow_line;
#[cfg(feature = "http")]
mod upgrade;
