//! Servers that publish events to all their connections, ours and the peers', each on one thread, in two shapes.
//!
//! With a task for each connection, ours is the server as users have it, with upgrade and subscription. A peer is a
//! stream after the upgrade in its own task, with a channel in front of it that carries the event by reference. The task
//! writes all events in the channel to the stream and flushes once. It does not wait for input, as a real server must.
//! This is an advantage for the peers. Only `wtx` reads, once in a burst, because its stream writes before it reads.
//!
//! In the other shape, one loop owns all connections, ours and the peers' after the upgrade. It writes the events to one
//! connection after the other, and flushes each once.

use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread::JoinHandle;

use bytes::Bytes;
use multiwa_ws_core::websocket::SharedMessage;
use tokio::net::TcpStream as TokioStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::orders::{Job, Orders, Ready, Shape, listen};
use super::ours;
use super::outlet::{Fast, Fed, Ours, Outlet, Wtx};
use super::thread::{block_on, pin};
use crate::corpus::{Reader, WANTED, frame};
use crate::peers::tokio_tungstenite::Buffers;
use crate::peers::{sockudo, tokio_tungstenite, tokio_websockets, yawc};
use crate::race::Standing;
use crate::subscriber;

/// A server that publishes.
#[derive(Clone, Copy, Debug)]
pub struct Broadcaster {
    pub name: &'static str,
    pub standing: Standing,
    /// Serves until there are no more orders, and sends its address.
    run: Serve,
    /// The steps of a client after it has connected.
    pub subscribe: fn(&mut TcpStream) -> io::Result<()>,
}

type Serve = fn(&Job, Ready, Orders) -> io::Result<()>;

/// A running broadcaster, until it is dropped.
#[derive(Debug)]
pub struct Broadcasting {
    pub address: SocketAddr,
    orders: Option<UnboundedSender<usize>>,
    thread: Option<JoinHandle<()>>,
}

const PEERS: [(&str, Serve); 7] = [
    ("tokio-tungstenite", |job, ready, orders| tungstenite(job, &ready, orders, Buffers::Default)),
    ("tokio-tungstenite, 8 KiB", |job, ready, orders| tungstenite(job, &ready, orders, Buffers::Small)),
    ("fastwebsockets, batched", |job, ready, orders| publish(job, &ready, orders, shared, Fast::new)),
    ("tokio-websockets", |job, ready, orders| {
        let message = |event: &str| ::tokio_websockets::Message::text(shared(event));
        publish(job, &ready, orders, message, |stream| Fed::new(tokio_websockets::socket(stream, Reader::Server)))
    }),
    ("sockudo-ws stream", |job, ready, orders| {
        let message = |event: &str| sockudo_ws::Message::Text(shared(event));
        publish(job, &ready, orders, message, |stream| Fed::new(sockudo::socket(stream, Reader::Server)))
    }),
    ("yawc", |job, ready, orders| {
        let message = |event: &str| ::yawc::Frame::text(shared(event));
        publish(job, &ready, orders, message, |stream| Fed::new(yawc::socket(stream, Reader::Server)))
    }),
    ("wtx, batched", |job, ready, orders| publish(job, &ready, orders, shared, Wtx::new)),
];

/// Every broadcaster of this shape.
pub fn broadcasters(shape: Shape) -> Vec<Broadcaster> {
    let mut all = vec![match shape {
        Shape::Tasks => Broadcaster {
            name: "multiwa-ws-tokio server",
            standing: Standing::Ours,
            run: ours::broadcast,
            subscribe: |stream| {
                let mut stream = BufReader::new(stream);
                subscriber::upgrade(&mut stream, false)?;
                subscriber::subscribe(&mut stream, WANTED)
            },
        },
        Shape::Loop => after_upgrade("multiwa-ws-tokio WebSocket", Standing::Ours, streams),
    }];
    all.extend(PEERS.map(|(name, run)| after_upgrade(name, Standing::Peer, run)));
    all.push(after_upgrade("raw writes", Standing::Reference, raw));
    all
}

fn after_upgrade(name: &'static str, standing: Standing, run: Serve) -> Broadcaster {
    Broadcaster { name, standing, run, subscribe: |_| Ok(()) }
}

