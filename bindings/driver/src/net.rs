//! The traits for tasks and sockets that clients and servers need.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;
#[cfg(feature = "tls")]
use std::sync::Arc;

#[cfg(feature = "tls")]
use rustls::pki_types::ServerName;
#[cfg(feature = "tls")]
use rustls::{ClientConfig, ServerConfig};

use crate::Io;
#[cfg(feature = "tls")]
use crate::tls::unsupported;

/// TLS over streams of type `S`.
///
/// The methods exist with the feature `tls`. They have default implementations that fail, since another crate may enable
/// the feature for a binding that does not support TLS.
pub trait Tls<S>: Io<S> + Io<<Self as Tls<S>>::Stream> {
    /// Whether the binding was built with TLS. Without it, a `wss` URL is refused.
    const IS_SUPPORTED: bool = false;

    /// A stream with TLS. A binding without TLS names any stream here, such as `S`.
    type Stream: Unpin + Send + 'static;

    /// Performs the TLS handshake as the client. `name` is the name that the server's certificate must be valid for.
    #[cfg(feature = "tls")]
    fn connect_tls(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        stream: S,
    ) -> impl Future<Output = io::Result<<Self as Tls<S>>::Stream>> + Send {
        drop((config, name, stream));
        unsupported()
    }

    /// Performs the TLS handshake as the server.
    #[cfg(feature = "tls")]
    fn accept_tls(
        config: Arc<ServerConfig>,
        stream: S,
    ) -> impl Future<Output = io::Result<<Self as Tls<S>>::Stream>> + Send + 'static {
        drop((config, stream));
        unsupported()
    }
}

/// A runtime that can spawn tasks and open TCP connections.
pub trait Net: Tls<Self::TcpStream> {
    /// A connected TCP stream.
    type TcpStream: Unpin + Send + 'static;
    /// A listening TCP socket.
    type TcpListener: Send + Sync + 'static;

    /// Spawns `task`.
    ///
    /// # Errors
    /// No runtime is running.
    fn spawn(task: impl Future<Output = ()> + Send + 'static) -> io::Result<()>;

    /// Resolves `host`, a name or an IP address.
    fn resolve(host: &str, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;

    /// Connects to one address, with `TCP_NODELAY` (messages are small and latency matters) and [`limit_unsent`].
    fn connect(address: SocketAddr) -> impl Future<Output = io::Result<Self::TcpStream>> + Send;

    /// Listens on `address`.
    fn bind(address: SocketAddr) -> impl Future<Output = io::Result<Self::TcpListener>> + Send;

    /// The local address of a listener, with the real port.
    ///
    /// # Errors
    /// The errors of the operating system.
    fn local_addr(listener: &Self::TcpListener) -> io::Result<SocketAddr>;

    /// Accepts the next connection, with `TCP_NODELAY` and [`limit_unsent`]. Cancel safe.
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

    /// Listens at `path`. No file may exist there yet.
    fn bind_unix(path: &Path) -> impl Future<Output = io::Result<Self::UnixListener>> + Send;

    /// Accepts the next connection. Cancel safe.
    fn accept_unix(listener: &Self::UnixListener) -> impl Future<Output = io::Result<Self::UnixStream>> + Send;
}

/// Limits the unsent bytes that the operating system buffers for a TCP socket to 128 KiB (`TCP_NOTSENT_LOWAT`). It has an
/// effect on Linux and Android.
///
/// The limits of a queue do not count these bytes. The keep-alive cannot observe them; its deadlines allow for this
/// amount (`protocol.md`, Keep-alive). Bytes that are sent but not acknowledged do not count, so throughput stays high.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn limit_unsent(socket: &impl std::os::fd::AsFd) {
    // The connection works without this option too, as it does on other systems.
    let _ = socket2::SockRef::from(socket).set_tcp_notsent_lowat(128 << 10);
}

/// Limits the unsent bytes that the operating system buffers for a TCP socket. On this system it does nothing.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn limit_unsent<S>(_: &S) {}
