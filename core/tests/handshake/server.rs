//! The server's side: RFC 6455 section 4.2.

use core::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::handshake::{
    Acceptance, ApiKey, DecisionError, DeflateConfig, HandshakeLimits, HeadError, Headers, Rejection, RequestError,
    ServerHandshake, ServerPhase,
};

use crate::support::{NOW, cuts, sent_by_server, serve};

const GOOD: &str = "GET /ws HTTP/1.1\r\nHost: gateway:3001\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn limits() -> HandshakeLimits {
    HandshakeLimits::default()
}

fn seconds(seconds: u64) -> Instant {
    NOW + Duration::from_secs(seconds)
}

/// `GOOD` with `from` replaced by `to`.
fn edited(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1)
}

/// `GOOD` with additional header lines.
fn with(lines: &str) -> String {
    edited("\r\n\r\n", &format!("\r\n{lines}\r\n"))
}

/// A server that has read `GOOD`.
fn deciding() -> ServerHandshake {
    let (outcome, _, server) = serve(&[GOOD.as_bytes()], limits());
    assert!(matches!(outcome, Some(Ok(_))));
    server
}

#[track_caller]
fn accepted(request: &str) {
    for tail in ["", "\u{81}....", "GET / HTTP/1.1\r\n\r\n"] {
        let bytes = format!("{request}{tail}");
        for pieces in cuts(bytes.as_bytes()) {
            let (outcome, left, server) = serve(&pieces, limits());
            assert!(matches!(outcome, Some(Ok(_))), "{outcome:?} for {request:?}");
            assert_eq!(left, tail.as_bytes(), "{request:?}");
            assert_eq!(server.state(), ServerPhase::Deciding);
            assert_eq!(server.buffered_bytes(), 0);
        }
    }
}

#[track_caller]
fn refused(request: &str, error: RequestError, status: &str) {
    for tail in ["", "\u{81}....", GOOD] {
        let bytes = format!("{request}{tail}");
        for pieces in cuts(bytes.as_bytes()) {
            let (outcome, left, server) = serve(&pieces, limits());
            assert_eq!(outcome, Some(Err(error)), "{request:?}");
            assert_eq!((server.error(), server.state()), (Some(error), ServerPhase::Rejecting));
            let response = sent_by_server(&server);
            assert!(response.starts_with(&format!("HTTP/1.1 {status}\r\nConnection: close")), "{response}");
            // Bytes of the same read are not parsed. `serve` stops after the outcome.
            if let [_] = pieces[..] {
                assert!(left.is_empty(), "{request:?}");
            }
        }
    }
}

#[test]
fn rfc_6455_section_4_2_2_the_example_is_answered() {
    let mut server = deciding();
    let mut headers = Headers::new();
    headers.append("X-MultiWA-Features", "subscription-sets").unwrap();
    server.accept(NOW, &Acceptance::new().headers(headers)).unwrap();
    assert_eq!(
        sent_by_server(&server),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-MultiWA-Features: subscription-sets\r\n\r\n"
    );
}

#[test]
fn rfc_6455_section_4_2_1_a_valid_request_is_taken_and_nothing_after_it() {
    accepted(GOOD);
    accepted(&edited("/ws", "http://gateway:3001/ws?apiKey=k"));
    accepted(&edited("Host: gateway:3001", "hOST:\tgateway:3001 "));
    accepted(&edited("Host: gateway:3001", "Host: [::1]:3001"));
    accepted(&edited("Upgrade: websocket", "Upgrade: h2c, WebSocket"));
    accepted(&edited("Connection: Upgrade", "Connection: keep-alive, , uPGRADE"));
    accepted(&edited("Connection: Upgrade", "Connection: keep-alive\r\nConnection: upgrade"));
    accepted(&with("Origin: https://example.com\r\n"));
    accepted(&with("Origin: null\r\n"));
    accepted(&with("Content-Length: 0\r\n"));
    accepted(&with("Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Protocol: c\r\n"));
    accepted(&with("Sec-WebSocket-Extensions: a; b=\"c\", permessage-deflate\r\n"));
    accepted(&with("X-Text: caf\u{e9}\r\nX-Empty:\r\n"));
}

