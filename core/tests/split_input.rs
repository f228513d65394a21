//! Input of a peer has the same meaning in every split: frames (layer 1) and whole peers with their upgrade (layer 4).
//! `websocket/properties.rs` tests this for messages of a connection (layer 2).
#![cfg(test)]
#![cfg(all(feature = "server", feature = "session"))]

use multiwa_ws_core::client::{self, Client};
use multiwa_ws_core::frame::{FrameDecoder, FrameError, FrameHeader, FrameRules};
use multiwa_ws_core::handshake::{Acceptance, ClientRequest};
use multiwa_ws_core::server::{self, Connection};
use multiwa_ws_core::session::{EventNames, RawJson, encode_event};
use multiwa_ws_core::websocket::SharedMessage;
use multiwa_ws_core::{Instant, WallClock};
use multiwa_ws_testkit::wire::drain;
use proptest::prelude::*;
use proptest::sample::Index;

const NOW: Instant = Instant::from_nanos(7);

/// The pieces of `bytes` between these positions, or single bytes if there are no positions.
fn pieces(bytes: &[u8], cuts: &[Index]) -> Vec<Vec<u8>> {
    if cuts.is_empty() {
        return bytes.iter().map(|byte| vec![*byte]).collect();
    }
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|ends| bytes[ends[0]..ends[1]].to_vec()).collect()
}

/// Every frame with its payload, and the error of the stream.
fn decode(rules: FrameRules, pieces: Vec<Vec<u8>>) -> (Vec<(FrameHeader, Vec<u8>)>, Option<FrameError>) {
    let mut decoder = FrameDecoder::new(rules);
    let mut frames: Vec<(FrameHeader, Vec<u8>)> = Vec::new();
    for mut piece in pieces {
        let mut input = &mut piece[..];
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(part)) => {
                    if part.first {
                        frames.push((part.header, Vec::new()));
                    }
                    frames.last_mut().unwrap().1.extend_from_slice(part.payload);
                }
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

/// The values that a peer returns, in order, and the bytes that it sends.
#[derive(Debug, Default, PartialEq, Eq)]
struct Course {
    returned: Vec<String>,
    sent: Vec<u8>,
}

fn client() -> Client {
    let mut client = Client::new(client::Config::default(), [7; 32]);
    client.commands().subscribe(NOW, "p", &EventNames::every()).unwrap();
    client.connect(NOW).unwrap();
    assert!(client.poll_action().is_some());
    client.connected(NOW, ClientRequest::new("h", "/ws")).unwrap();
    client
}

/// Passes the pieces to a client, and writes its output at the end.
fn course_of_client(pieces: Vec<Vec<u8>>) -> Course {
    let (mut client, mut course) = (client(), Course::default());
    course.sent.extend(drain(&mut client, NOW));
    for mut piece in pieces {
        let mut input = &mut piece[..];
        while let Some(received) = client.handle_input(NOW, &mut input) {
            course.returned.push(format!("{:?}", received.event));
        }
        assert!(input.is_empty());
        course.returned.extend(std::iter::from_fn(|| client.poll_event()).map(|event| format!("{event:?}")));
    }
    course.sent.extend(drain(&mut client, NOW));
    course
}

/// Passes the pieces to a server connection, which accepts the upgrade. Publishes and writes at the end.
fn course_of_server(pieces: Vec<Vec<u8>>, events: &[String]) -> Course {
    let mut connection = Connection::new(NOW, &server::Config::default());
    let mut course = Course::default();
    for mut piece in pieces {
        let mut input = &mut piece[..];
        loop {
            match connection.handle_input(NOW, &mut input) {
                Ok(Some(event)) => {
                    course.returned.push(format!("{event:?}"));
                    if event == server::Event::Requested {
                        connection.accept(NOW, Acceptance::default(), "c", WallClock::new(NOW, 0)).unwrap();
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    let error = format!("{error:?}");
                    // Each piece returns the error again.
                    if course.returned.last() != Some(&error) {
                        course.returned.push(error);
                    }
                    break;
                }
            }
        }
        course.returned.extend(std::iter::from_fn(|| connection.poll_event()).map(|event| format!("{event:?}")));
    }
    for event in events {
        _ = connection.publish(&SharedMessage::text(event));
    }
    course.sent = drain(&mut connection, NOW);
    course
}

fn any_cuts() -> impl Strategy<Value = Vec<Index>> {
    prop::collection::vec(any::<Index>(), 0..12)
}

/// Frames of a client with a masking key of zero. Some of them are valid.
fn any_frames_of_a_client() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        Just(r#"{"type":"ping","requestId":"1"}"#.to_owned()),
        Just(r#"{"type":"subscribe","payload":{"profileId":"p","events":["*"]}}"#.to_owned()),
        Just(r#"{"type":"unsubscribe"}"#.to_owned()),
        "[ -~é€]{0,60}",
    ];
    let frame = (prop_oneof![8 => Just(0x81_u8), 1 => Just(0x89), 1 => Just(0x88), 1 => any::<u8>()], text);
    prop::collection::vec(frame, 0..8).prop_map(|frames| {
        let frame = |(first, text): (u8, String)| {
            let len = u8::try_from(text.len().min(125)).unwrap();
            [&[first, 0x80 | len, 0, 0, 0, 0], &text.as_bytes()[..usize::from(len)]].concat()
        };
        frames.into_iter().flat_map(frame).collect()
    })
}

proptest! {
    #[test]
    fn frames_are_the_same_in_any_split(
        bytes in prop_oneof![any_frames_of_a_client(), prop::collection::vec(any::<u8>(), 0..60)],
        cuts in any_cuts(),
        as_server in any::<bool>(),
    ) {
        let rules = if as_server { FrameRules::for_server() } else { FrameRules::for_client() };
        prop_assert_eq!(decode(rules, pieces(&bytes, &cuts)), decode(rules, vec![bytes]));
    }

    #[test]
    fn f_02_a_whole_server_does_the_same_in_the_same_order_in_any_split(frames in any_frames_of_a_client(), cuts in any_cuts()) {
        let request = drain(&mut client(), NOW);
        let bytes = [request, frames].concat();
        prop_assert_eq!(course_of_server(pieces(&bytes, &cuts), &[]), course_of_server(vec![bytes], &[]));
    }

    #[test]
    fn f_02_a_whole_client_does_the_same_in_the_same_order_in_any_split(
        events in prop::collection::vec("[a-z.]{1,12}", 0..6),
        garbage in prop::collection::vec(any::<u8>(), 0..12),
        cuts in any_cuts(),
    ) {
        // The server's output for this client: the same seed gives the same keys and identifiers.
        let upgrade = drain(&mut client(), NOW);
        let ack = course_of_server(vec![upgrade], &[]).sent;
        let subscribe = course_of_client(vec![ack]).sent;
        let data = RawJson::parse("{}").unwrap();
        let texts: Vec<String> = events.iter().map(|name| encode_event(name, Some("p"), &data, "t")).collect();
        let bytes = [course_of_server(vec![subscribe], &texts).sent, garbage].concat();
        let whole = course_of_client(vec![bytes.clone()]);
        prop_assert!(whole.returned.iter().filter(|returned| returned.starts_with("Event")).count() == events.len(), "{:?}", whole);
        prop_assert_eq!(course_of_client(pieces(&bytes, &cuts)), whole);
    }
}
