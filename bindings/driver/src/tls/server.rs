//! How a server shows itself, and trusts clients.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::pem::{Identity, Pem};
use super::{ALPN, TlsError, provider_or_default};

/// TLS as a server speaks it: the certificate that it shows, and which ones clients must have.
///
/// Cheap to clone, and good for any number of connections.
#[derive(Clone)]
pub struct ServerTls(Arc<ServerConfig>);

/// Sets up a [`ServerTls`]. Files are read by [`build`](Self::build).
#[derive(Clone)]
#[must_use = "`build` makes settings of it"]
pub struct ServerTlsBuilder {
    provider: Option<Arc<CryptoProvider>>,
    identity: Identity,
    client_roots: Vec<Pem>,
    client_optional: bool,
}

impl ServerTls {
    /// Sets up TLS that shows this certificate: the chain, the server's own one first, and its private key, in PEM.
    pub fn pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> ServerTlsBuilder {
        ServerTlsBuilder::new(Identity { chain: Pem::text(chain), key: Pem::text(key) })
    }

    /// As [`pem`](Self::pem), from files.
    pub fn files(chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> ServerTlsBuilder {
        ServerTlsBuilder::new(Identity { chain: Pem::File(chain.into()), key: Pem::File(key.into()) })
    }

    /// The settings as `rustls` takes them.
    #[must_use]
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.0
    }
}

/// Settings of the caller's own, taken as they are; a certificate that is renewed while the server runs is a resolver in them.
impl From<Arc<ServerConfig>> for ServerTls {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self(config)
    }
}

impl ServerTlsBuilder {
    fn new(identity: Identity) -> Self {
        Self { provider: None, identity, client_roots: Vec::new(), client_optional: false }
    }

    /// Where the cryptography comes from, instead of the crate's features.
    pub fn provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Lets no client in without a certificate that one of the roots in `pem` has issued; may be repeated.
    pub fn client_roots_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.client_roots.push(Pem::text(pem));
        self
    }

    /// As [`client_roots_pem`](Self::client_roots_pem), from a file.
    pub fn client_roots_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.client_roots.push(Pem::File(path.into()));
        self
    }

    /// Lets clients without a certificate in all the same; one that is shown must be good.
    pub fn client_certificate_optional(mut self) -> Self {
        self.client_optional = true;
        self
    }

    /// The settings.
    ///
    /// # Errors
    /// [`TlsError`]: no cryptography, a file or PEM that cannot be read, a key of another certificate.
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

/// Neither certificates nor keys.
impl fmt::Debug for ServerTlsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTlsBuilder").field("client_optional", &self.client_optional).finish_non_exhaustive()
    }
}
