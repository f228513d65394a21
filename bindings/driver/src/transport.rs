//! A stream and a timer for one connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use multiwa_ws_core::websocket::Unsent;
use multiwa_ws_core::{Instant, StateMachine};

use crate::buffer::{self, ReadBuffer};
use crate::{Io, Runtime};

/// The maximum number of slices in one vectored write.
const SLICES: usize = 16;

/// Slices of at most this average length are copied into one buffer and written as one. For a burst of small events this
/// copy costs less than the system's handling of each slice.
const SMALL: usize = 1 << 10;

const _: () = assert!(SLICES * SMALL <= buffer::LEN, "what is joined fits a buffer");

/// The result of a read from a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Bytes were read into the buffer.
    Bytes,
    /// The stream has ended.
    Eof,
    /// The stream failed. The error is in [`Transport::error`].
    Failed,
}

/// A stream, and the error with which it failed.
#[derive(Debug)]
pub(crate) struct Transport<S> {
    pub(crate) stream: S,
    /// The number of bytes written so far.
    pub(crate) written: u64,
    /// Whether bytes were written since the stream was last flushed.
    pub(crate) unflushed: bool,
    /// Whether the last write joined slices and the stream accepted no bytes. The next write must not offer fewer bytes:
    /// a TLS library that has encrypted the first bytes expects all of them again.
    joined: bool,
    /// Whether the end of the stream was reported. It is reported only once.
    ended: bool,
    pub(crate) error: Option<io::Error>,
}

