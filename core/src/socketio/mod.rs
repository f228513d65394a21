//! Layer 3: the socket.io dialect of a deployed gateway (Engine.IO 4, Socket.IO 5), over WebSocket alone.
//!
//! A deployed MultiWA gateway carries its events over socket.io. A client with
//! [`Dialect::SocketIo`](crate::session::Dialect::SocketIo) speaks it: the session stays the same, and each of its
//! commands becomes a packet, each packet a message of the session.
//!
//! ```
//! use multiwa_ws_core::session::{ClientConfig, Dialect};
//!
//! let config = ClientConfig::new().dialect(Dialect::SocketIo);
//! assert_eq!(config.get_dialect(), Dialect::SocketIo);
//! ```

mod attachments;
mod client;
mod error;
mod events;
mod joins;
mod packet;
mod repeats;
mod state;

pub(crate) use client::{SocketIo, Step};
pub use error::SocketIoError;
pub use packet::{Engine, Kind, Packet};
#[cfg(test)]
pub(crate) use state::{Input, State};

/// The target of the upgrade request: the path with its slash, and the query that names the version and the transport.
pub const TARGET: &str = "/socket.io/?EIO=4&transport=websocket";

/// The namespace of the gateway.
pub const NAMESPACE: &str = "/ws";

/// The largest number of attachments of a packet.
pub const MAX_ATTACHMENTS: u32 = 10;

/// The longest packet with all of its attachments, in bytes. A packet without attachments has the limit of a message.
pub const MAX_ATTACHED_BYTES: usize = 16 << 20;

/// The longest namespace, in bytes.
pub const MAX_NAMESPACE: usize = 128;
