//! The thread of a client. It dials, sends and receives frames, handles deadlines, and sleeps while there is nothing to
//! do.
//!
//! It locks the client only while it calls the session. It calls connectors and streams without the lock.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::Arc;
use std::task::{Wake, Waker};

use mio::{Events, Interest, Poll, Token};
use multiwa_ws_core::Instant;
use multiwa_ws_core::session::{Action, ClientSession, DisconnectReason};
use multiwa_ws_core::websocket;
use multiwa_ws_driver::dial::Dial;
use multiwa_ws_driver::drive::{Driver, Turn};
use multiwa_ws_driver::{Cause, Clock, ConnectorError};

use crate::clock::Std;
use crate::connection::{Connection, Ended, Received};
use crate::connector::Connector;
use crate::dial_thread::{DialThread, Dialed};
use crate::stream::Stream;
use crate::upgrade::{Upgrade, Upgraded};

/// Drives a session over the streams of a connector until its end.
pub(crate) struct Worker<C: Connector> {
    client: Handle,
    pump: Pump<C>,
}

/// The session, shared with the handles.
struct Handle {
    driver: Driver<ClientSession>,
    /// A command of a handle, free space in the queue, or the end of a dial wakes the worker with it.
    waker: Waker,
}

impl Handle {
    /// Handles block while the lock is held, so messages are read and written without it.
    fn lock(&self) -> Turn<'_, ClientSession> {
        self.driver.turn(&self.waker)
    }

    fn redirected(&self, now: Instant) -> bool {
        self.lock().machine().redirected(now)
    }
}

/// The state that only the worker uses.
struct Pump<C: Connector> {
    poll: Poll,
    dialer: DialThread<C>,
    link: Link<C::Stream>,
    limits: websocket::Config,
    /// What was received and is not processed yet.
    received: VecDeque<Received>,
    /// Reading is paused, since the application has not taken the earlier updates.
    paused: bool,
}

enum Link<S: Stream> {
    None,
    Dialing,
    Upgrading(Upgrade<S>),
    Open(Connection<S>),
}

/// The largest number of turns before deadlines are checked.
const TURNS: usize = 16;

/// How many messages, and bytes of text, are received before they are processed.
const BATCH: usize = 64;
const BATCH_BYTES: usize = 64 << 10;

const SOCKET: Token = Token(0);
const WAKER: Token = Token(1);

/// Wakes the worker.
struct Alarm(mio::Waker);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // It fails only when the worker has ended.
        let _ = self.0.wake();
    }
}

impl<C: Connector> Worker<C> {
    /// # Errors
    /// Errors of the operating system.
    pub(crate) fn new(driver: Driver<ClientSession>, connector: C, limits: websocket::Config) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::from(Arc::new(Alarm(mio::Waker::new(poll.registry(), WAKER)?)));
        let dialer = DialThread::new(connector, waker.clone());
        let pump = Pump { poll, dialer, link: Link::None, limits, received: VecDeque::new(), paused: false };
        Ok(Self { client: Handle { driver, waker }, pump })
    }

    /// Runs until the client is closed. If it returns earlier, dropping the driver closes the client.
    pub(crate) fn run(self) {
        let Self { client, mut pump } = self;
        // The kind of readiness does not matter: each turn does all possible work, so edge-triggered events are
        // sufficient.
        let mut events = Events::with_capacity(8);
        loop {
            // Deadlines are compared with the time before the available input is read. So this input is processed first,
            // even if the process was stopped in between.
            let now = Std::now();
            let mut idle = false;
            // A server that sends without a pause must not delay the deadlines.
            for _ in 0..TURNS {
                idle = !pump.turn(&client);
                if idle {
                    break;
                }
            }
            if pump.is_done(&client) {
                return;
            }
            let deadline = pump.deadline(&client);
            if deadline.is_some_and(|deadline| deadline <= now) {
                pump.expire(&client, now);
            } else if idle {
                let timeout = deadline.map(|deadline| deadline.saturating_duration_since(Std::now()));
                match pump.poll.poll(&mut events, timeout) {
                    Err(error) if error.kind() != io::ErrorKind::Interrupted => return,
                    _ => {}
                }
            }
        }
    }
}

