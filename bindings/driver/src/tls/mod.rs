//! TLS with `rustls`: the certificates to trust and to send. This module is independent of the runtime.

mod client;
mod pem;
mod server;

use std::future::{Ready, ready};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use client::{ClientTls, ClientTlsBuilder};
pub use server::{ServerTls, ServerTlsBuilder};

/// Why TLS cannot be configured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// There is no provider, and no feature that adds one.
    #[error("TLS has no cryptography provider: enable the feature tls-ring or tls-aws-lc, or pass a provider")]
    NoProvider,
    /// A file with certificates or a key cannot be read.
    #[error("{} cannot be read", .path.display())]
    File {
        /// The path of the file.
        path: PathBuf,
        /// The cause.
        #[source]
        error: io::Error,
    },
    /// The text is not valid PEM.
    #[error("the {what} is not valid PEM: {error}")]
    Pem {
        /// The expected content.
        what: &'static str,
        /// The cause.
        error: rustls::pki_types::pem::Error,
    },
    /// The PEM does not contain the expected item.
    #[error("the PEM has no {0}")]
    Missing(&'static str),
    /// The system has no trusted certificates, or they cannot be read.
    #[error("the system has no root certificates: {0}")]
    NoSystemRoots(String),
    /// The certificate and the key do not match, or `rustls` does not support them.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
    /// The roots cannot be used to verify clients.
    #[error(transparent)]
    ClientRoots(#[from] rustls::server::VerifierBuilderError),
}

/// The protocol to negotiate (RFC 7301). The upgrade is an HTTP/1.1 request, so an HTTP/2 server must not accept it.
const ALPN: &[u8] = b"http/1.1";

/// The result of a TLS handshake on a runtime that does not support TLS.
pub(crate) fn unsupported<S>() -> Ready<io::Result<S>> {
    let error = "the binding was built without TLS: enable its feature tls-ring or tls-aws-lc";
    ready(Err(io::Error::new(io::ErrorKind::Unsupported, error)))
}

/// Returns the given provider, or the one of the crate's features. The process default is never used, because it belongs
/// to the program.
fn provider_or_default(provider: Option<Arc<CryptoProvider>>) -> Result<Arc<CryptoProvider>, TlsError> {
    provider.or_else(featured_provider).ok_or(TlsError::NoProvider)
}

#[cfg(feature = "tls-ring")]
fn featured_provider() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(rustls::crypto::ring::default_provider()))
}

#[cfg(all(feature = "tls-aws-lc", not(feature = "tls-ring")))]
fn featured_provider() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

#[cfg(not(any(feature = "tls-ring", feature = "tls-aws-lc")))]
fn featured_provider() -> Option<Arc<CryptoProvider>> {
    None
}
