//! What the errors of `tungstenite` mean to a session.

use std::io;

use multiwa_ws_core::handshake::ResponseError;
use multiwa_ws_core::session::DisconnectReason;
use multiwa_ws_driver::tls_disconnect_reason;
use tungstenite::Error;
use tungstenite::error::ProtocolError;

/// What an error says about the connection that it ended.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Nothing: the stream would block.
    Blocked,
    /// The stream ended; before a closing handshake, that is a loss.
    Eof,
    /// The stream failed.
    Failed(DisconnectReason),
    /// The server broke a rule, and is to be closed with this code.
    Violation {
        /// The close code, RFC 6455 section 7.4.1.
        code: u16,
    },
}

/// Judges an error of reading from an open connection.
pub(crate) fn classify(error: &Error) -> Verdict {
    match error {
        Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock => Verdict::Blocked,
        Error::Io(error) => Verdict::Failed(io_loss(error)),
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Verdict::Eof,
        // RFC 6455 section 8.1.
        Error::Utf8(_) => Verdict::Violation { code: 1007 },
        // `protocol.md`, Transport.
        Error::Capacity(_) => Verdict::Violation { code: 1009 },
        _ => Verdict::Violation { code: 1002 },
    }
}

/// What an error of the upgrade, other than a refusal, means.
pub(crate) fn upgrade_disconnect_reason(error: &Error) -> DisconnectReason {
    match error {
        Error::Io(error) => io_loss(error),
        Error::Protocol(ProtocolError::HandshakeIncomplete) => DisconnectReason::Eof,
        _ => DisconnectReason::BadUpgrade,
    }
}

/// The failure of an upgrade as text for a person: the deployed gateway must be named (`protocol.md`).
pub(crate) fn upgrade_text(error: &Error) -> String {
    match (error, upgrade_disconnect_reason(error)) {
        (_, DisconnectReason::Eof | DisconnectReason::Io) => ResponseError::NoAnswer.to_string(),
        (Error::Protocol(ProtocolError::HttparseError(_)), _) => ResponseError::NotHttp.to_string(),
        _ => text(error),
    }
}

fn io_loss(error: &io::Error) -> DisconnectReason {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => DisconnectReason::Eof,
        _ => tls_disconnect_reason(error),
    }
}

/// An error as text for a person, without anything that the server wrote: it may end on a terminal.
pub(crate) fn text(error: &Error) -> String {
    match error {
        Error::Utf8(_) => "text that is no UTF-8".to_owned(),
        error => error.to_string(),
    }
}
