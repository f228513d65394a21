//! What can go wrong in a codec.

use thiserror::Error;

/// Why a compressed message cannot be read: the peer's fault, and the end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum InflateError {
    /// The bytes are not DEFLATE data (RFC 1951), or refer to bytes that were never sent.
    #[error("the payload is not valid DEFLATE data")]
    Invalid,
    /// The message ends inside a DEFLATE block (RFC 7692 section 7.2.1 ends each message with a whole one).
    #[error("the message ends inside a DEFLATE block")]
    Unfinished,
    /// An earlier error ended the stream, so nothing that follows it can be read.
    #[error("nothing can be inflated after an error")]
    Stopped,
}

/// The library refused to compress: the message can still be sent uncompressed, and the next one compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the compression library failed")]
pub(crate) struct DeflateError;
