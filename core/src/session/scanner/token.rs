//! The tokens of JSON that hold no others: strings, numbers and literals, and the white space between.
//!
//! Each function takes the rest of a text and returns the rest behind what it read. A slice that only gets shorter lets the
//! compiler keep everything in registers and see most bounds for itself.

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u8x16, u8x64};

use crate::simd::widest;

/// No continuation of the text fits here: `left` bytes before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unfit {
    pub(super) left: usize,
}

impl Unfit {
    #[inline]
    pub(super) const fn at(rest: &[u8]) -> Self {
        Self { left: rest.len() }
    }
}

/// What a string turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// Its content lies in the text as it is.
    Plain,
    Escaped,
}

/// Goes behind white space.
#[inline]
pub(super) fn skip_space(rest: &[u8]) -> &[u8] {
    // Machines write none, so the usual case is one comparison.
    match rest {
        [next, ..] if *next > b' ' => rest,
        _ => skip_spaces(rest),
    }
}

#[inline(never)]
fn skip_spaces(mut rest: &[u8]) -> &[u8] {
    while let [b' ' | b'\n' | b'\r' | b'\t', behind @ ..] = rest {
        rest = behind;
    }
    rest
}

/// Reads one byte that must be there.
#[inline]
pub(super) fn expect(rest: &[u8], byte: u8) -> Result<&[u8], Unfit> {
    match rest {
        [first, behind @ ..] if *first == byte => Ok(behind),
        _ => Err(Unfit::at(rest)),
    }
}

/// Reads a string from behind its opening quote to behind its closing one.
#[inline(always)]
pub(super) fn string(content: &[u8]) -> Result<(&[u8], Spelling), Unfit> {
    match skip_plain(content) {
        [b'"', behind @ ..] => Ok((behind, Spelling::Plain)),
        rest => string_from_escape(rest).map(|behind| (behind, Spelling::Escaped)),
    }
}

/// The rest of a string, from its first byte that cannot stand as it is.
#[inline(never)]
fn string_from_escape(mut rest: &[u8]) -> Result<&[u8], Unfit> {
    loop {
        rest = skip_plain(match rest {
            [b'"', behind @ ..] => return Ok(behind),
            [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', behind @ ..] => behind,
            [b'\\', b'u', digits @ ..] => four_hex_digits(digits)?,
            [b'\\', behind @ ..] => return Err(Unfit::at(behind)),
            // A control character, or the text ended.
            _ => return Err(Unfit::at(rest)),
        });
    }
}

#[inline]
fn four_hex_digits(mut rest: &[u8]) -> Result<&[u8], Unfit> {
    for _ in 0..4 {
        match rest {
            [digit, behind @ ..] if digit.is_ascii_hexdigit() => rest = behind,
            _ => return Err(Unfit::at(rest)),
        }
    }
    Ok(rest)
}

/// Reads a number.
pub(super) fn number(rest: &[u8]) -> Result<&[u8], Unfit> {
    let rest = expect(rest, b'-').unwrap_or(rest);
    // RFC 8259 section 6: no leading zeros.
    let mut rest = match rest {
        [b'0', behind @ ..] => match behind {
            [b'0'..=b'9', ..] => return Err(Unfit::at(behind)),
            _ => behind,
        },
        _ => digits(rest)?,
    };
    if let [b'.', fraction @ ..] = rest {
        rest = digits(fraction)?;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        rest = match exponent {
            [b'+' | b'-', unsigned @ ..] => digits(unsigned)?,
            unsigned => digits(unsigned)?,
        };
    }
    Ok(rest)
}

/// One digit or more.
fn digits(rest: &[u8]) -> Result<&[u8], Unfit> {
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 { Err(Unfit::at(rest)) } else { Ok(rest.get(count..).unwrap_or_default()) }
}

/// Reads `true`, `false` or `null`.
pub(super) fn literal<'t>(rest: &'t [u8], word: &[u8]) -> Result<&'t [u8], Unfit> {
    rest.strip_prefix(word).ok_or(Unfit::at(rest))
}

/// Goes to the first byte that cannot stand in a string as it is: a quote, a backslash or a control character.
#[inline(always)]
pub(crate) fn skip_plain(rest: &[u8]) -> &[u8] {
    // Keys and most values end in the first block, without a call.
    match rest.split_first_chunk() {
        None => skip_plain_tail(rest),
        Some((block, behind)) => match specials(block) {
            0 => skip_plain_blocks(behind),
            found => rest.get(lowest(found)..).unwrap_or_default(),
        },
    }
}

/// Bytes that are looked at in one go: what the narrowest vectors hold.
const BLOCK: usize = 16;

/// Blocks that are looked at before a string counts as long, and wider vectors pay.
const NARROW_BLOCKS: usize = 4;

#[inline(never)]
fn skip_plain_blocks(mut rest: &[u8]) -> &[u8] {
    for _ in 0..NARROW_BLOCKS {
        let Some((block, behind)) = rest.split_first_chunk() else { return skip_plain_tail(rest) };
        match specials(block) {
            0 => rest = behind,
            found => return rest.get(lowest(found)..).unwrap_or_default(),
        }
    }
    skip_plain_wide(rest)
}

#[inline(never)]
fn skip_plain_wide(rest: &[u8]) -> &[u8] {
    const WIDE: usize = 64;
    let plain = dispatch!(widest(), simd => {
        let is_plain = |block: &&[u8; WIDE]| !are_special(u8x64::from_slice(simd, *block)).any_true();
        rest.as_chunks().0.iter().take_while(is_plain).count() * WIDE
    });
    let mut rest = rest.get(plain..).unwrap_or_default();
    while let Some((block, behind)) = rest.split_first_chunk() {
        match specials(block) {
            0 => rest = behind,
            found => return rest.get(lowest(found)..).unwrap_or_default(),
        }
    }
    skip_plain_tail(rest)
}

/// The same for fewer bytes than a block, which only the end of a text leaves.
#[inline(never)]
fn skip_plain_tail(rest: &[u8]) -> &[u8] {
    // The zeros behind them are control characters: one is found where nothing else is.
    let mut block = [0; BLOCK];
    for (to, byte) in block.iter_mut().zip(rest) {
        *to = *byte;
    }
    rest.get(lowest(specials(&block))..).unwrap_or_default()
}

/// Marks the bytes of a block that cannot stand in a string as they are, the first in the lowest bit.
#[inline(always)]
fn specials(block: &[u8; BLOCK]) -> u64 {
    dispatch!(Level::baseline(), simd => are_special(u8x16::from_slice(simd, block)).to_bitmask())
}

/// With its second bit flipped, a quote is 0x20 and control characters stay below, so one comparison finds both.
#[inline(always)]
fn are_special<S: Simd, V: SimdInt<S, Element = u8>>(bytes: V) -> V::Mask {
    let flipped = bytes ^ 0x02;
    flipped.min(0x20).simd_eq(flipped) | bytes.simd_eq(b'\\')
}

/// The index of the first marked byte.
#[inline]
const fn lowest(marks: u64) -> usize {
    marks.trailing_zeros() as usize
}