impl Broadcaster {
    /// Starts it on its own thread, on the first processor.
    pub fn start(self, job: &Job) -> io::Result<Broadcasting> {
        let (ready, address) = mpsc::channel();
        let (orders, taken) = unbounded_channel();
        let job = job.clone();
        // The name is for profilers.
        let thread = std::thread::Builder::new().name(self.name.to_owned()).spawn(move || {
            pin(0);
            (self.run)(&job, ready, taken).expect("the server runs");
        })?;
        let address = address.recv().map_err(|_| io::ErrorKind::NotConnected)?;
        Ok(Broadcasting { address, orders: Some(orders), thread: Some(thread) })
    }
}

impl Broadcasting {
    pub fn publish(&self, events: usize) {
        let orders = self.orders.as_ref().expect("there are orders until it is dropped");
        orders.send(events).expect("it takes orders until they end");
    }
}

/// Ends the server and closes its connections, so that the next servers have the open files.
impl Drop for Broadcasting {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed.
            let _ = thread.join();
        }
    }
}

fn shared(event: &str) -> Bytes {
    Bytes::copy_from_slice(event.as_bytes())
}

fn tungstenite(job: &Job, ready: &Ready, orders: Orders, buffers: Buffers) -> io::Result<()> {
    let message = |event: &str| tungstenite::Message::text(event);
    publish(job, ready, orders, message, move |stream| {
        Fed::new(tokio_tungstenite::socket(stream, Reader::Server, buffers))
    })
}

/// Ours without the server.
fn streams(job: &Job, ready: Ready, orders: Orders) -> io::Result<()> {
    let config = ours::config();
    publish(job, &ready, orders, SharedMessage::text, move |stream| Ours::new(stream, &config))
}

/// Sends the result of `message` for the event to the result of `open` for each connection.
fn publish<O: Outlet>(
    job: &Job,
    ready: &Ready,
    orders: Orders,
    message: impl Fn(&str) -> O::Message,
    open: impl Fn(TokioStream) -> O,
) -> io::Result<()> {
    let listener = listen(ready)?;
    listener.set_nonblocking(true)?;
    block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let mut connections = Vec::with_capacity(job.subscribers);
        for _ in 0..job.subscribers {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            connections.push(open(stream));
        }
        match job.shape {
            Shape::Tasks => in_tasks(&job.event, orders, message, connections).await,
            Shape::Loop => in_a_loop(&job.event, orders, message, connections).await,
        }
        Ok(())
    })?
}

async fn in_tasks<O: Outlet>(
    event: &str,
    mut orders: Orders,
    message: impl Fn(&str) -> O::Message,
    connections: Vec<O>,
) {
    let start = |connection: O| {
        let (mail, inbox) = unbounded_channel();
        tokio::spawn(forward(connection, inbox));
        mail
    };
    let subscribers: Vec<_> = connections.into_iter().map(start).collect();
    while let Some(events) = orders.recv().await {
        for _ in 0..events {
            let message = message(event);
            for subscriber in &subscribers {
                let _ = subscriber.send(message.clone());
            }
        }
    }
}

/// Writes all available events, and flushes once.
async fn forward<O: Outlet>(mut connection: O, mut inbox: UnboundedReceiver<O::Message>) {
    while let Some(message) = inbox.recv().await {
        let mut next = Some(message);
        while let Some(message) = next {
            if !connection.feed(message).await {
                return;
            }
            next = inbox.try_recv().ok();
        }
        if !connection.flush().await {
            return;
        }
    }
}

async fn in_a_loop<O: Outlet>(
    event: &str,
    mut orders: Orders,
    message: impl Fn(&str) -> O::Message,
    mut connections: Vec<O>,
) {
    while let Some(events) = orders.recv().await {
        let burst: Vec<_> = (0..events).map(|_| message(event)).collect();
        for connection in &mut connections {
            for message in &burst {
                assert!(connection.feed(message.clone()).await, "the client stays");
            }
            assert!(connection.flush().await, "the client stays");
        }
    }
}

/// One thread that writes encoded bytes to one socket after the other, all events of a burst at once.
fn raw(job: &Job, ready: Ready, mut orders: Orders) -> io::Result<()> {
    let listener = listen(&ready)?;
    let mut subscribers = Vec::with_capacity(job.subscribers);
    for _ in 0..job.subscribers {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        subscribers.push(stream);
    }
    let mut bytes = Vec::new();
    while let Some(events) = orders.blocking_recv() {
        bytes.clear();
        for _ in 0..events {
            frame(&mut bytes, true, 0x1, None, job.event.as_bytes());
        }
        for subscriber in &mut subscribers {
            subscriber.write_all(&bytes)?;
        }
    }
    Ok(())
}
