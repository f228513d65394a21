//! Attacks on the upgrade and accidents in it, by the id of their case.
//!
//! Where a case is about time, the input is so large that anything but linear work would not end: a mebibyte costs a linear
//! reader about a million steps and a quadratic one half a million million.

use core::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::handshake::{
    Acceptance, Answer, ClientHandshake, ClientRequest, DecisionError, DeflateConfig, DeflateError, DeflateOffer,
    HandshakeLimits, HeadError, Headers, InvalidHeader, InvalidRequest, MAX_INTERIM_RESPONSES, Rejection, RequestError,
    ResponseError, ServerHandshake, UpgradeRequest,
};

use support::{answered, client, evaluated, feed, response, roomy, server};

const NOW: Instant = Instant::from_nanos(0);
const MEBIBYTE: usize = 1024 * 1024;
const GOOD: &str = "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

#[cfg(test)]
mod support {
    use super::*;

    pub(crate) fn server() -> ServerHandshake {
        ServerHandshake::new(NOW, HandshakeLimits::default())
    }

    /// A server that takes heads of a few mebibytes.
    pub(crate) fn roomy() -> ServerHandshake {
        let limits = HandshakeLimits::new().max_head_bytes(4 * MEBIBYTE).max_request_line_bytes(4 * MEBIBYTE);
        ServerHandshake::new(NOW, limits)
    }

    /// Feeds `text` in pieces of `size` bytes until there is an outcome.
    pub(crate) fn feed(
        server: &mut ServerHandshake,
        text: &str,
        size: usize,
    ) -> Option<Result<UpgradeRequest, RequestError>> {
        let mut bytes = text.as_bytes().to_vec();
        bytes.chunks_mut(size).find_map(|mut input| {
            server.handle_input(NOW, &mut input).map(Option::<&UpgradeRequest>::cloned).transpose()
        })
    }

    /// What a fresh server makes of `GOOD` with further header lines.
    pub(crate) fn evaluated(lines: &str) -> Result<UpgradeRequest, RequestError> {
        feed(&mut roomy(), &format!("{GOOD}{lines}\r\n"), usize::MAX).unwrap_or(Err(RequestError::Truncated))
    }

    pub(crate) fn response(server: &ServerHandshake) -> String {
        let mut slices = [&b""[..]];
        let count = server.poll_transmit(&mut slices);
        String::from_utf8_lossy(&slices[..count].concat()).into_owned()
    }

    /// A client whose request is out, and the 101 response to it without its empty line.
    pub(crate) fn client() -> (ClientHandshake, String) {
        let request = ClientRequest {
            subprotocols: vec!["chat".into()],
            deflate: Some(DeflateOffer::default()),
            ..ClientRequest::new("h", "/ws")
        };
        let mut client = ClientHandshake::new(NOW, request, HandshakeLimits::default(), [7; 32]).unwrap();
        let mut slices = [&b""[..]];
        assert_eq!(client.poll_transmit(&mut slices), 1);
        let mut bytes = slices[0].to_vec();
        client.transmitted(NOW, bytes.len());
        let mut server = server();
        server.handle_input(NOW, &mut bytes.as_mut_slice()).unwrap();
        server.accept(NOW, &Acceptance::default()).unwrap();
        let head = response(&server);
        (client, head.strip_suffix("\r\n").unwrap().to_owned())
    }

    /// What a client makes of a response; `edit` is given a good one without its empty line.
    pub(crate) fn answered(edit: impl FnOnce(String) -> String) -> Result<Option<Answer>, ResponseError> {
        let (mut client, good) = client();
        let mut bytes = edit(good).into_bytes();
        client.handle_input(NOW, &mut bytes.as_mut_slice())
    }
}

#[test]
fn sec_hs_01_a_long_header_is_read_in_linear_time_and_bounded_memory() {
    for size in [1, 4096] {
        let mut server = server();
        let outcome = feed(&mut server, &format!("{GOOD}X: {}", "a".repeat(MEBIBYTE)), size);
        assert_eq!(outcome, Some(Err(RequestError::Head(HeadError::TooLong))));
        assert!(response(&server).starts_with("HTTP/1.1 431 "), "{}", response(&server));
        assert_eq!(server.buffered_bytes(), 0);

        let mut server = support::server();
        assert_eq!(feed(&mut server, &format!("{GOOD}X: {}", "a".repeat(15 * 1024)), size), None);
        assert!(server.buffered_bytes() <= 2 * 16 * 1024, "{}", server.buffered_bytes());

        let mut roomy = roomy();
        let outcome = feed(&mut roomy, &format!("{GOOD}X: {}\r\n\r\n", "a".repeat(MEBIBYTE)), size);
        assert_eq!(outcome.unwrap().unwrap().headers().get("X").map(<[u8]>::len), Some(MEBIBYTE));
    }
}

