//! Connections as a `Stream` and a `Sink` of messages.
//!
//! The asynchronous methods of a connection are cancel safe, so an implementation polls a new future each time.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_sink::Sink;
use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::websocket::SendError;

use super::wakers::{Half, Wakers};
use super::write::WriteSide;
use super::{Message, Reader, WebSocket, Writer};
use crate::buffer::LEN;
use crate::{Error, Io, Runtime};

/// A [`WebSocket`] as a `Stream` and a `Sink` of messages. [`WebSocket::into_stream`] makes it.
///
/// - The stream returns text and binary messages. It answers pings, runs the keep-alive and completes the closing
///   handshake, like [`WebSocket::next`]. It returns the error of the connection once, and `None` after that.
/// - The sink is ready when the queue of unwritten bytes has room for the message before:
///   [`Config::max_queued`](multiwa_ws_core::websocket::Config::max_queued) limits the queue, and one message waits beside
///   it. So memory stays bounded when the peer reads slowly. An error of a message is returned by the next call that is
///   ready, flushes or closes.
/// - Flushing waits until the stream has accepted all bytes. Meanwhile it reads from the peer, like
///   [`WebSocket::send_text`]. It returns [`Error::Unread`] only if nobody has polled the stream since the last message: take messages, and flush
///   again.
/// - Closing the sink sends what is queued, performs the closing handshake with code 1000 and waits for its end. It
///   discards messages that still arrive.
///
/// It can be split with `StreamExt::split`, and both parts may be used in different tasks. [`WebSocket::split`] does the
/// same at a lower cost: its [`Reader`] is a `Stream`, and [`Writer::into_sink`] returns a `Sink`.
///
/// # Cancel safety
/// The futures of `StreamExt` and `SinkExt` may be dropped: no message is lost that the stream has not returned, and none
/// is sent twice. `SinkExt::send` that is dropped while it waits for room has not sent its message.
pub struct MessageStream<S, R: Runtime> {
    outbox: Outbox<Whole<S, R>>,
}

/// A [`Writer`] as a `Sink` of messages. [`Writer::into_sink`] makes it.
///
/// It is ready, flushes and is cancel safe like [`MessageStream`], but it does not read. Closing it sends what is queued
/// and the Close frame with code 1000; the [`Reader`] completes the closing handshake.
pub struct MessageSink<S, R: Runtime> {
    outbox: Outbox<Writer<S, R>>,
}

impl<S: Unpin, R: Io<S>> MessageStream<S, R> {
    pub(super) fn new(socket: WebSocket<S, R>) -> Self {
        Self { outbox: Outbox::new(Whole { socket, wakers: Arc::default(), waited: false, is_read: false }) }
    }

    /// The connection, for example for its stream and how it ended.
    #[must_use]
    pub fn get_ref(&self) -> &WebSocket<S, R> {
        &self.outbox.to.socket
    }
}

impl<S: Unpin, R: Io<S>> MessageSink<S, R> {
    pub(super) fn new(writer: Writer<S, R>) -> Self {
        Self { outbox: Outbox::new(writer) }
    }
}

impl<S: Unpin, R: Io<S>> Stream for MessageStream<S, R> {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.outbox.to.is_read = true;
        self.outbox.to.poll(cx, Half::Reader, |cx, Whole { socket, .. }| {
            loop {
                let message = match ready!(pin!(socket.next()).poll(cx)).transpose() {
                    Some(received) => received.map(|received| Message::of(received.event)).transpose(),
                    None => return Poll::Ready(None),
                };
                if message.is_some() {
                    return Poll::Ready(message);
                }
            }
        })
    }
}

/// Returns messages that own their payload, like [`MessageStream`].
impl<S: Unpin, R: Io<S>> Stream for Reader<S, R> {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let reader = self.get_mut();
        loop {
            let message = match ready!(pin!(reader.next()).poll(cx)).transpose() {
                Some(event) => event.map(Message::of).transpose(),
                None => return Poll::Ready(None),
            };
            if message.is_some() {
                return Poll::Ready(message);
            }
        }
    }
}

macro_rules! impl_sink {
    ($sink:ident) => {
        impl<S: Unpin, R: Io<S>> Sink<Message> for $sink<S, R> {
            type Error = Error;

            fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
                self.outbox.poll_send(cx, false)
            }

            fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
                self.outbox.start_send(message)
            }

            fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
                ready!(self.outbox.poll_send(cx, true))?;
                self.outbox.to.poll_flush(cx)
            }

            fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
                match ready!(self.outbox.poll_send(cx, false)) {
                    // The end of a connection that cannot send the message is still to be reached.
                    Ok(()) | Err(Error::Send(SendError::Closed)) => self.outbox.to.poll_close(cx),
                    error => Poll::Ready(error),
                }
            }
        }

        impl<S, R: Runtime> fmt::Debug for $sink<S, R> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($sink)).field(&self.outbox.to).finish()
            }
        }
    };
}

impl_sink!(MessageStream);
impl_sink!(MessageSink);

