//! Clients that send and receive messages unchanged.

use std::io::{ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::{HeaderMap, HeaderName, HeaderValue};
use tungstenite::protocol::CloseFrame;
use tungstenite::{Error, HandshakeError, Message, WebSocket};

use super::programs::{Library, code, receive};
use super::{Failure, LIMIT, Outcome, ensure};
use crate::process::Program;
use crate::reference::RawFrame;

/// A kind of raw client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawKind {
    /// The kit itself, over `tungstenite`.
    Kit,
    /// Another library.
    Program(Library),
}

/// A client that the server refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
}

/// An open connection to a server.
pub trait RawClient: Send {
    /// The value of a header of the 101 response.
    fn header(&self, name: &str) -> Option<String>;

    /// Sends a text message.
    ///
    /// # Errors
    /// If it cannot be sent.
    fn send(&mut self, text: &str) -> Outcome;

    /// The next text message.
    ///
    /// # Errors
    /// If none arrives.
    fn text(&mut self) -> Outcome<String>;

    /// Begins the closing handshake.
    ///
    /// # Errors
    /// If the Close frame cannot be sent.
    fn close(&mut self, code: u16) -> Outcome;

    /// Waits for the end of the connection. Returns code and reason of the server's Close frame, or 1006 if there was
    /// none.
    ///
    /// # Errors
    /// If the connection does not end.
    fn end(&mut self) -> Outcome<(u16, String)>;

    /// Sends a message and returns the next one, which is the answer.
    ///
    /// # Errors
    /// If there is no answer.
    fn ask(&mut self, text: &str) -> Outcome<Value> {
        self.send(text)?;
        Ok(serde_json::from_str(&self.text()?)?)
    }
}

impl RawKind {
    /// Its name in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kit => "tungstenite",
            Self::Program(library) => library.name(),
        }
    }

    /// Whether it is a program that must be installed.
    #[must_use]
    pub const fn is_external(self) -> bool {
        matches!(self, Self::Program(_))
    }

    /// Connects to `url` with additional headers.
    ///
    /// # Errors
    /// If the connection attempt could not be made.
    pub fn connect(self, url: &str, headers: &[(&str, &str)]) -> Outcome<Result<Box<dyn RawClient>, Refused>> {
        match self {
            Self::Kit => Ok(KitClient::connect(url, headers)?.map(|client| Box::new(client) as Box<dyn RawClient>)),
            Self::Program(library) => library.connect(url, headers),
        }
    }

    /// Connects to `url`, expects to be accepted, and reads the `ack` of the connection.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn enter(self, url: &str) -> Outcome<Box<dyn RawClient>> {
        let mut client = self.connect(url, &[])?.map_err(|refused| Failure::new(format!("{refused:?}")))?;
        client.text()?;
        Ok(client)
    }
}

/// A client over `tungstenite`, which shares no code with ours, and its stream.
#[derive(Debug)]
pub struct KitClient {
    socket: WebSocket<TcpStream>,
    headers: HeaderMap,
}

impl KitClient {
    /// Connects to `url` with additional headers.
    ///
    /// # Errors
    /// If the server cannot be dialed.
    pub fn connect(url: &str, headers: &[(&str, &str)]) -> Outcome<Result<Self, Refused>> {
        let mut request = url.into_client_request()?;
        let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        for (name, value) in headers {
            let name: HeaderName = name.parse()?;
            request.headers_mut().insert(name, value.parse::<HeaderValue>()?);
        }
        match tungstenite::client(request, open(authority.parse()?)?) {
            Ok((socket, response)) => Ok(Ok(Self { socket, headers: response.headers().clone() })),
            Err(HandshakeError::Failure(Error::Http(response))) => {
                Ok(Err(Refused { status: Some(response.status().as_u16()) }))
            }
            Err(error) => Err(Failure::new(error)),
        }
    }

    /// Connects to `url`, expects to be accepted, and reads the `ack` of the connection.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn enter(url: &str) -> Outcome<Self> {
        let mut client = Self::connect(url, &[])?.map_err(|refused| Failure::new(format!("{refused:?}")))?;
        client.text()?;
        Ok(client)
    }

    /// Sends one frame, masked.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn frame(&mut self, frame: RawFrame) -> Outcome {
        self.bytes(&frame.masked([1, 2, 3, 4]).encode())
    }

    /// Sends bytes unchanged.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn bytes(&mut self, bytes: &[u8]) -> Outcome {
        Ok(self.stream().write_all(bytes)?)
    }

    /// The underlying stream.
    pub fn stream(&mut self) -> &mut TcpStream {
        self.socket.get_mut()
    }

    /// Resets the connection with RST when this is dropped.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn reset_on_drop(&self) -> Outcome {
        Ok(socket2::SockRef::from(self.socket.get_ref()).set_linger(Some(Duration::ZERO))?)
    }

    /// The next message or Close frame. `None` at the end of the stream.
    fn next(&mut self) -> Outcome<Option<Message>> {
        match self.socket.read() {
            Ok(message) => Ok(Some(message)),
            Err(Error::Io(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err(Failure::new("nothing comes from the server"))
            }
            Err(_) => Ok(None),
        }
    }
}

