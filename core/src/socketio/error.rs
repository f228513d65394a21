//! The rules of the dialect that a server can break, and the ways in which it ends a connection.

use crate::session::JsonError;

/// Why a connection in the socket.io dialect ended: one variant for each rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SocketIoError {
    /// A text message is empty: it has no packet type (Engine.IO protocol 4, Packet encoding).
    #[error("an empty message instead of a packet")]
    EmptyPacket,
    /// The first character of a text message is no type of an Engine.IO packet.
    #[error("a packet of an unknown Engine.IO type")]
    EngineType,
    /// The second character of a message packet is no type of a Socket.IO packet (Socket.IO protocol 5, Packet types).
    #[error("a packet of an unknown Socket.IO type")]
    PacketType,
    /// The number of attachments is missing or not a number, or exceeds [`MAX_ATTACHMENTS`](super::MAX_ATTACHMENTS).
    #[error("a packet without a valid number of attachments, or with too many")]
    AttachmentCount,
    /// The namespace has no comma after it, or is longer than [`MAX_NAMESPACE`](super::MAX_NAMESPACE).
    #[error("a packet with an invalid or too long namespace")]
    Namespace,
    /// The packet belongs to a namespace that this client did not connect to.
    #[error("a packet of a namespace that the client did not connect to")]
    ForeignNamespace,
    /// The acknowledgement id does not fit into 64 bits, or is missing in an acknowledgement.
    #[error("a packet without a valid acknowledgement id")]
    AckId,
    /// The payload is not JSON, or is nested too deeply.
    #[error("the payload of a packet is {0}")]
    Json(#[from] JsonError),
    /// The payload is JSON, but not of the form that the type of the packet requires.
    #[error("the payload of a packet has the wrong form for its type")]
    Payload,
    /// The open packet does not hold `sid`, `pingInterval` and `pingTimeout`, or they are out of range.
    #[error("the open packet is invalid")]
    Open,
    /// The packet has no meaning in this state, such as a second open packet, or an event before the CONNECT was
    /// answered.
    #[error("a packet that is not due in this state")]
    NotDue,
    /// A text packet came while a binary attachment was due.
    #[error("a text packet where a binary attachment is due")]
    AttachmentDue,
    /// A binary message came while no attachment was due.
    #[error("a binary message that is no attachment of a packet")]
    AttachmentNotDue,
    /// A packet and its attachments are longer than [`MAX_ATTACHED_BYTES`](super::MAX_ATTACHED_BYTES).
    #[error("the attachments of a packet are too long")]
    AttachmentsTooLong,
    /// A placeholder has no number, names an attachment that the packet does not have, or names one twice.
    #[error("a placeholder for an attachment that the packet does not have")]
    Placeholder,
    /// The server accepted the upgrade and then sent no frame: it refuses this version of Engine.IO with an HTTP
    /// response on the upgraded connection.
    #[error("the server refuses version 4 of Engine.IO")]
    Version,
    /// The server did not send its open packet in time.
    #[error("the server did not send the open packet in time")]
    OpenTimeout,
    /// The server did not answer the CONNECT in time.
    #[error("the server did not answer the CONNECT in time")]
    ConnectTimeout,
    /// The server sent nothing for `pingInterval` and `pingTimeout` together.
    #[error("the heartbeat of the server stopped")]
    HeartbeatTimeout,
    /// The server ended the session, or closed the transport, soon after the CONNECT: it refuses the key.
    #[error("the server ended the session after the CONNECT, as it does when it refuses the API key")]
    KeyRefused,
    /// The server answered the CONNECT with an error. The text of the error is reported as an event before.
    #[error("the server refused the CONNECT to its namespace")]
    ConnectRefused,
    /// The server ended the session, with a DISCONNECT or a close packet.
    #[error("the server ended the session")]
    Disconnected,
}
