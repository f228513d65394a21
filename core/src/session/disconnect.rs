//! Why a connection ended (`protocol.md`, Client lifecycle).

use core::fmt;
use core::time::Duration;

/// Why a connection, or the attempt at one, ended: the transport tells it to
/// [`ClientSession::lost`](super::ClientSession::lost).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DisconnectReason {
    /// The server answered the upgrade with another status than 101.
    #[error("the server answered with HTTP status {status}")]
    Refused {
        /// The status.
        status: u16,
        /// What `Retry-After` asked for.
        retry_after: Option<Duration>,
    },
    /// The answer to the upgrade was no valid one.
    #[error("the server's answer to the upgrade is invalid")]
    BadUpgrade,
    /// The name of the server could not be resolved.
    #[error("the name of the server could not be resolved")]
    Dns,
    /// The transport could not be opened, or broke.
    #[error("the transport failed")]
    Io,
    /// The server's certificate is not to be trusted.
    #[error("the server's certificate is not to be trusted")]
    TlsCertificate,
    /// TLS failed in another way.
    #[error("TLS failed")]
    Tls,
    /// No transport in time.
    #[error("no connection in time")]
    ConnectTimeout,
    /// The transport was there, and the answer to the upgrade did not come in time.
    #[error("no answer to the upgrade in time")]
    UpgradeTimeout,
    /// The transport ended without a closing handshake. A gateway that speaks socket.io does this instead of an answer
    /// to the upgrade.
    #[error("the server ended the transport without a closing handshake")]
    Eof,
    /// No `pong` came in time.
    #[error("the server did not answer a ping in time")]
    PongTimeout,
    /// The server closed, with this code or without one.
    #[error("the server closed the connection {}", WithCode(*.code))]
    ClosedByPeer {
        /// The close code, RFC 6455 section 7.4.
        code: Option<u16>,
    },
    /// The server broke the protocol and was closed with this code.
    #[error("the server broke the protocol and was closed with code {code}")]
    Violation {
        /// The close code, RFC 6455 section 7.4.
        code: u16,
    },
    /// Whoever supplies the URL and the key does not want another attempt.
    #[error("no further attempt was desired")]
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
