//! The TLS configuration of a client.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::pem::{Identity, Pem};
use super::{ALPN, TlsError, provider_or_default};

/// The TLS configuration of a client: the certificates that it trusts, and the certificate that it sends.
///
/// The server's certificate must be valid for the host that is dialed; nothing that the server sends changes this. The
/// configuration is cheap to clone, and usable for any number of connections, which share the cache for session
/// resumption.
///
/// ```
/// use multiwa_ws_driver::ClientTls;
///
/// # let pem = "";
/// // Trusts only the certificates in `pem`, for example those of a private certificate authority.
/// let tls = ClientTls::builder().roots_pem(pem).build();
/// # assert!(tls.is_err());
/// ```
#[derive(Clone)]
pub struct ClientTls(Arc<ClientConfig>);

/// Builds a [`ClientTls`]. [`build`](Self::build) reads the files.
#[derive(Clone, Default)]
#[must_use = "`build` makes settings of it"]
pub struct ClientTlsBuilder {
    provider: Option<Arc<CryptoProvider>>,
    roots: Vec<Pem>,
    system_roots: bool,
    identity: Option<Identity>,
    accept_any: bool,
}

impl ClientTls {
    /// Returns a builder. By default it trusts the certificates that the system trusts.
    pub fn builder() -> ClientTlsBuilder {
        ClientTlsBuilder::default()
    }

    /// The configuration for `rustls`.
    #[must_use]
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.0
    }
}

/// Uses this configuration unchanged.
impl From<Arc<ClientConfig>> for ClientTls {
    fn from(config: Arc<ClientConfig>) -> Self {
        Self(config)
    }
}

impl ClientTlsBuilder {
    /// The cryptography provider. By default the crate's features select it.
    pub fn provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Trusts the certificates in `pem`; may be called repeatedly. The certificates of the system are then not trusted,
    /// unless [`system_roots`](Self::system_roots) is called too.
    pub fn roots_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.roots.push(Pem::text(pem));
        self
    }

    /// Like [`roots_pem`](Self::roots_pem), but reads a file.
    pub fn roots_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.roots.push(Pem::File(path.into()));
        self
    }

    /// Trusts the certificates that the system trusts, in addition to those that were added.
    pub fn system_roots(mut self) -> Self {
        self.system_roots = true;
        self
    }

    /// Sends a certificate to servers that request one: the chain, starting with the client's certificate, and the
    /// private key.
    pub fn certificate_pem(mut self, chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        self.identity = Some(Identity { chain: Pem::text(chain), key: Pem::text(key) });
        self
    }

    /// Like [`certificate_pem`](Self::certificate_pem), but reads files.
    pub fn certificate_files(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.identity = Some(Identity { chain: Pem::File(chain.into()), key: Pem::File(key.into()) });
        self
    }

    /// Accepts every certificate. An attacker on the network can then read and change all data, including the API key.
    /// Use it for tests only.
    pub fn dangerous_accept_any_certificate(mut self) -> Self {
        self.accept_any = true;
        self
    }

    /// Builds the configuration.
    ///
    /// # Errors
    /// [`TlsError`]: there is no cryptography provider, a file or PEM cannot be read, or no certificate is trusted.
    pub fn build(self) -> Result<ClientTls, TlsError> {
        let provider = provider_or_default(self.provider.clone())?;
        let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let builder = if self.accept_any {
            let verifier = AcceptAny(provider.signature_verification_algorithms);
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        } else {
            builder.with_root_certificates(self.roots()?)
        };
        let mut config = match &self.identity {
            Some(identity) => {
                let (chain, key) = identity.read()?;
                builder.with_client_auth_cert(chain, key)?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(ClientTls(Arc::new(config)))
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for pem in &self.roots {
            pem.add_roots_to(&mut roots)?;
        }
        if self.system_roots || self.roots.is_empty() {
            let found = rustls_native_certs::load_native_certs();
            // A certificate or file that cannot be read is not trusted. The others are.
            let (added, _) = roots.add_parsable_certificates(found.certs);
            if added == 0 {
                let why = found.errors.first().map_or_else(|| "none was found".to_owned(), ToString::to_string);
                return Err(TlsError::NoSystemRoots(why));
            }
        }
        Ok(roots)
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").finish_non_exhaustive()
    }
}

/// Shows neither certificates nor keys.
impl fmt::Debug for ClientTlsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTlsBuilder")
            .field("system_roots", &self.system_roots)
            .field("accept_any", &self.accept_any)
            .finish_non_exhaustive()
    }
}

/// Accepts any certificate, but still verifies that the server has the private key.
#[derive(Debug)]
struct AcceptAny(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
