//! Clients that count the events which a server [pumps](crate::servers::pump), each over its own connection.
//!
//! Every client does its work in the thread of its turn: a runtime of tokio runs on that thread, and only during the
//! turn. While a client waits for its next turn, its server is blocked by the full buffers of the connection. Only our
//! blocking client has a thread of its own.
//!
//! Ours is the client as users have it: with the upgrade, the session and its subscription. The connection of a peer
//! begins after the upgrade.

use std::hint::black_box;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream as StdTcpStream};

use futures_util::StreamExt;
use multiwa_ws_core::client::Received;
use multiwa_ws_core::session::{ClientConfig, ClientEvent, Event};
use multiwa_ws_core::{Instant, KeepAlive};
use tokio::net::TcpStream;

use crate::corpus::{Reader, WANTED, Wire};
use crate::json::Events;
use crate::memory::READ;
use crate::ours::{self, Look, Run};
use crate::peers::tokio_tungstenite::Buffers;
use crate::peers::{self, Messages};
use crate::process::threads_named;
use crate::race::Contestant;
use crate::servers::{pump, runtime};

/// The names of ours.
pub const NEXT: &str = "multiwa-ws-tokio, Updates::next";
pub const STREAM: &str = "multiwa-ws-tokio, Stream";
pub const BLOCKING: &str = "multiwa-ws-tungstenite";
/// The peer of the blocking client.
pub const BLOCKING_PEER: &str = "tungstenite + serde_json borrowed";
/// The reference of ours.
pub const CORE: &str = "core, driven by hand";

/// Every client of a server that sends `wire`.
pub fn contestants(wire: &Wire) -> io::Result<Vec<Contestant>> {
    let reader = Reader::Client;
    let (blocking, thread) = blocking(wire)?;
    Ok(vec![
        Contestant::ours(NEXT, next(wire)?),
        Contestant::ours(STREAM, stream(wire)?),
        Contestant::ours(BLOCKING, blocking).with_thread(thread),
        Contestant::peer(
            "tokio-tungstenite + serde_json borrowed",
            peer(wire, |stream| peers::tokio_tungstenite::socket(stream, reader, Buffers::Default))?,
        ),
        Contestant::peer(
            "tokio-tungstenite, 8 KiB + serde_json borrowed",
            peer(wire, |stream| peers::tokio_tungstenite::socket(stream, reader, Buffers::Small))?,
        ),
        Contestant::peer(
            "fastwebsockets + serde_json borrowed",
            peer(wire, |stream| peers::fastwebsockets::socket(stream, reader))?,
        ),
        Contestant::peer(
            "tokio-websockets + serde_json borrowed",
            peer(wire, |stream| peers::tokio_websockets::socket(stream, reader))?,
        ),
        Contestant::peer(
            "sockudo-ws stream + serde_json borrowed",
            peer(wire, |stream| peers::sockudo::socket(stream, reader))?,
        ),
        Contestant::peer("yawc + serde_json borrowed", peer(wire, |stream| peers::yawc::socket(stream, reader))?),
        Contestant::peer("wtx + serde_json borrowed", peer(wire, peers::wtx::client)?),
        Contestant::peer(
            BLOCKING_PEER,
            peers::tungstenite::decode(
                StdTcpStream::connect(pump::start(wire, false)?)?,
                reader,
                wire.messages,
                Events::default(),
            ),
        ),
        Contestant::reference(CORE, by_hand(wire)?),
        Contestant::reference("read alone", read(wire)?),
    ])
}

/// What an application does with an event: it takes the data.
fn look(event: &Event<'_>) {
    black_box(event.data());
}

/// Nobody answers the pings of a session.
fn session() -> ClientConfig {
    ClientConfig::new().keep_alive(KeepAlive::OFF)
}

fn url(address: SocketAddr) -> String {
    format!("ws://{address}/ws")
}

/// Our client on tokio, and its updates.
async fn connected(wire: &Wire) -> io::Result<(multiwa_ws_tokio::Client, multiwa_ws_tokio::Updates)> {
    let builder = multiwa_ws_tokio::Client::builder(url(pump::start(wire, true)?)).session(session());
    builder.subscribe(WANTED, ["*"]).connect().await.map_err(io::Error::other)
}

