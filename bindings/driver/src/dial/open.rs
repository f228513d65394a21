//! Dials with the futures of a runtime: performs the actions of a [`Dialing`](super::Dialing).

use std::future::{Future, poll_fn};
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use multiwa_ws_core::Instant;
use multiwa_ws_core::handshake::{ClientRequest, Response};

use super::connector::{Connector, ConnectorError};
use super::dialer::{Action, Dial, Dialer};
use super::race::Address;
use super::stream::{Socket, Stream};
use super::target::Destination;
#[cfg(unix)]
use crate::UnixNet;
use crate::sync::Arc;
use crate::transport::Timer;
use crate::{Net, Runtime};

/// Called before each attempt, with its number.
pub(crate) type Provider = Arc<dyn Fn(u32) -> Pending<Result<Destination, ConnectorError>> + Send + Sync>;

/// Connects to an address. It is a function, because not every runtime has Unix sockets.
pub(crate) type Connect = fn(Address) -> Pending<io::Result<Socket>>;

type Opened = Result<(Stream, ClientRequest), ConnectorError>;

type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Connects to TCP addresses.
pub(crate) fn connect_tcp<R: Net>(address: Address) -> Pending<io::Result<Socket>> {
    Box::pin(async move {
        match address {
            Address::Tcp(address) => R::connect(address).await.map(Socket::new::<_, R>),
            #[cfg(unix)]
            Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    })
}

/// Connects to TCP addresses and to Unix sockets.
#[cfg(unix)]
pub(crate) fn connect_any<R: UnixNet>(address: Address) -> Pending<io::Result<Socket>> {
    match address {
        Address::Unix(path) => Box::pin(async move { R::connect_unix(&path).await.map(Socket::new::<_, R>) }),
        tcp => connect_tcp::<R>(tcp),
    }
}

/// Opens streams with the dialer of a client.
pub(crate) struct NetConnector<R> {
    dialer: Arc<Dialer<Provider>>,
    connect: Connect,
    runtime: PhantomData<fn() -> R>,
}

impl<R: Net> NetConnector<R> {
    pub(crate) fn new(dialer: Arc<Dialer<Provider>>, connect: Connect) -> Self {
        Self { dialer, connect, runtime: PhantomData }
    }
}

impl<R: Net> Connector for NetConnector<R> {
    type Stream = Stream;

    fn connect(&mut self, attempt: u32) -> impl Future<Output = Opened> + Send + 'static {
        open::<R>(self.dialer.clone(), self.connect, Dial::Attempt(attempt))
    }

    fn redirect(&mut self, response: Response) -> impl Future<Output = Opened> + Send + 'static {
        open::<R>(self.dialer.clone(), self.connect, Dial::Redirect(Box::new(response)))
    }
}

async fn open<R: Net>(dialer: Arc<Dialer<Provider>>, connect: Connect, dial: Dial) -> Opened {
    let mut dialing = dialer.start(dial)?;
    let mut attempts = Attempts::<R> { running: Vec::new(), timer: Timer::new() };
    loop {
        match dialing.poll_action(R::now()) {
            Action::Provide(provider, attempt) => dialing.provided(&provider(attempt).await?)?,
            Action::Resolve { host, port } => dialing.resolved(R::resolve(&host, port).await)?,
            Action::Connect(address) => attempts.running.push(connect(address)),
            Action::Wait(until) => {
                if let Some(result) = poll_fn(|cx| attempts.poll(cx, until)).await {
                    dialing.connected(result)?;
                }
            }
            Action::Tunnel(socket, tunnel) => dialing.tunneled(socket.open_tunnel(tunnel).await)?,
            Action::Tls(socket, secure) => return secure.connect(socket).await,
            Action::Done(socket, request) => return Ok((socket.into(), request)),
        }
    }
}

/// The attempts that run at the same time.
struct Attempts<R: Runtime> {
    running: Vec<Pending<io::Result<Socket>>>,
    timer: Timer<R>,
}

impl<R: Runtime> Attempts<R> {
    /// Returns the result of an attempt, or `None` at the time `until`. A success cancels all other attempts.
    fn poll(&mut self, cx: &mut Context<'_>, until: Option<Instant>) -> Poll<Option<io::Result<Socket>>> {
        let ended = self.running.iter_mut().enumerate().find_map(|(index, attempt)| match attempt.as_mut().poll(cx) {
            Poll::Ready(result) => Some((index, result)),
            Poll::Pending => None,
        });
        match (ended, until) {
            (Some((_, Ok(socket))), _) => {
                self.running.clear();
                Poll::Ready(Some(Ok(socket)))
            }
            (Some((index, error)), _) => {
                drop(self.running.swap_remove(index));
                Poll::Ready(Some(error))
            }
            (None, Some(until)) => self.timer.poll_until(cx, until).map(|()| None),
            (None, None) => Poll::Pending,
        }
    }
}
