//! TLS for the streams that a client dials. Without the feature `tls`, `without_tls.rs` takes the place of this module.

use std::io;
use std::sync::OnceLock;

use multiwa_ws_core::handshake::ClientRequest;
use multiwa_ws_core::session::DisconnectReason;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::connector::ConnectorError;
use super::stream::{Socket, Stream};
use super::target::{DialerError, Target};
use crate::sync::Arc;
use crate::{ClientTls, TlsError};

/// The configured TLS, or the default, which is built when the first stream needs it.
#[derive(Clone, Debug)]
pub struct TlsSettings(Option<OnceLock<ClientTls>>);

impl Default for TlsSettings {
    fn default() -> Self {
        Self(Some(OnceLock::new()))
    }
}

impl From<ClientTls> for TlsSettings {
    fn from(tls: ClientTls) -> Self {
        Self(Some(tls.into()))
    }
}

impl TlsSettings {
    /// Refuses `wss` URLs: for a binding without TLS, if another crate enables the feature in the driver.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// The handshake of a stream to `target`, whose URL is `wss`.
    pub(super) fn secure(&self, target: &Target) -> Result<Secure, DialerError> {
        let tls = self.0.as_ref().ok_or(DialerError::NoTls)?;
        let config = get_or_build(tls)?.config().clone();
        Ok(Secure { config, name: target.endpoint.server_name()?, request: target.request.clone() })
    }
}

fn get_or_build(configured: &OnceLock<ClientTls>) -> Result<&ClientTls, TlsError> {
    match configured.get() {
        Some(tls) => Ok(tls),
        None => {
            let tls = ClientTls::builder().build()?;
            Ok(configured.get_or_init(|| tls))
        }
    }
}

/// The TLS handshake with the server, which is the last step.
#[derive(Debug)]
pub struct Secure {
    /// The configuration.
    pub config: Arc<ClientConfig>,
    /// The host that is dialed. The server's certificate must be valid for it.
    pub name: ServerName<'static>,
    request: ClientRequest,
}

impl Secure {
    /// Takes the result of the handshake. Returns the stream with the request to send over it.
    ///
    /// # Errors
    /// The handshake failed.
    pub fn finish<T>(self, result: io::Result<T>) -> Result<(T, ClientRequest), ConnectorError> {
        match result {
            Ok(stream) => Ok((stream, self.request)),
            Err(error) => Err(ConnectorError { reason: tls_disconnect_reason(&error), error }),
        }
    }

    pub(super) async fn connect(self, socket: Socket) -> Result<(Stream, ClientRequest), ConnectorError> {
        let stream = socket.connect_tls(self.config.clone(), self.name.clone()).await;
        self.finish(stream)
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