impl<S: Unpin> Transport<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, written: 0, unflushed: false, joined: false, ended: false, error: None }
    }

    /// Writes the output of `machine`, and shuts down the write side when the machine requests it. Ready when nothing is
    /// left.
    ///
    /// A stream error is stored, and reported to the machine as a lost connection.
    pub(crate) fn poll_write<R: Io<S>>(&mut self, cx: &mut Context<'_>, machine: &mut impl StateMachine) -> Poll<()> {
        match ready!(self.try_poll_write::<R>(cx, machine)) {
            Ok(()) => {}
            Err(error) => self.lose::<R>(error, machine),
        }
        Poll::Ready(())
    }

    /// Reads into `buffer`, which must be empty. The end of the stream and an error are reported once.
    pub(crate) fn poll_read<R: Io<S>>(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuffer) -> Poll<Read> {
        buffer.fill(|bytes| {
            let read = self.poll_read_some::<R>(cx, bytes);
            (if let Poll::Ready((_, len)) = read { len } else { 0 }, read.map(|(read, _)| read))
        })
    }

    /// Reads and appends to `buffer`, otherwise like [`poll_read`](Self::poll_read).
    pub(crate) fn poll_read_behind<R: Io<S>>(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuffer) -> Poll<Read> {
        buffer::with_scratch(|scratch| {
            let (read, len) = ready!(self.poll_read_some::<R>(cx, scratch));
            buffer.extend(scratch.get(..len).unwrap_or_default());
            Poll::Ready(read)
        })
    }

    /// Reads into `bytes` and returns how many were read, otherwise like [`poll_read`](Self::poll_read).
    pub(crate) fn poll_read_some<R: Io<S>>(&mut self, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<(Read, usize)> {
        if self.ended {
            return Poll::Pending;
        }
        let read = match ready!(R::poll_read(Pin::new(&mut self.stream), cx, bytes)) {
            Ok(len @ 1..) => return Poll::Ready((Read::Bytes, len)),
            Ok(0) => Read::Eof,
            // TLS ended without close_notify. This is safe: the Close frame shows whether the peer has sent everything.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Read::Eof,
            Err(error) => {
                self.error.get_or_insert(error);
                Read::Failed
            }
        };
        self.ended = true;
        Poll::Ready((read, 0))
    }

    /// Shuts down the write side without waiting, because nothing is left to write.
    pub(crate) fn shut_down<R: Io<S>>(&mut self, cx: &mut Context<'_>) {
        let _ = R::poll_shutdown(Pin::new(&mut self.stream), cx);
    }

    fn try_poll_write<R: Io<S>>(
        &mut self,
        cx: &mut Context<'_>,
        machine: &mut impl StateMachine,
    ) -> Poll<io::Result<()>> {
        let mut stream = Pin::new(&mut self.stream);
        loop {
            // Usually one slice waits, or none.
            let mut few = [&[][..]; 2];
            let filled = machine.poll_transmit(&mut few);
            let written = match few {
                _ if filled == 0 => break,
                [bytes, _] if filled == 1 => {
                    self.joined = false;
                    R::poll_write(stream.as_mut(), cx, &[IoSlice::new(bytes)])
                }
                _ => {
                    let mut slices = [&[][..]; SLICES];
                    let filled = machine.poll_transmit(&mut slices);
                    let lent = slices.get(..filled).unwrap_or_default();
                    let len: usize = lent.iter().map(|slice| slice.len()).sum();
                    self.joined = self.joined || len <= filled * SMALL;
                    if self.joined {
                        buffer::with_scratch(|scratch| {
                            R::poll_write(stream.as_mut(), cx, &[IoSlice::new(join(lent, scratch))])
                        })
                    } else {
                        let slices = slices.map(IoSlice::new);
                        R::poll_write(stream.as_mut(), cx, slices.get(..filled).unwrap_or_default())
                    }
                }
            };
            let written = ready!(written)?;
            self.joined = false;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written as u64;
            self.unflushed = true;
            if !machine.try_transmitted(written) {
                machine.transmitted(R::now(), written);
            }
        }
        if self.unflushed {
            ready!(R::poll_flush(stream.as_mut(), cx))?;
            self.unflushed = false;
        }
        if machine.poll_shutdown() {
            // An error is ignored: the peer may have disconnected, and all data was written before.
            let _ = ready!(R::poll_shutdown(stream, cx));
            machine.shutdown_done();
        }
        Poll::Ready(Ok(()))
    }

    /// Writes a message past the queue, as much of it as the stream accepts. The rest is queued.
    ///
    /// # Errors
    /// The stream failed: pass the error to [`lose`](Self::lose).
    pub(crate) fn write_at_once<R: Io<S>>(
        &mut self,
        cx: &mut Context<'_>,
        mut unsent: Unsent<'_, '_>,
    ) -> io::Result<()> {
        if unsent.is_empty() {
            return Ok(());
        }
        buffer::with_scratch(|scratch| {
            while !unsent.is_empty() {
                let slices = unsent.lend(scratch).map(IoSlice::new);
                let lent = if slices[1].is_empty() { &slices[..1] } else { &slices[..] };
                let written = match R::poll_write(Pin::new(&mut self.stream), cx, lent) {
                    Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                    Poll::Ready(written) => written?,
                    Poll::Pending => break,
                };
                self.written += written as u64;
                self.unflushed = true;
                if !unsent.try_transmitted(written) {
                    unsent.transmitted(R::now(), written);
                }
            }
            Ok(())
        })
    }

    pub(crate) fn lose<R: Runtime>(&mut self, error: io::Error, machine: &mut impl StateMachine) {
        self.error.get_or_insert(error);
        machine.handle_lost(R::now());
    }
}

/// Copies `slices` into `room`, as many as fit, and returns the copied bytes.
fn join<'r>(slices: &[&[u8]], room: &'r mut [u8]) -> &'r [u8] {
    let mut len = 0;
    for slice in slices {
        let Some(place) = room.get_mut(len..len + slice.len()) else { break };
        place.copy_from_slice(slice);
        len += slice.len();
    }
    room.get(..len).unwrap_or_default()
}

/// A timer for a deadline that moves. It is armed again only when necessary.
///
/// Input that has arrived is processed before a deadline. So after the deadline the timer waits for one more turn of the
/// runtime, in which the task reads. This is necessary because a stream may report that it is not ready although bytes
/// wait, and because the timers of a process that was suspended are overdue when it resumes.
#[derive(Debug)]
pub(crate) struct Timer<R: Runtime> {
    /// The timer and the time at which it fires, at or before the deadline.
    armed: Option<(Instant, Pin<Box<R::Sleep>>)>,
    /// The deadline that has passed, and the end of the turn that follows it.
    turn: Option<(Instant, Instant)>,
}

