//! The parameters of compression.

/// The negotiated parameters of a connection, and the compression level of the sender, which is the server.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub level: u8,
    pub window_bits: u8,
    /// Whether a message may refer to previous messages.
    pub takeover: bool,
}
