//! Certificates for servers of the suite.

use multiwa_ws_driver::{ClientTls, ServerTls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::Outcome;

/// The host of the certificates.
pub const HOST: &str = "localhost";

/// The certificate of an authority, and a certificate for [`HOST`] that it has issued, in PEM.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The certificate of the authority.
    pub authority: String,
    /// The certificate of the server.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl Certificates {
    /// Creates both certificates.
    ///
    /// # Errors
    /// If they cannot be created.
    pub fn new() -> Outcome<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // The name must differ from that of the server's certificate. Otherwise that certificate would look
        // self-issued.
        params.distinguished_name.push(DnType::CommonName, "the authority of a test");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new([HOST.to_owned()])?.signed_by(&key, &authority)?;
        Ok(Self { authority: authority.pem(), certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// The settings of a client that trusts the authority.
    ///
    /// # Errors
    /// If they are invalid.
    pub fn client(&self) -> Outcome<ClientTls> {
        Ok(ClientTls::builder().roots_pem(&self.authority).build()?)
    }

    /// The certificate of a server.
    ///
    /// # Errors
    /// If they are invalid.
    pub fn server(&self) -> Outcome<ServerTls> {
        Ok(ServerTls::pem(&self.certificate, &self.key).build()?)
    }
}