#[test]
fn rfc_6455_section_4_2_1_item_1_the_method_and_the_version_are_get_and_http_1_1() {
    for method in ["POST", "HEAD", "PUT", "PRI", "get", "GETS", "G"] {
        refused(&edited("GET", method), RequestError::Method, "405 Method Not Allowed");
    }
    refused(&edited("HTTP/1.1", "HTTP/1.0"), RequestError::Http10, "426 Upgrade Required");
    let (start_line, version) = (RequestError::Head(HeadError::StartLine), RequestError::Head(HeadError::Version));
    for other in ["HTTP/2.0", "HTTP/1.2", "http/1.1", "HTTP/11", "x HTTP/1.1"] {
        refused(&edited("HTTP/1.1", other), version, "505 HTTP Version Not Supported");
    }
    for (from, to) in [("HTTP/1.1", "HTTP/1.11"), ("GET /ws", "GET  /ws"), ("/ws ", "")] {
        refused(&edited(from, to), start_line, "400 Bad Request");
    }
    for target in ["*", "ws", "gateway:3001", "/a#b", "ftp://gateway/ws", "http://a@b/ws", "/\u{e9}"] {
        refused(&edited("/ws", target), RequestError::Target, "400 Bad Request");
    }
}

#[test]
fn rfc_6455_section_4_2_1_item_2_there_is_exactly_one_host() {
    for host in
        ["", "Host:\r\n", "Host: a\r\nHost: a\r\n", "Host: a/b\r\n", "Host: a b\r\n", "Host: a, b\r\n", "Host: u@a\r\n"]
    {
        refused(&edited("Host: gateway:3001\r\n", host), RequestError::Host, "400 Bad Request");
    }
}

#[test]
fn rfc_6455_section_4_2_1_items_3_and_4_an_upgrade_to_websocket_is_asked_for() {
    for upgrade in ["", "Upgrade:\r\n", "Upgrade: h2c\r\n", "Upgrade: websocket/13\r\n", "Upgrade: web socket\r\n"] {
        refused(&edited("Upgrade: websocket\r\n", upgrade), RequestError::NotAnUpgrade, "426 Upgrade Required");
    }
    for connection in ["", "Connection: keep-alive\r\n", "Connection: \"Upgrade\"\r\n", "Connection: Upgrade;x\r\n"] {
        refused(&edited("Connection: Upgrade\r\n", connection), RequestError::NotAnUpgrade, "426 Upgrade Required");
    }
    refused(&with("Upgrade: websocket\r\n"), RequestError::RepeatedUpgrade, "400 Bad Request");
}

#[test]
fn rfc_6455_section_4_2_1_item_5_the_key_is_sixteen_bytes_in_base64() {
    for key in ["", "Sec-WebSocket-Key:\r\n", &KEY.repeat(2), "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n"] {
        refused(&edited(KEY, key), RequestError::Key, "400 Bad Request");
    }
    for bytes in [0, 1, 15, 17, 18, 32] {
        let key = data_encoding::BASE64.encode(&vec![1; bytes]);
        let request = edited(KEY, &format!("Sec-WebSocket-Key: {key}\r\n"));
        refused(&request, RequestError::Key, "400 Bad Request");
    }
}

#[test]
fn rfc_6455_section_4_4_another_version_is_answered_with_the_one_we_speak() {
    for version in
        ["", "Sec-WebSocket-Version: 8\r\n", "Sec-WebSocket-Version: 013\r\n", "Sec-WebSocket-Version: 13, 8\r\n"]
    {
        let request = edited("Sec-WebSocket-Version: 13\r\n", version);
        refused(&request, RequestError::Version, "426 Upgrade Required");
        let (_, _, server) = serve(&[request.as_bytes()], limits());
        let response = sent_by_server(&server);
        for header in ["Connection: close, Upgrade\r\n", "Upgrade: websocket\r\n", "Sec-WebSocket-Version: 13\r\n"] {
            assert!(response.contains(header), "{response}");
        }
    }
    refused(&with("Sec-WebSocket-Version: 13\r\n"), RequestError::RepeatedVersion, "400 Bad Request");
}

#[test]
fn rfc_6455_section_4_2_1_item_7_there_is_at_most_one_origin() {
    for origin in ["Origin: a\r\nOrigin: a\r\n", "Origin:\r\n", "Origin: a b\r\n", "Origin: \u{e9}\r\n"] {
        refused(&with(origin), RequestError::Origin, "400 Bad Request");
    }
}

#[test]
fn rfc_6455_section_4_1_item_10_offered_subprotocols_are_distinct_tokens() {
    for value in ["", ", ,", "a b", "a, a", "a/b", "\"a\"", "a, \u{e9}"] {
        let request = with(&format!("Sec-WebSocket-Protocol: {value}\r\n"));
        refused(&request, RequestError::Subprotocols, "400 Bad Request");
    }
    let twice = with("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a\r\n");
    refused(&twice, RequestError::Subprotocols, "400 Bad Request");
}

#[test]
fn rfc_6455_section_9_1_malformed_extensions_fail_the_handshake() {
    for value in ["", ",", "a;", "a b", "a;b=\"c d\"", "permessage-deflate, ;"] {
        let request = with(&format!("Sec-WebSocket-Extensions: {value}\r\n"));
        refused(&request, RequestError::Extensions, "400 Bad Request");
    }
}

