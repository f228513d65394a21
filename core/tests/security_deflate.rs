//! Attacks on `permessage-deflate`, each by the id of its row in the list of security cases.
//!
//! Which codec is under test follows from the features of core: `zlib-rs` with `std`, `miniz_oxide` without. Tests of the whole
//! workspace use the first one. Tests of core alone, without `std`, use the other one.

#![cfg(all(feature = "deflate", feature = "server"))]
#![cfg(test)]

use allocation_counter::measure;
use multiwa_ws_core::Instant;
use multiwa_ws_core::frame::FrameError;
use multiwa_ws_core::handshake::{
    Acceptance, Answer, ClientHandshake, ClientRequest, DeflateConfig, DeflateError, DeflateOffer, HandshakeLimits,
    HttpVersion, RequestError, ResponseError, UpgradeRequest,
};
use multiwa_ws_core::websocket::{
    Compression, Config, DeflateParameters, Event, Message, Negotiated, ProtocolError, Role, SendError, State,
    WebSocket,
};

use multiwa_ws_testkit::wire::{
    BINARY, CLOSE, CONTINUATION, FIN, PING, RSV1, TEXT, close_body, drain, frame_to, frames_from, header_to,
};

const NOW: Instant = Instant::from_nanos(0);
const ROLES: [Role; 2] = [Role::Client, Role::Server];
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// The most that the inflating half of either codec holds, window included, with something for the harness.
const CODEC: i64 = 96 << 10;

/// What a connection without a message under way holds at most, its queued Close frame included.
const IDLE: i64 = 4 << 10;

/// RFC 7692 section 7.2.3.1: "Hello" in one block, which is not the final one.
const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
/// Section 7.2.3.2: "Hello" as a reference to the message before.
const HELLO_AGAIN: &[u8] = b"\xf2\x00\x11\x00\x00";
/// Section 7.2.3.4: "Hello" in a final block, with the empty block behind it.
const HELLO_FINAL: &[u8] = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00";

fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

fn peer_with(role: Role, config: &Config, parameters: DeflateParameters) -> WebSocket {
    let negotiated = Negotiated { deflate: Some(parameters), ..Negotiated::default() };
    WebSocket::new(NOW, role, config, &negotiated, [3; 32])
}

fn peer(role: Role, config: &Config) -> WebSocket {
    peer_with(role, config, DeflateParameters::default())
}

/// A peer that compresses all that it sends, and well.
fn sender(role: Role, parameters: DeflateParameters) -> WebSocket {
    let compression = Compression::new().threshold(0).level(6);
    peer_with(role, &Config::new().max_queued(usize::MAX).compression(compression), parameters)
}

/// Limits of a receiver whose messages have at most `max_message_len` bytes.
fn limited(max_message_len: usize) -> Config {
    Config::new().max_message_len(max_message_len)
}

/// The frames that a peer of `role` sends for `payload` as one compressed binary message.
fn compressed(role: Role, payload: &[u8]) -> Vec<u8> {
    let mut sender = sender(role, DeflateParameters::default());
    sender.send_binary(payload).unwrap();
    drain(&mut sender, NOW)
}

