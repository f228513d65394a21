//! TLS, by `rustls`: how certificates are trusted and shown. The settings know no runtime.

mod client;
mod pem;
mod server;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use client::{ClientTls, ClientTlsBuilder};
pub use server::{ServerTls, ServerTlsBuilder};

/// Why TLS cannot be set up as it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// Neither a provider nor a feature that brings one.
    #[error("TLS has no cryptography: enable the feature tls-ring or tls-aws-lc, or hand in a provider")]
    NoProvider,
    /// A file with certificates or a key.
    #[error("{} cannot be read", .path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// Text that is no PEM.
    #[error("the {what} is no valid PEM: {error}")]
    Pem {
        /// What it should have been.
        what: &'static str,
        /// Why it is not.
        error: rustls::pki_types::pem::Error,
    },
    /// PEM without what is looked for.
    #[error("the PEM has no {0}")]
    Missing(&'static str),
    /// The system has no certificates that could be trusted, or they cannot be read.
    #[error("the system has no root certificates: {0}")]
    NoSystemRoots(String),
    /// Certificates and keys that do not go together, or that `rustls` does not support.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
    /// Roots that no client can be verified with.
    #[error(transparent)]
    ClientRoots(#[from] rustls::server::VerifierBuilderError),
}

/// The protocol to agree on (RFC 7301): the upgrade is one of HTTP/1.1, and a server of HTTP/2 is not to take it for its own.
const ALPN: &[u8] = b"http/1.1";

/// The provider that was handed in, or the one of this crate's features; never the default of the process, which belongs to
/// the program.
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
