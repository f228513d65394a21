//! `connect` and `accept`, and what can come of them.

use std::time::Duration;

use multiwa_ws_core::handshake::{
    Acceptance, ApiKey, ClientRequest, HandshakeLimits, Rejection, RequestError, ResponseError, UpgradeRequest,
};
use multiwa_ws_core::websocket::{Compression, Negotiated, Role};
use multiwa_ws_testkit::event::OwnedEvent;
use multiwa_ws_tokio::{HandshakeError, WebSocket, WebSocketConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::time::Instant;

use super::raw;
use super::support::{connect_compressed_over, connect_over, in_memory, next, quiet, quiet_connection, tcp, within};

fn grant() -> Acceptance {
    Acceptance::default()
}

#[tokio::test(start_paused = true)]
async fn both_sides_learn_what_was_asked_for_and_what_was_agreed() {
    let (client, server) = duplex(64);
    let mut request = ClientRequest::new("server:1", "/path");
    request.append_query("apiKey", "a b");
    request.subprotocols = vec!["one".into(), "two".into()];
    let decide = |asked: &UpgradeRequest| {
        assert_eq!((asked.host(), asked.path()), ("server:1", "/path"));
        Ok(grant().subprotocol("two".to_owned()))
    };
    let options = quiet();
    let (client, server) = within(async {
        tokio::join!(WebSocket::connect(client, request, &options), WebSocket::accept(server, &options, decide))
    })
    .await;
    let ((_, learned), (_, asked, agreed)) = (client.unwrap(), server.unwrap());
    assert_eq!(asked.api_key(), Some(ApiKey::new("a b")));
    assert_eq!(learned, agreed);
    assert_eq!(agreed.subprotocol.as_deref(), Some("two"));
}

#[tokio::test]
async fn an_upgrade_over_tcp_opens_a_connection() {
    let (client, server) = tcp().await;
    let address = client.local_addr().unwrap();
    let (mut client, mut server) = connect_over((client, server), &quiet()).await;
    assert_eq!(server.get_ref().peer_addr().unwrap(), address);
    within(client.send_text("to the server")).await.unwrap();
    within(server.send_text("to the client")).await.unwrap();
    assert_eq!(next(&mut server).await, OwnedEvent::text("to the server"));
    assert_eq!(next(&mut client).await, OwnedEvent::text("to the client"));
}

#[tokio::test(start_paused = true)]
async fn the_client_reads_why_it_was_rejected() {
    let (client, server) = duplex(64);
    let options = quiet();
    let (client, server) = within(async {
        tokio::join!(
            async {
                // The stream is dropped with the error, which the server waits for.
                WebSocket::connect(client, ClientRequest::new("server", "/ws"), &options).await.map(|_| ())
            },
            WebSocket::accept(server, &options, |_| Err(Rejection::unauthorized())),
        )
    })
    .await;
    let Err(HandshakeError::Refused(refusal)) = client else { panic!("{client:?}") };
    assert_eq!((refusal.status, refusal.complete), (401, true));
    assert_eq!(refusal.body, Rejection::unauthorized().body);
    assert!(matches!(server, Err(HandshakeError::Rejected)), "{server:?}");
}

#[tokio::test]
async fn the_client_reads_over_tcp_why_it_was_rejected_though_it_sent_more_than_was_read() {
    let (mut client, server) = tcp().await;
    let options = quiet();
    let asking = async {
        // A transport that is dropped with unread input resets the connection, and the answer is lost.
        client.write_all(&[raw::REQUEST, &[0; 10_000]].concat()).await.unwrap();
        let head = raw::read_head(&mut client).await;
        let mut body = Vec::new();
        client.read_to_end(&mut body).await.unwrap();
        drop(client);
        (head, body)
    };
    let rejection = Rejection::not_found();
    let ((head, body), server) =
        within(async { tokio::join!(asking, WebSocket::accept(server, &options, |_| Err(rejection.clone()))) }).await;
    assert!(head.starts_with(b"HTTP/1.1 404 "), "{}", head.escape_ascii());
    assert_eq!(body, rejection.body);
    assert!(matches!(server, Err(HandshakeError::Rejected)), "{server:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_breaks_a_rule_gets_an_error() {
    let (mut client, server) = duplex(4096);
    let options = quiet();
    let asking = async {
        client.write_all(b"POST /ws HTTP/1.1\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        drop(client);
        answer
    };
    let (answer, server) =
        within(async { tokio::join!(asking, WebSocket::accept(server, &options, |_| Ok(grant()))) }).await;
    assert!(answer.starts_with(b"HTTP/1.1 405 "), "{}", answer.escape_ascii());
    assert!(matches!(server, Err(HandshakeError::Request(RequestError::Method))), "{server:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_speaks_no_http_is_noticed() {
    let (client, mut server) = duplex(4096);
    server.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await.unwrap();
    let result = within(WebSocket::connect(client, ClientRequest::new("server", "/ws"), &quiet())).await;
    assert!(matches!(result, Err(HandshakeError::Response(ResponseError::NotHttp))), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_up_without_an_answer_is_noticed() {
    let (client, mut server) = duplex(4096);
    server.shutdown().await.unwrap();
    let result = within(WebSocket::connect(client, ClientRequest::new("server", "/ws"), &quiet())).await;
    assert!(matches!(result, Err(HandshakeError::Response(ResponseError::NoAnswer))), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_says_nothing_is_given_up_at_the_deadline() {
    let options = quiet().handshake(HandshakeLimits::new().timeout(Duration::from_secs(3)));
    let started = Instant::now();
    let (client, _server) = duplex(4096);
    let result = within(WebSocket::connect(client, ClientRequest::new("server", "/ws"), &options)).await;
    assert!(matches!(result, Err(HandshakeError::Response(ResponseError::TimedOut))), "{result:?}");
    assert_eq!(started.elapsed().as_secs(), 3);

    let started = Instant::now();
    let (mut client, server) = duplex(4096);
    let hearing = async {
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        drop(client);
        answer
    };
    let (answer, result) =
        within(async { tokio::join!(hearing, WebSocket::accept(server, &options, |_| Ok(grant()))) }).await;
    assert!(matches!(result, Err(HandshakeError::Request(RequestError::TimedOut))), "{result:?}");
    assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", answer.escape_ascii());
    assert_eq!(started.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_accepted_upgrade_has_been_answered() {
    let (mut client, server) = duplex(4096);
    client.write_all(raw::REQUEST).await.unwrap();
    let _server = within(WebSocket::accept(server, &quiet(), |_| Ok(grant()))).await.unwrap();
    let mut head = [0; 16];
    within(client.read_exact(&mut head)).await.unwrap();
    assert_eq!(head, *b"HTTP/1.1 101 Swi");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_its_answer_is_given_up_at_the_deadline() {
    let (mut client, server) = duplex(64);
    let options = quiet();
    let accepting = WebSocket::accept(server, &options, |_| Ok(grant()));
    let (written, result) = within(async { tokio::join!(client.write_all(raw::REQUEST), accepting) }).await;
    written.unwrap();
    assert!(matches!(result, Err(HandshakeError::Request(RequestError::ClientLeft))), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn frames_in_the_same_read_as_the_101_are_delivered() {
    let (client, mut server) = duplex(4096);
    let options = quiet();
    let behind =
        [raw::frame(0x81, b"first"), raw::frame(0x81, b"second"), raw::frame(0x81, b"th")[..3].to_vec()].concat();
    let (client, ()) = within(async {
        tokio::join!(
            WebSocket::connect(client, ClientRequest::new("server", "/ws"), &options),
            raw::accept(&mut server, &behind),
        )
    })
    .await;
    let (mut client, _) = client.unwrap();
    assert_eq!(next(&mut client).await, OwnedEvent::text("first"));
    assert_eq!(next(&mut client).await, OwnedEvent::text("second"));
    server.write_all(b"h").await.unwrap();
    assert_eq!(next(&mut client).await, OwnedEvent::text("th"));
}

#[tokio::test(start_paused = true)]
async fn frames_in_the_same_read_as_the_request_are_delivered() {
    let (mut client, server) = duplex(4096);
    let options = quiet();
    let behind = [raw::masked_frame(0x81, b"first"), raw::masked_frame(0x82, b"second")].concat();
    let ((), server) = within(async {
        tokio::join!(raw::connect(&mut client, &behind), WebSocket::accept(server, &options, |_| Ok(grant())))
    })
    .await;
    let (mut server, ..) = server.unwrap();
    assert_eq!(next(&mut server).await, OwnedEvent::text("first"));
    assert_eq!(next(&mut server).await, OwnedEvent::Binary(b"second".to_vec()));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_upgraded_elsewhere_begins_with_what_was_read_behind() {
    let (stream, mut peer) = duplex(4096);
    let mut unread = raw::masked_frame(0x81, b"before");
    let last = unread.pop().unwrap();
    let config = quiet_connection();
    let mut server: WebSocket<_> =
        WebSocket::from_upgraded(stream, Role::Server, &config, &Negotiated::default(), &unread).unwrap();
    peer.write_all(&[last]).await.unwrap();
    assert_eq!(next(&mut server).await, OwnedEvent::text("before"));
}

#[tokio::test(start_paused = true)]
async fn compression_is_used_once_both_agreed_on_it() {
    let compression = Compression::new().threshold(0);
    let options = WebSocketConfig::new().connection(quiet_connection().compression(compression));
    let (plain, _server) = in_memory(1 << 16, &options).await;
    let (packed, mut server) = connect_compressed_over(duplex(1 << 16), &options).await;
    let text = "again and ".repeat(1000);
    let queued = |mut socket: WebSocket<_>| {
        socket.sender().send_text(&text).unwrap();
        (socket.sender().queued(), socket)
    };
    let ((plain, _), (packed, mut client)) = (queued(plain), queued(packed));
    assert!(packed * 10 < plain, "{packed} and {plain}");
    within(client.flush()).await.unwrap();
    assert_eq!(next(&mut server).await, OwnedEvent::Text(text.clone()));
}