/// A stream to a server, with a limit for each read and write.
///
/// # Errors
/// If the server cannot be dialed.
pub fn open(address: SocketAddr) -> Outcome<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl RawClient for KitClient {
    fn header(&self, name: &str) -> Option<String> {
        Some(self.headers.get(name)?.to_str().ok()?.to_owned())
    }

    fn send(&mut self, text: &str) -> Outcome {
        Ok(self.socket.send(Message::text(text))?)
    }

    fn text(&mut self) -> Outcome<String> {
        loop {
            match self.next()? {
                Some(Message::Text(text)) => return Ok(text.as_str().to_owned()),
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => return Err(Failure::new(format!("{other:?} instead of a text"))),
            }
        }
    }

    fn close(&mut self, code: u16) -> Outcome {
        Ok(self.socket.close(Some(CloseFrame { code: code.into(), reason: "".into() }))?)
    }

    fn end(&mut self) -> Outcome<(u16, String)> {
        let mut end = (1006, String::new());
        while let Some(message) = self.next()? {
            if let Message::Close(frame) = message {
                end =
                    frame.map_or((1005, String::new()), |frame| (frame.code.into(), frame.reason.as_str().to_owned()));
            }
        }
        // A broken connection cannot be shut down.
        let _ = self.stream().shutdown(Shutdown::Both);
        Ok(end)
    }
}

impl Library {
    /// Connects to `url` with additional headers.
    ///
    /// # Errors
    /// If the client cannot be started.
    pub fn connect(self, url: &str, headers: &[(&str, &str)]) -> Outcome<Result<Box<dyn RawClient>, Refused>> {
        self.connect_in(url, headers, &[])
    }

    /// Connects to `url` and trusts the authority whose certificate is in a file.
    ///
    /// # Errors
    /// If the client cannot be started.
    pub fn connect_trusting(self, url: &str, authority: &Path) -> Outcome<Result<Box<dyn RawClient>, Refused>> {
        // Node.js and the OpenSSL of Python read authorities from these variables.
        self.connect_in(url, &[], &[("NODE_EXTRA_CA_CERTS", authority), ("SSL_CERT_FILE", authority)])
    }

    fn connect_in(
        self,
        url: &str,
        headers: &[(&str, &str)],
        environment: &[(&str, &Path)],
    ) -> Outcome<Result<Box<dyn RawClient>, Refused>> {
        let mut arguments = vec![url.to_owned()];
        arguments.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
        let mut program = self.run("client", &arguments, environment)?;
        let opened = receive(&mut program, |message| match message.get("open") {
            Some(headers) => Some(Ok(headers.clone())),
            None => code(message, "refused").map(|status| Err(Refused { status: Some(status) })),
        })?;
        Ok(opened.map(|headers| Box::new(ClientProgram { program, headers, end: None }) as Box<dyn RawClient>))
    }
}

/// A running client of another library.
struct ClientProgram {
    program: Program,
    /// The headers of the 101 response.
    headers: Value,
    /// How the connection ended, if the program has already reported it.
    end: Option<(u16, String)>,
}

impl ClientProgram {
    fn receive<T>(&mut self, mut desired: impl FnMut(&Value) -> Option<T>) -> Outcome<T> {
        let end = &mut self.end;
        receive(&mut self.program, |message| {
            if let Some(code) = code(message, "closed") {
                let reason = message.get("reason").and_then(Value::as_str).unwrap_or_default();
                *end = Some((code, reason.to_owned()));
            }
            desired(message)
        })
    }
}

impl RawClient for ClientProgram {
    fn header(&self, name: &str) -> Option<String> {
        Some(self.headers.get(name.to_ascii_lowercase())?.as_str()?.to_owned())
    }

    fn send(&mut self, text: &str) -> Outcome {
        Ok(self.program.write_line(&json!({"send": text}).to_string())?)
    }

    fn text(&mut self) -> Outcome<String> {
        let text = self.receive(|message| match message.get("text") {
            Some(text) => text.as_str().map(|text| Some(text.to_owned())),
            None => message.get("closed").map(|_| None),
        })?;
        text.ok_or_else(|| Failure::new(format!("the connection ended: {:?}", self.end)))
    }

    fn close(&mut self, code: u16) -> Outcome {
        Ok(self.program.write_line(&json!({"close": code}).to_string())?)
    }

    fn end(&mut self) -> Outcome<(u16, String)> {
        if self.end.is_none() {
            self.receive(|message| message.get("closed").map(drop))?;
        }
        ensure(self.end.is_some(), || "it ended without a code".to_owned())?;
        Ok(self.end.clone().unwrap_or_default())
    }
}
