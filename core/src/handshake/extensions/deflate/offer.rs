//! What a client offers of `permessage-deflate`, and how it reads the answer (RFC 7692 section 7.1).

use alloc::string::{String, ToString};

use super::parameters::{ClientWindow, LARGEST_WINDOW, Parameters, is_window};
use crate::handshake::DeflateError;
use crate::websocket::DeflateParameters;

/// A client's offer of `permessage-deflate`.
///
/// The default offer is `permessage-deflate; client_max_window_bits`, as browsers send it: the server may limit both
/// windows, and contexts are kept unless the server's answer excludes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateOffer {
    pub(crate) server_no_context_takeover: bool,
    pub(crate) client_no_context_takeover: bool,
    pub(crate) server_max_window_bits: Option<u8>,
    pub(crate) client_max_window_bits: Option<u8>,
}

impl DeflateOffer {
    /// The defaults, which each setter documents.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: None,
            client_max_window_bits: Some(LARGEST_WINDOW),
        }
    }

    /// Require the server to clear its window after each message (RFC 7692 section 7.1.1.1), off by default. The server
    /// must agree or decline the offer.
    #[must_use]
    pub const fn server_no_context_takeover(mut self, enabled: bool) -> Self {
        self.server_no_context_takeover = enabled;
        self
    }

    /// Clear our window after each message, independent of the server's answer (section 7.1.1.2), off by default.
    #[must_use]
    pub const fn client_no_context_takeover(mut self, enabled: bool) -> Self {
        self.client_no_context_takeover = enabled;
        self
    }

    /// Require that the server's window has at most this many bits, 8 to 15 (section 7.1.2.1). By default nothing is
    /// required. The server must agree or decline the offer.
    #[must_use]
    pub fn server_max_window_bits(mut self, bits: impl Into<Option<u8>>) -> Self {
        self.server_max_window_bits = bits.into();
        self
    }

    /// Our window has at most this many bits, 8 to 15, and the server may require fewer (section 7.1.2.2). Default 15.
    ///
    /// With 15 the parameter is sent without a value. With `None` it is not sent, and the server cannot limit our window.
    #[must_use]
    pub fn client_max_window_bits(mut self, bits: impl Into<Option<u8>>) -> Self {
        self.client_max_window_bits = bits.into();
        self
    }
}

impl Default for DeflateOffer {
    fn default() -> Self {
        Self::new()
    }
}

impl DeflateOffer {
    pub(in crate::handshake) fn is_valid(&self) -> bool {
        self.server_max_window_bits.is_none_or(is_window) && self.client_max_window_bits.is_none_or(is_window)
    }

    /// The offer as a header value.
    pub(in crate::handshake) fn to_header(self) -> String {
        Parameters {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: self.server_max_window_bits,
            client_max_window_bits: self
                .client_max_window_bits
                .map(|bits| if bits < LARGEST_WINDOW { ClientWindow::AtMost(bits) } else { ClientWindow::Any }),
        }
        .to_string()
    }

    /// The parameters that the server's answer to this offer agrees on.
    pub(super) fn evaluate(&self, answer: &Parameters) -> Result<DeflateParameters, DeflateError> {
        // RFC 7692 section 7.1.1.1: a server accepts this parameter by repeating it.
        if self.server_no_context_takeover && !answer.server_no_context_takeover {
            return Err(DeflateError::NotAsOffered);
        }
        // Section 7.1.2.1: a server accepts this parameter by repeating it with the same or a smaller value, and may add
        // it without an offer.
        let server_max_window_bits = match (self.server_max_window_bits, answer.server_max_window_bits) {
            (Some(most), Some(bits)) if bits <= most => bits,
            (Some(_), _) => return Err(DeflateError::NotAsOffered),
            (None, bits) => bits.unwrap_or(LARGEST_WINDOW),
        };
        // Section 7.1.2.2: the server may limit our window only after such an offer, and then its answer must have a
        // value. We keep the value that we offered even if the answer allows more.
        let client_max_window_bits = match (self.client_max_window_bits, answer.client_max_window_bits) {
            (offered, None) => offered.unwrap_or(LARGEST_WINDOW),
            (None, Some(_)) => return Err(DeflateError::NotAsOffered),
            (Some(_), Some(ClientWindow::Any)) => return Err(DeflateError::InvalidValue),
            (Some(most), Some(ClientWindow::AtMost(bits))) => bits.min(most),
        };
        Ok(DeflateParameters {
            server_no_context_takeover: answer.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover || answer.client_no_context_takeover,
            server_max_window_bits,
            client_max_window_bits,
        })
    }
}