/// The length of that turn. It is a timer and not a yield, because a task that yields may run again before the runtime
/// polls its sockets.
const TURN: Duration = Duration::from_millis(1);

impl<R: Runtime> Timer<R> {
    pub(crate) fn new() -> Self {
        Self { armed: None, turn: None }
    }

    /// Ready with the present time when `deadline` has passed and the caller has polled its stream after that. Poll the
    /// stream before this.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<Instant> {
        let Some(deadline) = deadline else { return Poll::Pending };
        let turn = match self.turn {
            Some((due, until)) if due == deadline => until,
            _ => {
                ready!(self.poll_until(cx, deadline));
                R::now().max(deadline) + TURN
            }
        };
        self.turn = Some((deadline, turn));
        ready!(self.poll_until(cx, turn));
        self.turn = None;
        Poll::Ready(R::now().max(deadline))
    }

    /// Ready when `at` has passed, without the extra turn.
    pub(crate) fn poll_until(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        loop {
            // An earlier timer is kept: most deadlines move later, and arming a timer costs more than one extra wake-up.
            let (fires, sleep) = match &mut self.armed {
                Some(armed) if armed.0 <= at => armed,
                armed => armed.insert((at, Box::pin(R::sleep_until(at)))),
            };
            ready!(sleep.as_mut().poll(cx));
            let due = *fires >= at;
            self.armed = None;
            if due {
                return Poll::Ready(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Pending, pending};
    use std::task::Waker;

    use multiwa_ws_core::websocket::{Config, Message, Negotiated, Role, WebSocket};

    use super::*;
    use crate::Clock;

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

    /// Accepts `at_once` bytes per write (none at first if `not_yet`), `room` in all, and records the slices of each write.
    struct Writes {
        at_once: usize,
        room: usize,
        not_yet: bool,
        slices: Vec<Vec<(*const u8, usize)>>,
        bytes: Vec<u8>,
    }

    impl Writes {
        fn new(at_once: usize) -> Self {
            Self { at_once, room: usize::MAX, not_yet: false, slices: Vec::new(), bytes: Vec::new() }
        }
    }

    impl Io<Writes> for Still {
        fn poll_read(_: Pin<&mut Writes>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn poll_write(
            stream: Pin<&mut Writes>,
            _: &mut Context<'_>,
            buffers: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let stream = stream.get_mut();
            stream.slices.push(buffers.iter().map(|buffer| (buffer.as_ptr(), buffer.len())).collect());
            if std::mem::take(&mut stream.not_yet) || stream.room == 0 {
                return Poll::Pending;
            }
            let most = stream.at_once.min(stream.room);
            let bytes: Vec<u8> = buffers.iter().flat_map(|buffer| buffer.iter().copied()).take(most).collect();
            stream.room -= bytes.len();
            stream.bytes.extend(&bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(_: Pin<&mut Writes>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(_: Pin<&mut Writes>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// The pieces to write, in order.
    struct Pieces {
        pieces: Vec<Vec<u8>>,
        written: usize,
    }

    impl StateMachine for Pieces {
        type Outcome = ();

        fn poll_transmit<'q>(&'q self, slices: &mut [&'q [u8]]) -> usize {
            let mut skip = self.written;
            let rest = self.pieces.iter().filter_map(|piece| {
                let left = piece.get(skip..).unwrap_or_default();
                skip = skip.saturating_sub(piece.len());
                (!left.is_empty()).then_some(left)
            });
            slices.iter_mut().zip(rest).map(|(slot, piece)| *slot = piece).count()
        }

        fn transmitted(&mut self, _: Instant, len: usize) {
            self.written += len;
        }

        fn poll_shutdown(&self) -> bool {
            false
        }

        fn shutdown_done(&mut self) {}

        fn handle_eof(&mut self, _: Instant) {}

        fn handle_lost(&mut self, _: Instant) {}

        fn poll_timeout(&self) -> Option<Instant> {
            None
        }

        fn handle_timeout(&mut self, _: Instant) {}
    }

    /// Writes pieces of these lengths to a stream that accepts `at_once` bytes per write.
    fn write(at_once: usize, lens: &[usize]) -> (Writes, Pieces) {
        let mut transport = Transport::new(Writes::new(at_once));
        let pieces = (1..).zip(lens).map(|(byte, len)| vec![byte; *len]).collect();
        let mut pieces = Pieces { pieces, written: 0 };
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(transport.poll_write::<Still>(cx, &mut pieces).is_ready() && transport.error.is_none());
        assert_eq!(transport.stream.bytes, pieces.pieces.concat());
        (transport.stream, pieces)
    }

    #[test]
    fn slices_that_are_small_on_average_leave_as_one() {
        let (stream, _) = write(usize::MAX, &[SMALL; SLICES]);
        assert_eq!(stream.slices.iter().map(Vec::len).collect::<Vec<_>>(), [1]);
        let (stream, _) = write(usize::MAX, &[SMALL, SMALL + 1]);
        assert_eq!(stream.slices.iter().map(Vec::len).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn large_slices_and_a_single_one_are_written_where_they_lie() {
        for lens in [&[4, 100_000][..], &[100_000, 4, 100_000], &[300]] {
            let (stream, pieces) = write(usize::MAX, lens);
            let lie: Vec<_> = pieces.pieces.iter().map(|piece| (piece.as_ptr(), piece.len())).collect();
            assert_eq!(stream.slices, [lie]);
        }
    }

    #[test]
    fn a_stream_that_was_not_ready_is_offered_no_less_when_it_is() {
        let mut transport = Transport::new(Writes { not_yet: true, ..Writes::new(usize::MAX) });
        let mut pieces = Pieces { pieces: vec![vec![1; 300], vec![2; 300]], written: 0 };
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(transport.poll_write::<Still>(cx, &mut pieces).is_pending());
        // With this piece the average slice is no longer small.
        pieces.pieces.push(vec![3; 60_000]);
        assert!(transport.poll_write::<Still>(cx, &mut pieces).is_ready());
        let offered: Vec<_> = transport.stream.slices.iter().map(|slices| slices[0].1).collect();
        assert_eq!((&offered[..], transport.stream.bytes), (&[600, 60_600][..], pieces.pieces.concat()));
    }

    #[test]
    fn bytes_leave_in_order_whatever_each_write_takes() {
        for at_once in [1, 7, 300, 301, 5_000] {
            write(at_once, &[300, 2, 3_000, 1, 1, 300, 2_000]);
            write(at_once, &[100; 40]);
        }
    }

    #[test]
    fn a_message_leaves_at_once_and_what_the_stream_does_not_accept_is_queued() {
        let cx = &mut Context::from_waker(Waker::noop());
        for role in [Role::Client, Role::Server] {
            let socket = || WebSocket::new(Still::now(), role, &Config::default(), &Negotiated::default(), [7; 32]);
            for (len, at_once, room) in [
                (0, usize::MAX, usize::MAX),
                (10, 3, 5),
                (300, usize::MAX, 0),
                (300, 7, 100),
                (5_000, usize::MAX, 2),
                (5_000, 999, 4_000),
                (200_000, usize::MAX, 100_000),
                (200_000, usize::MAX, usize::MAX),
            ] {
                let payload: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
                let mut queued = socket();
                queued.send_binary(&payload).unwrap();
                let mut slices = [&[][..]];
                assert_eq!(queued.poll_transmit(&mut slices), 1);
                let expected = slices[0];

                let mut machine = socket();
                let mut transport = Transport::new(Writes { room, ..Writes::new(at_once) });
                transport.write_at_once::<Still>(cx, machine.frame(Message::Binary(&payload)).unwrap()).unwrap();
                let accepted = expected.len().min(room);
                assert_eq!((transport.stream.bytes.len(), transport.written), (accepted, accepted as u64));
                assert_eq!(machine.queued(), expected.len() - accepted);
                transport.stream.room = usize::MAX;
                assert!(transport.poll_write::<Still>(cx, &mut machine).is_ready());
                assert!(transport.stream.bytes == expected, "{len} bytes as {role:?}");
            }
        }
    }
}
