//! Tests of the output of a deflater.

use alloc::vec::Vec;

use super::super::DeflateError;
use super::super::deflater::Deflater;
use super::super::library::{DeflateLibrary, Flush};
use super::reference::Reference;
use super::*;

for_both_libraries! {
    no_distance_is_longer_than_the_window
    matches_reach_into_earlier_messages_with_context_takeover
    rfc_7692_section_7_2_3_6_an_empty_message_is_one_zero_byte
    every_fragment_can_be_inflated_at_once
    fragments_with_an_empty_last_one_forget_their_context_too
    without_context_takeover_every_message_stands_alone
    a_released_deflater_starts_afresh
    incompressible_bytes_grow_by_little
}

/// Repeats at distances around the window, over several messages.
fn no_distance_is_longer_than_the_window<C: Codec>() {
    for bits in 8..=15 {
        let size: usize = 1 << bits;
        for level in [0, 1, 6, 9] {
            for period in [size / 4, size - 1, size, size + 1, size + 300] {
                let source = noise(period).repeat(5 * size.div_ceil(period));
                let mut deflater = deflater::<C>(bits, true, level);
                let mut reference = Reference::new(15);
                let (first, rest) = source.split_at(period / 2 + 10);
                let (second, third) = rest.split_at(period);
                for message in [first, second, third] {
                    assert_eq!(reference.decode(&deflate(&mut deflater, message)).as_deref(), Some(message));
                }
                assert!(reference.longest_distance <= size, "{bits} bits, level {level}, period {period}");
                // The matches exist where the window allows them. A window of 8 bits is not checked.
                if period == size / 4 && level > 0 && bits > 8 {
                    assert!(reference.longest_distance >= period, "{bits} bits, level {level}");
                }
            }
        }
    }
}

fn matches_reach_into_earlier_messages_with_context_takeover<C: Codec>() {
    for bits in 10..=15 {
        let message = noise(200);
        let mut deflater = deflater::<C>(bits, true, 1);
        let first = deflate(&mut deflater, &message);
        let second = deflate(&mut deflater, &message);
        assert!(second.len() < 20, "{bits} bits: {} then {}", first.len(), second.len());
    }
}

fn rfc_7692_section_7_2_3_6_an_empty_message_is_one_zero_byte<C: Codec>() {
    for context_takeover in [true, false] {
        let mut deflater = deflater::<C>(15, context_takeover, 1);
        let mut reference = Reference::new(15);
        assert_eq!(deflate(&mut deflater, b""), [0]);
        assert_eq!(reference.decode(&deflate(&mut deflater, b"text")).as_deref(), Some(&b"text"[..]));
        assert_eq!(deflate(&mut deflater, b""), [0]);
        assert_eq!(deflate(&mut deflater, b""), [0]);
        let mut empty_in_fragments = Vec::new();
        assert_eq!(deflater.compress(b"", false, &mut empty_in_fragments), Ok(()));
        assert!(empty_in_fragments.is_empty());
        assert_eq!(deflater.compress(b"", true, &mut empty_in_fragments), Ok(()));
        assert_eq!(empty_in_fragments, [0]);
        assert_eq!(reference.decode(&deflate(&mut deflater, b"text")).as_deref(), Some(&b"text"[..]));
    }
}

fn every_fragment_can_be_inflated_at_once<C: Codec>() {
    let pieces: [&[u8]; 6] = [b"first ", b"second ", b"", b"second again ", b"second and last", b""];
    for fragments in [&pieces[..5], &pieces[..]] {
        for context_takeover in [true, false] {
            let mut deflater = deflater::<C>(15, context_takeover, 1);
            let mut inflater = inflater::<C>(15, context_takeover);
            for _message in 0..3 {
                for (index, fragment) in fragments.iter().enumerate() {
                    let end_of_message = index + 1 == fragments.len();
                    // After the bytes that are already in the buffer.
                    let mut output = Vec::from(*b"header");
                    assert_eq!(deflater.compress(fragment, end_of_message, &mut output), Ok(()));
                    assert_eq!(output[..6], *b"header");
                    let mut inflated = Vec::new();
                    let sink = |piece: &[u8]| {
                        inflated.extend_from_slice(piece);
                        Ok::<_, InflateError>(())
                    };
                    assert_eq!(inflater.inflate(&output[6..], end_of_message, sink), Ok(()));
                    assert_eq!(inflated, *fragment);
                }
            }
        }
    }
}

