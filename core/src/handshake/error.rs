//! The errors of the peer and of the caller.

use alloc::string::String;

use thiserror::Error;

/// An error in the head of an HTTP message, in either direction.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadError {
    /// The head exceeded [`HandshakeLimits::max_head_bytes`](super::HandshakeLimits::max_head_bytes).
    #[error("the HTTP head is longer than the limit")]
    TooLong,
    /// There were more header fields than
    /// [`HandshakeLimits::max_header_fields`](super::HandshakeLimits::max_header_fields).
    #[error("there are more HTTP header fields than the limit")]
    TooManyFields,
    /// A line ended in a line feed without a carriage return. A sender must write both (RFC 9112 section 2.2).
    #[error("a line of the HTTP head ends in a bare line feed")]
    BareLineFeed,
    /// A line contained a bare carriage return (RFC 9112 section 2.2).
    #[error("a line of the HTTP head contains a bare carriage return")]
    BareCarriageReturn,
    /// A header line began with white space (RFC 9112 section 5.2).
    #[error("an HTTP header field is folded over lines")]
    ObsoleteFolding,
    /// The first line was neither a request line nor a status line (RFC 9112 sections 3 and 4).
    #[error("the first line of the HTTP head is malformed")]
    StartLine,
    /// The HTTP version was neither 1.0 nor 1.1 (RFC 9112 section 2.3).
    #[error("the HTTP version is not 1.0 or 1.1")]
    Version,
    /// A header name was empty, not a token, or not directly followed by a colon (RFC 9112 section 5.1).
    #[error("an HTTP header name is malformed")]
    FieldName,
    /// A header value contained a control character (RFC 9110 section 5.5).
    #[error("an HTTP header value contains a control character")]
    FieldValue,
}

/// An error in a client's upgrade request, with one variant for each rule.
///
/// [`rejection`](Self::rejection) is the response to send.
#[cfg(feature = "server")]
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The head broke the grammar or a limit.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The first bytes cannot begin an HTTP request, for example those of a TLS client on a plain port.
    #[error("the client does not use HTTP/1.1")]
    NotHttp,
    /// The method was not `GET` (RFC 6455 section 4.2.1 item 1).
    #[error("the request method is not GET")]
    Method,
    /// The request line exceeded
    /// [`HandshakeLimits::max_request_line_bytes`](super::HandshakeLimits::max_request_line_bytes).
    #[error("the request target is longer than the limit")]
    TargetTooLong,
    /// The target was neither a path nor an absolute `http` or `https` URI of visible ASCII characters without a
    /// fragment (RFC 6455 section 4.2.1 item 1, RFC 9112 section 3.2).
    #[error("the request target is malformed")]
    Target,
    /// The request was HTTP/1.0, which has no upgrade (RFC 6455 section 4.2.1 item 1).
    #[error("the request is HTTP/1.0: an upgrade needs 1.1, also from every proxy on the way")]
    Http10,
    /// The request was HTTP/2 or newer. Its upgrade (RFC 8441) is not supported.
    #[error("the request is HTTP/2 or newer: the upgrade needs HTTP/1.1")]
    Http2,
    /// `Host` was missing, repeated or malformed (RFC 6455 section 4.2.1 item 2, RFC 9112 section 3.2).
    #[error("there must be exactly one Host header with a valid host")]
    Host,
    /// `Upgrade` or `Connection` did not ask for `websocket` (RFC 6455 section 4.2.1 items 3 and 4).
    #[error("the request does not ask for an upgrade to websocket")]
    NotAnUpgrade,
    /// `Upgrade` was repeated. Proxies disagree about which one to use.
    #[error("the Upgrade header is repeated")]
    RepeatedUpgrade,
    /// `Sec-WebSocket-Key` was missing, repeated or not 16 bytes in base64 (RFC 6455 section 4.2.1 item 5).
    #[error("there must be exactly one Sec-WebSocket-Key header with 16 bytes in base64")]
    Key,
    /// `Sec-WebSocket-Version` was not 13 (RFC 6455 section 4.2.1 item 6).
    #[error("the Sec-WebSocket-Version is not 13")]
    Version,
    /// `Sec-WebSocket-Version` was repeated (RFC 6455 section 11.3.5).
    #[error("the Sec-WebSocket-Version header is repeated")]
    RepeatedVersion,
    /// `Origin` was repeated, empty or not visible ASCII (RFC 6454 sections 6.2 and 7.3).
    #[error("the Origin header is repeated or malformed")]
    Origin,
    /// The request declared a body, which would be read as frames.
    #[error("an upgrade request must have no body")]
    Body,
    /// `Sec-WebSocket-Protocol` was not a list of tokens, or repeated a token (RFC 6455 section 4.1 item 10).
    #[error("the Sec-WebSocket-Protocol header is malformed")]
    Subprotocols,
    /// `Sec-WebSocket-Extensions` did not match its grammar (RFC 6455 section 9.1).
    #[error("the Sec-WebSocket-Extensions header is malformed")]
    Extensions,
    /// The whole request did not arrive in time.
    #[error("no complete request arrived in time")]
    TimedOut,
    /// The stream ended before any byte of a request.
    #[error("the connection ended without a request")]
    NoRequest,
    /// The stream ended inside the request.
    #[error("the connection ended in the middle of the request")]
    Truncated,
    /// The stream ended before the request was answered, or the answer could not be sent in time.
    #[error("the client disconnected before the upgrade was answered")]
    ClientLeft,
}

