//! The task behind a client: it moves bytes, keeps time and spreads the news.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use multiwa_ws_core::Instant;
use multiwa_ws_core::client::{Client, TransportAction};
use multiwa_ws_core::handshake::ClientRequest;
use multiwa_ws_core::session::{ClientEvent, Loss, Notice};

use super::{Connector, ConnectorError, Shared, State, Update, result_of};
use crate::Io;
use crate::buffer::ReadBuffer;
use crate::transport::{Timer, Transport, transmit};

/// Drives the core's client over the streams of a connector, to its end.
pub(super) struct Task<C: Connector, R: Io<C::Stream>> {
    shared: Arc<Shared>,
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
    pub(super) fn new(shared: Arc<Shared>, connector: C) -> Self {
        Self { shared, connector, link: Link::None, buffer: ReadBuffer::default(), timer: Timer::new(), paused: false }
    }

    /// Does all there is to do; whether something was done that may have made more.
    fn turn(&mut self, cx: &mut Context<'_>, state: &mut State) -> bool {
        if std::mem::take(&mut state.abandoned) {
            state.client.commands().close(R::now());
        }
        let acted = self.act(state);
        let moved = match &mut self.link {
            Link::None => false,
            Link::Connecting(connecting) => match connecting.as_mut().poll(cx) {
                Poll::Pending => false,
                Poll::Ready(result) => {
                    self.connected(state, result);
                    true
                }
            },
            Link::Up(_) => self.exchange(cx, state),
        };
        spread_notices(state);
        let timed = match self.timer.poll(cx, state.client.poll_timeout()) {
            Poll::Ready(now) => {
                state.client.handle_timeout(now);
                true
            }
            Poll::Pending => false,
        };
        acted || moved || timed
    }

    fn act(&mut self, state: &mut State) -> bool {
        let mut acted = false;
        while let Some(action) = state.client.poll_action() {
            acted = true;
            self.buffer = ReadBuffer::default();
            if std::mem::take(&mut self.paused) {
                state.client.reading_resumed(R::now());
            }
            self.link = match action {
                TransportAction::Disconnect => Link::None,
                TransportAction::Connect { attempt } => Link::Connecting(Box::pin(self.connector.connect(attempt))),
                TransportAction::Redirect(refusal) => Link::Connecting(Box::pin(self.connector.redirect(*refusal))),
            };
        }
        acted
    }

    fn connected(&mut self, state: &mut State, result: Result<(C::Stream, ClientRequest), ConnectorError>) {
        let now = R::now();
        match result {
            Ok((stream, request)) => match state.client.connected(now, request) {
                Ok(()) => {
                    state.transport_error = None;
                    self.link = Link::Up(Transport::new(stream));
                }
                Err(error) => {
                    state.transport_error = Some(error.to_string());
                    self.link = Link::None;
                }
            },
            Err(ConnectorError { loss, error }) => {
                state.transport_error = Some(error.to_string());
                self.link = Link::None;
                state.client.connect_failed(now, loss);
            }
        }
    }

    /// Writes, reads and hands on what was read.
    fn exchange(&mut self, cx: &mut Context<'_>, state: &mut State) -> bool {
        let Link::Up(transport) = &mut self.link else { return false };
        let _ = transport.poll_write::<R>(cx, &mut state.client);
        if state.queue.must_wait() {
            if !self.paused {
                self.paused = true;
                state.client.reading_paused(R::now());
            }
            return false;
        }
        if std::mem::take(&mut self.paused) {
            state.client.reading_resumed(R::now());
        }
        if self.buffer.is_empty() {
            self.buffer.release();
            match transport.poll_read::<R>(cx, &mut self.buffer, &mut state.client) {
                Poll::Pending => return false,
                Poll::Ready(true) => {}
                Poll::Ready(false) => {
                    state.client.handle_eof(R::now());
                    note_error(transport, state);
                    return true;
                }
            }
        }
        receive(&mut self.buffer, R::now(), state);
        note_error(transport, state);
        true
    }
}

impl<C: Connector, R: Io<C::Stream>> Future for Task<C, R> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let shared = this.shared.clone();
        let mut state = shared.lock();
        state.task = Some(cx.waker().clone());
        // A server that never pauses must not starve the other tasks of the thread.
        for _ in 0..TURNS {
            if state.over.is_some() {
                return Poll::Ready(());
            }
            if !this.turn(cx, &mut state) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Turns of one poll.
const TURNS: usize = 16;

/// Hands on the events in `buffer`, until the queue is full.
fn receive(buffer: &mut ReadBuffer, now: Instant, state: &mut State) {
    let State { client, .. } = state;
    let mut ended = Vec::new();
    let mut updates = Vec::new();
    let room = state.queue.room();
    buffer.consume(|input| {
        while updates.len() < room
            && let Some(received) = client.handle_input(now, input)
        {
            match received.event {
                ClientEvent::RequestEnded { id, outcome, .. } => ended.push((id, result_of(outcome))),
                event => updates.extend(update_of(event)),
            }
        }
    });
    for (id, result) in ended {
        state.end_request(id, result);
    }
    let mut close = false;
    for update in updates {
        close |= state.push(update);
    }
    if close {
        state.client.commands().close(now);
    }
}

fn update_of(event: ClientEvent<'_>) -> Option<Update> {
    Some(match event {
        ClientEvent::Event(event) => Update::Event(event.into_owned()),
        ClientEvent::Notification(message) => Update::Notification(message.into_owned()),
        ClientEvent::Unknown(message) => Update::Unknown(message.into_owned()),
        ClientEvent::Error { error, code } => {
            Update::Error { error: error.into_owned(), code: code.map(|code| code.into_owned()) }
        }
        ClientEvent::Invalid(error) => Update::Invalid(error),
        // The session takes it for what it is; `Notice::Opened` tells of the connection.
        ClientEvent::Connected(_) | ClientEvent::RequestEnded { .. } => return None,
    })
}

fn spread_notices(state: &mut State) {
    while let Some(notice) = state.client.poll_event() {
        match &notice {
            Notice::RequestEnded { id, outcome, .. } => {
                state.end_request(*id, result_of(outcome.clone()));
                continue;
            }
            Notice::Ready { .. } => {
                state.was_ready = true;
                state.wake_watchers();
            }
            Notice::Closed(cause) => {
                state.over = Some(*cause);
                state.wake_watchers();
            }
            _ => {}
        }
        // A notice is never dropped, so it never closes the client.
        let _ = state.push(Update::Notice(notice));
    }
}

fn note_error<S>(transport: &mut Transport<S>, state: &mut State) {
    if let Some(error) = transport.error.take() {
        state.transport_error = Some(error.to_string());
    }
}

transmit!(Client, |client, now| client.handle_lost(now, Loss::Io));