/// Takes `bytes` in, in pieces of `size`, and returns the messages with the error that ended them.
fn take(ws: &mut WebSocket, mut bytes: Vec<u8>, size: usize) -> (Vec<Vec<u8>>, Option<ProtocolError>) {
    let mut messages = Vec::new();
    for chunk in bytes.chunks_mut(size) {
        let mut input = chunk;
        loop {
            match ws.handle_input(NOW, &mut input) {
                Ok(Some(received)) => match received.event {
                    Event::Text(text) => messages.push(text.into()),
                    Event::Binary(payload) => messages.push(payload.into()),
                    _ => {}
                },
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
    }
    (messages, None)
}

/// The same for input whose messages are of no interest: without an allocation of the harness's own.
fn take_error(ws: &mut WebSocket, bytes: &mut [u8]) -> Option<ProtocolError> {
    let mut input = bytes;
    loop {
        match ws.handle_input(NOW, &mut input) {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(error) => return Some(error),
        }
    }
}

/// What a failed connection says last, and alone: Close with this code.
#[track_caller]
fn assert_fails_with(ws: &mut WebSocket, role: Role, code: u16) {
    assert_eq!(ws.state(), State::Failing);
    let sent: Vec<_> =
        frames_from(role, &drain(ws, NOW)).into_iter().map(|frame| (frame.first(), frame.payload)).collect();
    assert_eq!(sent, [(FIN | CLOSE, close_body(code, ""))]);
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let bytes = (0..len.div_ceil(8)).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    bytes.take(len).collect()
}

fn signed(len: usize) -> i64 {
    i64::try_from(len).unwrap()
}

#[test]
fn sec_pd_01_a_bomb_is_refused_with_1009_and_holds_no_more_than_the_limit_and_the_window() {
    const LIMIT: usize = MIB;
    for role in ROLES {
        for text in [false, true] {
            let mut sender = sender(other(role), DeflateParameters::default());
            match text {
                true => sender.send_text(&"a".repeat(32 * LIMIT)).unwrap(),
                false => sender.send_binary(&vec![0; 32 * LIMIT]).unwrap(),
            }
            let bomb = drain(&mut sender, NOW);
            assert!(bomb.len() < LIMIT / 10, "{} bytes make no bomb", bomb.len());
            for size in [1, 100, usize::MAX] {
                let mut bytes = bomb.clone();
                let mut ws = peer(role, &limited(LIMIT));
                let (mut held, mut failed) = (0, None);
                for chunk in bytes.chunks_mut(size) {
                    let info = measure(|| failed = take_error(&mut ws, chunk));
                    // While the buffer grows for the last time, its old and its new place exist side by side.
                    let peak = held + signed(usize::try_from(info.bytes_max).unwrap());
                    assert!(peak <= signed(2 * LIMIT) + CODEC, "{peak} bytes at once");
                    held += info.bytes_current;
                    assert!(held <= signed(LIMIT) + CODEC, "{held} bytes held");
                    if failed.is_some() {
                        break;
                    }
                }
                assert_eq!(failed, Some(ProtocolError::MessageTooLarge));
                assert!(held <= IDLE, "{held} bytes held after the failure");
                assert_fails_with(&mut ws, role, 1009);
            }
        }
    }
}

#[test]
fn sec_pd_01_a_message_of_exactly_the_limit_is_accepted_and_one_byte_more_is_not() {
    for role in ROLES {
        for limit in [0, 1, 125, 1000, 32 * KIB, 64 * KIB, 300_000] {
            for payload in [vec![b'a'; limit + 1], noise(limit + 1)] {
                for size in [1, 4099, usize::MAX] {
                    for len in [limit.saturating_sub(1), limit] {
                        let payload = &payload[..len];
                        let received = take(&mut peer(role, &limited(limit)), compressed(other(role), payload), size);
                        assert_eq!(received, (vec![payload.to_vec()], None));
                    }
                    let mut ws = peer(role, &limited(limit));
                    let received = take(&mut ws, compressed(other(role), &payload), size);
                    assert_eq!(received, (vec![], Some(ProtocolError::MessageTooLarge)), "limit {limit}");
                    assert_fails_with(&mut ws, role, 1009);
                }
            }
        }
    }
}

#[test]
fn sec_pd_01_blocks_that_inflate_to_nothing_are_bounded_by_their_own_length() {
    const LIMIT: usize = 1000;
    // An eighth for what does not compress, and one empty block a frame.
    const LONGEST: usize = LIMIT + LIMIT / 8 + 16;
    let blocks = |len: usize| [&[0, 0, 0, 0xFF, 0xFF].repeat(len / 5)[..], &[0]].concat();
    for role in ROLES {
        let whole = frame_to(role, FIN | RSV1 | BINARY, &blocks(LONGEST - 1));
        assert_eq!(take(&mut peer(role, &limited(LIMIT)), whole, 7), (vec![vec![]], None));
        // One past it is refused at the header, before any of the payload.
        let mut ws = peer(role, &limited(LIMIT));
        let header = header_to(role, FIN | RSV1 | BINARY, LONGEST as u64 + 1);
        assert_eq!(take(&mut ws, header, 1).1, Some(ProtocolError::MessageTooLarge));
        assert_fails_with(&mut ws, role, 1009);
    }
}

#[test]
fn sec_pd_01_fragments_that_inflate_to_nothing_end_within_the_limit_and_hold_no_memory() {
    for role in ROLES {
        let blocks = [0, 0, 0, 0xFF, 0xFF].repeat(1000);
        let mut first = frame_to(role, RSV1 | TEXT, &blocks);
        let next = frame_to(role, CONTINUATION, &blocks);
        let mut chunk = next.clone();
        let mut ws = peer(role, &limited(MIB));
        let (mut fed, mut failed) = (blocks.len(), None);
        let info = measure(|| {
            failed = take_error(&mut ws, &mut first);
            while failed.is_none() {
                chunk.copy_from_slice(&next);
                failed = take_error(&mut ws, &mut chunk);
                fed += blocks.len();
            }
        });
        assert_eq!(failed, Some(ProtocolError::MessageTooLarge));
        assert!(fed <= MIB + MIB / 4, "{fed} bytes");
        assert!(signed(usize::try_from(info.bytes_max).unwrap()) <= CODEC, "{info:?}");
    }
}

/// What a server makes of an offer: the header of its answer, if it grants compression.
fn granted(offer: &str) -> Result<Option<String>, RequestError> {
    let headers = [
        ("Host", "h"),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Extensions", offer),
    ];
    let request = read_elsewhere(headers)?;
    let acceptance = Acceptance::new().deflate(DeflateConfig::default());
    let upgraded = request.accept(&acceptance).unwrap();
    let header = upgraded.headers.get_str("Sec-WebSocket-Extensions").map(Into::into);
    assert_eq!(header.is_some(), upgraded.negotiated.deflate.is_some());
    Ok(header)
}

/// A request whose headers another HTTP server has read.
fn read_elsewhere<'h>(headers: impl IntoIterator<Item = (&'h str, &'h str)>) -> Result<UpgradeRequest, RequestError> {
    UpgradeRequest::from_http(&HandshakeLimits::default(), HttpVersion::Http11, "GET", "/ws", headers)
}

/// What a client that offered `offer` makes of an answer.
fn evaluated(offer: Option<DeflateOffer>, answer: &str) -> Result<Option<Answer>, ResponseError> {
    let request = ClientRequest { deflate: offer, ..ClientRequest::new("h", "/ws") };
    let mut client = ClientHandshake::new(NOW, request, HandshakeLimits::default(), [7; 32]).unwrap();
    let mut slices = [&b""[..]];
    assert_eq!(client.poll_transmit(&mut slices), 1);
    let sent = String::from_utf8(slices[0].to_vec()).unwrap();
    client.transmitted(NOW, sent.len());
    let headers = sent.lines().skip(1).filter_map(|line| line.split_once(": "));
    let upgraded = read_elsewhere(headers).unwrap().accept(&Acceptance::default()).unwrap();
    let accept = upgraded.headers.get_str("Sec-WebSocket-Accept").unwrap();
    let mut response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Extensions: {answer}\r\n\r\n"
    )
    .into_bytes();
    client.handle_input(NOW, &mut &mut response[..])
}

