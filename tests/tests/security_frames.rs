//! Attacks on frames and messages, each by the id of its row in the list of security cases.

#![cfg(test)]

use std::collections::BTreeSet;
use std::time::Duration;

use allocation_counter::measure;
use multiwa_ws_core::Instant;
use multiwa_ws_core::frame::{CloseCode, FrameError, InvalidClose};
use multiwa_ws_core::websocket::{Config, Negotiated, ProtocolError, Role, SendError, State, WebSocket};

use multiwa_ws_testkit::endpoint::{Endpoint, events_in_any_split, untimed};
use multiwa_ws_testkit::event::OwnedEvent;
use multiwa_ws_testkit::wire::{
    BINARY, CLOSE, CONTINUATION, FIN, KEY, PING, PONG, TEXT, close_body, close_to, frame_to, frames_from, header_to,
};

const ROLES: [Role; 2] = [Role::Client, Role::Server];
const KIB: u64 = 1 << 10;

/// What the harness itself may allocate meanwhile.
const NOISE: u64 = 8 * KIB;

/// The most fragments of a message, by default.
const MAX_FRAGMENTS: u64 = 1 << 20;

/// The most memory that `run` held at once, beyond what was held before.
fn peak_of(run: impl FnOnce()) -> u64 {
    measure(run).bytes_max
}

/// Takes `bytes` in and drops the events; the error, if there is one.
fn take(ws: &mut WebSocket, bytes: &mut [u8]) -> Option<ProtocolError> {
    let mut input = bytes;
    loop {
        match ws.handle_input(Instant::default(), &mut input) {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(error) => return Some(error),
        }
    }
}

fn websocket(role: Role, config: &Config) -> WebSocket {
    WebSocket::new(Instant::default(), role, config, &Negotiated::default(), [7; 32])
}

/// A header with a 64-bit length field, be it the shortest or not.
fn long_header(role: Role, first: u8, len: u64) -> Vec<u8> {
    let mask_bit = if role == Role::Server { 0x80 } else { 0 };
    let mut bytes = vec![first, mask_bit | 127];
    bytes.extend(len.to_be_bytes());
    if role == Role::Server {
        bytes.extend(KEY);
    }
    bytes
}

#[test]
fn sec_fr_01_a_length_near_the_end_of_any_integer_is_refused_without_allocation() {
    for role in ROLES {
        for first in [FIN | BINARY, BINARY, FIN | TEXT] {
            for below in 0..=14 {
                for (end, error) in [
                    (u64::MAX, FrameError::LengthOverflow),
                    (1 << 63, if below == 0 { FrameError::LengthOverflow } else { FrameError::TooLarge }),
                    // What `usize::MAX` is where it has 32 bits, and what `i32` ends with.
                    (u64::from(u32::MAX), FrameError::TooLarge),
                    (1 << 32, FrameError::TooLarge),
                    (1 << 31, FrameError::TooLarge),
                ] {
                    let mut header = long_header(role, first, end - below);
                    let mut ws = websocket(role, &untimed());
                    let mut failed = None;
                    let peak = peak_of(|| failed = take(&mut ws, &mut header));
                    assert_eq!(failed, Some(error.into()), "{end} - {below}");
                    assert!(peak < NOISE, "{peak} bytes for {end} - {below}");
                }
            }
        }
    }
}

#[test]
fn sec_fr_01_the_longest_lengths_overflow_nothing_when_every_limit_is_off() {
    let config = untimed().max_message_len(usize::MAX).max_frame_len(u64::MAX);
    for role in ROLES {
        for below in 1..=14 {
            let mut ws = websocket(role, &config);
            // With bytes held already, sums of held and announced bytes are past the end of the integer.
            assert_eq!(take(&mut ws, &mut frame_to(role, BINARY, b"held")), None);
            let mut bytes = [&long_header(role, CONTINUATION, (1 << 63) - below)[..], b"arrived"].concat();
            let mut failed = None;
            let peak = peak_of(|| failed = take(&mut ws, &mut bytes));
            assert_eq!(failed, None);
            assert!(peak < 64 * KIB + NOISE, "{peak}");
        }
    }
}

