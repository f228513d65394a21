//! Properties that hold for any bytes, any split and any order of calls.

use std::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::websocket::{Config, Message, Role, SendError, SharedMessage, State, WebSocket};
use proptest::prelude::*;

use multiwa_ws_testkit::endpoint::Endpoint;
use multiwa_ws_testkit::event::{OwnedEvent, receive, receive_in_place};
use multiwa_ws_testkit::wire::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, close_to, frame_to, frames_from};

fn any_role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Client), Just(Role::Server)]
}

/// Limits that are small enough for the tests to exceed.
fn small_limits() -> Config {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    Config::new()
        .max_message_len(300)
        .max_frame_len(250)
        .max_fragments(4)
        .max_queued(2000)
        .message_timeout(seconds(20))
        .close_timeout(Duration::from_secs(5))
        .keep_alive(KeepAlive::new().interval(seconds(8)).timeout(seconds(3)))
}

/// The first byte of a frame, usually of one that is valid somewhere.
fn any_first() -> impl Strategy<Value = u8> {
    prop_oneof![
        4 => prop_oneof![Just(FIN | TEXT), Just(FIN | BINARY)],
        4 => prop_oneof![Just(TEXT), Just(BINARY)],
        6 => prop_oneof![Just(CONTINUATION), Just(FIN | CONTINUATION)],
        6 => prop_oneof![Just(FIN | PING), Just(FIN | PONG)],
        1 => any::<u8>(),
    ]
}

fn any_payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[a-zé€😀]{0,40}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..30),
        1 => (100..320usize).prop_map(|len| vec![b'x'; len]),
    ]
}

/// The input from a peer: frames, the end of the connection, garbage.
fn any_frame(role: Role) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        30 => (any_first(), any_payload()).prop_map(move |(first, payload)| frame_to(role, first, &payload)),
        2 => prop_oneof![Just(1000), Just(1001), Just(4000), any::<u16>()].prop_map(move |code| close_to(role, code, "why")),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(move |body| frame_to(role, FIN | CLOSE, &body)),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

fn any_input() -> impl Strategy<Value = (Role, Vec<u8>)> {
    any_role()
        .prop_flat_map(|role| (Just(role), prop::collection::vec(any_frame(role), 0..15).prop_map(|all| all.concat())))
}

/// Passes a piece of the input to a connection and returns the events.
type Receive = fn(&mut WebSocket, Instant, &[u8]) -> Vec<OwnedEvent>;

/// Passes `bytes` to `receive` in pieces, split at `cuts` and at `drains`. Writes the whole queue at each of the `drains`.
fn feed_cut(
    role: Role,
    bytes: &[u8],
    cuts: &[usize],
    drains: &[usize],
    receive: Receive,
) -> (Vec<OwnedEvent>, Vec<u8>) {
    let mut endpoint = Endpoint::with(role, &small_limits());
    let mut events = Vec::new();
    let mut places: Vec<usize> = cuts.iter().chain(drains).copied().chain([bytes.len()]).collect();
    places.sort_unstable();
    let mut at = 0;
    for place in places {
        if !matches!(events.last(), Some(OwnedEvent::Failed(_))) {
            events.extend(receive(&mut endpoint.ws, endpoint.now, &bytes[at..place]));
        }
        at = place;
        if drains.contains(&place) {
            endpoint.flush();
        }
    }
    endpoint.flush();
    (events, endpoint.wire)
}