/// The sending side of a connection.
trait Outgoing {
    /// Called when the sink gets a message.
    fn started(&mut self) {}
    /// Queues a message, when there is room for it, and starts to write when much is queued. The last message before a
    /// flush is written at once if nothing is queued.
    fn poll_queue(&mut self, cx: &mut Context<'_>, message: &Message, is_last: bool) -> Poll<Result<(), Error>>;
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>>;
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>>;
}

/// A connection with the message that is queued next. How long a message may be is known only when there is one, so it
/// waits here until it fits into the queue.
struct Outbox<T> {
    to: T,
    next: Option<Message>,
}

impl<T: Outgoing> Outbox<T> {
    fn new(to: T) -> Self {
        Self { to, next: None }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, is_last: bool) -> Poll<Result<(), Error>> {
        let Some(message) = &self.next else { return Poll::Ready(Ok(())) };
        let queued = ready!(self.to.poll_queue(cx, message, is_last));
        // After `Unread` the message can still be sent, when the application has taken messages.
        if !matches!(queued, Err(Error::Unread)) {
            self.next = None;
        }
        Poll::Ready(queued)
    }

    fn start_send(&mut self, message: Message) -> Result<(), Error> {
        if let Some(next) = &self.next {
            // The caller has not waited until the sink is ready.
            return Err(SendError::QueueFull { queued: next.len(), limit: next.len() }.into());
        }
        self.next = Some(message);
        self.to.started();
        Ok(())
    }
}

/// A connection that a reader and a writer poll in turn.
struct Whole<S, R: Runtime> {
    socket: WebSocket<S, R>,
    wakers: Arc<Wakers>,
    /// Whether the flush that is under way had to wait.
    waited: bool,
    /// Whether the stream was polled since the sink got its last message.
    is_read: bool,
}

impl<S: Unpin, R: Io<S>> Whole<S, R> {
    /// Polls for one half. If a state or a deadline has changed, the other half is woken, because it may wait for it.
    fn poll<T>(&mut self, cx: &Context<'_>, half: Half, poll: impl FnOnce(&mut Context<'_>, &mut Self) -> T) -> T {
        let waits_for = |whole: &Self| {
            let machine = &whole.socket.write.machine;
            (machine.state(), machine.poll_timeout())
        };
        let wakers = self.wakers.clone();
        let before = waits_for(self);
        let result = wakers.poll(cx, half, |cx| poll(cx, self));
        if waits_for(self) != before {
            wakers.wake_half(half.other());
        }
        result
    }

    /// Called when the writer can read no further ahead. If the application reads, the writer waits until it has made room,
    /// or until the peer reads. Only deadlines pass meanwhile.
    ///
    /// A task that reads and writes in turn, such as `StreamExt::forward`, does not poll the stream while the sink is not
    /// ready. It has polled it since the last message.
    fn poll_room<T>(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Error>> {
        if !self.wakers.waits(Half::Reader) && !self.is_read {
            return Poll::Ready(Err(Error::Unread));
        }
        let WebSocket { read, write, .. } = &mut self.socket;
        if read.poll_deadline(cx, write).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl<S: Unpin, R: Io<S>> Outgoing for Whole<S, R> {
    fn started(&mut self) {
        self.is_read = false;
    }

    fn poll_queue(&mut self, cx: &mut Context<'_>, message: &Message, is_last: bool) -> Poll<Result<(), Error>> {
        self.poll(cx, Half::Writer, |cx, whole| {
            match ready!(whole.socket.poll_queue(cx, |write, cx| send::<S, R>(write, cx, message, is_last))) {
                Err(Error::Unread) => return whole.poll_room(cx),
                queued => queued?,
            }
            if whole.socket.write.machine.queued() >= LEN {
                let _ = whole.socket.write.poll_write::<R>(cx);
            }
            Poll::Ready(Ok(()))
        })
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll(cx, Half::Writer, |cx, whole| {
            let flushed = ready!(whole.socket.poll_written(cx, &mut whole.waited));
            if matches!(flushed, Err(Error::Unread)) {
                return whole.poll_room(cx);
            }
            whole.waited = false;
            Poll::Ready(flushed)
        })
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll(cx, Half::Writer, |cx, Self { socket, .. }| pin!(socket.close(CloseCode::NORMAL, "")).poll(cx))
    }
}

impl<S: Unpin, R: Io<S>> Outgoing for Writer<S, R> {
    fn poll_queue(&mut self, cx: &mut Context<'_>, message: &Message, is_last: bool) -> Poll<Result<(), Error>> {
        ready!(Self::poll_queue(self, cx, |write, cx| send::<S, R>(write, cx, message, is_last)))?;
        if self.feed(|sender| sender.queued()) >= LEN {
            let _ = self.poll_written(cx);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_written(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let closed = ready!(pin!(self.close(CloseCode::NORMAL, "")).poll(cx));
        match closed {
            // The Close frame is queued already: by an earlier poll, or because the peer has closed.
            Err(Error::Send(SendError::Closed)) => self.poll_written(cx).map(|_| Ok(())),
            closed => Poll::Ready(closed),
        }
    }
}

fn send<S: Unpin, R: Io<S>>(
    write: &mut WriteSide<S>,
    cx: &mut Context<'_>,
    message: &Message,
    is_last: bool,
) -> Option<Result<(), Error>> {
    if is_last {
        write.try_send_at_once::<R>(cx, message.lend())
    } else {
        write.try_send(|sender| message.queue(sender))
    }
}

impl<S, R: Runtime> fmt::Debug for Whole<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}
