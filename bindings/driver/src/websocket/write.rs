//! The connection itself with its stream, and what writing needs.

use std::task::{Context, Poll};

use multiwa_ws_core::Instant;
use multiwa_ws_core::websocket::{Closed, Event, SendError, Sender, State, WebSocket};

use crate::error::verdict;
use crate::transport::{Read, Transport};
use crate::{Error, Io};

/// The connection with its stream: what both sides touch.
pub(super) struct WriteSide<S> {
    pub(super) machine: WebSocket,
    pub(super) transport: Transport<S>,
    pub(super) closed: Option<Closed>,
    /// The furthest that [`end`](Self::end) came: a connection that ends drops what is queued.
    furthest: u64,
    /// Whether the end was reported.
    reported: bool,
}

impl<S> WriteSide<S> {
    pub(super) fn new(machine: WebSocket, transport: Transport<S>) -> Self {
        Self { machine, transport, closed: None, furthest: 0, reported: false }
    }

    /// Bytes written or queued so far.
    pub(super) fn end(&self) -> u64 {
        self.transport.written + self.machine.queued() as u64
    }

    /// Queues by `command`; `None` when there is no room for it yet.
    pub(super) fn try_send(
        &mut self,
        command: impl Fn(&mut Sender<'_>) -> Result<(), SendError>,
    ) -> Option<Result<(), Error>> {
        match command(&mut self.machine.sender()) {
            // An empty queue that has no room will never have any.
            Err(SendError::QueueFull { queued, .. }) if queued > 0 => None,
            result => Some(result.map_err(Error::from)),
        }
    }

    /// Notes what is queued, before anything that may end the connection.
    pub(super) fn note_queued(&mut self) {
        self.furthest = self.furthest.max(self.end());
    }

    /// Whether all that was ever queued was written, now that nothing is left to write.
    pub(super) fn written(&self) -> Result<(), Error> {
        let is_short = self.transport.written < self.furthest || self.transport.unflushed;
        if is_short { Err(SendError::Closed.into()) } else { Ok(()) }
    }

    /// Reports to the machine how the stream was read.
    pub(super) fn machine_reads(&mut self, now: Instant, read: Read) {
        match read {
            Read::Bytes => {}
            Read::Eof => self.machine.handle_eof(now),
            Read::Failed => self.machine.handle_lost(now),
        }
    }

    /// What the end was, the first time; nothing to report afterwards.
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
    /// Writes what is queued. Ready when nothing is left.
    pub(super) fn poll_write<R: Io<S>>(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.note_queued();
        // What a connection that has ended did not write it never will.
        if self.machine.state() == State::Closed {
            return Poll::Ready(());
        }
        self.transport.poll_write::<R>(cx, &mut self.machine)
    }

    /// Whether the connection has ended; notes how.
    pub(super) fn is_closed<R: Io<S>>(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(Event::Closed(closed)) = self.machine.poll_event() {
            self.closed = Some(closed);
            // A server waits for the client to end the stream (RFC 6455 section 7.1.1), which must not depend on when
            // the caller drops it.
            self.transport.shut_down::<R>(cx);
        }
        self.closed.is_some()
    }
}
