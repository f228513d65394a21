//! The task of one server connection.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use multiwa_ws_core::Instant;
use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::handshake::Rejection;
use multiwa_ws_core::server::{Connection, Ended, Event};
use multiwa_ws_core::session::{ServerEvent, SubscriptionSet};
use multiwa_ws_core::websocket::SendError;

use super::admission::{internal_error, undecided};
use super::entry::Entry;
use super::mailbox::Order;
use super::observer::{Observed, Peer};
use super::permissions::{Decision, Permissions};
use super::publisher::wall_clock;
use super::registry::KeyId;
use super::timeout::within;
use crate::buffer::ReadBuffer;
use crate::transport::{Read, Timer, Transport};
use crate::{Io, Runtime};

/// While this many bytes, or a quarter of the queue limit, are unwritten, events stay in the mailbox, where the policy for
/// slow readers can still drop them.
const HIGH_WATER: usize = 64 << 10;

/// How many times the task reads and takes events before it yields to other tasks. Each round may take milliseconds
/// when a client sends many small requests.
const ROUNDS: usize = 8;

/// The task of one connection over a stream, from its upgrade to its end.
///
/// It is a hand-written future, to keep idle connections small: state that is needed only temporarily is boxed.
pub(super) struct Task<S, R: Runtime> {
    connection: Connection,
    peer: Peer,
    transport: Transport<S>,
    /// Whether the client has closed its side of the stream.
    eof: bool,
    buffer: ReadBuffer,
    timer: Timer<R>,
    deciding: Option<Box<Deciding>>,
    permissions: Permissions,
    closing: Option<Box<Closing>>,
    /// It is dropped last, so that the connection leaves the registry after its stream is closed.
    entry: Entry,
}

/// The pending decision of the application on a client.
struct Deciding {
    decision: Decision,
    /// The deadline of the decision.
    by: Instant,
    /// The key of the client.
    key: Option<KeyId>,
}

/// An order to close.
struct Closing {
    /// When to start. `None` after the start.
    at: Option<Instant>,
    code: CloseCode,
    reason: &'static str,
}

enum Step {
    /// The upgrade request has arrived.
    Requested,
    /// The decision took too long.
    Overdue,
    Ended(Ended),
}

/// Serves one connection over the stream that `stream` returns, unless that takes longer than the handshake timeout.
pub(super) async fn serve<S: Unpin, R: Io<S>>(
    entry: Entry,
    stream: impl Future<Output = io::Result<S>>,
    address: Option<SocketAddr>,
) {
    let deadline = R::now() + entry.shared.settings.handshake.get_timeout();
    match within::<R, _>(deadline, unless_aborted(&entry, stream)).await.flatten() {
        Some(Ok(stream)) => Task::<S, R>::new(entry, stream, address).await,
        Some(Err(_)) | None => {
            let peer = entry.shared.next_peer(address);
            entry.shared.observe(Observed::Failed { peer: &peer, error: None });
        }
    }
}

/// Returns the output of `future`, or `None` if the server ends the connection first.
pub(super) async fn unless_aborted<F: Future>(entry: &Entry, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match entry.mailbox.take(cx, 0).order {
        Some(_) => Poll::Ready(None),
        None => future.as_mut().poll(cx).map(Some),
    })
    .await
}

impl<S: Unpin, R: Io<S>> Future for Task<S, R> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let task = self.get_mut();
        loop {
            if let Some(deciding) = &mut task.deciding
                && let Poll::Ready(decided) = deciding.decision.as_mut().poll(cx)
            {
                let key = deciding.key;
                task.decide(decided.map(|permissions| (key, permissions)));
            }
            match ready!(task.poll_progress(cx)) {
                Step::Requested => task.evaluate(),
                Step::Overdue => task.decide(Err(undecided())),
                Step::Ended(ended) => {
                    task.report(ended);
                    return Poll::Ready(());
                }
            }
        }
    }
}

impl<S: Unpin, R: Io<S>> Task<S, R> {
    pub(super) fn new(entry: Entry, stream: S, address: Option<SocketAddr>) -> Self {
        let peer = entry.shared.next_peer(address);
        let connection = Connection::new(R::now(), &entry.shared.config);
        Self::over(entry, peer, connection, stream)
    }

    /// The task of a client that was accepted already. `buffer` has the bytes that were read after its request.
    #[cfg(feature = "http")]
    pub(super) fn upgraded(
        entry: Entry,
        peer: Peer,
        permissions: Permissions,
        connection: Connection,
        stream: S,
        buffer: ReadBuffer,
    ) -> Self {
        entry.shared.observe(Observed::Opened { peer: &peer });
        Self { buffer, permissions, ..Self::over(entry, peer, connection, stream) }
    }

