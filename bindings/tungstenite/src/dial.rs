//! Opening streams, on a thread of its own: names are resolved, and keys are asked for, by calls that block.

use std::io;
use std::net::{self, ToSocketAddrs};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use multiwa_ws_core::handshake::ClientRequest;
use multiwa_ws_core::session::Loss;
use multiwa_ws_driver::{ConnectorError, Endpoint};

use crate::stream::Stream;

/// Opens the streams of a client, one an attempt.
pub trait Connector: Send + 'static {
    /// What it opens.
    type Stream: Stream;

    /// Opens a stream to the server and says what to ask of it. `attempt` counts from the last stable connection.
    ///
    /// It runs on a thread of its own and may block; the client goes by
    /// [`connect_timeout`](multiwa_ws_core::session::ClientConfig::connect_timeout) all the same, and drops what comes
    /// later. A key that changes is read here, before each attempt. [`Loss::Stopped`] ends the client.
    ///
    /// # Errors
    /// Why it opened nothing.
    fn connect(&mut self, attempt: u32) -> Result<(Self::Stream, ClientRequest), ConnectorError>;
}

/// How a dial ended.
pub(crate) type Dialled<S> = Result<(S, ClientRequest), ConnectorError>;

/// Runs a connector beside the worker. There is one dial at a time: one that was given up ends before the next begins, so
/// that a resolver that hangs holds one thread and not one for each attempt.
pub(crate) struct Dialler<C: Connector> {
    connector: Arc<Mutex<C>>,
    waker: Waker,
    under_way: Option<Dial<C::Stream>>,
    /// The attempt that begins as soon as no dial is under way.
    next: Option<u32>,
}

struct Dial<S> {
    result: Receiver<Dialled<S>>,
    wanted: bool,
}

impl<C: Connector> Dialler<C> {
    /// `waker` is told when [`poll`](Self::poll) has something.
    pub(crate) fn new(connector: C, waker: Waker) -> Self {
        Self { connector: Arc::new(Mutex::new(connector)), waker, under_way: None, next: None }
    }

    /// Begins an attempt in place of an earlier one.
    pub(crate) fn start(&mut self, attempt: u32) {
        self.give_up();
        self.next = Some(attempt);
        self.begin();
    }

    /// The result of the attempt is not wanted any more.
    pub(crate) fn give_up(&mut self) {
        self.next = None;
        if let Some(dial) = &mut self.under_way {
            dial.wanted = false;
        }
    }

    /// The result of the attempt, once there is one.
    pub(crate) fn poll(&mut self) -> Option<Dialled<C::Stream>> {
        let dial = self.under_way.as_ref()?;
        let result = match dial.result.try_recv() {
            Ok(result) => result,
            Err(TryRecvError::Empty) => return None,
            // It would panic again.
            Err(TryRecvError::Disconnected) => Err(failed(Loss::Stopped, "the connector panicked")),
        };
        let wanted = dial.wanted;
        self.under_way = None;
        self.begin();
        wanted.then_some(result)
    }

    fn begin(&mut self) {
        if self.under_way.is_some() {
            return;
        }
        let Some(attempt) = self.next.take() else { return };
        let (sender, result) = channel();
        self.under_way = Some(Dial { result, wanted: true });
        let failure = sender.clone();
        let connector = self.connector.clone();
        let wake = WakeOnDrop(self.waker.clone());
        let dial = move || {
            // In this order, so that the result is there when the worker wakes, also if the connector panics.
            let _wake = wake;
            let sender = sender;
            let result = connector.lock().unwrap_or_else(PoisonError::into_inner).connect(attempt);
            let _ = sender.send(result);
        };
        if let Err(error) = thread::Builder::new().name("multiwa-ws dial".to_owned()).spawn(dial) {
            let _ = failure.send(Err(ConnectorError { loss: Loss::Io, error }));
        }
    }
}

struct WakeOnDrop(Waker);

impl Drop for WakeOnDrop {
    fn drop(&mut self) {
        self.0.wake_by_ref();
    }
}

fn failed(loss: Loss, error: &'static str) -> ConnectorError {
    ConnectorError { loss, error: io::Error::other(error) }
}

/// Opens TCP connections to one endpoint, trying each of its addresses in turn.
#[derive(Debug)]
pub(crate) struct TcpConnector {
    pub(crate) endpoint: Endpoint,
    pub(crate) request: ClientRequest,
    pub(crate) timeout: Duration,
}

impl Connector for TcpConnector {
    type Stream = TcpStream;

    fn connect(&mut self, _attempt: u32) -> Result<(TcpStream, ClientRequest), ConnectorError> {
        let lost = |loss| move |error| ConnectorError { loss, error };
        let deadline = Instant::now() + self.timeout;
        let addresses = (self.endpoint.host(), self.endpoint.port()).to_socket_addrs().map_err(lost(Loss::Dns))?;
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            match net::TcpStream::connect_timeout(&address, left).and_then(pollable) {
                Ok(stream) => return Ok((stream, self.request.clone())),
                Err(error) => failure = error,
            }
        }
        Err(lost(Loss::Io)(failure))
    }
}

fn pollable(stream: net::TcpStream) -> io::Result<TcpStream> {
    // Messages are small and someone waits for each.
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(TcpStream::from_std(stream))
}
