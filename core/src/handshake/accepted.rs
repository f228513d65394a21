//! The outcome of an upgrade that both peers agreed to.

use alloc::string::String;

#[cfg(all(feature = "server", feature = "deflate"))]
use super::extensions::DeflateConfig;
use super::headers::Headers;
use crate::websocket::Negotiated;

/// A server's choices when it accepts an upgrade. The default adds nothing.
#[cfg(feature = "server")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acceptance {
    pub(crate) subprotocol: Option<String>,
    pub(crate) headers: Headers,
    #[cfg(feature = "deflate")]
    pub(crate) deflate: Option<DeflateConfig>,
}

#[cfg(feature = "server")]
impl Acceptance {
    /// The defaults, which each setter documents.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One of the subprotocols that the client offered; none by default (RFC 6455 section 4.2.2 item 5).
    #[must_use]
    pub fn subprotocol(mut self, subprotocol: impl Into<Option<String>>) -> Self {
        self.subprotocol = subprotocol.into();
        self
    }

    /// Further headers of the 101 response, such as `X-MultiWA-Features` (`protocol.md`, Subscriptions).
    #[must_use]
    pub fn headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    /// Compress with this configuration if the client offers it (RFC 7692). By default nothing is compressed.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(mut self, deflate: impl Into<Option<DeflateConfig>>) -> Self {
        self.deflate = deflate.into();
        self
    }
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
#[cfg(feature = "server")]
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