#[test]
fn sec_hs_01_a_long_request_line_is_refused_before_it_ends() {
    let line = |target: usize| format!("GET /{} HTTP/1.1\r\n", "a".repeat(target));
    let longest = 8 * 1024 - line(0).len() + 2;
    for (target, outcome) in [(longest, None), (longest + 1, Some(Err(RequestError::TargetTooLong)))] {
        let mut server = server();
        assert_eq!(feed(&mut server, &line(target), 1), outcome);
    }
    let mut server = server();
    assert_eq!(feed(&mut server, "GET /".repeat(MEBIBYTE).as_str(), 4096), Some(Err(RequestError::TargetTooLong)));
    assert!(response(&server).starts_with("HTTP/1.1 414 "));
}

#[test]
fn sec_hs_02_too_many_headers_are_refused_and_never_cut_off() {
    let request = |fields: usize| {
        // The five headers that matter come last, where a reader that cuts the list would miss them.
        let (line, headers) = GOOD.split_once("\r\n").unwrap();
        let more: String = (5..fields).map(|index| format!("X-{index}: y\r\n")).collect();
        format!("{line}\r\n{more}{headers}\r\n")
    };
    for size in [1, 7, usize::MAX] {
        for fields in [63, 64] {
            let outcome = feed(&mut server(), &request(fields), size);
            assert_eq!(outcome.unwrap().unwrap().headers().len(), fields);
        }
        for fields in [65, 66, 1000] {
            let mut server = server();
            let outcome = feed(&mut server, &request(fields), size);
            assert_eq!(outcome, Some(Err(RequestError::Head(HeadError::TooManyFields))), "{fields}");
            assert!(response(&server).starts_with("HTTP/1.1 431 "));
        }
    }
}

#[test]
fn sec_hs_03_hostile_subprotocols_are_read_in_linear_time() {
    for (hostile, accepted) in [
        (", ".repeat(MEBIBYTE / 2) + "a", true),
        (" ".repeat(MEBIBYTE) + ",a", true),
        ("\t ,".repeat(MEBIBYTE / 4), false),
        ((0..100_000).map(|index| format!("p{index},")).collect(), true),
        ((0..100_000).map(|index| format!("p{index},")).collect::<String>() + "p0", false),
        ("a".repeat(MEBIBYTE), true),
        ("a ".repeat(MEBIBYTE / 2), false),
    ] {
        let outcome = evaluated(&format!("Sec-WebSocket-Protocol: {hostile}\r\n"));
        assert_eq!(outcome.map(|_| ()), if accepted { Ok(()) } else { Err(RequestError::Subprotocols) });
    }
}

#[test]
fn sec_hs_04_hostile_extensions_are_read_in_linear_time() {
    let many = MEBIBYTE / 4;
    for (hostile, accepted) in [
        (",".repeat(MEBIBYTE) + "a", true),
        ("a,".repeat(many), true),
        (format!("a{}", ";a".repeat(many)), true),
        (format!("a;b=\"{}\"", "\\a".repeat(many)), true),
        (format!("a;b=\"{}", "\\a".repeat(many)), false),
        (format!("a;b=\"{}\"", "\\\"".repeat(many)), false),
        ("permessage-deflate; client_max_window_bits,".repeat(many / 16), true),
        (format!("permessage-deflate{}", "; client_max_window_bits=15".repeat(many / 16)), true),
        ("__proto__; constructor; toString=valueOf; hasOwnProperty=\"__proto__\"".into(), true),
        ("a;".repeat(many), false),
    ] {
        let outcome = evaluated(&format!("Sec-WebSocket-Extensions: {hostile}\r\n"));
        let Ok(request) = outcome else {
            assert!(!accepted, "{outcome:?}");
            continue;
        };
        assert!(accepted);
        let acceptance = Acceptance::new().deflate(DeflateConfig::default());
        assert!(request.accept(&acceptance).is_ok());
    }
}