/// Our client, whose updates are lent.
fn next(wire: &Wire) -> io::Result<Run> {
    let runtime = runtime()?;
    let (client, mut updates) = runtime.block_on(connected(wire))?;
    let messages = wire.messages;
    Ok(Box::new(move || {
        // The client stays open while there is a handle.
        let _client = &client;
        runtime.block_on(async {
            let mut events = 0;
            while events < messages {
                let update = updates.next().await.expect("the server does not end");
                if let multiwa_ws_tokio::Update::Event(event) = &update {
                    look(event);
                    events += 1;
                }
            }
            events as u64
        })
    }))
}

/// Our client, whose updates own their text.
fn stream(wire: &Wire) -> io::Result<Run> {
    let runtime = runtime()?;
    let (client, mut updates) = runtime.block_on(connected(wire))?;
    let messages = wire.messages;
    Ok(Box::new(move || {
        let _client = &client;
        runtime.block_on(async {
            let mut events = 0;
            while events < messages {
                let update = StreamExt::next(&mut updates).await.expect("the server does not end");
                if let multiwa_ws_tokio::Update::Event(event) = &update {
                    look(event);
                    events += 1;
                }
            }
            events as u64
        })
    }))
}

/// Our client without a runtime, and the number of its thread.
fn blocking(wire: &Wire) -> io::Result<(Run, u32)> {
    let name = "multiwa-ws client";
    // The thread of an earlier client may not have ended yet.
    let before = threads_named(name)?;
    let builder = multiwa_ws_tungstenite::Client::builder(url(pump::start(wire, true)?)).session(session());
    let (client, mut updates) = builder.subscribe(WANTED, ["*"]).connect().map_err(io::Error::other)?;
    let thread = threads_named(name)?.into_iter().find(|thread| !before.contains(thread));
    let thread = thread.ok_or(io::ErrorKind::NotFound)?;
    let messages = wire.messages;
    let run: Run = Box::new(move || {
        let _client = &client;
        let mut events = 0;
        while events < messages {
            let update = updates.next().expect("the server does not end");
            if let multiwa_ws_tungstenite::Update::Event(event) = &update {
                look(event);
                events += 1;
            }
        }
        events as u64
    });
    Ok((run, thread))
}

/// A peer on tokio.
fn peer<M: Messages>(wire: &Wire, open: impl FnOnce(TcpStream) -> M) -> io::Result<Run> {
    let runtime = runtime()?;
    let address = pump::start(wire, false)?;
    let mut socket = runtime.block_on(async {
        let stream = TcpStream::connect(address).await?;
        Ok::<_, io::Error>(open(stream))
    })?;
    let (messages, mut events) = (wire.messages, Events::default());
    Ok(Box::new(move || {
        runtime.block_on(socket.read(messages, &mut events));
        events.found()
    }))
}

/// The client of our core, over a blocking socket.
fn by_hand(wire: &Wire) -> io::Result<Run> {
    let mut stream = StdTcpStream::connect(pump::start(wire, false)?)?;
    let mut client = ours::subscriber();
    let mut buffer = vec![0; READ];
    // The bytes of the last read that are left for the next pass.
    let (mut start, mut end) = (0, 0);
    let messages = wire.messages;
    Ok(Box::new(move || {
        let mut events = 0;
        loop {
            let mut input = &mut buffer[start..end];
            while events < messages
                && let Some(Received { event, .. }) = client.handle_input(Instant::from_nanos(1), &mut input)
            {
                if let ClientEvent::Event(event) = &event {
                    look(event);
                    events += 1;
                }
            }
            start = end - input.len();
            if events == messages {
                return events as u64;
            }
            (start, end) = (0, stream.read(&mut buffer).expect("the server does not end"));
            assert_ne!(end, 0, "the server has closed");
        }
    }))
}

/// The bytes of the socket, without a look at them.
fn read(wire: &Wire) -> io::Result<Run> {
    let mut stream = StdTcpStream::connect(pump::start(wire, false)?)?;
    let mut buffer = vec![0; READ];
    let (messages, len) = (wire.messages, wire.bytes.len());
    // What the last pass has read too much.
    let mut bytes = 0;
    Ok(Box::new(move || {
        while bytes < len {
            let read = stream.read(&mut buffer).expect("the server does not end");
            assert_ne!(read, 0, "the server has closed");
            bytes += read;
        }
        bytes -= len;
        messages as u64
    }))
}
