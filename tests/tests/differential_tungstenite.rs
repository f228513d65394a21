//! Our server and our client beside `tungstenite` on the same bytes: frames, whole conversations, upgrades.

use std::io::{self, Read, Write};

use multiwa_ws_core::Instant;
use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::handshake::{
    Acceptance, Answer, ClientHandshake, ClientRequest, HandshakeLimits, ServerHandshake,
};
use multiwa_ws_core::websocket::{Config, Event, Negotiated, Role, WebSocket};
use multiwa_ws_testkit::fuzzing::differential_tungstenite::{Agreement, OURS_ALONE, compare};
use multiwa_ws_testkit::reference::{LengthField, RawFrame, Rule};
use multiwa_ws_testkit::wire::drain;
use proptest::prelude::*;
use tungstenite::handshake::HandshakeError;
use tungstenite::handshake::client::ClientHandshake as TheirClient;
use tungstenite::protocol::{self, Message};

const NOW: Instant = Instant::from_nanos(0);

fn any_role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Client), Just(Role::Server)]
}

/// A frame, valid or broken in one way.
fn any_frame() -> impl Strategy<Value = RawFrame> {
    let payload = || {
        prop_oneof![
            3 => "[a-z\u{20ac}\u{1f600}]{0,40}".prop_map(String::into_bytes),
            1 => prop::collection::vec(any::<u8>(), 0..140),
        ]
    };
    let code = prop_oneof![3 => Just(1000), 1 => 3000..4999u16, 1 => any::<u16>()];
    prop_oneof![
        6 => payload().prop_map(|payload| RawFrame::new(1, payload)),
        4 => payload().prop_map(|payload| RawFrame::new(2, payload)),
        4 => payload().prop_map(|payload| RawFrame::new(1, payload).not_final()),
        4 => payload().prop_map(|payload| RawFrame::new(0, payload).not_final()),
        6 => payload().prop_map(|payload| RawFrame::new(0, payload)),
        3 => payload().prop_map(RawFrame::ping),
        3 => payload().prop_map(RawFrame::pong),
        1 => (code, "[a-z]{0,20}").prop_map(|(code, reason)| RawFrame::close(code, reason)),
        1 => payload().prop_map(RawFrame::close_with_body),
        1 => (any::<u8>(), payload()).prop_map(|(opcode, payload)| RawFrame::new(opcode % 16, payload)),
        1 => (1..8u8, payload()).prop_map(|(rsv, payload)| RawFrame::new(2, payload).rsv(rsv)),
        1 => any::<u16>().prop_map(|length| RawFrame::new(2, "x").length_field(LengthField::Bits16(length))),
        1 => any::<u64>().prop_map(|length| RawFrame::new(2, "x").length_field(LengthField::Bits64(length))),
    ]
}

fn encode(from: Role, frame: RawFrame, wrongly_masked: bool) -> Vec<u8> {
    let masked = (from == Role::Client) != wrongly_masked;
    if masked { frame.masked([0x37, 0xFA, 0x21, 0x3D]).encode() } else { frame.encode() }
}

