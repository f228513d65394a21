//! The certificates that a server shows, for people.

use jiff::Timestamp;
use multiwa_ws_tokio::rustls::ProtocolVersion;
use multiwa_ws_tokio::rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The version of TLS, and the chain: the server's own certificate first.
pub(super) fn describe(stream: &TlsStream<TcpStream>) -> String {
    let (_, connection) = stream.get_ref();
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS",
    };
    let chain = connection.peer_certificates().unwrap_or_default();
    let certificates: Vec<_> = chain.iter().map(describe_one).collect();
    format!("{version}; {}", certificates.join("; "))
}

fn describe_one(certificate: &CertificateDer<'_>) -> String {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return "a certificate that cannot be read".to_owned();
    };
    let until = match Timestamp::from_second(parsed.validity().not_after.timestamp()) {
        Ok(until) => until.strftime("%F").to_string(),
        Err(_) => "an unknown time".to_owned(),
    };
    format!("{} issued by {}, valid until {until}", name(parsed.subject()), name(parsed.issuer()))
}

fn name(name: &x509_parser::x509::X509Name<'_>) -> String {
    match name.to_string() {
        empty if empty.is_empty() => "(no name)".to_owned(),
        name => format!("\"{name}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_described_by_its_names_and_its_end() {
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "gateway");
        params.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let text = describe_one(certificate.der());
        assert!(text.contains("CN=gateway") && text.ends_with("valid until 2031-02-03"), "{text}");
        assert_eq!(describe_one(&CertificateDer::from(vec![1, 2, 3])), "a certificate that cannot be read");
    }
}
