//! A WebSocket connection over a stream, without the MultiWA protocol.

mod message;
mod read;
mod split;
mod stream;
mod wakers;
mod write;

use std::fmt;
use std::future::{Future, poll_fn};
use std::task::{Context, Poll, ready};

use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::websocket as core;
use multiwa_ws_core::websocket::{Closed, Config, Event, Negotiated, Received, Role, SendError, Sender, State};
use polonius_the_crab::{ForLt, PoloniusResult, polonius};

use crate::buffer::ReadBuffer;
use crate::transport::Transport;
use crate::{Error, Io, Runtime, seed};
use read::ReadSide;
use write::WriteSide;

pub use message::Message;
pub use split::{Reader, Writer};
pub use stream::{MessageSink, MessageStream};

/// The limit of unwritten answers. Above it no further event is returned, so that a peer that does not read its answers
/// is not read from either.
///
/// Other messages do not count. Otherwise two peers that both send much would wait for each other indefinitely.
const HIGH_WATER: u64 = 256 << 10;

/// A WebSocket connection over the stream `S`, in either role, on the runtime `R`.
///
/// [`next`](Self::next) reads, answers pings, runs the keep-alive, writes queued bytes before it waits, and completes the
/// closing handshake. Commands on [`sender`](Self::sender) only queue; [`flush`](Self::flush) or `next` writes. Every
/// method is cancel safe: a future may be dropped at any await, and nothing is lost or sent twice.
pub struct WebSocket<S, R: Runtime> {
    read: ReadSide<R>,
    write: WriteSide<S>,
    answers: Answers,
}

impl<S: Unpin, R: Io<S>> WebSocket<S, R> {
    /// Makes a connection from a stream whose upgrade is complete. `negotiated` is the result of the upgrade, and
    /// `unread` are the bytes that were read after it.
    ///
    /// # Errors
    /// The operating system does not provide a random seed.
    pub fn from_upgraded(
        stream: S,
        role: Role,
        config: &Config,
        negotiated: &Negotiated,
        unread: &[u8],
    ) -> std::io::Result<Self> {
        Self::new(Transport::new(stream), ReadBuffer::with(unread), role, config, negotiated)
    }

    pub(crate) fn new(
        transport: Transport<S>,
        buffer: ReadBuffer,
        role: Role,
        config: &Config,
        negotiated: &Negotiated,
    ) -> std::io::Result<Self> {
        let seed = seed()?;
        let now = R::now();
        let machine = core::WebSocket::new(now, role, config, negotiated, seed);
        Ok(Self {
            read: ReadSide::new(now, buffer, config.get_max_message_len()),
            write: WriteSide::new(machine, transport),
            answers: Answers::default(),
        })
    }

