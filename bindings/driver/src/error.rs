//! The errors of a connection and of an upgrade.

use std::io;

use multiwa_ws_core::handshake::{DecisionError, InvalidRequest, RequestError, Response, ResponseError};
use multiwa_ws_core::websocket::{Cause, Closed, ProtocolError, SendError};

/// Why a connection failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The stream failed.
    #[error("the connection was lost")]
    Io(#[from] io::Error),
    /// The stream ended without a Close frame from the peer (RFC 6455 section 7.1.5: close code 1006).
    #[error("the peer ended the connection without a closing handshake")]
    UnexpectedEof,
    /// The peer violated the protocol. A Close frame with the close code of the violated rule was sent to it.
    #[error("the peer broke the protocol")]
    Violation(#[from] ProtocolError),
    /// The peer did not answer a ping in time.
    #[error("the peer did not answer a ping in time")]
    Unresponsive,
    /// The command was refused, or the connection ended before the queued message was written.
    #[error(transparent)]
    Send(#[from] SendError),
    /// Both sides send and neither reads, and the limit of unread bytes from the peer is reached. Take events with `next`,
    /// which also writes, or [split](crate::WebSocket::split) the connection.
    #[error("both peers send and neither reads: take events with `next`, or split the connection")]
    Unread,
}

/// Why an upgrade did not open a connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The stream failed.
    #[error("the connection was lost during the upgrade")]
    Io(#[from] io::Error),
    /// Our request is invalid and cannot be sent.
    #[error(transparent)]
    InvalidRequest(#[from] InvalidRequest),
    /// The server refused with an HTTP response.
    #[error("the server refused the connection with HTTP status {}", .0.status)]
    Refused(Box<Response>),
    /// The response of the server is invalid, or did not arrive.
    #[error(transparent)]
    Response(#[from] ResponseError),
    /// The request of the client is invalid, or did not arrive. The client received an HTTP error.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The application rejected the request. The client received its response.
    #[error("the upgrade was rejected")]
    Rejected,
    /// The response that the application chose is invalid and cannot be sent.
    #[error(transparent)]
    Decision(#[from] DecisionError),
}

/// Converts the end of a connection to the result that its user gets.
pub(crate) fn verdict(closed: Closed, io: Option<io::Error>) -> Result<(), Error> {
    match closed.cause {
        Cause::Violation(error) => Err(error.into()),
        Cause::Unresponsive => Err(Error::Unresponsive),
        Cause::Eof => Err(Error::UnexpectedEof),
        Cause::Lost => Err(Error::Io(io.unwrap_or_else(|| io::ErrorKind::ConnectionAborted.into()))),
        _ => Ok(()),
    }
}
