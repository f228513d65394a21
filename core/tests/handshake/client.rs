//! The client's side: RFC 6455 section 4.1.

use core::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::handshake::{
    Answer, ClientHandshake, ClientPhase, ClientRequest, DeflateError, DeflateOffer, HandshakeLimits, HeadError,
    InvalidRequest, MAX_INTERIM_RESPONSES, Response, ResponseError, Upgraded,
};

use crate::support::{NOW, SEED, cuts, dial, sent_by_client};

fn request() -> ClientRequest {
    ClientRequest {
        subprotocols: vec!["a".into(), "b".into()],
        deflate: Some(DeflateOffer::default()),
        ..ClientRequest::new("gateway:3001", "/ws")
    }
}

fn client() -> ClientHandshake {
    ClientHandshake::new(NOW, request(), HandshakeLimits::default(), SEED).unwrap()
}

/// A client that has sent its request.
fn awaiting() -> ClientHandshake {
    let mut client = client();
    client.transmitted(NOW, sent_by_client(&client).len());
    client
}

fn header(bytes: &[u8], name: &str) -> String {
    let text = core::str::from_utf8(bytes).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap().to_owned()
}

/// The 101 response to the key from the seed.
fn good() -> String {
    let key = header(&sent_by_client(&client()), "Sec-WebSocket-Key");
    let digest = sha1_smol::Sha1::from(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")).digest();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        data_encoding::BASE64.encode(&digest.bytes())
    )
}

fn edited(from: &str, to: &str) -> String {
    assert!(good().contains(from), "{from}");
    good().replacen(from, to, 1)
}

fn with(lines: &str) -> String {
    edited("\r\n\r\n", &format!("\r\n{lines}\r\n"))
}

#[track_caller]
fn upgraded(response: &str) -> Upgraded {
    let mut last = None;
    for tail in ["", "\u{81}{}", "HTTP/1.1 101 x\r\n\r\n"] {
        let bytes = format!("{response}{tail}");
        for pieces in cuts(bytes.as_bytes()) {
            let (answer, left) = dial(request(), &pieces);
            let Some(Ok(Answer::Upgraded(upgraded))) = answer else { panic!("{answer:?} for {response:?}") };
            assert_eq!(left, tail.as_bytes(), "{response:?}");
            last = Some(upgraded);
        }
    }
    last.unwrap()
}

#[track_caller]
fn failed(response: &str, error: ResponseError) {
    for tail in ["", "\u{81}{}"] {
        let bytes = format!("{response}{tail}");
        for pieces in cuts(bytes.as_bytes()) {
            assert_eq!(dial(request(), &pieces).0, Some(Err(error)), "{response:?}");
        }
    }
}

#[track_caller]
fn refused(response: &str, tail: &str) -> Response {
    let mut last = None;
    let bytes = format!("{response}{tail}");
    for pieces in cuts(bytes.as_bytes()) {
        let (answer, left) = dial(request(), &pieces);
        let Some(Ok(Answer::Refused(refusal))) = answer else { panic!("{answer:?} for {response:?}") };
        assert_eq!(left, tail.as_bytes(), "{response:?}");
        assert!(last.is_none_or(|last| last == refusal), "{response:?}");
        last = Some(refusal);
    }
    last.unwrap()
}

#[test]
fn rfc_6455_section_4_1_the_request_has_what_the_list_asks_for() {
    let mut request = ClientRequest { origin: Some("https://example.com".into()), ..request() };
    request.append_query("apiKey", "a b");
    request.headers.append("X-API-Key", "k").unwrap();
    let client = ClientHandshake::new(NOW, request, HandshakeLimits::default(), SEED).unwrap();
    let bytes = sent_by_client(&client);
    let key = header(&bytes, "Sec-WebSocket-Key");
    assert_eq!(
        core::str::from_utf8(&bytes),
        Ok(format!(
            "GET /ws?apiKey=a%20b HTTP/1.1\r\nHost: gateway:3001\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nOrigin: https://example.com\r\n\
             Sec-WebSocket-Protocol: a, b\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nX-API-Key: k\r\n\r\n"
        )
        .as_str())
    );
    assert_eq!(data_encoding::BASE64.decode(key.as_bytes()).unwrap().len(), 16);
}

#[test]
fn rfc_6455_section_4_1_item_7_each_handshake_draws_its_own_key() {
    let key = |seed| {
        let client = ClientHandshake::new(NOW, request(), HandshakeLimits::default(), seed).unwrap();
        header(&sent_by_client(&client), "Sec-WebSocket-Key")
    };
    assert_eq!(key(SEED), key(SEED));
    assert_ne!(key(SEED), key([8; 32]));
}

