//! The peers. If a peer reports that no further message is available, it flushes its answers.

use std::io;
use std::net::TcpListener;

use ::fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, WebSocket as FastWebSocket};
use ::tokio_tungstenite::WebSocketStream;
use ::wtx::collection::Vector;
use ::wtx::rng::{Xorshift64, simple_seed};
use ::wtx::stream::Stream as WtxStream;
use ::wtx::web_socket::{
    Frame as WtxFrame, OpCode as WtxOpCode, WebSocket as WtxWebSocket, WebSocketBuffer, WebSocketPayloadOrigin,
};
use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tungstenite::protocol::Role;

use super::batched::Batched;
use super::thread::serve;
use crate::peers::tokio_tungstenite::Buffers;
use crate::peers::{sockudo as sockudo_setup, yawc as yawc_setup};

/// Answers each message with the result of `answer`, and flushes when no further message is available.
async fn echo<M, S, T>(mut socket: S, answer: impl Fn(T) -> Option<M>)
where
    S: Stream<Item = T> + Sink<M> + Unpin,
{
    while let Some(message) = socket.next().await {
        let mut next = Some(message);
        while let Some(message) = next {
            let Some(message) = answer(message) else { return };
            if socket.feed(message).await.is_err() {
                return;
            }
            next = match socket.next().now_or_never() {
                Some(None) => return,
                Some(message) => message,
                None => None,
            };
        }
        if socket.flush().await.is_err() {
            return;
        }
    }
}

fn tungstenite_server(listener: TcpListener, buffers: Buffers) -> io::Result<()> {
    serve(listener, move |stream| async move {
        let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(buffers.config())).await;
        echo(socket, |message| message.ok().filter(tungstenite::Message::is_text)).await;
    })
}

pub(super) fn tokio_tungstenite(listener: TcpListener) -> io::Result<()> {
    tungstenite_server(listener, Buffers::Default)
}

pub(super) fn tokio_tungstenite_small(listener: TcpListener) -> io::Result<()> {
    tungstenite_server(listener, Buffers::Small)
}

pub(super) fn tokio_websockets(listener: TcpListener) -> io::Result<()> {
    serve(listener, |stream| async {
        let config = crate::peers::tokio_websockets::config();
        let socket = ::tokio_websockets::ServerBuilder::new().config(config).serve(stream);
        echo(socket, |message| message.ok().filter(::tokio_websockets::Message::is_text)).await;
    })
}

pub(super) fn sockudo(listener: TcpListener) -> io::Result<()> {
    serve(listener, |stream| async {
        let socket = sockudo_ws::WebSocketStream::server(stream, sockudo_setup::config());
        echo(socket, |message| message.ok().filter(sockudo_ws::Message::is_text)).await;
    })
}

pub(super) fn yawc(listener: TcpListener) -> io::Result<()> {
    yawc_server(listener, yawc_setup::options)
}

/// With the buffers that its documentation shows for connections that are mostly idle.
pub(super) fn yawc_small(listener: TcpListener) -> io::Result<()> {
    yawc_server(listener, || yawc_setup::options().with_read_buffer_capacity(1024).with_write_buffer_capacity(1024))
}

fn yawc_server(listener: TcpListener, options: fn() -> ::yawc::Options) -> io::Result<()> {
    serve(listener, move |stream| async move {
        let socket = ::yawc::WebSocket::from_stream(stream, ::yawc::Role::Server, options());
        let socket = socket.expect("no extension is asked for");
        echo(socket, |frame: ::yawc::Frame| (frame.opcode() == ::yawc::OpCode::Text).then_some(frame)).await;
    })
}

pub(super) fn fastwebsockets(listener: TcpListener) -> io::Result<()> {
    serve(listener, fast_echo)
}

pub(super) fn fastwebsockets_batched(listener: TcpListener) -> io::Result<()> {
    serve(listener, |stream| fast_echo(Batched::new(stream)))
}

async fn fast_echo(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut socket = FragmentCollector::new(FastWebSocket::after_handshake(stream, ::fastwebsockets::Role::Server));
    while let Ok(frame) = socket.read_frame().await {
        if frame.opcode != OpCode::Text {
            return;
        }
        let payload = match frame.payload {
            Payload::Bytes(bytes) => Payload::Bytes(bytes),
            other => Payload::Owned(other.into()),
        };
        if socket.write_frame(Frame::new(true, OpCode::Text, None, payload)).await.is_err() {
            return;
        }
    }
}

pub(super) fn wtx(listener: TcpListener) -> io::Result<()> {
    serve(listener, wtx_echo)
}

pub(super) fn wtx_batched(listener: TcpListener) -> io::Result<()> {
    serve(listener, |stream| wtx_echo(Batched::new(stream)))
}

async fn wtx_echo(stream: impl WtxStream) {
    let rng = Xorshift64::from(simple_seed());
    let buffer = WebSocketBuffer::with_capacity(64 << 10, 0, 0).expect("there is memory");
    let mut socket = WtxWebSocket::<_, _, _, _, false>::new((), false, rng, stream, buffer);
    let mut buffer = Vector::new();
    loop {
        let (mut common, mut reader, mut writer) = socket.split_mut();
        let Ok(mut frame) = reader.read_frame(&mut buffer, &mut common, WebSocketPayloadOrigin::Adaptive).await else {
            return;
        };
        if frame.op_code() != WtxOpCode::Text {
            return;
        }
        let mut answer = WtxFrame::new_fin(WtxOpCode::Text, &mut **frame.payload_mut());
        if writer.write_frame(&mut common, &mut answer).await.is_err() {
            return;
        }
    }
}