/// Values that name no window from 8 to 15.
const NO_WINDOW: [&str; 16] = [
    "0",
    "1",
    "7",
    "16",
    "256",
    "264",
    "-8",
    "+8",
    "08",
    "8.0",
    "0x8",
    "1e1",
    "eight",
    "15a",
    "99999999999999999999999999",
    "\"7\"",
];

#[test]
fn sec_pd_02_a_server_declines_every_offer_with_a_bad_window() {
    for name in ["server_max_window_bits", "client_max_window_bits"] {
        let bad = NO_WINDOW.iter().map(|value| format!("{name}={value}"));
        let repeated = [format!("{name}=10; {name}=10"), format!("{name}=10; {name}=12"), format!("{name}=\"16\"")];
        for parameters in bad.chain(repeated) {
            assert_eq!(granted(&format!("permessage-deflate; {parameters}")), Ok(None), "{parameters}");
            // The next offer is still looked at.
            let both = format!("permessage-deflate; {parameters}, permessage-deflate");
            assert_eq!(granted(&both), Ok(Some("permessage-deflate".into())), "{parameters}");
        }
        // What is no header at all is refused whole.
        for value in ["", "\"", "\"\"", "\"8", "\"8 \"", "8 8", "8\"", "é"] {
            let offer = format!("permessage-deflate; {name}={value}");
            assert_eq!(granted(&offer), Err(RequestError::Extensions), "{offer}");
        }
        // A quoted number is the number (RFC 6455 section 9.1).
        for bits in 8..=14 {
            let answer = Some(format!("permessage-deflate; {name}={bits}"));
            assert_eq!(granted(&format!("permessage-deflate; {name}=\"{bits}\"")), Ok(answer));
        }
    }
    // RFC 7692 section 7.1.2.1: only the client's window may go without a value.
    assert_eq!(granted("permessage-deflate; server_max_window_bits"), Ok(None));
    // Section 7.1.2.2: not offered, so not answered.
    assert_eq!(granted("permessage-deflate"), Ok(Some("permessage-deflate".into())));
}

