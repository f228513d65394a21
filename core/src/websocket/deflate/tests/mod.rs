//! Tests that both libraries must pass, and a simple decoder as their reference.

mod deflating;
mod inflating;
mod properties;
mod reference;
mod streams;

use alloc::vec::Vec;

use super::deflater::Deflater;
use super::inflater::Inflater;
use super::library::{DeflateLibrary, InflateLibrary, TAIL};
use super::{InflateError, miniz};

/// One library, both halves.
trait Codec {
    type Inflate: InflateLibrary;
    type Deflate: DeflateLibrary;
}

struct Miniz;

impl Codec for Miniz {
    type Inflate = miniz::Inflate;
    type Deflate = miniz::Deflate;
}

#[cfg(feature = "std")]
struct Zlib;

#[cfg(feature = "std")]
impl Codec for Zlib {
    type Inflate = super::zlib::Inflate;
    type Deflate = super::zlib::Deflate;
}

/// Runs each function, generic over [`Codec`], as one test for each library.
macro_rules! for_both_libraries {
    ($($test:ident)*) => {
        mod miniz_oxide {
            $(#[test] fn $test() { super::$test::<super::super::Miniz>(); })*
        }
        #[cfg(feature = "std")]
        mod zlib_rs {
            $(#[test] fn $test() { super::$test::<super::super::Zlib>(); })*
        }
    };
}
use for_both_libraries;

fn inflater<C: Codec>(window_bits: u8, context_takeover: bool) -> Inflater<C::Inflate> {
    Inflater::new(window_bits, context_takeover)
}

fn deflater<C: Codec>(window_bits: u8, context_takeover: bool, level: u8) -> Deflater<C::Deflate> {
    Deflater::new(window_bits, context_takeover, level)
}

/// Inflates one message that arrives in these pieces.
fn inflate<'a, L: InflateLibrary>(
    inflater: &mut Inflater<L>,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<u8>, InflateError> {
    let mut message = Vec::new();
    let mut sink = |piece: &[u8]| {
        assert!(!piece.is_empty());
        message.extend_from_slice(piece);
        Ok::<_, InflateError>(())
    };
    let mut pieces = pieces.into_iter().peekable();
    while let Some(piece) = pieces.next() {
        inflater.inflate(piece, pieces.peek().is_none(), &mut sink)?;
    }
    Ok(message)
}

/// Compresses one whole message.
fn deflate<L: DeflateLibrary>(deflater: &mut Deflater<L>, message: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    deflater.compress(message, true, &mut output).expect("the library keeps its contract");
    output
}

/// Pseudo-random bytes that are the same each time.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let step = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    core::iter::repeat_with(step).take(count).collect()
}

#[test]
fn the_chosen_codec_round_trips_and_may_move_between_threads() {
    fn movable<T: Send + Sync>(value: T) -> T {
        value
    }

    let mut inflater = movable(super::Inflater::new(15, true));
    let mut deflater = movable(super::Deflater::new(15, true, super::DEFAULT_LEVEL));
    for _message in 0..3 {
        let payload = deflate(&mut deflater, b"a message");
        assert_eq!(inflate(&mut inflater, [&payload[..]]).as_deref(), Ok(&b"a message"[..]));
    }
}
