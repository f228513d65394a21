//! The part of the upgrade's result that concerns frames.

use crate::frame::ReservedBits;

/// The extensions that both peers agreed on during the upgrade. A [`WebSocket`](super::WebSocket) is created with this
/// value.
///
/// It decides which reserved bits of incoming frames are allowed (RFC 6455 section 5.2: a set bit must be negotiated).
/// `Negotiated::default()` is a connection without extensions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Negotiated {
    /// `permessage-deflate` with these parameters (RFC 7692), or none.
    #[cfg(feature = "deflate")]
    pub deflate: Option<DeflateParameters>,
    /// Bits that the application's own extensions use, in addition to RSV1 of `permessage-deflate`. Messages with these
    /// bits are delivered unchanged.
    pub reserved: ReservedBits,
}

impl Negotiated {
    /// Every bit that a negotiated extension may set on the first frame of a message.
    #[must_use]
    pub fn reserved_bits(&self) -> ReservedBits {
        // RFC 7692 section 6: RSV1 marks a compressed message.
        #[cfg(feature = "deflate")]
        if self.deflate.is_some() {
            return self.reserved | ReservedBits::RSV1;
        }
        self.reserved
    }
}

/// The agreed parameters of `permessage-deflate` (RFC 7692 section 7.1).
#[cfg(feature = "deflate")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateParameters {
    /// The server clears its window after each message it sends.
    pub server_no_context_takeover: bool,
    /// The client clears its window after each message it sends.
    pub client_no_context_takeover: bool,
    /// Base-2 logarithm of the server's window, 8 to 15.
    pub server_max_window_bits: u8,
    /// Base-2 logarithm of the client's window, 8 to 15.
    pub client_max_window_bits: u8,
}

/// Both windows have 32 KiB and are kept from message to message: the meaning of an offer without parameters.
#[cfg(feature = "deflate")]
impl Default for DeflateParameters {
    fn default() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        }
    }
}
