//! Certificates and keys in PEM (RFC 7468).

use std::borrow::Cow;
use std::path::PathBuf;

use rustls::RootCertStore;
use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;

/// PEM as text, or in a file that is read when it is needed.
#[derive(Clone)]
pub(super) enum Pem {
    Text(Vec<u8>),
    File(PathBuf),
}

/// A certificate chain, starting with the end-entity certificate, and its private key.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) chain: Pem,
    pub(super) key: Pem,
}

impl Pem {
    pub(super) fn text(pem: impl AsRef<[u8]>) -> Self {
        Self::Text(pem.as_ref().to_vec())
    }

    fn read(&self) -> Result<Cow<'_, [u8]>, TlsError> {
        match self {
            Self::Text(text) => Ok(Cow::Borrowed(text)),
            Self::File(path) => {
                std::fs::read(path).map(Cow::Owned).map_err(|error| TlsError::File { path: path.clone(), error })
            }
        }
    }

    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(without_mark(&self.read()?)).collect();
        match certificates {
            Ok(certificates) if certificates.is_empty() => Err(TlsError::Missing("certificate")),
            Ok(certificates) => Ok(certificates),
            Err(error) => Err(TlsError::Pem { what: "certificate", error }),
        }
    }

    pub(super) fn add_roots_to(&self, roots: &mut RootCertStore) -> Result<(), TlsError> {
        for certificate in self.certificates()? {
            roots.add(certificate)?;
        }
        Ok(())
    }
}

impl Identity {
    pub(super) fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let chain = self.chain.certificates()?;
        let key = PrivateKeyDer::from_pem_slice(without_mark(&self.key.read()?)).map_err(|error| match error {
            Error::NoItemsFound => TlsError::Missing("private key"),
            error => TlsError::Pem { what: "private key", error },
        })?;
        Ok((chain, key))
    }
}

/// Removes the byte order mark that some editors add, because it would hide the first certificate.
fn without_mark(pem: &[u8]) -> &[u8] {
    pem.strip_prefix("\u{feff}".as_bytes()).unwrap_or(pem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f_22_a_byte_order_mark_hides_neither_the_first_certificate_nor_the_key() {
        let section = |what: &str| format!("-----BEGIN {what}-----\r\nAAAA\r\n-----END {what}-----\r\n");
        let chain = Pem::text(format!("\u{feff}{0}{0}", section("CERTIFICATE")));
        let key = Pem::text(format!("\u{feff}{}", section("PRIVATE KEY")));
        let (chain, key) = Identity { chain, key }.read().unwrap();
        assert_eq!((chain.len(), key.secret_der()), (2, &[0; 3][..]));
    }
}
