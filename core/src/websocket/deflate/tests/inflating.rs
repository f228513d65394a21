//! Tests of the streams that an inflater accepts and refuses.

use alloc::vec::Vec;

use super::super::inflater::Inflater;
use super::super::library::{InflateLibrary, Step, Until};
use super::super::window::Window;
use super::streams::{Bits, fixed_literals};
use super::*;

for_both_libraries! {
    the_examples_of_rfc_7692_section_7_2_3_inflate
    messages_of_zlib_inflate_in_pieces_of_any_size
    an_uncompressed_message_in_between_leaves_the_context_alone
    sec_pd_06_empty_messages_in_every_form_are_empty
    sec_pd_06_output_that_just_fills_the_window_is_complete
    sec_pd_10_a_final_block_ends_neither_the_message_nor_the_context
    sec_pd_10_a_message_may_end_right_after_a_final_block
    a_message_that_is_cut_short_is_refused
    a_message_whose_tail_was_not_removed_is_refused
    without_context_takeover_a_message_cannot_refer_to_an_earlier_one
    a_distance_before_the_first_byte_is_refused
    invalid_blocks_are_refused
    after_an_error_nothing_is_inflated
    sec_pd_01_a_bomb_stops_within_one_window_of_the_limit
    sec_pd_04_after_the_sink_fails_nothing_is_inflated
    sec_pd_07_a_released_inflater_keeps_its_context
    the_oldest_bytes_of_the_window_outlast_a_release_and_a_final_block
    a_release_inside_a_message_changes_nothing
    many_final_blocks_are_just_read
}

const MESSAGES: [&[u8]; 3] = [
    br#"{"event":"message","profile":"sales","payload":{"id":1,"text":"Hello"}}"#,
    br#"{"event":"message","profile":"sales","payload":{"id":2,"text":"Hello again"}}"#,
    br#"{"event":"status","profile":"support","payload":{"id":2,"text":"Hello again, and again, and again"}}"#,
];

/// Python: `c = zlib.compressobj(6, zlib.DEFLATED, -15)`, then for each message
/// `(c.compress(message) + c.flush(zlib.Z_SYNC_FLUSH))[:-4]`.
const WITH_TAKEOVER: [&[u8]; 3] = [
    b"\xaa\x56\x4a\x2d\x4b\xcd\x2b\x51\xb2\x52\xca\x4d\x2d\x2e\x4e\x4c\x4f\x55\xd2\x51\x2a\x28\xca\x4f\xcb\xcc\x49\x05\
      \x8a\x15\x27\xe6\xa4\x16\x83\x44\x12\x2b\x73\xf2\x13\x53\x94\xac\xaa\x95\x32\x81\xa4\xa1\x8e\x52\x49\x6a\x05\x48\
      \x93\x47\x6a\x4e\x4e\xbe\x52\x6d\x2d\x00",
    b"\xaa\x26\xc7\x18\x23\x54\x63\x14\x12\xd3\x13\x33\xf3\x80\x86\x01\x00",
    b"\x42\x18\x56\x5c\x92\x58\x52\x5a\x8c\x6a\x56\x69\x41\x41\x7e\x51\x09\x91\xa6\xe9\x28\x24\xe6\xa5\x60\x30\x81\x76\
      \x00\x00",
];