fn fragments_with_an_empty_last_one_forget_their_context_too<C: Codec>() {
    let mut deflater = deflater::<C>(15, false, 1);
    for _message in 0..3 {
        let mut output = Vec::new();
        assert_eq!(deflater.compress(&noise(100), false, &mut output), Ok(()));
        assert_eq!(deflater.compress(b"", true, &mut output), Ok(()));
        assert_eq!(Reference::new(15).decode(&output), Some(noise(100)));
    }
}

fn without_context_takeover_every_message_stands_alone<C: Codec>() {
    for bits in 8..=15 {
        for level in [0, 1, 6] {
            let message = [noise(700), noise(300)].concat();
            let mut deflater = deflater::<C>(bits, false, level);
            for _ in 0..3 {
                assert_eq!(Reference::new(15).decode(&deflate(&mut deflater, &message)).as_ref(), Some(&message));
            }
        }
    }
}

fn a_released_deflater_starts_afresh<C: Codec>() {
    let message = noise(500);
    let mut deflater = deflater::<C>(15, true, 1);
    let mut inflater = inflater::<C>(15, true);
    let first = deflate(&mut deflater, &message);
    deflater.release();
    let second = deflate(&mut deflater, &message);
    assert_eq!(second, first);
    for payload in [first, second] {
        assert_eq!(inflate(&mut inflater, [&payload[..]]).as_deref(), Ok(&message[..]));
    }
    // Also in the middle of a message: each fragment ends at a byte boundary.
    let mut output = Vec::new();
    for end_of_message in [false, true] {
        deflater.release();
        assert_eq!(deflater.compress(&message, end_of_message, &mut output), Ok(()));
    }
    assert_eq!(inflate(&mut inflater, [&output[..]]), Ok(message.repeat(2)));
}

fn incompressible_bytes_grow_by_little<C: Codec>() {
    for length in [1, 10, 1000, 100_000, 1_000_000] {
        let message = noise(length);
        for level in [0, 1, 6] {
            let payload = deflate(&mut deflater::<C>(15, true, level), &message);
            assert!(payload.len() < length + length / 7 + 16, "{length} at level {level}: {}", payload.len());
            assert_eq!(inflate(&mut inflater::<C>(15, true), [&payload[..]]).as_deref(), Ok(&message[..]));
        }
    }
}

#[cfg(feature = "std")]
#[test]
fn zlib_rs_keeps_the_smallest_window_by_repeating_the_last_byte_alone() {
    let message = [noise(100).repeat(3), Vec::from([b'a'; 100])].concat();
    let mut reference = Reference::new(15);
    assert_eq!(reference.decode(&deflate(&mut deflater::<Zlib>(8, true, 1), &message)), Some(message));
    assert_eq!(reference.longest_distance, 1);
}

#[test]
fn a_library_that_fails_leaves_the_output_as_it_was() {
    struct Failing<const WITH_ERROR: bool>;

    impl<const WITH_ERROR: bool> DeflateLibrary for Failing<WITH_ERROR> {
        fn new(_window_bits: u8, _level: u8) -> Self {
            Self
        }

        fn compress(&mut self, input: &[u8], _flush: Flush, output: &mut Vec<u8>) -> Result<(), DeflateError> {
            output.extend_from_slice(input);
            if WITH_ERROR { Err(DeflateError) } else { Ok(()) }
        }
    }

    let mut output = Vec::from(*b"header");
    // With an error, and without the required tail.
    assert_eq!(Deflater::<Failing<true>>::new(15, true, 1).compress(b"text", true, &mut output), Err(DeflateError));
    assert_eq!(Deflater::<Failing<false>>::new(15, true, 1).compress(b"text", true, &mut output), Err(DeflateError));
    assert_eq!(output, b"header");
}