proptest! {
    #[test]
    fn any_frames_mean_the_same_to_both(
        from in any_role(),
        frames in prop::collection::vec((any_frame(), prop::bool::weighted(0.02)), 0..12),
        cut in any::<prop::sample::Index>(),
        piece in 1..60usize,
    ) {
        let wire: Vec<u8> =
            frames.into_iter().flat_map(|(frame, wrongly_masked)| encode(from, frame, wrongly_masked)).collect();
        let wire = &wire[..wire.len() - cut.index(wire.len() + 1) / 8];
        let _ = compare(from, &wire.chunks(piece).collect::<Vec<_>>());
    }

    #[test]
    fn any_bytes_mean_the_same_to_both(from in any_role(), wire in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = compare(from, &[&wire]);
    }

    #[test]
    fn what_either_sends_the_other_receives(
        role in any_role(),
        texts in prop::collection::vec("[a-z\u{20ac}]{0,200}", 0..8),
        code in prop_oneof![Just(1000u16), 3000..4999u16],
    ) {
        let mut ours = WebSocket::new(NOW, role, &Config::default(), &Negotiated::default(), [4; 32]);
        let other = match role {
            Role::Client => protocol::Role::Server,
            Role::Server => protocol::Role::Client,
        };
        let mut theirs = protocol::WebSocket::from_raw_socket(Pipe::default(), other, None);

        for text in &texts {
            ours.send_text(text).unwrap();
            theirs.send(Message::text(text)).unwrap();
            theirs.send(Message::Ping(text.as_bytes()[..text.len().min(125)].to_vec().into())).unwrap();
        }
        theirs.get_mut().incoming.extend(drain(&mut ours, NOW));
        for text in &texts {
            prop_assert_eq!(theirs.read().unwrap(), Message::text(text));
        }
        let mut bytes = std::mem::take(&mut theirs.get_mut().outgoing);
        let mut input = bytes.as_mut_slice();
        for text in &texts {
            let received = ours.handle_input(NOW, &mut input).unwrap().unwrap();
            prop_assert_eq!(received.event, Event::Text(text));
            prop_assert!(matches!(ours.handle_input(NOW, &mut input).unwrap().unwrap().event, Event::Ping(_)));
        }
        // Our pongs, then the closing handshake.
        ours.close(NOW, CloseCode::new(code), "bye").unwrap();
        theirs.get_mut().incoming.extend(drain(&mut ours, NOW));
        for text in &texts {
            let pong = text.as_bytes()[..text.len().min(125)].to_vec();
            prop_assert_eq!(theirs.read().unwrap(), Message::Pong(pong.into()));
        }
        let Message::Close(Some(frame)) = theirs.read().unwrap() else { panic!("no Close frame") };
        prop_assert_eq!((u16::from(frame.code), frame.reason.as_str()), (code, "bye"));
        // The answer goes out with the next call; a server then says that the connection is closed.
        let _ = theirs.flush();
        let mut bytes = std::mem::take(&mut theirs.get_mut().outgoing);
        let received = ours.handle_input(NOW, &mut bytes.as_mut_slice()).unwrap().unwrap();
        prop_assert!(matches!(received.event, Event::Close(Some(frame)) if frame.code.get() == code));
    }
}

/// The table of what only we refuse would otherwise hide what a later `tungstenite` refuses too.
#[test]
fn each_rule_that_only_we_hold_is_one_that_tungstenite_lets_pass() {
    for from in [Role::Client, Role::Server] {
        let wires = OURS_ALONE.map(|(rule, source)| {
            let frame = match rule {
                Rule::LengthNotMinimal => RawFrame::new(2, "hello").length_field(LengthField::Bits16(5)),
                Rule::ControlTooLong => RawFrame::ping("hello").length_field(LengthField::Bits16(5)),
                Rule::CloseCode => RawFrame::close(1005, ""),
                other => panic!("no example for {other:?}"),
            };
            assert!(source.starts_with(rule.section()), "{source}");
            (rule, encode(from, frame, false))
        });
        for (rule, wire) in wires {
            assert_eq!(compare(from, &[&wire]), Agreement::OursAlone(Some(rule)));
        }
    }
}

