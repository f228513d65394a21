//! Why a connection ended (`protocol.md`, Client lifecycle).

use core::fmt;
use core::time::Duration;

#[cfg(feature = "socketio")]
use crate::socketio::SocketIoError;

/// Why a connection or a connection attempt ended. The transport layer reports it with
/// [`ClientSession::lost`](super::ClientSession::lost).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The server answered the upgrade with a status other than 101.
    #[error("the server answered with HTTP status {status}")]
    Refused {
        /// The status.
        status: u16,
        /// The wait that `Retry-After` requests.
        retry_after: Option<Duration>,
    },
    /// The answer to the upgrade was invalid.
    #[error("the server's answer to the upgrade is invalid")]
    BadUpgrade,
    /// The name of the server could not be resolved.
    #[error("the name of the server could not be resolved")]
    Dns,
    /// The transport could not be opened, or failed.
    #[error("the transport failed")]
    Io,
    /// The server's certificate is not trusted.
    #[error("the server's certificate is not trusted")]
    TlsCertificate,
    /// TLS failed in another way.
    #[error("TLS failed")]
    Tls,
    /// The transport did not open in time.
    #[error("the connection was not established in time")]
    ConnectTimeout,
    /// The transport was open, but the answer to the upgrade did not come in time.
    #[error("the server did not answer the upgrade in time")]
    UpgradeTimeout,
    /// The transport ended without a closing handshake. A gateway that speaks socket.io does this instead of answering
    /// the upgrade.
    #[error("the server ended the transport without a closing handshake")]
    Eof,
    /// No `pong` came in time.
    #[error("the server did not answer a ping in time")]
    PongTimeout,
    /// The server closed the connection, with this code or without a code.
    #[error("the server closed the connection {}", WithCode(*.code))]
    ClosedByPeer {
        /// The close code, RFC 6455 section 7.4.
        code: Option<u16>,
    },
    /// The server violated the protocol, and the client closed the connection with this code.
    #[error("the server broke the protocol, so the client closed the connection with code {code}")]
    Violation {
        /// The close code, RFC 6455 section 7.4.
        code: u16,
    },
    /// A rule of the socket.io dialect: the server broke it, or ended the session with it.
    #[cfg(feature = "socketio")]
    #[error(transparent)]
    SocketIo(#[from] SocketIoError),
    /// The supplier of the URL and the key requested that the client stop, or supplied a request that cannot be sent.
    #[error("the client was stopped")]
    Stopped,
}

/// A close code in words.
struct WithCode(Option<u16>);

impl fmt::Display for WithCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(code) => write!(f, "with code {code}"),
            None => f.write_str("without a code"),
        }
    }
}
