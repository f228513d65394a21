//! The errors of a codec.

use thiserror::Error;

/// The reason why a compressed message cannot be read. The peer is at fault, and the connection must fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum InflateError {
    /// The bytes are not DEFLATE data (RFC 1951), or refer to bytes that were never sent.
    #[error("the payload is not valid DEFLATE data")]
    Invalid,
    /// The message ends inside a DEFLATE block (by RFC 7692 section 7.2.1 it must end with a complete one).
    #[error("the message ends inside a DEFLATE block")]
    Unfinished,
    /// An earlier error ended the stream, so later bytes cannot be read.
    #[error("nothing can be inflated after an error")]
    Stopped,
}

/// The library failed to compress. The message can still be sent uncompressed, and the next one compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the compression library failed")]
pub(crate) struct DeflateError;
