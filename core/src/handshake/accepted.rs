//! The outcome of an upgrade that both peers agreed to.

use alloc::string::String;

use super::deflate::DeflateConfig;
use super::headers::Headers;
use crate::websocket::Negotiated;

/// A server's choices when it accepts an upgrade. The default adds nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acceptance {
    /// One of the subprotocols that the client offered, or none (RFC 6455 section 4.2.2 item 5).
    pub subprotocol: Option<String>,
    /// Further headers of the 101 response, such as `X-MultiWA-Features` (`protocol.md`, Subscriptions).
    pub headers: Headers,
    /// Compress with this configuration if the client offers it (RFC 7692).
    pub deflate: Option<DeflateConfig>,
}

/// The content of the 101 response, for both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgraded {
    /// The agreed extensions. A `WebSocket` is created with this value.
    pub negotiated: Negotiated,
    /// The agreed subprotocol.
    pub subprotocol: Option<String>,
    /// Every header of the 101 response.
    pub headers: Headers,
}

/// Headers that only the handshake itself writes into a response, since they decide how the response is interpreted.
pub(super) const RESERVED: [&str; 8] = [
    "Connection",
    "Upgrade",
    "Sec-WebSocket-Accept",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Version",
    "Content-Length",
    "Transfer-Encoding",
];