/// Python: the same at level 1 with a window of 12 bits and `zlib.Z_HUFFMAN_ONLY`, which gives dynamic blocks.
const DYNAMIC: [&[u8]; 3] = [
    b"\x04\xc1\xc1\x09\x80\x30\x10\x45\xc1\x5e\xde\x39\x17\xaf\x5b\x81\x6d\x04\xfc\x4a\x60\x35\xc1\x0d\xa2\x84\xf4\xee\
      \xcc\x40\x8f\xae\x8e\x71\x2a\x22\x1f\x22\xd1\xee\xba\x17\x17\x46\x64\x57\x90\x68\xf9\xf3\x9a\x37\x6c\x50\x36\x6c\
      \x49\x74\xbd\x1d\x63\x95\x7b\x65\xce\x1f",
    b"\x04\xc1\x41\x0a\x80\x20\x10\x40\xd1\xab\xc4\x5f\xbb\x6a\x39\x27\xe8\x1a\x03\x4e\x22\x4c\x2a\x29\x51\x88\x77\xef\
      \xbd\x89\x3d\x56\x06\xc2\x65\xbd\x6b\x32\x02\xed\xae\x67\x76\x43\xe8\xea\xd6\x09\x34\xfd\xbc\x6a\x44\x26\x39\x22\
      \x7b\x60\xd8\x3b\x10\x0e\x73\xaf\x9b\x26\xcd\x85\xb5\x7e\x00",
    b"\x04\xc1\x41\x0a\xc3\x30\x0c\x04\xc0\xaf\x88\x3d\xeb\x94\xa3\x5e\xd0\x6f\x2c\x58\x35\x02\x23\x9b\x58\x29\x2d\x21\
      \x7f\xef\xcc\x0d\xff\x78\x16\x0c\xbb\x58\xd7\x86\x62\x9d\xf3\x1d\xc3\x61\xd8\xd7\x5a\xf3\x2c\x28\x16\x7f\x63\xb2\
      \xc1\x6e\x44\x83\x1d\x8a\xf2\x6f\xc1\xf0\xf2\x31\xa6\xb0\x33\x52\x85\xd9\x84\x9d\x91\x2a\xcc\x26\xec\x8c\xc4\xf3\
      \xfc\x01",
];

/// Python: `c = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=b"".join(MESSAGES[:n]))`, then
/// `c.compress(MESSAGES[n]) + c.flush()`: the first two messages as one final block each, with their context.
const FINAL: [&[u8]; 2] = [
    b"\xab\x56\x4a\x2d\x4b\xcd\x2b\x51\xb2\x52\xca\x4d\x2d\x2e\x4e\x4c\x4f\x55\xd2\x51\x2a\x28\xca\x4f\xcb\xcc\x49\x05\
      \x8a\x15\x27\xe6\xa4\x16\x83\x44\x12\x2b\x73\xf2\x13\x53\x94\xac\xaa\x95\x32\x81\xa4\xa1\x8e\x52\x49\x6a\x05\x48\
      \x93\x47\x6a\x4e\x4e\xbe\x52\x6d\x2d\x00",
    b"\xab\x26\xc7\x18\x23\x54\x63\x14\x12\xd3\x13\x33\xf3\x80\x86\x01\x00",
];

/// Inflates messages one after another: whole, byte by byte, at every split, and with an empty piece at the end.
fn assert_inflates<C: Codec>(payloads: &[&[u8]], messages: &[&[u8]]) {
    let check = |pieces: &dyn Fn(&'static [u8]) -> Vec<&'static [u8]>, inflater: &mut Inflater<C::Inflate>| {
        for (payload, message) in payloads.iter().zip(messages) {
            let payload: &'static [u8] = alloc::boxed::Box::leak(payload.to_vec().into_boxed_slice());
            assert_eq!(inflate(inflater, pieces(payload)).as_deref(), Ok(*message));
        }
    };
    let new = || inflater::<C>(15, true);
    check(&|payload| Vec::from([payload]), &mut new());
    check(&|payload| payload.chunks(1).chain([&[][..]]).collect(), &mut new());
    let longest = payloads.iter().map(|payload| payload.len()).max().unwrap_or(0);
    for at in 0..=longest {
        let split = |payload: &'static [u8]| {
            let (head, tail) = payload.split_at(at.min(payload.len()));
            Vec::from([head, tail])
        };
        check(&split, &mut new());
    }
    check(&|payload| Vec::from([payload, &[]]), &mut new());
}

fn the_examples_of_rfc_7692_section_7_2_3_inflate<C: Codec>() {
    // 7.2.3.1 one fixed block; 7.2.3.2 sharing the window, with the same message compressed again after it.
    assert_inflates::<C>(
        &[b"\xf2\x48\xcd\xc9\xc9\x07\x00", b"\xf2\x48\xcd\xc9\xc9\x07\x00", b"\xf2\x00\x11\x00\x00"],
        &[b"Hello", b"Hello", b"Hello"],
    );
    // 7.2.3.3 no compression; 7.2.3.4 a final block; 7.2.3.5 two blocks; 7.2.3.6 an empty message.
    assert_inflates::<C>(
        &[
            b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
            b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
            b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
            b"\x00",
        ],
        &[b"Hello", b"Hello", b"Hello", b""],
    );
}

