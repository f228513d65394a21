//! Certificates for servers of the suite.

use multiwa_ws_driver::{ClientTls, ServerTls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::Outcome;

/// The host that certificates are made for.
pub const HOST: &str = "localhost";

/// An authority, and a certificate for [`HOST`] that it has issued, in PEM.
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
    /// New ones.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn new() -> Outcome<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Another name than that of the server's certificate, which would otherwise look as if it had issued itself.
        params.distinguished_name.push(DnType::CommonName, "the authority of a test");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new([HOST.to_owned()])?.signed_by(&key, &authority)?;
        Ok(Self { authority: authority.pem(), certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// What a client trusts that trusts the authority.
    ///
    /// # Errors
    /// When they are not taken.
    pub fn client(&self) -> Outcome<ClientTls> {
        Ok(ClientTls::builder().roots_pem(&self.authority).build()?)
    }

    /// What a server shows.
    ///
    /// # Errors
    /// When they are not taken.
    pub fn server(&self) -> Outcome<ServerTls> {
        Ok(ServerTls::pem(&self.certificate, &self.key).build()?)
    }
}
