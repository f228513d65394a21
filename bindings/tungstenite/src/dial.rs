//! Opens streams on a separate thread, because resolving names and calling a provider may block.

use std::io;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::thread;

use multiwa_ws_core::handshake::{ClientRequest, Response};
use multiwa_ws_core::session::DisconnectReason;
use multiwa_ws_driver::ConnectorError;

use crate::stream::Stream;

/// Opens the streams of a client, one for each attempt.
pub trait Connector: Send + 'static {
    /// The type of the stream.
    type Stream: Stream;

    /// Opens a stream to the server. Returns it with the upgrade request to send. `attempt` counts from the last stable
    /// connection.
    ///
    /// It runs on a separate thread and may block. The client still applies its
    /// [`connect_timeout`](multiwa_ws_core::session::ClientConfig::connect_timeout) and drops a later result. If the key
    /// can change, read it here, before each attempt. [`DisconnectReason::Stopped`] ends the client.
    ///
    /// # Errors
    /// Why it opened nothing.
    fn connect(&mut self, attempt: u32) -> Result<(Self::Stream, ClientRequest), ConnectorError>;

    /// Opens a stream to the target of a redirect, in place of the latest stream. By default redirects are not followed.
    ///
    /// [`Target::redirected`](crate::Target::redirected) checks which redirects are allowed.
    ///
    /// # Errors
    /// Why it opened nothing.
    fn redirect(&mut self, response: &Response) -> Result<(Self::Stream, ClientRequest), ConnectorError> {
        let reason = DisconnectReason::Refused { status: response.status, retry_after: response.retry_after() };
        Err(ConnectorError { reason, error: io::Error::new(io::ErrorKind::Unsupported, "redirects are not followed") })
    }
}

/// A request to a connector.
pub(crate) enum Dial {
    /// An attempt, by its number.
    Connect(u32),
    /// The next stream of an attempt that was redirected.
    Redirect(Box<Response>),
}

/// The result of a dial.
pub(crate) type Dialed<S> = Result<(S, ClientRequest), ConnectorError>;

/// Runs a connector on a separate thread. There is one dial at a time: an abandoned dial ends before the next begins, so
/// that a resolver that hangs uses one thread and not one for each attempt.
pub(crate) struct Dialer<C: Connector> {
    connector: Arc<Mutex<C>>,
    waker: Waker,
    under_way: Option<UnderWay<C::Stream>>,
    /// The dial to begin as soon as none is under way.
    next: Option<Dial>,
}

struct UnderWay<S> {
    result: Receiver<Dialed<S>>,
    desired: bool,
}

impl<C: Connector> Dialer<C> {
    /// `waker` is woken when [`poll`](Self::poll) has a result.
    pub(crate) fn new(connector: C, waker: Waker) -> Self {
        Self { connector: Arc::new(Mutex::new(connector)), waker, under_way: None, next: None }
    }

    /// Begins a dial in place of an earlier one.
    pub(crate) fn start(&mut self, dial: Dial) {
        self.give_up();
        self.next = Some(dial);
        self.begin();
    }

    /// Abandons the dial: its result will be dropped.
    pub(crate) fn give_up(&mut self) {
        self.next = None;
        if let Some(under_way) = &mut self.under_way {
            under_way.desired = false;
        }
    }

    /// The result, as soon as there is one.
    pub(crate) fn poll(&mut self) -> Option<Dialed<C::Stream>> {
        let under_way = self.under_way.as_ref()?;
        let result = match under_way.result.try_recv() {
            Ok(result) => result,
            Err(TryRecvError::Empty) => return None,
            // Another attempt would panic again.
            Err(TryRecvError::Disconnected) => Err(failed(DisconnectReason::Stopped, "the connector panicked")),
        };
        let desired = under_way.desired;
        self.under_way = None;
        self.begin();
        desired.then_some(result)
    }

    fn begin(&mut self) {
        if self.under_way.is_some() {
            return;
        }
        let Some(dial) = self.next.take() else { return };
        let (sender, result) = channel();
        self.under_way = Some(UnderWay { result, desired: true });
        let failure = sender.clone();
        let connector = self.connector.clone();
        let wake = WakeOnDrop(self.waker.clone());
        let run = move || {
            // Declared in this order, so that the sender is dropped before the worker wakes, also if the connector
            // panics.
            let _wake = wake;
            let sender = sender;
            let mut connector = connector.lock().unwrap_or_else(PoisonError::into_inner);
            let result = match dial {
                Dial::Connect(attempt) => connector.connect(attempt),
                Dial::Redirect(response) => connector.redirect(&response),
            };
            // The receiver is gone if the client has ended.
            let _ = sender.send(result);
        };
        if let Err(error) = thread::Builder::new().name("multiwa-ws dial".to_owned()).spawn(run) {
            let _ = failure.send(Err(ConnectorError { reason: DisconnectReason::Io, error }));
        }
    }
}

struct WakeOnDrop(Waker);

impl Drop for WakeOnDrop {
    fn drop(&mut self) {
        self.0.wake_by_ref();
    }
}

fn failed(reason: DisconnectReason, error: &'static str) -> ConnectorError {
    ConnectorError { reason, error: io::Error::other(error) }
}
