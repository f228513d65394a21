//! What has arrived comes before a deadline, and what waits for the peer waits from when it was asked.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::handshake::{Acceptance, Rejection};
use multiwa_ws_core::websocket::{Config, Negotiated, Role};
use multiwa_ws_tokio::{Error, HandshakeError, WebSocket, WebSocketConfig};
use tokio::io::{self, AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream, ReadBuf, ReadHalf, duplex};
use tokio::time::{Instant, sleep, timeout};

use super::support::{connect_over, large_connection, pattern, quiet, quiet_connection, within};

/// Pings after 2 s of silence, and gives up 1 s later.
fn quick() -> Config {
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(2)).timeout(Duration::from_secs(1));
    large_connection().keep_alive(keep_alive).close_timeout(Duration::from_secs(2))
}

/// What comes to a process that is stopped for a while: it reads nothing meanwhile, and at first afterwards says that nothing has
/// arrived, and wakes the task.
struct Stopped {
    stream: ReadHalf<DuplexStream>,
    from: Instant,
    to: Instant,
    has_resumed: bool,
}

impl AsyncRead for Stopped {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let now = Instant::now();
        if now >= self.from && now < self.to {
            return Poll::Pending;
        }
        if now >= self.to && !self.has_resumed {
            self.has_resumed = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

#[tokio::test(start_paused = true)]
async fn f_06_a_pong_that_arrived_while_the_process_was_stopped_is_read_before_the_deadline() {
    let (near, far) = duplex(4096);
    let start = Instant::now();
    // Pinged at 2 s and to be given up at 3 s.
    let (from, to) = (start + Duration::from_millis(2010), start + Duration::from_secs(3));
    let (stream, writer) = io::split(near);
    let near = io::join(Stopped { stream, from, to, has_resumed: false }, writer);
    let (config, negotiated) = (quick(), Negotiated::default());
    let mut client: WebSocket<_> = WebSocket::from_upgraded(near, Role::Client, &config, &negotiated, b"").unwrap();
    let config = quiet_connection();
    let mut server: WebSocket<_> = WebSocket::from_upgraded(far, Role::Server, &config, &negotiated, b"").unwrap();
    tokio::spawn(async move {
        while let Ok(Some(_)) = server.next().await {
            sleep(Duration::from_millis(100)).await;
        }
    });
    let ended = timeout(Duration::from_secs(8), async { while client.next().await.unwrap().is_some() {} }).await;
    assert!(ended.is_err(), "given up after {:?}", start.elapsed());
}

/// A request that comes after 9 s, and whose answer leaves only from 12 s on, 16 bytes at a time: how it is decided, and what
/// the client reads.
async fn answer_late(decision: Result<Acceptance, Rejection>) -> (Result<(), HandshakeError>, String) {
    let (request_in, mut request_out) = io::simplex(4096);
    let (mut answer_in, answer_out) = io::simplex(16);
    let server = tokio::spawn(async move {
        let stream = io::join(request_in, answer_out);
        WebSocket::accept(stream, &WebSocketConfig::default(), |_| decision).await.map(drop)
    });
    sleep(Duration::from_secs(9)).await;
    let request = b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    request_out.write_all(request).await.unwrap();
    sleep(Duration::from_secs(3)).await;
    let mut answer = Vec::new();
    let mut bytes = [0; 64];
    while !answer.ends_with(b"\r\n\r\n") {
        match timeout(Duration::from_secs(1), answer_in.read(&mut bytes)).await {
            Ok(Ok(len @ 1..)) => answer.extend_from_slice(&bytes[..len]),
            _ => break,
        }
    }
    drop((answer_in, request_out));
    (server.await.unwrap(), String::from_utf8(answer).unwrap())
}

#[tokio::test(start_paused = true)]
async fn f_08_an_answer_to_an_upgrade_is_timed_from_the_decision() {
    let (result, answer) = answer_late(Ok(Acceptance::default())).await;
    assert!(
        result.is_ok() && answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("\r\n\r\n"),
        "{result:?} {answer}"
    );
    let (result, answer) = answer_late(Err(Rejection::unauthorized())).await;
    assert!(
        matches!(result, Err(HandshakeError::Rejected)) && answer.starts_with("HTTP/1.1 401 "),
        "{result:?} {answer}"
    );
}

#[tokio::test(start_paused = true)]
async fn f_05_a_peer_that_takes_its_bytes_slowly_is_alive() {
    let (near, mut far) = duplex(4096);
    let (config, negotiated) = (Config::default(), Negotiated::default());
    let mut server: WebSocket<_> = WebSocket::from_upgraded(near, Role::Server, &config, &negotiated, b"").unwrap();
    let reading = tokio::spawn(async move {
        // 64 KiB a second, and an answer to every ping, as a browser gives it.
        let (mut bytes, mut taken) = ([0; 4096], 0_usize);
        while taken < 3 << 20 {
            far.read_exact(&mut bytes).await.unwrap();
            taken += bytes.len();
            sleep(Duration::from_millis(1000 / 16)).await;
        }
        far
    });
    server.sender().send_binary(&pattern(3 << 20)).unwrap();
    let ended = timeout(Duration::from_secs(55), server.next()).await;
    assert!(ended.is_err(), "{ended:?}");
    // Then it answers no ping, and is given up in the time that the line leaves it.
    let far = reading.await.unwrap();
    let start = Instant::now();
    let error = within(server.next()).await.unwrap_err();
    assert!(matches!(error, Error::Unresponsive) && start.elapsed() < Duration::from_secs(45), "{:?}", start.elapsed());
    drop(far);
}

#[tokio::test(start_paused = true)]
async fn f_17_no_two_connections_share_their_masking_keys() {
    let mut wires = Vec::new();
    for _ in 0..2 {
        let (mut client, server) = connect_over(duplex(4096), &quiet()).await;
        client.send_text("the same text of both").await.unwrap();
        let (near, mut far) = duplex(4096);
        let (config, negotiated) = (quiet_connection(), Negotiated::default());
        let mut other: WebSocket<_> = WebSocket::from_upgraded(near, Role::Client, &config, &negotiated, b"").unwrap();
        other.send_text("the same text of both").await.unwrap();
        let mut wire = [0; 27];
        far.read_exact(&mut wire).await.unwrap();
        wires.push(wire);
        drop(server);
    }
    assert_ne!(wires[0], wires[1]);
}