#[test]
fn sec_fr_02_a_declared_length_allocates_little_and_arriving_bytes_no_more_than_twice_their_own() {
    const LEN: usize = 16 << 20;
    let config = untimed().max_message_len(LEN);
    for role in ROLES {
        for kind in [TEXT, BINARY] {
            let mut ws = websocket(role, &config);
            let mut header = header_to(role, FIN | kind, LEN as u64);
            let mut chunk = vec![0; 10_000];
            let on_header = peak_of(|| assert_eq!(take(&mut ws, &mut header), None));
            assert!(on_header <= 64 * KIB + NOISE, "{on_header} bytes on the header");
            let (mut received, mut held) = (0, 0);
            while received + chunk.len() < LEN {
                // Masked zeros are the key; 'x' keeps the text valid in both roles.
                for (i, byte) in chunk.iter_mut().enumerate() {
                    let key = if role == Role::Server { KEY[(received + i) % 4] } else { 0 };
                    *byte = b'x' ^ key;
                }
                held += measure(|| assert_eq!(take(&mut ws, &mut chunk), None)).bytes_current;
                received += chunk.len();
                let allowed = i64::try_from(LEN.min(received.max(32 << 10) * 2)).unwrap();
                assert!(held <= allowed, "{held} bytes held for {received}, {allowed} allowed");
            }
        }
    }
}

#[test]
fn sec_fr_03_a_flood_of_empty_fragments_is_counted_and_holds_no_memory() {
    for role in ROLES {
        let mut ws = websocket(role, &untimed());
        let mut first = frame_to(role, BINARY, b"");
        let empty = frame_to(role, CONTINUATION, b"");
        let mut chunk = empty.clone();
        let peak = peak_of(|| {
            assert_eq!(take(&mut ws, &mut first), None);
            for _ in 1..MAX_FRAGMENTS {
                chunk.copy_from_slice(&empty);
                assert_eq!(take(&mut ws, &mut chunk), None);
            }
        });
        assert!(peak < NOISE, "{peak}");
        chunk.copy_from_slice(&empty);
        assert_eq!(take(&mut ws, &mut chunk), Some(ProtocolError::TooManyFragments));
    }
}

#[test]
fn sec_fr_03_a_flood_of_tiny_fragments_holds_memory_by_their_bytes() {
    for role in ROLES {
        let mut ws = websocket(role, &untimed());
        let mut first = frame_to(role, BINARY, b"1");
        let tiny = frame_to(role, CONTINUATION, b"1");
        let mut chunk = tiny.clone();
        let peak = peak_of(|| {
            assert_eq!(take(&mut ws, &mut first), None);
            for _ in 1..MAX_FRAGMENTS {
                chunk.copy_from_slice(&tiny);
                assert_eq!(take(&mut ws, &mut chunk), None);
            }
        });
        // While a buffer grows, the old one and the new one exist side by side.
        assert!(peak <= 3 * MAX_FRAGMENTS + NOISE, "{peak}");
        chunk.copy_from_slice(&tiny);
        assert_eq!(take(&mut ws, &mut chunk), Some(ProtocolError::TooManyFragments));
    }
}

#[test]
fn sec_fr_04_a_fragmented_message_that_never_ends_is_cut_off_however_lively_it_is() {
    for role in ROLES {
        let mut endpoint = Endpoint::with(role, &Config::default());
        endpoint.feed(&frame_to(role, TEXT, b"once upon a time"));
        for _ in 0..59 {
            endpoint.pass(1);
            endpoint.feed(&frame_to(role, CONTINUATION, b" and"));
            endpoint.feed(&frame_to(role, FIN | PING, b""));
            assert_eq!(endpoint.ws.state(), State::Open);
        }
        endpoint.pass(1);
        assert_eq!(endpoint.ws.state(), State::Failing);
        assert_eq!(endpoint.feed(b""), [OwnedEvent::Failed(ProtocolError::MessageTimeout)]);
        assert_eq!(endpoint.sent_parts().last(), Some(&(FIN | CLOSE, close_body(1008, ""))));
    }
}

