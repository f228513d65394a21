//! The steps from a destination to an open stream, as one state machine without I/O.

use std::fmt;
use std::io;
use std::mem;
use std::net::SocketAddr;

use multiwa_ws_core::Instant;
use multiwa_ws_core::handshake::{ClientRequest, Response};
use multiwa_ws_core::session::DisconnectReason;

use super::connector::ConnectorError;
use super::proxy::Proxy;
use super::race::{Address, Race};
use super::secure::{Secure, TlsSettings};
use super::target::{Destination, DialerError, RedirectError, RequestSettings, Target};
use super::tunnel::Tunnel;
use crate::sync::{Arc, Mutex, lock};

/// The settings of a client that define what it dials. `P` is a provider, which a binding calls.
///
/// `Debug` shows neither the URL nor the headers, because they may hold a key.
#[derive(Clone)]
pub struct DialSettings<P> {
    /// Where the URL and the key come from.
    pub source: Source<Destination, P>,
    /// What all upgrade requests of the client share.
    pub request: RequestSettings,
    /// The route to the server.
    pub route: Route,
    /// TLS for `wss` URLs. By default the client trusts the certificates that the system trusts.
    pub tls: TlsSettings,
}

impl<P> fmt::Debug for DialSettings<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DialSettings")
            .field("request", &self.request)
            .field("route", &self.route)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// Where the URL and the key come from.
#[derive(Clone, Debug)]
pub enum Source<D, P> {
    /// The same destination for each attempt.
    Fixed(D),
    /// The provider returns the destination of each attempt.
    Provider(P),
}

/// The route to the server.
#[derive(Clone, Debug)]
pub enum Route {
    /// The host of the URL.
    Direct,
    /// An HTTP proxy.
    Proxy(Proxy),
    /// The HTTP proxy that the environment names for each server, if any.
    #[cfg(feature = "proxy-env")]
    ProxyFromEnv,
    /// A Unix socket, which is the same server for every URL.
    #[cfg(unix)]
    Unix(Arc<std::path::Path>),
}

/// What to dial.
#[derive(Debug)]
pub enum Dial {
    /// A new attempt, by its number since the last stable connection.
    Attempt(u32),
    /// The Location of a redirect, in the same attempt.
    Redirect(Box<Response>),
}

/// Dials the server of one client: its settings, and the target that it dialed last.
///
/// [`start`](Self::start) returns a [`Dialing`] for each attempt and for each redirect.
#[derive(Debug)]
pub struct Dialer<P> {
    source: Source<Box<Target>, P>,
    request: RequestSettings,
    route: Route,
    tls: TlsSettings,
    latest: Mutex<Option<Target>>,
}

impl<P: Clone> Dialer<P> {
    /// Checks the settings, as far as they are known before a provider is called.
    ///
    /// # Errors
    /// The destination can never be dialed.
    pub fn new(settings: DialSettings<P>) -> Result<Arc<Self>, DialerError> {
        let DialSettings { source, request, route, tls } = settings;
        let source = match source {
            Source::Fixed(destination) => Source::Fixed(Box::new(request.target(&destination)?)),
            Source::Provider(provider) => Source::Provider(provider),
        };
        let dialer = Self { source, request, route, tls, latest: Mutex::new(None) };
        if let Source::Fixed(target) = &dialer.source
            && target.endpoint.is_tls()
        {
            dialer.tls.secure(target)?;
        }
        Ok(Arc::new(dialer))
    }

    /// Starts to dial. `S` is the type of the sockets that the caller opens.
    ///
    /// # Errors
    /// The redirect is not followed, or the first step fails.
    pub fn start<S>(self: &Arc<Self>, dial: Dial) -> Result<Dialing<P, S>, ConnectorError> {
        let step = match (dial, &self.source) {
            (Dial::Redirect(response), _) => {
                let target = self.redirected(&response).map_err(|error| ConnectorError::redirect(&response, error))?;
                self.dial(target)?
            }
            (Dial::Attempt(_), Source::Fixed(target)) => self.dial((**target).clone())?,
            (Dial::Attempt(attempt), Source::Provider(provider)) => Step::Provider(provider.clone(), attempt),
        };
        Ok(Dialing { dialer: self.clone(), step })
    }

