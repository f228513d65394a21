//! How connections end, and what `tungstenite` makes of peers that break rules.

use std::time::Duration;

use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::handshake::Rejection;
use multiwa_ws_core::session::{ClientConfig, ClientState, CloseCause, DisconnectReason, LifecycleEvent};
use multiwa_ws_core::websocket;
use multiwa_ws_tungstenite::{BuildError, Client, ConnectError, Update};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::peer::{Peer, at_once, call, find, listen, never, next, number, runtime, soon, wait_until, write_raw};

/// A client that was connected once and then does not reconnect, and its peer.
fn once(config: ClientConfig) -> (Client, multiwa_ws_tungstenite::Updates, Peer) {
    let listener = listen();
    let builder = Client::builder(&listener.url).session(config).reconnect(never());
    let connecting = call(move || builder.connect().unwrap());
    let peer = listener.accept();
    let (client, updates) = connecting.returned();
    (client, updates, peer)
}

#[test]
fn a_lost_connection_is_opened_again_with_its_subscriptions() {
    let listener = listen();
    let builder = Client::builder(&listener.url).reconnect(at_once()).subscribe("p", ["e"]);
    let connecting = call(move || builder.connect().unwrap());
    let mut peer = listener.accept();
    peer.acknowledge();
    let (client, mut updates) = connecting.returned();
    for number_sent in 0..3 {
        peer.publish(number_sent);
        assert_eq!(number(&mut updates), number_sent);
        drop(peer);
        peer = listener.accept();
        assert_eq!(peer.acknowledge(), "subscribe");
    }
    wait_until(|| client.state() == ClientState::Ready);
    assert_eq!(client.status().active.len(), 1);
}

#[test]
fn the_effect_of_a_close_by_the_server_depends_on_its_code() {
    for (code, again) in [(1000, false), (1001, true), (1008, false), (1011, true), (4000, true)] {
        let listener = listen();
        let builder = Client::builder(&listener.url).reconnect(at_once());
        let connecting = call(move || builder.connect().unwrap());
        let mut peer = listener.accept();
        let (client, mut updates) = connecting.returned();
        soon(peer.socket.close(CloseCode::new(code), "because")).unwrap();
        assert_eq!(peer.close_code_or_end(), Some(code), "the Close frame is answered in kind");
        let reason = DisconnectReason::ClosedByPeer { code: Some(code) };
        if again {
            let reported = find(&mut updates, |update| match update {
                Update::Lifecycle(LifecycleEvent::Backoff { reason, .. }) => Some(*reason),
                _ => None,
            });
            assert_eq!(reported, reason);
            drop(listener.accept());
        } else {
            assert_eq!(call(move || client.closed()).returned(), CloseCause::Lost(reason));
        }
    }
}

#[test]
fn a_server_that_ends_its_side_without_a_close_frame_is_lost() {
    let listener = listen();
    let builder = Client::builder(&listener.url).reconnect(never());
    let connecting = call(move || builder.connect().unwrap());
    let stream = listener.accept_tcp().into_std().unwrap();
    let writing = stream.try_clone().unwrap();
    let mut peer = listener.send_ack(runtime().block_on(async { TcpStream::from_std(stream) }).unwrap());
    let (client, _updates) = connecting.returned();
    writing.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(call(move || client.closed()).returned(), CloseCause::Lost(DisconnectReason::Eof));
    peer.read_to_end();
}

#[test]
fn what_has_no_meaning_is_closed_with_the_code_that_says_so() {
    let oversized = text_frame(&vec![b'a'; (1 << 20) + 1]);
    let mut fragments = fragment(0x01, &vec![b'a'; 1 << 20]);
    fragments.extend(fragment(0x80, b"a"));
    for (bytes, code) in [
        (vec![0x82, 1, 0], 1003),
        (oversized, 1009),
        (fragments, 1009),
        (vec![0x81, 1, 0xff], 1007),
        (vec![0x83, 0], 1002),
        (vec![0xc1, 1, b'a'], 1002),
        (vec![0x80, 1, b'a'], 1002),
        (vec![0x81, 0x81, 1, 2, 3, 4, b'a'], 1002),
        (vec![0x88, 1, 3], 1002),
    ] {
        let (client, _updates, mut peer) = once(ClientConfig::new());
        let writing = &bytes;
        peer.write_raw(writing);
        assert_eq!(peer.close_code(), Some(code), "{:x?}", &bytes[..2]);
        peer.read_to_end();
        let closed = call(move || client.closed()).returned();
        assert_eq!(closed, CloseCause::Lost(DisconnectReason::Violation { code }), "{:x?}", &bytes[..2]);
    }
}