#[test]
fn rfc_7692_section_5_offers_in_several_headers_are_tried_in_order() {
    let request = with(
        "Sec-WebSocket-Extensions: x, permessage-deflate; server_max_window_bits=7\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=10, permessage-deflate\r\n",
    );
    let (_, _, mut server) = serve(&[request.as_bytes()], limits());
    server.accept(NOW, &Acceptance::new().deflate(DeflateConfig::default())).unwrap();
    let accepted = server.poll_accepted().unwrap();
    let deflate = accepted.upgraded.negotiated.deflate.unwrap();
    assert_eq!((deflate.client_max_window_bits, deflate.server_max_window_bits), (10, 15));
    let answer = accepted.upgraded.headers.get_str("Sec-WebSocket-Extensions");
    assert_eq!(answer, Some("permessage-deflate; client_max_window_bits=10"));
}

#[test]
fn rfc_9112_section_3_what_is_no_http_is_refused_at_its_first_byte() {
    for bytes in ["\x16\x03\x01\x02\x00", "\0", "\r\n", "\u{feff}GET"] {
        refused(bytes, RequestError::NotHttp, "400 Bad Request");
    }
}

#[test]
fn a_refused_request_gets_a_framed_json_text() {
    let (_, _, server) = serve(&[b"POST /ws HTTP/1.1\r\n"], limits());
    assert_eq!(
        sent_by_server(&server),
        "HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\nContent-Length: 69\r\n\
         Content-Type: application/json\r\nAllow: GET\r\n\r\n\
         {\"error\":\"the request method is not GET\",\"code\":\"method_not_allowed\"}"
    );
}

#[test]
fn an_accepted_connection_is_handed_over_with_what_was_not_sent() {
    let whole = {
        let mut server = deciding();
        server.accept(NOW, &Acceptance::default()).unwrap();
        sent_by_server(&server).into_bytes()
    };
    for sent in 0..=whole.len() {
        let mut server = deciding();
        assert!(server.poll_accepted().is_none());
        server.accept(NOW, &Acceptance::default()).unwrap();
        server.transmitted(NOW, sent);
        let expected = if sent == whole.len() { ServerPhase::Accepted } else { ServerPhase::Accepting };
        assert_eq!(server.state(), expected);
        assert_eq!(server.poll_timeout().is_some(), sent < whole.len());
        let accepted = server.poll_accepted().unwrap();
        assert_eq!(accepted.unsent, &whole[sent..]);
        assert_eq!(accepted.request.path(), "/ws");
        assert_eq!((server.state(), server.poll_accepted()), (ServerPhase::Upgraded, None));
        assert_eq!(sent_by_server(&server), "");
        assert_eq!(server.poll_timeout(), None);
    }
}

#[test]
fn a_decision_is_taken_once_and_in_time() {
    let mut early = ServerHandshake::new(NOW, limits());
    assert_eq!(early.accept(NOW, &Acceptance::default()), Err(DecisionError::TooEarly));
    assert_eq!(early.reject(NOW, &Rejection::not_found()), Err(DecisionError::TooEarly));

    let mut accepted = deciding();
    accepted.accept(NOW, &Acceptance::default()).unwrap();
    assert_eq!(accepted.reject(NOW, &Rejection::not_found()), Err(DecisionError::AlreadyDecided));
    let _ = accepted.poll_accepted();
    assert_eq!(accepted.accept(NOW, &Acceptance::default()), Err(DecisionError::AlreadyDecided));

    let mut rejected = deciding();
    rejected.reject(NOW, &Rejection::not_found()).unwrap();
    assert_eq!(rejected.accept(NOW, &Acceptance::default()), Err(DecisionError::AlreadyDecided));

    let (_, _, mut faulty) = serve(&[b"POST"], limits());
    assert_eq!(faulty.accept(NOW, &Acceptance::default()), Err(DecisionError::Over));

    let mut left = deciding();
    assert_eq!(left.handle_eof(NOW), Err(RequestError::ClientLeft));
    assert_eq!(left.accept(NOW, &Acceptance::default()), Err(DecisionError::Over));
    assert!(left.is_closed());
}

#[test]
fn a_refused_decision_changes_nothing() {
    let mut server = deciding();
    let unoffered = Acceptance::new().subprotocol("chat".to_owned());
    assert_eq!(server.accept(NOW, &unoffered), Err(DecisionError::SubprotocolNotOffered));
    assert_eq!(server.reject(NOW, &Rejection::json(200, "ok", "ok")), Err(DecisionError::Status));
    assert_eq!((server.state(), sent_by_server(&server).as_str()), (ServerPhase::Deciding, ""));
    assert_eq!(server.accept(NOW, &Acceptance::default()), Ok(()));
}

