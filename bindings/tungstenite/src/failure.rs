//! Maps the errors of `tungstenite` to those of a session.

use std::io;
use std::sync::Arc;

use multiwa_ws_core::frame::InvalidUtf8;
use multiwa_ws_core::handshake::ResponseError;
use multiwa_ws_core::session::DisconnectReason;
use multiwa_ws_driver::Cause;
use tungstenite::Error;
use tungstenite::error::ProtocolError;

use crate::tls::disconnect_reason;

/// The effect of an error on the connection.
#[derive(Debug)]
pub(crate) enum Effect {
    /// No effect: the stream would block.
    Blocked,
    /// The stream ended. Before a closing handshake, this is a lost connection.
    Eof,
    /// The stream failed.
    Failed(DisconnectReason),
    /// The server broke a rule. The connection must be closed with this code.
    Violation {
        /// The close code, RFC 6455 section 7.4.1.
        code: u16,
    },
}

/// Classifies an error of reading from an open connection.
pub(crate) fn classify(error: &Error) -> Effect {
    match error {
        Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock => Effect::Blocked,
        Error::Io(error) => Effect::Failed(io_disconnect_reason(error)),
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Effect::Eof,
        // RFC 6455 section 8.1.
        Error::Utf8(_) => Effect::Violation { code: 1007 },
        // `protocol.md`, Transport.
        Error::Capacity(_) => Effect::Violation { code: 1009 },
        _ => Effect::Violation { code: 1002 },
    }
}

/// The disconnect reason for an error of the upgrade that is not a refusal.
pub(crate) fn upgrade_disconnect_reason(error: &Error) -> DisconnectReason {
    match error {
        Error::Io(error) => io_disconnect_reason(error),
        Error::Protocol(ProtocolError::HandshakeIncomplete) => DisconnectReason::Eof,
        _ => DisconnectReason::BadUpgrade,
    }
}

/// The cause of a failed upgrade. Its text must name the deployed gateway (`protocol.md`).
pub(crate) fn upgrade_cause(error: Error) -> Cause {
    match (&error, upgrade_disconnect_reason(&error)) {
        (_, DisconnectReason::Eof | DisconnectReason::Io) => Arc::new(ResponseError::NoAnswer),
        (Error::Protocol(ProtocolError::HttparseError(_)), _) => Arc::new(ResponseError::NotHttp),
        _ => cause(error),
    }
}

fn io_disconnect_reason(error: &io::Error) -> DisconnectReason {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => DisconnectReason::Eof,
        _ => disconnect_reason(error),
    }
}

/// The error without any text from the server, so that it can be printed to a terminal.
pub(crate) fn cause(error: Error) -> Cause {
    match error {
        Error::Utf8(_) => Arc::new(InvalidUtf8),
        error => Arc::new(error),
    }
}