    /// Waits for the next event, which is borrowed until the next call, together with the commands of the connection to
    /// answer it.
    ///
    /// Bytes that are queued between an event and the next call count as answers. While more than 256 KiB of answers are
    /// unwritten, `next` does not read from the peer, and the keep-alive ignores the peer's silence.
    ///
    /// Returns `None` after the connection has ended without an error; [`closed`](Self::closed) returns how it ended.
    /// Cancel safe.
    ///
    /// # Errors
    /// How the connection failed. The error is returned once; after it `next` returns `None`.
    pub async fn next(&mut self) -> Result<Option<Received<'_>>, Error> {
        self.answers.finish(self.write.transport.written, self.write.end());
        poll_fn(|cx| self.poll_room(cx)).await;
        let mut read = &mut self.read;
        read.has_read = false;
        loop {
            match polonius::<_, _, ForLt!(Event<'_>)>(read, |read| borrowed(read.take_event(&mut self.write))) {
                PoloniusResult::Borrowing(event) => {
                    self.answers.begin(self.write.end());
                    return Ok(Some(Received { event, sender: self.write.machine.sender() }));
                }
                PoloniusResult::Owned { input_borrow, .. } => read = input_borrow,
            }
            if poll_fn(|cx| read.poll_progress(cx, &mut self.write)).await.is_break() {
                return self.write.verdict().map(|()| None);
            }
        }
    }

    /// The commands of the connection. They only queue; [`flush`](Self::flush) or [`next`](Self::next) writes.
    pub fn sender(&mut self) -> Sender<'_> {
        self.write.machine.sender()
    }

    /// Sends a text message and writes it out. When the queue is full it waits for room. Cancel safe: a dropped future
    /// has queued the whole message or nothing. To know which, queue the message with [`sender`](Self::sender) and then
    /// flush.
    ///
    /// During the wait it reads and keeps up to [`Config::max_message_len`] bytes from the peer, so that two peers that
    /// send at the same time do not wait for each other.
    ///
    /// # Errors
    /// [`Error::Send`] when the connection is closing, when it ends before the message is written, or when the message
    /// can never fit in the queue. [`Error::Unread`] when the peer sends more bytes than are kept.
    pub async fn send_text(&mut self, text: &str) -> Result<(), Error> {
        self.send(core::Message::Text(text)).await
    }

    /// Sends a binary message and writes it out. It is cancel safe in the same way as [`send_text`](Self::send_text).
    ///
    /// # Errors
    /// The errors of [`send_text`](Self::send_text).
    pub async fn send_binary(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.send(core::Message::Binary(payload)).await
    }

    /// Writes the queued bytes. It keeps bytes from the peer as [`send_text`](Self::send_text) does. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Send`] when the connection ends, or has ended, before everything is written; [`next`](Self::next) returns
    /// the cause. [`Error::Unread`] when the peer sends more bytes than are kept: take events with `next`, which writes
    /// too.
    pub async fn flush(&mut self) -> Result<(), Error> {
        let mut waited = false;
        poll_fn(|cx| self.poll_written(cx, &mut waited)).await
    }

    /// Closes the connection and waits until it has ended. It discards messages that still arrive. To receive them, call
    /// `sender().close(..)` and continue with [`next`](Self::next). Cancel safe.
    ///
    /// It waits until the queue is written, and at most [`Config::close_timeout`] longer.
    ///
    /// # Errors
    /// [`Error::Send`] when `code` or `reason` is not allowed, or the error with which the connection failed.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        match self.write.machine.close(R::now(), code, reason) {
            Ok(()) | Err(SendError::Closed) => {}
            Err(error) => return Err(error.into()),
        }
        while self.next().await?.is_some() {}
        Ok(())
    }

    /// How the connection ended. `None` while it is open.
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        self.write.closed
    }

    /// The stream, for example for its addresses and options.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.write.transport.stream
    }

    /// Splits the connection into two halves, for one task that reads and another that writes.
    #[must_use]
    pub fn split(self) -> (Reader<S, R>, Writer<S, R>) {
        split::halves(self.read, self.write)
    }

    /// Converts the connection to a `Stream` and `Sink` of whole messages that own their payload.
    #[must_use]
    pub fn into_stream(self) -> MessageStream<S, R> {
        MessageStream::new(self)
    }

    /// Sends a message, when there is room for it, and writes everything.
    fn send(&mut self, message: core::Message<'_>) -> impl Future<Output = Result<(), Error>> {
        let (mut queued, mut waited) = (false, false);
        poll_fn(move |cx| {
            if !queued {
                ready!(self.poll_queue(cx, |write, cx| write.try_send_at_once::<R>(cx, message)))?;
                queued = true;
            }
            self.poll_written(cx, &mut waited)
        })
    }

    /// Runs `send` to queue a message. Ready when there was room for it.
    fn poll_queue(
        &mut self,
        cx: &mut Context<'_>,
        send: impl Fn(&mut WriteSide<S>, &mut Context<'_>) -> Option<Result<(), Error>>,
    ) -> Poll<Result<(), Error>> {
        loop {
            match send(&mut self.write, cx) {
                Some(result) => return Poll::Ready(result),
                None if self.write.poll_write::<R>(cx).is_ready() => {}
                None => ready!(self.poll_wait(cx))?,
            }
        }
    }

    /// Ready when everything is written. Sets `waited` if it had to wait.
    fn poll_written(&mut self, cx: &mut Context<'_>, waited: &mut bool) -> Poll<Result<(), Error>> {
        while self.write.poll_write::<R>(cx).is_pending() {
            *waited = true;
            ready!(self.poll_wait(cx))?;
        }
        // The peer may be blocked while it writes its last bytes, and the caller may read much later.
        while *waited && self.read.poll_ahead(cx, &mut self.write).is_ready() {}
        Poll::Ready(self.write.written())
    }

    /// Called while the stream accepts no bytes: reads ahead and handles deadlines. Ready when something has changed, or
    /// with an error when the wait cannot end.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Self { read, write, .. } = self;
        read.resume(write);
        if read.poll_ahead(cx, write).is_ready() {
            return Poll::Ready(Ok(()));
        }
        if read.is_full() {
            return Poll::Ready(Err(Error::Unread));
        }
        read.poll_deadline(cx, write).map(Ok)
    }

    /// Ready when the unwritten answers are below the limit. Handles the deadline of a closing handshake.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Self { read, write, answers } = self;
        // After the peer's Close frame no more events that need answers follow.
        let is_short = |write: &WriteSide<S>| {
            matches!(write.machine.state(), State::Open | State::Closing)
                && answers.waiting(write.transport.written) > HIGH_WATER
        };
        while is_short(write) {
            if write.poll_write::<R>(cx).is_pending() && is_short(write) {
                ready!(read.poll_deadline(cx, write));
            }
        }
        Poll::Ready(())
    }
}

impl<S, R: Runtime> fmt::Debug for WebSocket<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").field("state", &self.write.machine.state()).finish_non_exhaustive()
    }
}

/// Counts the unwritten answers: bytes that are queued between an event and the next call.
///
/// Positions count the bytes sent since the start of the connection.
#[derive(Default)]
struct Answers {
    /// The start of the answers to the last event, until the caller requests the next one.
    start: Option<u64>,
    /// The end of the last answers.
    end: u64,
    /// The number of bytes of answers before `end`. Some of them may be written already.
    len: u64,
}

impl Answers {
    /// Starts to count answers. `end` is the current end of the queue.
    fn begin(&mut self, end: u64) {
        self.start = Some(end);
    }

    /// Stops counting, when the caller requests the next event. `written` bytes of `end` are written.
    fn finish(&mut self, written: u64, end: u64) {
        if let Some(start) = self.start.take() {
            self.len = self.waiting(written) + end.saturating_sub(start);
            self.end = end;
        }
    }

    /// The maximum number of unwritten bytes of answers after `written` bytes are written.
    fn waiting(&self, written: u64) -> u64 {
        self.len.min(self.end.saturating_sub(written))
    }
}

fn borrowed<T>(event: Option<T>) -> PoloniusResult<T, ()> {
    event.map_or(PoloniusResult::Owned(()), PoloniusResult::Borrowing)
}
