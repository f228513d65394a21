//! One connection of a server: the task that drives it.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use multiwa_ws_core::Instant;
use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::handshake::{Acceptance, Rejection};
use multiwa_ws_core::server::{Connection, Ended, Event};
use multiwa_ws_core::session::{ServerEvent, SubscriptionSet};
use multiwa_ws_core::websocket::SendError;

use super::admission::{Grant, Knock};
use super::mailbox::Order;
use super::observer::{Observed, Peer};
use super::publisher::wall_clock;
use super::registry::{Entry, KeyId};
use super::within;
use crate::buffer::ReadBuffer;
use crate::transport::{Timer, Transmit, Transport};
use crate::{Io, Runtime};

/// While this many bytes wait to be written, publications stay in the mailbox, where its bound and policy hold.
const HIGH_WATER: usize = 64 << 10;

/// Reads and batches of publications in a row, before other tasks get a turn.
const ROUNDS: usize = 32;

/// How long a client is asked to stay away when a judgement took too long or failed.
const UNJUDGED_RETRY_AFTER: std::time::Duration = std::time::Duration::from_secs(1);

/// Runs one connection over what `stream` gives, from its upgrade to its end.
pub(super) async fn serve<S: Unpin, R: Io<S>>(
    entry: Entry,
    stream: impl Future<Output = io::Result<S>>,
    address: Option<SocketAddr>,
    on_loopback: bool,
) {
    let peer = entry.shared.next_peer(address);
    let deadline = R::now() + entry.shared.options.config.handshake.timeout;
    let Some(Ok(stream)) = within::<R, _>(deadline, unless_cut(&entry, stream)).await.flatten() else {
        entry.shared.observe(Observed::Failed { peer: &peer, error: None });
        return;
    };
    let mut task = Task::<S, R> {
        connection: Connection::new(R::now(), &entry.shared.options.config),
        peer,
        on_loopback,
        transport: Transport::new(stream),
        eof: false,
        buffer: ReadBuffer::default(),
        timer: Timer::new(),
        judged_by: None,
        grant: Grant::everything(),
        closing: None,
        entry,
    };
    let ended = task.run().await;
    let Task { entry, peer, .. } = &task;
    entry.shared.observe(match ended {
        Ended::Closed(closed) => Observed::Closed { peer, closed, dropped: entry.mailbox.dropped() },
        Ended::Failed(error) => Observed::Failed { peer, error: Some(error) },
        // That was told when it was decided.
        Ended::Rejected => return,
    });
}

/// What `future` gives; nothing when the server ends the connection first.
async fn unless_cut<F: Future>(entry: &Entry, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match entry.mailbox.take(cx, 0).order {
        Some(_) => Poll::Ready(None),
        None => future.as_mut().poll(cx).map(Some),
    })
    .await
}

struct Task<S, R: Runtime> {
    connection: Connection,
    peer: Peer,
    /// Whether only this machine can reach the address that was connected to.
    on_loopback: bool,
    transport: Transport<S>,
    /// The client has ended its side of the stream.
    eof: bool,
    buffer: ReadBuffer,
    timer: Timer<R>,
    /// When the judgement that is awaited must be there.
    judged_by: Option<Instant>,
    grant: Grant,
    closing: Option<Closing>,
    /// Dropped last: the connection has gone when its stream has.
    entry: Entry,
}

/// An order to close.
#[derive(Clone, Copy)]
struct Closing {
    /// When to begin; `None` once begun.
    at: Option<Instant>,
    code: CloseCode,
    reason: &'static str,
}

enum Step {
    /// The client asks for the upgrade.
    Requested,
    /// The judgement on it took too long.
    Overdue,
    Ended(Ended),
}

impl<S: Unpin, R: Io<S>> Task<S, R> {
    async fn run(&mut self) -> Ended {
        loop {
            match poll_fn(|cx| self.poll_progress(cx)).await {
                Step::Ended(ended) => return ended,
                Step::Requested => {
                    if let Some(ended) = self.decide().await {
                        return ended;
                    }
                }
                Step::Overdue => {}
            }
        }
    }

