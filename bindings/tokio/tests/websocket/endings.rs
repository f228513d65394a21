//! Every way to end a connection, in the middle of every operation: every future ends, and none reports a success that was not.

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::websocket::{Cause, Closed, Config, Negotiated, Role, SendError};
use multiwa_ws_tokio::{Error, WebSocket, Writer};
use tokio::io::{self, AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, duplex};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::raw;
use super::support::{large_connection, pattern, within};
use crate::kit::lines::{narrow_tcp, secure};

/// More than any of these streams holds on its way.
static PAYLOAD: LazyLock<Vec<u8>> = LazyLock::new(|| pattern(2 << 20));

/// What is asked of a connection. All but the first and `CloseIdle` find a stream that takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    /// `next`, with nothing to write.
    Next,
    /// `next`, while a message of 2 MiB waits. A reader of its own has nothing else to do.
    NextBehind,
    Send,
    Flush,
    /// `close`, with nothing to write before.
    CloseIdle,
    /// `close`, while a message of 2 MiB waits.
    CloseBehind,
    /// A ping and `flush`, while a message of 2 MiB waits.
    Ping,
}

const OPERATIONS: [Operation; 7] = [
    Operation::Next,
    Operation::NextBehind,
    Operation::Send,
    Operation::Flush,
    Operation::CloseIdle,
    Operation::CloseBehind,
    Operation::Ping,
];

/// What ends the connection. In no case does the peer read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// The peer drops its stream.
    HangUp,
    /// The peer ends its own side, and reads nothing.
    HalfClose,
    /// The peer sends a Close frame, and then neither reads nor writes.
    CloseFrame,
    /// The peer says nothing: the keep-alive ends it.
    Silence,
    /// The operation is dropped, and the connection closed.
    LocalClose,
    /// The peer resets the connection.
    Reset,
    /// The stream takes no more writes.
    WriteFails,
}

const ENDINGS: [Ending; 7] = [
    Ending::HangUp,
    Ending::HalfClose,
    Ending::CloseFrame,
    Ending::Silence,
    Ending::LocalClose,
    Ending::Reset,
    Ending::WriteFails,
];

/// Who polls the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Whole,
    /// Split; the reader waits when the writer begins.
    ReaderFirst,
    /// Split; the reader begins when the writer waits and what ends the connection has come.
    ReaderLate,
}

const SHAPES: [Shape; 3] = [Shape::Whole, Shape::ReaderFirst, Shape::ReaderLate];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    /// 1 KiB each way, on the paused clock.
    Memory,
    Tcp,
    Tls,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    transport: Transport,
    role: Role,
    shape: Shape,
    operation: Operation,
    ending: Ending,
    pace: Pace,
}

/// When the next step of a case comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// When the operation before it waits, or is done.
    Settled,
    /// So soon that it races with that operation.
    Racing,
}

/// The unit of the pauses between steps that race.
const RACING: Duration = Duration::from_millis(1);

/// Within this time a future ends that waits for no deadline. It is virtual.
const AT_ONCE: Duration = Duration::from_millis(200);

#[tokio::test(start_paused = true)]
async fn f_07_every_future_ends_in_memory() {
    every_future_ends(Transport::Memory, Pace::Settled).await;
}

