//! Actions that a session requests from its transport.

/// An action that the layer below must perform on the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Drop the earlier transport, if there is one, and open a new one.
    Connect {
        /// The number of the attempt, counted from 1 since the last stable connection.
        attempt: u32,
    },
    /// Start the closing handshake.
    Close {
        /// The close code, RFC 6455 section 7.4.
        code: u16,
        /// The close reason.
        reason: &'static str,
    },
    /// Drop the transport at once, because the peer does not answer or the transport is not open yet.
    Abort,
}