impl<C: Connector> Pump<C> {
    /// Does all work except deadlines. Returns whether there may be more work now.
    fn turn(&mut self, client: &Handle) -> bool {
        let settled = self.settle(client);
        let sent = self.send(client);
        self.pause(client);
        self.advance(client) || sent || settled
    }

    /// Performs the actions of the session, without input and output.
    fn settle(&mut self, client: &Handle) -> bool {
        let mut settled = false;
        loop {
            let now = Std::now();
            let mut turn = client.lock();
            let reported = turn.settle(now);
            let action = turn.machine().poll_action();
            drop(turn);
            match action {
                Some(action) => {
                    if matches!(action, Action::Close { .. }) {
                        // The DISCONNECT of the socket.io dialect goes before the Close frame.
                        self.send(client);
                    }
                    self.act(action);
                }
                None if !reported => return settled,
                None => {}
            }
            settled = true;
        }
    }

    /// Queues the messages of the session one after the other.
    fn send(&mut self, client: &Handle) -> bool {
        let Link::Open(connection) = &mut self.link else { return false };
        let mut sent = false;
        while connection.can_send() {
            let Some(text) = client.lock().machine().poll_message().map(str::to_owned) else { break };
            // A lower bound. `take_progress` reports when all bytes are written.
            let waiting = text.len();
            if !connection.send(text) {
                break;
            }
            client.lock().machine().message_sent(waiting);
            sent = true;
        }
        sent
    }

    /// Pauses reading while the queue is full.
    fn pause(&mut self, client: &Handle) {
        let now = Std::now();
        let mut turn = client.lock();
        let (session, inbox) = turn.sides();
        match (inbox.is_full(), mem::replace(&mut self.paused, inbox.is_full())) {
            (true, false) => session.reading_paused(now),
            (false, true) => session.reading_resumed(now),
            _ => {}
        }
    }

    /// Whether the worker has finished.
    fn is_done(&self, client: &Handle) -> bool {
        matches!(self.link, Link::None) && client.lock().is_closed()
    }

    /// The next deadline.
    fn deadline(&self, client: &Handle) -> Option<Instant> {
        let ending = match &self.link {
            Link::Open(connection) => connection.deadline(),
            _ => None,
        };
        [ending, client.lock().machine().poll_timeout()].into_iter().flatten().min()
    }

