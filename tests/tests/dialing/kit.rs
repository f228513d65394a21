//! What the scenarios have in common.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use multiwa_ws_core::session::{DisconnectReason, ReconnectConfig};
use multiwa_ws_driver::{BuildError, Client, ClientBuilder, ConnectError, Net, Server, ServerBuilder, Updates};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Longer than any step takes, however busy the machine is.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("in time")
}

pub(crate) fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A server on a free port, and that port.
pub(crate) async fn listen<R: Net>(builder: ServerBuilder<R>) -> (Server<R>, u16) {
    let server = builder.bind(loopback()).await.unwrap();
    let port = server.local_addr().unwrap().port();
    (server, port)
}

/// Subscribes, and gets what is published.
pub(crate) async fn exchange<C: Net, S>(client: &Client<C>, updates: &mut Updates<C>, server: &Server<S>) {
    within(client.subscribe("p", ["e"])).await.unwrap();
    assert_eq!(server.publisher().publish("e", Some("p"), &7).await.unwrap().receivers, 1);
    assert_eq!(within(updates.next_event()).await.unwrap().data(), Some("7"));
}

/// Connects, exchanges an event and closes.
pub(crate) async fn works<C: Net, S>(builder: ClientBuilder<C>, server: &Server<S>) {
    let (client, mut updates) = within(builder.connect()).await.unwrap();
    exchange(&client, &mut updates, server).await;
    within(client.close()).await;
}

/// Why a client gives up without having been ready.
pub(crate) async fn failure<R: Net>(builder: ClientBuilder<R>) -> (DisconnectReason, String) {
    match within(builder.connect()).await {
        Err(BuildError::Connect(ConnectError::Disconnected(last))) => (last.reason(), format!("{last:#}")),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it connects"),
    }
}

/// One attempt and no other.
pub(crate) fn once() -> ReconnectConfig {
    ReconnectConfig::new().enabled(false)
}

/// As many attempts as it takes, soon.
pub(crate) fn at_once() -> ReconnectConfig {
    let soon = Duration::from_millis(1);
    ReconnectConfig::new().initial(soon).max(soon).after_policy_violation(true)
}

/// The head of an HTTP message, its empty line included.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// A server that answers HTTP requests, and whose every answer is written in the test.
pub(crate) struct Scripted {
    pub(crate) port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// Answers each request with what `answer` makes of its head, and ends the connection.
    pub(crate) async fn start(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(loopback()).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let seen = heads.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let head = read_head(&mut stream).await;
                let answer = answer(&head);
                seen.lock().unwrap().push(head);
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { port, heads }
    }

    /// The heads of all requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// A redirect.
pub(crate) fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}