/// An error in a server's answer that was not a regular refusal, with one variant for each rule.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseError {
    /// The head broke the grammar or a limit.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The first bytes cannot begin an HTTP response.
    #[error(
        "the server's answer is not HTTP/1.1: the server may require TLS (wss), or it is the deployed MultiWA gateway, \
         which speaks socket.io and drops plain WebSocket clients"
    )]
    NotHttp,
    /// The stream ended before any byte of an answer.
    #[error(
        "the server closed the connection without an answer, as the deployed MultiWA gateway does: it speaks socket.io \
         and drops plain WebSocket clients"
    )]
    NoAnswer,
    /// The stream ended inside the head of the answer.
    #[error("the connection ended in the middle of the server's answer")]
    Truncated,
    /// The answer did not arrive in time.
    #[error("the server did not answer the upgrade in time")]
    TimedOut,
    /// More than [`MAX_INTERIM_RESPONSES`](super::MAX_INTERIM_RESPONSES) interim responses came before the answer.
    #[error("the server sent too many interim responses")]
    TooManyInterim,
    /// The 101 arrived before [`transmitted`](super::ClientHandshake::transmitted) had confirmed the whole request.
    #[error("the server switched protocols before it had the whole request")]
    Premature,
    /// The 101 declared HTTP/1.0, which has no upgrade (RFC 9110 section 7.8).
    #[error("the server switched protocols in HTTP/1.0")]
    Http10,
    /// `Upgrade` was not exactly `websocket` (RFC 6455 section 4.1, response item 2).
    #[error("the server switched to a protocol other than websocket")]
    Upgrade,
    /// `Connection` did not contain `Upgrade` (RFC 6455 section 4.1, response item 3).
    #[error("the Connection header of the 101 response lacks Upgrade")]
    Connection,
    /// `Sec-WebSocket-Accept` was missing, repeated or did not match our key (RFC 6455 section 4.1, response item 4).
    #[error("the Sec-WebSocket-Accept header does not match our key")]
    Accept,
    /// The 101 declared a body, which would be read as frames (RFC 9110 section 8.6).
    #[error("the 101 response announces a body")]
    Body,
    /// `Sec-WebSocket-Protocol` was repeated or named a subprotocol that was not offered (RFC 6455 section 4.1, response
    /// item 6).
    #[error("the server chose a subprotocol that was not offered")]
    Subprotocol,
    /// `Sec-WebSocket-Extensions` was repeated or did not match its grammar (RFC 6455 section 9.1).
    #[error("the Sec-WebSocket-Extensions header of the response is malformed")]
    Extensions,
    /// The server uses an extension that was not offered, or uses one twice (RFC 6455 section 4.1, response item 5).
    #[error("the server uses an extension that was not offered")]
    UnofferedExtension,
    /// The answer to `permessage-deflate` broke RFC 7692.
    #[cfg(feature = "deflate")]
    #[error(transparent)]
    Deflate(#[from] DeflateError),
    /// `Content-Length` was not a single decimal number (RFC 9112 section 6.3).
    #[error("the Content-Length header is malformed")]
    ContentLength,
}

