//! Negotiation of extensions (RFC 6455 section 9.1), both roles.

mod deflate;
mod grammar;

pub use deflate::{DeflateConfig, DeflateOffer};
pub(super) use deflate::{choose, evaluate};

use self::grammar::{Elements, Malformed};
use super::error::ResponseError;

pub(super) const SEC_WEBSOCKET_EXTENSIONS: &str = "Sec-WebSocket-Extensions";

/// Whether the values of the header match its grammar.
pub(super) fn are_well_formed<'a>(values: impl Iterator<Item = &'a [u8]>) -> bool {
    values.flat_map(Elements::new).all(|element| element.is_ok())
}

impl From<Malformed> for ResponseError {
    fn from(_: Malformed) -> Self {
        Self::Extensions
    }
}
