//! TLS for the streams that a client dials. Without the feature `tls`, `without_tls.rs` takes the place of this module.

use std::io;
use std::sync::{Arc, OnceLock};

use multiwa_ws_core::session::DisconnectReason;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::connector::ConnectorError;
use super::stream::Stream;
use super::{BuildError, Endpoint};
use crate::{ClientTls, Tls, TlsError};

/// TLS for one stream.
pub(super) struct Secure {
    config: Arc<ClientConfig>,
    /// The host that is dialed. The certificate must be valid for it.
    name: ServerName<'static>,
}

/// The configured TLS, or the default, which is built when the first stream needs it.
#[derive(Clone, Debug, Default)]
pub(super) struct TlsSettings(OnceLock<ClientTls>);

impl From<ClientTls> for TlsSettings {
    fn from(tls: ClientTls) -> Self {
        Self(tls.into())
    }
}

impl TlsSettings {
    /// The TLS for streams to `endpoint`, whose URL is `wss`.
    pub(super) fn secure(&self, endpoint: &Endpoint) -> Result<Secure, BuildError> {
        let config = self.get()?.config().clone();
        Ok(Secure { config, name: endpoint.server_name()? })
    }

    fn get(&self) -> Result<&ClientTls, TlsError> {
        match self.0.get() {
            Some(tls) => Ok(tls),
            None => {
                let tls = ClientTls::builder().build()?;
                Ok(self.0.get_or_init(|| tls))
            }
        }
    }
}

/// Performs the TLS handshake over `stream`, if `secure` is given.
pub(super) async fn over_tls<S, R>(stream: S, secure: Option<Secure>) -> Result<Stream, ConnectorError>
where
    S: Unpin + Send + 'static,
    R: Tls<S>,
{
    let Some(Secure { config, name }) = secure else { return Ok(Stream::new::<S, R>(stream)) };
    match R::connect_tls(config, name, stream).await {
        Ok(stream) => Ok(Stream::new::<_, R>(stream)),
        Err(error) => Err(ConnectorError { reason: tls_disconnect_reason(&error), error }),
    }
}

/// Maps an error of a TLS stream to its disconnect reason. An invalid certificate is permanent; other errors may be
/// temporary.
#[must_use]
pub fn tls_disconnect_reason(error: &io::Error) -> DisconnectReason {
    match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            DisconnectReason::TlsCertificate
        }
        Some(_) => DisconnectReason::Tls,
        None => DisconnectReason::Io,
    }
}
