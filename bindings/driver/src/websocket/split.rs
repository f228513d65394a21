//! The two halves of a split connection, for two tasks.

use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::websocket::{Closed, Event, Message, Sender};
use polonius_the_crab::{ForLt, PoloniusResult, polonius};

use super::borrowed;
use super::read::ReadSide;
use super::stream::MessageSink;
use super::wakers::{Half, Wakers};
use super::write::WriteSide;
use crate::sync::{Mutex, lock};
use crate::{Error, Io, Runtime};

/// The reading half of a split [`WebSocket`](super::WebSocket).
///
/// It runs the keep-alive and completes the closing handshake, so read it until the connection has ended.
pub struct Reader<S, R: Runtime> {
    read: ReadSide<R>,
    shared: Arc<Shared<S>>,
}

/// The writing half of a split [`WebSocket`](super::WebSocket).
pub struct Writer<S, R: Runtime> {
    shared: Arc<Shared<S>>,
    runtime: PhantomData<fn() -> R>,
}

/// The state that both halves share. The stream is polled under the lock; this cannot deadlock, because the stream has no
/// access to the halves. Wakers are called without the lock.
struct Shared<S> {
    write: Mutex<WriteSide<S>>,
    wakers: Arc<Wakers>,
}

pub(super) fn halves<S, R: Runtime>(read: ReadSide<R>, write: WriteSide<S>) -> (Reader<S, R>, Writer<S, R>) {
    let shared = Arc::new(Shared { write: Mutex::new(write), wakers: Arc::default() });
    (Reader { read, shared: shared.clone() }, Writer { shared, runtime: PhantomData })
}

impl<S: Unpin, R: Io<S>> Reader<S, R> {
    /// Waits for the next event, which is borrowed until the next call: see [`WebSocket::next`](super::WebSocket::next).
    /// Cancel safe.
    ///
    /// # Errors
    /// The errors of [`WebSocket::next`](super::WebSocket::next).
    pub async fn next(&mut self) -> Result<Option<Event<'_>>, Error> {
        let shared = &self.shared;
        let mut read = &mut self.read;
        read.has_read = false;
        loop {
            match polonius::<_, _, ForLt!(Event<'_>)>(read, |read| {
                borrowed(shared.act(Half::Reader, |write| read.take_event(write)))
            }) {
                PoloniusResult::Borrowing(event) => return Ok(Some(event)),
                PoloniusResult::Owned { input_borrow, .. } => read = input_borrow,
            }
            let over = poll_fn(|cx| shared.poll(cx, Half::Reader, |cx, write| read.poll_progress(cx, write)));
            if over.await.is_break() {
                return lock(&shared.write).verdict().map(|()| None);
            }
        }
    }
}

impl<S, R: Runtime> Reader<S, R> {
    /// How the connection ended. `None` while it is open.
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        lock(&self.shared.write).closed
    }
}

impl<S: Unpin, R: Io<S>> Writer<S, R> {
    /// Queues messages with `command`; [`flush`](Self::flush) writes them. `command` blocks the [`Reader`], so it must be
    /// short.
    pub fn feed<T>(&mut self, command: impl FnOnce(&mut Sender<'_>) -> T) -> T {
        self.shared.act(Half::Writer, |write| command(&mut write.machine.sender()))
    }

    /// Sends a text message and writes it out. When the queue is full it waits for room. Cancel safe: see
    /// [`WebSocket::send_text`](super::WebSocket::send_text).
    ///
    /// # Errors
    /// [`Error::Send`] when the connection is closing, when it ends before the message is written, or when the message
    /// can never fit in the queue.
    pub async fn send_text(&mut self, text: &str) -> Result<(), Error> {
        self.send(Message::Text(text)).await
    }

    /// Sends a binary message and writes it out: see [`send_text`](Self::send_text). Cancel safe.
    ///
    /// # Errors
    /// The errors of [`send_text`](Self::send_text).
    pub async fn send_binary(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.send(Message::Binary(payload)).await
    }

    /// Writes the queued bytes. The reader need not be polled. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Send`] when the connection ends, or has ended, before everything is written; the [`Reader`] returns the
    /// cause.
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_written(cx)).await
    }

    /// Starts the closing handshake and writes the Close frame. The [`Reader`] completes the handshake. Cancel safe: if
    /// the future is dropped the handshake continues, and the frame is sent once.
    ///
    /// # Errors
    /// [`Error::Send`] when the connection is already closing, or when `code` or `reason` is not allowed.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.feed(|sender| sender.close(R::now(), code, reason))?;
        // An error is ignored, because the connection is closed in that case too.
        let _ = self.flush().await;
        Ok(())
    }

    /// Converts the half to a `Sink` of messages that own their payload.
    #[must_use]
    pub fn into_sink(self) -> MessageSink<S, R> {
        MessageSink::new(self)
    }

    fn send(&mut self, message: Message<'_>) -> impl Future<Output = Result<(), Error>> {
        let mut queued = false;
        poll_fn(move |cx| {
            self.shared.poll(cx, Half::Writer, |cx, write| {
                if !queued {
                    ready!(write.poll_queue::<R>(cx, |write, cx| write.try_send_at_once::<R>(cx, message)))?;
                    queued = true;
                }
                write.poll_written::<R>(cx)
            })
        })
    }

    /// Runs `send` to queue a message. Ready when there was room for it.
    pub(super) fn poll_queue(
        &mut self,
        cx: &Context<'_>,
        send: impl Fn(&mut WriteSide<S>, &mut Context<'_>) -> Option<Result<(), Error>>,
    ) -> Poll<Result<(), Error>> {
        self.shared.poll(cx, Half::Writer, |cx, write| write.poll_queue::<R>(cx, send))
    }

    /// Ready when everything is written.
    pub(super) fn poll_written(&mut self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        self.shared.poll(cx, Half::Writer, |cx, write| write.poll_written::<R>(cx))
    }
}

impl<S, R: Runtime> fmt::Debug for Reader<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt("Reader", f)
    }
}

impl<S, R: Runtime> fmt::Debug for Writer<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt("Writer", f)
    }
}

impl<S> Shared<S> {
    /// Polls for one half.
    fn poll<T>(
        &self,
        cx: &Context<'_>,
        half: Half,
        poll: impl FnOnce(&mut Context<'_>, &mut WriteSide<S>) -> Poll<T>,
    ) -> Poll<T> {
        self.wakers.poll(cx, half, |cx| self.act(half, |write| poll(cx, write)))
    }

    /// Runs an action of one half. If it changes the state, the other half is woken: it may wait for a deadline or for
    /// the end.
    fn act<T>(&self, half: Half, act: impl FnOnce(&mut WriteSide<S>) -> T) -> T {
        let mut write = lock(&self.write);
        let before = write.machine.state();
        let result = act(&mut write);
        let changed = write.machine.state() != before;
        drop(write);
        if changed {
            self.wakers.wake_half(half.other());
        }
        result
    }

    fn fmt(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.write).machine.state();
        f.debug_struct(name).field("state", &state).finish_non_exhaustive()
    }
}
