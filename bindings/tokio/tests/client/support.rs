//! A server whose every word is written by the test, and streams in memory to reach it by.

use std::future::{Future, pending, ready};
use std::io;
use std::time::Duration;

use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::handshake::{Acceptance, ClientRequest, Headers};
use multiwa_ws_core::session::{DisconnectReason, Features, ReconnectConfig};
use multiwa_ws_core::websocket::{Config, Event};
use multiwa_ws_tokio::{Client, ClientBuilder, Connector, ConnectorError, Updates, WebSocket, WebSocketConfig};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

pub(crate) type Socket = WebSocket<TcpStream>;

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(10), future).await.expect("in time")
}

pub(crate) async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ws", listener.local_addr().unwrap());
    (listener, url)
}

/// Accepts a connection with the connection ack of a server that knows subscription sets.
pub(crate) async fn accept(listener: &TcpListener) -> Socket {
    send_ack(listener.accept().await.unwrap().0).await
}

/// The same over any stream. The server is patient: it asks for no sign of life.
pub(crate) async fn send_ack<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> WebSocket<S> {
    let decide = |_: &_| {
        let mut headers = Headers::new();
        headers.append(Features::HEADER, "subscription-sets").unwrap();
        Ok(Acceptance::new().headers(headers))
    };
    let connection = Config::new().keep_alive(KeepAlive::OFF);
    let options = WebSocketConfig::new().connection(connection);
    let (mut socket, ..) = WebSocket::accept(stream, &options, decide).await.unwrap();
    socket.send_text(r#"{"type":"ack","payload":{"clientId":"c"}}"#).await.unwrap();
    socket
}

/// The next request: its type and its id.
pub(crate) async fn request<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocket<S>) -> (String, String) {
    loop {
        let received = socket.next().await.unwrap().expect("a request");
        if let Event::Text(text) = received.event {
            return (member(text, "type"), member(text, "requestId"));
        }
    }
}

/// A member of a message that is a string.
pub(crate) fn member(text: &str, name: &str) -> String {
    let after = text.split_once(&format!("\"{name}\":\"")).expect("the member").1;
    after.split('"').next().unwrap().to_owned()
}

/// Answers the next request, and tells its type.
pub(crate) async fn acknowledge<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocket<S>) -> String {
    let (kind, id) = request(socket).await;
    socket.send_text(&answer(&kind, &id)).await.unwrap();
    kind
}

/// What grants a request.
pub(crate) fn answer(kind: &str, id: &str) -> String {
    let reply = if kind == "ping" { "pong" } else { "ack" };
    format!(r#"{{"type":"{reply}","requestId":"{id}"}}"#)
}

pub(crate) fn event(n: usize) -> String {
    format!(r#"{{"type":"event","payload":{{"event":"e","profileId":"p","data":{n}}}}}"#)
}

pub(crate) async fn publish<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocket<S>, n: usize) {
    socket.send_text(&event(n)).await.unwrap();
}

pub(crate) async fn next_data(updates: &mut Updates) -> String {
    within(updates.next_event()).await.expect("an event").data().unwrap().to_owned()
}

pub(crate) fn at_once() -> ReconnectConfig {
    ReconnectConfig::new().initial(Duration::from_millis(1)).max(Duration::from_millis(1))
}

/// A builder for clients that do not dial by themselves.
pub(crate) fn builder() -> ClientBuilder {
    Client::builder("ws://memory/ws")
}

/// Gives the streams that it was made with, one an attempt; then none ever.
pub(crate) struct Streams<S>(mpsc::UnboundedReceiver<S>);

/// A connector, and where to put the streams for it.
pub(crate) fn streams<S>() -> (mpsc::UnboundedSender<S>, Streams<S>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, Streams(receiver))
}

impl<S: Unpin + Send + 'static> Connector for Streams<S> {
    type Stream = S;

    fn connect(
        &mut self,
        _attempt: u32,
    ) -> impl Future<Output = Result<(S, ClientRequest), ConnectorError>> + Send + 'static {
        let stream = self.0.try_recv();
        async {
            match stream {
                Ok(stream) => Ok((stream, ClientRequest::new("memory", "/ws"))),
                Err(_) => pending().await,
            }
        }
    }
}

/// Cannot connect.
pub(crate) struct Nowhere;

impl Connector for Nowhere {
    type Stream = DuplexStream;

    fn connect(
        &mut self,
        _attempt: u32,
    ) -> impl Future<Output = Result<(DuplexStream, ClientRequest), ConnectorError>> + Send + 'static {
        ready(Err(ConnectorError { reason: DisconnectReason::Io, error: io::ErrorKind::ConnectionRefused.into() }))
    }
}

/// A client that is ready and its server, with `buffer` bytes under way in each direction.
pub(crate) async fn in_memory(builder: ClientBuilder, buffer: usize) -> (Client, Updates, WebSocket<DuplexStream>) {
    connected_over(builder, tokio::io::duplex(buffer)).await
}

/// The same over any stream, whose near end is the client's.
pub(crate) async fn connected_over<C, S>(builder: ClientBuilder, (near, far): (C, S)) -> (Client, Updates, WebSocket<S>)
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (sender, connector) = streams();
    sender.send(near).unwrap();
    let (client, updates) = builder.start_with(connector).unwrap();
    let (ready, server) = within(async { tokio::join!(client.ready(), send_ack(far)) }).await;
    ready.unwrap();
    (client, updates, server)
}

/// [`in_memory`], subscribed to the events that [`publish`] sends.
pub(crate) async fn subscribed(builder: ClientBuilder, buffer: usize) -> (Client, Updates, WebSocket<DuplexStream>) {
    let (client, updates, mut server) = in_memory(builder, buffer).await;
    let (subscribed, _) = within(async { tokio::join!(client.subscribe("p", ["e"]), acknowledge(&mut server)) }).await;
    subscribed.unwrap();
    (client, updates, server)
}
