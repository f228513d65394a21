//! The place of `secure.rs` in a build without the feature `tls`: no stream can use TLS.

use super::connector::ConnectorError;
use super::stream::Stream;
use super::{BuildError, Endpoint};
use crate::Io;

pub(super) enum Secure {}

#[derive(Clone, Debug, Default)]
pub(super) struct TlsSettings(());

impl TlsSettings {
    pub(super) fn secure(&self, _: &Endpoint) -> Result<Secure, BuildError> {
        Err(BuildError::NoTls)
    }
}

pub(super) async fn over_tls<S, R>(stream: S, secure: Option<Secure>) -> Result<Stream, ConnectorError>
where
    S: Unpin + Send + 'static,
    R: Io<S>,
{
    match secure {
        None => Ok(Stream::new::<S, R>(stream)),
        Some(impossible) => match impossible {},
    }
}