#[test]
fn sec_fr_05_malformed_frames_fail_the_connection_with_1002_and_deliver_nothing() {
    for role in ROLES {
        let frame = |first, payload: &[u8]| frame_to(role, first, payload);
        let mut cases: Vec<(Vec<u8>, ProtocolError)> = vec![
            (long_header(role, FIN | BINARY, 5), FrameError::NonMinimalLength.into()),
            (long_header(role, FIN | BINARY, 0xFFFF), FrameError::NonMinimalLength.into()),
            (frame(FIN, b"a"), ProtocolError::UnexpectedContinuation),
            ([frame(TEXT, b"a"), frame(FIN | TEXT, b"b")].concat(), ProtocolError::ExpectedContinuation),
            ([frame(TEXT, b"a"), frame(BINARY, b"b")].concat(), ProtocolError::ExpectedContinuation),
        ];
        cases.extend(
            [0x10, 0x20, 0x40, 0x70].map(|bits| (frame(FIN | TEXT | bits, b"a"), FrameError::ReservedBits.into())),
        );
        cases.extend(
            (0x3..=0x7).chain(0xB..=0xF).map(|code| (frame(FIN | code, b"a"), FrameError::ReservedOpcode.into())),
        );
        for control in [CLOSE, PING, PONG] {
            cases.push((frame(control, b""), FrameError::FragmentedControl.into()));
            cases.push((frame(FIN | control, &[b'a'; 126]), FrameError::ControlTooLong.into()));
            cases.push((long_header(role, FIN | control, 1), FrameError::ControlTooLong.into()));
        }
        for (bytes, error) in cases {
            let (events, sent) = events_in_any_split(|| Endpoint::new(role), &bytes);
            assert_eq!(events, [OwnedEvent::Failed(error)], "{bytes:x?}");
            assert_eq!(sent, [(FIN | CLOSE, close_body(1002, ""))]);
        }
    }
}

#[test]
fn sec_fr_06_a_server_refuses_unmasked_frames_and_a_client_masked_ones() {
    for (role, sender_of, error) in
        [(Role::Server, Role::Client, FrameError::Unmasked), (Role::Client, Role::Server, FrameError::Masked)]
    {
        for first in [FIN | TEXT, BINARY, FIN | PING, FIN | PONG, FIN | CLOSE] {
            let (events, sent) = events_in_any_split(|| Endpoint::new(role), &frame_to(sender_of, first, b""));
            assert_eq!(events, [OwnedEvent::Failed(error.into())]);
            assert_eq!(sent, [(FIN | CLOSE, close_body(1002, ""))]);
        }
        // The second byte already shows it.
        let mut endpoint = Endpoint::new(role);
        assert_eq!(endpoint.feed(&frame_to(sender_of, FIN | TEXT, b"abc")[..2]), [OwnedEvent::Failed(error.into())]);
    }
}

#[test]
fn sec_fr_07_a_masking_key_is_drawn_for_each_frame_of_each_kind_and_never_reused() {
    let mut client = Endpoint::new(Role::Client);
    for _ in 0..500 {
        client.ws.send_text("secret").unwrap();
        client.ws.send_binary(b"secret").unwrap();
        client.ws.sender().ping(b"secret").unwrap();
        client.feed(&frame_to(Role::Client, FIN | PING, b"secret"));
        client.flush();
    }
    client.close(1000);
    let keys: Vec<[u8; 4]> = client.sent().iter().map(|frame| frame.masking_key.unwrap()).collect();
    assert_eq!(keys.len(), 2001);
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
    // Every bit of the key is drawn: over 2,000 keys, each is set about half the time.
    for bit in 0..32 {
        let set = keys.iter().filter(|key| u32::from_be_bytes(**key) >> bit & 1 == 1).count();
        assert!((800..=1200).contains(&set), "bit {bit} is set in {set} of {} keys", keys.len());
    }
}

#[test]
fn sec_fr_08_no_input_makes_a_call_without_progress() {
    for role in ROLES {
        for seed in 0..300u32 {
            // Frames of all kinds, valid and not, from a small generator of its own.
            let mut state = seed.wrapping_mul(2_654_435_761) | 1;
            let mut next = || {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state.to_be_bytes()
            };
            let mut bytes: Vec<u8> = Vec::new();
            for _ in 0..20 {
                let [first, len, pick, noise] = next();
                let first =
                    [FIN | TEXT, BINARY, CONTINUATION, FIN, FIN | PING, FIN | PONG, first][usize::from(pick % 7)];
                bytes.extend(frame_to(role, first, &vec![noise & 0x7F; usize::from(len % 40)]));
            }
            let mut ws = websocket(role, &untimed());
            let mut input = &mut bytes[..];
            loop {
                let before = input.len();
                match ws.handle_input(Instant::default(), &mut input) {
                    Ok(Some(_)) => assert!(input.len() < before, "an event costs the peer at least a byte"),
                    Ok(None) | Err(_) => break,
                }
            }
            assert!(input.is_empty(), "all is taken");
        }
    }
}