#[test]
fn sec_pd_02_a_client_fails_the_handshake_at_every_bad_window() {
    let all = offer().server_max_window_bits(12).client_max_window_bits(12);
    for name in ["server_max_window_bits", "client_max_window_bits"] {
        for offer in [offer(), all] {
            for value in NO_WINDOW {
                let answer = format!("permessage-deflate; {name}={value}");
                assert_eq!(evaluated(Some(offer), &answer), Err(DeflateError::InvalidValue.into()), "{answer}");
            }
            let repeated = format!("permessage-deflate; {name}=10; {name}=10");
            assert_eq!(evaluated(Some(offer), &repeated), Err(DeflateError::RepeatedParameter.into()));
            let without = format!("permessage-deflate; {name}");
            assert!(matches!(evaluated(Some(offer), &without), Err(ResponseError::Deflate(_))));
            for value in ["", "\"", "\"\"", "\"8"] {
                let answer = format!("permessage-deflate; {name}={value}");
                assert_eq!(evaluated(Some(offer), &answer), Err(ResponseError::Extensions), "{answer}");
            }
        }
    }
    // Larger than what was offered, or not offered at all.
    let larger = "permessage-deflate; server_max_window_bits=13";
    assert_eq!(evaluated(Some(all), larger), Err(DeflateError::NotAsOffered.into()));
    let fixed = offer().client_max_window_bits(None);
    let unoffered = "permessage-deflate; client_max_window_bits=10";
    assert_eq!(evaluated(Some(fixed), unoffered), Err(DeflateError::NotAsOffered.into()));
    assert_eq!(evaluated(None, "permessage-deflate"), Err(ResponseError::UnofferedExtension));
    let twice = evaluated(Some(offer()), "permessage-deflate, permessage-deflate");
    assert_eq!(twice, Err(ResponseError::UnofferedExtension));
}

fn offer() -> DeflateOffer {
    DeflateOffer::default()
}

#[test]
fn sec_pd_03_rsv1_stands_on_the_first_frame_of_a_message_and_only_where_it_was_negotiated() {
    const RSV2: u8 = 0x20;
    const RSV3: u8 = 0x10;
    for role in ROLES {
        let frame = |first, payload: &[u8]| frame_to(role, first, payload);
        let begun = frame(RSV1 | TEXT, HELLO);
        let mut cases = vec![
            [&begun[..], &frame(FIN | RSV1, HELLO)].concat(),
            [&begun[..], &frame(RSV1, b"")].concat(),
            [frame(TEXT, b"Hello"), frame(FIN | RSV1, HELLO)].concat(),
        ];
        cases.extend([CLOSE, 0x9, 0xA].map(|control| frame(FIN | RSV1 | control, b"")));
        cases.extend([CLOSE, 0x9, 0xA].map(|control| [&begun[..], &frame(FIN | RSV1 | control, b"")].concat()));
        cases.extend([RSV2, RSV3, RSV1 | RSV2].map(|bits| frame(FIN | TEXT | bits, HELLO)));
        for bytes in cases {
            for size in [1, usize::MAX] {
                let mut ws = peer(role, &Config::default());
                let failed = Some(FrameError::ReservedBits.into());
                assert_eq!(take(&mut ws, bytes.clone(), size), (vec![], failed), "{bytes:x?}");
                assert_fails_with(&mut ws, role, 1002);
            }
        }
        let mut plain = WebSocket::new(NOW, role, &Config::default(), &Negotiated::default(), [3; 32]);
        let received = take(&mut plain, frame(FIN | RSV1 | TEXT, HELLO), 1);
        assert_eq!(received, (vec![], Some(FrameError::ReservedBits.into())));
        assert_fails_with(&mut plain, role, 1002);
    }
}

