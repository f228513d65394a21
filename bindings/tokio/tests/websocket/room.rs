//! Large binary messages are read from the stream straight to their place.

use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use multiwa_ws_core::websocket::{Event, Negotiated, Role};
use multiwa_ws_testkit::wire::{BINARY, FIN, TEXT, frame_to};
use multiwa_ws_tokio::WebSocket;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::support::{large_connection, pattern, within};

/// Returns at most `at_once` of its bytes for each read, and records where they were read to.
struct Source {
    bytes: Vec<u8>,
    at: usize,
    at_once: usize,
    places: Arc<Mutex<Vec<Range<usize>>>>,
}

impl AsyncRead for Source {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let source = self.get_mut();
        let len = source.at_once.min(buffer.remaining()).min(source.bytes.len() - source.at);
        let before = buffer.filled().len();
        buffer.put_slice(&source.bytes[source.at..source.at + len]);
        source.at += len;
        let start = buffer.filled()[before..].as_ptr().addr();
        source.places.lock().unwrap().push(start..start + len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Source {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn most_of_a_large_binary_message_is_read_to_its_place() {
    const LEN: usize = 3 << 20;
    for role in [Role::Client, Role::Server] {
        let message = frame_to(role, FIN | BINARY, &pattern(LEN));
        let text = frame_to(role, FIN | TEXT, b"next");
        for at_once in [1_000, 64 << 10, usize::MAX] {
            let places = Arc::default();
            let bytes = [&message[..], &text, &message, &text].concat();
            let source = Source { bytes, at: 0, at_once, places: Arc::clone(&places) };
            let mut socket =
                WebSocket::from_upgraded(source, role, &large_connection(), &Negotiated::default(), b"").unwrap();
            for _ in 0..2 {
                let received = within(socket.next()).await.unwrap().expect("a message");
                let Event::Binary(payload) = received.event else { panic!("{:?}", received.event) };
                assert!(payload == pattern(LEN));
                let inside = payload.as_ptr_range();
                let inside = inside.start.addr()..inside.end.addr();
                let placed: usize = places
                    .lock()
                    .unwrap()
                    .drain(..)
                    .filter(|place| inside.contains(&place.start) && place.end <= inside.end)
                    .map(|place| place.len())
                    .sum();
                // The buffer may be moved whenever it grows: the last time when 2 MiB have arrived.
                assert!(placed > LEN / 4, "{placed} bytes, {at_once} at once");
                assert_eq!(within(socket.next()).await.unwrap().expect("text").event, Event::Text("next"));
            }
            assert!(within(socket.next()).await.is_err(), "the stream has ended without a Close frame");
        }
    }
}