    /// Lets the client in or turns it away.
    async fn decide(&mut self) -> Option<Ended> {
        let verdict = match self.screen() {
            Ok(key) => match self.judge().await {
                Ok(judged) => judged.map(|grant| (key, grant)),
                Err(ended) => return Some(ended),
            },
            Err(rejection) => Err(rejection),
        };
        let admitted = verdict.and_then(|(key, grant)| {
            self.grant = grant;
            self.admit(key)
        });
        match admitted {
            Ok(()) => self.entry.shared.observe(Observed::Opened { peer: &self.peer }),
            Err(rejection) => self.reject(rejection),
        }
        None
    }

    fn screen(&self) -> Result<Option<KeyId>, Rejection> {
        // There is a request: the client was not to be judged else.
        let request = self.connection.request().ok_or_else(Rejection::not_found)?;
        self.entry.shared.screen(R::now(), request, self.on_loopback)
    }

    /// Asks the application, while the client may leave.
    async fn judge(&mut self) -> Result<Result<Grant, Rejection>, Ended> {
        let shared = self.entry.shared.clone();
        let (Some(authorise), Some(request)) = (&shared.options.authorise, self.connection.request()) else {
            return Ok(Ok(Grant::everything()));
        };
        let mut judgement = authorise(Knock { request: request.clone(), address: self.peer.address });
        self.judged_by = Some(R::now() + shared.options.config.handshake.timeout);
        let judged = poll_fn(|cx| {
            if let Poll::Ready(judged) = judgement.as_mut().poll(cx) {
                return Poll::Ready(Ok(judged));
            }
            match ready!(self.poll_progress(cx)) {
                Step::Ended(ended) => Poll::Ready(Err(ended)),
                Step::Overdue | Step::Requested => Poll::Ready(Ok(Err(Rejection::unavailable(UNJUDGED_RETRY_AFTER)))),
            }
        })
        .await;
        self.judged_by = None;
        judged
    }

