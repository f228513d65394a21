//! Servers for the memory of idle connections, each in its own process: our server as users run it, and echo streams
//! after the upgrade, ours and the peers'.
//!
//! A peer has the smallest buffers that its documentation shows, or its defaults.

use std::io::{self, BufRead};
use std::net::TcpListener;

use tokio::sync::mpsc::unbounded_channel;

use super::orders::{Orders, announce};
use super::{ours, peers, raw};
use crate::race::Standing;

/// A server whose idle connections are measured.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    pub name: &'static str,
    pub standing: Standing,
    /// The exchange of each connection before it becomes idle.
    pub exchange: Exchange,
    run: fn(Orders) -> io::Result<()>,
}

/// The exchange of a connection before it becomes idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// The server sends a text back. There is no upgrade.
    Echo,
    /// After the upgrade, a ping of the MultiWA protocol.
    Ping,
    /// After the upgrade, a subscription and an event.
    Event { deflate: bool },
}

const EVENT: Exchange = Exchange::Event { deflate: false };

/// Streams after the upgrade.
pub const STREAMS: &[Idle] = &[
    echo("multiwa-ws-tokio WebSocket", Standing::Ours, |_| listen(ours::tokio)),
    echo("tokio-tungstenite", Standing::Peer, |_| listen(peers::tokio_tungstenite)),
    echo("tokio-tungstenite, 8 KiB", Standing::Peer, |_| listen(peers::tokio_tungstenite_small)),
    echo("fastwebsockets", Standing::Peer, |_| listen(peers::fastwebsockets)),
    echo("tokio-websockets", Standing::Peer, |_| listen(peers::tokio_websockets)),
    echo("sockudo-ws stream", Standing::Peer, |_| listen(peers::sockudo)),
    echo("yawc, 1 KiB", Standing::Peer, |_| listen(peers::yawc_small)),
    echo("wtx", Standing::Peer, |_| listen(peers::wtx)),
    echo("raw tokio, one buffer for all", Standing::Reference, |_| listen(raw::tokio_shared)),
];

/// Our server, without features that need memory.
pub const SERVER: Idle = server("multiwa-ws-tokio server", EVENT, |orders| ours::idle(orders, false, false));
pub const SERVER_UNSUBSCRIBED: Idle =
    server("multiwa-ws-tokio server, no subscription", Exchange::Ping, |orders| ours::idle(orders, false, false));
pub const SERVER_DEFLATE: Idle =
    server("multiwa-ws-tokio server, compression", Exchange::Event { deflate: true }, |orders| {
        ours::idle(orders, true, false)
    });
pub const SERVER_TLS: Idle = server("multiwa-ws-tokio server, TLS", EVENT, |orders| ours::idle(orders, false, true));

const fn echo(name: &'static str, standing: Standing, run: fn(Orders) -> io::Result<()>) -> Idle {
    Idle { name, standing, exchange: Exchange::Echo, run }
}

const fn server(name: &'static str, exchange: Exchange, run: fn(Orders) -> io::Result<()>) -> Idle {
    Idle { name, standing: Standing::Ours, exchange, run }
}

/// Runs the server with this name in this process, until its standard input ends. Each line of the input is a number of
/// profiles. The server publishes one event to each profile.
pub fn serve(name: &str) -> io::Result<()> {
    let servers = [SERVER, SERVER_UNSUBSCRIBED, SERVER_DEFLATE, SERVER_TLS];
    let mut all = STREAMS.iter().chain(&servers);
    let server = all.find(|server| server.name == name).ok_or(io::ErrorKind::NotFound)?;
    let (orders, taken) = unbounded_channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if let Ok(profiles) = line.parse() {
                let _ = orders.send(profiles);
            }
        }
        std::process::exit(0);
    });
    (server.run)(taken)
}

fn listen(run: fn(TcpListener) -> io::Result<()>) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    announce(listener.local_addr()?, "");
    run(listener)
}