#[test]
fn sec_pd_04_nothing_of_the_stream_is_processed_after_a_message_over_the_limit() {
    const LIMIT: usize = 1000;
    for role in ROLES {
        let mut sender = sender(other(role), DeflateParameters::default());
        sender.send_text("before").unwrap();
        sender.send_binary(&vec![0; 100 * LIMIT]).unwrap();
        for _ in 0..3 {
            sender.send_text("after").unwrap();
        }
        let rest = [frame_to(role, FIN | TEXT, b"plain"), frame_to(role, FIN | PING, b"ping")].concat();
        let bytes = [drain(&mut sender, NOW), rest.clone()].concat();
        for size in [1, 50, usize::MAX] {
            let mut ws = peer(role, &limited(LIMIT));
            let failed = Some(ProtocolError::MessageTooLarge);
            assert_eq!(take(&mut ws, bytes.clone(), size), (vec![b"before".to_vec()], failed));
            let mut more = [bytes.clone(), rest.clone()].concat();
            let info = measure(|| assert_eq!(take_error(&mut ws, &mut more), failed));
            assert_eq!(info.count_total, 0, "{info:?}");
            assert_fails_with(&mut ws, role, 1009);
        }
    }
}

#[test]
fn sec_pd_05_uncompressed_messages_between_compressed_ones_keep_the_window_right() {
    for role in ROLES {
        // As others send them.
        let bytes = [
            frame_to(role, FIN | RSV1 | TEXT, HELLO),
            frame_to(role, FIN | TEXT, b"World"),
            frame_to(role, TEXT, b"W"),
            frame_to(role, FIN | PING, b"Ping"),
            frame_to(role, FIN | CONTINUATION, b"orld"),
            frame_to(role, FIN | RSV1 | TEXT, HELLO_AGAIN),
        ]
        .concat();
        let expected: Vec<Vec<u8>> = [&b"Hello"[..], b"World", b"World", b"Hello"].map(Into::into).into();
        for size in [1, 3, usize::MAX] {
            assert_eq!(take(&mut peer(role, &Config::default()), bytes.clone(), size), (expected.clone(), None));
        }
        // As we send them: what was sent plain in between is no part of our window either.
        let mut sender = sender(other(role), DeflateParameters::default());
        let secret: Vec<u8> = noise(500).into_iter().rev().collect();
        let text = noise(700);
        let mut lens = Vec::new();
        let mut bytes = Vec::new();
        for payload in [&text, &text, &secret] {
            sender.sender().send_uncompressed(Message::Binary(&secret)).unwrap();
            bytes.extend(drain(&mut sender, NOW));
            sender.send_binary(payload).unwrap();
            let sent = drain(&mut sender, NOW);
            lens.push(sent.len());
            bytes.extend(sent);
        }
        assert!(lens[0] > 700 && lens[1] < 50 && lens[2] > 500, "{lens:?}");
        let (received, failed) = take(&mut peer(role, &Config::default()), bytes, 11);
        assert_eq!(
            (received, failed),
            (vec![secret.clone(), text.clone(), secret.clone(), text, secret.clone(), secret], None)
        );
    }
}

#[test]
fn sec_pd_06_messages_without_a_byte_of_payload_are_empty() {
    for role in ROLES {
        // Nothing; the empty block; one behind a flush; a fixed one; a final one.
        for empty in [&b""[..], b"\0", b"\0\0\0\xff\xff\0", b"\x02\0", b"\x03\0\0", b"\x01"] {
            let fragmented = [
                frame_to(role, RSV1 | TEXT, b""),
                frame_to(role, CONTINUATION, empty),
                frame_to(role, FIN | CONTINUATION, b""),
            ];
            let bytes = [
                frame_to(role, FIN | RSV1 | TEXT, HELLO),
                frame_to(role, FIN | RSV1 | TEXT, empty),
                fragmented.concat(),
                // The last frame brings the tail alone.
                frame_to(role, RSV1 | TEXT, &HELLO_AGAIN[..HELLO_AGAIN.len() - 1]),
                frame_to(role, FIN | CONTINUATION, &HELLO_AGAIN[HELLO_AGAIN.len() - 1..]),
            ]
            .concat();
            let expected: Vec<Vec<u8>> = [&b"Hello"[..], b"", b"", b"Hello"].map(Into::into).into();
            for size in [1, 2, usize::MAX] {
                let received = take(&mut peer(role, &Config::default()), bytes.clone(), size);
                assert_eq!(received, (expected.clone(), None), "{empty:x?}");
            }
        }
    }
}

