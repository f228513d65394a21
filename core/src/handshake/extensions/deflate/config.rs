//! What a server agrees to of `permessage-deflate` (RFC 7692 section 7.1).

use super::parameters::{ClientWindow, LARGEST_WINDOW, Parameters, is_window};
use crate::websocket::DeflateParameters;

/// A server's terms for a client that offers `permessage-deflate`.
///
/// The default accepts every valid offer, keeps contexts and uses windows of 32 KiB, unless the client offers less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateConfig {
    pub(crate) server_no_context_takeover: bool,
    pub(crate) client_no_context_takeover: bool,
    pub(crate) server_max_window_bits: u8,
    pub(crate) client_max_window_bits: u8,
}

impl DeflateConfig {
    /// The defaults, which each setter documents.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: LARGEST_WINDOW,
            client_max_window_bits: LARGEST_WINDOW,
        }
    }

    /// Clear our window after each message, even if the client did not require it (RFC 7692 section 7.1.1.1), off by
    /// default.
    #[must_use]
    pub const fn server_no_context_takeover(mut self, enabled: bool) -> Self {
        self.server_no_context_takeover = enabled;
        self
    }

    /// Require the client to clear its window after each message (section 7.1.1.2), off by default.
    #[must_use]
    pub const fn client_no_context_takeover(mut self, enabled: bool) -> Self {
        self.client_no_context_takeover = enabled;
        self
    }

    /// The largest number of bits of our window, 8 to 15 (section 7.1.2.1). Default 15.
    #[must_use]
    pub const fn server_max_window_bits(mut self, bits: u8) -> Self {
        self.server_max_window_bits = bits;
        self
    }

    /// The largest number of bits of the client's window, 8 to 15 (section 7.1.2.2). Default 15.
    ///
    /// Below 15, an offer that does not allow the server to limit the client's window is declined.
    #[must_use]
    pub const fn client_max_window_bits(mut self, bits: u8) -> Self {
        self.client_max_window_bits = bits;
        self
    }

    /// The value of [`server_no_context_takeover`](Self::server_no_context_takeover).
    #[must_use]
    pub const fn get_server_no_context_takeover(&self) -> bool {
        self.server_no_context_takeover
    }
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl DeflateConfig {
    pub(in crate::handshake) fn is_valid(&self) -> bool {
        is_window(self.server_max_window_bits) && is_window(self.client_max_window_bits)
    }

    /// The answer to one offer, or `None` to decline it.
    pub(super) fn answer(&self, offer: &Parameters) -> Option<Parameters> {
        // RFC 7692 section 7.1.2.1: at most the offered value. The parameter is repeated if it was offered, and may be
        // added if it was not.
        let server = offer.server_max_window_bits.unwrap_or(LARGEST_WINDOW).min(self.server_max_window_bits);
        let repeat = offer.server_max_window_bits.is_some() || server < LARGEST_WINDOW;
        // Section 7.1.2.2: the answer must not name the client's window unless the offer did.
        let client = match offer.client_max_window_bits {
            None if self.client_max_window_bits < LARGEST_WINDOW => return None,
            None => LARGEST_WINDOW,
            Some(ClientWindow::Any) => self.client_max_window_bits,
            Some(ClientWindow::AtMost(bits)) => bits.min(self.client_max_window_bits),
        };
        Some(Parameters {
            // Section 7.1.1.1: repeated if offered, and may be added.
            server_no_context_takeover: offer.server_no_context_takeover || self.server_no_context_takeover,
            // Section 7.1.1.2: in an offer it is only a hint of the client; in the answer it binds the client.
            client_no_context_takeover: offer.client_no_context_takeover || self.client_no_context_takeover,
            server_max_window_bits: repeat.then_some(server),
            client_max_window_bits: (client < LARGEST_WINDOW).then_some(ClientWindow::AtMost(client)),
        })
    }
}

impl Parameters {
    /// The agreed parameters, if these are a server's answer.
    pub(super) fn agreed(&self) -> DeflateParameters {
        DeflateParameters {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: self.server_max_window_bits.unwrap_or(LARGEST_WINDOW),
            client_max_window_bits: match self.client_max_window_bits {
                Some(ClientWindow::AtMost(bits)) => bits,
                Some(ClientWindow::Any) | None => LARGEST_WINDOW,
            },
        }
    }
}
