//! A WebSocket over a stream, without the protocol of MultiWA.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};

use multiwa_ws_core::Instant;
use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::websocket as core;
use multiwa_ws_core::websocket::{
    Closed, Config, Event, Incoming, Negotiated, Outgoing, Received, Role, SendError, State,
};
use polonius_the_crab::{ForLt, PoloniusResult, polonius};

use crate::buffer::ReadBuffer;
use crate::error::verdict;
use crate::sync::{Mutex, MutexGuard};
use crate::transport::{Timer, Transport};
use crate::{Error, Io, Runtime, lock, seed};

/// While more bytes than this of answers wait to be written, no further event is handed out: a peer that does not read
/// its answers is not read from either.
///
/// What answers no event does not count. Two peers that both send much would else wait for each other for ever.
const HIGH_WATER: u64 = 256 << 10;

/// A WebSocket connection over the stream `S`, either role, on the runtime `R`.
///
/// [`next`](Self::next) reads, answers pings, keeps the connection alive, writes what is queued before it waits, and
/// completes the closing handshake. Commands on [`outgoing`](Self::outgoing) queue; [`flush`](Self::flush) or `next`
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
        let now = R::now();
        let (recv, out) = core::WebSocket::new(now, role, config, negotiated, seed()?).into_split();
        Ok(Self {
            read: ReadSide { recv, buffer, now, timer: Timer::new(), has_read: false, is_paused: false },
            write: WriteSide { out, transport, closed: None, reported: false, wakers: None },
            answers: Answers::default(),
        })
    }

    /// Waits for the next event, lent until the next call, with the sending side to answer on.
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
            match polonius::<_, _, ForLt!(Event<'_>)>(read, |read| borrowed(read.take_event(&mut self.write.out))) {
                PoloniusResult::Borrowing(event) => {
                    self.answers.begin(self.write.end());
                    return Ok(Some(Received { event, out: &mut self.write.out }));
                }
                PoloniusResult::Owned { input_borrow, .. } => read = input_borrow,
            }
            if poll_fn(|cx| read.poll_progress(cx, &mut self.write)).await.is_break() {
                return self.write.verdict().map(|()| None);
            }
        }
    }

    /// The sending side: its commands queue, and [`flush`](Self::flush) or [`next`](Self::next) writes.
    pub fn outgoing(&mut self) -> &mut Outgoing {
        &mut self.write.out
    }

    /// Sends a text message and writes it out, waiting for room when the queue is full. Cancel safe: a dropped future has
    /// queued the message whole or not at all. Who must know which queues by [`outgoing`](Self::outgoing), then flushes.
    ///
    /// # Errors
    /// [`Error::Send`] when the connection is closing or the message cannot fit at all.
    pub async fn send_text(&mut self, text: &str) -> Result<(), Error> {
        poll_fn(|cx| self.poll_send(cx, |out| out.send_text(text))).await?;
        self.flush().await;
        Ok(())
    }

    /// Sends a binary message and writes it out: see [`send_text`](Self::send_text). Cancel safe as that is.
    ///
    /// # Errors
    /// Those of [`send_text`](Self::send_text).
    pub async fn send_binary(&mut self, payload: &[u8]) -> Result<(), Error> {
        poll_fn(|cx| self.poll_send(cx, |out| out.send_binary(payload))).await?;
        self.flush().await;
        Ok(())
    }

    /// Writes what is queued. A failure of the stream shows at the next [`next`](Self::next). Cancel safe.
    pub async fn flush(&mut self) {
        poll_fn(|cx| self.poll_flush(cx)).await;
    }

    /// Closes the connection and waits for its end, at most [`Config::close_timeout`]. Messages that still arrive are
    /// dropped: to see them, call `outgoing().close(..)` and go on with [`next`](Self::next). Cancel safe.
    ///
    /// # Errors
    /// [`Error::Send`] when `code` or `reason` may not be sent, or how else the connection ended.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        match self.write.out.close(R::now(), code, reason) {
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
        let wakers = Arc::new(Wakers::default());
        let write = WriteSide { wakers: Some(wakers), ..self.write };
        let write = Arc::new(Mutex::new(write));
        (Reader { read: self.read, write: write.clone() }, Writer { write, runtime: PhantomData })
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        command: impl Fn(&mut Outgoing) -> Result<(), SendError>,
    ) -> Poll<Result<(), Error>> {
        let sent = self.write.poll_send::<R>(cx, command);
        self.pause_while_pending(sent)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let written = self.write.poll_write::<R>(cx);
        self.pause_while_pending(written)
    }

    /// While the caller waits to write, nobody reads.
    fn pause_while_pending<T>(&mut self, poll: Poll<T>) -> Poll<T> {
        if poll.is_pending() && !self.read.is_paused {
            self.read.is_paused = true;
            self.write.out.reading_paused(R::now());
        }
        poll
    }

    /// Ready once few enough answers wait. The deadline of a closing handshake is kept meanwhile.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Self { read, write, answers } = self;
        // After the peer's Close frame no event can follow that needs room.
        let is_short = |write: &WriteSide<S>| {
            matches!(write.out.state(), State::Open | State::Closing)
                && answers.waiting(write.transport.written) > HIGH_WATER
        };
        while is_short(write) {
            if write.poll_write::<R>(cx).is_pending() && is_short(write) {
                ready!(read.poll_deadline(cx, &mut write.out));
            }
        }
        Poll::Ready(())
    }
}

