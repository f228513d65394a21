//! Opens streams on a separate thread, because resolving names and calling a provider may block.

use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::thread;

use multiwa_ws_core::handshake::ClientRequest;
use multiwa_ws_driver::ConnectorError;
use multiwa_ws_driver::dial::Dial;

use crate::connector::Connector;

/// The result of a dial.
pub(crate) type Dialed<S> = Result<(S, ClientRequest), ConnectorError>;

/// Runs a connector on a separate thread. There is one dial at a time: a canceled dial ends before the next begins, so
/// that a resolver that hangs uses one thread and not one for each attempt.
pub(crate) struct DialThread<C: Connector> {
    connector: Arc<Mutex<C>>,
    waker: Waker,
    running: Option<Running<C::Stream>>,
    /// The dial to begin as soon as none is running.
    next: Option<Dial>,
}

struct Running<S> {
    result: Receiver<Dialed<S>>,
    desired: bool,
}

impl<C: Connector> DialThread<C> {
    /// `waker` is woken when [`poll`](Self::poll) has a result.
    pub(crate) fn new(connector: C, waker: Waker) -> Self {
        Self { connector: Arc::new(Mutex::new(connector)), waker, running: None, next: None }
    }

    /// Begins a dial in place of an earlier one.
    pub(crate) fn start(&mut self, dial: Dial) {
        self.cancel();
        self.next = Some(dial);
        self.begin();
    }

    /// Cancels the dial: its result will be dropped.
    pub(crate) fn cancel(&mut self) {
        self.next = None;
        if let Some(running) = &mut self.running {
            running.desired = false;
        }
    }

    /// The result, as soon as there is one.
    pub(crate) fn poll(&mut self) -> Option<Dialed<C::Stream>> {
        let running = self.running.as_ref()?;
        let result = match running.result.try_recv() {
            Ok(result) => result,
            Err(TryRecvError::Empty) => return None,
            // Another attempt would panic again.
            Err(TryRecvError::Disconnected) => Err(ConnectorError::stop("the connector panicked")),
        };
        let desired = running.desired;
        self.running = None;
        self.begin();
        desired.then_some(result)
    }

    fn begin(&mut self) {
        if self.running.is_some() {
            return;
        }
        let Some(dial) = self.next.take() else { return };
        let (sender, result) = channel();
        self.running = Some(Running { result, desired: true });
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
                Dial::Attempt(attempt) => connector.connect(attempt),
                Dial::Redirect(response) => connector.redirect(&response),
            };
            // The receiver is gone if the client has ended.
            let _ = sender.send(result);
        };
        if let Err(error) = thread::Builder::new().name("multiwa-ws dial".to_owned()).spawn(run) {
            let _ = failure.send(Err(ConnectorError::retry(error)));
        }
    }
}

struct WakeOnDrop(Waker);

impl Drop for WakeOnDrop {
    fn drop(&mut self) {
        self.0.wake_by_ref();
    }
}