fn messages_of_zlib_inflate_in_pieces_of_any_size<C: Codec>() {
    assert_inflates::<C>(&WITH_TAKEOVER, &MESSAGES);
    assert_inflates::<C>(&DYNAMIC, &MESSAGES);
}

/// SEC-PD-05: such a message does not pass through the inflater, and a message between two others may be empty.
fn an_uncompressed_message_in_between_leaves_the_context_alone<C: Codec>() {
    let mut inflater = inflater::<C>(15, true);
    for (payload, message) in WITH_TAKEOVER.iter().zip(MESSAGES) {
        assert_eq!(inflate(&mut inflater, [*payload]).as_deref(), Ok(message));
        assert_eq!(inflate(&mut inflater, [&b"\0"[..]]).as_deref(), Ok(&b""[..]));
    }
}

fn sec_pd_06_empty_messages_in_every_form_are_empty<C: Codec>() {
    // No bytes; an empty stored block; one after a flush; a fixed one; a final stored one.
    let empty: [&[u8]; 5] = [b"", b"\0", b"\0\0\0\xff\xff\0", b"\x02\0", b"\x01"];
    for payload in empty {
        let payloads: Vec<&[u8]> = WITH_TAKEOVER.iter().flat_map(|&full| [payload, full, payload]).collect();
        let messages: Vec<&[u8]> = MESSAGES.iter().flat_map(|&full| [&b""[..], full, b""]).collect();
        assert_inflates::<C>(&payloads, &messages);
    }
}

fn sec_pd_06_output_that_just_fills_the_window_is_complete<C: Codec>() {
    for bits in 8..=15 {
        let mut deflater = deflater::<C>(bits, true, 1);
        let mut inflater = inflater::<C>(bits, true);
        let size = 1 << bits;
        for length in [size, size - 1, 1, 1, size - 1, size + 1, 2 * size] {
            let message: Vec<u8> =
                noise(length / 2).into_iter().chain(core::iter::repeat_n(b'a', length - length / 2)).collect();
            assert_eq!(inflate(&mut inflater, [&deflate(&mut deflater, &message)[..]]), Ok(message));
        }
    }
}

fn sec_pd_10_a_final_block_ends_neither_the_message_nor_the_context<C: Codec>() {
    let [first, second] = FINAL;
    let third = WITH_TAKEOVER[2];
    assert_inflates::<C>(&[&[first, b"\0"].concat(), &[second, b"\0"].concat(), third], &MESSAGES);
    assert_inflates::<C>(&[&[first, second, third].concat(), b"\0"], &[&MESSAGES.concat(), b""]);
    // The empty block at the end may itself be the final one: its lengths are the tail.
    assert_inflates::<C>(&[&[first, b"\x01"].concat(), &[second, b"\x01"].concat(), third], &MESSAGES);
    // The position passes the end of the window several times.
    let mut deflater = deflater::<C>(15, true, 6);
    let mut inflater = inflater::<C>(15, true);
    for _ in 0..4 {
        let message = noise(30_000);
        let payload = [&deflate(&mut deflater, &message), &TAIL[..], b"\x03\0\0"].concat();
        assert_eq!(inflate(&mut inflater, [&payload[..]]), Ok(message));
    }
}

fn sec_pd_10_a_message_may_end_right_after_a_final_block<C: Codec>() {
    assert_inflates::<C>(&[FINAL[0], FINAL[1], WITH_TAKEOVER[2]], &MESSAGES);
}

fn a_message_that_is_cut_short_is_refused<C: Codec>() {
    for payload in [WITH_TAKEOVER[0], DYNAMIC[0], b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"] {
        // One byte of the stored block would be an empty message.
        for length in 2..payload.len() {
            let result = inflate(&mut inflater::<C>(15, true), [&payload[..length]]);
            assert!(matches!(result, Err(InflateError::Unfinished | InflateError::Invalid)), "{length}: {result:?}");
        }
    }
}

fn a_message_whose_tail_was_not_removed_is_refused<C: Codec>() {
    let payload = [WITH_TAKEOVER[0], &TAIL].concat();
    assert_eq!(inflate(&mut inflater::<C>(15, true), [&payload[..]]), Err(InflateError::Unfinished));
}

