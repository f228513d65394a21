//! Code of the application that the client calls may itself call any method of the client's handles.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, OnceLock};

use multiwa_ws_core::handshake::ClientRequest;
use multiwa_ws_core::session::CloseCause;
use multiwa_ws_tungstenite::mio::event::Source;
use multiwa_ws_tungstenite::mio::net::TcpStream;
use multiwa_ws_tungstenite::mio::{Interest, Registry, Token};
use multiwa_ws_tungstenite::{Client, Connector, ConnectorError};

use crate::peer::{at_once, call, listen, number};

/// The client that code of the application calls, once there is one.
type Later = Arc<OnceLock<Client>>;

#[test]
fn f_01_a_provider_may_ask_its_client_for_its_status_and_drop_a_handle() {
    call(|| {
        let slot: Arc<Mutex<Option<Client>>> = Arc::default();
        let given = slot.clone();
        let provider = move |_| match given.lock().unwrap().take() {
            Some(client) => Err(ConnectorError::stop(format!("{:?}", client.status().state))),
            None => Err(ConnectorError::retry("not yet")),
        };
        let (client, mut updates) = Client::builder_with(provider).reconnect(at_once()).start().unwrap();
        *slot.lock().unwrap() = Some(client.clone());
        while updates.next().is_some() {}
        assert!(format!("{:#}", client.status().last_disconnect.unwrap()).contains("Connecting"));
    })
    .returned();
}

/// Asks its client for its status whenever it is called, and when it is dropped.
struct Curious {
    stream: TcpStream,
    client: Later,
}

impl Curious {
    fn ask(&self) {
        let _ = self.client.get().map(Client::status);
    }
}

impl Read for Curious {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.ask();
        self.stream.read(buffer)
    }
}

impl Write for Curious {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.ask();
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.ask();
        self.stream.flush()
    }
}

impl Source for Curious {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.ask();
        self.stream.register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.ask();
        self.stream.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.ask();
        self.stream.deregister(registry)
    }
}

impl Drop for Curious {
    fn drop(&mut self) {
        self.ask();
    }
}

/// Gives one stream, and asks its client for its status whenever it is called.
struct OneStream(Option<Curious>, Later);

impl Connector for OneStream {
    type Stream = Curious;

    fn connect(&mut self, _attempt: u32) -> Result<(Curious, ClientRequest), ConnectorError> {
        let _ = self.1.get().map(Client::status);
        let stream = self.0.take().ok_or_else(|| ConnectorError::stop("there was one stream"))?;
        Ok((stream, ClientRequest::new("h", "/ws")))
    }
}

/// A client over one curious stream, for which `use_it` is called, on a thread of its own.
fn curious(use_it: impl FnOnce(Client) + Send + 'static) {
    let listener = listen();
    let stream = std::net::TcpStream::connect(listener.address).unwrap();
    stream.set_nonblocking(true).unwrap();
    let later = Later::default();
    let stream = Curious { stream: TcpStream::from_std(stream), client: later.clone() };
    let connector = OneStream(Some(stream), later.clone());
    let (client, mut updates) =
        Client::builder("").reconnect(at_once()).subscribe("p", ["e"]).start_with(connector).unwrap();
    assert!(later.set(client.clone()).is_ok());
    let mut peer = listener.accept();
    peer.acknowledge();
    peer.publish(7);
    let used = call(move || {
        assert_eq!(number(&mut updates), 7);
        use_it(client.clone());
        client.closed()
    });
    peer.read_to_end();
    drop(peer);
    assert!(matches!(used.returned(), CloseCause::Application | CloseCause::Lost(_)));
}

#[test]
fn f_01_a_stream_and_a_connector_may_ask_their_client_for_its_status() {
    curious(|client| client.close());
}
