//! Clients on slow lines: what they take slowly they get whole, and nobody takes them for lost.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use multiwa_ws_core::handshake::ClientRequest;
use multiwa_ws_core::session::RawJson;
use multiwa_ws_core::websocket::{Config, Event};
use multiwa_ws_tokio::{Server, WebSocket, WebSocketConfig};
use tokio::io::{self, AsyncRead, AsyncWrite, DuplexStream, Join, ReadBuf, ReadHalf, WriteHalf, duplex};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::client::receivers;

/// What comes over a line that carries so many bytes a second.
struct Slow<S> {
    stream: ReadHalf<S>,
    rate: u32,
    next: Pin<Box<Sleep>>,
}

/// A line that is slow for its reader.
type Line<S> = Join<Slow<S>, WriteHalf<S>>;

impl<S: AsyncRead + Unpin> AsyncRead for Slow<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.next.as_mut().poll(cx));
        let mut some = buffer.take(1024);
        ready!(Pin::new(&mut this.stream).poll_read(cx, &mut some))?;
        let len = some.filled().len();
        buffer.advance(len);
        let took = Duration::from_secs(1) * u32::try_from(len).unwrap() / this.rate;
        this.next.as_mut().reset(Instant::now() + took);
        Poll::Ready(Ok(()))
    }
}

/// A client in memory at the end of such a line.
async fn client(server: &Server, rate: u32) -> WebSocket<Line<DuplexStream>> {
    let (near, far) = duplex(1 << 16);
    tokio::spawn(server.serve_stream(far, None));
    client_over(near, rate).await
}

/// A client at the end of such a line, subscribed to everything of `p`.
async fn client_over<S: AsyncRead + AsyncWrite + Unpin>(stream: S, rate: u32) -> WebSocket<Line<S>> {
    let (stream, writer) = io::split(stream);
    let line = io::join(Slow { stream, rate, next: Box::pin(sleep_until(Instant::now())) }, writer);
    let options = WebSocketConfig::new().connection(Config::new().max_message_len(8 << 20));
    let (mut client, _) = WebSocket::connect(line, ClientRequest::new("localhost", "/ws"), &options).await.unwrap();
    text(&mut client).await;
    client.send_text(r#"{"type":"subscribe","payload":{"profileId":"p","events":["*"]}}"#).await.unwrap();
    text(&mut client).await;
    client
}

/// The length of the next text, however long it takes.
async fn text<S: AsyncRead + AsyncWrite + Unpin>(client: &mut WebSocket<Line<S>>) -> usize {
    loop {
        let received = client.next().await.unwrap().expect("the connection lives");
        if let Event::Text(text) = received.event {
            return text.len();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f_05_events_of_3_mib_reach_clients_on_slow_lines() {
    for rate in [16, 64, 256] {
        let server = Server::builder().build();
        let mut client = client(&server, rate << 10).await;
        let publisher = server.publisher();
        let data = RawJson::parse(&format!("\"{}\"", "x".repeat(3 << 20))).unwrap().into_owned();
        for _ in 0..3 {
            assert_eq!(receivers(publisher.publish("e", Some("p"), &data)), 1);
            assert!(text(&mut client).await > 3 << 20, "{rate} KiB a second");
        }
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_any_more_is_given_up_in_the_time_of_the_keep_alive() {
    let server = Server::builder().build();
    let client = client(&server, 64 << 10).await;
    let data = RawJson::parse(&format!("\"{}\"", "x".repeat(3 << 20))).unwrap().into_owned();
    assert_eq!(receivers(server.publisher().publish("e", Some("p"), &data)), 1);
    let start = Instant::now();
    while server.connections() > 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // A ping after 30 s of silence, and 10 s for the answer beside 16 s for the 64 KiB that left at once.
    assert!(start.elapsed() < Duration::from_secs(57), "{:?}", start.elapsed());
    drop(client);
}

/// Over real sockets, whose buffers hide much of a line from both ends.
#[tokio::test]
#[ignore = "3 MiB at 16 KiB a second take over three minutes"]
async fn f_05_events_of_3_mib_reach_clients_on_slow_lines_over_tcp() {
    let server = Server::builder().bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = server.local_addr().unwrap();
    let data = RawJson::parse(&format!("\"{}\"", "x".repeat(3 << 20))).unwrap().into_owned();
    let mut clients = Vec::new();
    for rate in [16, 64, 256] {
        clients.push((rate, client_over(TcpStream::connect(address).await.unwrap(), rate << 10).await));
    }
    assert_eq!(receivers(server.publisher().publish("e", Some("p"), &data)), clients.len());
    let receiving = clients.into_iter().map(|(rate, mut client)| {
        tokio::spawn(async move {
            assert!(text(&mut client).await > 3 << 20, "{rate} KiB a second");
            // Its line carries on.
            client.send_text(r#"{"type":"ping"}"#).await.unwrap();
            text(&mut client).await;
        })
    });
    for receiving in receiving.collect::<Vec<_>>() {
        receiving.await.unwrap();
    }
}
