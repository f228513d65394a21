//! Negotiation of extensions (RFC 6455 section 9.1), both roles.

#[cfg(feature = "deflate")]
mod deflate;
mod grammar;

#[cfg(all(feature = "server", feature = "deflate"))]
pub use deflate::DeflateConfig;
#[cfg(feature = "deflate")]
pub use deflate::DeflateOffer;
#[cfg(all(feature = "server", feature = "deflate"))]
pub(super) use deflate::choose;
#[cfg(feature = "deflate")]
pub(super) use deflate::evaluate;

#[cfg(any(feature = "server", not(feature = "deflate")))]
use self::grammar::Elements;
use self::grammar::Malformed;
use super::error::ResponseError;
#[cfg(not(feature = "deflate"))]
use crate::websocket::Negotiated;

pub(super) const SEC_WEBSOCKET_EXTENSIONS: &str = "Sec-WebSocket-Extensions";

/// Whether the values of the header match its grammar.
#[cfg(feature = "server")]
pub(super) fn are_well_formed<'a>(values: impl Iterator<Item = &'a [u8]>) -> bool {
    values.flat_map(Elements::new).all(|element| element.is_ok())
}

/// What the server's answer in the values of `Sec-WebSocket-Extensions` agrees on: nothing, since nothing was offered.
#[cfg(not(feature = "deflate"))]
pub(super) fn evaluate<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Negotiated, ResponseError> {
    let mut extensions = 0;
    for element in values.flat_map(Elements::new) {
        element?;
        extensions += 1;
    }
    if extensions == 0 { Ok(Negotiated::default()) } else { Err(ResponseError::UnofferedExtension) }
}

impl From<Malformed> for ResponseError {
    fn from(_: Malformed) -> Self {
        Self::Extensions
    }
}
