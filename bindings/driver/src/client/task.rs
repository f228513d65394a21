//! The task of a client: it does the I/O and handles deadlines.
//!
//! It locks the client only while the state machine runs. Connectors, futures and streams are called without the lock.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use multiwa_ws_core::client::{Client, TransportAction};
use multiwa_ws_core::handshake::ClientRequest;
use multiwa_ws_core::session::{ClientState, DisconnectReason};
use multiwa_ws_core::{Instant, StateMachine};

use super::disconnect::Cause;
use super::drive::Driver;
use super::shared::State;
use crate::Io;
use crate::buffer::{self, ReadBuffer};
use crate::dial::{Connector, ConnectorError};
use crate::transport::{Read, Timer, Transport};

/// Drives the client of the core over the streams of a connector, until it is closed.
pub(super) struct Task<C: Connector, R: Io<C::Stream>> {
    driver: Driver<Client>,
    pump: Pump<C, R>,
}

/// The state of the task, without the driver.
struct Pump<C: Connector, R: Io<C::Stream>> {
    connector: C,
    link: Link<C::Stream>,
    buffer: ReadBuffer,
    timer: Timer<R>,
    paused: bool,
    /// The number of turns since deadlines were checked.
    turns: usize,
    /// Until when nothing is read, unless the application takes the buffer of events that was handed over.
    ahead_until: Option<Instant>,
}

type Connecting<S> = Pin<Box<dyn Future<Output = Result<(S, ClientRequest), ConnectorError>> + Send>>;

enum Link<S> {
    None,
    Connecting(Connecting<S>),
    Up(Transport<S>),
}

/// The result of a turn.
enum Turned {
    /// The client is closed, and no work is left.
    Closed,
    /// Progress was made, and more may be possible.
    Busy,
    /// There is nothing to do before this time.
    Idle(Option<Instant>),
}

impl<C: Connector, R: Io<C::Stream>> Task<C, R> {
    pub(super) fn new(driver: Driver<Client>, connector: C) -> Self {
        let pump = Pump {
            connector,
            link: Link::None,
            buffer: ReadBuffer::default(),
            timer: Timer::new(),
            paused: false,
            turns: 0,
            ahead_until: None,
        };
        Self { driver, pump }
    }
}