fn without_context_takeover_a_message_cannot_refer_to_an_earlier_one<C: Codec>() {
    let mut inflater = inflater::<C>(15, false);
    assert_eq!(inflate(&mut inflater, [WITH_TAKEOVER[0]]).as_deref(), Ok(MESSAGES[0]));
    assert_eq!(inflate(&mut inflater, [WITH_TAKEOVER[0]]).as_deref(), Ok(MESSAGES[0]));
    assert_eq!(inflate(&mut inflater, [WITH_TAKEOVER[1]]), Err(InflateError::Invalid));
}

fn a_distance_before_the_first_byte_is_refused<C: Codec>() {
    // A fixed block: a literal, then three bytes from a distance of 1, or of 2.
    assert_eq!(inflate(&mut inflater::<C>(15, true), [&b"\x4a\x04\x02\x00\x00"[..]]).as_deref(), Ok(&b"aaaa"[..]));
    assert_eq!(inflate(&mut inflater::<C>(15, true), [&b"\x4a\x04\x42\x00\x00"[..]]), Err(InflateError::Invalid));
    for bits in 8..=15 {
        assert_eq!(inflate(&mut inflater::<C>(bits, true), [WITH_TAKEOVER[1]]), Err(InflateError::Invalid));
    }
}

fn invalid_blocks_are_refused<C: Codec>() {
    // The reserved type; lengths that do not match; more literal codes than there are; no code at all.
    for payload in [&b"\x06"[..], b"\x00\x05\x00\x05\x00Hello\x00", b"\xfc\x00\x00", &[&b"\x04"[..], &[0; 40]].concat()]
    {
        assert_eq!(inflate(&mut inflater::<C>(15, true), [payload]), Err(InflateError::Invalid));
    }
}

fn after_an_error_nothing_is_inflated<C: Codec>() {
    let mut inflater = inflater::<C>(15, true);
    assert_eq!(inflate(&mut inflater, [&b"\x06"[..]]), Err(InflateError::Invalid));
    for payload in [WITH_TAKEOVER[0], b""] {
        assert_eq!(inflate(&mut inflater, [payload]), Err(InflateError::Stopped));
    }
}

#[derive(Debug, PartialEq)]
enum SinkError {
    TooLarge,
    Inflate(InflateError),
}

impl From<InflateError> for SinkError {
    fn from(error: InflateError) -> Self {
        Self::Inflate(error)
    }
}

fn sec_pd_01_a_bomb_stops_within_one_window_of_the_limit<C: Codec>() {
    const SIZE: usize = 4 * 1024 * 1024;

    let bomb = deflate(&mut deflater::<C>(15, true, 6), &alloc::vec![0; SIZE]);
    assert!(bomb.len() < SIZE / 200);
    for limit in [0, 1, 1000, 100_000, SIZE - 1, SIZE] {
        let mut seen = 0;
        let result = inflater::<C>(15, true).inflate(&bomb, true, |piece| {
            seen += piece.len();
            if seen > limit { Err(SinkError::TooLarge) } else { Ok(()) }
        });
        // A message of exactly the limit passes.
        assert_eq!(result, if limit < SIZE { Err(SinkError::TooLarge) } else { Ok(()) });
        assert!(seen <= limit + (1 << 15), "{seen} of {limit}");
    }
}

fn sec_pd_04_after_the_sink_fails_nothing_is_inflated<C: Codec>() {
    let mut inflater = inflater::<C>(15, true);
    assert_eq!(inflater.inflate(WITH_TAKEOVER[0], false, |_| Err(SinkError::TooLarge)), Err(SinkError::TooLarge));
    for payload in [&b""[..], WITH_TAKEOVER[0]] {
        let result = inflater.inflate(payload, true, |_| panic!("nothing may come out"));
        assert_eq!(result, Err(SinkError::Inflate(InflateError::Stopped)));
    }
}