#[test]
fn a_message_at_the_limit_is_taken() {
    let (client, mut updates, peer) = once(ClientConfig::new());
    let mut text = br#"{"type":"other","payload":{"a":""#.to_vec();
    text.resize((1 << 20) - 3, b'a');
    text.extend_from_slice(br#""}}"#);
    assert_eq!(text.len(), 1 << 20);
    let writing = call(move || {
        peer.write_raw(&text_frame(&text));
        peer
    });
    let length = find(&mut updates, |update| match update {
        Update::Unknown(message) => Some(message.as_str().len()),
        _ => None,
    });
    assert_eq!(length, 1 << 20);
    drop(writing.returned());
    assert_eq!(call(move || client.closed()).returned(), CloseCause::Lost(DisconnectReason::Eof));
}

#[test]
fn bytes_of_a_message_that_is_not_whole_yet_are_a_sign_of_life() {
    let (client, _updates, peer) = once(ClientConfig::new());
    let frame = text_frame(&[b'a'; 1000]);
    let (begin, rest) = frame.split_at(500);
    std::thread::sleep(Duration::from_millis(20));
    let before = std::time::Instant::now();
    peer.write_raw(begin);
    wait_until(|| client.status().last_traffic.unwrap() < before.elapsed());
    let received = client.status().counters.received;
    peer.write_raw(rest);
    wait_until(|| client.status().counters.received == received + 1);
}

#[test]
fn a_close_returns_whatever_the_server_does() {
    // Silent after the upgrade: the Close frame is never answered.
    let (client, mut updates, peer) = once(ClientConfig::new().close_timeout(Duration::from_millis(50)));
    let closing = client.clone();
    call(move || closing.close()).returned();
    assert_eq!(client.closed(), CloseCause::Application);
    while next(&mut updates).is_some() {}
    drop(peer);

    // Silent before it.
    let listener = listen();
    let (client, _updates) = Client::builder(&listener.url).start().unwrap();
    let silent = listener.accept_tcp();
    wait_until(|| client.state() == ClientState::Connecting);
    call(move || client.close()).returned();
    drop(silent);

    // Away, and waited for.
    let address = listen().address;
    let reconnect = at_once().initial(Duration::from_secs(3600)).max(Duration::from_secs(3600));
    let (client, _updates) = Client::builder(format!("ws://{address}/ws")).reconnect(reconnect).start().unwrap();
    wait_until(|| client.state() == ClientState::Backoff);
    call(move || client.close()).returned();
}

#[test]
fn a_server_that_answers_the_close_frame_and_keeps_the_stream_open_is_not_awaited_indefinitely() {
    let (client, _updates, peer) = once(ClientConfig::new().close_timeout(Duration::from_millis(50)));
    let closing = call(move || client.close());
    // A Close frame in answer, and no end.
    peer.write_raw(&[0x88, 2, 0x03, 0xe8]);
    closing.returned();
}

#[test]
fn a_server_that_is_closed_for_a_violation_is_not_awaited_indefinitely() {
    let listener = listen();
    let websocket = websocket::Config::new().close_timeout(Duration::from_millis(50));
    let builder = Client::builder(&listener.url).reconnect(never()).websocket(websocket);
    let connecting = call(move || builder.connect().unwrap());
    let peer = listener.accept();
    let (client, _updates) = connecting.returned();
    // It reads neither the Close frame nor to the end.
    peer.write_raw(&[0x83, 0]);
    let closed = call(move || client.closed()).returned();
    assert_eq!(closed, CloseCause::Lost(DisconnectReason::Violation { code: 1002 }));
    drop(peer);
}

#[test]
fn an_upgrade_that_is_not_answered_ends_with_its_deadline() {
    let listener = listen();
    let config = ClientConfig::new().upgrade_timeout(Duration::from_millis(50)).reconnect(never());
    let (client, _updates) = Client::builder(&listener.url).session(config).start().unwrap();
    let silent = listener.accept_tcp();
    assert_eq!(call(move || client.closed()).returned(), CloseCause::Lost(DisconnectReason::UpgradeTimeout));
    drop(silent);
}

#[test]
fn an_answer_that_is_no_upgrade_is_reported_as_what_it_is() {
    for (answer, expected) in [
        (&b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"[..], DisconnectReason::BadUpgrade),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", DisconnectReason::BadUpgrade),
        (b"", DisconnectReason::Eof),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", DisconnectReason::Refused { status: 404, retry_after: None }),
    ] {
        let listener = listen();
        let builder = Client::builder(&listener.url).reconnect(never());
        let connecting = call(move || builder.connect());
        let mut stream = listener.accept_tcp();
        soon(stream.read(&mut [0; 4096])).unwrap();
        write_raw(&stream, answer);
        drop(stream);
        let Err(BuildError::Connect(ConnectError::Disconnected(last))) = connecting.returned() else { panic!("connected") };
        assert_eq!(last.reason(), expected, "{}", answer.escape_ascii());
    }
}

#[test]
fn an_extension_that_was_not_offered_is_refused() {
    let listener = listen();
    let builder = Client::builder(&listener.url).reconnect(never());
    let connecting = call(move || builder.connect());
    let mut stream = listener.accept_tcp();
    let mut head = [0; 4096];
    let length = soon(stream.read(&mut head)).unwrap();
    let head = std::str::from_utf8(&head[..length]).unwrap();
    let key = head.split_once("Sec-WebSocket-Key: ").unwrap().1.split_once("\r\n").unwrap().0;
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    );
    write_raw(&stream, answer.as_bytes());
    let Err(BuildError::Connect(ConnectError::Disconnected(last))) = connecting.returned() else { panic!("open") };
    assert_eq!(last.reason(), DisconnectReason::BadUpgrade);
    let detail = format!("{last:#}");
    assert!(detail.contains("extension"), "{detail}");
}

#[test]
fn a_server_that_asks_for_time_is_given_it() {
    let listener = listen();
    let (client, _updates) = Client::builder(&listener.url).reconnect(at_once()).start().unwrap();
    listener.reject(Rejection::unavailable(Duration::from_secs(600)));
    wait_until(|| client.state() == ClientState::Backoff);
    let status = client.status();
    assert_eq!(
        status.last_disconnect.map(|last| last.reason()),
        Some(DisconnectReason::Refused { status: 503, retry_after: Some(Duration::from_secs(600)) })
    );
    assert!(status.next_attempt_in.unwrap() > Duration::from_secs(500));
}

/// A whole text message, as a server sends it.
fn text_frame(payload: &[u8]) -> Vec<u8> {
    fragment(0x81, payload)
}

fn fragment(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ 0..126), _) => frame.push(length),
        (_, Ok(length)) => {
            frame.push(126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}
