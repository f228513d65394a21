//! Servers that follow a script of the scenario, including steps that no correct server takes.
//!
//! The kit's own encoder writes the frames, and `tungstenite` reads the frames of clients.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use multiwa_ws_core::session::Features;
use serde_json::{Value, json};
use tungstenite::handshake::server::{Request, Response};
use tungstenite::{Message, WebSocket};

use super::{Failure, LIMIT, Outcome, ensure, wait_for};
use crate::reference::RawFrame;

/// A server that follows a script on each connection.
#[derive(Debug)]
pub struct Scripted {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    connections: AtomicUsize,
    /// Scripts that have not returned.
    running: AtomicUsize,
    over: AtomicBool,
    /// The streams by the number of their connection, to be shut down at the end.
    streams: Mutex<BTreeMap<usize, TcpStream>>,
    failures: Mutex<Vec<Failure>>,
}

/// Runs `scenario` against a server. The server runs `script` on each connection and passes it the number of the
/// connection, from 1.
///
/// # Errors
/// The failures of the scenario, and those of the script before the scenario ended.
pub fn against<T>(
    script: impl Fn(usize, Incoming) -> Outcome + Send + Sync + 'static,
    scenario: impl FnOnce(&Scripted) -> Outcome<T>,
) -> Outcome<T> {
    let server = Scripted::start(script)?;
    match scenario(&server) {
        Ok(seen) => {
            // All clients have closed, so the scripts end.
            wait_for("the end of the script", || (server.shared.running.load(Ordering::SeqCst) == 0).then_some(()))?;
            let failures = server.failures();
            ensure(failures.is_empty(), || format!("the script failed: {failures:?}"))?;
            Ok(seen)
        }
        Err(failure) => Err(Failure::new(format!("{failure:?}; the script: {:?}", server.failures()))),
    }
}

