//! What the client is tested against: a server of ours, or a peer whose every word is written in the test.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use multiwa_ws_core::handshake::{Acceptance, Headers, Rejection};
use multiwa_ws_core::session::{Envelope, Features, ReconnectConfig};
use multiwa_ws_core::websocket::Event;
use multiwa_ws_tokio::{HandshakeError, Publisher, Server, ServerBuilder, WebSocket, WebSocketConfig};
use multiwa_ws_tungstenite::{Update, Updates};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// Longer than any step takes, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The runtime of the peers.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap())
}

/// Waits for a peer, within reason.
pub(crate) fn soon<F: Future>(future: F) -> F::Output {
    runtime().block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("it takes too long") })
}

/// A call on a thread of its own.
pub(crate) struct Call<T>(Receiver<T>);

pub(crate) fn call<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Call<T> {
    let (sender, receiver) = channel();
    thread::spawn(move || sender.send(call()));
    Call(receiver)
}

impl<T> Call<T> {
    /// What it returned, within reason.
    pub(crate) fn returned(self) -> T {
        self.0.recv_timeout(PATIENCE).expect("it returns")
    }

    pub(crate) fn has_returned(&self) -> bool {
        self.0.recv_timeout(Duration::ZERO).is_ok()
    }
}

pub(crate) fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "it takes too long");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A server of ours, and its URL.
pub(crate) fn serve(builder: ServerBuilder) -> (Server, String) {
    let server = soon(builder.bind("127.0.0.1:0".parse().unwrap())).unwrap();
    let url = format!("ws://{}/ws", server.local_addr().unwrap());
    (server, url)
}

pub(crate) fn publish(publisher: &Publisher, profile: &str, number: usize) -> usize {
    let publishing = publisher.publish("message.received", Some(profile), &number);
    publishing.now_or_never().expect("it does not wait").unwrap().receivers
}

/// The numbers of the next events.
pub(crate) fn numbers(updates: &mut Updates, count: usize) -> Vec<usize> {
    (0..count).map(|_| number(updates)).collect()
}

pub(crate) fn number(updates: &mut Updates) -> usize {
    loop {
        if let Update::Event(event) = next(updates).expect("an event") {
            return event.data().unwrap().parse().unwrap();
        }
    }
}

pub(crate) fn next(updates: &mut Updates) -> Option<Update<'_>> {
    updates.next_timeout(PATIENCE).expect("an update in time")
}

/// Waits for the first notice, or other update, that is wanted.
pub(crate) fn find<T>(updates: &mut Updates, desired: impl Fn(&Update<'_>) -> Option<T>) -> T {
    loop {
        if let Some(found) = desired(&next(updates).expect("the update that is waited for")) {
            return found;
        }
    }
}

pub(crate) fn at_once() -> ReconnectConfig {
    ReconnectConfig::new().initial(Duration::from_millis(1)).max(Duration::from_millis(1))
}

pub(crate) fn never() -> ReconnectConfig {
    ReconnectConfig::new().enabled(false)
}

/// Where scripted peers are dialed.
pub(crate) struct Listener {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
    pub(crate) url: String,
}

pub(crate) fn listen() -> Listener {
    let listener = soon(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    Listener { listener, address, url: format!("ws://{address}/ws") }
}

impl Listener {
    /// The next TCP connection, as it is.
    pub(crate) fn accept_tcp(&self) -> TcpStream {
        soon(self.listener.accept()).unwrap().0
    }

    pub(crate) async fn accept_async(&self) -> TcpStream {
        self.listener.accept().await.unwrap().0
    }

    /// Accepts a client with the connection ack of a server that knows subscription sets.
    pub(crate) fn accept(&self) -> Peer {
        self.send_ack(self.accept_tcp())
    }

    pub(crate) fn send_ack(&self, stream: TcpStream) -> Peer {
        self.try_send_ack(stream).unwrap()
    }

    /// A peer, unless the client has left.
    pub(crate) fn try_send_ack(&self, stream: TcpStream) -> Option<Peer> {
        let decide = |_: &_| {
            let mut headers = Headers::new();
            headers.append(Features::HEADER, "subscription-sets").unwrap();
            Ok(Acceptance::new().headers(headers))
        };
        let (socket, ..) = soon(WebSocket::accept(stream, &WebSocketConfig::default(), decide)).ok()?;
        let mut peer = Peer { socket };
        soon(peer.socket.send_text(r#"{"type":"ack","payload":{"clientId":"c"}}"#)).ok()?;
        Some(peer)
    }

    /// Refuses a client.
    pub(crate) fn reject(&self, rejection: Rejection) {
        let stream = self.accept_tcp();
        let rejected = soon(WebSocket::accept(stream, &WebSocketConfig::default(), |_: &_| Err(rejection)));
        assert!(matches!(rejected.err(), Some(HandshakeError::Rejected)));
    }
}

/// A scripted server.
pub(crate) struct Peer {
    pub(crate) socket: WebSocket<TcpStream>,
}

impl Peer {
    pub(crate) fn send(&mut self, text: &str) {
        soon(self.socket.send_text(text)).unwrap();
    }

    pub(crate) fn publish(&mut self, number: usize) {
        self.send(&event(number));
    }

    /// The next request: its type and its id.
    pub(crate) fn request(&mut self) -> (String, String) {
        soon(async {
            loop {
                let received = self.socket.next().await.unwrap().expect("a request");
                if let Event::Text(text) = received.event {
                    let message = Envelope::parse(text, 64).unwrap();
                    let id = message.request_id().expect("an id").trim_matches('"').to_owned();
                    return (message.kind().expect("a type").into_owned(), id);
                }
            }
        })
    }

    /// Answers the next request as it requests, and returns it.
    pub(crate) fn acknowledge(&mut self) -> String {
        let (kind, id) = self.request();
        let reply = if kind == "ping" { "pong" } else { "ack" };
        self.send(&format!(r#"{{"type":"{reply}","requestId":"{id}"}}"#));
        kind
    }

    /// Writes bytes that are no frames of ours.
    pub(crate) fn write_raw(&self, bytes: &[u8]) {
        write_raw(self.socket.get_ref(), bytes);
    }

    /// Reads on until the client's Close frame, and returns its code.
    pub(crate) fn close_code(&mut self) -> Option<u16> {
        soon(async {
            loop {
                match self.socket.next().await {
                    Ok(Some(received)) => {
                        if let Event::Close(frame) = received.event {
                            return frame.map(|frame| frame.code.get());
                        }
                    }
                    other => panic!("no Close frame: {other:?}"),
                }
            }
        })
    }

    /// The code of the Close frame that the client answered ours with.
    pub(crate) fn close_code_or_end(&mut self) -> Option<u16> {
        self.read_to_end();
        self.socket.closed().map(|closed| closed.code.get())
    }

    /// Reads on to the end of the connection.
    pub(crate) fn read_to_end(&mut self) {
        soon(async { while let Ok(Some(_)) = self.socket.next().await {} });
    }
}

pub(crate) fn event(number: usize) -> String {
    format!(r#"{{"type":"event","payload":{{"event":"e","profileId":"p","data":{number}}}}}"#)
}

pub(crate) fn write_raw(stream: &TcpStream, mut bytes: &[u8]) {
    soon(async {
        while !bytes.is_empty() {
            stream.writable().await.unwrap();
            match stream.try_write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
            }
        }
    });
}
