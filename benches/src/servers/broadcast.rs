//! Servers that publish events to all their connections, ours and the peers', each on one thread.
//!
//! Ours is the server as users have it, with upgrade and subscription. A peer is a stream after the upgrade in its own
//! task, with a channel in front of it that carries the event by reference. The task writes all events in the channel
//! to the stream and flushes once. It does not wait for input, as a real server must. This is an advantage for the
//! peers. Only `wtx` reads, once in a burst, because its stream writes before it reads.

use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;

use ::fastwebsockets::{Frame, Payload, WebSocket as FastWebSocket};
use ::tokio_tungstenite::WebSocketStream;
use ::wtx::collection::Vector;
use ::wtx::rng::{Xorshift64, simple_seed};
use ::wtx::web_socket::{
    Frame as WtxFrame, OpCode as WtxOpCode, WebSocket as WtxWebSocket, WebSocketBuffer, WebSocketPayloadOrigin,
};
use bytes::Bytes;
use futures_util::{FutureExt, Sink, SinkExt};
use tokio::net::TcpStream as TokioStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tungstenite::protocol::Role;

use super::batched::Batched;
use super::orders::{Orders, Ready, SUBSCRIBERS, listen};
use super::ours;
use super::thread::{block_on, pin};
use crate::corpus::{WANTED, frame};
use crate::peers::tokio_tungstenite::Buffers;
use crate::peers::{sockudo as sockudo_setup, tokio_websockets as tokio_websockets_setup, yawc as yawc_setup};
use crate::race::Standing;
use crate::subscriber;

/// A server that publishes.
#[derive(Clone, Copy, Debug)]
pub struct Broadcaster {
    pub name: &'static str,
    pub standing: Standing,
    /// Serves until the process ends, and sends its address.
    run: fn(&str, Ready, Orders) -> io::Result<()>,
    /// The steps of a client after it has connected.
    pub subscribe: fn(&mut TcpStream) -> io::Result<()>,
}

/// A running broadcaster.
#[derive(Debug)]
pub struct Broadcasting {
    pub address: SocketAddr,
    orders: UnboundedSender<usize>,
}

/// Every broadcaster.
pub const BROADCASTERS: &[Broadcaster] = &[
    Broadcaster {
        name: "multiwa-ws-tokio server",
        standing: Standing::Ours,
        run: ours::broadcast,
        subscribe: |stream| {
            let mut stream = BufReader::new(stream);
            subscriber::upgrade(&mut stream, false)?;
            subscriber::subscribe(&mut stream, WANTED)
        },
    },
    peer("tokio-tungstenite", |event, ready, orders| tokio_tungstenite(event, ready, orders, Buffers::Default)),
    peer("tokio-tungstenite, 8 KiB", |event, ready, orders| tokio_tungstenite(event, ready, orders, Buffers::Small)),
    peer("fastwebsockets, batched", fastwebsockets),
    peer("tokio-websockets", tokio_websockets),
    peer("sockudo-ws stream", sockudo),
    peer("yawc", yawc),
    peer("wtx, batched", wtx),
    Broadcaster { name: "raw writes", standing: Standing::Reference, run: raw, subscribe: |_| Ok(()) },
];

const fn peer(name: &'static str, run: fn(&str, Ready, Orders) -> io::Result<()>) -> Broadcaster {
    Broadcaster { name, standing: Standing::Peer, run, subscribe: |_| Ok(()) }
}

impl Broadcaster {
    /// Starts it on its own thread, on the first processor. `event` is the text of the event that it will publish.
    pub fn start(self, event: &str) -> io::Result<Broadcasting> {
        let (ready, address) = mpsc::channel();
        let (orders, taken) = unbounded_channel();
        let event = event.to_owned();
        // The name is for profilers.
        std::thread::Builder::new().name(self.name.to_owned()).spawn(move || {
            pin(0);
            (self.run)(&event, ready, taken).expect("the server runs");
        })?;
        let address = address.recv().map_err(|_| io::ErrorKind::NotConnected)?;
        Ok(Broadcasting { address, orders })
    }
}

impl Broadcasting {
    pub fn publish(&self, events: usize) {
        self.orders.send(events).expect("it takes orders until the process ends");
    }
}

/// Runs `subscriber` for every new connection, and sends the result of `message` for the event to all of them.
fn broadcast<M: Clone + Send + 'static, F: Future<Output = ()> + Send + 'static>(
    event: &str,
    ready: &Ready,
    mut orders: Orders,
    message: impl Fn(Bytes) -> M,
    subscriber: impl Fn(TokioStream, UnboundedReceiver<M>) -> F,
) -> io::Result<()> {
    let listener = listen(ready)?;
    listener.set_nonblocking(true)?;
    block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let mut subscribers = Vec::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (stream, _) = accepted?;
                    stream.set_nodelay(true)?;
                    let (mail, inbox) = unbounded_channel();
                    subscribers.push(mail);
                    tokio::spawn(subscriber(stream, inbox));
                }
                order = orders.recv() => {
                    let Some(events) = order else { return Ok(()) };
                    for _ in 0..events {
                        let message = message(Bytes::copy_from_slice(event.as_bytes()));
                        for subscriber in &subscribers {
                            let _ = subscriber.send(message.clone());
                        }
                    }
                }
            }
        }
    })?
}

