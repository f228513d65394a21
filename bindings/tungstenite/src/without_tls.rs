//! The place of `tls.rs` in a build without the feature `tls`: no stream can use TLS.

use std::io::{self, Read, Write};

use multiwa_ws_core::session::DisconnectReason;
use multiwa_ws_driver::dial::Secure;

use crate::stream::Stream;

pub(crate) enum Secured {}

impl Secured {
    pub(crate) fn new(_: &Secure, _: &mut (impl Read + Write)) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn into_stream(self, _: impl Stream) -> Box<dyn Stream> {
        match self {}
    }
}

pub(crate) fn disconnect_reason(_: &io::Error) -> DisconnectReason {
    DisconnectReason::Io
}