/// A call, or a fault.
#[derive(Clone, Debug)]
enum Op {
    Receive(Vec<u8>),
    ReceiveInPlace(Vec<u8>),
    /// Takes the room without a read, or claims more bytes than it has.
    MisuseRoom(bool),
    Text(String),
    Binary(Vec<u8>),
    Uncompressed(Vec<u8>),
    Shared(Vec<u8>),
    TextFragment(String, bool),
    BinaryFragment(Vec<u8>, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
    Transmit(usize),
    Flush,
    Confirm(usize),
    Pass(Duration),
    SleepToTheDeadline,
    TimeGoesBack(Duration),
    Pause,
    Resume,
    ShutDown,
    ReleaseMemory,
    Eof,
    Lost,
    Abort,
}

fn any_op(role: Role) -> impl Strategy<Value = Op> {
    let len = || prop_oneof![9 => 0..140usize, 1 => 0..2100usize];
    let bytes = move || len().prop_map(|len| vec![7; len]);
    let text = || "[a-zé€😀]{0,60}";
    prop_oneof![
        20 => any_frame(role).prop_map(Op::Receive),
        10 => any_frame(role).prop_map(Op::ReceiveInPlace),
        1 => any::<bool>().prop_map(Op::MisuseRoom),
        3 => prop::collection::vec(any::<u8>(), 0..12).prop_map(Op::Receive),
        4 => text().prop_map(Op::Text),
        4 => bytes().prop_map(Op::Binary),
        2 => bytes().prop_map(Op::Uncompressed),
        4 => bytes().prop_map(Op::Shared),
        4 => (text(), any::<bool>()).prop_map(|(text, end)| Op::TextFragment(text, end)),
        4 => (bytes(), any::<bool>()).prop_map(|(bytes, end)| Op::BinaryFragment(bytes, end)),
        3 => bytes().prop_map(Op::Ping),
        3 => bytes().prop_map(Op::Pong),
        1 => (prop_oneof![Just(1000), any::<u16>()], "[a-z]{0,130}").prop_map(|(code, reason)| Op::Close(code, reason)),
        20 => (0..200usize).prop_map(Op::Transmit),
        8 => Just(Op::Flush),
        1 => (0..4usize).prop_map(Op::Confirm),
        6 => (0..4000u64).prop_map(|millis| Op::Pass(Duration::from_millis(millis))),
        6 => Just(Op::SleepToTheDeadline),
        2 => (0..100_000u64).prop_map(|millis| Op::TimeGoesBack(Duration::from_millis(millis))),
        2 => Just(Op::Pause),
        3 => Just(Op::Resume),
        6 => Just(Op::ShutDown),
        1 => Just(Op::ReleaseMemory),
        1 => Just(Op::Eof),
        1 => prop_oneof![3 => Just(Op::Flush), 1 => Just(Op::Lost), 1 => Just(Op::Abort)],
    ]
}

fn any_ops() -> impl Strategy<Value = (Role, Vec<Op>)> {
    any_role().prop_flat_map(|role| (Just(role), prop::collection::vec(any_op(role), 0..60)))
}

/// The bytes that the queue may hold beyond its limit: 64 pongs and one held back, a keep-alive ping, a Close frame.
const PAST_THE_LIMIT: usize = 67 * (125 + 6);

/// Does one operation and asserts the conditions that always hold.
fn apply(endpoint: &mut Endpoint, op: &Op, events: &mut Vec<OwnedEvent>) {
    let before = endpoint.ws.state();
    let queued = endpoint.ws.sender().queued();
    let now = endpoint.now;
    let mut out = endpoint.ws.sender();
    let mut sent = Ok(());
    match op {
        Op::Receive(bytes) => events.extend(endpoint.feed(bytes)),
        Op::ReceiveInPlace(bytes) => events.extend(receive_in_place(&mut endpoint.ws, now, bytes)),
        Op::MisuseRoom(claims) => {
            if let Some(room) = endpoint.ws.room() {
                room.filled(now, if *claims { usize::MAX } else { 0 });
            }
        }
        Op::Text(text) => sent = out.send_text(text),
        Op::Binary(payload) => sent = out.send_binary(payload),
        Op::Uncompressed(payload) => sent = out.send_uncompressed(Message::Binary(payload)),
        Op::Shared(payload) => sent = out.send_shared(&SharedMessage::binary(payload)),
        Op::TextFragment(text, end) => sent = out.send_fragment(Message::Text(text), *end),
        Op::BinaryFragment(payload, end) => sent = out.send_fragment(Message::Binary(payload), *end),
        Op::Ping(payload) => sent = out.ping(payload),
        Op::Pong(payload) => sent = out.pong(payload),
        Op::Close(code, reason) => sent = out.close(now, CloseCode::new(*code), reason),
        Op::Transmit(max) => {
            endpoint.transmit(*max);
        }
        Op::Flush => endpoint.flush(),
        // A driver confirms only bytes that it wrote: here it wrote none.
        Op::Confirm(times) => (0..*times).for_each(|_| endpoint.ws.transmitted(now, 0)),
        Op::Pass(time) => {
            endpoint.now += *time;
            endpoint.ws.handle_timeout(endpoint.now);
        }
        Op::SleepToTheDeadline => sleep(endpoint),
        Op::TimeGoesBack(time) => {
            let past = Instant::from_nanos(now.as_nanos() - u64::try_from(time.as_nanos()).unwrap());
            let deadline = endpoint.ws.poll_timeout();
            endpoint.ws.handle_timeout(past);
            assert_eq!(endpoint.ws.poll_timeout(), deadline);
            assert_eq!((endpoint.ws.state(), endpoint.ws.sender().queued()), (before, queued));
        }
        Op::Pause => endpoint.ws.reading_paused(now),
        Op::Resume => endpoint.ws.reading_resumed(now),
        Op::ShutDown => endpoint.ws.shutdown_done(),
        Op::ReleaseMemory => endpoint.ws.release_memory(),
        Op::Eof => endpoint.eof(),
        Op::Lost => endpoint.ws.handle_lost(now),
        Op::Abort => endpoint.ws.abort(now),
    }
    let (after, left) = (endpoint.ws.state(), endpoint.ws.sender().queued());
    assert!(before <= after, "{before:?} to {after:?} by {op:?}");
    assert!(left <= small_limits().get_max_queued() + PAST_THE_LIMIT, "{left} bytes queued after {op:?}");
    if sent.is_err() {
        assert_eq!((left, after), (queued, before), "{op:?} was refused with {sent:?}");
    }
    if before != State::Open && !matches!(sent, Ok(()) | Err(SendError::Closed)) {
        panic!("{op:?} while {before:?} was refused with {sent:?}");
    }
    assert_eq!(endpoint.closed().is_some(), after == State::Closed);
    assert!(!endpoint.ws.poll_shutdown() || left == 0, "all is written before a shutdown");
}

/// Sleeps until the next deadline and asserts that it has an effect.
fn sleep(endpoint: &mut Endpoint) {
    let Some(deadline) = endpoint.ws.poll_timeout() else { return };
    endpoint.now = endpoint.now.max(deadline);
    let (state, queued) = (endpoint.ws.state(), endpoint.ws.sender().queued());
    endpoint.ws.handle_timeout(endpoint.now);
    let moved = endpoint.ws.poll_timeout().is_none_or(|next| next > deadline);
    let acted = endpoint.ws.state() != state || endpoint.ws.sender().queued() > queued;
    assert!(moved || acted, "woken at {deadline:?} for nothing");
}

fn run(role: Role, ops: &[Op]) -> (Vec<OwnedEvent>, Endpoint) {
    let mut endpoint = Endpoint::with(role, &small_limits());
    let mut events = Vec::new();
    for op in ops {
        apply(&mut endpoint, op, &mut events);
    }
    (events, endpoint)
}

proptest! {
    #[test]
    fn any_bytes_mean_the_same_in_any_split(
        (role, bytes) in any_input(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        drains in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let places = |indices: &[prop::sample::Index]| -> Vec<usize> {
            indices.iter().map(|index| index.index(bytes.len() + 1)).collect()
        };
        let (cuts, drains) = (places(&cuts), places(&drains));
        let whole = feed_cut(role, &bytes, &[], &drains, receive);
        prop_assert_eq!(&feed_cut(role, &bytes, &cuts, &drains, receive), &whole);
        prop_assert_eq!(&feed_cut(role, &bytes, &cuts, &drains, receive_in_place), &whole);
        let every: Vec<usize> = (0..bytes.len()).collect();
        prop_assert_eq!(&feed_cut(role, &bytes, &every, &drains, receive), &whole);
    }

    #[test]
    fn any_calls_in_any_order_keep_every_promise((role, ops) in any_ops()) {
        let (events, mut endpoint) = run(role, &ops);
        // There is no event after a Close frame, and only the same error after an error.
        if let Some(last) = events.iter().position(|events| matches!(events, OwnedEvent::Close(_) | OwnedEvent::Failed(_))) {
            prop_assert!(events[last + 1..].iter().all(|after| *after == events[last] && matches!(after, OwnedEvent::Failed(_))));
        }
        // After any operations, a close ends the connection in time.
        let _ = endpoint.ws.close(endpoint.now, CloseCode::NORMAL, "");
        if endpoint.ws.state() != State::Closed {
            let latest = endpoint.now + small_limits().get_close_timeout();
            prop_assert!(endpoint.ws.poll_timeout().is_some_and(|deadline| deadline <= latest));
            endpoint.flush();
            while endpoint.closed().is_none() {
                sleep(&mut endpoint);
            }
            prop_assert!(endpoint.now <= latest);
        }
        prop_assert_eq!(endpoint.ws.poll_timeout(), None);
        let closed = endpoint.closed().unwrap();
        let frames = frames_from(role, &endpoint.wire);
        let close_sent = frames.last().is_some_and(|frame| frame.first() == FIN | CLOSE);
        let close_received = events.iter().any(|events| matches!(events, OwnedEvent::Close(_)));
        prop_assert_eq!(closed.clean, close_sent && close_received, "{:?}", closed);
        prop_assert_eq!(closed.code == CloseCode::ABNORMAL, !close_received);
    }

    #[test]
    fn the_same_seed_and_calls_give_the_same_bytes_and_events((role, ops) in any_ops()) {
        let (events, mut endpoint) = run(role, &ops);
        let (received_again, mut again) = run(role, &ops);
        prop_assert_eq!(events, received_again);
        prop_assert_eq!(&endpoint.wire, &again.wire);
        prop_assert_eq!(endpoint.closed(), again.closed());
    }

    #[test]
    fn what_one_peer_sends_the_other_receives(
        role in any_role(),
        messages in prop::collection::vec((any_payload(), 1..4usize), 0..20),
        writes in prop::collection::vec(1..100usize, 1..20),
    ) {
        let config = Config::new().max_queued(1 << 20);
        let other = if role == Role::Client { Role::Server } else { Role::Client };
        let (mut from, mut to) = (Endpoint::with(role, &config), Endpoint::with(other, &config));
        let mut expected = Vec::new();
        for (payload, pieces) in &messages {
            match std::str::from_utf8(payload) {
                Ok(text) => {
                    from.ws.send_text(text).unwrap();
                    expected.push(OwnedEvent::text(text));
                }
                Err(_) => {
                    for (i, piece) in payload.chunks(payload.len().div_ceil(*pieces)).enumerate() {
                        let end = (i + 1) * payload.len().div_ceil(*pieces) >= payload.len();
                        from.ws.sender().send_fragment(Message::Binary(piece), end).unwrap();
                    }
                    expected.push(OwnedEvent::Binary(payload.clone()));
                }
            }
        }
        let mut events = Vec::new();
        for write in writes.into_iter().cycle() {
            let sent = from.wire.len();
            if from.transmit(write) == 0 {
                break;
            }
            let chunk = from.wire[sent..].to_vec();
            events.extend(to.feed(&chunk));
        }
        prop_assert_eq!(events, expected);
    }
}
