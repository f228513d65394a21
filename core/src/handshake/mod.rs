//! The HTTP upgrade (RFC 6455 section 4), both roles.
//!
//! [`ClientHandshake`] sends a [`ClientRequest`] and returns an [`Answer`]. [`ServerHandshake`] reads an
//! [`UpgradeRequest`] and leaves the decision to its caller: [`accept`](ServerHandshake::accept) with an [`Acceptance`]
//! or [`reject`](ServerHandshake::reject) with a [`Rejection`]. An upgrade request that another HTTP server has already
//! read becomes an [`UpgradeRequest`] with [`UpgradeRequest::from_http`]. In both cases [`Upgraded`] holds the agreed
//! parameters, and bytes that follow the handshake stay in the caller's input for the connection that begins there.
//!
//! `httparse` reads the heads; this module decides what is a valid upgrade. Where HTTP allows a recipient to be lenient
//! (bare line feeds, folded lines, spaces before a colon, repeated headers), this module refuses: two readers that
//! disagree about one message make request smuggling possible.
//!
//! An error of the peer is a [`RequestError`] or a [`ResponseError`]; an error of the caller is an [`InvalidRequest`], an
//! [`InvalidHeader`] or a [`DecisionError`]. No error and no `Debug` output contains a key, a query or a credential.

mod accepted;
mod api_key;
mod body;
mod client;
mod error;
mod extensions;
mod head;
mod headers;
mod key;
mod limits;
mod outgoing;
mod query;
mod rejection;
mod request;
mod response;
mod server;
mod state;

pub use accepted::{Acceptance, Upgraded};
pub use api_key::ApiKey;
pub use client::{Answer, ClientHandshake, ClientRequest};
pub use error::{DecisionError, DeflateError, HeadError, InvalidHeader, InvalidRequest, RequestError, ResponseError};
pub use extensions::{DeflateConfig, DeflateOffer};
pub use headers::Headers;
pub use limits::{HandshakeLimits, MAX_INTERIM_RESPONSES};
pub use rejection::Rejection;
pub use request::UpgradeRequest;
pub use response::Response;
pub use server::{Accepted, ServerHandshake};
#[cfg(test)]
pub(crate) use state::{ClientInput, ServerInput};
pub use state::{ClientPhase, ServerPhase};
