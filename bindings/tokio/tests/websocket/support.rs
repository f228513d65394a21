//! Pairs of connected peers, events that can be kept, and waits with a bound.

use std::future::Future;
use std::time::Duration;

use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::handshake::{Acceptance, ClientRequest, DeflateConfig, DeflateOffer};
use multiwa_ws_core::websocket::{Config, Event, Received};
use multiwa_ws_testkit::event::OwnedEvent;
use multiwa_ws_tokio::{Error, WebSocket, WebSocketConfig};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpStream};

/// The most that anything here may take.
const LIMIT: Duration = Duration::from_secs(30);

/// The output of `future`, which must come in time.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.expect("in time")
}

/// The next event, which there must be.
pub(crate) async fn next<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocket<S>) -> OwnedEvent {
    let Received { event, .. } = within(socket.next()).await.expect("no error").expect("an event");
    event.into()
}

/// Reads to the end and returns what came before it, and how it ended.
pub(crate) async fn drain<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocket<S>,
) -> (Vec<OwnedEvent>, Result<(), Error>) {
    let mut events = Vec::new();
    loop {
        match within(socket.next()).await {
            Ok(Some(received)) => events.push(received.event.into()),
            Ok(None) => return (events, Ok(())),
            Err(error) => return (events, Err(error)),
        }
    }
}

/// Sends every message back until the connection ends.
pub(crate) async fn echo<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocket<S>) -> Result<(), Error> {
    while let Some(Received { event, mut sender }) = socket.next().await? {
        match event {
            Event::Text(text) => sender.send_text(text)?,
            Event::Binary(payload) => sender.send_binary(payload)?,
            _ => {}
        }
    }
    Ok(())
}

/// No keep-alive, so that a paused clock moves only when everything waits for ever.
pub(crate) fn quiet_connection() -> Config {
    Config::new().keep_alive(KeepAlive::OFF)
}

/// [`quiet_connection`], and messages of many MiB.
pub(crate) fn large_connection() -> Config {
    quiet_connection().max_message_len(16 << 20).max_queued(32 << 20)
}

pub(crate) fn quiet() -> WebSocketConfig {
    WebSocketConfig::new().connection(quiet_connection())
}

pub(crate) fn large() -> WebSocketConfig {
    WebSocketConfig::new().connection(large_connection())
}

/// A client and a server, connected by `streams`.
pub(crate) async fn connect_over<S: AsyncRead + AsyncWrite + Unpin>(
    streams: (S, S),
    options: &WebSocketConfig,
) -> (WebSocket<S>, WebSocket<S>) {
    upgrade(streams, options, ClientRequest::new("server", "/ws"), &Acceptance::default()).await
}

/// A client and a server, connected by `streams`, that compress.
pub(crate) async fn connect_compressed_over<S: AsyncRead + AsyncWrite + Unpin>(
    streams: (S, S),
    options: &WebSocketConfig,
) -> (WebSocket<S>, WebSocket<S>) {
    let request = ClientRequest { deflate: Some(DeflateOffer::default()), ..ClientRequest::new("server", "/ws") };
    let acceptance = Acceptance::new().deflate(DeflateConfig::default());
    upgrade(streams, options, request, &acceptance).await
}

async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    (client, server): (S, S),
    options: &WebSocketConfig,
    request: ClientRequest,
    acceptance: &Acceptance,
) -> (WebSocket<S>, WebSocket<S>) {
    let (client, server) = within(async {
        tokio::join!(
            WebSocket::connect(client, request, options),
            WebSocket::accept(server, options, |_| Ok(acceptance.clone())),
        )
    })
    .await;
    (client.expect("a connection").0, server.expect("a connection").0)
}

/// A client and a server in memory, with `buffer` bytes under way in each direction.
pub(crate) async fn in_memory(
    buffer: usize,
    options: &WebSocketConfig,
) -> (WebSocket<DuplexStream>, WebSocket<DuplexStream>) {
    connect_over(tokio::io::duplex(buffer), options).await
}

/// Both ends of a TCP connection, the one that dialed first.
pub(crate) async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (dialed, accepted) = within(async { tokio::join!(TcpStream::connect(address), listener.accept()) }).await;
    (dialed.expect("a connection"), accepted.expect("a connection").0)
}

/// `len` bytes that differ from place to place.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index.wrapping_mul(31) ^ (index >> 8)).to_le_bytes()[0]).collect()
}
