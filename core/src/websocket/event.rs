//! What a connection tells its caller.

use super::{ProtocolError, Sender};
use crate::frame::{CloseCode, CloseFrame};

/// What happened on a connection. Payloads are lent from the caller's input or from the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'e> {
    /// A whole text message, valid UTF-8.
    Text(&'e str),
    /// A whole binary message.
    Binary(&'e [u8]),
    /// A Ping with its payload of at most 125 bytes. Its Pong is already queued, unless our Close frame was sent before or
    /// a flood of pings is answered with its latest (RFC 6455 sections 5.5.2 and 5.5.3).
    Ping(&'e [u8]),
    /// A Pong with its payload, asked for or not (RFC 6455 section 5.5.3).
    Pong(&'e [u8]),
    /// The peer's Close frame, the last frame that counts; `None` without a body. Its answer is already queued.
    Close(Option<CloseFrame<'e>>),
    /// The connection is over: the last event, reported exactly once, by `poll_event`. Drop the transport.
    Closed(Closed),
}

/// An [`Event`] with the commands of the same connection, so that an answer needs no copy of what it answers.
#[derive(Debug)]
pub struct Received<'e> {
    /// What arrived.
    pub event: Event<'e>,
    /// Commands to the connection it arrived on.
    pub sender: Sender<'e>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// What ended it: the first cause, whatever followed.
    pub cause: Cause,
    /// The peer's close code: [`CloseCode::NO_STATUS`] when its Close frame had none, [`CloseCode::ABNORMAL`] when
    /// none arrived (RFC 6455 section 7.1.5).
    pub code: CloseCode,
    /// Whether both Close frames were exchanged and ours was written (RFC 6455 section 7.1.4).
    pub clean: bool,
}

/// What ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The application called `close`.
    Local,
    /// The application gave the transport up with `abort`.
    Aborted,
    /// The peer's Close frame.
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
