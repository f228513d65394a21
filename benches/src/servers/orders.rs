//! What a server and the thread or process that started it tell each other.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;

use tokio::sync::mpsc::UnboundedReceiver;

/// The work of a server that publishes.
#[derive(Clone, Debug)]
pub struct Job {
    /// The text of the event.
    pub event: String,
    /// The number of connections that get it.
    pub subscribers: usize,
    pub shape: Shape,
}

/// How a server that publishes is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A task for each connection. Ours is the whole server.
    Tasks,
    /// One loop that owns all connections.
    Loop,
}

/// The channel for the address of a server.
pub(super) type Ready = mpsc::Sender<SocketAddr>;

/// The channel for the number of events to publish at once.
pub(super) type Orders = UnboundedReceiver<usize>;

/// Listens, and sends the address.
pub(super) fn listen(ready: &Ready) -> io::Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    // The receiver exists until the address has arrived.
    let _ = ready.send(listener.local_addr()?);
    Ok(listener)
}

/// Reports the address and the certificate of the server to the parent process.
pub(super) fn announce(address: SocketAddr, certificate: &str) {
    println!("{}\n{certificate}\n", address.port());
}