#[test]
fn sec_fr_09_bad_close_frames_are_refused_and_never_echoed() {
    for role in ROLES {
        let mut cases = vec![
            (vec![0x03], InvalidClose::Truncated, 1002),
            ([&close_body(1000, "")[..], b"\xFF"].concat(), InvalidClose::Reason, 1007),
            ([&close_body(1000, "")[..], b"cut \xF0\x9F\x98"].concat(), InvalidClose::Reason, 1007),
            // Every byte would become three if it were read lossily: 369 in place of 123.
            ([&close_body(1000, "")[..], &[0x80; 123]].concat(), InvalidClose::Reason, 1007),
        ];
        for code in [0, 999, 1004, 1005, 1006, 1015].into_iter().chain([1016, 2000, 2999, 5000, 65535]) {
            cases.push((close_body(code, "why"), InvalidClose::Code, 1002));
        }
        for (body, error, code) in cases {
            let (events, sent) = events_in_any_split(|| Endpoint::new(role), &frame_to(role, FIN | CLOSE, &body));
            assert_eq!(events, [OwnedEvent::Failed(error.into())], "{body:x?}");
            assert_eq!(sent, [(FIN | CLOSE, close_body(code, ""))]);
        }
        let longest = "é".repeat(61) + "!";
        let (events, _) = events_in_any_split(|| Endpoint::new(role), &close_to(role, 1000, &longest));
        assert_eq!(events, [OwnedEvent::close(1000, &longest)]);
    }
}

#[test]
fn sec_fr_10_nothing_after_a_close_frame_is_handled_or_kept() {
    for role in ROLES {
        let mut ws = websocket(role, &untimed());
        assert_eq!(take(&mut ws, &mut close_to(role, 1000, "")), None);
        let queued = ws.sender().queued();
        let frame = frame_to(role, BINARY, &[1; 1000]);
        let mut chunk = frame.clone();
        let peak = peak_of(|| {
            for _ in 0..1000 {
                chunk.copy_from_slice(&frame);
                assert_eq!(take(&mut ws, &mut chunk), None);
            }
        });
        assert!(peak < NOISE, "{peak}");
        assert_eq!((ws.sender().queued(), ws.state()), (queued, State::Flushing));
    }
}

#[test]
fn sec_fr_11_control_frames_hold_what_was_given_and_nothing_else() {
    for role in ROLES {
        for len in 0..=125 {
            let given: Vec<u8> = (0..len).map(|i| i ^ 0xA5).collect();
            let mut endpoint = Endpoint::new(role);
            endpoint.ws.sender().ping(&given).unwrap();
            endpoint.ws.sender().pong(&given).unwrap();
            let ping = frame_to(role, FIN | PING, &given);
            let (head, tail) = ping.split_at(ping.len() / 2);
            endpoint.feed(head);
            endpoint.feed(tail);
            let reason = "r".repeat(usize::from(len).min(123));
            endpoint.ws.close(endpoint.now, CloseCode::NORMAL, &reason).unwrap();
            assert_eq!(
                endpoint.sent_parts(),
                [
                    (FIN | PING, given.clone()),
                    (FIN | PONG, given.clone()),
                    (FIN | PONG, given),
                    (FIN | CLOSE, close_body(1000, &reason)),
                ],
            );
        }
        let mut endpoint = Endpoint::new(role);
        let mut sender = endpoint.ws.sender();
        for refused in [sender.ping(&[0; 126]), sender.pong(&[0; 126])] {
            assert_eq!(refused, Err(SendError::ControlTooLong));
        }
        assert_eq!(endpoint.sent_parts(), []);
    }
}

#[test]
fn sec_fr_12_a_flood_of_pings_holds_a_bounded_queue() {
    for role in ROLES {
        let mut ws = websocket(role, &untimed());
        let ping = frame_to(role, FIN | PING, &[1; 125]);
        let mut chunk = ping.clone();
        let peak = peak_of(|| {
            for _ in 0..50_000 {
                chunk.copy_from_slice(&ping);
                assert_eq!(take(&mut ws, &mut chunk), None);
            }
        });
        assert!(ws.sender().queued() <= 64 * 131, "{}", ws.sender().queued());
        assert!(peak <= 3 * 64 * 131 + NOISE, "{peak}");
        let mut slices = [&[][..]; 2];
        let filled = ws.poll_transmit(&mut slices);
        assert_eq!(frames_from(role, &slices[..filled].concat()).len(), 64);
    }
}