#[test]
fn the_request_can_leave_in_pieces_of_any_size() {
    let whole = sent_by_client(&client());
    for size in 1..=whole.len() + 1 {
        let mut client = client();
        let mut seen = Vec::new();
        loop {
            let bytes = sent_by_client(&client);
            if bytes.is_empty() {
                break;
            }
            let count = size.min(bytes.len());
            seen.extend_from_slice(&bytes[..count]);
            client.transmitted(NOW, count);
        }
        assert_eq!(seen, whole);
    }
    assert_eq!(client().poll_transmit(&mut []), 0);
}

#[test]
fn rfc_6455_section_4_1_a_valid_101_is_taken_and_nothing_after_it() {
    assert_eq!(upgraded(&good()).subprotocol, None);
    upgraded(&edited("Upgrade: websocket", "upgrade:WebSocket "));
    upgraded(&edited("Connection: Upgrade", "Connection: keep-alive, upgrade"));
    upgraded(&edited(" Switching Protocols", ""));
    upgraded(&edited("Switching Protocols", "caf\u{e9}"));
    upgraded(&with("Content-Length: 0\r\n"));
    let features = upgraded(&with("X-MultiWA-Features: subscription-sets\r\n"));
    assert_eq!(features.headers.get_str("x-multiwa-features"), Some("subscription-sets"));
    assert_eq!(features.negotiated.deflate, None);
    assert_eq!(upgraded(&with("Sec-WebSocket-Protocol: b\r\n")).subprotocol.as_deref(), Some("b"));
    let deflate = upgraded(&with("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=9\r\n"));
    assert_eq!(deflate.negotiated.deflate.map(|deflate| deflate.client_max_window_bits), Some(9));
}

#[test]
fn rfc_6455_section_4_1_item_2_the_101_must_upgrade_to_websocket() {
    for upgrade in
        ["", "Upgrade: h2c\r\n", "Upgrade: websocket, h2c\r\n", "Upgrade: websocket\r\nUpgrade: websocket\r\n"]
    {
        failed(&edited("Upgrade: websocket\r\n", upgrade), ResponseError::Upgrade);
    }
}

#[test]
fn rfc_6455_section_4_1_item_3_the_101_must_say_so_in_connection() {
    for connection in ["", "Connection: close\r\n", "Connection: Upgraded\r\n"] {
        failed(&edited("Connection: Upgrade\r\n", connection), ResponseError::Connection);
    }
}

#[test]
fn rfc_6455_section_4_1_item_4_the_101_must_answer_our_key() {
    let line = format!("Sec-WebSocket-Accept: {}\r\n", header(good().as_bytes(), "Sec-WebSocket-Accept"));
    let other = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    for accept in ["", "Sec-WebSocket-Accept:\r\n", other, &line.repeat(2), &line.to_lowercase()] {
        failed(&edited(&line, accept), ResponseError::Accept);
    }
}

#[test]
fn rfc_6455_section_4_1_item_5_the_101_uses_only_offered_extensions() {
    let extensions = |value: &str| with(&format!("Sec-WebSocket-Extensions: {value}\r\n"));
    failed(&extensions("x"), ResponseError::UnofferedExtension);
    failed(&extensions("permessage-deflate, x"), ResponseError::UnofferedExtension);
    failed(&extensions("permessage-deflate, permessage-deflate"), ResponseError::UnofferedExtension);
    failed(&extensions(""), ResponseError::Extensions);
    failed(&extensions("permessage-deflate;"), ResponseError::Extensions);
    failed(&extensions("permessage-deflate; x"), DeflateError::UnknownParameter.into());
    failed(&extensions("permessage-deflate; server_max_window_bits=16"), DeflateError::InvalidValue.into());
    let twice = "Sec-WebSocket-Extensions: permessage-deflate\r\n".repeat(2);
    failed(&with(&twice), ResponseError::Extensions);

    let bare = ClientRequest { deflate: None, ..request() };
    let (answer, _) = dial(bare, &[extensions("permessage-deflate").as_bytes()]);
    assert_eq!(answer, Some(Err(ResponseError::UnofferedExtension)));
}

#[test]
fn rfc_6455_section_4_1_item_6_the_101_chooses_at_most_one_offered_subprotocol() {
    for lines in ["x", "A", "", "a, b", "a\r\nSec-WebSocket-Protocol: a"] {
        failed(&with(&format!("Sec-WebSocket-Protocol: {lines}\r\n")), ResponseError::Subprotocol);
    }
}

