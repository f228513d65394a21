//! Peers that are made one after the other share nothing that must not be guessed, and nothing that would make them act at the
//! same time.
#![cfg(test)]

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use multiwa_ws_core::handshake::{Acceptance, ClientRequest};
use multiwa_ws_core::session::ReconnectConfig;
use multiwa_ws_core::websocket::Event;
use multiwa_ws_tokio::{Client, Connector, ConnectorError, WebSocket, WebSocketConfig};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};

/// Keeps what is written.
struct Tap {
    stream: DuplexStream,
    written: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Tap {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Tap {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(len)) = poll {
            self.written.lock().unwrap().extend(&bytes[..len]);
        }
        poll
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A stream that is tapped, what is written to it, and its other end.
fn tapped() -> (Tap, Arc<Mutex<Vec<u8>>>, DuplexStream) {
    let (near, far) = duplex(1 << 16);
    let written = Arc::new(Mutex::new(Vec::new()));
    (Tap { stream: near, written: written.clone() }, written, far)
}

/// The nonce of the upgrade (RFC 6455 section 4.1) and the masking key of the first frame (section 5.3).
fn secrets(written: &[u8]) -> (String, [u8; 4]) {
    let end = written.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let head = std::str::from_utf8(&written[..end]).unwrap();
    let nonce = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap().to_owned();
    let frame = &written[end..];
    let extended = match frame[1] & 0x7f {
        0..126 => 0,
        126 => 2,
        _ => 8,
    };
    (nonce, frame[2 + extended..][..4].try_into().unwrap())
}

struct OneStream(Option<Tap>);

impl Connector for OneStream {
    type Stream = Tap;

    fn connect(
        &mut self,
        _attempt: u32,
    ) -> impl Future<Output = Result<(Tap, ClientRequest), ConnectorError>> + Send + 'static {
        let stream = self.0.take();
        async move {
            let stream = stream.ok_or_else(|| ConnectorError::retry("there was one stream"))?;
            Ok((stream, ClientRequest::new("memory", "/ws")))
        }
    }
}

/// What a client chooses at random: the nonce of its upgrade, a masking key, the id of a request, a back-off.
async fn client() -> (String, [u8; 4], String, Duration) {
    let (tap, written, far) = tapped();
    let hour = Duration::from_secs(3_600);
    let reconnect = ReconnectConfig::new().initial(hour).max(hour);
    let builder = Client::builder("").reconnect(reconnect).subscribe("p", ["e"]);
    let (client, _updates) = builder.start_with(OneStream(Some(tap))).unwrap();
    let (mut server, ..) =
        WebSocket::accept(far, &WebSocketConfig::default(), |_| Ok(Acceptance::default())).await.unwrap();
    server.send_text(r#"{"type":"ack","payload":{"clientId":"c"}}"#).await.unwrap();
    let request = match server.next().await.unwrap().unwrap().event {
        Event::Text(text) => text.split_once(r#""requestId":""#).unwrap().1.split('"').next().unwrap().to_owned(),
        other => panic!("{other:?}"),
    };
    drop(server);
    let backoff = loop {
        match client.status().next_attempt_in {
            Some(after) => break after,
            None => tokio::task::yield_now().await,
        }
    };
    let (nonce, key) = secrets(&written.lock().unwrap());
    (nonce, key, request, backoff)
}

#[tokio::test(start_paused = true)]
async fn f_17_two_clients_share_neither_nonces_nor_masking_keys_nor_request_ids_nor_back_offs() {
    let (one, other) = (client().await, client().await);
    assert_ne!(one.0, other.0);
    assert_ne!(one.1, other.1);
    assert_ne!(one.2, other.2);
    assert_ne!(one.3, other.3);
}

/// The nonce of the upgrade of a WebSocket, and a masking key.
async fn websocket() -> (String, [u8; 4]) {
    let (tap, written, far) = tapped();
    let options = WebSocketConfig::default();
    let (near, far) = tokio::join!(
        WebSocket::connect(tap, ClientRequest::new("memory", "/ws"), &options),
        WebSocket::accept(far, &options, |_| Ok(Acceptance::default())),
    );
    let (mut near, _far) = (near.unwrap().0, far.unwrap());
    near.send_text("hello").await.unwrap();
    let written = written.lock().unwrap();
    secrets(&written)
}

#[tokio::test]
async fn f_17_two_websockets_share_neither_nonces_nor_masking_keys() {
    let (one, other) = (websocket().await, websocket().await);
    assert_ne!(one.0, other.0);
    assert_ne!(one.1, other.1);
}
