//! The place of `tls.rs` in a build without the feature `tls`: no stream can use TLS.

use std::io::{self, Read, Write};

use multiwa_ws_core::session::DisconnectReason;
use multiwa_ws_driver::{BuildError, Endpoint};

use crate::stream::Stream;

#[derive(Clone, Debug, Default)]
pub(crate) struct TlsSettings(());

impl TlsSettings {
    pub(crate) fn handshake(&mut self, _: &Endpoint) -> Result<Handshake, BuildError> {
        Err(BuildError::NoTls)
    }
}

pub(crate) enum Handshake {}

impl Handshake {
    pub(crate) fn complete(&mut self, _: &mut (impl Read + Write)) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn into_stream(self, _: impl Stream) -> Box<dyn Stream> {
        match self {}
    }
}

pub(crate) fn disconnect_reason(_: &io::Error) -> DisconnectReason {
    DisconnectReason::Io
}