    fn admit(&mut self, key: Option<KeyId>) -> Result<(), Rejection> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|_| Rejection::unavailable(UNJUDGED_RETRY_AFTER))?;
        let client_id = format!("{:032x}", u128::from_ne_bytes(id));
        self.entry.open(key)?;
        let now = R::now();
        let acceptance = Acceptance { deflate: self.entry.shared.options.deflate, ..Acceptance::default() };
        // Only a deflate setting that is out of its range is refused.
        self.connection.accept(now, acceptance, &client_id, wall_clock(now)).map_err(|_| internal_error())
    }

    fn reject(&mut self, rejection: Rejection) {
        let now = R::now();
        let mut status = rejection.status;
        if self.connection.reject(now, &rejection).is_err() {
            // The application made a response that HTTP cannot carry.
            let rejection = internal_error();
            status = rejection.status;
            if self.connection.reject(now, &rejection).is_err() {
                self.connection.abort(now);
            }
        }
        self.entry.shared.observe(Observed::Refused { peer: &self.peer, status });
    }

    /// Does everything that can be done without waiting.
    fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        for _ in 0..ROUNDS {
            let more = self.take_mail(cx);
            let _ = self.transport.poll_write::<R>(cx, &mut self.connection);
            self.entry.mailbox.note_unwritten(self.connection.queued());
            if let Some(Event::Ended(ended)) = self.connection.poll_event() {
                return Poll::Ready(Step::Ended(ended));
            }
            // Bytes that wait come before deadlines, which hold whatever keeps arriving.
            if self.poll_input(cx).is_ready() {
                let now = R::now();
                let requested = self.handle_input(now);
                self.handle_deadline(now);
                if requested {
                    return Poll::Ready(Step::Requested);
                }
            } else if more && self.connection.queued() < HIGH_WATER {
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

    /// Ready when there are bytes to handle, or the stream has ended just now.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.eof {
            return Poll::Pending;
        }
        if !self.buffer.is_empty() {
            // What follows the request waits for the judgement.
            return if self.judged_by.is_some() { Poll::Pending } else { Poll::Ready(()) };
        }
        let more = ready!(self.transport.poll_read::<R>(cx, &mut self.buffer, &mut self.connection));
        self.eof = !more;
        Poll::Ready(())
    }

    /// Hands the bytes at hand to the connection, and says whether they made up a request.
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
                // The client is told what it did wrong; what it says besides is of no interest.
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
                match self.grant.allows(&profile, &events) {
                    Ok(()) => {
                        if let Ok(event @ ServerEvent::Subscribed { .. }) = self.connection.allow(ticket) {
                            self.handle_event(event);
                        }
                    }
                    // It was asked for just now, so there is such a ticket.
                    Err(error) => self.connection.refuse(ticket, &error).unwrap_or_default(),
                }
            }
            ServerEvent::Subscribed { .. } | ServerEvent::Unsubscribed { .. } => {
                let set = self.connection.subscriptions().map_or_else(SubscriptionSet::default, Clone::clone);
                self.entry.subscribe(set);
            }
            ServerEvent::Pinged | ServerEvent::Refused { .. } => {}
        }
    }

    /// Queues what was published on the connection and follows orders. Returns whether more was published.
    fn take_mail(&mut self, cx: &Context<'_>) -> bool {
        let mut mail = self.entry.mailbox.take(cx, HIGH_WATER.saturating_sub(self.connection.queued()));
        match mail.order {
            Some(Order::Close { at, code, reason }) => self.closing = Some(Closing { at: Some(at), code, reason }),
            Some(Order::Abort) => self.connection.abort(R::now()),
            None => {}
        }
        while let Some(publication) = mail.publications.pop_front() {
            match self.connection.publish(&publication.message) {
                Ok(()) => {}
                Err(SendError::QueueFull { queued, .. }) if queued > 0 => {
                    mail.publications.push_front(publication);
                    self.entry.mailbox.put_back(mail.publications);
                    mail.more = true;
                    break;
                }
                // It does not fit an empty queue, and never will.
                Err(SendError::QueueFull { .. }) => self.entry.mailbox.refuse(self.entry.shared.options.slow_reader),
                Err(_) => {
                    self.entry.mailbox.shut();
                    self.entry.unsubscribe();
                    return false;
                }
            }
        }
        self.close_when_due(mail.more);
        mail.more
    }

    /// What was published before the order to close is delivered before the Close frame.
    fn close_when_due(&mut self, more: bool) {
        let Some(closing) = &mut self.closing else { return };
        let now = R::now();
        if closing.at.take_if(|at| *at <= now).is_some() {
            self.entry.unsubscribe();
        }
        if closing.at.is_some() || more {
            return;
        }
        let Closing { code, reason, .. } = *closing;
        self.closing = None;
        match self.connection.close(now, code, reason) {
            Ok(()) | Err(SendError::Closed) => {}
            Err(_) => self.connection.abort(now),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let closing = self.closing.and_then(|closing| closing.at);
        [self.connection.poll_timeout(), self.judged_by, closing].into_iter().flatten().min()
    }

    /// Acts on the deadlines that have come, and says whether a judgement is overdue. An order to close is followed with
    /// the next mail.
    fn handle_deadline(&mut self, now: Instant) -> bool {
        if self.connection.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.connection.handle_timeout(now);
        }
        self.judged_by.take_if(|by| *by <= now).is_some()
    }
}

fn internal_error() -> Rejection {
    Rejection::json(500, "internal_error", "The server could not answer")
}

impl Transmit for Connection {
    fn poll_transmit<'q>(&'q self, slices: &mut [&'q [u8]]) -> usize {
        self.poll_transmit(slices)
    }

    fn transmitted(&mut self, len: usize) {
        self.transmitted(len);
    }

    fn poll_shutdown(&self) -> bool {
        self.poll_shutdown()
    }

    fn shutdown_done(&mut self) {
        self.shutdown_done();
    }

    fn handle_lost(&mut self, now: Instant) {
        self.handle_lost(now);
    }
}
