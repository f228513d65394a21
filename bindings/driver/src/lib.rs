//! What the asynchronous bindings of multiwa-ws share: the state machines of [`multiwa_ws_core`], driven over any stream
//! and any runtime.
//!
//! A binding implements [`Runtime`] and [`Io`] for a marker type of its own and names the types of this crate with it.

mod buffer;
mod error;
mod handshake;
mod net;
mod runtime;
mod transport;
mod websocket;

pub use error::{Error, HandshakeError};
pub use handshake::Options;
pub use net::Net;
pub use runtime::{Io, Runtime};
pub use websocket::{Reader, WebSocket, Writer};

/// A seed for a state machine, from the operating system.
fn seed() -> std::io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(seed)
}