#[test]
fn sec_pd_06_output_that_just_fills_a_buffer_is_complete() {
    for bits in 8..=15 {
        let parameters =
            DeflateParameters { server_max_window_bits: bits, client_max_window_bits: bits, ..Default::default() };
        let window = 1 << bits;
        // The window of the receiver, the room of the sender's codec, the first reservation of the assembled message.
        for len in [window, 2 * window, 64 * KIB, 64 * KIB + window] {
            let messages: Vec<Vec<u8>> =
                [len - 1, len, 1, len + 1].iter().flat_map(|&len| [vec![7; len], noise(len)]).collect();
            let mut sender = sender(Role::Server, parameters);
            for message in &messages {
                sender.send_binary(message).unwrap();
            }
            let mut client = peer_with(Role::Client, &Config::default(), parameters);
            assert_eq!(take(&mut client, drain(&mut sender, NOW), 1460), (messages, None), "{bits} bits, {len} bytes");
        }
    }
}

#[test]
fn sec_pd_07_the_memory_of_many_connections_returns() {
    let talk = |parameters| {
        let mut client = sender(Role::Client, parameters);
        let mut server = sender(Role::Server, parameters);
        for to_server in [true, false] {
            let (from, to) = if to_server { (&mut client, &mut server) } else { (&mut server, &mut client) };
            from.send_binary(&noise(3000)).unwrap();
            let mut wire = drain(from, NOW);
            assert_eq!(take_error(to, &mut wire), None);
        }
        (client, server)
    };
    let forgetful = DeflateParameters {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        ..DeflateParameters::default()
    };
    let info = measure(|| {
        for _ in 0..50 {
            talk(DeflateParameters::default());
            talk(forgetful);
        }
    });
    assert_eq!((info.count_current, info.bytes_current), (0, 0));
    // Connections that stay: what they hold after `release_memory`.
    for (parameters, kept) in [(DeflateParameters::default(), 4 << 10), (forgetful, 0)] {
        let mut pairs = Vec::with_capacity(50);
        let info = measure(|| {
            for _ in 0..50 {
                let (mut client, mut server) = talk(parameters);
                let _ = (client.poll_event(), server.poll_event());
                client.release_memory();
                server.release_memory();
                pairs.push((client, server));
            }
        });
        assert!(info.bytes_current <= 50 * 2 * (kept + (2 << 10)), "{} bytes a pair", info.bytes_current / 50);
        for (client, server) in &mut pairs {
            server.send_text("still there").unwrap();
            assert_eq!(take(client, drain(server, NOW), 10), (vec![b"still there".to_vec()], None));
        }
    }
}

#[test]
fn sec_pd_08_no_stream_overflows_the_stack() {
    // Far less than the smallest default of any platform.
    let stack = std::thread::Builder::new().stack_size(128 * KIB);
    let run = || {
        let noise = noise(64 * KIB);
        for role in ROLES {
            for payload in [
                b"\x03\0".repeat(20_000),
                [0, 0, 0, 0xFF, 0xFF].repeat(10_000),
                // Dynamic blocks whose code lengths are nonsense.
                [&b"\x04"[..], &[0xFF; 10_000]].concat(),
                [&b"\xfc"[..], &noise].concat(),
            ] {
                let mut bytes = frame_to(role, FIN | RSV1 | BINARY, &payload);
                let _ = take_error(&mut peer(role, &Config::default()), &mut bytes);
            }
            for payload in noise.chunks(64) {
                // Each of the three types of a block, and the one that is reserved.
                for first in [0x00, 0x02, 0x04, 0x06] {
                    let payload = [&[first][..], payload].concat();
                    let mut bytes = frame_to(role, FIN | RSV1 | BINARY, &payload);
                    let mut ws = peer(role, &Config::default());
                    let failed = take_error(&mut ws, &mut bytes);
                    assert!(matches!(failed, None | Some(ProtocolError::InvalidDeflate)), "{payload:x?}: {failed:?}");
                    if failed.is_some() {
                        assert_fails_with(&mut ws, role, 1007);
                    }
                }
            }
        }
    };
    stack.spawn(run).unwrap().join().unwrap();
}

