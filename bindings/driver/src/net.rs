//! Tasks and sockets, as clients and servers need them.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};

use crate::Io;

/// TLS over streams of type `S`, the way the runtime's ecosystem does it.
pub trait Tls<S>: Io<S> + Io<<Self as Tls<S>>::Stream> {
    /// A stream that is secured.
    type Stream: Unpin + Send + 'static;

    /// Makes `stream` the client's end of a TLS connection to the server that `name` is the certificate's name of.
    fn connect_tls(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        stream: S,
    ) -> impl Future<Output = io::Result<<Self as Tls<S>>::Stream>> + Send;

    /// Makes `stream` the server's end of a TLS connection.
    fn accept_tls(
        config: Arc<ServerConfig>,
        stream: S,
    ) -> impl Future<Output = io::Result<<Self as Tls<S>>::Stream>> + Send + 'static;
}

/// A runtime that can spawn tasks and open TCP connections.
pub trait Net: Tls<Self::TcpStream> {
    /// A connected TCP stream.
    type TcpStream: Unpin + Send + 'static;
    /// A listening TCP socket.
    type TcpListener: Send + Sync + 'static;

    /// Runs `task` to its end, beside the caller.
    ///
    /// # Errors
    /// There is no runtime to run it.
    fn spawn(task: impl Future<Output = ()> + Send + 'static) -> io::Result<()>;

    /// The addresses of `host`, a name or an IP address.
    fn resolve(host: &str, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;

    /// Connects to one address, with `TCP_NODELAY` (messages are small and someone waits for each) and [`limit_unsent`].
    fn connect(address: SocketAddr) -> impl Future<Output = io::Result<Self::TcpStream>> + Send;

    /// Listens on `address`.
    fn bind(address: SocketAddr) -> impl Future<Output = io::Result<Self::TcpListener>> + Send;

    /// The address that a listener listens on, with the real port.
    ///
    /// # Errors
    /// Those of the operating system.
    fn local_addr(listener: &Self::TcpListener) -> io::Result<SocketAddr>;

    /// Waits for the next connection, with `TCP_NODELAY` and [`limit_unsent`]. Cancel safe.
    fn accept(listener: &Self::TcpListener) -> impl Future<Output = io::Result<(Self::TcpStream, SocketAddr)>> + Send;
}

/// A runtime that can open Unix sockets.
#[cfg(unix)]
pub trait UnixNet: Net + Tls<Self::UnixStream> {
    /// A connected Unix socket.
    type UnixStream: Unpin + Send + 'static;
    /// A listening Unix socket.
    type UnixListener: Send + Sync + 'static;

    /// Connects to the socket at `path`.
    fn connect_unix(path: &Path) -> impl Future<Output = io::Result<Self::UnixStream>> + Send;

    /// Listens at `path`, where nothing may be yet.
    fn bind_unix(path: &Path) -> impl Future<Output = io::Result<Self::UnixListener>> + Send;

    /// Waits for the next connection. Cancel safe.
    fn accept_unix(listener: &Self::UnixListener) -> impl Future<Output = io::Result<Self::UnixStream>> + Send;
}

/// Lets the operating system hold at most 128 KiB of a TCP socket unsent (`TCP_NOTSENT_LOWAT`), where it can be told so: on Linux
/// and Android.
///
/// What it holds is neither counted by the limits of a queue nor known to the keep-alive, which allows for so much of it
/// (`protocol.md`, Keep-alive). Bytes that are on their way do not count, so a fast line stays fast.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn limit_unsent(socket: &impl std::os::fd::AsFd) {
    // The connection works all the same without it, as it does on other systems.
    let _ = socket2::SockRef::from(socket).set_tcp_notsent_lowat(128 << 10);
}

/// Lets the operating system hold little of a TCP socket unsent, where it can be told so, which is not here.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn limit_unsent<S>(_: &S) {}
