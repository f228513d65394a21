//! TLS over a socket with `rustls`. Without the feature `tls`, `without_tls.rs` takes the place of this module.

use std::io::{self, Read, Write};

use mio::event::Source;
use mio::{Interest, Registry, Token};
use multiwa_ws_driver::dial::Secure;
use rustls::ClientConnection;

use crate::stream::Stream;

pub(crate) use multiwa_ws_driver::dial::tls_disconnect_reason as disconnect_reason;

/// A connection after its TLS handshake.
pub(crate) struct Secured(ClientConnection);

impl Secured {
    /// Performs the handshake over `socket`, which blocks.
    pub(crate) fn new(secure: &Secure, socket: &mut (impl Read + Write)) -> io::Result<Self> {
        let tls = ClientConnection::new(secure.config.clone(), secure.name.clone());
        let mut tls = tls.map_err(io::Error::other)?;
        while tls.is_handshaking() || tls.wants_write() {
            tls.complete_io(socket)?;
        }
        Ok(Self(tls))
    }

    /// Continues over `socket`, which does not block.
    pub(crate) fn into_stream(self, socket: impl Stream) -> Box<dyn Stream> {
        Box::new(TlsStream { tls: self.0, socket })
    }
}

/// TLS over a stream that does not block.
///
/// Unlike the stream of `rustls`, it also reads while it cannot write. Otherwise two peers that both wait for the other
/// to read would deadlock.
struct TlsStream<S: Read + Write> {
    tls: ClientConnection,
    socket: S,
}

impl<S: Read + Write> TlsStream<S> {
    fn write_out(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            if self.tls.write_tls(&mut self.socket)? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }
}

impl<S: Read + Write> Read for TlsStream<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
            // At the end of the stream, the `read` above reports whether the server sent `close_notify`.
            self.tls.read_tls(&mut self.socket)?;
            let processed = self.tls.process_new_packets();
            // An alert or a key update may wait to be sent. If that fails, the next write returns the error.
            let _ = self.write_out();
            processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
    }
}

impl<S: Read + Write> Write for TlsStream<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let taken = self.tls.writer().write(bytes)?;
            match self.write_out() {
                // `flush` writes the accepted bytes.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && taken > 0 => return Ok(taken),
                Err(error) => return Err(error),
                Ok(()) if taken > 0 || bytes.is_empty() => return Ok(taken),
                Ok(()) => {}
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_out()?;
        self.socket.flush()
    }
}

impl<S: Read + Write + Source> Source for TlsStream<S> {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.socket.register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.socket.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.socket.deregister(registry)
    }
}

/// RFC 8446 section 6.1: sends `close_notify`, if the socket still accepts it.
impl<S: Read + Write> Drop for TlsStream<S> {
    fn drop(&mut self) {
        self.tls.send_close_notify();
        let _ = self.write_out();
    }
}