    fn over(entry: Entry, peer: Peer, connection: Connection, stream: S) -> Self {
        Self {
            connection,
            peer,
            transport: Transport::new(stream),
            eof: false,
            buffer: ReadBuffer::default(),
            timer: Timer::new(),
            deciding: None,
            permissions: Permissions::everything(),
            closing: None,
            entry,
        }
    }

    /// Checks the upgrade request. If the application decides too, starts its decision, while the client may disconnect.
    fn evaluate(&mut self) {
        let Some(request) = self.connection.request() else { return };
        let now = R::now();
        match self.entry.evaluate(now, request, self.peer.address, false) {
            Ok((key, Some(decision))) => {
                let by = now + self.entry.shared.settings.handshake.get_timeout();
                self.deciding = Some(Box::new(Deciding { decision, by, key }));
            }
            Ok((key, None)) => self.decide(Ok((key, Permissions::everything()))),
            Err(rejection) => self.decide(Err(rejection)),
        }
    }

    /// Accepts or rejects the client.
    fn decide(&mut self, verdict: Result<(Option<KeyId>, Permissions), Rejection>) {
        self.deciding = None;
        let admitted = verdict.and_then(|(key, permissions)| {
            self.permissions = permissions;
            self.admit(key)
        });
        match admitted {
            Ok(()) => self.entry.shared.observe(Observed::Opened { peer: &self.peer }),
            Err(rejection) => self.reject(&rejection),
        }
    }

    fn admit(&mut self, key: Option<KeyId>) -> Result<(), Rejection> {
        let client_id = self.entry.admit(key)?;
        let now = R::now();
        let acceptance = self.entry.shared.settings.acceptance();
        // This fails only if a deflate setting is out of range.
        self.connection.accept(now, acceptance, &client_id, wall_clock(now)).map_err(|_| internal_error())?;
        self.connection.release_handshake();
        Ok(())
    }

    fn reject(&mut self, rejection: &Rejection) {
        let now = R::now();
        let mut status = rejection.status;
        if self.connection.reject(now, rejection).is_err() {
            // The application returned a response that is not valid HTTP.
            let rejection = internal_error();
            status = rejection.status;
            if self.connection.reject(now, &rejection).is_err() {
                self.connection.abort(now);
            }
        }
        self.entry.shared.observe(Observed::Refused { peer: &self.peer, status });
    }

    fn report(&self, ended: Ended) {
        let peer = &self.peer;
        self.entry.shared.observe(match ended {
            Ended::Closed(closed) => Observed::Closed { peer, closed, dropped: self.entry.mailbox.dropped() },
            Ended::Failed(error) => Observed::Failed { peer, error: Some(error) },
            // The rejection was reported when it was decided.
            Ended::Rejected => return,
        });
    }