fn sec_pd_07_a_released_inflater_keeps_its_context<C: Codec>() {
    for context_takeover in [true, false] {
        for bits in 8..=15 {
            let mut deflater = deflater::<C>(bits, context_takeover, 6);
            let mut inflater = inflater::<C>(bits, context_takeover);
            for length in [100, 100, 1 << bits, 100, 3 << bits, 500, 100] {
                inflater.release();
                inflater.release();
                let message = noise(length);
                assert_eq!(inflate(&mut inflater, [&deflate(&mut deflater, &message)[..]]), Ok(message));
            }
        }
    }
}

/// A library may write more than it returns, and the oldest byte of a ring follows the newest one.
fn the_oldest_bytes_of_the_window_outlast_a_release_and_a_final_block<C: Codec>() {
    for bits in 8..=15 {
        let size = 1 << bits;
        // The stream ends with a match, which a library copies in wide steps.
        let letters: Vec<u8> = noise(size + 100).iter().map(|byte| b'a' + byte % 16).collect();
        let message = [&letters, &letters[..33], &letters[..33]].concat();
        let payload = deflate(&mut deflater::<Miniz>(bits, true, 6), &message);
        let with_final_block = [&payload[..], &TAIL, b"\x03\0\0"].concat();
        // A match of 64 bytes at the longest distance.
        let mut repetition = Bits::default();
        repetition.push(0b010, 3);
        repetition.code(&fixed_literals(), 276);
        repetition.push(64 - 59, 3);
        repetition.code(&[5; 32], 2 * usize::from(bits) - 1);
        repetition.push(u32::MAX, usize::from(bits) - 2);
        repetition.code(&fixed_literals(), 256);
        repetition.push(0, 3);
        for first in [&payload, &with_final_block] {
            let mut inflater = inflater::<C>(bits, true);
            assert_eq!(inflate(&mut inflater, [&first[..]]).as_ref(), Ok(&message));
            inflater.release();
            let oldest = &message[message.len() - size..][..64];
            assert_eq!(inflate(&mut inflater, [&repetition.bytes[..]]).as_deref(), Ok(oldest), "{bits} bits");
        }
    }
}

fn a_release_inside_a_message_changes_nothing<C: Codec>() {
    for context_takeover in [true, false] {
        let mut inflater = inflater::<C>(15, context_takeover);
        let mut message = Vec::new();
        for (index, byte) in DYNAMIC[0].chunks(1).enumerate() {
            inflater.release();
            let sink = |piece: &[u8]| {
                message.extend_from_slice(piece);
                Ok::<_, InflateError>(())
            };
            assert_eq!(inflater.inflate(byte, index + 1 == DYNAMIC[0].len(), sink), Ok(()));
        }
        assert_eq!(message, MESSAGES[0]);
    }
}

/// SEC-PD-08: neither the stack nor the work grows beyond the input.
fn many_final_blocks_are_just_read<C: Codec>() {
    let payload = b"\x03\0".repeat(20_000);
    assert_eq!(inflate(&mut inflater::<C>(15, true), [&payload[..]]).as_deref(), Ok(&b""[..]));
}

#[test]
fn a_library_that_stands_still_does_not_hang_the_connection() {
    struct Stuck;

    impl InflateLibrary for Stuck {
        fn new() -> Self {
            Self
        }

        fn restart(&mut self, _window: &Window) {}

        fn inflate<'a>(
            &'a mut self,
            _input: &[u8],
            _window: &'a mut Window,
            _until: Until,
        ) -> Result<Step<'a>, InflateError> {
            Ok(Step { consumed: 0, inflated: &[], has_more: false, stream_ended: false })
        }
    }

    assert_eq!(inflate(&mut Inflater::<Stuck>::new(15, true), [&b"a"[..]]), Err(InflateError::Invalid));
}

/// The one difference between the libraries that a peer can cause.
#[test]
fn f_16_a_distance_beyond_the_negotiated_window_is_refused_or_followed() {
    let message = noise(300).repeat(10);
    let payload = deflate(&mut deflater::<Miniz>(15, true, 9), &message);
    assert_eq!(inflate(&mut inflater::<Miniz>(9, true), [&payload[..]]).as_ref(), Ok(&message));
    assert_eq!(inflate(&mut inflater::<Miniz>(8, true), [&payload[..]]), Err(InflateError::Invalid));
    #[cfg(feature = "std")]
    assert_eq!(inflate(&mut inflater::<Zlib>(8, true), [&payload[..]]), Ok(message));
}