    fn redirected(&self, response: &Response) -> Result<Target, RedirectError> {
        let latest = lock(&self.latest);
        let from = latest.as_ref().ok_or(RedirectError::NoLocation)?;
        let to = from.redirected(response)?;
        #[cfg(unix)]
        if matches!(self.route, Route::Unix(_)) && !to.endpoint.has_origin_of(&from.endpoint) {
            return Err(RedirectError::CrossOrigin);
        }
        Ok(to)
    }

    /// The first step to `target`.
    fn dial<S>(&self, target: Target) -> Result<Step<P, S>, ConnectorError> {
        let endpoint = &target.endpoint;
        let secure = if endpoint.is_tls() {
            Some(self.tls.secure(&target).map_err(|error| match error {
                // An invalid name may come from a redirect. Missing TLS support is permanent, so the client stops.
                DialerError::Url(error) => ConnectorError::new(DisconnectReason::Tls, error),
                error => ConnectorError::stop(error),
            })?)
        } else {
            None
        };
        let proxy = match &self.route {
            Route::Proxy(proxy) => Some(proxy.clone()),
            #[cfg(feature = "proxy-env")]
            Route::ProxyFromEnv => Proxy::from_env(endpoint).map_err(ConnectorError::stop)?,
            _ => None,
        };
        *lock(&self.latest) = Some(target.clone());
        let path = Path { target, proxy, secure };
        Ok(match &self.route {
            #[cfg(unix)]
            Route::Unix(socket) => Step::Connecting(path, Race::single(Address::Unix(socket.clone()))),
            _ => Step::Resolving(path),
        })
    }
}

/// One stream to be opened, from the provider to the TLS handshake.
///
/// Call [`poll_action`](Self::poll_action), perform the [`Action`], and pass its result to the method that its
/// documentation names, until it is [`Action::Tls`] or [`Action::Done`], which are the last. Every method that takes a
/// result returns the error with which the attempt has failed. The caller must enforce a deadline. To give up, drop this
/// and the sockets.
#[derive(Debug)]
pub struct Dialing<P, S> {
    dialer: Arc<Dialer<P>>,
    step: Step<P, S>,
}

#[derive(Debug)]
enum Step<P, S> {
    Provider(P, u32),
    Resolving(Path),
    Connecting(Path, Race),
    Connected(Path, S),
    /// The caller has the socket.
    Tunneling(Path),
    Ended,
}

/// What is known of the way to the server.
#[derive(Debug)]
struct Path {
    target: Target,
    /// The proxy, until the tunnel through it begins.
    proxy: Option<Proxy>,
    /// The TLS handshake, if the URL has TLS.
    secure: Option<Secure>,
}

/// What the caller of a [`Dialing`] does next.
#[derive(Debug)]
pub enum Action<P, S> {
    /// Call the provider with the number of the attempt. Pass the destination to [`Dialing::provided`], or fail with its
    /// error.
    Provide(P, u32),
    /// Resolve a name or an IP address. Pass the result to [`Dialing::resolved`].
    Resolve {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// Start to connect to this address, next to the attempts that run already. Pass the result to
    /// [`Dialing::connected`].
    Connect(Address),
    /// Wait for the result of a running attempt, at most until this time.
    Wait(Option<Instant>),
    /// Exchange the bytes of the tunnel over the socket. Pass the socket to [`Dialing::tunneled`].
    Tunnel(S, Tunnel),
    /// Perform the TLS handshake over the socket. Pass the result to [`Secure::finish`].
    Tls(S, Secure),
    /// The socket is open. Send the request over it.
    Done(S, ClientRequest),
}

impl<P: Clone, S> Dialing<P, S> {
    /// What to do next. Before a result is passed, it returns the same action again, except for [`Action::Connect`] and
    /// the actions that hand out the socket.
    #[must_use]
    pub fn poll_action(&mut self, now: Instant) -> Action<P, S> {
        match &mut self.step {
            Step::Provider(provider, attempt) => Action::Provide(provider.clone(), *attempt),
            Step::Resolving(Path { target: Target { endpoint, .. }, proxy, .. }) => {
                let (host, port) = match proxy {
                    Some(proxy) => (proxy.host(), proxy.port()),
                    None => (endpoint.host(), endpoint.port()),
                };
                Action::Resolve { host: host.to_owned(), port }
            }
            Step::Connecting(_, race) => match race.poll_address(now) {
                Some(address) => Action::Connect(address),
                None => Action::Wait(race.poll_timeout()),
            },
            Step::Connected(..) | Step::Tunneling(_) | Step::Ended => self.hand_out_socket(),
        }
    }

