//! The events of a connection.

use super::ProtocolError;
use crate::frame::{CloseCode, CloseFrame};

/// An event on a connection. Payloads are lent from the caller's input or from the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'e> {
    /// A whole text message, valid UTF-8.
    Text(&'e str),
    /// A whole binary message.
    Binary(&'e [u8]),
    /// A Ping with its payload of at most 125 bytes. Its Pong is already queued, unless our Close frame was sent before,
    /// or too many Pings arrived at once: then only the latest is answered (RFC 6455 sections 5.5.2 and 5.5.3).
    Ping(&'e [u8]),
    /// A Pong with its payload: the answer to a Ping, or unsolicited (RFC 6455 section 5.5.3).
    Pong(&'e [u8]),
    /// The peer's Close frame, or `None` if it has no body. Frames after it are ignored. Its answer is already queued.
    Close(Option<CloseFrame<'e>>),
    /// The connection is closed. This is the last event, and `poll_event` reports it exactly once. Drop the transport.
    Closed(Closed),
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The first cause that ended the connection. Later ones do not replace it.
    pub cause: Cause,
    /// The peer's close code: [`CloseCode::NO_STATUS`] when its Close frame had no code, [`CloseCode::ABNORMAL`] when no
    /// Close frame arrived (RFC 6455 section 7.1.5).
    pub code: CloseCode,
    /// Whether both Close frames were exchanged and ours was written (RFC 6455 section 7.1.4).
    pub clean: bool,
}

/// The cause that ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The application called `close`.
    Local,
    /// The application called `abort`.
    Aborted,
    /// The peer sent a Close frame.
    Peer,
    /// The peer broke a rule.
    Violation(ProtocolError),
    /// The peer was silent for too long after a ping.
    Unresponsive,
    /// The transport ended without a Close frame from the peer.
    Eof,
    /// The transport failed.
    Lost,
}
