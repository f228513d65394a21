//! Streams that do something around each call, and connectors that are closures.

use std::io::{self, Read, Write};

use multiwa_ws_core::handshake::ClientRequest;
use multiwa_ws_tungstenite::mio::event::Source;
use multiwa_ws_tungstenite::mio::net::TcpStream;
use multiwa_ws_tungstenite::mio::{Interest, Registry, Token};
use multiwa_ws_tungstenite::{Connector, ConnectorError};

use crate::peer::Listener;

/// What a stream does around its calls.
pub(crate) trait Hook {
    /// Before every call.
    fn before(&self) {}

    fn read(&self, stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        stream.read(buffer)
    }

    fn write(&self, stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
        stream.write(bytes)
    }
}

pub(crate) struct Hooked<H> {
    pub(crate) stream: TcpStream,
    pub(crate) hook: H,
}

impl<H: Hook> Read for Hooked<H> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.hook.before();
        self.hook.read(&mut self.stream, buffer)
    }
}

impl<H: Hook> Write for Hooked<H> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hook.before();
        self.hook.write(&mut self.stream, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hook.before();
        self.stream.flush()
    }
}

impl<H: Hook> Source for Hooked<H> {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.hook.before();
        self.stream.register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.hook.before();
        self.stream.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.hook.before();
        self.stream.deregister(registry)
    }
}

/// A connector that calls a closure with the number of each attempt.
pub(crate) struct ConnectWith<F>(pub(crate) F);

impl<F, S> Connector for ConnectWith<F>
where
    F: FnMut(u32) -> Result<(S, ClientRequest), ConnectorError> + Send + 'static,
    S: multiwa_ws_tungstenite::Stream,
{
    type Stream = S;

    fn connect(&mut self, attempt: u32) -> Result<(S, ClientRequest), ConnectorError> {
        (self.0)(attempt)
    }
}

/// Dials `listener`.
pub(crate) fn dial(listener: &Listener) -> impl Fn() -> (TcpStream, ClientRequest) + Send + use<> {
    let address = listener.address;
    move || {
        let stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_nonblocking(true).unwrap();
        (TcpStream::from_std(stream), ClientRequest::new("h", "/ws"))
    }
}
