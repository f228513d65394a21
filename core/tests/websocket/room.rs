//! Large binary messages that are read straight to their place.

use std::time::Duration;

use allocation_counter::measure;
use multiwa_ws_core::frame::FrameError;
use multiwa_ws_core::websocket::{Config, Event, ProtocolError, State};

use multiwa_ws_testkit::endpoint::{Endpoint, untimed};
use multiwa_ws_testkit::event::{OwnedEvent, receive_in_place};
use multiwa_ws_testkit::wire::{BINARY, CONTINUATION, FIN, PING, TEXT, frame_to, header_to};

fn payload(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}

/// Messages of several MiB, without timers.
fn large() -> Config {
    untimed().max_message_len(64 << 20).max_frame_len(64 << 20)
}

fn receives(endpoint: &mut Endpoint, bytes: &[u8]) -> Vec<OwnedEvent> {
    receive_in_place(&mut endpoint.ws, endpoint.now, bytes)
}

fn room_of(endpoint: &mut Endpoint) -> usize {
    endpoint.ws.room().map_or(0, |room| room.size())
}

/// Reads the next of `bytes` to their place and returns the address of that.
fn place(endpoint: &mut Endpoint, bytes: &mut &[u8]) -> usize {
    let now = endpoint.now;
    let mut room = endpoint.ws.room().expect("there is room");
    let (placed, rest) = bytes.split_at(room.size().min(bytes.len()));
    *bytes = rest;
    room.buffer()[..placed.len()].copy_from_slice(placed);
    let address = room.buffer().as_ptr().addr();
    room.filled(now, placed.len());
    address
}

