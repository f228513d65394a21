//! The HTTP upgrade, as `tungstenite` makes it.

use std::fmt;
use std::mem;

use multiwa_ws_core::handshake::{self, ClientRequest, Headers};
use multiwa_ws_core::session::{DisconnectReason, Features};
use multiwa_ws_core::websocket;
use tungstenite::Error;
use tungstenite::handshake::client::{ClientHandshake, Request, Response, generate_key};
use tungstenite::handshake::{HandshakeError, MidHandshake};
use tungstenite::http::header::{self, HeaderMap, HeaderValue};
use tungstenite::protocol::{WebSocket, WebSocketConfig};

use crate::failure;
use crate::stream::{Stream, Watched};

/// An upgrade under way.
pub(crate) struct Upgrade<S: Stream> {
    handshake: Handshake<S>,
}

enum Handshake<S: Stream> {
    Waiting(Box<MidHandshake<ClientHandshake<Watched<S>>>>),
    /// It has ended.
    Over,
}

/// How an upgrade ended.
#[derive(Debug)]
pub(crate) enum Upgraded<S> {
    /// With a connection.
    Open {
        /// The connection.
        socket: Box<WebSocket<Watched<S>>>,
        /// What the server announced.
        features: Features,
    },
    /// With a refusal by the server, in HTTP.
    Refused(Box<handshake::Response>),
    /// In another way.
    Failed {
        /// What kind of failure it is.
        reason: DisconnectReason,
        /// What is known of it.
        detail: String,
    },
}

impl<S: Stream> Upgrade<S> {
    /// Begins an upgrade. Nothing is written before [`advance`](Self::advance).
    ///
    /// # Errors
    /// A request that cannot be sent, as text for a person.
    pub(crate) fn new(stream: S, request: &ClientRequest, limits: &websocket::Config) -> Result<Self, String> {
        request.check().map_err(|error| error.to_string())?;
        let request = http_request(request).map_err(|error| failure::text(&error))?;
        let handshake = ClientHandshake::start(Watched::new(stream), request, Some(socket_config(limits)));
        let handshake = handshake.map_err(|error| failure::text(&error))?;
        Ok(Self { handshake: Handshake::Waiting(Box::new(handshake)) })
    }

    /// Writes and reads what the stream allows; `None` while the answer is awaited.
    pub(crate) fn advance(&mut self) -> Option<Upgraded<S>> {
        let Handshake::Waiting(handshake) = mem::replace(&mut self.handshake, Handshake::Over) else { return None };
        match handshake.handshake() {
            Ok((socket, response)) => Some(opened(socket, &response)),
            Err(HandshakeError::Interrupted(handshake)) => {
                self.handshake = Handshake::Waiting(Box::new(handshake));
                None
            }
            Err(HandshakeError::Failure(Error::Http(response))) => {
                Some(Upgraded::Refused(Box::new(core_response(&response))))
            }
            Err(HandshakeError::Failure(error)) => Some(Upgraded::Failed {
                reason: failure::upgrade_disconnect_reason(&error),
                detail: failure::upgrade_text(&error),
            }),
        }
    }

    pub(crate) fn stream(&mut self) -> Option<&mut S> {
        match &mut self.handshake {
            Handshake::Waiting(handshake) => Some(&mut handshake.get_mut().get_mut().stream),
            Handshake::Over => None,
        }
    }
}

impl<S: Stream> fmt::Debug for Upgrade<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What waits to be sent holds the key.
        f.debug_struct("Upgrade").finish_non_exhaustive()
    }
}

fn opened<S>(socket: WebSocket<Watched<S>>, response: &Response) -> Upgraded<S> {
    // RFC 6455 section 4.1: an extension that was not offered fails the connection. `tungstenite` does not look.
    if response.headers().contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
        let detail = "the server chose an extension that was not offered".to_owned();
        return Upgraded::Failed { reason: DisconnectReason::BadUpgrade, detail };
    }
    let features = response.headers().get(Features::HEADER).and_then(|value| value.to_str().ok());
    Upgraded::Open { socket: Box::new(socket), features: features.map(Features::parse).unwrap_or_default() }
}

/// The response as the core has it, which reads its headers.
fn core_response(response: &tungstenite::http::Response<Option<Vec<u8>>>) -> handshake::Response {
    let mut headers = Headers::new();
    for (name, value) in response.headers() {
        // What the core's headers do not take, it does not read either.
        let _ = headers.append(name.as_str(), value);
    }
    let body = response.body().clone().unwrap_or_default();
    handshake::Response { status: response.status().as_u16(), headers, body, complete: false }
}

fn http_request(request: &ClientRequest) -> Result<Request, Error> {
    let mut http = tungstenite::http::Request::get(format!("ws://{}{}", request.host, request.target)).body(())?;
    let headers = http.headers_mut();
    headers.insert(header::HOST, HeaderValue::from_str(&request.host)?);
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(header::SEC_WEBSOCKET_KEY, HeaderValue::from_str(&generate_key())?);
    if let Some(origin) = &request.origin {
        headers.insert(header::ORIGIN, HeaderValue::from_str(origin)?);
    }
    if !request.subprotocols.is_empty() {
        let subprotocols = HeaderValue::from_str(&request.subprotocols.join(", "))?;
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, subprotocols);
    }
    append(headers, &request.headers)?;
    Ok(http)
}

fn append(http: &mut HeaderMap, headers: &Headers) -> Result<(), Error> {
    for (name, value) in headers.iter() {
        let mut value = HeaderValue::from_bytes(value)?;
        // Keys are among them.
        value.set_sensitive(true);
        http.append(header::HeaderName::from_bytes(name.as_bytes())?, value);
    }
    Ok(())
}

/// The limits, as `tungstenite` knows them. It has none for the fragments of a message, nor for the time that it takes.
fn socket_config(limits: &websocket::Config) -> WebSocketConfig {
    // `tungstenite` panics unless it may hold more than what it waits for.
    let max_queued = limits.max_queued.max(1);
    let max_frame = usize::try_from(limits.max_frame_len).unwrap_or(usize::MAX);
    WebSocketConfig::default()
        // It stays allocated, and grows with a message.
        .read_buffer_size(8 * 1024)
        .write_buffer_size(max_queued.min(16 * 1024) - 1)
        .max_write_buffer_size(max_queued)
        .max_message_size(Some(limits.max_message_len))
        // It reserves what a header announces, so a frame must not be longer than a message may be.
        .max_frame_size(Some(max_frame.min(limits.max_message_len)))
}
