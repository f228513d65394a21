//! The events that a server reports about its connections, for logs and metrics.

use std::io;
use std::net::{IpAddr, SocketAddr};

use multiwa_ws_core::handshake::RequestError;
use multiwa_ws_core::websocket::Closed;

/// A connection, as identified in logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The number of the connection at this server, starting at 1.
    pub id: u64,
    /// The address of the client or proxy. `None` if the stream has no address.
    pub address: Option<SocketAddr>,
}

/// An event of a server.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Observed<'a> {
    /// A client was accepted.
    Opened {
        /// The connection.
        peer: &'a Peer,
    },
    /// A client was rejected.
    Refused {
        /// The connection.
        peer: &'a Peer,
        /// The HTTP status of the response.
        status: u16,
    },
    /// The connection ended before it was open.
    Failed {
        /// The connection.
        peer: &'a Peer,
        /// The error. `None` if the client or the server ended the connection, or TLS failed.
        error: Option<RequestError>,
    },
    /// The connection of an accepted client ended.
    Closed {
        /// The connection.
        peer: &'a Peer,
        /// Why the connection ended.
        closed: Closed,
        /// The number of events that were dropped because the client read too slowly.
        dropped: u64,
    },
    /// An address holds its share of handshake permits. A client of this address that had sent no request was aborted, or
    /// a new client was dropped.
    ShareHeld {
        /// The address.
        address: IpAddr,
    },
    /// A client is rejected because it used a host name that is not [allowed](super::ServerBuilder::allow_host). `Refused` with
    /// status 403 follows. Behind a proxy, `host` may be a name of this server.
    HostRefused {
        /// The host of the request, with its port if it has one. The client chose it.
        host: &'a str,
    },
    /// The listener cannot accept connections now. It tries again shortly.
    AcceptFailed {
        /// The error, for example too many open files.
        error: &'a io::Error,
    },
}

pub(super) type Observe = dyn Fn(Observed<'_>) + Send + Sync;