    /// Makes all progress that is possible without waiting.
    fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        for _ in 0..ROUNDS {
            let more = self.take_mail(cx);
            let _ = self.transport.poll_write::<R>(cx, &mut self.connection);
            self.entry.mailbox.note_unwritten(self.connection.queued());
            if let Some(Event::Ended(ended)) = self.connection.poll_event() {
                return Poll::Ready(Step::Ended(ended));
            }
            // Bytes are read before deadlines are checked. Deadlines are also checked after each read, so a client that
            // keeps sending cannot delay them.
            if self.poll_input(cx).is_ready() {
                let now = R::now();
                let requested = self.handle_input(now);
                self.handle_deadline(now);
                if requested {
                    return Poll::Ready(Step::Requested);
                }
            } else if more && self.room() > 0 {
                continue;
            } else {
                let now = ready!(self.timer.poll(cx, self.deadline()));
                if self.handle_deadline(now) {
                    return Poll::Ready(Step::Overdue);
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Ready when there are bytes to process, or the stream has just ended.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.eof {
            return Poll::Pending;
        }
        if !self.buffer.is_empty() {
            // Bytes after the request wait for the decision.
            return if self.deciding.is_some() { Poll::Pending } else { Poll::Ready(()) };
        }
        match ready!(self.transport.poll_read::<R>(cx, &mut self.buffer)) {
            Read::Bytes => {}
            Read::Eof => self.eof = true,
            Read::Failed => {
                self.eof = true;
                self.connection.handle_lost(R::now());
            }
        }
        Poll::Ready(())
    }

    /// Passes the buffered bytes to the connection, and returns whether they completed a request.
    fn handle_input(&mut self, now: Instant) -> bool {
        if self.eof {
            self.connection.handle_eof(now);
            return false;
        }
        let mut requested = false;
        while !requested {
            match self.buffer.consume(|input| self.connection.handle_input(now, input)) {
                Ok(Some(Event::Requested)) => requested = true,
                Ok(Some(Event::Session(event))) => self.handle_event(event),
                Ok(_) => break,
                // The connection sends the error to the client. The rest of the input is discarded.
                Err(_) => {
                    self.buffer.consume(|input| *input = &mut []);
                    break;
                }
            }
        }
        self.buffer.release();
        requested
    }

    fn handle_event(&mut self, event: ServerEvent) {
        match event {
            ServerEvent::SubscribeRequested { ticket, profile, events, .. } => {
                match self.permissions.allows(&profile, &events) {
                    Ok(()) => {
                        if let Ok(event @ ServerEvent::Subscribed { .. }) = self.connection.allow(R::now(), ticket) {
                            self.handle_event(event);
                        }
                    }
                    // The ticket is valid, because the request has just arrived.
                    Err(error) => self.connection.refuse(R::now(), ticket, &error).unwrap_or_default(),
                }
            }
            ServerEvent::Subscribed { .. } | ServerEvent::Unsubscribed { .. } => {
                let set = self.connection.subscriptions().map_or_else(SubscriptionSet::default, Clone::clone);
                self.entry.subscribe(set);
            }
            _ => {}
        }
    }

    /// Queues events on the connection and processes orders. Returns whether more events are queued in the mailbox.
    fn take_mail(&mut self, cx: &Context<'_>) -> bool {
        let mut mail = self.entry.mailbox.take(cx, self.room());
        match mail.order {
            Some(Order::Close { at, code, reason }) => {
                self.closing = Some(Box::new(Closing { at: Some(at), code, reason }));
            }
            Some(Order::Abort) => self.connection.abort(R::now()),
            None => {}
        }
        'mail: while let Some(portion) = mail.portions.pop_front() {
            for (sent, event) in portion.events().iter().enumerate() {
                match self.connection.publish(event) {
                    Ok(()) => {}
                    Err(SendError::QueueFull { queued, .. }) if queued > 0 => {
                        if let Some(unsent) = portion.after(sent) {
                            mail.portions.push_front(unsent);
                        }
                        self.entry.mailbox.put_back(mail.portions);
                        mail.more = true;
                        break 'mail;
                    }
                    // It does not fit even in an empty queue.
                    Err(SendError::QueueFull { .. }) => {
                        self.entry.mailbox.refuse(self.entry.shared.settings.slow_reader);
                    }
                    Err(_) => {
                        self.entry.mailbox.shut();
                        self.entry.unsubscribe();
                        return false;
                    }
                }
            }
        }
        self.close_when_due(mail.more);
        mail.more
    }

    /// How many more bytes to queue on the connection.
    fn room(&self) -> usize {
        let max_queued = self.entry.shared.settings.websocket.get_max_queued();
        HIGH_WATER.min(max_queued / 4).saturating_sub(self.connection.queued())
    }

    /// Sends the Close frame when it is due, after the earlier events.
    fn close_when_due(&mut self, more: bool) {
        let Some(closing) = &mut self.closing else { return };
        let now = R::now();
        if closing.at.take_if(|at| *at <= now).is_some() {
            self.entry.unsubscribe();
        }
        if closing.at.is_some() || more {
            return;
        }
        let Closing { code, reason, .. } = **closing;
        self.closing = None;
        match self.connection.close(now, code, reason) {
            Ok(()) | Err(SendError::Closed) => {}
            Err(_) => self.connection.abort(now),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let closing = self.closing.as_ref().and_then(|closing| closing.at);
        let deciding = self.deciding.as_ref().map(|deciding| deciding.by);
        [self.connection.poll_timeout(), deciding, closing].into_iter().flatten().min()
    }

    /// Handles the deadlines that have passed, and returns whether a decision is overdue. The next `take_mail` handles an
    /// order to close.
    fn handle_deadline(&mut self, now: Instant) -> bool {
        if self.connection.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.connection.handle_timeout(now);
        }
        self.deciding.as_ref().is_some_and(|deciding| deciding.by <= now)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Pending, pending};
    use std::io::IoSlice;
    use std::task::Waker;

    use multiwa_ws_core::session::EventNames;
    use multiwa_ws_core::websocket::{self, SharedMessage};

    use super::*;
    use crate::server::batch::Batch;
    use crate::server::wakers::Wakers;
    use crate::server::{ServerBuilder, SlowReader};
    use crate::{Clock, Runtime};

    const REQUEST: &[u8] = b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    const MAX_QUEUED: usize = 1_000;

    struct Still;

    impl Clock for Still {
        fn now() -> Instant {
            Instant::from_nanos(1)
        }
    }

    impl Runtime for Still {
        type Sleep = Pending<()>;

        fn sleep_until(_: Instant) -> Self::Sleep {
            pending()
        }
    }

    /// A stream whose client has sent its request, and reads everything.
    struct Client {
        request: &'static [u8],
        received: Vec<u8>,
        writes: usize,
    }

    impl Io<Client> for Still {
        fn poll_read(client: Pin<&mut Client>, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
            let request = std::mem::take(&mut client.get_mut().request);
            if request.is_empty() {
                return Poll::Pending;
            }
            buffer[..request.len()].copy_from_slice(request);
            Poll::Ready(Ok(request.len()))
        }

        fn poll_write(
            mut client: Pin<&mut Client>,
            _: &mut Context<'_>,
            buffers: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            client.writes += 1;
            buffers.iter().for_each(|buffer| client.received.extend_from_slice(buffer));
            Poll::Ready(Ok(buffers.iter().map(|buffer| buffer.len()).sum()))
        }

        fn poll_flush(_: Pin<&mut Client>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(_: Pin<&mut Client>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// The task of an open connection with a queue limit of [`MAX_QUEUED`] bytes.
    fn open(slow_reader: SlowReader) -> Task<Client, Still> {
        open_with(websocket::Config::new().max_queued(MAX_QUEUED), slow_reader)
    }

    fn open_with(config: websocket::Config, slow_reader: SlowReader) -> Task<Client, Still> {
        let shared = ServerBuilder::<Still>::default().websocket(config).slow_reader(slow_reader).into_shared();
        let entry = Entry::new(&shared, Still::now(), None).unwrap();
        let mut task = Task::new(entry, Client { request: REQUEST, received: Vec::new(), writes: 0 }, None);
        poll(&mut task);
        assert!(task.connection.is_open());
        task
    }

    fn poll(task: &mut Task<Client, Still>) {
        assert!(Pin::new(task).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }

    /// Queues an event, ignoring the limit of the mailbox.
    fn push(task: &Task<Client, Still>, text: &str) {
        let batch = Batch::new(None, "x", SharedMessage::text(text));
        let mut wakers = Wakers::new();
        assert!(task.entry.mailbox.push(&batch, usize::MAX, SlowReader::DropNewest, &mut wakers).is_some());
        wakers.wake();
    }

    fn has_received(task: &Task<Client, Still>, text: &str) -> bool {
        task.transport.stream.received.windows(text.len()).any(|bytes| bytes == text.as_bytes())
    }

    #[test]
    fn an_event_that_does_not_fit_behind_others_waits_for_them_to_leave() {
        let mut task = open(SlowReader::DropNewest);
        let (first, second) = ("a".repeat(100), "b".repeat(MAX_QUEUED - 50));
        push(&task, &first);
        push(&task, &second);
        poll(&mut task);
        assert!(has_received(&task, &first) && has_received(&task, &second));
        assert_eq!(task.entry.mailbox.dropped(), 0);
    }

    #[test]
    fn an_event_that_does_not_fit_an_empty_queue_is_dropped_and_keeps_no_other_back() {
        let mut task = open(SlowReader::DropNewest);
        let (first, second) = ("a".repeat(MAX_QUEUED), "b".repeat(100));
        push(&task, &first);
        push(&task, &second);
        poll(&mut task);
        assert!(!has_received(&task, &first) && has_received(&task, &second));
        assert_eq!(task.entry.mailbox.dropped(), 1);
    }
    #[test]
    fn a_burst_leaves_in_one_write_and_in_order() {
        let mut task = open_with(websocket::Config::new(), SlowReader::Close);
        let mut set = SubscriptionSet::default();
        set.add("p", EventNames::every());
        task.entry.subscribe(set);
        poll(&mut task);
        let (written, received) = (task.transport.stream.writes, task.transport.stream.received.len());
        let shared = task.entry.shared.clone();
        let mut expected = Vec::new();
        for number in 0..8 {
            let text = format!("{number:0300}");
            assert_eq!(shared.registry.publish(&shared.settings, Some("p"), "x", &text), 1);
            expected.extend_from_slice(&[0x81, 126, 1, 44]);
            expected.extend_from_slice(text.as_bytes());
        }
        poll(&mut task);
        assert_eq!(task.transport.stream.writes - written, 1);
        assert!(task.transport.stream.received[received..] == expected);
    }
}