/// The reason why parameters of `permessage-deflate` are not acceptable (RFC 7692 section 7.1).
#[cfg(feature = "deflate")]
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeflateError {
    /// A parameter that RFC 7692 does not define.
    #[error("permessage-deflate has an unknown parameter")]
    UnknownParameter,
    /// A parameter was repeated.
    #[error("a parameter of permessage-deflate is repeated")]
    RepeatedParameter,
    /// A parameter has a value but must not have one, or needs a value and has none, or its value is not a decimal number
    /// from 8 to 15 without a leading zero.
    #[error("a parameter of permessage-deflate has an invalid value")]
    InvalidValue,
    /// The server left out a parameter that the client required, or allowed more than the client offered.
    #[error("the server accepted permessage-deflate with parameters that the offer does not allow")]
    NotAsOffered,
}

/// A header from the caller that is not valid in HTTP.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidHeader {
    /// The name is empty or contains characters other than letters, digits and ``!#$%&'*+-.^_`|~``.
    #[error("a header name must be an HTTP token: letters, digits and !#$%&'*+-.^_`|~ only")]
    Name,
    /// The value contains CR, LF, NUL or another control character.
    #[error("a header value must not contain control characters: encode them")]
    Value,
}

impl From<InvalidHeader> for HeadError {
    fn from(error: InvalidHeader) -> Self {
        match error {
            InvalidHeader::Name => Self::FieldName,
            InvalidHeader::Value => Self::FieldValue,
        }
    }
}

/// The reason why a [`ClientRequest`](super::ClientRequest) cannot be sent.
///
/// The error texts contain names of headers but never a value, which may be a key.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidRequest {
    /// The host is empty or not of the form `host[:port]`.
    #[error("the host must be a name or address with an optional port, and an IPv6 address in brackets")]
    Host,
    /// The target does not start with `/` or contains characters that a URL must encode.
    #[error("the target must start with / and contain only visible ASCII except #: percent-encode all else")]
    Target,
    /// The origin is empty or contains characters other than visible ASCII.
    #[error("the origin must be a serialized origin such as https://example.com")]
    Origin,
    /// A subprotocol is not a token.
    #[error("a subprotocol must be an HTTP token: letters, digits and !#$%&'*+-.^_`|~ only")]
    Subprotocol,
    /// A subprotocol is offered twice.
    #[error("a subprotocol must be offered only once")]
    RepeatedSubprotocol,
    /// The handshake writes this header itself.
    #[error("the handshake sets the header {0} itself: leave it out, or use the field of the request for it")]
    ReservedHeader(String),
    /// A window size is outside 8 to 15.
    #[cfg(feature = "deflate")]
    #[error("a window of permessage-deflate has 8 to 15 bits")]
    WindowBits,
}

/// The reason why a decision on an upgrade request was refused. It changed nothing.
#[cfg(feature = "server")]
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecisionError {
    /// No request was read yet.
    #[error("there is no request yet: call handle_input until it returns one")]
    TooEarly,
    /// The request was already accepted or rejected.
    #[error("the request is already accepted or rejected: decide on each request once")]
    AlreadyDecided,
    /// An error of the client, the end of its stream or a timeout has ended the handshake.
    #[error("the handshake has ended: write what poll_transmit lends, then drop the connection")]
    Over,
    /// The client did not offer this subprotocol (RFC 6455 section 4.2.2 item 5).
    #[error("the client did not offer this subprotocol: choose one of UpgradeRequest::subprotocols, or none")]
    SubprotocolNotOffered,
    /// The handshake writes this header itself.
    #[error("the handshake sets the header {0} itself: leave it out")]
    ReservedHeader(String),
    /// A window size is outside 8 to 15.
    #[cfg(feature = "deflate")]
    #[error("a window of permessage-deflate has 8 to 15 bits")]
    WindowBits,
    /// The status of a rejection is not between 300 and 599.
    #[error("a rejection needs a status from 300 to 599")]
    Status,
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use core::mem::size_of;

    use super::*;

    #[test]
    fn what_the_peer_did_fits_into_two_bytes() {
        #[cfg(feature = "server")]
        assert!(size_of::<RequestError>() <= 2);
        assert!(size_of::<ResponseError>() <= 2);
    }

    #[test]
    fn an_answer_that_is_no_http_names_the_deployed_gateway() {
        for error in [ResponseError::NotHttp, ResponseError::NoAnswer] {
            assert!(error.to_string().contains("socket.io"), "{error}");
        }
    }
}