#[tokio::test]
async fn f_07_every_future_ends_over_tcp() {
    every_future_ends(Transport::Tcp, Pace::Settled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f_07_every_future_ends_over_tcp_on_two_threads() {
    every_future_ends(Transport::Tcp, Pace::Racing).await;
}

#[tokio::test]
async fn f_07_every_future_ends_over_tls() {
    every_future_ends(Transport::Tls, Pace::Settled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f_07_every_future_ends_over_tls_on_two_threads() {
    every_future_ends(Transport::Tls, Pace::Racing).await;
}

/// Runs the table over `transport`: the cases of some endings at a time, for each keeps 2 MiB.
async fn every_future_ends(transport: Transport, pace: Pace) {
    let mut failures = Vec::new();
    for endings in ENDINGS.chunks(2) {
        let mut cases = JoinSet::new();
        for case in cases_of(transport, endings, pace) {
            cases.spawn(async move { case.run().await.map_err(|failure| format!("{case:?}: {failure}")) });
        }
        while let Some(done) = cases.join_next().await {
            failures.extend(done.unwrap().err());
        }
    }
    assert!(failures.is_empty(), "{} cases:\n{}", failures.len(), failures.join("\n"));
}

fn cases_of(transport: Transport, endings: &[Ending], pace: Pace) -> Vec<Case> {
    let mut cases = Vec::new();
    // There is no reset without TCP.
    let endings = endings.iter().filter(|ending| **ending != Ending::Reset || transport != Transport::Memory);
    for &ending in endings {
        for role in [Role::Client, Role::Server] {
            for shape in SHAPES {
                cases.extend(OPERATIONS.map(|operation| Case { transport, role, shape, operation, ending, pace }));
            }
        }
    }
    cases
}

/// What the futures of a case returned.
#[derive(Debug)]
struct Ended {
    /// How the operation in the way ended; `None` when it was dropped for a close.
    operation: Option<Result<(), Error>>,
    /// How reading to the end, or closing, ended.
    reading: Result<(), Error>,
    closed: Option<Closed>,
    /// What a send gave after the end.
    sent: Result<(), Error>,
}

impl Case {
    async fn run(self) -> Result<(), String> {
        let broken = Arc::new(Broken::default());
        let (near, far) = streams(self.transport, self.ending, &broken).await;
        let near = WebSocket::from_upgraded(near, self.role, &self.config(), &Negotiated::default(), b"").unwrap();
        let steps = Arc::new(Steps::default());
        let running = tokio::spawn({
            let steps = steps.clone();
            async move {
                match self.shape {
                    Shape::Whole => self.run_whole(near, &steps).await,
                    Shape::ReaderFirst | Shape::ReaderLate => self.run_split(near, &steps).await,
                }
            }
        });
        self.settle(&steps.operation, 3 * RACING).await?;
        let far = self.end(far, &broken).await;
        steps.is_over.send_replace(true);
        let ended = timeout(self.bound(), running).await.map_err(|_| "a future does not end".to_owned())?;
        drop(far);
        self.verify(&ended.map_err(|error| error.to_string())?)
    }

    fn config(self) -> Config {
        let (interval, answer) = match self.transport {
            Transport::Memory => (Duration::from_secs(2), Duration::from_secs(1)),
            Transport::Tcp | Transport::Tls => (Duration::from_secs(1), Duration::from_millis(500)),
        };
        let keep_alive = KeepAlive::new().interval(interval).timeout(answer);
        large_connection().keep_alive(keep_alive).close_timeout(answer)
    }

    /// Waits until `future` waits or is done, or races with it after `pause`.
    async fn settle(self, future: &Notify, pause: Duration) -> Result<(), String> {
        match self.pace {
            Pace::Settled => {
                timeout(self.bound(), future.notified()).await.map_err(|_| "a future does not start".to_owned())
            }
            Pace::Racing => {
                sleep(pause).await;
                Ok(())
            }
        }
    }

    /// After this long every future has ended. It is virtual time in memory; only a failing case takes so much of a real one.
    fn bound(self) -> Duration {
        match (self.transport, self.ending) {
            (Transport::Tcp | Transport::Tls, _) => Duration::from_secs(15),
            // What waits for no deadline ends at once.
            (_, Ending::HangUp) => AT_ONCE,
            (_, Ending::HalfClose) if !self.only_writes() && !self.is_close() => AT_ONCE,
            _ => Duration::from_secs(5),
        }
    }

    /// Whether nobody reads beside the operation.
    fn only_writes(self) -> bool {
        use Operation::{Flush, Ping, Send};
        self.shape == Shape::Whole && matches!(self.operation, Send | Flush | Ping)
    }

    /// Does what the peer or the stream does, and returns what keeps the connection up.
    async fn end(self, mut far: Stream, broken: &Broken) -> Option<Stream> {
        match self.ending {
            Ending::HangUp | Ending::Reset => return None,
            Ending::CloseFrame => {
                let frame = match self.role {
                    Role::Server => raw::masked_frame(0x88, &1000_u16.to_be_bytes()),
                    _ => raw::frame(0x88, &1000_u16.to_be_bytes()),
                };
                far.write_all(&frame).await.unwrap();
                far.flush().await.unwrap();
            }
            Ending::HalfClose => far.shutdown().await.unwrap(),
            Ending::WriteFails => broken.set(),
            Ending::Silence | Ending::LocalClose => {}
        }
        Some(far)
    }

    /// Whether a message is queued before the operation.
    fn is_behind(self) -> bool {
        use Operation::{CloseBehind, Flush, NextBehind, Ping};
        matches!(self.operation, NextBehind | Flush | CloseBehind | Ping)
    }

    /// Waits for the operation in the way, which is dropped for a close.
    async fn await_operation(
        self,
        steps: &Steps,
        operation: impl Future<Output = Result<(), Error>>,
    ) -> Option<Result<(), Error>> {
        let operation = telling(&steps.operation, operation);
        match self.ending {
            Ending::LocalClose => tokio::select! {
                biased;
                () = steps.over() => None,
                result = operation => Some(result),
            },
            _ => Some(operation.await),
        }
    }

    /// Flushes until the stream accepts no more. Returns the result if the flush has ended.
    async fn flush_until_it_waits(self, flush: impl Future<Output = Result<(), Error>>) -> Option<Result<(), Error>> {
        match self.pace {
            Pace::Settled => {
                let mut flush = pin!(flush);
                poll_fn(|cx| {
                    Poll::Ready(match flush.as_mut().poll(cx) {
                        Poll::Ready(flushed) => Some(flushed),
                        Poll::Pending => None,
                    })
                })
                .await
            }
            Pace::Racing => timeout(RACING, flush).await.ok(),
        }
    }

    async fn run_whole(self, mut near: WebSocket<Stream>, steps: &Steps) -> Ended {
        let operation = self.await_operation(steps, async {
            if self.is_behind() {
                near.sender().send_binary(&PAYLOAD)?;
            }
            match self.operation {
                Operation::Next | Operation::NextBehind => read_to_end(&mut near).await,
                Operation::Send => near.send_binary(&PAYLOAD).await,
                Operation::Flush => near.flush().await,
                Operation::CloseIdle | Operation::CloseBehind => near.close(CloseCode::GOING_AWAY, "").await,
                Operation::Ping => {
                    if let Some(flushed) = self.flush_until_it_waits(near.flush()).await {
                        return flushed;
                    }
                    near.sender().ping(b"")?;
                    near.flush().await
                }
            }
        });
        let operation = operation.await;
        let reading = match operation {
            None => near.close(CloseCode::GOING_AWAY, "").await,
            Some(_) => read_to_end(&mut near).await,
        };
        let sent = near.send_text("too late").await;
        Ended { operation, reading, closed: near.closed(), sent }
    }

    async fn run_split(self, near: WebSocket<Stream>, steps: &Arc<Steps>) -> Ended {
        let (mut reader, writer) = near.split();
        let read = async move {
            let result = loop {
                match reader.next().await {
                    Ok(Some(_)) => {}
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            };
            (result, reader)
        };
        let read = {
            let steps = steps.clone();
            async move { telling(&steps.reader, read).await }
        };
        let write = {
            let steps = steps.clone();
            async move { self.write(writer, &steps).await }
        };
        let (reading, writing) = match self.shape {
            Shape::ReaderFirst => {
                let reading = tokio::spawn(read);
                self.settle(&steps.reader, RACING).await.unwrap();
                (reading, tokio::spawn(write))
            }
            _ => {
                let writing = tokio::spawn(write);
                match self.pace {
                    Pace::Settled => steps.over().await,
                    Pace::Racing => sleep(4 * RACING).await,
                }
                (tokio::spawn(read), writing)
            }
        };
        let (operation, mut writer) = writing.await.unwrap();
        let (reading, reader) = reading.await.unwrap();
        let sent = writer.send_text("too late").await;
        Ended { operation, reading, closed: reader.closed(), sent }
    }

    /// What the writer of a split connection does.
    async fn write(self, mut writer: Writer<Stream>, steps: &Steps) -> (Option<Result<(), Error>>, Writer<Stream>) {
        let operation = self.await_operation(steps, async {
            if self.is_behind() {
                writer.feed(|sender| sender.send_binary(&PAYLOAD))?;
            }
            match self.operation {
                // The reader alone is in the way.
                Operation::Next | Operation::NextBehind if self.ending == Ending::LocalClose => pending().await,
                Operation::Next | Operation::NextBehind => Ok(()),
                Operation::Send => writer.send_binary(&PAYLOAD).await,
                Operation::Flush => writer.flush().await,
                Operation::CloseIdle | Operation::CloseBehind => writer.close(CloseCode::GOING_AWAY, "").await,
                Operation::Ping => {
                    if let Some(flushed) = self.flush_until_it_waits(writer.flush()).await {
                        return flushed;
                    }
                    writer.feed(|sender| sender.ping(b""))?;
                    writer.flush().await
                }
            }
        });
        let operation = operation.await;
        if operation.is_none() {
            // Refused when the operation was a close.
            let _ = writer.close(CloseCode::GOING_AWAY, "").await;
        }
        (operation, writer)
    }

    fn is_close(self) -> bool {
        matches!(self.operation, Operation::CloseIdle | Operation::CloseBehind)
    }

    /// Whether the operation itself tells how the connection ended, and not the reader after it.
    fn reports_the_end(self) -> bool {
        let reads = matches!(self.operation, Operation::Next | Operation::NextBehind);
        self.shape == Shape::Whole && self.ending != Ending::LocalClose && (reads || self.is_close())
    }

    /// Whether that is how it has to end.
    fn verify(self, ended: &Ended) -> Result<(), String> {
        let Some(closed) = ended.closed else { return Err(format!("it is not closed: {ended:?}")) };
        // A Close frame that was answered may have ended it, if nothing else had to be written or was refused after it.
        let races = self.pace == Pace::Racing;
        let may_be_clean = self.ending == Ending::CloseFrame
            && (races || matches!(self.operation, Operation::Next | Operation::CloseIdle));
        let is_right = self.may_have_ended_by(closed.cause)
            && self.may_return(&ended.operation, closed.cause)
            && (self.reports_the_end() || is_verdict(&ended.reading, closed.cause))
            && (!self.reports_the_end() || ended.reading.is_ok())
            && (!closed.clean || may_be_clean)
            && is_closed(&ended.sent);
        if is_right { Ok(()) } else { Err(format!("{ended:?}")) }
    }

    fn may_have_ended_by(self, cause: Cause) -> bool {
        let is_in_memory = self.transport == Transport::Memory;
        // On a busy machine the keep-alive may come first.
        if cause == Cause::Unresponsive && !is_in_memory {
            return true;
        }
        if self.is_close() && (is_in_memory || cause == Cause::Local) {
            return cause == Cause::Local;
        }
        match self.ending {
            Ending::HangUp => matches!(cause, Cause::Eof | Cause::Lost),
            // Only `next` takes what arrives. To anything else the peer is one that does not read.
            Ending::HalfClose | Ending::CloseFrame if self.only_writes() => cause == Cause::Unresponsive,
            Ending::HalfClose => cause == Cause::Eof,
            Ending::CloseFrame => cause == Cause::Peer,
            Ending::Silence => cause == Cause::Unresponsive,
            Ending::LocalClose => cause == Cause::Local,
            Ending::Reset | Ending::WriteFails => cause == Cause::Lost,
        }
    }

    /// Whether the operation may have ended so: nothing that was not written is reported as a success.
    fn may_return(self, operation: &Option<Result<(), Error>>, cause: Cause) -> bool {
        use Operation::{CloseBehind, CloseIdle, Flush, Next, NextBehind, Ping, Send};
        let Some(result) = operation else { return self.ending == Ending::LocalClose };
        match (self.shape, self.operation) {
            (_, Send | Flush | Ping) => is_closed(result),
            (Shape::Whole, Next | NextBehind | CloseIdle | CloseBehind) => is_verdict(result, cause),
            // The reader reports the end, unless it came before the close.
            (_, CloseIdle | CloseBehind) => result.is_ok() || is_closed(result),
            (_, Next) => result.is_ok(),
            (_, NextBehind) => result.is_ok() || is_closed(result),
        }
    }
}

/// What has happened in a case.
#[derive(Default)]
struct Steps {
    /// The operation waits or is done.
    operation: Notify,
    /// The reader of a split connection waits or is done.
    reader: Notify,
    /// What ends the connection has come.
    is_over: watch::Sender<bool>,
}

impl Steps {
    /// Waits until what ends the connection has come.
    async fn over(&self) {
        // The sender exists.
        let _ = self.is_over.subscribe().wait_for(|is_over| *is_over).await;
    }
}

/// The output of `future`. Each time that it waits, and when it is done, `waits` is notified.
async fn telling<F: Future>(waits: &Notify, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let polled = future.as_mut().poll(cx);
        waits.notify_one();
        polled
    })
    .await
}

/// Whether nothing more could be sent.
fn is_closed(result: &Result<(), Error>) -> bool {
    matches!(result, Err(Error::Send(SendError::Closed)))
}

/// Whether that reports this end.
fn is_verdict(result: &Result<(), Error>, cause: Cause) -> bool {
    match cause {
        Cause::Local | Cause::Peer => result.is_ok(),
        Cause::Eof => matches!(result, Err(Error::UnexpectedEof)),
        Cause::Lost => matches!(result, Err(Error::Io(_))),
        Cause::Unresponsive => matches!(result, Err(Error::Unresponsive)),
        _ => false,
    }
}

#[tokio::test(start_paused = true)]
async fn a_flush_after_the_end_reports_what_was_dropped() {
    let connect = || {
        let (near, far) = duplex(1024);
        let (near, config): (Stream, _) = (Box::new(near), large_connection());
        let near = WebSocket::from_upgraded(near, Role::Client, &config, &Negotiated::default(), b"").unwrap();
        (near, far)
    };
    let (mut near, far) = connect();
    near.sender().send_binary(&PAYLOAD).unwrap();
    drop(far);
    assert!(within(read_to_end(&mut near)).await.is_err());
    for _ in 0..2 {
        let flushed = within(near.flush()).await;
        assert!(is_closed(&flushed), "{flushed:?}");
    }
    let (near, far) = connect();
    let (mut reader, mut writer) = near.split();
    writer.feed(|sender| sender.send_binary(&PAYLOAD)).unwrap();
    drop(far);
    assert!(within(reader.next()).await.is_err());
    let flushed = within(writer.flush()).await;
    assert!(is_closed(&flushed), "{flushed:?}");
}

async fn read_to_end(socket: &mut WebSocket<Stream>) -> Result<(), Error> {
    while socket.next().await?.is_some() {}
    Ok(())
}

trait ReadWrite: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> ReadWrite for S {}

type Stream = Box<dyn ReadWrite>;

/// Our end of a connection, whose writes fail once it is `broken`, and the peer's.
async fn streams(transport: Transport, ending: Ending, broken: &Arc<Broken>) -> (Stream, Stream) {
    if transport == Transport::Memory {
        let (stream, far) = duplex(1024);
        return (Box::new(Breakable { stream, broken: broken.clone() }), Box::new(far));
    }
    let (stream, far) = within(narrow_tcp()).await;
    if ending == Ending::Reset {
        far.set_zero_linger().unwrap();
    }
    let near = Breakable { stream, broken: broken.clone() };
    if transport == Transport::Tcp {
        return (Box::new(near), Box::new(far));
    }
    let (near, far) = within(secure((near, far))).await;
    (Box::new(near), Box::new(far))
}

/// Whether the writes of a stream fail, and who waits to write.
#[derive(Default)]
struct Broken {
    is_set: AtomicBool,
    writer: Mutex<Option<Waker>>,
}

impl Broken {
    fn set(&self) {
        self.is_set.store(true, Ordering::SeqCst);
        let writer = self.writer.lock().unwrap().take();
        if let Some(writer) = writer {
            writer.wake();
        }
    }
}

/// A stream whose writes fail from some time on. A write that waits then fails, too.
struct Breakable<S> {
    stream: S,
    broken: Arc<Broken>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Breakable<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Breakable<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        *self.broken.writer.lock().unwrap() = Some(cx.waker().clone());
        if self.broken.is_set.load(Ordering::SeqCst) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
