//! How connections end: by a closing handshake, by a deadline, by the stream, by a violation.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::frame::{CloseCode, FrameError};
use multiwa_ws_core::handshake::{Acceptance, ClientRequest};
use multiwa_ws_core::websocket::{Cause, Negotiated, ProtocolError, Role, SendError};
use multiwa_ws_testkit::event::OwnedEvent;
use multiwa_ws_tokio::{Error, WebSocket, WebSocketConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::raw;
use super::support::{connect_over, drain, in_memory, next, pattern, quiet, quiet_connection, tcp, within};

fn close_frame(code: CloseCode, reason: &str) -> OwnedEvent {
    OwnedEvent::close(code.get(), reason)
}

#[tokio::test]
async fn either_side_closes_over_tcp_and_both_learn_who_and_why() {
    for client_closes in [true, false] {
        let (client, server) = connect_over(tcp().await, &quiet()).await;
        let (mut closing, mut other) = if client_closes { (client, server) } else { (server, client) };
        let started = Instant::now();
        let (closed, (events, ended)) =
            within(async { tokio::join!(closing.close(CloseCode::GOING_AWAY, "bye"), drain(&mut other)) }).await;
        closed.unwrap();
        ended.unwrap();
        assert_eq!(events, [close_frame(CloseCode::GOING_AWAY, "bye")]);
        let end =
            |socket: &WebSocket<TcpStream>| socket.closed().map(|closed| (closed.cause, closed.code, closed.clean));
        assert_eq!(end(&closing), Some((Cause::Local, CloseCode::GOING_AWAY, true)));
        assert_eq!(end(&other), Some((Cause::Peer, CloseCode::GOING_AWAY, true)));
        // Neither waited for a deadline.
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_end_there_is_nothing_to_read_and_nothing_to_report() {
    let (mut client, mut server) = in_memory(64, &quiet()).await;
    let (closed, _) = within(async { tokio::join!(client.close(CloseCode::NORMAL, ""), drain(&mut server)) }).await;
    closed.unwrap();
    for _ in 0..2 {
        assert!(within(client.next()).await.unwrap().is_none());
        within(client.flush()).await.unwrap();
        within(client.close(CloseCode::NORMAL, "")).await.unwrap();
        let error = within(client.send_text("too late")).await.unwrap_err();
        assert!(matches!(error, Error::Send(SendError::Closed)), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn both_sides_may_close_at_once() {
    let (mut client, mut server) = in_memory(64, &quiet()).await;
    let (one, other) =
        within(async { tokio::join!(client.close(CloseCode::NORMAL, "a"), server.close(CloseCode::GOING_AWAY, "b")) })
            .await;
    one.unwrap();
    other.unwrap();
    assert_eq!(client.closed().unwrap().code, CloseCode::GOING_AWAY);
    assert_eq!(server.closed().unwrap().code, CloseCode::NORMAL);
}

#[tokio::test(start_paused = true)]
async fn a_close_that_may_not_be_sent_changes_nothing() {
    let (mut client, mut server) = in_memory(64, &quiet()).await;
    let error = within(client.close(CloseCode::ABNORMAL, "")).await.unwrap_err();
    assert!(matches!(error, Error::Send(SendError::CloseCode)), "{error:?}");
    within(client.send_text("still open")).await.unwrap();
    assert_eq!(next(&mut server).await, OwnedEvent::text("still open"));
}

/// Closes a socket whose peer is silent, and returns how long that took.
async fn close_alone(mut socket: WebSocket<DuplexStream>) -> Duration {
    let started = Instant::now();
    within(socket.close(CloseCode::NORMAL, "")).await.unwrap();
    let closed = socket.closed().unwrap();
    assert_eq!((closed.cause, closed.code, closed.clean), (Cause::Local, CloseCode::ABNORMAL, false));
    started.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_answer_a_close_is_left_at_the_deadline() {
    let (client, _server) = in_memory(64, &quiet()).await;
    assert_eq!(close_alone(client).await.as_secs(), 5);
    let (_client, server) = in_memory(64, &quiet()).await;
    assert_eq!(close_alone(server).await.as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_is_left_at_the_deadline() {
    let (_client, mut server) = in_memory(64, &quiet()).await;
    server.sender().send_binary(&pattern(100_000)).unwrap();
    assert_eq!(close_alone(server).await.as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_but_does_not_hang_up_is_left_at_the_deadline() {
    for role in ["client", "server"] {
        let (mut peer, stream) = duplex(4096);
        let mut socket = match role {
            "client" => client_of(&mut peer, stream).await,
            _ => server_of(&mut peer, stream).await,
        };
        let started = Instant::now();
        let answer = match role {
            "client" => raw::frame(0x88, &1000_u16.to_be_bytes()),
            _ => raw::masked_frame(0x88, &1000_u16.to_be_bytes()),
        };
        peer.write_all(&answer).await.unwrap();
        within(socket.close(CloseCode::NORMAL, "")).await.unwrap();
        assert!(socket.closed().unwrap().clean, "{role}");
        assert_eq!(started.elapsed().as_secs(), 5, "{role}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_that_an_answer_took_does_not_count_against_the_close_that_came_with_the_question() {
    let (mut peer, stream) = duplex(4096);
    let mut server = server_of(&mut peer, stream).await;
    let question = [raw::masked_frame(0x81, b"question"), raw::masked_frame(0x88, &1000_u16.to_be_bytes())].concat();
    peer.write_all(&question).await.unwrap();
    assert_eq!(next(&mut server).await, OwnedEvent::text("question"));
    tokio::time::sleep(Duration::from_secs(60)).await;
    server.sender().send_binary(&pattern(500_000)).unwrap();
    let read = async {
        let mut answer = Vec::new();
        peer.read_to_end(&mut answer).await.unwrap();
        drop(peer);
        answer.len()
    };
    let (len, (_, ended)) = within(async { tokio::join!(read, drain(&mut server)) }).await;
    ended.unwrap();
    assert_eq!(len, 10 + 500_000 + 4);
    assert!(server.closed().unwrap().clean);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_without_a_close_frame_is_an_error_once() {
    let (client, mut server) = in_memory(64, &quiet()).await;
    drop(client);
    let error = within(server.next()).await.unwrap_err();
    assert!(matches!(error, Error::UnexpectedEof), "{error:?}");
    assert_eq!(server.closed().unwrap().cause, Cause::Eof);
    assert!(within(server.next()).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_in_the_middle_of_a_message_is_an_error() {
    let (mut peer, stream) = duplex(4096);
    let mut server = server_of(&mut peer, stream).await;
    let frame = raw::masked_frame(0x81, b"unfinished");
    peer.write_all(&raw::masked_frame(0x81, b"finished")).await.unwrap();
    peer.write_all(&frame[..frame.len() - 1]).await.unwrap();
    drop(peer);
    let (events, ended) = drain(&mut server).await;
    assert_eq!(events, [OwnedEvent::text("finished")]);
    assert!(matches!(ended, Err(Error::UnexpectedEof)), "{ended:?}");
}

#[tokio::test]
async fn a_connection_that_is_reset_is_an_error_of_the_stream() {
    let (client, server) = tcp().await;
    let (client, mut server) = connect_over((client, server), &quiet()).await;
    within(server.send_text("never read")).await.unwrap();
    client.get_ref().readable().await.unwrap();
    // TCP resets a connection that is dropped with unread input.
    drop(client);
    let error = within(server.next()).await.unwrap_err();
    let Error::Io(error) = error else { panic!("{error:?}") };
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(server.closed().unwrap().cause, Cause::Lost);
    assert!(within(server.next()).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_violation_is_reported_after_the_messages_before_it_and_the_peer_gets_a_close_frame() {
    let (mut peer, stream) = duplex(4096);
    let mut server = server_of(&mut peer, stream).await;
    let sent = [raw::masked_frame(0x81, b"good"), raw::frame(0x81, b"bad"), raw::masked_frame(0x81, b"late")].concat();
    let breaking = async {
        peer.write_all(&sent).await.unwrap();
        let mut answer = Vec::new();
        peer.read_to_end(&mut answer).await.unwrap();
        drop(peer);
        answer
    };
    let (answer, (events, ended)) = within(async { tokio::join!(breaking, drain(&mut server)) }).await;
    assert_eq!(events, [OwnedEvent::text("good")]);
    let violation = ProtocolError::Frame(FrameError::Unmasked);
    assert!(matches!(ended, Err(Error::Violation(error)) if error == violation), "{ended:?}");
    assert_eq!(answer, raw::frame(0x88, &1002_u16.to_be_bytes()));
    let closed = server.closed().unwrap();
    assert_eq!((closed.cause, closed.code), (Cause::Violation(violation), CloseCode::ABNORMAL));
}

#[tokio::test(start_paused = true)]
async fn a_violation_by_the_server_is_answered_with_a_masked_frame() {
    let (mut peer, stream) = duplex(4096);
    let mut client = client_of(&mut peer, stream).await;
    let breaking = async {
        peer.write_all(&raw::frame(0x81, b"\xff")).await.unwrap();
        let mut answer = Vec::new();
        peer.read_to_end(&mut answer).await.unwrap();
        drop(peer);
        answer
    };
    let (answer, (events, ended)) = within(async { tokio::join!(breaking, drain(&mut client)) }).await;
    assert_eq!(events, []);
    assert!(matches!(ended, Err(Error::Violation(ProtocolError::InvalidText))), "{ended:?}");
    let [0x88, 0x82, one, two, _, _, high, low] = answer[..] else { panic!("{}", answer.escape_ascii()) };
    assert_eq!(u16::from_be_bytes([high ^ one, low ^ two]), 1007);
}

#[tokio::test]
async fn a_peer_that_goes_on_sending_after_a_violation_still_reads_the_close_frame_over_tcp() {
    let (mut peer, stream) = tcp().await;
    let mut server = server_of(&mut peer, stream).await;
    let breaking = async {
        peer.write_all(&raw::frame(0x81, b"bad")).await.unwrap();
        // Were the connection dropped with this unread, it would be reset and the Close frame lost.
        peer.write_all(&[0; 1 << 20]).await.unwrap();
        let mut answer = Vec::new();
        peer.read_to_end(&mut answer).await.unwrap();
        drop(peer);
        answer
    };
    let (answer, (_, ended)) = within(async { tokio::join!(breaking, drain(&mut server)) }).await;
    assert_eq!(answer, raw::frame(0x88, &1002_u16.to_be_bytes()));
    assert!(matches!(ended, Err(Error::Violation(_))), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_breaks_a_rule_and_never_hangs_up_is_left_at_the_deadline() {
    let (mut peer, stream) = duplex(4096);
    let mut server = server_of(&mut peer, stream).await;
    peer.write_all(&raw::frame(0x81, b"bad")).await.unwrap();
    let started = Instant::now();
    let (_, ended) = drain(&mut server).await;
    assert!(matches!(ended, Err(Error::Violation(_))), "{ended:?}");
    assert_eq!(started.elapsed().as_secs(), 5);
}

/// A server whose client sends `first` and then `rest` for ever, with more to read at each time, and its deadlines at 100 ms.
fn flooded(first: &[u8], rest: &[u8]) -> WebSocket<Torrent> {
    let config = quiet_connection()
        .close_timeout(Duration::from_millis(100))
        .message_timeout(Duration::from_millis(100))
        .max_fragments(u32::MAX);
    let torrent = Torrent { rest: rest.repeat(1000), ends: Instant::now() + Duration::from_secs(5) };
    WebSocket::from_upgraded(torrent, Role::Server, &config, &Negotiated::default(), first).unwrap()
}

/// Another thread keeps the time: a task whose stream never waits does not let go of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_never_stops_sending_is_left_at_the_deadline() {
    let mut server = flooded(b"", &raw::masked_frame(0x81, b"more"));
    let closing = tokio::spawn(async move {
        server.close(CloseCode::NORMAL, "").await.unwrap();
        assert!(!server.get_ref().has_ended(), "the deadline did not end it");
        server.closed().unwrap()
    });
    let closed = within(closing).await.unwrap();
    assert_eq!((closed.cause, closed.code), (Cause::Local, CloseCode::ABNORMAL));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_never_ends_is_refused_at_the_deadline_though_its_bytes_keep_coming() {
    let mut server = flooded(&raw::masked_frame(0x01, b""), &raw::masked_frame(0x00, b""));
    let (_, ended) = within(tokio::spawn(async move { drain(&mut server).await })).await.unwrap();
    assert!(matches!(ended, Err(Error::Violation(ProtocolError::MessageTimeout))), "{ended:?}");
}

/// A stream that always has more to read, and ends in time for the test.
struct Torrent {
    rest: Vec<u8>,
    ends: Instant,
}

impl Torrent {
    fn has_ended(&self) -> bool {
        Instant::now() > self.ends
    }
}

impl AsyncRead for Torrent {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.has_ended() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        buffer.put_slice(&self.rest);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Torrent {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_has_ended_is_not_asked_again_while_the_last_bytes_cannot_be_written() {
    let stuck = Stuck { ends: 0 };
    let close = raw::masked_frame(0x88, &1000_u16.to_be_bytes());
    let started = Instant::now();
    let mut server =
        WebSocket::from_upgraded(stuck, Role::Server, &quiet_connection(), &Negotiated::default(), &close).unwrap();
    while within(server.next()).await.unwrap().is_some() {}
    let closed = server.closed().unwrap();
    assert_eq!((closed.cause, closed.clean, started.elapsed().as_secs()), (Cause::Peer, false, 5));
}

/// A stream that has ended and takes nothing.
struct Stuck {
    ends: usize,
}

impl AsyncRead for Stuck {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.ends += 1;
        assert!(self.ends < 10, "the end was reported often enough");
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stuck {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_no_ping_is_given_up() {
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(7)).timeout(Duration::from_secs(2));
    let options = WebSocketConfig::new().connection(quiet_connection().keep_alive(keep_alive));
    let (_client, mut server) = connect_over(duplex(4096), &options).await;
    let started = Instant::now();
    let error = within(server.next()).await.unwrap_err();
    assert!(matches!(error, Error::Unresponsive), "{error:?}");
    assert_eq!(started.elapsed().as_secs(), 9);
}

#[tokio::test(start_paused = true)]
async fn two_idle_peers_keep_each_other_alive() {
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(7)).timeout(Duration::from_secs(2));
    let options = WebSocketConfig::new().connection(quiet_connection().keep_alive(keep_alive));
    let (mut client, mut server) = connect_over(duplex(4096), &options).await;
    let both = async { tokio::join!(drain_pings(&mut client), drain_pings(&mut server)) };
    assert!(tokio::time::timeout(Duration::from_secs(3600), both).await.is_err());
    assert!(client.sender().is_open() && server.sender().is_open());
}

/// Reads to the end.
async fn drain_pings(socket: &mut WebSocket<DuplexStream>) {
    while let Ok(Some(_)) = socket.next().await {}
}

/// A client whose server is `peer`.
async fn client_of(peer: &mut DuplexStream, stream: DuplexStream) -> WebSocket<DuplexStream> {
    let options = quiet();
    let connecting = WebSocket::connect(stream, ClientRequest::new("server", "/ws"), &options);
    let (connected, ()) = within(async { tokio::join!(connecting, raw::accept(peer, b"")) }).await;
    connected.unwrap().0
}

/// A server whose client is `peer`.
async fn server_of<S: AsyncRead + AsyncWrite + Unpin>(peer: &mut S, stream: S) -> WebSocket<S> {
    let options = quiet();
    let accepting = WebSocket::accept(stream, &options, |_| Ok(Acceptance::default()));
    let (accepted, ()) = within(async { tokio::join!(accepting, raw::connect(peer, b"")) }).await;
    accepted.unwrap().0
}
