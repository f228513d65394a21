//! The byte streams that a client's thread polls.

use std::io::{self, Read, Write};

use mio::event::Source;

/// A connected stream that never blocks and can be polled: `mio`'s TCP and Unix sockets, and wrappers of them.
///
/// Reading and writing return [`WouldBlock`](io::ErrorKind::WouldBlock) where they would wait.
pub trait Stream: Read + Write + Source + Send + 'static {}

impl<S: Read + Write + Source + Send + 'static> Stream for S {}

/// A stream that records whether bytes arrived, including those of an incomplete message, and how many were written. Both
/// show that the peer is alive.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    pub(crate) stream: S,
    arrived: bool,
    written: usize,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, arrived: false, written: 0 }
    }

    /// Whether bytes arrived since the last call.
    pub(crate) fn take_arrived(&mut self) -> bool {
        std::mem::take(&mut self.arrived)
    }

    /// How many bytes were written since the last call.
    pub(crate) fn take_written(&mut self) -> usize {
        std::mem::take(&mut self.written)
    }
}

impl<S: Read> Read for Watched<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = retry(|| self.stream.read(buffer))?;
        self.arrived |= read > 0;
        Ok(read)
    }
}

impl<S: Write> Write for Watched<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match retry(|| self.stream.write(bytes))? {
            // Otherwise `tungstenite` panics during the upgrade.
            0 if !bytes.is_empty() => Err(io::ErrorKind::WriteZero.into()),
            written => {
                self.written += written;
                Ok(written)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        retry(|| self.stream.flush())
    }
}

/// Retries a call that a signal interrupted. `tungstenite` would treat it as a lost connection.
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