#[test]
fn sec_fr_13_bad_utf8_is_refused_at_the_byte_that_shows_it_in_any_fragmentation() {
    // Each with the length of the shortest prefix that nothing can mend.
    let cases: [(&[u8], usize); 12] = [
        (b"a\x80", 2),
        (b"a\xC0\x80", 2),
        (b"a\xC1\xBF", 2),
        (b"a\xE0\x80\x80", 3),
        (b"a\xE0\x9F\xBF", 3),
        (b"a\xED\xA0\x80", 3),
        (b"a\xED\xBF\xBF", 3),
        (b"a\xF0\x8F\xBF\xBF", 3),
        (b"a\xF4\x90\x80\x80", 3),
        (b"a\xF5\x80\x80\x80", 2),
        (b"a\xC3(", 3),
        (b"a\xF0\x9F\x98(", 5),
    ];
    for role in ROLES {
        for (text, fails_at) in cases {
            let mut endpoint = Endpoint::new(role);
            for (at, byte) in text.iter().enumerate() {
                let first = if at == 0 { TEXT } else { CONTINUATION };
                let events = endpoint.feed(&frame_to(role, first, &[*byte]));
                if at + 1 == fails_at {
                    assert_eq!(events, [OwnedEvent::Failed(ProtocolError::InvalidText)], "{text:x?}");
                    break;
                }
                assert_eq!(events, [], "{text:x?} at {at}");
            }
            for cut in 0..=text.len() {
                let (head, tail) = text.split_at(cut);
                let bytes = [frame_to(role, TEXT, head), frame_to(role, FIN, tail)].concat();
                let (events, sent) = events_in_any_split(|| Endpoint::new(role), &bytes);
                assert_eq!(events, [OwnedEvent::Failed(ProtocolError::InvalidText)]);
                assert_eq!(sent, [(FIN | CLOSE, close_body(1007, ""))]);
            }
        }
        // Cut off by the end of the message, wherever its fragments end.
        for cut in 0..=3 {
            let (head, tail) = b"\xF0\x9F\x98".split_at(cut);
            let bytes = [frame_to(role, TEXT, head), frame_to(role, FIN, tail)].concat();
            let (events, _) = events_in_any_split(|| Endpoint::new(role), &bytes);
            assert_eq!(events, [OwnedEvent::Failed(ProtocolError::InvalidText)]);
        }
    }
}

#[test]
fn sec_fr_14_the_framing_of_the_old_drafts_fails_within_one_header() {
    for role in ROLES {
        for bytes in [
            // A text frame of draft 76, its closing handshake, and a binary length of seven bits a byte without end.
            [&[0x00][..], b"hello", &[0xFF]].concat(),
            vec![0xFF, 0x00],
            [&[0x80][..], &[0xFF; 1000]].concat(),
            [&[0x80][..], &[0x80; 1000]].concat(),
        ] {
            let mut endpoint = Endpoint::new(role);
            let mut fed = 0;
            let failed = bytes.iter().any(|byte| {
                fed += 1;
                matches!(endpoint.feed(&[*byte])[..], [OwnedEvent::Failed(_)])
            });
            assert!(failed && fed <= 14, "{bytes:x?} as {role:?} after {fed} bytes");
            assert_eq!(endpoint.sent_parts(), [(FIN | CLOSE, close_body(1002, ""))]);
        }
    }
}

#[test]
fn sec_fr_08_deadlines_are_as_many_as_there_are_periods() {
    for role in ROLES {
        let mut endpoint = Endpoint::with(role, &Config::default());
        endpoint.feed(&frame_to(role, TEXT, b"under way"));
        let mut timeouts = 0;
        while let Some(deadline) = endpoint.ws.poll_timeout() {
            assert!(deadline >= endpoint.now && timeouts < 10);
            endpoint.now = deadline;
            endpoint.ws.handle_timeout(deadline);
            timeouts += 1;
        }
        assert!(endpoint.closed().is_some() && endpoint.now <= Instant::default() + Duration::from_secs(1040));
    }
}
