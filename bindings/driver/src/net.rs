//! Tasks and TCP, as clients and servers need them.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use crate::{Io, Runtime};

/// A runtime that can spawn tasks and open TCP connections.
pub trait Net: Runtime + Io<Self::TcpStream> {
    /// A connected TCP stream.
    type TcpStream: Unpin + Send + 'static;
    /// A listening TCP socket.
    type TcpListener: Send + Sync + 'static;

    /// Runs `task` to its end, beside the caller.
    fn spawn(task: impl Future<Output = ()> + Send + 'static);

    /// The addresses of `host`, a name or an IP address.
    fn resolve(host: &str, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;

    /// Connects to one address, with `TCP_NODELAY`: messages are small and someone waits for each.
    fn connect(address: SocketAddr) -> impl Future<Output = io::Result<Self::TcpStream>> + Send;

    /// Listens on `address`.
    fn bind(address: SocketAddr) -> impl Future<Output = io::Result<Self::TcpListener>> + Send;

    /// The address that a listener listens on, with the real port.
    ///
    /// # Errors
    /// Those of the operating system.
    fn local_addr(listener: &Self::TcpListener) -> io::Result<SocketAddr>;

    /// Waits for the next connection, with `TCP_NODELAY`. Cancel safe.
    fn accept(listener: &Self::TcpListener) -> impl Future<Output = io::Result<(Self::TcpStream, SocketAddr)>> + Send;
}