#[test]
fn a_refusal_is_sent_then_shut_down_then_drained() {
    let mut server = deciding();
    server.reject(NOW, &Rejection::unauthorized()).unwrap();
    let response = sent_by_server(&server);
    assert!(response.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{response}");
    assert!(response.contains("\r\nWWW-Authenticate: Bearer\r\n"), "{response}");
    for _ in 1..response.len() {
        server.transmitted(NOW, 1);
        assert!(!server.poll_shutdown());
    }
    server.shutdown_done();
    assert_eq!(server.state(), ServerPhase::Rejecting);
    server.transmitted(NOW, 1);
    assert!(server.poll_shutdown() && !server.is_closed());
    server.shutdown_done();
    assert!(!server.poll_shutdown() && !server.is_closed());
    let mut bytes = *b"more";
    let mut input = &mut bytes[..];
    assert_eq!(server.handle_input(NOW, &mut input), Ok(None));
    assert!(input.is_empty());
    assert_eq!(server.handle_eof(NOW), Ok(()));
    assert!(server.is_closed());
}

#[test]
fn a_client_that_only_half_closed_reads_why_it_was_refused() {
    let mut server = deciding();
    server.reject(NOW, &Rejection::not_found()).unwrap();
    assert_eq!(server.handle_eof(NOW), Ok(()));
    server.transmitted(NOW, usize::MAX);
    assert!(server.poll_shutdown());
    server.shutdown_done();
    assert!(server.is_closed());
}

#[test]
fn the_stream_can_end_at_any_byte() {
    for end in 0..GOOD.len() {
        let (_, _, mut server) = serve(&[&GOOD.as_bytes()[..end]], limits());
        let expected = if end == 0 { RequestError::NoRequest } else { RequestError::Truncated };
        assert_eq!(server.handle_eof(NOW), Err(expected), "{end}");
        assert!(server.is_closed());
        assert_eq!((sent_by_server(&server).as_str(), server.poll_timeout()), ("", None));
        assert_eq!(server.handle_eof(NOW), Err(expected));
    }
}

#[test]
fn a_request_that_does_not_arrive_in_time_is_refused_then_dropped() {
    let (_, _, mut server) = serve(&[b"GET /"], limits());
    assert_eq!(server.poll_timeout(), Some(seconds(10)));
    assert_eq!(server.handle_timeout(Instant::from_nanos(9_999_999_999)), Ok(()));
    assert_eq!(server.state(), ServerPhase::AwaitingRequest);
    assert_eq!(server.handle_timeout(seconds(10)), Err(RequestError::TimedOut));
    assert!(sent_by_server(&server).starts_with("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"));
    assert_eq!(server.poll_timeout(), Some(seconds(20)));
    assert_eq!(server.handle_timeout(seconds(20)), Err(RequestError::TimedOut));
    assert!(server.is_closed());
    assert_eq!(sent_by_server(&server), "");
}

#[test]
fn the_callers_own_time_is_not_counted_against_the_client() {
    let mut server = deciding();
    assert_eq!(server.poll_timeout(), None);
    assert_eq!(server.handle_timeout(seconds(1_000)), Ok(()));
    server.accept(seconds(1_000), &Acceptance::default()).unwrap();
    assert_eq!(server.poll_timeout(), Some(seconds(1_010)));
    assert_eq!(server.handle_timeout(seconds(1_010)), Err(RequestError::ClientLeft));
    assert!(server.is_closed() && server.poll_accepted().is_none());
}

#[test]
fn every_step_of_a_refusal_ends_at_its_deadline() {
    for steps in 0..3 {
        let mut server = deciding();
        server.reject(seconds(5), &Rejection::forbidden()).unwrap();
        if steps > 0 {
            server.transmitted(NOW, usize::MAX);
        }
        if steps > 1 {
            server.shutdown_done();
        }
        assert_eq!(server.poll_timeout(), Some(seconds(15)));
        assert_eq!(server.handle_timeout(seconds(14)), Ok(()));
        assert!(!server.is_closed());
        assert_eq!(server.handle_timeout(seconds(15)), Ok(()));
        assert!(server.is_closed());
    }
}

#[test]
fn protocol_transport_the_key_is_readable_but_never_shown() {
    let request = edited("/ws", "/ws?apiKey=s3cret");
    for end in [30, request.len()] {
        let (_, _, server) = serve(&[&request.as_bytes()[..end]], limits());
        assert!(!format!("{server:?}").contains("s3cret"), "{server:?}");
        // A key that is stored as bytes would appear as a list of numbers.
        assert!(!format!("{server:?}").contains("115, 51"), "{server:?}");
    }
    let (outcome, ..) = serve(&[request.as_bytes()], limits());
    assert_eq!(outcome.unwrap().unwrap().api_key(), Some(ApiKey::new("s3cret")));
}
