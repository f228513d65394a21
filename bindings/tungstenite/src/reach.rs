//! Dials a server: by TCP or a Unix socket, through a proxy, over TLS. All of it may block.

use std::io::{self, Read, Write};
use std::net::{self, ToSocketAddrs as _};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use multiwa_ws_core::handshake::{ClientRequest, Response};
use multiwa_ws_core::session::DisconnectReason;
use multiwa_ws_driver::{
    BuildError, ConnectorError, Destination, Endpoint, Proxy, RedirectError, RequestSettings, Target, Tunnel,
    limit_unsent,
};

use crate::dial::Connector;
use crate::race::race;
use crate::stream::Stream;
use crate::tls::{TlsSettings, disconnect_reason};

/// Opens streams to the target of the URL, a provider or a redirect.
pub(crate) struct Reach {
    source: Source,
    route: Route,
    tls: TlsSettings,
    /// The time limit for dialing the server.
    timeout: Duration,
    /// The target of the latest attempt.
    latest: Option<Target>,
}

/// The source of the next target.
pub(crate) enum Source {
    /// The same server each time.
    Fixed(Box<Target>),
    /// The destination that a provider returns.
    Provided(Provider, RequestSettings),
}

/// Called before each attempt with its number.
pub(crate) type Provider = Arc<dyn Fn(u32) -> Result<Destination, ConnectorError> + Send + Sync>;

/// The route to the server.
#[derive(Clone)]
pub(crate) enum Route {
    Direct,
    Proxy(Proxy),
    /// The proxy that the environment sets for each server.
    #[cfg(feature = "proxy-env")]
    ProxyFromEnv,
    /// A socket of one server.
    #[cfg(unix)]
    Unix(PathBuf),
}

impl Reach {
    /// # Errors
    /// The fixed target needs TLS, and the setup of TLS failed.
    pub(crate) fn new(source: Source, route: Route, tls: TlsSettings, timeout: Duration) -> Result<Self, BuildError> {
        let mut reach = Self { source, route, tls, timeout, latest: None };
        if let Source::Fixed(target) = &reach.source
            && target.endpoint.is_tls()
        {
            reach.tls.handshake(&target.endpoint)?;
        }
        Ok(reach)
    }

    fn open(&mut self, target: Target) -> Result<(Box<dyn Stream>, ClientRequest), ConnectorError> {
        let deadline = Instant::now() + self.timeout;
        let endpoint = &target.endpoint;
        let stream = match &self.route {
            Route::Direct => secure(connect(endpoint, None, deadline)?, endpoint, &mut self.tls, deadline)?,
            Route::Proxy(proxy) => {
                secure(connect(endpoint, Some(proxy), deadline)?, endpoint, &mut self.tls, deadline)?
            }
            #[cfg(feature = "proxy-env")]
            Route::ProxyFromEnv => {
                let proxy = Proxy::from_env(endpoint).map_err(lost(DisconnectReason::Stopped))?;
                secure(connect(endpoint, proxy.as_ref(), deadline)?, endpoint, &mut self.tls, deadline)?
            }
            #[cfg(unix)]
            Route::Unix(path) => {
                let socket = UnixStream::connect(path).map_err(lost(DisconnectReason::Io))?;
                secure(socket, endpoint, &mut self.tls, deadline)?
            }
        };
        let request = target.request.clone();
        self.latest = Some(target);
        Ok((stream, request))
    }

    fn redirected(&self, response: &Response) -> Result<Target, RedirectError> {
        let target = self.latest.as_ref().ok_or(RedirectError::NoLocation)?;
        let led = target.redirected(response)?;
        #[cfg(unix)]
        if matches!(self.route, Route::Unix(_)) && !led.endpoint.has_origin_of(&target.endpoint) {
            return Err(RedirectError::OutOfReach);
        }
        Ok(led)
    }
}

impl Connector for Reach {
    type Stream = Box<dyn Stream>;

    fn connect(&mut self, attempt: u32) -> Result<(Box<dyn Stream>, ClientRequest), ConnectorError> {
        let target = match &self.source {
            Source::Fixed(target) => (**target).clone(),
            // An invalid request would stay invalid, so the client stops.
            Source::Provided(provider, settings) => {
                settings.target(&provider(attempt)?).map_err(lost(DisconnectReason::Stopped))?
            }
        };
        self.open(target)
    }

    fn redirect(&mut self, response: &Response) -> Result<(Box<dyn Stream>, ClientRequest), ConnectorError> {
        let reason = DisconnectReason::Refused { status: response.status, retry_after: response.retry_after() };
        let target = self.redirected(response).map_err(lost(reason))?;
        self.open(target)
    }
}

fn lost<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    reason: DisconnectReason,
) -> impl FnOnce(E) -> ConnectorError {
    move |error| {
        let error = error.into();
        // Keep an error of the operating system unchanged.
        let error = error.downcast::<io::Error>().map_or_else(io::Error::other, |error| *error);
        ConnectorError { reason, error }
    }
}

