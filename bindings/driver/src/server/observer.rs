//! What a server tells of its connections, for logs and figures.

use std::io;
use std::net::{IpAddr, SocketAddr};

use multiwa_ws_core::handshake::RequestError;
use multiwa_ws_core::websocket::Closed;

/// One connection, as logs name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The number of the connection at this server, from 1.
    pub id: u64,
    /// Where it comes from; `None` when its stream has no address.
    pub address: Option<SocketAddr>,
}

/// What happened at a server.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Observed<'a> {
    /// A client was let in.
    Opened {
        /// Who.
        peer: &'a Peer,
    },
    /// A client was turned away.
    Refused {
        /// Who.
        peer: &'a Peer,
        /// The HTTP status that it got.
        status: u16,
    },
    /// A client did not come as far as to be judged.
    Failed {
        /// Who.
        peer: &'a Peer,
        /// What was wrong, unless it or the server just left.
        error: Option<RequestError>,
    },
    /// A client that was let in has gone.
    Closed {
        /// Who.
        peer: &'a Peer,
        /// Why.
        closed: Closed,
        /// Events that it missed because it read too slowly.
        dropped: u64,
    },
    /// An address holds its share of handshake permits: a client of it that had been silent was cut, or one that came was not
    /// served.
    ShareHeld {
        /// Whose share.
        address: IpAddr,
    },
    /// No connection can be accepted now. The server tries again shortly.
    AcceptFailed {
        /// Why, such as too many open files.
        error: &'a io::Error,
    },
}

pub(super) type Observe = dyn Fn(Observed<'_>) + Send + Sync;
