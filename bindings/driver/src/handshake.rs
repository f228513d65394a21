//! The WebSocket upgrade over a stream.

use std::future::poll_fn;
use std::task::{Context, Poll};

use multiwa_ws_core::handshake::{
    Acceptance, Answer, ClientHandshake, ClientRequest, HandshakeLimits, Rejection, ServerHandshake, ServerPhase,
    UpgradeRequest, Upgraded,
};
use multiwa_ws_core::websocket::{Config, Role};
use multiwa_ws_core::{Instant, StateMachine};

use crate::buffer::ReadBuffer;
use crate::error::HandshakeError;
use crate::transport::{Read, Timer, Transport};
use crate::{Io, Runtime, WebSocket, seed};

/// The configuration of a [`WebSocket`].
#[derive(Clone, Debug)]
pub struct WebSocketConfig {
    pub(crate) connection: Config,
    pub(crate) handshake: HandshakeLimits,
}

impl WebSocketConfig {
    /// The defaults, which each setter documents.
    #[must_use]
    pub const fn new() -> Self {
        Self { connection: Config::new(), handshake: HandshakeLimits::new() }
    }

    /// Limits, keep-alive and compression of the connection. The builders of a client and of a server call the same setting
    /// `websocket`.
    #[must_use]
    pub const fn connection(mut self, config: Config) -> Self {
        self.connection = config;
        self
    }

    /// Limits of the upgrade.
    #[must_use]
    pub const fn handshake(mut self, limits: HandshakeLimits) -> Self {
        self.handshake = limits;
        self
    }
}

impl Default for WebSocketConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Unpin, R: Io<S>> WebSocket<S, R> {
    /// Upgrades `stream` as a client, with `request`. Dropping the future drops the stream.
    ///
    /// # Errors
    /// The request is invalid, the server refused or violated the protocol, or the stream failed.
    pub async fn connect(
        stream: S,
        request: ClientRequest,
        config: &WebSocketConfig,
    ) -> Result<(Self, Upgraded), HandshakeError> {
        let mut handshake = ClientHandshake::new(R::now(), request, config.handshake, seed()?)?;
        let mut upgrade = Upgrade::<S, R>::new(stream);
        let answer = loop {
            let answer = match upgrade.progress(&mut handshake).await {
                Progress::Input => upgrade.buffer.consume(|input| handshake.handle_input(R::now(), input)),
                Progress::Eof => handshake.handle_eof(R::now()),
                Progress::Timeout(now) => handshake.handle_timeout(now),
            };
            match (upgrade.transport.error.take(), answer) {
                (_, Ok(Some(answer))) => break answer,
                (Some(error), _) => return Err(error.into()),
                (None, answer) => answer?,
            };
        };
        match answer {
            Answer::Upgraded(upgraded) => {
                let Upgrade { transport, buffer, .. } = upgrade;
                let connection = &config.connection;
                let socket = Self::new(transport, buffer, Role::Client, connection, &upgraded.negotiated)?;
                Ok((socket, upgraded))
            }
            Answer::Refused(refusal) => Err(HandshakeError::Refused(Box::new(refusal))),
        }
    }

    /// Answers the upgrade request on `stream` as a server; `decide` accepts or rejects it. Completes when the response
    /// is written. Dropping the future drops the stream.
    ///
    /// # Errors
    /// The request was invalid or rejected (the client receives a response in both cases), or the stream failed.
    pub async fn accept(
        stream: S,
        config: &WebSocketConfig,
        decide: impl FnOnce(&UpgradeRequest) -> Result<Acceptance, Rejection>,
    ) -> Result<(Self, UpgradeRequest, Upgraded), HandshakeError> {
        let mut handshake = ServerHandshake::new(R::now(), config.handshake);
        let mut upgrade = Upgrade::<S, R>::new(stream);
        let mut decide = Some(decide);
        let accepted = loop {
            // An invalid request is answered first, and its error is returned after the response is written.
            match upgrade.progress(&mut handshake).await {
                Progress::Input => {
                    let _ = upgrade.buffer.consume(|input| handshake.handle_input(R::now(), input).is_ok());
                }
                Progress::Eof => drop(handshake.handle_eof(R::now())),
                Progress::Timeout(now) => drop(handshake.handle_timeout(now)),
            }
            if let Some(request) = handshake.request()
                && let Some(decide) = decide.take()
            {
                match decide(request) {
                    Ok(acceptance) => handshake.accept(R::now(), &acceptance)?,
                    Err(rejection) => handshake.reject(R::now(), &rejection)?,
                }
            }
            if handshake.state() == ServerPhase::Accepting {
                upgrade.respond(&mut handshake).await?;
            }
            if let Some(accepted) = handshake.poll_accepted() {
                break accepted;
            }
            match (upgrade.transport.error.take(), handshake.error()) {
                (Some(error), _) => return Err(error.into()),
                (None, Some(error)) if handshake.is_closed() => return Err(error.into()),
                (None, None) if handshake.is_closed() => return Err(HandshakeError::Rejected),
                _ => {}
            }
        };
        let Upgrade { transport, buffer, .. } = upgrade;
        let negotiated = &accepted.upgraded.negotiated;
        let socket = Self::new(transport, buffer, Role::Server, &config.connection, negotiated)?;
        Ok((socket, accepted.request, accepted.upgraded))
    }
}

/// A stream whose upgrade is in progress.
struct Upgrade<S, R: Runtime> {
    transport: Transport<S>,
    buffer: ReadBuffer,
    timer: Timer<R>,
}

/// An input of the upgrade.
enum Progress {
    /// Bytes are in the buffer.
    Input,
    /// The stream has ended or failed.
    Eof,
    /// A deadline has passed.
    Timeout(Instant),
}

impl<S: Unpin, R: Io<S>> Upgrade<S, R> {
    fn new(stream: S) -> Self {
        Self { transport: Transport::new(stream), buffer: ReadBuffer::default(), timer: Timer::new() }
    }

    /// Writes the output of the handshake until an input arrives.
    async fn progress(&mut self, handshake: &mut impl StateMachine) -> Progress {
        poll_fn(|cx| self.poll_progress(cx, handshake)).await
    }

    /// Writes the response that accepts the upgrade. Bytes after the client's request stay unread until then.
    async fn respond(&mut self, handshake: &mut ServerHandshake) -> Result<(), HandshakeError> {
        let late = poll_fn(|cx| match self.transport.poll_write::<R>(cx, handshake) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => self.timer.poll(cx, handshake.poll_timeout()).map(Some),
        })
        .await;
        match (self.transport.error.take(), late) {
            (Some(error), _) => Err(error.into()),
            (None, Some(now)) => Ok(handshake.handle_timeout(now)?),
            (None, None) => Ok(()),
        }
    }

    fn poll_progress(&mut self, cx: &mut Context<'_>, handshake: &mut impl StateMachine) -> Poll<Progress> {
        let _ = self.transport.poll_write::<R>(cx, handshake);
        if self.transport.error.is_some() {
            return Poll::Ready(Progress::Eof);
        }
        self.buffer.release();
        match self.transport.poll_read::<R>(cx, &mut self.buffer) {
            Poll::Ready(Read::Bytes) => return Poll::Ready(Progress::Input),
            Poll::Ready(Read::Eof | Read::Failed) => return Poll::Ready(Progress::Eof),
            Poll::Pending => {}
        }
        self.timer.poll(cx, handshake.poll_timeout()).map(Progress::Timeout)
    }
}
