//! Connections that events are sent to, ours and the peers', after the upgrade. Each takes an event in the form that its
//! library shares among connections.

use std::marker::PhantomData;

use ::fastwebsockets::{Frame, Payload, WebSocket as FastWebSocket};
use ::wtx::collection::Vector;
use ::wtx::rng::{Xorshift64, simple_seed};
use ::wtx::web_socket::{
    Frame as WtxFrame, OpCode as WtxOpCode, WebSocket as WtxWebSocket, WebSocketBuffer, WebSocketOwned,
    WebSocketPayloadOrigin,
};
use bytes::Bytes;
use futures_util::{FutureExt, Sink, SinkExt};
use multiwa_ws_core::websocket::{Config, Negotiated, Role, SharedMessage};
use multiwa_ws_tokio::WebSocket;
use tokio::net::TcpStream;

use super::batched::Batched;

/// A connection that takes events. Its methods return whether the connection continues.
pub(super) trait Outlet: Send + 'static {
    /// An event that can be sent to many connections.
    type Message: Clone + Send + 'static;

    /// Queues an event.
    fn feed(&mut self, message: Self::Message) -> impl Future<Output = bool> + Send;

    /// Writes what is queued.
    fn flush(&mut self) -> impl Future<Output = bool> + Send;
}

/// Our stream, without the server around it.
pub(super) struct Ours(WebSocket<TcpStream>);

impl Ours {
    pub(super) fn new(stream: TcpStream, config: &Config) -> Self {
        let socket = WebSocket::from_upgraded(stream, Role::Server, config, &Negotiated::default(), &[]);
        Self(socket.expect("the system has entropy"))
    }
}

impl Outlet for Ours {
    type Message = SharedMessage;

    async fn feed(&mut self, message: SharedMessage) -> bool {
        self.0.sender().send_shared(&message).is_ok()
    }

    async fn flush(&mut self) -> bool {
        self.0.flush().await.is_ok()
    }
}

/// A peer whose connection is a sink of `M`.
pub(super) struct Fed<S, M> {
    socket: S,
    message: PhantomData<fn(M)>,
}

impl<S, M> Fed<S, M> {
    pub(super) fn new(socket: S) -> Self {
        Self { socket, message: PhantomData }
    }
}

impl<S: Sink<M> + Send + Unpin + 'static, M: Clone + Send + 'static> Outlet for Fed<S, M> {
    type Message = M;

    async fn feed(&mut self, message: M) -> bool {
        self.socket.feed(message).await.is_ok()
    }

    async fn flush(&mut self) -> bool {
        self.socket.flush().await.is_ok()
    }
}

/// `fastwebsockets` over a stream that collects its frames.
pub(super) struct Fast(FastWebSocket<Batched>);

impl Fast {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self(FastWebSocket::after_handshake(Batched::new(stream), ::fastwebsockets::Role::Server))
    }
}

impl Outlet for Fast {
    type Message = Bytes;

    async fn feed(&mut self, event: Bytes) -> bool {
        self.0.write_frame(Frame::text(Payload::Borrowed(&event))).await.is_ok()
    }

    async fn flush(&mut self) -> bool {
        self.0.flush().await.is_ok()
    }
}

/// `wtx` over a stream that collects its frames. It accepts no shared payload: each connection copies the event to a
/// place where it could be masked.
pub(super) struct Wtx {
    socket: WebSocketOwned<(), Xorshift64, Batched, false>,
    scratch: Vec<u8>,
    received: Vector<u8>,
}

impl Wtx {
    pub(super) fn new(stream: TcpStream) -> Self {
        let (stream, rng) = (Batched::new(stream), Xorshift64::from(simple_seed()));
        let socket = WtxWebSocket::new((), false, rng, stream, WebSocketBuffer::new());
        Self { socket, scratch: Vec::new(), received: Vector::new() }
    }
}

impl Outlet for Wtx {
    type Message = Bytes;

    async fn feed(&mut self, event: Bytes) -> bool {
        self.scratch.clear();
        self.scratch.extend_from_slice(&event);
        let mut frame = WtxFrame::new_fin(WtxOpCode::Text, &mut self.scratch[..]);
        self.socket.write_frame(&mut frame).await.is_ok()
    }

    /// It has no flush. The stream writes before it reads. The read is not continued, so tokio must not suspend the task
    /// that has done much already.
    async fn flush(&mut self) -> bool {
        let read = self.socket.read_frame(&mut self.received, WebSocketPayloadOrigin::Adaptive);
        tokio::task::unconstrained(read).now_or_never().is_none()
    }
}