#[test]
fn sec_hs_04_a_client_fails_at_hostile_extensions() {
    for (hostile, error) in [
        ("__proto__".to_owned(), ResponseError::UnofferedExtension),
        ("permessage-deflate; __proto__".to_owned(), DeflateError::UnknownParameter.into()),
        ("permessage-deflate; a=\"".to_owned(), ResponseError::Extensions),
        (
            format!("permessage-deflate{}", "; client_no_context_takeover".repeat(100)),
            DeflateError::RepeatedParameter.into(),
        ),
        ("permessage-deflate,".repeat(100), ResponseError::UnofferedExtension),
        (",".repeat(10_000), ResponseError::Extensions),
    ] {
        let outcome = answered(|good| format!("{good}Sec-WebSocket-Extensions: {hostile}\r\n\r\n"));
        assert_eq!(outcome, Err(error), "{hostile}");
    }
}

#[test]
fn sec_hs_05_a_request_that_is_no_upgrade_closes_the_connection() {
    let without =
        |name: &str| -> String { GOOD.split_inclusive("\r\n").filter(|line| !line.starts_with(name)).collect() };
    for (head, error, status) in [
        (without("Upgrade"), RequestError::NotAnUpgrade, 426),
        (format!("{GOOD}Upgrade: websocket\r\n"), RequestError::RepeatedUpgrade, 400),
        (format!("{GOOD}Upgrade: h2c\r\n"), RequestError::RepeatedUpgrade, 400),
        (without("Connection"), RequestError::NotAnUpgrade, 426),
        (GOOD.replace("Connection: Upgrade", "Connection: keep-alive, close"), RequestError::NotAnUpgrade, 426),
        (GOOD.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ"), RequestError::Key, 400),
        (without("Sec-WebSocket-Key"), RequestError::Key, 400),
        (GOOD.replace("Version: 13", "Version: 12"), RequestError::Version, 426),
        (without("Sec-WebSocket-Version"), RequestError::Version, 426),
        (GOOD.replace("GET", "POST"), RequestError::Method, 405),
    ] {
        let mut server = server();
        // A second, valid request behind the refused one must not be looked at.
        let outcome = feed(&mut server, &format!("{head}\r\n{GOOD}\r\n"), usize::MAX);
        assert_eq!(outcome, Some(Err(error)), "{head}");
        let text = response(&server);
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
        assert!(text.contains("\r\nConnection: close"), "{text}");
        assert_eq!(text.contains("\r\nSec-WebSocket-Version: 13\r\n"), status == 426, "{text}");
        assert_eq!(server.request(), None);
    }
}

#[test]
fn sec_hs_06_bytes_after_a_refused_upgrade_are_ignored() {
    let mut server = server();
    let mut first = format!("{GOOD}\r\n").into_bytes();
    assert!(server.handle_input(NOW, &mut first.as_mut_slice()).unwrap().is_some());
    server.reject(NOW, &Rejection::unauthorized()).unwrap();
    let mut second = format!("{GOOD}\r\n").into_bytes();
    for step in 0..3 {
        let mut input = second.as_mut_slice();
        assert_eq!(server.handle_input(NOW, &mut input), Ok(None));
        assert!(input.is_empty());
        match step {
            0 => server.transmitted(NOW, usize::MAX),
            _ => server.shutdown_done(),
        }
    }
    assert_eq!(server.accept(NOW, &Acceptance::default()), Err(DecisionError::AlreadyDecided));
    assert_eq!(response(&server), "");
}

#[test]
fn sec_hs_06_bytes_after_an_accepted_upgrade_are_left_for_the_connection() {
    let mut server = server();
    let mut bytes = format!("{GOOD}\r\nframes").into_bytes();
    let mut input = bytes.as_mut_slice();
    assert!(server.handle_input(NOW, &mut input).unwrap().is_some());
    // Nothing is taken before the decision, after it, nor once the connection is handed over.
    assert_eq!(server.handle_input(NOW, &mut input), Ok(None));
    server.accept(NOW, &Acceptance::default()).unwrap();
    assert_eq!(server.handle_input(NOW, &mut input), Ok(None));
    server.transmitted(NOW, usize::MAX);
    assert_eq!(server.handle_input(NOW, &mut input), Ok(None));
    assert!(server.poll_accepted().is_some());
    assert_eq!(server.handle_input(NOW, &mut input), Ok(None));
    assert_eq!(input, b"frames");
}

#[test]
fn sec_hs_07_a_frame_in_the_segment_of_the_101_stays_in_the_input() {
    let (mut client, good) = client();
    let frame = b"\x81\x10{\"type\": \"ack\"}\n";
    let mut bytes = [format!("{good}\r\n").as_bytes(), frame].concat();
    let mut input = bytes.as_mut_slice();
    assert!(matches!(client.handle_input(NOW, &mut input), Ok(Some(Answer::Upgraded(_)))));
    assert_eq!(client.handle_input(NOW, &mut input), Ok(None));
    assert_eq!(input, frame);
}

#[test]
fn sec_hs_08_what_the_caller_supplies_cannot_break_a_line() {
    for bad in ["a\rb", "a\nb", "a\r\nX: y", "a\0b", "a\x7fb", "a\x1bb"] {
        assert_eq!(Headers::new().append(bad, "v"), Err(InvalidHeader::Name), "{bad:?}");
        assert_eq!(Headers::new().append("n", bad), Err(InvalidHeader::Value), "{bad:?}");

        let new = |request| ClientHandshake::new(NOW, request, HandshakeLimits::default(), [7; 32]).map(drop);
        let request = || ClientRequest::new("h", "/");
        assert_eq!(new(ClientRequest::new(bad, "/")), Err(InvalidRequest::Host));
        assert_eq!(new(ClientRequest::new("h", format!("/{bad}"))), Err(InvalidRequest::Target));
        assert_eq!(new(ClientRequest { origin: Some(bad.into()), ..request() }), Err(InvalidRequest::Origin));
        let subprotocols = vec![bad.to_owned()];
        assert_eq!(new(ClientRequest { subprotocols, ..request() }), Err(InvalidRequest::Subprotocol));
        let mut encoded = request();
        encoded.append_query("apiKey", bad);
        assert_eq!(new(encoded), Ok(()));

        let request = evaluated("Sec-WebSocket-Protocol: a\r\n").unwrap();
        let choice = Acceptance::new().subprotocol(bad.to_owned());
        assert_eq!(request.accept(&choice), Err(DecisionError::SubprotocolNotOffered));
        let rejection = Rejection::json(400, bad, bad);
        assert!(rejection.body.iter().all(|byte| !matches!(byte, b'\r' | b'\n' | 0)), "{rejection:?}");
    }
}

#[test]
fn sec_hs_09_what_two_readers_could_read_differently_is_refused() {
    for (lines, error) in [
        ("Transfer-Encoding: chunked\r\n", RequestError::Body),
        ("Transfer-Encoding: identity\r\n", RequestError::Body),
        ("Transfer-Encoding:\r\n", RequestError::Body),
        ("Content-Length: 5\r\n", RequestError::Body),
        ("Content-Length: +0\r\n", RequestError::Body),
        ("Content-Length: 00\r\n", RequestError::Body),
        ("Content-Length: 0, 0\r\n", RequestError::Body),
        ("Content-Length: 0\r\nContent-Length: 0\r\n", RequestError::Body),
        ("Content-Length:\r\n", RequestError::Body),
        ("X: a\r\n b\r\n", RequestError::Head(HeadError::ObsoleteFolding)),
        ("X: a\r\n\tb\r\n", RequestError::Head(HeadError::ObsoleteFolding)),
        ("X: a\n", RequestError::Head(HeadError::BareLineFeed)),
        ("X: a\n\n", RequestError::Head(HeadError::BareLineFeed)),
        ("X: a\rb\r\n", RequestError::Head(HeadError::BareCarriageReturn)),
        ("X: a\r\r\n", RequestError::Head(HeadError::BareCarriageReturn)),
        ("X : a\r\n", RequestError::Head(HeadError::FieldName)),
        ("X\r\n", RequestError::Head(HeadError::FieldName)),
        (": a\r\n", RequestError::Head(HeadError::FieldName)),
        ("X\0: a\r\n", RequestError::Head(HeadError::FieldName)),
        ("X: a\0\r\n", RequestError::Head(HeadError::FieldValue)),
        ("X: a\x1b\r\n", RequestError::Head(HeadError::FieldValue)),
        ("Host: h\r\n", RequestError::Host),
    ] {
        assert_eq!(evaluated(lines), Err(error), "{lines:?}");
    }
    assert!(evaluated("Content-Length: 0\r\n").is_ok());
}

#[test]
fn sec_hs_12_a_slow_request_is_cut_at_its_deadline_whatever_arrives() {
    let mut server = server();
    let mut bytes = GOOD.as_bytes().to_vec();
    for (second, mut input) in (0..10).zip(bytes.chunks_mut(1)) {
        let now = NOW + Duration::from_secs(second);
        assert_eq!(server.handle_input(now, &mut input), Ok(None));
        assert_eq!(server.handle_timeout(now), Ok(()));
        assert_eq!(server.poll_timeout(), Some(NOW + Duration::from_secs(10)));
    }
    let now = NOW + Duration::from_secs(10);
    assert_eq!(server.handle_timeout(now), Err(RequestError::TimedOut));
    assert_eq!(server.buffered_bytes(), 0);
    // And a client that takes no byte of the response is dropped at the next deadline.
    assert_eq!(server.handle_timeout(now + Duration::from_secs(10)), Err(RequestError::TimedOut));
    assert!(server.is_closed());
}

#[test]
fn sec_hs_12_a_slow_answer_is_given_up_at_its_deadline_whatever_arrives() {
    let (mut client, good) = client();
    let mut bytes = good.into_bytes();
    for (second, mut input) in (0..10).zip(bytes.chunks_mut(1)) {
        let now = NOW + Duration::from_secs(second);
        assert_eq!(client.handle_input(now, &mut input), Ok(None));
        assert_eq!(client.handle_timeout(now), Ok(None));
    }
    assert_eq!(client.handle_timeout(NOW + Duration::from_secs(10)), Err(ResponseError::TimedOut));
}

#[test]
fn sec_hs_13_a_101_that_does_not_answer_the_request_opens_nothing() {
    let without = |good: String, name: &str| -> String {
        good.split_inclusive("\r\n").filter(|line| !line.starts_with(name)).collect()
    };
    assert_eq!(answered(|good| without(good, "Sec-WebSocket-Accept") + "\r\n"), Err(ResponseError::Accept));
    for (lines, error) in [
        ("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", ResponseError::Accept),
        ("Sec-WebSocket-Extensions: permessage-bzip2\r\n", ResponseError::UnofferedExtension),
        ("Sec-WebSocket-Protocol: superchat\r\n", ResponseError::Subprotocol),
        ("Content-Length: 5\r\n", ResponseError::Body),
        ("Transfer-Encoding: chunked\r\n", ResponseError::Body),
    ] {
        assert_eq!(answered(|good| format!("{good}{lines}\r\n")), Err(error), "{lines}");
    }
}

#[test]
fn sec_hs_13_interim_responses_come_first_but_not_indefinitely() {
    let interim = "HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\n\r\n";
    let outcome = answered(|good| format!("{}{good}\r\n", interim.repeat(MAX_INTERIM_RESPONSES)));
    assert!(matches!(outcome, Ok(Some(Answer::Upgraded(_)))));
    let outcome = answered(|good| format!("{}{good}\r\n", interim.repeat(MAX_INTERIM_RESPONSES + 1)));
    assert_eq!(outcome, Err(ResponseError::TooManyInterim));
}

#[test]
fn sec_hs_13_a_huge_error_body_is_cut_at_its_limit() {
    let limit = HandshakeLimits::default().get_max_body_bytes();
    for framing in ["", "Content-Length: 1048576\r\n", "Content-Length: 18446744073709551615\r\n"] {
        for (size, complete) in [(limit - 1, None), (limit, None), (limit + 1, Some(false)), (MEBIBYTE, Some(false))] {
            let (mut client, _) = client();
            let mut bytes = format!("HTTP/1.1 500 x\r\n{framing}\r\n{}", "a".repeat(size)).into_bytes();
            let outcome = bytes.chunks_mut(1000).find_map(|mut input| client.handle_input(NOW, &mut input).transpose());
            let Some(Ok(Answer::Refused(refusal))) = outcome else {
                assert_eq!((outcome, complete), (None, None));
                continue;
            };
            assert_eq!((refusal.status, refusal.body.len(), Some(refusal.complete)), (500, limit, complete));
        }
    }
    // A length that the body keeps to, at the limit.
    let whole = answered(|_| format!("HTTP/1.1 500 x\r\nContent-Length: {limit}\r\n\r\n{}", "a".repeat(limit)));
    assert!(matches!(whole, Ok(Some(Answer::Refused(refusal))) if refusal.complete && refusal.body.len() == limit));
    // Chunks without end: their sizes and extensions are not kept.
    let chunks = answered(|_| {
        format!("HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n{}", "1;ext=value\r\na\r\n".repeat(MEBIBYTE / 16))
    });
    assert!(matches!(chunks, Ok(Some(Answer::Refused(refusal))) if !refusal.complete && refusal.body.len() == limit));
}
