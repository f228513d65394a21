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
    /// A Ping with its payload of at most 125 bytes. Its Pong is already queued, with two exceptions. After our Close
    /// frame, no Ping is answered. While 64 Pongs wait to be written, only the latest of the further Pings is answered,
    /// after them (RFC 6455 sections 5.5.2 and 5.5.3).
    Ping(&'e [u8]),
    /// A Pong with its payload: the answer to a Ping, or unsolicited (RFC 6455 section 5.5.3).
    Pong(&'e [u8]),
    /// The body of the peer's Close frame, `None` if it is empty. Frames after it are ignored. Our Close frame is already
    /// queued or written.
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