impl<C: Connector, R: Io<C::Stream>> Future for Task<C, R> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { driver, pump } = self.get_mut();
        let _entered = driver.enter();
        // The limit ensures that a server that sends without a pause blocks neither other tasks nor deadlines.
        while pump.turns < TURNS {
            pump.turns += 1;
            match pump.turn(cx, driver) {
                Turned::Closed => return Poll::Ready(()),
                Turned::Busy => {}
                // The deadline is checked after all input that has arrived was processed.
                Turned::Idle(deadline) => match pump.timer.poll(cx, deadline) {
                    Poll::Ready(_) if pump.ahead_until.take().is_some() => {}
                    Poll::Ready(now) => handle_timeout(driver, now),
                    Poll::Pending => {
                        if let Some(until) = pump.ahead_until
                            && pump.timer.poll_until(cx, until).is_ready()
                        {
                            continue;
                        }
                        pump.turns = 0;
                        return Poll::Pending;
                    }
                },
            }
        }
        pump.turns = 0;
        let deadline = driver.lock_again().machine.poll_timeout();
        if let Poll::Ready(now) = pump.timer.poll(cx, deadline) {
            handle_timeout(driver, now);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Handles deadlines. A deadline of a connection passes when it is silent, so this is also the time to free memory.
fn handle_timeout(driver: &Driver<Client>, now: Instant) {
    let mut client = driver.lock_again();
    client.machine.handle_timeout(now);
    client.inbox.release_memory();
}

/// The maximum number of turns before deadlines are checked.
const TURNS: usize = 16;

/// How long the application has to take a buffer of events before more is read. Usually it takes them at once, while they
/// are in the cache. If more were read first, the next events would be copied.
const MAX_AHEAD: Duration = Duration::from_millis(10);

impl<C: Connector, R: Io<C::Stream>> Pump<C, R> {
    /// Makes all progress that is possible, except for deadlines.
    fn turn(&mut self, cx: &mut Context<'_>, driver: &Driver<Client>) -> Turned {
        buffer::with_scratch(|scratch| {
            let now = R::now();
            let mut client = driver.lock(cx.waker());
            let settled = client.settle(now);
            if let Some(action) = client.machine.poll_action() {
                drop(client);
                self.act(action);
                return Turned::Busy;
            }
            // A client that has given up still closes the connection properly, so that the server gets the reason.
            if client.inbox.close_cause().is_some() && matches!(self.link, Link::None) {
                return Turned::Closed;
            }
            self.pause(now, &mut client);
            self.ahead_until = self.ahead_until.filter(|until| now < *until && client.inbox.is_ahead());
            let mut out = Out { driver, scratch, len: 0, shutdown: false, deadline: None, called: false };
            out.copy(&client.machine);
            drop(client);

            let moved = match &mut self.link {
                Link::None => false,
                Link::Connecting(connecting) => match connecting.as_mut().poll(cx) {
                    Poll::Pending => false,
                    Poll::Ready(result) => {
                        self.connected(driver, result);
                        true
                    }
                },
                Link::Up(_) => self.exchange(cx, &mut out),
            };
            if settled || moved || out.called { Turned::Busy } else { Turned::Idle(out.deadline) }
        })
    }

    /// Pauses or resumes reading. While the queue is full, an open connection is not read.
    fn pause(&mut self, now: Instant, client: &mut State<Client>) {
        let paused = is_paused(client);
        match (std::mem::replace(&mut self.paused, paused), paused) {
            (false, true) => client.machine.reading_paused(now),
            (true, false) => client.machine.reading_resumed(now),
            _ => {}
        }
    }

    fn act(&mut self, action: TransportAction) {
        self.buffer = ReadBuffer::default();
        self.link = match action {
            TransportAction::Disconnect => Link::None,
            TransportAction::Connect { attempt } => Link::Connecting(Box::pin(self.connector.connect(attempt))),
            TransportAction::Redirect(response) => Link::Connecting(Box::pin(self.connector.redirect(*response))),
        };
    }

    fn connected(&mut self, driver: &Driver<Client>, result: Result<(C::Stream, ClientRequest), ConnectorError>) {
        self.link = Link::None;
        match result {
            Ok((stream, request)) => {
                let now = R::now();
                let mut client = driver.lock_again();
                let (machine, inbox) = client.sides();
                let refused = machine.connected(now, request).err().map(|error| Arc::new(error) as Cause);
                let is_refused = refused.is_some();
                inbox.note_transport_error(refused);
                drop(client);
                if !is_refused {
                    self.link = Link::Up(Transport::new(stream));
                }
            }
            Err(ConnectorError { reason, error }) => {
                let now = R::now();
                let mut client = driver.lock_again();
                client.machine.connect_failed(now, reason);
                client.inbox.note_transport_error(Some(Arc::new(error)));
            }
        }
    }

    /// Writes, reads and processes the input. Returns whether anything was read.
    fn exchange(&mut self, cx: &mut Context<'_>, out: &mut Out<'_>) -> bool {
        let Link::Up(transport) = &mut self.link else { return false };
        let _ = transport.poll_write::<R>(cx, out);
        let mut read = Poll::Ready(Read::Bytes);
        if self.ahead_until.is_some() {
            read = Poll::Pending;
        } else if !self.paused && self.buffer.is_empty() {
            self.buffer.release();
            read = transport.poll_read::<R>(cx, &mut self.buffer);
        }
        let error = transport.error.take().map(|error| Arc::new(error) as Cause);
        let read = match read {
            Poll::Ready(read) if !self.paused => Some(read),
            _ => None,
        };
        if read.is_none() && error.is_none() {
            return false;
        }
        let now = R::now();
        let mut client = out.driver.lock_again();
        if error.is_some() {
            client.inbox.note_transport_error(error);
        }
        match read {
            Some(Read::Bytes) => {
                let handed_over = receive(&mut self.buffer, now, &mut client);
                self.ahead_until = handed_over.then(|| now + MAX_AHEAD);
            }
            Some(Read::Eof) => client.machine.handle_eof(now),
            Some(Read::Failed) => client.machine.handle_lost(now, DisconnectReason::Io),
            None => {}
        }
        true
    }
}

fn is_paused(client: &State<Client>) -> bool {
    let is_open = matches!(client.machine.session().state(), ClientState::AwaitingAck | ClientState::Ready);
    is_open && client.inbox.is_full()
}

/// Passes the events in `buffer` to the inbox, until the queue is full. Returns whether the buffer was handed over.
fn receive(buffer: &mut ReadBuffer, now: Instant, client: &mut State<Client>) -> bool {
    let place = client.inbox.input(buffer);
    buffer.consume(|input| {
        while !is_paused(client)
            && let Some(received) = client.machine.handle_input(now, input)
        {
            client.inbox.receive_from(now, received.event, place);
        }
    });
    place.is_some() && client.inbox.adopt(buffer)
}

/// A copy of the state machine's output and deadline, so that it is written while the client is unlocked.
struct Out<'t> {
    driver: &'t Driver<Client>,
    scratch: &'t mut [u8],
    /// The number of bytes of `scratch` to write.
    len: usize,
    shutdown: bool,
    deadline: Option<Instant>,
    /// Whether the state machine was called.
    called: bool,
}

impl Out<'_> {
    /// Each copy starts with the bytes that the stream has not accepted before: a TLS library that has encrypted bytes
    /// expects all of them again.
    fn copy(&mut self, machine: &Client) {
        let mut slices = [&[][..]; SLICES];
        let filled = machine.poll_transmit(&mut slices);
        self.len = 0;
        for slice in slices.iter().take(filled) {
            let room = self.scratch.get_mut(self.len..).unwrap_or_default();
            let len = slice.len().min(room.len());
            if let (Some(room), Some(slice)) = (room.get_mut(..len), slice.get(..len)) {
                room.copy_from_slice(slice);
            }
            self.len += len;
        }
        self.shutdown = machine.poll_shutdown();
        self.deadline = machine.poll_timeout();
    }

    fn call(&mut self, call: impl FnOnce(&mut Client)) {
        let mut client = self.driver.lock_again();
        call(&mut client.machine);
        self.called = true;
        self.copy(&client.machine);
    }
}

/// The maximum number of slices in one copy.
const SLICES: usize = 16;

impl StateMachine for Out<'_> {
    type Outcome = ();

    fn poll_transmit<'q>(&'q self, slices: &mut [&'q [u8]]) -> usize {
        match (self.scratch.get(..self.len), slices) {
            (Some(bytes @ [_, ..]), [slice, ..]) => {
                *slice = bytes;
                1
            }
            _ => 0,
        }
    }

    fn transmitted(&mut self, now: Instant, len: usize) {
        self.call(|client| client.transmitted(now, len));
    }

    fn poll_shutdown(&self) -> bool {
        self.shutdown
    }

    fn shutdown_done(&mut self) {
        self.call(Client::shutdown_done);
    }

    fn handle_eof(&mut self, now: Instant) {
        self.call(|client| client.handle_eof(now));
    }

    fn handle_lost(&mut self, now: Instant) {
        self.call(|client| client.handle_lost(now, DisconnectReason::Io));
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.call(|client| client.handle_timeout(now));
    }
}