    /// Acts on the deadlines that have passed at `now`.
    fn expire(&mut self, client: &Handle, now: Instant) {
        if let Link::Open(connection) = &mut self.link
            && let Some(Ended { reason, cause }) = connection.handle_timeout(now)
        {
            self.disconnected(client, reason, cause);
        }
        client.lock().machine().handle_timeout(now);
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect { attempt } => {
                self.drop_link();
                self.link = Link::Dialing;
                self.dialer.start(Dial::Attempt(attempt));
            }
            Action::Close { code, reason } => {
                if let Link::Open(connection) = &mut self.link {
                    connection.close(Std::now(), code, reason);
                }
            }
            Action::Abort => self.drop_link(),
        }
    }

    fn drop_link(&mut self) {
        self.dialer.cancel();
        let stream = match &mut self.link {
            Link::None | Link::Dialing => None,
            Link::Upgrading(upgrade) => upgrade.stream(),
            Link::Open(connection) => Some(connection.stream()),
        };
        if let Some(stream) = stream {
            // The stream is dropped next, so an error has no effect.
            let _ = self.poll.registry().deregister(stream);
        }
        self.received.clear();
        self.link = Link::None;
    }

    /// Reads and writes without blocking. Returns whether there may be more work now.
    fn advance(&mut self, client: &Handle) -> bool {
        // Also poll for the end of a canceled attempt: the next one begins after it.
        let dialed = self.dialer.poll();
        match &mut self.link {
            Link::None => false,
            Link::Dialing => match dialed {
                Some(dialed) => {
                    self.dialed(client, dialed);
                    true
                }
                None => false,
            },
            Link::Upgrading(upgrade) => match upgrade.advance() {
                Some(upgraded) => {
                    self.upgraded(client, upgraded);
                    true
                }
                None => false,
            },
            Link::Open(_) => self.exchange(client),
        }
    }

    fn dialed(&mut self, client: &Handle, dialed: Dialed<C::Stream>) {
        let (mut stream, request) = match dialed {
            Ok(dialed) => dialed,
            Err(ConnectorError { reason, error }) => return self.disconnected(client, reason, Some(Arc::new(error))),
        };
        if let Err(error) = self.poll.registry().register(&mut stream, SOCKET, Interest::READABLE | Interest::WRITABLE)
        {
            return self.disconnected(client, DisconnectReason::Io, Some(Arc::new(error)));
        }
        match Upgrade::new(stream, &request, &self.limits) {
            Ok(upgrade) => {
                self.link = Link::Upgrading(upgrade);
                let now = Std::now();
                let mut turn = client.lock();
                turn.machine().set_connect_key(request.connect_key);
                turn.machine().connected(now);
            }
            Err(error) => self.disconnected(client, DisconnectReason::Stopped, Some(error)),
        }
    }

    fn upgraded(&mut self, client: &Handle, upgraded: Upgraded<C::Stream>) {
        match upgraded {
            Upgraded::Open { socket, features } => {
                self.link = Link::Open(Connection::new(socket, self.limits.get_close_timeout()));
                let now = Std::now();
                let mut turn = client.lock();
                let (session, inbox) = turn.sides();
                inbox.note_transport_error(None);
                session.opened(now, features);
            }
            Upgraded::Refused(response) if response.location().is_some() && client.redirected(Std::now()) => {
                self.drop_link();
                self.link = Link::Dialing;
                self.dialer.start(Dial::Redirect(response));
            }
            Upgraded::Refused(response) => {
                let reason = DisconnectReason::Refused { status: response.status, retry_after: response.retry_after() };
                self.disconnected(client, reason, None);
            }
            Upgraded::Failed { reason, cause } => self.disconnected(client, reason, Some(cause)),
        }
    }

    fn exchange(&mut self, client: &Handle) -> bool {
        let Link::Open(connection) = &mut self.link else { return false };
        let moved = connection.flush();
        let (written, waiting) = connection.take_progress();
        if written > 0 {
            client.lock().machine().handle_progress(Std::now(), written, waiting);
        }
        // A closing connection is read even while paused: it produces no more events that need room in the queue.
        if self.paused && connection.deadline().is_none() {
            return moved;
        }
        let mut bytes = 0;
        // What a pause has left is processed first.
        let mut reads = self.received.is_empty();
        while reads {
            let received = connection.receive(Std::now());
            match &received {
                Received::Blocked => break,
                Received::Text(text) => bytes += text.len(),
                Received::Binary(payload) => bytes += payload.len(),
                Received::Ended(_) => reads = false,
                Received::Other => {}
            }
            self.received.push_back(received);
            reads &= self.received.len() < BATCH && bytes < BATCH_BYTES;
        }
        if connection.take_arrived() {
            let now = Std::now();
            client.lock().machine().handle_traffic(now);
        }
        moved | self.process(client)
    }

    /// Processes what was received, until the queue is full. It locks the client once, so that a thread that waits for
    /// updates is woken once. Returns whether there was anything.
    fn process(&mut self, client: &Handle) -> bool {
        let mut moved = false;
        let now = Std::now();
        let mut turn = client.lock();
        while let Some(received) = self.received.pop_front() {
            let mut full = false;
            match received {
                Received::Text(text) => full = deliver(&mut turn, now, &text),
                Received::Binary(payload) => turn.machine().handle_binary(now, &payload),
                Received::Other | Received::Blocked => {}
                Received::Ended(Ended { reason, cause }) => {
                    drop(turn);
                    self.disconnected(client, reason, cause);
                    return true;
                }
            }
            moved = true;
            if full {
                break;
            }
        }
        moved
    }

    fn disconnected(&mut self, client: &Handle, reason: DisconnectReason, cause: Option<Cause>) {
        self.drop_link();
        let now = Std::now();
        let mut turn = client.lock();
        let (session, inbox) = turn.sides();
        inbox.note_transport_error(cause);
        session.lost(now, reason);
    }
}

/// Passes a message to the session and queues its events. Returns whether the queue is full.
fn deliver(client: &mut Turn<'_, ClientSession>, now: Instant, text: &str) -> bool {
    let (session, inbox) = client.sides();
    let message = &mut Some(text);
    while let Some(event) = session.handle_message(now, message) {
        inbox.receive(now, event);
    }
    let full = inbox.is_full();
    // Notify about this message before the next one is processed.
    let _ = client.settle(now);
    full
}
