//! The reading side of a connection: what arrives, and the deadlines.

use std::ops::ControlFlow;
use std::task::{Context, Poll, ready};

use multiwa_ws_core::Instant;
use multiwa_ws_core::websocket::{Event, MessageBuffer};

use super::write::WriteSide;
use crate::buffer::ReadBuffer;
use crate::transport::{Read, Timer};
use crate::{Io, Runtime};

/// What only the reader touches.
pub(super) struct ReadSide<R: Runtime> {
    buffer: ReadBuffer,
    /// Where an event is lent from that does not lie whole in `buffer`.
    message: MessageBuffer,
    /// When the bytes in `buffer` were read.
    now: Instant,
    timer: Timer<R>,
    /// Bytes that are kept at most while the caller waits to write.
    max_ahead: usize,
    /// How the stream ended, behind what is in `buffer`.
    end: Option<Read>,
    /// Whether bytes were read since the caller asked for an event.
    pub(super) has_read: bool,
    /// Whether the state machine was told that we do not read.
    is_paused: bool,
}

impl<R: Runtime> ReadSide<R> {
    pub(super) fn new(now: Instant, buffer: ReadBuffer, max_ahead: usize) -> Self {
        Self {
            buffer,
            message: MessageBuffer::default(),
            now,
            timer: Timer::new(),
            max_ahead,
            end: None,
            has_read: false,
            is_paused: false,
        }
    }

    /// The next event of the bytes at hand.
    pub(super) fn take_event<S>(&mut self, write: &mut WriteSide<S>) -> Option<Event<'_>> {
        write.note_queued();
        let (mut input, unread) = self.buffer.unread();
        // A violation is reported with the end of the connection, once the peer was told.
        let event = write.machine.handle_input_apart(self.now, &mut input, &mut self.message).ok().flatten();
        unread.leave(input.len());
        if event.is_some() {
            // While the caller has the event nobody reads, and the peer's silence means nothing.
            write.machine.reading_paused(self.now);
            self.is_paused = true;
        }
        event
    }

    /// Writes, reads and keeps time until something new came of it: break when the connection is over.
    pub(super) fn poll_progress<S: Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        write: &mut WriteSide<S>,
    ) -> Poll<ControlFlow<()>>
    where
        R: Io<S>,
    {
        self.buffer.release();
        self.resume(write);
        let _ = write.poll_write::<R>(cx);
        if write.is_closed::<R>(cx) {
            return Poll::Ready(ControlFlow::Break(()));
        }
        // Bytes that wait in the stream come before deadlines: while nobody read, they could not arrive. Once read, or while the
        // connection closes, deadlines hold whatever keeps arriving.
        if self.has_read || !write.machine.is_open() {
            let _ = self.poll_deadline(cx, write);
            if write.is_closed::<R>(cx) {
                return Poll::Ready(ControlFlow::Break(()));
            }
        }
        let end = match self.end.take() {
            Some(end) => Poll::Ready(end),
            None => write.transport.poll_read::<R>(cx, &mut self.buffer),
        };
        if let Poll::Ready(read) = end {
            self.now = R::now();
            self.has_read = true;
            write.machine_reads(self.now, read);
            return Poll::Ready(ControlFlow::Continue(()));
        }
        self.poll_deadline(cx, write).map(ControlFlow::Continue)
    }

    /// Reads what arrives behind what is at hand, while there is room for it. Ready when something arrived.
    pub(super) fn poll_ahead<S: Unpin>(&mut self, cx: &mut Context<'_>, write: &mut WriteSide<S>) -> Poll<()>
    where
        R: Io<S>,
    {
        if self.end.is_some() || self.is_full() {
            return Poll::Pending;
        }
        match ready!(write.transport.poll_read_behind::<R>(cx, &mut self.buffer)) {
            Read::Bytes => {
                self.now = R::now();
                write.machine.handle_traffic(self.now);
            }
            end => self.end = Some(end),
        }
        Poll::Ready(())
    }

    /// Whether no more may be read ahead.
    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() >= self.max_ahead
    }

    /// The caller reads again.
    pub(super) fn resume<S>(&mut self, write: &mut WriteSide<S>) {
        if std::mem::take(&mut self.is_paused) {
            write.machine.reading_resumed(R::now());
        }
    }

    pub(super) fn poll_deadline<S>(&mut self, cx: &mut Context<'_>, write: &mut WriteSide<S>) -> Poll<()> {
        let now = ready!(self.timer.poll(cx, write.machine.poll_timeout()));
        write.machine.handle_timeout(now);
        Poll::Ready(())
    }
}
