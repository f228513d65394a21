//! The server over real sockets: who is let in, what is delivered, how it ends.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::handshake::{ApiKey, ClientRequest, HandshakeLimits, Rejection};
use multiwa_ws_core::session::{EventNames, Message, RawJson, RequestRate, ServerConfig};
use multiwa_ws_core::websocket::{self, Event};
use multiwa_ws_tokio::{
    ConnectionRate, Grant, HandshakeError, Observed, Options, Publisher, Server, ServerBuilder, SlowReader, WebSocket,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Longer than any of these steps takes, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(20);

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it takes too long")
}

async fn start(builder: ServerBuilder) -> (Server, SocketAddr) {
    let server = builder.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = server.local_addr().unwrap();
    (server, address)
}

/// A client that sees every message as it is.
struct Client(WebSocket<TcpStream>);

impl Client {
    /// Connects and takes the connection's `ack`.
    async fn connect(address: SocketAddr) -> Self {
        let mut client = Self::connect_with(address, |_| {}).await.unwrap();
        assert!(client.text().await.contains("Connected to MultiWA WebSocket API"));
        client
    }

    async fn connect_with(address: SocketAddr, adapt: impl FnOnce(&mut ClientRequest)) -> Result<Self, HandshakeError> {
        let stream = TcpStream::connect(address).await.unwrap();
        Self::over(stream, address, adapt).await
    }

    /// Connects with a receive buffer so small that the server soon has to wait.
    async fn connect_narrow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let stream = socket.connect(address).await.unwrap();
        let mut client = Self::over(stream, address, |_| {}).await.unwrap();
        client.text().await;
        client
    }

    async fn over(
        stream: TcpStream,
        address: SocketAddr,
        adapt: impl FnOnce(&mut ClientRequest),
    ) -> Result<Self, HandshakeError> {
        let mut request = ClientRequest::new(address.to_string(), "/ws");
        adapt(&mut request);
        let (socket, _) = soon(WebSocket::connect(stream, request, &Options::default())).await?;
        Ok(Self(socket))
    }

    async fn text(&mut self) -> String {
        loop {
            let received = soon(self.0.next()).await.unwrap().expect("a message");
            match received.event {
                Event::Text(text) => return text.to_owned(),
                Event::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn send(&mut self, text: &str) {
        soon(self.0.send_text(text)).await.unwrap();
    }

    async fn ask(&mut self, text: &str) -> String {
        self.send(text).await;
        self.text().await
    }

    async fn subscribe(&mut self, profile: &str, events: &str) {
        let reply = self
            .ask(&format!(r#"{{"type":"subscribe","payload":{{"profileId":"{profile}","events":{events}}}}}"#))
            .await;
        assert!(reply.contains(r#""action":"subscribed""#), "{reply}");
    }

    /// The close code and reason that the server sends, after any messages that come before.
    async fn closed(&mut self) -> (u16, String) {
        loop {
            match soon(self.0.next()).await.unwrap().expect("a Close frame").event {
                Event::Close(Some(frame)) => return (frame.code.get(), frame.reason.to_owned()),
                Event::Text(_) | Event::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn publish(publisher: &Publisher, profile: &str, number: usize) -> usize {
    let data = format!(r#"{{"n":{number}}}"#);
    publisher.send("message.received", Some(profile), &RawJson::parse(&data).unwrap())
}

fn number_of(text: &str) -> usize {
    let event = Message::parse(text, 64).unwrap().into_event().expect("an event");
    let data = event.data().unwrap();
    data.trim_start_matches(r#"{"n":"#).split(['}', ',']).next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_ack_comes_first_and_every_request_is_answered_as_the_protocol_says() {
    let (_server, address) = start(Server::builder()).await;
    let mut client = Client::connect_with(address, |_| {}).await.unwrap();
    let ack = client.text().await;
    let message = Message::parse(&ack, 64).unwrap();
    assert_eq!((message.kind().as_deref(), message.request_id()), (Some("ack"), None));
    assert_eq!(message.payload_text("clientId").unwrap().len(), 32);
    assert!(message.payload_text("timestamp").unwrap().ends_with('Z'));

    let subscribe = r#"{"type":"subscribe","payload":{"profileId":"p","events":["a","b"]},"requestId":"1"}"#;
    assert_eq!(
        client.ask(subscribe).await,
        r#"{"type":"ack","payload":{"action":"subscribed","profileId":"p","events":["a","b"]},"requestId":"1"}"#
    );
    let pong = client.ask(r#"{"type":"ping","requestId":2}"#).await;
    assert!(pong.starts_with(r#"{"type":"pong","payload":{"timestamp":""#) && pong.ends_with(r#"},"requestId":2}"#));
    assert_eq!(
        client.ask(r#"{"type":"unsubscribe","requestId":"3"}"#).await,
        r#"{"type":"ack","payload":{"action":"unsubscribed"},"requestId":"3"}"#
    );
    assert_eq!(
        client.ask(r#"{"type":"nonsense"}"#).await,
        r#"{"type":"error","payload":{"error":"Unknown message type","code":"unknown_type"}}"#
    );
}