#[test]
fn rfc_9110_section_15_2_interim_responses_are_skipped_up_to_a_limit() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    upgraded(&format!("{interim}{}", good()));
    assert_eq!(refused(&format!("{interim}HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n"), "").status, 404);
    let continues = |count| "HTTP/1.1 100 Continue\r\n\r\n".repeat(count);
    upgraded(&format!("{}{}", continues(MAX_INTERIM_RESPONSES), good()));
    failed(&format!("{}{}", continues(MAX_INTERIM_RESPONSES + 1), good()), ResponseError::TooManyInterim);
}

#[test]
fn rfc_9112_section_4_what_is_no_response_fails_at_once() {
    for bytes in ["\x15\x03\x01\x00\x02", "SSH-2.0-x\r\n", "0{\"sid\":1}", "HTTP/2 200\r\n", "\r\nHTTP/1.1", "http/1.1"]
    {
        failed(bytes, ResponseError::NotHttp);
    }
    failed("HTTP/1.2 101 x\r\n\r\n", ResponseError::Head(HeadError::Version));
    failed("HTTP/1.1 1x1 x\r\n\r\n", ResponseError::Head(HeadError::StartLine));
    failed("HTTP/1.1 101 x\n", ResponseError::Head(HeadError::BareLineFeed));
    failed(&with("a : b\r\n"), ResponseError::Head(HeadError::FieldName));
    failed(&with("a: b\0\r\n"), ResponseError::Head(HeadError::FieldValue));
    failed(&edited("HTTP/1.1", "HTTP/1.0"), ResponseError::Http10);
}

