//! The task behind a client: it moves bytes and keeps time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use multiwa_ws_core::Instant;
use multiwa_ws_core::client::{Client, TransportAction};
use multiwa_ws_core::handshake::ClientRequest;
use multiwa_ws_core::session::Loss;

use super::drive::{Driver, Inbox, Turn};
use super::{Connector, ConnectorError};
use crate::Io;
use crate::buffer::ReadBuffer;
use crate::transport::{Read, Timer, Transport, transmit};

/// Drives the core's client over the streams of a connector, to its end.
pub(super) struct Task<C: Connector, R: Io<C::Stream>> {
    driver: Driver<Client>,
    pump: Pump<C, R>,
}

/// Everything that is the task's own.
struct Pump<C: Connector, R: Io<C::Stream>> {
    connector: C,
    link: Link<C::Stream>,
    buffer: ReadBuffer,
    timer: Timer<R>,
    paused: bool,
}

type Connecting<S> = Pin<Box<dyn Future<Output = Result<(S, ClientRequest), ConnectorError>> + Send>>;

enum Link<S> {
    None,
    Connecting(Connecting<S>),
    Up(Transport<S>),
}

impl<C: Connector, R: Io<C::Stream>> Task<C, R> {
    pub(super) fn new(driver: Driver<Client>, connector: C) -> Self {
        let pump =
            Pump { connector, link: Link::None, buffer: ReadBuffer::default(), timer: Timer::new(), paused: false };
        Self { driver, pump }
    }
}

impl<C: Connector, R: Io<C::Stream>> Future for Task<C, R> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { driver, pump } = self.get_mut();
        let mut client = driver.turn(cx.waker());
        // A server that never pauses must not starve the other tasks of the thread.
        for _ in 0..TURNS {
            // A client that gives up still closes the connection: the server is told why.
            if client.is_over() && matches!(pump.link, Link::None) {
                return Poll::Ready(());
            }
            if !pump.turn(cx, &mut client) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Turns of one poll.
const TURNS: usize = 16;

impl<C: Connector, R: Io<C::Stream>> Pump<C, R> {
    /// Does all there is to do; whether something was done that may have made more.
    fn turn(&mut self, cx: &mut Context<'_>, client: &mut Turn<'_, Client>) -> bool {
        let acted = self.act(client.machine());
        let moved = match &mut self.link {
            Link::None => false,
            Link::Connecting(connecting) => match connecting.as_mut().poll(cx) {
                Poll::Pending => false,
                Poll::Ready(result) => {
                    self.connected(client, result);
                    true
                }
            },
            Link::Up(_) => self.exchange(cx, client),
        };
        let settled = client.settle(R::now());
        let timed = match self.timer.poll(cx, client.machine().poll_timeout()) {
            Poll::Ready(now) => {
                client.machine().handle_timeout(now);
                true
            }
            Poll::Pending => false,
        };
        acted || moved || settled || timed
    }

    fn act(&mut self, client: &mut Client) -> bool {
        let mut acted = false;
        while let Some(action) = client.poll_action() {
            acted = true;
            self.buffer = ReadBuffer::default();
            if std::mem::take(&mut self.paused) {
                client.reading_resumed(R::now());
            }
            self.link = match action {
                TransportAction::Disconnect => Link::None,
                TransportAction::Connect { attempt } => Link::Connecting(Box::pin(self.connector.connect(attempt))),
                TransportAction::Redirect(refusal) => Link::Connecting(Box::pin(self.connector.redirect(*refusal))),
            };
        }
        acted
    }

    fn connected(&mut self, client: &mut Turn<'_, Client>, result: Result<(C::Stream, ClientRequest), ConnectorError>) {
        let now = R::now();
        let (client, inbox) = client.sides();
        self.link = Link::None;
        let error = match result {
            Ok((stream, request)) => match client.connected(now, request) {
                Ok(()) => {
                    self.link = Link::Up(Transport::new(stream));
                    None
                }
                Err(error) => Some(error.to_string()),
            },
            Err(ConnectorError { loss, error }) => {
                client.connect_failed(now, loss);
                Some(error.to_string())
            }
        };
        inbox.note_transport_error(error);
    }

    /// Writes, reads and hands on what was read.
    fn exchange(&mut self, cx: &mut Context<'_>, client: &mut Turn<'_, Client>) -> bool {
        let Link::Up(transport) = &mut self.link else { return false };
        let (client, inbox) = client.sides();
        let _ = transport.poll_write::<R>(cx, client);
        if inbox.is_full() {
            if !self.paused {
                self.paused = true;
                client.reading_paused(R::now());
            }
            return false;
        }
        if std::mem::take(&mut self.paused) {
            client.reading_resumed(R::now());
        }
        let mut more = true;
        if self.buffer.is_empty() {
            self.buffer.release();
            match transport.poll_read::<R>(cx, &mut self.buffer) {
                Poll::Pending => return false,
                Poll::Ready(Read::Bytes) => {}
                Poll::Ready(Read::Eof) => more = false,
                Poll::Ready(Read::Failed) => {
                    more = false;
                    client.handle_lost(R::now(), Loss::Io);
                }
            }
        }
        let now = R::now();
        if more {
            receive(&mut self.buffer, now, client, inbox);
        } else {
            client.handle_eof(now);
        }
        if let Some(error) = transport.error.take() {
            inbox.note_transport_error(Some(error.to_string()));
        }
        true
    }
}

/// Hands on the events in `buffer`, until the queue is full.
fn receive(buffer: &mut ReadBuffer, now: Instant, client: &mut Client, inbox: &mut Inbox) {
    buffer.consume(|input| {
        while !inbox.is_full()
            && let Some(received) = client.handle_input(now, input)
        {
            inbox.receive(now, received.event);
        }
    });
}

transmit!(Client, |client, now| client.handle_lost(now, Loss::Io));
