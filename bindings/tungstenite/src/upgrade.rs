//! The HTTP upgrade with `tungstenite`.

use std::fmt;
use std::sync::Arc;

use multiwa_ws_core::handshake::{self, ClientRequest, Headers, ResponseError};
use multiwa_ws_core::session::{DisconnectReason, Features};
use multiwa_ws_core::websocket;
use multiwa_ws_driver::Cause;
use tungstenite::Error;
use tungstenite::handshake::client::{ClientHandshake, Request, Response, generate_key};
use tungstenite::handshake::{HandshakeError, MidHandshake};
use tungstenite::http::header::{self, HeaderMap, HeaderValue};
use tungstenite::protocol::{WebSocket, WebSocketConfig};

use crate::failure;
use crate::stream::{Stream, Watched};

/// An upgrade under way.
pub(crate) struct Upgrade<S: Stream> {
    /// `None` after it has ended.
    handshake: Option<Box<MidHandshake<ClientHandshake<Watched<S>>>>>,
}

/// How an upgrade ended.
#[derive(Debug)]
pub(crate) enum Upgraded<S> {
    /// The connection is open.
    Open {
        /// The connection.
        socket: Box<WebSocket<Watched<S>>>,
        /// The features that the server announced.
        features: Features,
    },
    /// The server refused with an HTTP response.
    Refused(Box<handshake::Response>),
    /// The upgrade failed in another way.
    Failed {
        /// The kind of failure.
        reason: DisconnectReason,
        /// The error.
        cause: Cause,
    },
}

impl<S: Stream> Upgrade<S> {
    /// Begins an upgrade. Nothing is written before [`advance`](Self::advance).
    ///
    /// # Errors
    /// The request cannot be sent.
    pub(crate) fn new(stream: S, request: &ClientRequest, limits: &websocket::Config) -> Result<Self, Cause> {
        request.check().map_err(|error| Arc::new(error) as Cause)?;
        let request = http_request(request).map_err(failure::cause)?;
        let handshake = ClientHandshake::start(Watched::new(stream), request, Some(socket_config(limits)));
        let handshake = handshake.map_err(failure::cause)?;
        Ok(Self { handshake: Some(Box::new(handshake)) })
    }

    /// Writes and reads without blocking. Returns `None` while it waits for the answer.
    pub(crate) fn advance(&mut self) -> Option<Upgraded<S>> {
        match self.handshake.take()?.handshake() {
            Ok((socket, response)) => Some(opened(socket, &response)),
            Err(HandshakeError::Interrupted(handshake)) => {
                self.handshake = Some(Box::new(handshake));
                None
            }
            Err(HandshakeError::Failure(Error::Http(response))) => {
                Some(Upgraded::Refused(Box::new(core_response(&response))))
            }
            Err(HandshakeError::Failure(error)) => Some(Upgraded::Failed {
                reason: failure::upgrade_disconnect_reason(&error),
                cause: failure::upgrade_cause(error),
            }),
        }
    }

    pub(crate) fn stream(&mut self) -> Option<&mut S> {
        let handshake = self.handshake.as_mut()?;
        Some(&mut handshake.get_mut().get_mut().stream)
    }
}

impl<S: Stream> fmt::Debug for Upgrade<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The bytes to send contain the key.
        f.debug_struct("Upgrade").finish_non_exhaustive()
    }
}

fn opened<S>(socket: WebSocket<Watched<S>>, response: &Response) -> Upgraded<S> {
    // RFC 6455 section 4.1: an extension that was not offered fails the connection. `tungstenite` does not check this.
    if response.headers().contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
        let cause = Arc::new(ResponseError::UnofferedExtension);
        return Upgraded::Failed { reason: DisconnectReason::BadUpgrade, cause };
    }
    let features = response.headers().get(Features::HEADER).and_then(|value| value.to_str().ok());
    Upgraded::Open { socket: Box::new(socket), features: features.map(Features::parse).unwrap_or_default() }
}

/// Converts the response to the type of the core, which reads its headers.
fn core_response(response: &tungstenite::http::Response<Option<Vec<u8>>>) -> handshake::Response {
    let mut headers = Headers::new();
    for (name, value) in response.headers() {
        // The core does not need a header that its `Headers` refuse.
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
        // Some of them contain keys.
        value.set_sensitive(true);
        http.append(header::HeaderName::from_bytes(name.as_bytes())?, value);
    }
    Ok(())
}

/// The limits that `tungstenite` supports. It has none for the fragments of a message and for the duration of a message.
fn socket_config(limits: &websocket::Config) -> WebSocketConfig {
    // `tungstenite` panics unless `max_write_buffer_size` is larger than `write_buffer_size`.
    let max_queued = limits.get_max_queued().max(1);
    let max_frame = usize::try_from(limits.get_max_frame_len()).unwrap_or(usize::MAX);
    WebSocketConfig::default()
        // The buffer stays allocated, and grows with a message.
        .read_buffer_size(8 * 1024)
        .write_buffer_size(max_queued.min(16 * 1024) - 1)
        .max_write_buffer_size(max_queued)
        .max_message_size(Some(limits.get_max_message_len()))
        // It reserves the length that a frame header declares, so a frame must not be longer than the longest message.
        .max_frame_size(Some(max_frame.min(limits.get_max_message_len())))
}