/// Bytes to read and bytes that were written.
#[derive(Default)]
struct Pipe {
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let length = self.incoming.as_slice().read(buffer)?;
        self.incoming.drain(..length);
        Ok(length)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A change to a good head, whether each side takes the result, and why they differ if they do.
struct Case {
    from: &'static str,
    to: &'static str,
    ours: bool,
    theirs: bool,
    why: &'static str,
}

const fn both(from: &'static str, to: &'static str, taken: bool) -> Case {
    Case { from, to, ours: taken, theirs: taken, why: "" }
}

/// Only we refuse the result.
const fn stricter(from: &'static str, to: &'static str, why: &'static str) -> Case {
    Case { from, to, ours: false, theirs: true, why }
}

/// Only `tungstenite` refuses the result, which is valid.
const fn valid(from: &'static str, to: &'static str, why: &'static str) -> Case {
    Case { from, to, ours: true, theirs: false, why }
}

const REQUEST: &str = "GET /ws?apiKey=k HTTP/1.1\r\nHost: h:3001\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const REQUESTS: [Case; 30] = [
    both("", "", true),
    both("Upgrade\r\nU", "keep-alive, upgrade\r\nU", true),
    both("websocket", "WebSocket", true),
    both("\r\n\r\n", "\r\nOrigin: https://a\r\nCookie: a=b\r\n\r\n", true),
    both("GET", "POST", false),
    both("1.1", "1.0", false),
    both("Connection: Upgrade\r\n", "", false),
    both("Connection: Upgrade", "Connection: close", false),
    both("Upgrade: websocket\r\n", "", false),
    both("websocket", "h2c", false),
    both("Sec-WebSocket-Version: 13\r\n", "", false),
    both("13", "8", false),
    both("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", false),
    both("ZQ==", "ZQ=", false),
    both("dGhl", "", false),
    both("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZR==", false),
    both("Host:", "Ho st:", false),
    both("Host:", "Host :", false),
    both("h:3001", "h\0", false),
    stricter("Host: h:3001\r\n", "", "RFC 6455 section 4.2.1 item 2: a Host header is required"),
    stricter("Host:", "Host: a\r\nHost:", "RFC 9112 section 3.2: a request with two Host headers is refused"),
    stricter("ZQ==", "ZQ==\r\nSec-WebSocket-Key: a", "RFC 6455 section 11.3.1: once only"),
    stricter("n: 13", "n: 13\r\nSec-WebSocket-Version: 8", "RFC 6455 section 11.3.5: once only in a request"),
    stricter("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\n", "RFC 9110 section 8.6: the body would be read as frames"),
    stricter("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n", "RFC 9112 section 6.1: so would this one"),
    stricter("\r\nHost", "\nHost", "RFC 9112 section 2.2: a line ends in CR LF"),
    stricter("\r\n\r\n", "\r\nSec-WebSocket-Protocol: a,, b c\r\n\r\n", "RFC 6455 section 4.1 item 10: tokens"),
    stricter("\r\n\r\n", "\r\nSec-WebSocket-Extensions: ;\r\n\r\n", "RFC 6455 section 9.1: the grammar"),
    valid("websocket", "h2c, websocket", "RFC 6455 section 4.2.1 item 3: containing the value websocket"),
    valid("Connection:", "Connection: close\r\nConnection:", "RFC 9110 section 5.3: the lines are one list"),
];

#[test]
fn rfc6455_4_2_1_requests_have_the_same_result_or_the_difference_is_explained() {
    for case in REQUESTS {
        let request = REQUEST.replacen(case.from, case.to, 1);
        let mut server = ServerHandshake::new(NOW, HandshakeLimits::default());
        let mut bytes = request.clone().into_bytes();
        let ours = server.handle_input(NOW, &mut bytes.as_mut_slice()).is_ok_and(|request| request.is_some());
        let pipe = Pipe { incoming: request.clone().into_bytes(), outgoing: Vec::new() };
        let theirs = tungstenite::accept(pipe).is_ok();
        assert_eq!((ours, theirs), (case.ours, case.theirs), "{request}");
        assert_eq!(ours == theirs, case.why.is_empty());
    }
}

const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                        Sec-WebSocket-Accept: @\r\n\r\n";