    fn hand_out_socket(&mut self) -> Action<P, S> {
        let (mut path, socket) = match mem::replace(&mut self.step, Step::Ended) {
            Step::Connected(path, socket) => (path, socket),
            step => {
                self.step = step;
                return Action::Wait(None);
            }
        };
        if let Some(proxy) = path.proxy.take() {
            let tunnel = Tunnel::new(&proxy, &path.target.endpoint);
            self.step = Step::Tunneling(path);
            return Action::Tunnel(socket, tunnel);
        }
        match path.secure {
            Some(secure) => Action::Tls(socket, secure),
            None => Action::Done(socket, path.target.request),
        }
    }

    /// Takes the destination that the provider returned.
    ///
    /// # Errors
    /// It is invalid, so the client stops.
    pub fn provided(&mut self, destination: &Destination) -> Result<(), ConnectorError> {
        if matches!(self.step, Step::Provider(..)) {
            let target = self.dialer.request.target(destination).map_err(ConnectorError::stop)?;
            self.step = self.dialer.dial(target)?;
        }
        Ok(())
    }

    /// Takes the addresses of the host.
    ///
    /// # Errors
    /// The name was not resolved, or it has no address.
    pub fn resolved(
        &mut self,
        addresses: io::Result<impl IntoIterator<Item = SocketAddr>>,
    ) -> Result<(), ConnectorError> {
        let unresolved = |error| ConnectorError { reason: DisconnectReason::Dns, error };
        let race = Race::new(addresses.map_err(unresolved)?)
            .ok_or_else(|| unresolved(io::Error::new(io::ErrorKind::NotFound, "the name has no address")))?;
        self.step = match mem::replace(&mut self.step, Step::Ended) {
            Step::Resolving(path) => Step::Connecting(path, race),
            step => step,
        };
        Ok(())
    }

    /// Takes the result of an attempt. After a success, drop all other attempts.
    ///
    /// # Errors
    /// The same error, if it was the last attempt and no address is left.
    pub fn connected(&mut self, socket: io::Result<S>) -> Result<(), ConnectorError> {
        self.step = match (mem::replace(&mut self.step, Step::Ended), socket) {
            (Step::Connecting(path, _), Ok(socket)) => Step::Connected(path, socket),
            (Step::Connecting(path, mut race), Err(error)) => {
                race.failed(error).map_err(io_failure)?;
                Step::Connecting(path, race)
            }
            (step, _) => step,
        };
        Ok(())
    }

    /// Takes the socket through which the proxy has opened a tunnel.
    ///
    /// # Errors
    /// The tunnel failed.
    pub fn tunneled(&mut self, socket: io::Result<S>) -> Result<(), ConnectorError> {
        let socket = socket.map_err(io_failure)?;
        self.step = match mem::replace(&mut self.step, Step::Ended) {
            Step::Tunneling(path) => Step::Connected(path, socket),
            step => step,
        };
        Ok(())
    }
}

fn io_failure(error: io::Error) -> ConnectorError {
    ConnectorError { reason: DisconnectReason::Io, error }
}