twins! {
    fn the_rest_of_a_large_message_is_never_copied(role: Role) {
        let payload = payload(1 << 20);
        let frame = frame_to(role, FIN | BINARY, &payload);
        let mut endpoint = Endpoint::with(role, &large());
        // The first message makes the buffer, which moves when it grows.
        for is_first in [true, false] {
            assert_eq!(endpoint.feed(&frame[..60_000]), []);
            let mut rest = &frame[60_000..];
            let mut places = Vec::new();
            while !rest.is_empty() {
                assert_eq!(endpoint.feed(&[]), []);
                places.push(place(&mut endpoint, &mut rest));
            }
            assert_eq!(room_of(&mut endpoint), 0);
            let received = endpoint.ws.handle_input(endpoint.now, &mut &mut [][..]).unwrap().expect("a message");
            let Event::Binary(bytes) = received.event else { panic!("{:?}", received.event) };
            assert!(bytes == payload);
            let inside = bytes.as_ptr_range();
            let inside = inside.start.addr()..inside.end.addr();
            assert!(is_first || places.iter().all(|place| inside.contains(place)));
        }
    }

    fn a_declared_length_takes_no_more_memory_than_64_kib_or_twice_what_arrived(role: Role) {
        const KIB: i64 = 1 << 10;
        let config = untimed().max_message_len(2 << 30).max_frame_len(2 << 30);
        let mut endpoint = Endpoint::with(role, &config);
        let header = measure(|| {
            let mut header = header_to(role, FIN | BINARY, 1 << 30);
            assert!(endpoint.ws.handle_input(endpoint.now, &mut &mut header[..]).unwrap().is_none());
            assert_eq!(room_of(&mut endpoint), 0);
        });
        assert_eq!(header.bytes_current, 0);
        let mut held = measure(|| {
            assert!(endpoint.ws.handle_input(endpoint.now, &mut &mut [1][..]).unwrap().is_none());
        })
        .bytes_current;
        let mut arrived = 1;
        while arrived < 4 << 20 {
            held += measure(|| {
                let now = endpoint.now;
                let mut room = endpoint.ws.room().expect("there is room");
                let len = room.buffer().len().min(10_000);
                room.filled(now, len);
                arrived += len as i64;
            })
            .bytes_current;
            assert!(held <= (64 * KIB).max(2 * arrived), "{held} bytes for {arrived}");
        }
    }

    fn the_memory_of_a_message_serves_the_next_one_and_is_freed_by_whatever_else_comes(role: Role) {
        let frame = frame_to(role, FIN | BINARY, &payload(300_000));
        let mut endpoint = Endpoint::with(role, &large());
        let now = endpoint.now;
        // Copies nothing out, so that only the memory of the connection counts.
        let mut receive = |frame: &mut [u8]| {
            let (head, mut rest) = frame.split_at_mut(1000);
            assert!(endpoint.ws.handle_input(now, &mut &mut *head).unwrap().is_none());
            while let Some(mut room) = endpoint.ws.room() {
                let (placed, after) = rest.split_at_mut(room.size().min(rest.len()));
                room.buffer()[..placed.len()].copy_from_slice(placed);
                room.filled(now, placed.len());
                rest = after;
            }
            assert!(endpoint.ws.handle_input(now, &mut &mut [][..]).unwrap().is_some());
        };
        let first = measure(|| receive(&mut frame.clone()));
        assert!((300_000..600_000).contains(&first.bytes_current), "{first:?}");
        let mut again = frame;
        assert_eq!(measure(|| receive(&mut again)).count_total, 0);
        let mut short = frame_to(role, FIN | BINARY, b"short");
        let freed = measure(|| assert!(endpoint.ws.handle_input(now, &mut &mut short[..]).unwrap().is_some()));
        assert_eq!(freed.bytes_current, -first.bytes_current);
    }

    fn only_the_rest_of_a_binary_frame_has_room(role: Role) {
        let mut endpoint = Endpoint::with(role, &large());
        assert_eq!(room_of(&mut endpoint), 0);
        let frame = frame_to(role, BINARY, &[7; 100]);
        endpoint.feed(&frame[..frame.len() - 10]);
        assert_eq!(room_of(&mut endpoint), 10);
        endpoint.feed(&frame[frame.len() - 10..]);
        assert_eq!(room_of(&mut endpoint), 0, "between two fragments");
        let ping = frame_to(role, FIN | PING, b"between");
        endpoint.feed(&ping[..ping.len() - 1]);
        assert_eq!(room_of(&mut endpoint), 0, "in a ping");
        endpoint.feed(&ping[ping.len() - 1..]);
        let frame = frame_to(role, FIN | CONTINUATION, &[8; 70_000]);
        endpoint.feed(&frame[..frame.len() - 65_000]);
        assert!(room_of(&mut endpoint) > 0);
        let expected = OwnedEvent::Binary([vec![7; 100], vec![8; 70_000]].concat());
        assert!(receives(&mut endpoint, &frame[frame.len() - 65_000..]) == [expected]);
        endpoint.feed(&frame_to(role, FIN | TEXT, &[b'x'; 100])[..50]);
        assert_eq!(room_of(&mut endpoint), 0, "in text");
    }

    fn a_room_that_is_not_filled_changes_nothing(role: Role) {
        let frame = frame_to(role, FIN | BINARY, &[7; 1000]);
        let (head, tail) = frame.split_at(500);
        let mut endpoint = Endpoint::with(role, &large());
        endpoint.feed(head);
        endpoint.ws.room().expect("there is room").buffer().fill(9);
        let now = endpoint.now;
        endpoint.ws.room().expect("there is room").filled(now, 0);
        assert_eq!(endpoint.feed(&[]), []);
        assert_eq!(endpoint.feed(tail), [OwnedEvent::Binary(vec![7; 1000])]);
    }

    fn a_connection_that_reads_no_more_has_no_room(role: Role) {
        let frame = frame_to(role, FIN | BINARY, &[7; 1000]);
        let mut endpoint = Endpoint::with(role, &large());
        endpoint.feed(&frame[..500]);
        endpoint.close(1000);
        assert!(room_of(&mut endpoint) > 0, "the message may still arrive");
        endpoint.ws.abort(endpoint.now);
        assert_eq!(room_of(&mut endpoint), 0);

        let mut endpoint = Endpoint::with(role, &large());
        endpoint.feed(&frame[..500]);
        let mut rest = &frame[500..];
        place(&mut endpoint, &mut rest);
        // The message is complete, and comes before the violation.
        let failed = OwnedEvent::Failed(FrameError::ReservedOpcode.into());
        assert_eq!(endpoint.feed(&[FIN | 0x3]), [OwnedEvent::Binary(vec![7; 1000]), failed]);
        assert_eq!(room_of(&mut endpoint), 0);
    }

    fn bytes_that_are_read_to_their_place_count_as_traffic_and_for_the_deadline(role: Role) {
        let second = Duration::from_secs(1);
        let config = large().message_timeout(10 * second);
        let frame = frame_to(role, FIN | BINARY, &payload(100_000));
        let mut endpoint = Endpoint::with(role, &config);
        endpoint.feed(&frame[..1000]);
        let deadline = endpoint.ws.poll_timeout().expect("a deadline");
        let mut rest = &frame[1000..];
        let mut part = &rest[..50_000];
        while !part.is_empty() {
            place(&mut endpoint, &mut part);
        }
        // 4 KiB are worth a second.
        assert_eq!(endpoint.ws.poll_timeout(), Some(deadline + 12 * second));
        rest = &rest[50_000..];
        while !rest.is_empty() {
            place(&mut endpoint, &mut rest);
        }
        // A message that is complete is not too late.
        assert_eq!(endpoint.ws.poll_timeout(), None);
        endpoint.pass(1000);
        assert_eq!(endpoint.ws.state(), State::Open);
        assert!(endpoint.feed(&[]) == [OwnedEvent::Binary(payload(100_000))]);
    }

    fn limits_apply_before_there_is_room(role: Role) {
        let config = untimed().max_message_len(1000).max_frame_len(900);
        let mut endpoint = Endpoint::with(role, &config);
        let first = frame_to(role, BINARY, &[7; 900]);
        assert_eq!(receives(&mut endpoint, &first), []);
        let second = frame_to(role, FIN | CONTINUATION, &[7; 101]);
        assert_eq!(receives(&mut endpoint, &second), [OwnedEvent::Failed(ProtocolError::MessageTooLarge)]);
        assert_eq!(room_of(&mut endpoint), 0);
    }
}