const RESPONSES: [Case; 21] = [
    both("", "", true),
    both("101 Switching Protocols", "101 ", true),
    both("websocket", "WebSocket", true),
    both("\r\n\r\n", "\r\nServer: s\r\n\r\n", true),
    both("101", "200", false),
    both("101", "401", false),
    both("Connection: Upgrade\r\n", "", false),
    both("Connection: Upgrade", "Connection: close", false),
    both("Upgrade: websocket\r\n", "", false),
    both("websocket", "h2c", false),
    both("Sec-WebSocket-Accept: @\r\n", "", false),
    both("@", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", false),
    both("\r\n\r\n", "\r\nSec-WebSocket-Protocol: chat\r\n\r\n", false),
    both("1.1", "1.0", false),
    stricter("@", "@\r\nSec-WebSocket-Accept: @", "RFC 6455 section 11.3.3: once only"),
    stricter("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\n", "RFC 9110 section 8.6: a 101 has no body"),
    stricter("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n", "RFC 9112 section 6.1: nor one in chunks"),
    stricter("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", "RFC 6455 section 4.1 item 5"),
    stricter("\r\nUpgrade", "\nUpgrade", "RFC 9112 section 2.2: a line ends in CR LF"),
    valid("n: Upgrade", "n: keep-alive, Upgrade", "RFC 6455 section 4.1 item 3: a token of the list"),
    valid("HTTP", "HTTP/1.1 103 Early Hints\r\n\r\nHTTP", "RFC 9110 section 15.2: interim responses are skipped"),
];

#[test]
fn rfc6455_4_1_responses_have_the_same_result_or_the_difference_is_explained() {
    for case in RESPONSES {
        let mut ours = ClientHandshake::new(NOW, ClientRequest::new("h", "/ws"), HandshakeLimits::default(), [7; 32])
            .expect("a valid request");
        let request = String::from_utf8(drain(&mut ours, NOW)).unwrap();
        // Both sides send the same key.
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let theirs = tungstenite::http::Request::get("ws://h/ws")
            .header("Host", "h")
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", key)
            .body(())
            .unwrap();

        let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
        let response = RESPONSE.replacen(case.from, case.to, 1).replace('@', &accept);
        let mut bytes = response.clone().into_bytes();
        let ours = ours.handle_input(NOW, &mut bytes.as_mut_slice());
        let ours = matches!(ours, Ok(Some(Answer::Upgraded(_))));
        let pipe = Pipe { incoming: response.clone().into_bytes(), outgoing: Vec::new() };
        let theirs = TheirClient::start(pipe, theirs, None).unwrap().handshake().is_ok();
        assert_eq!((ours, theirs), (case.ours, case.theirs), "{response}");
        assert_eq!(ours == theirs, case.why.is_empty());
    }
}

#[test]
fn our_server_upgrades_their_client_and_our_client_their_server() {
    let mut server = ServerHandshake::new(NOW, HandshakeLimits::default());
    let request = tungstenite::client::IntoClientRequest::into_client_request("ws://h:3001/ws?apiKey=k").unwrap();
    let Err(HandshakeError::Interrupted(mut waiting)) =
        TheirClient::start(Pipe::default(), request, None).unwrap().handshake()
    else {
        panic!("an answer to no request")
    };
    let pipe = waiting.get_mut().get_mut();
    let read = server.handle_input(NOW, &mut pipe.outgoing.as_mut_slice()).unwrap().unwrap();
    assert_eq!(read.path(), "/ws");
    server.accept(NOW, &Acceptance::default()).unwrap();
    pipe.incoming.extend(server.poll_accepted().unwrap().unsent);
    assert_eq!(waiting.handshake().unwrap().1.status(), 101);

    let mut client =
        ClientHandshake::new(NOW, ClientRequest::new("h", "/ws"), HandshakeLimits::default(), [7; 32]).unwrap();
    let mut slices = [&b""[..]; 4];
    let filled = client.poll_transmit(&mut slices);
    let pipe = Pipe { incoming: slices[..filled].concat(), outgoing: Vec::new() };
    client.transmitted(NOW, usize::MAX);
    let mut theirs = tungstenite::accept(pipe).unwrap();
    let answer = client.handle_input(NOW, &mut theirs.get_mut().outgoing.as_mut_slice()).unwrap();
    assert!(matches!(answer, Some(Answer::Upgraded(_))), "{answer:?}");
}