#[test]
fn rfc_6455_section_4_2_2_any_other_status_is_a_refusal_with_its_text() {
    let body = "{\"error\":\"A valid API key is required\"}";
    let response =
        format!("HTTP/1.1 401 Unauthorized\r\nRetry-After: 7\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let refusal = refused(&response, "tail");
    assert_eq!((refusal.status, refusal.text().as_ref(), refusal.complete), (401, body, true));
    assert_eq!(refusal.retry_after(), Some(Duration::from_secs(7)));

    let chunked = "HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n";
    let refusal = refused(chunked, "tail");
    assert_eq!((refusal.text().as_ref(), refusal.complete), ("hello world", true));
    assert_eq!(refused("HTTP/1.1 204 No Content\r\n\r\n", "tail").body, b"");
    assert_eq!(refused("HTTP/1.0 404 x\r\nContent-Length: 0\r\n\r\n", "").status, 404);
    assert_eq!(refused("HTTP/1.1 999 x\r\nContent-Length: 0\r\n\r\n", "").status, 999);
    failed("HTTP/1.1 401 x\r\nContent-Length: +1\r\n\r\n", ResponseError::ContentLength);
}

#[test]
fn a_refusal_without_a_length_ends_with_the_stream() {
    for (framing, complete) in [("", true), ("Content-Length: 9\r\n", false), ("Transfer-Encoding: chunked\r\n", false)]
    {
        let body = if framing.starts_with('T') { "9\r\nwhy" } else { "why" };
        let mut bytes = format!("HTTP/1.1 403 Forbidden\r\n{framing}\r\n{body}").into_bytes();
        let mut client = awaiting();
        assert_eq!(client.handle_input(NOW, &mut bytes.as_mut_slice()), Ok(None));
        let Ok(Some(Answer::Refused(refusal))) = client.handle_eof(NOW) else { panic!("{framing}") };
        assert_eq!((refusal.text().as_ref(), refusal.complete), ("why", complete), "{framing}");
        assert_eq!((client.state(), client.handle_eof(NOW)), (ClientPhase::Refused, Ok(None)));
    }
}

#[test]
fn a_refusal_whose_text_does_not_end_is_reported_at_the_deadline() {
    let mut client = awaiting();
    let mut bytes = *b"HTTP/1.1 503 x\r\nContent-Length: 9\r\n\r\nbusy";
    assert_eq!(client.handle_input(NOW, &mut &mut bytes[..]), Ok(None));
    let deadline = client.poll_timeout().unwrap();
    let Ok(Some(Answer::Refused(refusal))) = client.handle_timeout(deadline) else { panic!() };
    assert_eq!((refusal.text().as_ref(), refusal.complete), ("busy", false));
    assert_eq!(client.poll_timeout(), None);
}

#[test]
fn the_stream_can_end_at_any_byte() {
    let response = good();
    for end in 0..response.len() {
        let mut client = awaiting();
        let mut bytes = response.as_bytes()[..end].to_vec();
        assert_eq!(client.handle_input(NOW, &mut bytes.as_mut_slice()), Ok(None));
        let expected = if end == 0 { ResponseError::NoAnswer } else { ResponseError::Truncated };
        assert_eq!(client.handle_eof(NOW), Err(expected), "{end}");
        assert_eq!((client.state(), client.poll_timeout()), (ClientPhase::Failed, None));
        assert_eq!(client.handle_input(NOW, &mut response.clone().into_bytes().as_mut_slice()), Err(expected));
        assert_eq!(client.handle_timeout(NOW), Err(expected));
    }
}

#[test]
fn only_an_answer_in_pieces_is_held_in_memory() {
    let mut whole = awaiting();
    assert!(whole.handle_input(NOW, &mut good().into_bytes().as_mut_slice()).is_ok());
    assert_eq!(whole.buffered_bytes(), 0);
    let mut cut = awaiting();
    assert_eq!(cut.handle_input(NOW, &mut good().into_bytes()[..40].as_mut()), Ok(None));
    assert!((40..=80).contains(&cut.buffered_bytes()), "{}", cut.buffered_bytes());
}

#[test]
fn an_answer_that_does_not_arrive_in_time_is_given_up() {
    let mut client = client();
    let deadline = NOW + Duration::from_secs(10);
    assert_eq!(client.poll_timeout(), Some(deadline));
    assert_eq!(client.handle_timeout(Instant::from_nanos(9_999_999_999)), Ok(None));
    assert_eq!(client.handle_timeout(deadline), Err(ResponseError::TimedOut));
    assert_eq!(client.poll_timeout(), None);
    assert!(sent_by_client(&client).is_empty());
}

#[test]
fn only_a_refusal_can_come_before_the_whole_request_is_out() {
    let mut early = client();
    early.transmitted(NOW, sent_by_client(&early).len() - 1);
    let answer = early.handle_input(NOW, &mut good().into_bytes().as_mut_slice());
    assert_eq!(answer, Err(ResponseError::Premature));

    let mut bytes = *b"HTTP/1.1 431 x\r\nContent-Length: 0\r\n\r\n";
    let answer = client().handle_input(NOW, &mut &mut bytes[..]);
    assert!(matches!(answer, Ok(Some(Answer::Refused(_)))));
}

#[test]
fn what_cannot_be_sent_is_refused_to_the_caller() {
    let new = |request| ClientHandshake::new(NOW, request, HandshakeLimits::default(), SEED).map(drop);
    for host in ["", "a b", "a/b", "a\r\nb", "u@a", "é"] {
        assert_eq!(new(ClientRequest::new(host, "/ws")), Err(InvalidRequest::Host), "{host:?}");
    }
    for target in ["", "ws", "/a b", "/a\r\nX: y", "/a#b", "/é", "http://h/"] {
        assert_eq!(new(ClientRequest::new("h", target)), Err(InvalidRequest::Target), "{target:?}");
    }
    for origin in ["", "a\r\nb", "a b"] {
        let request = ClientRequest { origin: Some(origin.into()), ..request() };
        assert_eq!(new(request), Err(InvalidRequest::Origin), "{origin:?}");
    }
    for subprotocol in ["", "a b", "a,b", "a\r\nb", "é"] {
        let request = ClientRequest { subprotocols: vec![subprotocol.into()], ..request() };
        assert_eq!(new(request), Err(InvalidRequest::Subprotocol), "{subprotocol:?}");
    }
    let twice = ClientRequest { subprotocols: vec!["a".into(), "b".into(), "a".into()], ..request() };
    assert_eq!(new(twice), Err(InvalidRequest::RepeatedSubprotocol));
    for name in ["host", "Sec-WebSocket-Key", "Content-Length", "Transfer-Encoding", "Origin"] {
        let mut request = request();
        request.headers.append(name, "x").unwrap();
        assert_eq!(new(request), Err(InvalidRequest::ReservedHeader(name.into())));
    }
    let offer = DeflateOffer::new().server_max_window_bits(16);
    assert_eq!(new(ClientRequest { deflate: Some(offer), ..request() }), Err(InvalidRequest::WindowBits));
}

#[test]
fn the_key_is_never_shown() {
    let mut request = request();
    request.append_query("apiKey", "s3cret");
    request.headers.append("X-API-Key", "s3cret").unwrap();
    let shown = format!("{request:?}");
    assert!(shown.contains("/ws?[redacted]") && !shown.contains("s3cret"), "{shown}");
    let client = ClientHandshake::new(NOW, request, HandshakeLimits::default(), SEED).unwrap();
    assert!(!format!("{client:?}").contains("s3cret"));
    assert!(!format!("{client:?}").contains("115, 51"));
}