/// Writes all available events, and flushes once.
async fn forward<M>(mut socket: impl Sink<M> + Unpin, mut inbox: UnboundedReceiver<M>) {
    while let Some(message) = inbox.recv().await {
        let mut next = Some(message);
        while let Some(message) = next {
            if socket.feed(message).await.is_err() {
                return;
            }
            next = inbox.try_recv().ok();
        }
        if socket.flush().await.is_err() {
            return;
        }
    }
}

fn tokio_tungstenite(event: &str, ready: Ready, orders: Orders, buffers: Buffers) -> io::Result<()> {
    let message = |event: Bytes| tungstenite::Message::Text(event.try_into().expect("it is text"));
    broadcast(event, &ready, orders, message, move |stream, inbox| async move {
        forward(WebSocketStream::from_raw_socket(stream, Role::Server, Some(buffers.config())).await, inbox).await;
    })
}

fn tokio_websockets(event: &str, ready: Ready, orders: Orders) -> io::Result<()> {
    broadcast(event, &ready, orders, ::tokio_websockets::Message::text::<Bytes>, |stream, inbox| {
        let config = tokio_websockets_setup::config();
        forward(::tokio_websockets::ServerBuilder::new().config(config).serve(stream), inbox)
    })
}

fn sockudo(event: &str, ready: Ready, orders: Orders) -> io::Result<()> {
    broadcast(event, &ready, orders, sockudo_ws::Message::Text, |stream, inbox| {
        forward(sockudo_ws::WebSocketStream::server(stream, sockudo_setup::config()), inbox)
    })
}

fn yawc(event: &str, ready: Ready, orders: Orders) -> io::Result<()> {
    broadcast(
        event,
        &ready,
        orders,
        |event: Bytes| ::yawc::Frame::text(event),
        |stream, inbox| {
            let socket = ::yawc::WebSocket::from_stream(stream, ::yawc::Role::Server, yawc_setup::options());
            forward(socket.expect("no extension is asked for"), inbox)
        },
    )
}

fn fastwebsockets(event: &str, ready: Ready, orders: Orders) -> io::Result<()> {
    broadcast(
        event,
        &ready,
        orders,
        |event| event,
        |stream, mut inbox: UnboundedReceiver<Bytes>| async move {
            let mut socket = FastWebSocket::after_handshake(Batched::new(stream), ::fastwebsockets::Role::Server);
            while let Some(event) = inbox.recv().await {
                let mut next = Some(event);
                while let Some(event) = next {
                    if socket.write_frame(Frame::text(Payload::Borrowed(&event))).await.is_err() {
                        return;
                    }
                    next = inbox.try_recv().ok();
                }
                if socket.flush().await.is_err() {
                    return;
                }
            }
        },
    )
}

/// It accepts no shared payload: each connection copies the event to a place where it could be masked.
fn wtx(event: &str, ready: Ready, orders: Orders) -> io::Result<()> {
    broadcast(
        event,
        &ready,
        orders,
        |event| event,
        |stream, mut inbox: UnboundedReceiver<Bytes>| async move {
            let (stream, rng) = (Batched::new(stream), Xorshift64::from(simple_seed()));
            let mut socket = WtxWebSocket::<_, _, _, _, false>::new((), false, rng, stream, WebSocketBuffer::new());
            let (mut scratch, mut received) = (Vec::new(), Vector::new());
            while let Some(event) = inbox.recv().await {
                let (mut common, mut reader, mut writer) = socket.split_mut();
                let mut next = Some(event);
                while let Some(event) = next {
                    scratch.clear();
                    scratch.extend_from_slice(&event);
                    let mut frame = WtxFrame::new_fin(WtxOpCode::Text, &mut scratch[..]);
                    if writer.write_frame(&mut common, &mut frame).await.is_err() {
                        return;
                    }
                    next = inbox.try_recv().ok();
                }
                // It has no flush. The stream writes before it reads.
                let payload = WebSocketPayloadOrigin::Adaptive;
                if reader.read_frame(&mut received, &mut common, payload).now_or_never().is_some() {
                    return;
                }
            }
        },
    )
}

/// One thread that writes encoded bytes to one socket after the other, all events of a burst at once.
fn raw(event: &str, ready: Ready, mut orders: Orders) -> io::Result<()> {
    let listener = listen(&ready)?;
    let mut subscribers = Vec::with_capacity(SUBSCRIBERS);
    for _ in 0..SUBSCRIBERS {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        subscribers.push(stream);
    }
    let mut bytes = Vec::new();
    while let Some(events) = orders.blocking_recv() {
        bytes.clear();
        for _ in 0..events {
            frame(&mut bytes, true, 0x1, None, event.as_bytes());
        }
        for subscriber in &mut subscribers {
            subscriber.write_all(&bytes)?;
        }
    }
    Ok(())
}
