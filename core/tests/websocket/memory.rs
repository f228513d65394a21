//! The memory that a connection keeps between messages.

use std::time::Duration;

use allocation_counter::measure;
use multiwa_ws_core::websocket::{Config, Event, Message};

use multiwa_ws_testkit::endpoint::Endpoint;
use multiwa_ws_testkit::wire::{BINARY, FIN, PING, PONG, TEXT, frame_to};

/// Longer than any read here.
const LEN: usize = 10_000;

/// Reads one message in reads of 1,000 bytes and returns its length.
fn receive(endpoint: &mut Endpoint, wire: &mut [u8]) -> Option<usize> {
    for read in wire.chunks_mut(1000) {
        let mut input = read;
        match endpoint.ws.handle_input(endpoint.now, &mut input).expect("good frames").map(|received| received.event) {
            Some(Event::Text(text)) => return Some(text.len()),
            Some(Event::Binary(payload)) => return Some(payload.len()),
            _ => {}
        }
    }
    None
}

/// The growth of the memory of `endpoint` with one message, in bytes, and whether anything was allocated.
fn grown(endpoint: &mut Endpoint, mut wire: Vec<u8>, len: usize) -> (i64, bool) {
    let info = measure(|| assert_eq!(receive(endpoint, &mut wire), Some(len)));
    (info.bytes_current, info.count_total > 0)
}

twins! {
    fn the_buffer_of_a_message_serves_the_next_one(role: Role) {
        for kind in [TEXT, BINARY] {
            let mut endpoint = Endpoint::with(role, &Config::default());
            let wire = frame_to(role, FIN | kind, &[b'x'; LEN]);
            assert_eq!(grown(&mut endpoint, wire.clone(), LEN), (LEN as i64, true));
            assert_eq!(grown(&mut endpoint, wire, LEN), (0, false));
        }
    }

    fn the_buffer_of_a_message_is_freed_by_whatever_else_comes(role: Role) {
        let long = [b'x'; LEN];
        for (other, what) in [
            (frame_to(role, FIN | BINARY, b"short"), "a message in one plain frame"),
            (frame_to(role, FIN | PING, b""), "a ping"),
            (frame_to(role, FIN | PONG, b""), "a pong"),
            ([frame_to(role, TEXT, b"in two"), frame_to(role, FIN, b" frames")].concat(), "a short joined message"),
            (frame_to(role, FIN | BINARY, &[7; 1200]), "one of the other kind"),
        ] {
            let mut endpoint = Endpoint::with(role, &Config::default());
            endpoint.ws.sender().ping(b"").unwrap();
            endpoint.flush();
            let mut wire = frame_to(role, FIN | TEXT, &long);
            let before = measure(|| assert_eq!(receive(&mut endpoint, &mut wire), Some(LEN))).bytes_current;
            let mut other = other;
            let freed = measure(|| {
                receive(&mut endpoint, &mut other);
                // The next call frees the message that was lent last.
                assert!(endpoint.ws.poll_event().is_none());
                endpoint.flush();
            });
            assert!(before == LEN as i64 && freed.bytes_current < 2000 - before, "{what}: {}", freed.bytes_current);
        }
    }

    fn a_large_frame_that_lies_whole_in_the_input_frees_the_buffer_too(role: Role) {
        let mut endpoint = Endpoint::with(role, &Config::default());
        grown(&mut endpoint, frame_to(role, FIN | TEXT, &[b'x'; LEN]), LEN);
        let mut wire = frame_to(role, FIN | BINARY, &[7; 70_000]);
        let info = measure(|| {
            let mut input = &mut wire[..];
            assert!(endpoint.ws.handle_input(endpoint.now, &mut input).expect("a good frame").is_some());
        });
        assert_eq!(info.bytes_current, -(LEN as i64));
    }

    fn a_silent_connection_gives_the_buffer_of_a_message_back(role: Role) {
        let mut endpoint = Endpoint::with(role, &Config::default());
        grown(&mut endpoint, frame_to(role, FIN | BINARY, &[b'x'; LEN]), LEN);
        endpoint.now += Duration::from_secs(30);
        let now = endpoint.now;
        let info = measure(|| endpoint.ws.handle_timeout(now));
        assert!(info.bytes_current < 256 - LEN as i64, "{}", info.bytes_current);
    }

    fn memory_that_is_released_comes_back_with_the_next_message(role: Role) {
        let mut endpoint = Endpoint::with(role, &Config::default());
        let wire = frame_to(role, FIN | TEXT, &[b'x'; LEN]);
        grown(&mut endpoint, wire.clone(), LEN);
        assert_eq!(measure(|| endpoint.ws.release_memory()).bytes_current, -(LEN as i64));
        assert_eq!(grown(&mut endpoint, wire, LEN), (LEN as i64, true));
    }

    fn a_message_that_is_written_at_once_takes_memory_only_for_what_was_not_accepted(role: Role) {
        let payload = [7; LEN];
        let mut endpoint = Endpoint::with(role, &Config::default());
        let now = endpoint.now;
        let mut scratch = [0; 3000];
        let mut send = |endpoint: &mut Endpoint, leave: usize| {
            let mut unsent = endpoint.ws.frame(Message::Binary(&payload)).expect("it is open");
            while unsent.len() > leave {
                let len: usize = unsent.lend(&mut scratch).iter().map(|slice| slice.len()).sum();
                let len = len.min(unsent.len() - leave);
                unsent.transmitted(now, len);
            }
        };
        let whole = measure(|| send(&mut endpoint, 0));
        assert_eq!((whole.count_total, endpoint.ws.queued()), (0, 0));
        let part = measure(|| send(&mut endpoint, 1000));
        assert_eq!((part.bytes_current, endpoint.ws.queued()), (1000, 1000));
        assert_eq!(measure(|| endpoint.ws.transmitted(now, 1000)).bytes_current, -1000);
    }
}