impl<S, R: Runtime> fmt::Debug for WebSocket<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").field("state", &self.write.out.state()).finish_non_exhaustive()
    }
}

/// The reading side of a [`WebSocket`] that was split.
///
/// It keeps the connection alive and completes the closing handshake, so it is to be read until its end.
pub struct Reader<S, R: Runtime> {
    read: ReadSide<R>,
    write: Arc<Mutex<WriteSide<S>>>,
}

impl<S: Unpin, R: Io<S>> Reader<S, R> {
    /// Waits for the next event, lent until the next call: see [`WebSocket::next`]. Cancel safe.
    ///
    /// # Errors
    /// Those of [`WebSocket::next`].
    pub async fn next(&mut self) -> Result<Option<Event<'_>>, Error> {
        let write = &self.write;
        let mut read = &mut self.read;
        read.has_read = false;
        loop {
            match polonius::<_, _, ForLt!(Event<'_>)>(read, |read| borrowed(read.take_event(&mut lock(write).out))) {
                PoloniusResult::Borrowing(event) => return Ok(Some(event)),
                PoloniusResult::Owned { input_borrow, .. } => read = input_borrow,
            }
            if poll_fn(|cx| read.poll_progress(cx, &mut lock(write))).await.is_break() {
                return lock(write).verdict().map(|()| None);
            }
        }
    }

    /// How the connection ended, once it has.
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        lock(&self.write).closed
    }
}

impl<S, R: Runtime> fmt::Debug for Reader<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("state", &lock(&self.write).out.state()).finish_non_exhaustive()
    }
}

/// The sending side of a [`WebSocket`] that was split.
pub struct Writer<S, R: Runtime> {
    write: Arc<Mutex<WriteSide<S>>>,
    runtime: PhantomData<fn() -> R>,
}

impl<S: Unpin, R: Io<S>> Writer<S, R> {
    /// Queues by `command` on the sending side, for [`flush`](Self::flush) to write.
    pub fn feed<T>(&mut self, command: impl FnOnce(&mut Outgoing) -> T) -> T {
        let mut write = lock(&self.write);
        let result = command(&mut write.out);
        write.wake_reader();
        result
    }

    /// Sends a text message and writes it out: see [`WebSocket::send_text`]. Cancel safe.
    ///
    /// # Errors
    /// Those of [`WebSocket::send_text`].
    pub async fn send_text(&mut self, text: &str) -> Result<(), Error> {
        poll_fn(|cx| lock(&self.write).poll_send::<R>(cx, |out| out.send_text(text))).await?;
        self.flush().await;
        Ok(())
    }

    /// Sends a binary message and writes it out: see [`WebSocket::send_text`]. Cancel safe.
    ///
    /// # Errors
    /// Those of [`WebSocket::send_text`].
    pub async fn send_binary(&mut self, payload: &[u8]) -> Result<(), Error> {
        poll_fn(|cx| lock(&self.write).poll_send::<R>(cx, |out| out.send_binary(payload))).await?;
        self.flush().await;
        Ok(())
    }

    /// Writes what is queued, whether the reader is being polled or not. Cancel safe.
    pub async fn flush(&mut self) {
        poll_fn(|cx| lock(&self.write).poll_write_as::<R>(cx, Half::Writer)).await;
    }

    /// Starts the closing handshake and writes the Close frame; the [`Reader`] sees the connection to its end. Cancel safe: it
    /// goes on if the future is dropped, and the frame is sent once.
    ///
    /// # Errors
    /// [`Error::Send`] when the connection is closing already, or when `code` or `reason` may not be sent.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.feed(|out| out.close(R::now(), code, reason))?;
        self.flush().await;
        Ok(())
    }
}

impl<S, R: Runtime> fmt::Debug for Writer<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("state", &lock(&self.write).out.state()).finish_non_exhaustive()
    }
}

/// What only the reader touches.
struct ReadSide<R: Runtime> {
    recv: Incoming,
    buffer: ReadBuffer,
    /// When the bytes in `buffer` were read.
    now: Instant,
    timer: Timer<R>,
    /// Whether bytes were read since the caller asked for an event.
    has_read: bool,
    /// Whether the state machine was told that we do not read.
    is_paused: bool,
}