impl Scripted {
    fn start(script: impl Fn(usize, Incoming) -> Outcome + Send + Sync + 'static) -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let acceptor = {
            let shared = shared.clone();
            thread::spawn(move || shared.accept(&listener, &Arc::new(script)))
        };
        Ok(Self { address, shared, acceptor: Some(acceptor) })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ws://{}/ws", self.address)
    }

    /// Where clients of the socket.io dialect connect to: its path is the default.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// The number of connections so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The failures of the script.
    fn failures(&self) -> Vec<Failure> {
        std::mem::take(&mut *lock(&self.shared.failures))
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address);
        for stream in lock(&self.shared.streams).values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    fn accept<F>(self: Arc<Self>, listener: &TcpListener, script: &Arc<F>)
    where
        F: Fn(usize, Incoming) -> Outcome + Send + Sync + 'static,
    {
        for stream in listener.incoming() {
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            let Ok(stream) = stream else { continue };
            self.running.fetch_add(1, Ordering::SeqCst);
            let number = self.connections.fetch_add(1, Ordering::SeqCst) + 1;
            if let Ok(stream) = stream.try_clone() {
                lock(&self.streams).insert(number, stream);
            }
            let (shared, script) = (self.clone(), script.clone());
            thread::spawn(move || {
                let incoming = Incoming(stream);
                let done = incoming.prepare().and_then(|()| script(number, incoming));
                lock(&shared.failures).extend(done.err());
                // This is the last handle, so dropping it closes the connection.
                lock(&shared.streams).remove(&number);
                shared.running.fetch_sub(1, Ordering::SeqCst);
            });
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The `ack` of a connection.
pub const CONNECTED: &str =
    r#"{"type":"ack","payload":{"message":"Connected to MultiWA WebSocket API","clientId":"c"}}"#;

/// The text of an event of profile `p` with JSON data.
#[must_use]
pub fn event(name: &str, data: &str) -> String {
    format!(r#"{{"type":"event","payload":{{"event":"{name}","profileId":"p","data":{data}}}}}"#)
}

/// A client that has connected and has received no answer yet.
#[derive(Debug)]
pub struct Incoming(TcpStream);

impl Incoming {
    fn prepare(&self) -> Outcome {
        self.0.set_read_timeout(Some(LIMIT))?;
        self.0.set_write_timeout(Some(LIMIT))?;
        Ok(self.0.set_nodelay(true)?)
    }

    /// Answers with 101, and then with the `ack` of the connection. `features` are the features that the server
    /// announces.
    ///
    /// # Errors
    /// If the request is not an upgrade.
    pub fn upgrade(self, features: Option<&'static str>) -> Outcome<Link> {
        #[expect(clippy::result_large_err, reason = "the signature is the library's")]
        let answer = |_: &Request, mut response: Response| {
            if let Some(features) = features
                && let Ok(features) = features.parse()
            {
                response.headers_mut().insert(Features::HEADER, features);
            }
            Ok(response)
        };
        let socket = tungstenite::accept_hdr(self.0, answer).map_err(|error| Failure::new(format!("{error}")))?;
        Ok(Link(socket))
    }

    /// Answers with 101 as a server with subscription sets, and then with the `ack` of the connection.
    ///
    /// # Errors
    /// If the request is not an upgrade.
    pub fn accept(self) -> Outcome<Link> {
        let mut link = self.upgrade(Some("subscription-sets"))?;
        link.text(CONNECTED)?;
        Ok(link)
    }

    /// Reads the request, answers with `bytes` and waits until the client closes the connection.
    ///
    /// # Errors
    /// If the client does not close it.
    pub fn answer(mut self, bytes: &str) -> Outcome {
        let mut head = Vec::<u8>::new();
        let mut piece = [0; 1024];
        while !head.ends_with(b"\r\n\r\n") {
            let length = self.0.read(&mut piece)?;
            ensure(length > 0, || "the client left before it asked".to_owned())?;
            head.extend(piece.iter().take(length));
        }
        self.0.write_all(bytes.as_bytes())?;
        self.0.shutdown(Shutdown::Write)?;
        ignore_until_end(&mut self.0)
    }

    /// Sends nothing until the client closes the connection.
    ///
    /// # Errors
    /// If the client does not close it.
    pub fn ignore(mut self) -> Outcome {
        ignore_until_end(&mut self.0)
    }
}

fn ignore_until_end(stream: &mut TcpStream) -> Outcome {
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// An open connection to a client.
#[derive(Debug)]
pub struct Link(WebSocket<TcpStream>);

impl Link {
    /// Sends bytes unchanged.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn bytes(&mut self, bytes: &[u8]) -> Outcome {
        Ok(self.0.get_mut().write_all(bytes)?)
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn frame(&mut self, frame: &RawFrame) -> Outcome {
        self.bytes(&frame.encode())
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn text(&mut self, text: &str) -> Outcome {
        self.frame(&RawFrame::text(text))
    }

    /// Sends an event of profile `p` with JSON data.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn event(&mut self, name: &str, data: &str) -> Outcome {
        self.text(&event(name, data))
    }

    /// The next request.
    ///
    /// # Errors
    /// If none arrives.
    pub fn request(&mut self) -> Outcome<Value> {
        Ok(serde_json::from_str(&self.received()?)?)
    }

    /// The next text message.
    ///
    /// # Errors
    /// If none arrives.
    pub fn received(&mut self) -> Outcome<String> {
        match self.0.read()? {
            Message::Text(text) => Ok(text.as_str().to_owned()),
            other => Err(Failure::new(format!("{other:?} instead of a request"))),
        }
    }

    /// Answers the next request as requested, and returns its type.
    ///
    /// # Errors
    /// If none arrives.
    pub fn acknowledge(&mut self) -> Outcome<String> {
        let (kind, answer) = self.answer()?;
        self.text(&answer)?;
        Ok(kind)
    }

    /// Sends text messages in one segment: `before`, the answer to the next request, and `after`.
    ///
    /// # Errors
    /// If no request arrives.
    pub fn acknowledge_between(&mut self, before: &[&str], after: &[&str]) -> Outcome {
        let (_, answer) = self.answer()?;
        let texts = before.iter().copied().chain([&*answer]).chain(after.iter().copied());
        let frames: Vec<_> = texts.flat_map(|text| RawFrame::text(text).encode()).collect();
        self.bytes(&frames)
    }

    /// The type of the next request, and its expected answer.
    fn answer(&mut self) -> Outcome<(String, String)> {
        let request = self.request()?;
        let kind = request.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let id = request.get("requestId").cloned().unwrap_or_default();
        let answer = match &*kind {
            "ping" => json!({"type": "pong", "payload": {}, "requestId": id}),
            kind => {
                let mut payload = request.get("payload").cloned().unwrap_or_else(|| json!({}));
                if let Some(payload) = payload.as_object_mut() {
                    payload.insert("action".to_owned(), format!("{kind}d").into());
                }
                json!({"type": "ack", "payload": payload, "requestId": id})
            }
        };
        Ok((kind, answer.to_string()))
    }

    /// Answers every request until the client closes the connection.
    ///
    /// # Errors
    /// If the client does not close it.
    pub fn serve(mut self) -> Outcome {
        while self.acknowledge().is_ok() {}
        self.client_left().map(drop)
    }

    /// Reads without answering until the client closes the connection. Returns the code of its Close frame, if there is
    /// one.
    ///
    /// # Errors
    /// If the client does not close it.
    pub fn client_left(&mut self) -> Outcome<Option<u16>> {
        use tungstenite::Error;
        let mut code = None;
        loop {
            match self.0.read() {
                Ok(Message::Close(frame)) => code = frame.map(|frame| frame.code.into()).or(code),
                Ok(_) => {}
                Err(Error::Io(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err(Failure::new("the client does not leave"));
                }
                Err(_) => return Ok(code),
            }
        }
    }

    /// Sends nothing more until the client closes the connection.
    ///
    /// # Errors
    /// If the client does not close it.
    pub fn ignore(mut self) -> Outcome {
        ignore_until_end(self.0.get_mut())
    }

    /// Shuts down the writing side without a Close frame.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn half_close(&mut self) -> Outcome {
        Ok(self.0.get_mut().shutdown(Shutdown::Write)?)
    }

    /// Resets the connection with RST once the script has returned.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn reset(self) -> Outcome {
        let socket = socket2::SockRef::from(self.0.get_ref());
        Ok(socket.set_linger(Some(Duration::ZERO))?)
    }
}
