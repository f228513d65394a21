//! How a client trusts a server, and shows itself.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::pem::{Identity, Pem};
use super::{ALPN, TlsError, provider_or_default};

/// TLS as a client speaks it: what certificates it trusts, and which one it shows.
///
/// A server's certificate is checked against the host that is dialed, and against nothing that the server sends. Cheap to
/// clone, and good for any number of connections, which share the cache for resumption.
///
/// ```
/// use multiwa_ws_driver::ClientTls;
///
/// # let pem = "";
/// // Trusts the certificates in `pem` and no others, such as one's own authority.
/// let tls = ClientTls::builder().roots_pem(pem).build();
/// # assert!(tls.is_err());
/// ```
#[derive(Clone)]
pub struct ClientTls(Arc<ClientConfig>);

/// Sets up a [`ClientTls`]. Files are read by [`build`](Self::build).
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
    /// Sets up TLS that trusts what the system trusts, unless it is told otherwise.
    pub fn builder() -> ClientTlsBuilder {
        ClientTlsBuilder::default()
    }

    /// The settings as `rustls` takes them.
    #[must_use]
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.0
    }
}

/// Settings of the caller's own, taken as they are.
impl From<Arc<ClientConfig>> for ClientTls {
    fn from(config: Arc<ClientConfig>) -> Self {
        Self(config)
    }
}

impl ClientTlsBuilder {
    /// Where the cryptography comes from, instead of the crate's features.
    pub fn provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Trusts the certificates in `pem`; may be repeated. What the system trusts does not count then, unless
    /// [`system_roots`](Self::system_roots) is called too.
    pub fn roots_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.roots.push(Pem::text(pem));
        self
    }

    /// As [`roots_pem`](Self::roots_pem), from a file.
    pub fn roots_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.roots.push(Pem::File(path.into()));
        self
    }

    /// Trusts what the system trusts, beside roots of one's own.
    pub fn system_roots(mut self) -> Self {
        self.system_roots = true;
        self
    }

    /// Shows a certificate to servers that ask for one: the chain, the own certificate first, and the private key.
    pub fn certificate_pem(mut self, chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        self.identity = Some(Identity { chain: Pem::text(chain), key: Pem::text(key) });
        self
    }

    /// As [`certificate_pem`](Self::certificate_pem), from files.
    pub fn certificate_files(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.identity = Some(Identity { chain: Pem::File(chain.into()), key: Pem::File(key.into()) });
        self
    }

    /// Accepts every certificate, so that whoever is on the way can read and change everything, the key included. For tests.
    pub fn dangerous_accept_any_certificate(mut self) -> Self {
        self.accept_any = true;
        self
    }

    /// The settings.
    ///
    /// # Errors
    /// [`TlsError`]: no cryptography, a file or PEM that cannot be read, nothing to trust.
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
            // A certificate or a file that cannot be read is one that is not trusted; the others are.
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

/// Neither certificates nor keys.
impl fmt::Debug for ClientTlsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTlsBuilder")
            .field("system_roots", &self.system_roots)
            .field("accept_any", &self.accept_any)
            .finish_non_exhaustive()
    }
}

/// Takes whatever certificate there is; that the server has its key is checked all the same.
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