#[test]
fn sec_pd_09_the_length_of_an_uncompressed_message_reveals_nothing_of_its_content() {
    let secret = "apiKey=1f0e3dad99908345f7439f8ffabdffc4";
    for role in ROLES {
        let lens = |uncompressed: bool| -> Vec<usize> {
            let guesses = ["apiKey=1f0e3dad99908345f7439f8ffabdffc4", "apiKey=zyxwvutsrqponmlkjihgfedcba987654"];
            let lens = guesses.map(|guess| {
                let mut ws = sender(role, DeflateParameters::default());
                let reflected = format!("{guess} {secret}");
                let sent = match uncompressed {
                    true => ws.sender().send_uncompressed(Message::Text(&reflected)),
                    false => ws.send_text(&reflected),
                };
                sent.unwrap();
                ws.queued()
            });
            lens.into()
        };
        let compressed = lens(false);
        assert!(compressed[0] < compressed[1], "compression does tell: {compressed:?}");
        let plain = lens(true);
        assert_eq!(plain[0], plain[1]);
        // The frame says so, and holds what was given. Nothing of it helps a later message either.
        let mut ws = sender(role, DeflateParameters::default());
        ws.sender().send_uncompressed(Message::Text(secret)).unwrap();
        let frames = frames_from(role, &drain(&mut ws, NOW));
        assert_eq!((frames[0].first(), &frames[0].payload[..]), (FIN | TEXT, secret.as_bytes()));
        ws.send_text(secret).unwrap();
        let mut unprimed = sender(role, DeflateParameters::default());
        unprimed.send_text(secret).unwrap();
        assert_eq!(ws.queued(), unprimed.queued());
    }
}

#[test]
fn sec_pd_10_a_final_block_ends_neither_the_stream_nor_the_context() {
    for role in ROLES {
        let frame = |payload: &[u8]| frame_to(role, FIN | RSV1 | TEXT, payload);
        let final_alone = &HELLO_FINAL[..HELLO_FINAL.len() - 1];
        let bytes = [
            frame(HELLO_FINAL),
            frame(HELLO_AGAIN),
            // It may also end the message, or stand in the middle of one.
            frame(final_alone),
            frame(HELLO_AGAIN),
            frame(&[final_alone, HELLO].concat()),
            frame_to(role, RSV1 | TEXT, final_alone),
            frame_to(role, CONTINUATION, final_alone),
            frame_to(role, FIN | CONTINUATION, HELLO_AGAIN),
        ]
        .concat();
        let expected: Vec<Vec<u8>> =
            ["Hello", "Hello", "Hello", "Hello", "HelloHello", "HelloHelloHello"].map(Into::into).into();
        for size in [1, 5, usize::MAX] {
            assert_eq!(take(&mut peer(role, &Config::default()), bytes.clone(), size), (expected.clone(), None));
        }
    }
}

#[test]
fn sec_ap_01_messages_that_do_not_compress_stay_within_the_queue_whatever_the_window() {
    const MAX_QUEUED: usize = 256 * KIB;
    for role in ROLES {
        for bits in 8..=15 {
            for level in [0, 1, 6] {
                let parameters = DeflateParameters {
                    server_max_window_bits: bits,
                    client_max_window_bits: bits,
                    ..DeflateParameters::default()
                };
                let compression = Compression::new().threshold(0).level(level);
                let config = Config::new().max_queued(MAX_QUEUED).compression(compression);
                let mut ws = peer_with(role, &config, parameters);
                let mut payload = noise(MAX_QUEUED);
                // The longest that is taken at all, and then small ones until the queue is full.
                while ws.send_binary(&payload).is_err() {
                    payload.truncate(payload.len() - 1000);
                }
                assert!(ws.queued() <= MAX_QUEUED, "{} bytes at {bits} bits, level {level}", ws.queued());
                assert!(payload.len() > MAX_QUEUED * 4 / 5, "{} bytes at most", payload.len());
                let full = loop {
                    if let Err(error) = ws.send_binary(&payload[..50]) {
                        break error;
                    }
                };
                assert!(matches!(full, SendError::QueueFull { .. }));
                assert!(ws.queued() <= MAX_QUEUED, "{} bytes at {bits} bits, level {level}", ws.queued());
            }
        }
    }
}
