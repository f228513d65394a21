//! A peer that upgrades by the rules and then sends and reads plain bytes.

use multiwa_ws_core::Instant;
use multiwa_ws_core::handshake::{Acceptance, HandshakeLimits, ServerHandshake};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::support::within;

/// A valid upgrade request.
pub(crate) const REQUEST: &[u8] = b"GET /ws HTTP/1.1\r\nHost: server\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Sends a request with `behind` in the same write, and reads the answer's head.
pub(crate) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, behind: &[u8]) {
    within(stream.write_all(&[REQUEST, behind].concat())).await.expect("written");
    assert!(read_head(stream).await.starts_with(b"HTTP/1.1 101 "));
}

/// Reads a request, and answers it with `behind` in the same write.
pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, behind: &[u8]) {
    let mut head = read_head(stream).await;
    let now = Instant::default();
    let mut handshake = ServerHandshake::new(now, HandshakeLimits::default());
    handshake.handle_input(now, &mut &mut head[..]).expect("no error").expect("a whole request");
    handshake.accept(now, &Acceptance::default()).expect("accepted");
    let response = handshake.poll_accepted().expect("accepted").unsent;
    within(stream.write_all(&[&response, behind].concat())).await.expect("written");
}

/// Reads up to the empty line, and nothing of what follows it.
pub(crate) async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within(stream.read_u8()).await.expect("a head"));
    }
    head
}

/// A frame without masking, of at most 125 bytes.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    [&[first, u8::try_from(payload.len()).expect("a short payload")], payload].concat()
}

/// The same frame with a masking key of zeros, which leaves the payload readable.
pub(crate) fn masked_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(payload.len()).expect("a short payload");
    [&[first, 0x80 | len, 0, 0, 0, 0], payload].concat()
}