impl<R: Runtime> ReadSide<R> {
    /// The next event of the bytes at hand.
    fn take_event(&mut self, out: &mut Outgoing) -> Option<Event<'_>> {
        let (mut input, unread) = self.buffer.unread();
        // A violation is reported with the end of the connection, once the peer was told.
        let event = self.recv.handle_input(self.now, &mut input, out).ok().flatten();
        unread.leave(input.len());
        if event.is_some() {
            // While the caller has the event nobody reads, and the peer's silence means nothing.
            out.reading_paused(self.now);
            self.is_paused = true;
        }
        event
    }

    /// Writes, reads and keeps time until something new came of it: break when the connection is over.
    fn poll_progress<S: Unpin>(&mut self, cx: &mut Context<'_>, write: &mut WriteSide<S>) -> Poll<ControlFlow<()>>
    where
        R: Io<S>,
    {
        self.buffer.release();
        if std::mem::take(&mut self.is_paused) {
            self.recv.reading_resumed(R::now(), &mut write.out);
        }
        let _ = write.poll_write_as::<R>(cx, Half::Reader);
        if write.is_over::<R>(cx) {
            return Poll::Ready(ControlFlow::Break(()));
        }
        // Bytes that wait in the stream come before deadlines: while nobody read, they could not be heard. Once read,
        // or while the connection closes, deadlines hold whatever keeps arriving.
        if self.has_read || !write.out.is_open() {
            let _ = self.poll_deadline(cx, &mut write.out);
            if write.is_over::<R>(cx) {
                return Poll::Ready(ControlFlow::Break(()));
            }
        }
        let WriteSide { out, transport, .. } = write;
        if let Poll::Ready(more) = transport.poll_read::<R>(cx, &mut self.buffer, out) {
            self.now = R::now();
            self.has_read = true;
            if !more {
                out.handle_eof(self.now);
            }
            return Poll::Ready(ControlFlow::Continue(()));
        }
        self.poll_deadline(cx, out).map(ControlFlow::Continue)
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>, out: &mut Outgoing) -> Poll<()> {
        let now = ready!(self.timer.poll(cx, self.recv.poll_timeout(out)));
        self.recv.handle_timeout(now, out);
        Poll::Ready(())
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

/// What both sides touch.
struct WriteSide<S> {
    out: Outgoing,
    transport: Transport<S>,
    closed: Option<Closed>,
    /// Whether the end was reported.
    reported: bool,
    /// Set once split: a stream wakes only the last task that polled it, so both are woken through this.
    wakers: Option<Arc<Wakers>>,
}

impl<S: Unpin> WriteSide<S> {
    /// Bytes written or queued so far.
    fn end(&self) -> u64 {
        self.transport.written + self.out.queued() as u64
    }

    fn poll_write<R: Io<S>>(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.transport.poll_write::<R>(cx, &mut self.out)
    }

    fn poll_write_as<R: Io<S>>(&mut self, cx: &mut Context<'_>, half: Half) -> Poll<()> {
        let Some(wakers) = &self.wakers else { return self.poll_write::<R>(cx) };
        wakers.set(half, cx.waker());
        let both = Waker::from(wakers.clone());
        let written = self.poll_write::<R>(&mut Context::from_waker(&both));
        if half == Half::Writer {
            self.wake_reader();
        }
        written
    }

    /// Queues by `command` once there is room for it.
    fn poll_send<R: Io<S>>(
        &mut self,
        cx: &mut Context<'_>,
        command: impl Fn(&mut Outgoing) -> Result<(), SendError>,
    ) -> Poll<Result<(), Error>> {
        loop {
            match command(&mut self.out) {
                // An empty queue that has no room will never have any.
                Err(SendError::QueueFull { queued, .. }) if queued > 0 => {
                    ready!(self.poll_write_as::<R>(cx, Half::Writer));
                }
                result => return Poll::Ready(result.map_err(Error::from)),
            }
        }
    }

    /// Whether the connection has ended; notes how.
    fn is_over<R: Io<S>>(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(Event::Closed(closed)) = self.out.poll_event() {
            self.closed = Some(closed);
            // A server waits for the client to end the stream (RFC 6455 section 7.1.1), which must not depend on when
            // the caller drops it.
            self.transport.shut_down::<R>(cx);
        }
        self.closed.is_some()
    }

    /// What the end was, the first time; nothing to report afterwards.
    fn verdict(&mut self) -> Result<(), Error> {
        match self.closed {
            Some(closed) if !std::mem::replace(&mut self.reported, true) => {
                verdict(closed, self.transport.error.take())
            }
            _ => Ok(()),
        }
    }

    /// The reader must see a new state, whose deadline it keeps.
    fn wake_reader(&self) {
        if self.out.state() != State::Open
            && let Some(wakers) = &self.wakers
        {
            wakers.wake_half(Half::Reader);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Reader,
    Writer,
}

/// The tasks that wait for the stream to take bytes.
#[derive(Default)]
struct Wakers {
    reader: Mutex<Option<Waker>>,
    writer: Mutex<Option<Waker>>,
}

impl Wakers {
    fn slot(&self, half: Half) -> MutexGuard<'_, Option<Waker>> {
        match half {
            Half::Reader => lock(&self.reader),
            Half::Writer => lock(&self.writer),
        }
    }

    fn set(&self, half: Half, waker: &Waker) {
        match &mut *self.slot(half) {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    fn wake_half(&self, half: Half) {
        let waker = self.slot(half).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_half(Half::Reader);
        self.wake_half(Half::Writer);
    }
}

fn borrowed<T>(event: Option<T>) -> PoloniusResult<T, ()> {
    event.map_or(PoloniusResult::Owned(()), PoloniusResult::Borrowing)
}
