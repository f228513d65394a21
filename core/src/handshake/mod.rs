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
#[cfg(feature = "server")]
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
#[cfg(feature = "server")]
mod rejection;
#[cfg(feature = "server")]
mod request;
mod response;
#[cfg(feature = "server")]
mod server;
mod state;

#[cfg(feature = "server")]
pub use accepted::Acceptance;
pub use accepted::Upgraded;
#[cfg(feature = "server")]
pub use api_key::ApiKey;
pub use client::{Answer, ClientHandshake, ClientRequest};
#[cfg(feature = "deflate")]
pub use error::DeflateError;
#[cfg(feature = "server")]
pub use error::{DecisionError, RequestError};
pub use error::{HeadError, InvalidHeader, InvalidRequest, ResponseError};
#[cfg(all(feature = "server", feature = "deflate"))]
pub use extensions::DeflateConfig;
#[cfg(feature = "deflate")]
pub use extensions::DeflateOffer;
pub use headers::Headers;
pub use limits::{HandshakeLimits, MAX_INTERIM_RESPONSES};
#[cfg(feature = "server")]
pub use rejection::Rejection;
#[cfg(feature = "server")]
pub use request::{HttpVersion, UpgradeRequest};
pub use response::Response;
#[cfg(feature = "server")]
pub use server::{Accepted, ServerHandshake};
pub use state::ClientPhase;
#[cfg(feature = "server")]
pub use state::ServerPhase;
#[cfg(test)]
#[cfg(all(feature = "server", feature = "session"))]
pub(crate) use state::{ClientInput, ServerInput};
