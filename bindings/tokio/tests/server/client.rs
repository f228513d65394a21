//! What the tests see a server with.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::FutureExt;
use multiwa_ws_core::handshake::ClientRequest;
use multiwa_ws_core::session::{Envelope, RawJson};
use multiwa_ws_core::websocket::Event;
use multiwa_ws_tokio::{
    HandshakeError, PublishError, Published, Publisher, Server, ServerBuilder, WebSocket, WebSocketConfig,
};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, duplex};
use tokio::net::TcpStream;

/// Longer than any of these steps takes, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it takes too long")
}

pub(crate) async fn wait_until(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

pub(crate) async fn start(builder: ServerBuilder) -> (Server, SocketAddr) {
    let server = builder.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = server.local_addr().unwrap();
    (server, address)
}

/// A client that sees every message as it is.
pub(crate) struct Client<S = TcpStream>(pub(crate) WebSocket<S>);

impl Client {
    /// Connects and takes the connection's `ack`.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let mut client = Self::connect_with(address, |_| {}).await.unwrap();
        client.take_ack().await;
        client
    }

    pub(crate) async fn connect_with(
        address: SocketAddr,
        adapt: impl FnOnce(&mut ClientRequest),
    ) -> Result<Self, HandshakeError> {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut request = ClientRequest::new(address.to_string(), "/ws");
        adapt(&mut request);
        Self::over(stream, request).await
    }
}

impl Client<DuplexStream> {
    /// Connects over a pipe that holds so little that the server waits for whoever does not read.
    pub(crate) async fn connect_in_memory(server: &Server) -> Self {
        let (ours, theirs) = duplex(512);
        tokio::spawn(server.serve_stream(theirs, None));
        let mut client = Self::over(ours, ClientRequest::new("localhost", "/ws")).await.unwrap();
        client.take_ack().await;
        client
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) async fn over(stream: S, request: ClientRequest) -> Result<Self, HandshakeError> {
        let (socket, _) = soon(WebSocket::connect(stream, request, &WebSocketConfig::default())).await?;
        Ok(Self(socket))
    }

    pub(crate) async fn take_ack(&mut self) {
        let ack = self.text().await;
        assert!(ack.contains("Connected to MultiWA WebSocket API"), "{ack}");
    }

    pub(crate) async fn text(&mut self) -> String {
        match self.text_or_end().await {
            Ok(text) => text,
            Err(end) => panic!("the connection ended: {end:?}"),
        }
    }

    /// The next text message, or the code and reason of the server's Close frame, or nothing when there was none.
    pub(crate) async fn text_or_end(&mut self) -> Result<String, Option<(u16, String)>> {
        loop {
            match soon(self.0.next()).await {
                Ok(Some(received)) => match received.event {
                    Event::Text(text) => return Ok(text.to_owned()),
                    Event::Close(frame) => {
                        return Err(frame.map(|frame| (frame.code.get(), frame.reason.to_owned())));
                    }
                    Event::Ping(_) => {}
                    other => panic!("{other:?}"),
                },
                _ => return Err(None),
            }
        }
    }

    /// How the server ends the connection, after whatever it says before.
    pub(crate) async fn end(&mut self) -> Option<(u16, String)> {
        loop {
            if let Err(end) = self.text_or_end().await {
                return end;
            }
        }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        soon(self.0.send_text(text)).await.unwrap();
    }

    pub(crate) async fn ask(&mut self, text: &str) -> String {
        self.send(text).await;
        self.text().await
    }

    pub(crate) async fn subscribe(&mut self, profile: &str, events: &str) {
        let reply = self.ask(&subscribe(profile, events)).await;
        assert!(reply.contains(r#""action":"subscribed""#), "{reply}");
    }

    /// The numbers of the next events.
    pub(crate) async fn numbers(&mut self, count: usize) -> Vec<usize> {
        let mut numbers = Vec::new();
        while numbers.len() < count {
            numbers.push(number_of(&self.text().await));
        }
        numbers
    }
}

pub(crate) fn subscribe(profile: &str, events: &str) -> String {
    format!(r#"{{"type":"subscribe","payload":{{"profileId":"{profile}","events":{events}}}}}"#)
}

pub(crate) fn publish(publisher: &Publisher, profile: &str, number: usize) -> usize {
    let data = format!(r#"{{"n":{number}}}"#);
    receivers(publisher.publish("message.received", Some(profile), &RawJson::parse(&data).unwrap()))
}

pub(crate) fn number_of(text: &str) -> usize {
    let event = Envelope::parse(text, 64).unwrap().into_event().expect("an event");
    let data = event.data().unwrap();
    data.trim_start_matches(r#"{"n":"#).split(['}', ',']).next().unwrap().parse().unwrap()
}

/// How many clients an event is queued for. In memory that is known at once.
pub(crate) fn receivers(publishing: impl Future<Output = Result<Published, PublishError>>) -> usize {
    publishing.now_or_never().expect("it does not wait").unwrap().receivers
}
