//! How a connection ends badly.

use std::io;

use multiwa_ws_core::handshake::{DecisionError, InvalidRequest, RequestError, Response, ResponseError};
use multiwa_ws_core::websocket::{Cause, Closed, ProtocolError, SendError};

/// Why a connection ended, when it was neither side's wish.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The stream failed.
    #[error("the connection was lost")]
    Io(#[from] io::Error),
    /// The stream ended without a Close frame of the peer (RFC 6455 section 7.1.5: close code 1006).
    #[error("the peer ended the connection without a closing handshake")]
    UnexpectedEof,
    /// The peer broke a rule. It was told so, with the rule's close code.
    #[error("the peer broke the protocol")]
    Violation(#[from] ProtocolError),
    /// The peer did not answer a ping in time.
    #[error("the peer does not answer")]
    Unresponsive,
    /// The command was refused, or the connection ended before what it queued was written.
    #[error(transparent)]
    Send(#[from] SendError),
    /// Both sides send and neither reads: as many bytes of the peer as may be kept are unread. Take events, which writes too, or
    /// [split](crate::WebSocket::split) the connection.
    #[error("the peer sends as well, and what it sent is not read: take events with `next`, or split the connection")]
    Unread,
}

/// Why an upgrade opened no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The stream failed.
    #[error("the connection was lost during the upgrade")]
    Io(#[from] io::Error),
    /// Our request cannot be sent as it is.
    #[error(transparent)]
    InvalidRequest(#[from] InvalidRequest),
    /// The server refused, in HTTP.
    #[error("the server refused the connection with HTTP status {}", .0.status)]
    Refused(Box<Response>),
    /// The server's answer broke a rule, or never came.
    #[error(transparent)]
    Response(#[from] ResponseError),
    /// The client's request broke a rule, or never came. The client was told.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The request was rejected by the application. The client was told.
    #[error("the upgrade was rejected")]
    Rejected,
    /// The decision of the application cannot be sent.
    #[error(transparent)]
    Decision(#[from] DecisionError),
}

/// What the end of a connection is to its user: nothing to report, or an error.
pub(crate) fn verdict(closed: Closed, io: Option<io::Error>) -> Result<(), Error> {
    match closed.cause {
        Cause::Violation(error) => Err(error.into()),
        Cause::Unresponsive => Err(Error::Unresponsive),
        Cause::Eof => Err(Error::UnexpectedEof),
        Cause::Lost => Err(Error::Io(io.unwrap_or_else(|| io::ErrorKind::ConnectionAborted.into()))),
        _ => Ok(()),
    }
}
