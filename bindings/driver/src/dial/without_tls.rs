//! The place of `secure.rs` in a build without the feature `tls`: no stream can use TLS.

use std::io;

use multiwa_ws_core::handshake::ClientRequest;

use super::connector::ConnectorError;
use super::stream::{Socket, Stream};
use super::target::{DialerError, Target};

/// Nothing: this build has no TLS.
#[derive(Clone, Debug, Default)]
pub struct TlsSettings(());

impl TlsSettings {
    /// Refuses `wss` URLs, as the default does.
    #[must_use]
    pub const fn none() -> Self {
        Self(())
    }

    pub(super) fn secure(&self, _: &Target) -> Result<Secure, DialerError> {
        Err(DialerError::NoTls)
    }
}

/// A TLS handshake, which this build cannot have.
#[derive(Debug)]
pub enum Secure {}

impl Secure {
    /// Is never called.
    ///
    /// # Errors
    /// There is none.
    pub fn finish<T>(self, _: io::Result<T>) -> Result<(T, ClientRequest), ConnectorError> {
        match self {}
    }

    pub(super) async fn connect(self, _: Socket) -> Result<(Stream, ClientRequest), ConnectorError> {
        match self {}
    }
}