/// Connects to `endpoint` by TCP, or to `proxy` and through it.
fn connect(endpoint: &Endpoint, proxy: Option<&Proxy>, deadline: Instant) -> Result<net::TcpStream, ConnectorError> {
    let (host, port) = proxy.map_or((endpoint.host(), endpoint.port()), |proxy| (proxy.host(), proxy.port()));
    let addresses = (host, port).to_socket_addrs().map_err(lost(DisconnectReason::Dns))?;
    let stream = race(addresses, deadline).map_err(lost(DisconnectReason::Io))?;
    // Messages are small and must not be delayed.
    stream.set_nodelay(true).map_err(lost(DisconnectReason::Io))?;
    limit_unsent(&stream);
    match proxy {
        None => Ok(stream),
        Some(proxy) => {
            stream.set_nonblocking(false).map_err(lost(DisconnectReason::Io))?;
            let mut timed = Timed { socket: stream, deadline };
            open_tunnel(&mut timed, Tunnel::new(proxy, endpoint)).map_err(lost(DisconnectReason::Io))?;
            Ok(timed.socket)
        }
    }
}

fn open_tunnel(stream: &mut (impl Read + Write), mut tunnel: Tunnel) -> io::Result<()> {
    stream.write_all(tunnel.poll_transmit())?;
    tunnel.transmitted(usize::MAX);
    // Read one byte at a time, so that the bytes after the answer stay in the stream. This happens once per connection.
    let mut byte = [0];
    loop {
        let answered = match stream.read(&mut byte)? {
            0 => Err(tunnel.handle_eof()),
            _ => tunnel.handle_input(&mut &byte[..]),
        };
        if answered.map_err(io::Error::other)? {
            return Ok(());
        }
    }
}

/// Adds TLS over `socket` if `endpoint` needs it.
fn secure<S: Socket>(
    socket: S,
    endpoint: &Endpoint,
    settings: &mut TlsSettings,
    deadline: Instant,
) -> Result<Box<dyn Stream>, ConnectorError> {
    if !endpoint.is_tls() {
        return Ok(Box::new(socket.pollable().map_err(lost(DisconnectReason::Io))?));
    }
    let mut handshake = settings.handshake(endpoint).map_err(|error| match error {
        // Missing TLS support is permanent, so the client stops.
        BuildError::NoTls => lost(DisconnectReason::Stopped)(error),
        error => lost(DisconnectReason::Tls)(error),
    })?;
    socket.blocking().map_err(lost(DisconnectReason::Io))?;
    let mut timed = Timed { socket, deadline };
    handshake.complete(&mut timed).map_err(|error| ConnectorError { reason: disconnect_reason(&error), error })?;
    Ok(handshake.into_stream(timed.socket.pollable().map_err(lost(DisconnectReason::Io))?))
}

/// A socket that blocks during setup and never afterwards.
trait Socket: Read + Write {
    /// The type of the stream after setup.
    type Pollable: Stream;

    fn blocking(&self) -> io::Result<()>;
    fn set_timeout(&self, timeout: Duration) -> io::Result<()>;
    fn pollable(self) -> io::Result<Self::Pollable>;
}

impl Socket for net::TcpStream {
    type Pollable = mio::net::TcpStream;

    fn blocking(&self) -> io::Result<()> {
        self.set_nonblocking(false)
    }

    fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(timeout))?;
        self.set_write_timeout(Some(timeout))
    }

    fn pollable(self) -> io::Result<mio::net::TcpStream> {
        self.set_nonblocking(true)?;
        Ok(mio::net::TcpStream::from_std(self))
    }
}

#[cfg(unix)]
impl Socket for UnixStream {
    type Pollable = mio::net::UnixStream;

    fn blocking(&self) -> io::Result<()> {
        self.set_nonblocking(false)
    }

    fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(timeout))?;
        self.set_write_timeout(Some(timeout))
    }

    fn pollable(self) -> io::Result<mio::net::UnixStream> {
        self.set_nonblocking(true)?;
        Ok(mio::net::UnixStream::from_std(self))
    }
}

/// A socket that blocks at most until a deadline, even if only a few bytes arrive at a time.
struct Timed<S> {
    socket: S,
    deadline: Instant,
}

impl<S: Socket> Timed<S> {
    fn arm(&self) -> io::Result<()> {
        match self.deadline.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => self.socket.set_timeout(left),
            _ => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl<S: Socket> Read for Timed<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.arm()?;
        self.socket.read(buffer)
    }
}

impl<S: Socket> Write for Timed<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.arm()?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

#[cfg(test)]
#[cfg(any(target_os = "linux", target_os = "android"))]
mod tests {
    use super::*;

    #[test]
    fn little_of_a_socket_waits_unsent_in_the_system() {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint: Endpoint = format!("ws://{}/ws", listener.local_addr().unwrap()).parse().unwrap();
        let stream = connect(&endpoint, None, Instant::now() + Duration::from_secs(20)).unwrap();
        assert_eq!(socket2::SockRef::from(&stream).tcp_notsent_lowat().unwrap(), 128 << 10);
    }
}
