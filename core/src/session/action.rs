//! What a session asks of its transport.

/// What the layer below shall do with the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Drop whatever is left of an earlier transport, and open a new one.
    Connect {
        /// The number of the attempt since the last stable connection, from 1.
        attempt: u32,
    },
    /// Begin the closing handshake.
    Close {
        /// The close code, RFC 6455 section 7.4.
        code: u16,
        /// The reason.
        reason: &'static str,
    },
    /// Drop the transport at once: its peer does not answer, or it is not open yet.
    Abort,
}
