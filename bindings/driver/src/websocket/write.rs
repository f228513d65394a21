//! The connection with its stream, and the writing side.

use std::task::{Context, Poll, ready};

use multiwa_ws_core::Instant;
use multiwa_ws_core::websocket::{Closed, Event, Message, SendError, Sender, State, WebSocket};

use crate::error::verdict;
use crate::transport::{Read, Transport};
use crate::{Error, Io};

/// The connection with its stream, which both sides use.
pub(super) struct WriteSide<S> {
    pub(super) machine: WebSocket,
    pub(super) transport: Transport<S>,
    pub(super) closed: Option<Closed>,
    /// The highest value of [`end`](Self::end) so far. `end` decreases when a connection ends, because that drops the
    /// queue.
    furthest: u64,
    /// Whether the end of the connection was reported.
    reported: bool,
}

impl<S> WriteSide<S> {
    pub(super) fn new(machine: WebSocket, transport: Transport<S>) -> Self {
        Self { machine, transport, closed: None, furthest: 0, reported: false }
    }

    /// The number of bytes written and queued so far.
    pub(super) fn end(&self) -> u64 {
        self.transport.written + self.machine.queued() as u64
    }

    /// Runs `command` to queue a message. Returns `None` if there is no room for it yet.
    pub(super) fn try_send(
        &mut self,
        command: impl Fn(&mut Sender<'_>) -> Result<(), SendError>,
    ) -> Option<Result<(), Error>> {
        unless_full(command(&mut self.machine.sender()))
    }

    /// Records how much is queued. Call this before anything that may end the connection.
    pub(super) fn note_queued(&mut self) {
        self.furthest = self.furthest.max(self.end());
    }

    /// Returns an error unless all queued bytes were written. Call this when nothing is left to write.
    pub(super) fn written(&self) -> Result<(), Error> {
        let is_short = self.transport.written < self.furthest || self.transport.unflushed;
        if is_short { Err(SendError::Closed.into()) } else { Ok(()) }
    }

    /// Passes the result of a read to the state machine.
    pub(super) fn machine_reads(&mut self, now: Instant, read: Read) {
        match read {
            Read::Bytes => {}
            Read::Eof => self.machine.handle_eof(now),
            Read::Failed => self.machine.handle_lost(now),
        }
    }

    /// Returns how the connection ended, on the first call. Later calls return `Ok`.
    pub(super) fn verdict(&mut self) -> Result<(), Error> {
        match self.closed {
            Some(closed) if !std::mem::replace(&mut self.reported, true) => {
                verdict(closed, self.transport.error.take())
            }
            _ => Ok(()),
        }
    }
}

impl<S: Unpin> WriteSide<S> {
    /// Writes the queued bytes. Ready when nothing is left.
    pub(super) fn poll_write<R: Io<S>>(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.note_queued();
        // After the connection has ended nothing more is written.
        if self.machine.state() == State::Closed {
            return Poll::Ready(());
        }
        self.transport.poll_write::<R>(cx, &mut self.machine)
    }

    /// Writes `message` at once, if nothing waits before it, and queues what the stream does not accept. Returns `None` if
    /// there is no room for it yet.
    pub(super) fn try_send_at_once<R: Io<S>>(
        &mut self,
        cx: &mut Context<'_>,
        message: Message<'_>,
    ) -> Option<Result<(), Error>> {
        let unsent = match self.machine.frame(message) {
            Ok(unsent) => unsent,
            Err(error) => return unless_full(Err(error)),
        };
        if let Err(error) = self.transport.write_at_once::<R>(cx, unsent) {
            self.note_queued();
            self.transport.lose::<R>(error, &mut self.machine);
        }
        Some(Ok(()))
    }

    /// Runs `send` to queue a message. Ready when there was room for it.
    pub(super) fn poll_queue<R: Io<S>>(
        &mut self,
        cx: &mut Context<'_>,
        send: impl Fn(&mut Self, &mut Context<'_>) -> Option<Result<(), Error>>,
    ) -> Poll<Result<(), Error>> {
        loop {
            match send(self, cx) {
                Some(result) => return Poll::Ready(result),
                None => ready!(self.poll_write::<R>(cx)),
            }
        }
    }

    /// Ready when everything is written.
    pub(super) fn poll_written<R: Io<S>>(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_write::<R>(cx).map(|()| self.written())
    }

    /// Whether the connection has ended. Stores how it ended.
    pub(super) fn is_closed<R: Io<S>>(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(Event::Closed(closed)) = self.machine.poll_event() {
            self.closed = Some(closed);
            // A server waits for the client to close the stream (RFC 6455 section 7.1.1). So close it now, not when the
            // caller drops the connection.
            self.transport.shut_down::<R>(cx);
        }
        self.closed.is_some()
    }
}

/// Returns `None` if a message must wait for room.
fn unless_full(sent: Result<(), SendError>) -> Option<Result<(), Error>> {
    match sent {
        // A message that does not fit in an empty queue never fits.
        Err(SendError::QueueFull { queued, .. }) if queued > 0 => None,
        result => Some(result.map_err(Error::from)),
    }
}
