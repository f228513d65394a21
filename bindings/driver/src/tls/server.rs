//! The TLS configuration of a server.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::pem::{Identity, Pem};
use super::{ALPN, TlsError, provider_or_default};

/// The TLS configuration of a server: the certificate that it sends, and the client certificates that it accepts.
///
/// It is cheap to clone, and usable for any number of connections.
#[derive(Clone)]
pub struct ServerTls(Arc<ServerConfig>);

/// Builds a [`ServerTls`]. [`build`](Self::build) reads the files.
#[derive(Clone)]
#[must_use = "`build` makes settings of it"]
pub struct ServerTlsBuilder {
    provider: Option<Arc<CryptoProvider>>,
    identity: Identity,
    client_roots: Vec<Pem>,
    client_optional: bool,
}

impl ServerTls {
    /// Returns a builder with this certificate: the chain, starting with the server's certificate, and its private key,
    /// in PEM.
    pub fn pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> ServerTlsBuilder {
        ServerTlsBuilder::new(Identity { chain: Pem::text(chain), key: Pem::text(key) })
    }

    /// Like [`pem`](Self::pem), but reads files.
    pub fn files(chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> ServerTlsBuilder {
        ServerTlsBuilder::new(Identity { chain: Pem::File(chain.into()), key: Pem::File(key.into()) })
    }

    /// The configuration for `rustls`.
    #[must_use]
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.0
    }
}

/// Uses this configuration unchanged. To renew the certificate while the server runs, set a certificate resolver in it.
impl From<Arc<ServerConfig>> for ServerTls {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self(config)
    }
}

impl ServerTlsBuilder {
    fn new(identity: Identity) -> Self {
        Self { provider: None, identity, client_roots: Vec::new(), client_optional: false }
    }

    /// The cryptography provider. By default the crate's features select it.
    pub fn provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Requires client certificates that one of the roots in `pem` has issued; may be called repeatedly.
    pub fn client_roots_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.client_roots.push(Pem::text(pem));
        self
    }

    /// Like [`client_roots_pem`](Self::client_roots_pem), but reads a file.
    pub fn client_roots_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.client_roots.push(Pem::File(path.into()));
        self
    }

    /// Accepts clients without a certificate too. A certificate that a client sends must still be valid.
    pub fn client_certificate_optional(mut self) -> Self {
        self.client_optional = true;
        self
    }

    /// Builds the configuration.
    ///
    /// # Errors
    /// [`TlsError`]: there is no cryptography provider, a file or PEM cannot be read, or the key does not match the
    /// certificate.
    pub fn build(self) -> Result<ServerTls, TlsError> {
        let provider = provider_or_default(self.provider.clone())?;
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let builder = if self.client_roots.is_empty() {
            builder.with_no_client_auth()
        } else {
            let mut roots = RootCertStore::empty();
            for pem in &self.client_roots {
                pem.add_roots_to(&mut roots)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if self.client_optional { verifier.allow_unauthenticated() } else { verifier };
            builder.with_client_cert_verifier(verifier.build()?)
        };
        let (chain, key) = self.identity.read()?;
        let mut config = builder.with_single_cert(chain, key)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(ServerTls(Arc::new(config)))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

/// Shows neither certificates nor keys.
impl fmt::Debug for ServerTlsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTlsBuilder").field("client_optional", &self.client_optional).finish_non_exhaustive()
    }
}
