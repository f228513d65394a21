//! How a client dials its server: over TCP or a Unix socket, through a proxy, with TLS.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use multiwa_ws_core::handshake::{ClientRequest, Response};
use multiwa_ws_core::session::DisconnectReason;

use super::connector::{Connector, ConnectorError};
use super::race::race;
use super::secure::{Secure, TlsSettings, over_tls};
use super::stream::Stream;
use super::target::{Destination, RedirectError, RequestSettings, Target};
use super::{BuildError, Endpoint, Proxy, Tunnel};
use crate::sync::Mutex;
use crate::{Io, Net, lock};

/// Opens streams to the server of a URL, a provider or a redirect.
pub(super) struct Dialer<R> {
    dial: Arc<Dial>,
    runtime: PhantomData<fn() -> R>,
}

/// The settings for the lifetime of a client, and the target of its last attempt.
struct Dial {
    source: Source,
    route: Route,
    tls: TlsSettings,
    latest: Mutex<Option<Target>>,
}

/// Where the target of an attempt comes from.
pub(super) enum Source {
    /// The same target for each attempt.
    Fixed(Box<Target>),
    /// The provider returns the destination.
    Provided(Provider, RequestSettings),
}

/// Called before each attempt, with its number.
pub(super) type Provider = Arc<dyn Fn(u32) -> Pending<Destination> + Send + Sync>;

pub(super) type Pending<T> = Pin<Box<dyn Future<Output = Result<T, ConnectorError>> + Send>>;

/// The route to the server.
#[derive(Clone)]
pub(super) enum Route {
    Direct,
    Proxy(Proxy),
    /// The proxy that the environment names for each server.
    #[cfg(feature = "proxy-env")]
    ProxyFromEnv,
    /// A connection to one fixed server. It is a function, because not every platform and runtime supports it.
    #[cfg_attr(not(unix), expect(dead_code, reason = "only Unix sockets use it"))]
    To(Arc<dyn Fn(Option<Secure>) -> Pending<Stream> + Send + Sync>),
}

impl<R> Dialer<R> {
    pub(super) fn new(source: Source, route: Route, tls: TlsSettings) -> Self {
        let dial = Dial { source, route, tls, latest: Mutex::new(None) };
        Self { dial: Arc::new(dial), runtime: PhantomData }
    }
}

impl<R: Net> Connector for Dialer<R> {
    type Stream = Stream;

    fn connect(
        &mut self,
        attempt: u32,
    ) -> impl Future<Output = Result<(Stream, ClientRequest), ConnectorError>> + Send + 'static {
        let dial = self.dial.clone();
        async move {
            let target = dial.source.next(attempt).await?;
            dial.open::<R>(target).await
        }
    }

    fn redirect(
        &mut self,
        response: Response,
    ) -> impl Future<Output = Result<(Stream, ClientRequest), ConnectorError>> + Send + 'static {
        let dial = self.dial.clone();
        async move {
            let target = dial.redirected(&response).map_err(|error| ConnectorError {
                reason: DisconnectReason::Refused { status: response.status, retry_after: response.retry_after() },
                error: io::Error::other(error),
            })?;
            dial.open::<R>(target).await
        }
    }
}

impl Source {
    async fn next(&self, attempt: u32) -> Result<Target, ConnectorError> {
        match self {
            Self::Fixed(target) => Ok((**target).clone()),
            // An invalid destination is permanent, so the client stops.
            Self::Provided(provider, settings) => {
                settings.target(&provider(attempt).await?).map_err(|error| ConnectorError {
                    reason: DisconnectReason::Stopped,
                    error: io::Error::new(io::ErrorKind::InvalidInput, error),
                })
            }
        }
    }
}

impl Dial {
    fn redirected(&self, response: &Response) -> Result<Target, RedirectError> {
        let latest = lock(&self.latest);
        let target = latest.as_ref().ok_or(RedirectError::NoLocation)?;
        let led = target.redirected(response)?;
        if matches!(self.route, Route::To(_)) && !led.endpoint.has_origin_of(&target.endpoint) {
            return Err(RedirectError::OutOfReach);
        }
        Ok(led)
    }

    fn secure(&self, endpoint: &Endpoint) -> Result<Option<Secure>, ConnectorError> {
        if !endpoint.is_tls() {
            return Ok(None);
        }
        // Missing TLS support is permanent, so the client stops. An invalid name is not, because it may come from a
        // redirect.
        self.tls.secure(endpoint).map(Some).map_err(|error| ConnectorError {
            reason: if matches!(error, BuildError::Url(_)) { DisconnectReason::Tls } else { DisconnectReason::Stopped },
            error: io::Error::other(error),
        })
    }

    async fn open<R: Net>(&self, target: Target) -> Result<(Stream, ClientRequest), ConnectorError> {
        let secure = self.secure(&target.endpoint)?;
        let stream = match &self.route {
            Route::To(open) => open(secure).await?,
            Route::Direct => reach::<R>(&target.endpoint, None, secure).await?,
            Route::Proxy(proxy) => reach::<R>(&target.endpoint, Some(proxy), secure).await?,
            #[cfg(feature = "proxy-env")]
            Route::ProxyFromEnv => {
                let stopped =
                    |error| ConnectorError { reason: DisconnectReason::Stopped, error: io::Error::other(error) };
                let proxy = Proxy::from_env(&target.endpoint).map_err(stopped)?;
                reach::<R>(&target.endpoint, proxy.as_ref(), secure).await?
            }
        };
        let request = target.request.clone();
        *lock(&self.latest) = Some(target);
        Ok((stream, request))
    }
}

/// Dials `endpoint` over TCP.
async fn reach<R: Net>(
    endpoint: &Endpoint,
    proxy: Option<&Proxy>,
    secure: Option<Secure>,
) -> Result<Stream, ConnectorError> {
    let lost = |reason| move |error| ConnectorError { reason, error };
    let (host, port) = proxy.map_or((endpoint.host(), endpoint.port()), |proxy| (proxy.host(), proxy.port()));
    let addresses = R::resolve(host, port).await.map_err(lost(DisconnectReason::Dns))?;
    let mut stream = race::<R, _, _, _>(addresses, R::connect).await.map_err(lost(DisconnectReason::Io))?;
    if let Some(proxy) = proxy {
        open_tunnel::<_, R>(&mut stream, Tunnel::new(proxy, endpoint)).await.map_err(lost(DisconnectReason::Io))?;
    }
    over_tls::<_, R>(stream, secure).await
}

async fn open_tunnel<S: Unpin, R: Io<S>>(stream: &mut S, mut tunnel: Tunnel) -> io::Result<()> {
    poll_fn(|cx| {
        let mut stream = Pin::new(&mut *stream);
        while let unsent @ [_, ..] = tunnel.poll_transmit() {
            match R::poll_write(stream.as_mut(), cx, &[IoSlice::new(unsent)]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => tunnel.transmitted(written),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        loop {
            // Reads one byte at a time, so that the bytes after the answer stay in the stream.
            let mut byte = [0];
            let answered = match R::poll_read(stream.as_mut(), cx, &mut byte) {
                Poll::Ready(Ok(0)) => Err(tunnel.handle_eof()),
                Poll::Ready(Ok(_)) => tunnel.handle_input(&mut &byte[..]),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            };
            match answered {
                Ok(false) => {}
                Ok(true) => return Poll::Ready(Ok(())),
                Err(error) => return Poll::Ready(Err(io::Error::other(error))),
            }
        }
    })
    .await
}
