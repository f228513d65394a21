//! A question to a server that does not speak the documented dialect.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Stream;

/// The longest answer to read: longer than the head and the first packet of a server.
const MAX_ANSWER: usize = 16 << 10;

/// Whether the server speaks socket.io. Then it answers a polling request with an open packet of Engine.IO, whose first bytes
/// are always the same.
pub(super) async fn speaks_socketio(mut stream: impl Stream, host: &str) -> bool {
    let request = format!(
        "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    if stream.write_all(request.as_bytes()).await.is_err() {
        return false;
    }
    let mut answer = Vec::new();
    // A server may keep the connection open, or end it without the `close_notify` of TLS.
    while !is_open_packet(&answer) && answer.len() < MAX_ANSWER {
        match stream.read_buf(&mut answer).await {
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
    }
    is_open_packet(&answer)
}

fn is_open_packet(answer: &[u8]) -> bool {
    let is_ok = answer.starts_with(b"HTTP/1.1 200 ") || answer.starts_with(b"HTTP/1.0 200 ");
    is_ok && answer.windows(OPEN.len()).any(|window| window == OPEN)
}

const OPEN: &[u8] = br#"0{"sid""#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_open_packet_in_a_200_is_socketio() {
        assert!(is_open_packet(b"HTTP/1.1 200 OK\r\nContent-Length: 97\r\n\r\n0{\"sid\":\"x\","));
        // A chunked body has its length in front.
        assert!(is_open_packet(b"HTTP/1.1 200 OK\r\n\r\n61\r\n0{\"sid\":\"x\","));
        for other in [
            &b"HTTP/1.1 400 Bad Request\r\n\r\n0{\"sid\":\"x\""[..],
            b"HTTP/1.1 200 OK\r\n\r\n<html>",
            b"0{\"sid\"",
            b"",
        ] {
            assert!(!is_open_packet(other));
        }
    }
}
