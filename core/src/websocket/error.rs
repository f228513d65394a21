//! The errors of the peer ([`ProtocolError`]) and of the caller ([`SendError`]).

#[cfg(feature = "deflate")]
use super::deflate::InflateError;
use crate::frame::{CloseCode, FrameError, InvalidClose, InvalidUtf8};

/// A rule that the peer broke after the upgrade. The connection fails with it (RFC 6455 section 7.1.7).
///
/// The error is sticky: all further input returns the same error. The Close frame with [`close_code`](Self::close_code)
/// is queued before the error is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The header of a frame is invalid.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// RFC 6455 section 5.4: a continuation frame while no message is under way.
    #[error("a continuation frame arrived, but there is no message to continue")]
    UnexpectedContinuation,
    /// RFC 6455 section 5.4: a new message while a fragmented one is under way.
    #[error("a new message began in the middle of a fragmented one")]
    ExpectedContinuation,
    /// RFC 6455 section 8.1: a text message that is not UTF-8.
    #[error("a text message is not valid UTF-8")]
    InvalidText,
    /// The body of a Close frame is invalid.
    #[error(transparent)]
    Close(#[from] InvalidClose),
    /// RFC 6455 section 10.4: a message exceeds [`Config::max_message_len`](super::Config::max_message_len).
    #[error("a message is larger than the limit")]
    MessageTooLarge,
    /// RFC 6455 section 10.4: a message exceeds [`Config::max_fragments`](super::Config::max_fragments).
    #[error("a message has more frames than the limit")]
    TooManyFragments,
    /// A message was not complete within [`Config::message_timeout`](super::Config::message_timeout).
    #[error("a message was not completed in time")]
    MessageTimeout,
    /// RFC 7692 section 7.2.2: the payload of a compressed message is not valid DEFLATE data.
    #[cfg(feature = "deflate")]
    #[error("a compressed message cannot be decompressed")]
    InvalidDeflate,
}

impl ProtocolError {
    /// The code that our Close frame carries (RFC 6455 section 7.4.1).
    #[must_use]
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::Frame(FrameError::TooLarge) | Self::MessageTooLarge => CloseCode::TOO_BIG,
            Self::InvalidText | Self::Close(InvalidClose::Reason) => CloseCode::INVALID_PAYLOAD,
            #[cfg(feature = "deflate")]
            Self::InvalidDeflate => CloseCode::INVALID_PAYLOAD,
            Self::TooManyFragments | Self::MessageTimeout => CloseCode::POLICY_VIOLATION,
            Self::Frame(_) | Self::UnexpectedContinuation | Self::ExpectedContinuation | Self::Close(_) => {
                CloseCode::PROTOCOL_ERROR
            }
        }
    }
}

#[cfg(feature = "deflate")]
impl From<InflateError> for ProtocolError {
    fn from(_: InflateError) -> Self {
        Self::InvalidDeflate
    }
}

impl From<InvalidUtf8> for ProtocolError {
    fn from(_: InvalidUtf8) -> Self {
        Self::InvalidText
    }
}

/// The reason why a command was refused. It queued nothing and changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// A Close frame was queued or received, or the transport is gone.
    #[error("the connection is closing or closed: open a new one")]
    Closed,
    /// The bytes would exceed [`Config::max_queued`](super::Config::max_queued). If no bytes wait, the message can never
    /// fit.
    #[error(
        "{queued} bytes wait to be written and the limit is {limit}: write what `poll_transmit` lends, then try again"
    )]
    QueueFull {
        /// The number of bytes that wait.
        queued: usize,
        /// The limit.
        limit: usize,
    },
    /// A fragmented message is under way.
    #[error("a fragmented message is not finished: end it with `send_fragment(.., true)` before the next message")]
    MessageUnderWay,
    /// A text fragment in a binary message, or a binary fragment in a text message.
    #[error("the fragment and its message have different types: continue text with text, and binary with binary")]
    KindMismatch,
    /// RFC 6455 section 5.5: a control frame holds at most 125 bytes.
    #[error("a ping or pong holds at most 125 bytes: shorten it")]
    ControlTooLong,
    /// RFC 6455 section 7.4: a code that must not be sent.
    #[error("this close code must not be sent: use 1000 to 1003, 1007 to 1014 or 3000 to 4999")]
    CloseCode,
    /// RFC 6455 section 5.5.1: the reason in a Close frame has at most 123 bytes.
    #[error("a close reason holds at most 123 bytes: shorten it")]
    ReasonTooLong,
    /// The compression library failed in the middle of a fragmented message, which cannot be completed.
    #[cfg(feature = "deflate")]
    #[error("the rest of the message cannot be compressed: close the connection")]
    Compression,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_small_enough_to_return_for_each_message() {
        assert!(size_of::<ProtocolError>() <= 2, "{}", size_of::<ProtocolError>());
        assert!(size_of::<SendError>() <= 24);
    }

    #[test]
    fn rfc6455_7_4_1_each_error_has_the_close_code_of_its_kind() {
        assert_eq!(ProtocolError::from(FrameError::Masked).close_code(), CloseCode::PROTOCOL_ERROR);
        assert_eq!(ProtocolError::from(FrameError::TooLarge).close_code(), CloseCode::TOO_BIG);
        assert_eq!(ProtocolError::from(InvalidClose::Code).close_code(), CloseCode::PROTOCOL_ERROR);
        assert_eq!(ProtocolError::from(InvalidClose::Reason).close_code(), CloseCode::INVALID_PAYLOAD);
        assert_eq!(ProtocolError::InvalidText.close_code(), CloseCode::INVALID_PAYLOAD);
    }
}
