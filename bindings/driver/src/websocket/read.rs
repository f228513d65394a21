//! The reading side of a connection: input and deadlines.

use std::ops::ControlFlow;
use std::task::{Context, Poll, ready};

use multiwa_ws_core::Instant;
use multiwa_ws_core::websocket::{Event, MessageBuffer};

use super::write::WriteSide;
use crate::buffer::ReadBuffer;
use crate::transport::{Read, Timer};
use crate::{Io, Runtime};

/// A shorter rest of a message is read into the buffer, together with what follows it.
const MIN_ROOM: usize = 16 << 10;

/// The state that only the reader uses.
pub(super) struct ReadSide<R: Runtime> {
    buffer: ReadBuffer,
    /// The payload of an event that does not lie in one piece in `buffer`.
    message: MessageBuffer,
    /// The time at which the bytes in `buffer` were read.
    now: Instant,
    timer: Timer<R>,
    /// The limit of bytes that are read ahead while the caller waits to write.
    max_ahead: usize,
    /// How the stream ended, after the bytes in `buffer`.
    end: Option<Read>,
    /// Whether bytes were read since the caller requested an event.
    pub(super) has_read: bool,
    /// Whether reading is paused in the state machine.
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

    /// Returns the next event of the buffered bytes.
    pub(super) fn take_event<S>(&mut self, write: &mut WriteSide<S>) -> Option<Event<'_>> {
        write.note_queued();
        let (mut input, unread) = self.buffer.unread();
        // A violation is reported when the connection has ended, after the Close frame was sent to the peer.
        let event = write.machine.handle_input_apart(self.now, &mut input, &mut self.message).ok().flatten();
        unread.leave(input.len());
        if event.is_some() {
            // While the caller handles the event nothing is read, so the keep-alive must ignore the peer's silence.
            write.machine.reading_paused(self.now);
            self.is_paused = true;
        }
        event
    }

    /// Writes, reads and handles deadlines until something has changed. Breaks when the connection has ended.
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
        // Bytes in the stream are processed before deadlines, because they could not arrive while the caller did not
        // read. After a read, and while the connection closes, deadlines are handled even if more bytes keep arriving.
        if self.has_read || !write.machine.is_open() {
            let _ = self.poll_deadline(cx, write);
            if write.is_closed::<R>(cx) {
                return Poll::Ready(ControlFlow::Break(()));
            }
        }
        let end = match self.end.take() {
            Some(end) => Poll::Ready(end),
            None => self.poll_read(cx, write),
        };
        if let Poll::Ready(read) = end {
            self.now = R::now();
            self.has_read = true;
            write.machine_reads(self.now, read);
            return Poll::Ready(ControlFlow::Continue(()));
        }
        self.poll_deadline(cx, write).map(ControlFlow::Continue)
    }

    /// Reads into the empty buffer, or straight to the place of the bytes if they belong to a large message.
    fn poll_read<S: Unpin>(&mut self, cx: &mut Context<'_>, write: &mut WriteSide<S>) -> Poll<Read>
    where
        R: Io<S>,
    {
        let WriteSide { machine, transport, .. } = write;
        let Some(mut room) = machine.room().filter(|room| room.size() >= MIN_ROOM) else {
            return transport.poll_read::<R>(cx, &mut self.buffer);
        };
        let (read, len) = ready!(transport.poll_read_some::<R>(cx, room.buffer()));
        room.filled(R::now(), len);
        Poll::Ready(read)
    }

    /// Reads more bytes after the buffered ones, while there is room. Ready when bytes or the end of the stream arrived.
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

    /// Whether the limit of bytes that are read ahead is reached.
    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() >= self.max_ahead
    }

    /// Called when the caller reads again.
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
