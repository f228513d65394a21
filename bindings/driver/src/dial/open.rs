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
    let mut attempts = Attempts::<_, R>::new();
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
struct Attempts<S, R: Runtime> {
    running: Vec<Pending<io::Result<S>>>,
    /// The errors of attempts that have failed, as long as they are not returned.
    failed: Vec<io::Error>,
    timer: Timer<R>,
}

impl<S, R: Runtime> Attempts<S, R> {
    fn new() -> Self {
        Self { running: Vec::new(), failed: Vec::new(), timer: Timer::new() }
    }

    /// Returns the result of an attempt, or `None` at the time `until`. A success cancels all other attempts. It is returned
    /// before a failure, because after a failure another address is tried.
    fn poll(&mut self, cx: &mut Context<'_>, until: Option<Instant>) -> Poll<Option<io::Result<S>>> {
        let mut connected = None;
        self.running.retain_mut(|attempt| match attempt.as_mut().poll(cx) {
            Poll::Ready(Ok(socket)) => {
                connected.get_or_insert(socket);
                false
            }
            Poll::Ready(Err(error)) => {
                self.failed.push(error);
                false
            }
            Poll::Pending => true,
        });
        if let Some(socket) = connected {
            self.running.clear();
            self.failed.clear();
            return Poll::Ready(Some(Ok(socket)));
        }
        match (self.failed.pop(), until) {
            (Some(error), _) => Poll::Ready(Some(Err(error))),
            (None, Some(until)) => self.timer.poll_until(cx, until).map(|()| None),
            (None, None) => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::task::Waker;

    use super::*;
    use crate::Clock;

    struct Still;

    impl Clock for Still {
        fn now() -> Instant {
            Instant::from_nanos(1)
        }
    }

    impl Runtime for Still {
        type Sleep = std::future::Pending<()>;

        fn sleep_until(_: Instant) -> Self::Sleep {
            pending()
        }
    }

    type Ended = Result<&'static str, io::ErrorKind>;

    const REFUSED: Ended = Err(io::ErrorKind::ConnectionRefused);

    /// What is returned when attempts have ended like this at the same time.
    fn returned(ended: &[Ended]) -> Vec<Ended> {
        let mut attempts = Attempts::<_, Still>::new();
        for &ended in ended {
            attempts.running.push(Box::pin(ready(ended.map_err(io::Error::from))));
        }
        let cx = &mut Context::from_waker(Waker::noop());
        let mut returned = Vec::new();
        while let Poll::Ready(result) = attempts.poll(cx, None) {
            returned.push(result.expect("no time is given").map_err(|error| error.kind()));
        }
        returned
    }

    #[test]
    fn a_socket_is_returned_before_a_failure_of_the_same_time() {
        assert_eq!(returned(&[REFUSED, Ok("socket")]), [Ok("socket")]);
        assert_eq!(returned(&[Ok("socket"), REFUSED, Ok("second")]), [Ok("socket")]);
    }

    #[test]
    fn each_failure_is_returned() {
        assert_eq!(returned(&[REFUSED, REFUSED]), [REFUSED, REFUSED]);
    }
}
