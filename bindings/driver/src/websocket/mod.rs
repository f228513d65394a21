//! A WebSocket over a stream, without the protocol of MultiWA.

mod read;
mod split;
mod write;

use std::fmt;
use std::future::poll_fn;
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

pub use split::{Reader, Writer};

/// While more bytes than this of answers wait to be written, no further event is handed out: a peer that does not read
/// its answers is not read from either.
///
/// What answers no event does not count. Two peers that both send much would else wait for each other indefinitely.
const HIGH_WATER: u64 = 256 << 10;

/// A WebSocket connection over the stream `S`, either role, on the runtime `R`.
///
/// [`next`](Self::next) reads, answers pings, keeps the connection alive, writes what is queued before it waits, and
/// completes the closing handshake. Commands on [`sender`](Self::sender) queue; [`flush`](Self::flush) or `next`
/// writes. Every method is cancel safe: a future may be dropped at any await, nothing is lost or sent twice.
pub struct WebSocket<S, R: Runtime> {
    read: ReadSide<R>,
    write: WriteSide<S>,
    answers: Answers,
}

impl<S: Unpin, R: Io<S>> WebSocket<S, R> {
    /// Takes over a stream whose upgrade is done and agreed on `negotiated`; `unread` are the bytes that were read
    /// behind the upgrade.
    ///
    /// # Errors
    /// The operating system gives no random seed.
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
            read: ReadSide::new(now, buffer, config.max_message_len),
            write: WriteSide::new(machine, transport),
            answers: Answers::default(),
        })
    }

    /// Waits for the next event, lent until the next call, with the commands of the connection to answer it.
    ///
    /// It reads on only when no more than 256 KiB of answers wait: what was queued between an event and the next call. A
    /// peer that does not take its answers is not read from; its silence does not count meanwhile.
    ///
    /// `None` after a connection that ended as one of both sides wished; [`closed`](Self::closed) tells how. Cancel safe.
    ///
    /// # Errors
    /// Once, how else it ended.
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

    /// The commands of the connection: they queue, and [`flush`](Self::flush) or [`next`](Self::next) writes.
    pub fn sender(&mut self) -> Sender<'_> {
        self.write.machine.sender()
    }

    /// Sends a text message and writes it out, waiting for room when the queue is full. Cancel safe: a dropped future has
    /// queued the message whole or not at all. Who must know which queues by [`sender`](Self::sender), then flushes.
    ///
    /// What the peer sends meanwhile is read and kept, up to [`Config::max_message_len`] bytes, so that two peers that send
    /// at the same time do not wait for each other.
    ///
    /// # Errors
    /// [`Error::Send`] when the connection is closing, when it ends before the message was written, or when the message cannot
    /// fit at all; [`Error::Unread`] when the peer sends more than is kept.
    pub async fn send_text(&mut self, text: &str) -> Result<(), Error> {
        self.send(|sender| sender.send_text(text)).await
    }

    /// Sends a binary message and writes it out: see [`send_text`](Self::send_text). Cancel safe as that is.
    ///
    /// # Errors
    /// Those of [`send_text`](Self::send_text).
    pub async fn send_binary(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.send(|sender| sender.send_binary(payload)).await
    }

    /// Writes what is queued. What the peer sends meanwhile is kept, as by [`send_text`](Self::send_text). Cancel safe.
    ///
    /// # Errors
    /// [`Error::Send`] when the connection ends, or has ended, before all was written; [`next`](Self::next) reports the cause.
    /// [`Error::Unread`] when the peer sends more than is kept: take events with `next`, which writes as well.
    pub async fn flush(&mut self) -> Result<(), Error> {
        let mut waited = false;
        poll_fn(|cx| self.poll_written(cx, &mut waited)).await
    }

    /// Closes the connection and waits for its end. Messages that still arrive are dropped: to see them, call
    /// `sender().close(..)` and go on with [`next`](Self::next). Cancel safe.
    ///
    /// It takes as long as what is queued leaves, and at most [`Config::close_timeout`] more.
    ///
    /// # Errors
    /// [`Error::Send`] when `code` or `reason` may not be sent, or how else the connection ended.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        match self.write.machine.close(R::now(), code, reason) {
            Ok(()) | Err(SendError::Closed) => {}
            Err(error) => return Err(error.into()),
        }
        while self.next().await?.is_some() {}
        Ok(())
    }

    /// How the connection ended, once it has.
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        self.write.closed
    }

    /// The stream, as it is: for its addresses and options.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.write.transport.stream
    }

    /// Both sides, for one task that reads and another that writes.
    #[must_use]
    pub fn split(self) -> (Reader<S, R>, Writer<S, R>) {
        split::halves(self.read, self.write)
    }

    /// Queues by `command`, once there is room for it, and writes.
    async fn send(&mut self, command: impl Fn(&mut Sender<'_>) -> Result<(), SendError>) -> Result<(), Error> {
        let (mut queued, mut waited) = (false, false);
        poll_fn(|cx| {
            while !queued {
                match self.write.try_send(&command) {
                    Some(result) => {
                        result?;
                        queued = true;
                    }
                    None if self.write.poll_write::<R>(cx).is_ready() => {}
                    None => ready!(self.poll_wait(cx))?,
                }
            }
            self.poll_written(cx, &mut waited)
        })
        .await
    }

    /// Ready when nothing is left to write; `waited` says whether that took time.
    fn poll_written(&mut self, cx: &mut Context<'_>, waited: &mut bool) -> Poll<Result<(), Error>> {
        while self.write.poll_write::<R>(cx).is_pending() {
            *waited = true;
            ready!(self.poll_wait(cx))?;
        }
        // The peer may wait with the last of its own, and nobody knows when the caller reads.
        while *waited && self.read.poll_ahead(cx, &mut self.write).is_ready() {}
        Poll::Ready(self.write.written())
    }

    /// While the caller waits for the stream to take bytes: keeps what arrives and keeps time. Ready when something has
    /// changed, with an error when the wait cannot end.
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

    /// Ready once few enough answers wait. The deadline of a closing handshake is kept meanwhile.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Self { read, write, answers } = self;
        // After the peer's Close frame no event can follow that needs room.
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

/// How many of the queued bytes answer events: those queued between an event and the next call.
///
/// Positions count the bytes sent since the connection began.
#[derive(Default)]
struct Answers {
    /// Where the answers to the latest event begin, until the caller asks for the next one.
    start: Option<u64>,
    /// Where the latest answer ends.
    end: u64,
    /// Bytes of answers before there, of which some may have been written since.
    len: u64,
}

impl Answers {
    /// What is queued from now on, at `end`, answers an event.
    fn begin(&mut self, end: u64) {
        self.start = Some(end);
    }

    /// The caller asks for the next event, with `written` bytes of `end` written.
    fn finish(&mut self, written: u64, end: u64) {
        if let Some(start) = self.start.take() {
            self.len = self.waiting(written) + end.saturating_sub(start);
            self.end = end;
        }
    }

    /// At most how many bytes of answers wait, once `written` bytes were written.
    fn waiting(&self, written: u64) -> u64 {
        self.len.min(self.end.saturating_sub(written))
    }
}

fn borrowed<T>(event: Option<T>) -> PoloniusResult<T, ()> {
    event.map_or(PoloniusResult::Owned(()), PoloniusResult::Borrowing)
}
