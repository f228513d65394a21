//! The tokens of JSON that contain no others: strings, numbers and literals, and the white space between them.
//!
//! Each function takes the rest of a text and returns the rest after the token. Because the slice only gets shorter,
//! the compiler keeps everything in registers and removes most bounds checks.

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u8x64};

use crate::simd::widest;

/// The text is invalid at this position, `left` bytes before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unexpected {
    pub(super) left: usize,
}

impl Unexpected {
    #[inline]
    pub(super) const fn at(rest: &[u8]) -> Self {
        Self { left: rest.len() }
    }
}

/// How the content of a string is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// Without escapes: the content can be borrowed from the text.
    Plain,
    Escaped,
}

/// Skips white space.
#[inline]
pub(super) fn skip_space(rest: &[u8]) -> &[u8] {
    // Programs usually write none, so the usual case is one comparison.
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

/// Reads one required byte, after optional white space.
#[inline]
pub(super) fn expect(rest: &[u8], byte: u8) -> Result<&[u8], Unexpected> {
    match rest {
        [first, behind @ ..] if *first == byte => Ok(behind),
        _ => expect_behind_space(rest, byte),
    }
}

#[cold]
fn expect_behind_space(rest: &[u8], byte: u8) -> Result<&[u8], Unexpected> {
    match skip_spaces(rest) {
        [first, behind @ ..] if *first == byte => Ok(behind),
        rest => Err(Unexpected::at(rest)),
    }
}

/// Reads a string. `content` begins after its opening quote, and the returned rest begins after its closing quote.
#[inline(always)]
pub(super) fn string<'t>(content: &'t [u8], marks: &mut Marks<'t>) -> Result<(&'t [u8], Spelling), Unexpected> {
    match marks.skip_plain(content) {
        [b'"', behind @ ..] => Ok((behind, Spelling::Plain)),
        rest => string_from_escape(rest).map(|behind| (behind, Spelling::Escaped)),
    }
}

/// Reads the rest of a string, from its first marked byte (see [`Marks`]).
#[inline(never)]
fn string_from_escape(mut rest: &[u8]) -> Result<&[u8], Unexpected> {
    let mut marks = Marks::of(rest);
    loop {
        rest = marks.skip_plain(match rest {
            [b'"', behind @ ..] => return Ok(behind),
            [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', behind @ ..] => behind,
            [b'\\', b'u', digits @ ..] => four_hex_digits(digits)?,
            [b'\\', behind @ ..] => return Err(Unexpected::at(behind)),
            // A control character, or the text ended.
            _ => return Err(Unexpected::at(rest)),
        });
    }
}

#[inline]
fn four_hex_digits(mut rest: &[u8]) -> Result<&[u8], Unexpected> {
    for _ in 0..4 {
        match rest {
            [digit, behind @ ..] if digit.is_ascii_hexdigit() => rest = behind,
            _ => return Err(Unexpected::at(rest)),
        }
    }
    Ok(rest)
}

/// Reads a number.
pub(super) fn number(rest: &[u8]) -> Result<&[u8], Unexpected> {
    let rest = rest.strip_prefix(b"-").unwrap_or(rest);
    // RFC 8259 section 6: no leading zeros.
    let mut rest = match rest {
        [b'0', behind @ ..] => match behind {
            [b'0'..=b'9', ..] => return Err(Unexpected::at(behind)),
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

/// Reads one digit or more.
fn digits(rest: &[u8]) -> Result<&[u8], Unexpected> {
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 { Err(Unexpected::at(rest)) } else { Ok(rest.get(count..).unwrap_or_default()) }
}

/// Reads `true`, `false` or `null`.
pub(super) fn literal<'t>(rest: &'t [u8], word: &[u8]) -> Result<&'t [u8], Unexpected> {
    rest.strip_prefix(word).ok_or(Unexpected::at(rest))
}

/// Marks the bytes ahead that end or interrupt the plain content of a string: quotes, backslashes and control
/// characters.
///
/// The search works on blocks, and the next string in a block uses the bits that were found before. Loading the bytes
/// of each string separately would make every string wait for the one before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks<'t> {
    text: &'t [u8],
    /// How many bytes of the text remain at the start of the block.
    left: usize,
    /// One bit for each byte of the block, the first byte in the lowest bit.
    bits: u64,
}

/// The number of bytes in a block: each has one bit of a word.
const BLOCK: usize = u64::BITS as usize;

impl<'t> Marks<'t> {
    pub(super) const fn of(text: &'t [u8]) -> Self {
        Self { text, left: 0, bits: 0 }
    }

    /// Skips to the first marked byte. `rest` is the end of the text, and must not get longer from one call to the
    /// next.
    #[inline(always)]
    pub(super) fn skip_plain(&mut self, rest: &'t [u8]) -> &'t [u8] {
        let taken = self.left.wrapping_sub(rest.len());
        let ahead = if taken < BLOCK { self.bits >> taken } else { 0 };
        if ahead != 0 {
            return rest.get(lowest(ahead)..).unwrap_or_default();
        }
        let (plain, bits) = find(self.text, rest);
        (self.left, self.bits) = (rest.len() - plain, bits);
        rest.get(plain..).unwrap_or_default()
    }
}

/// Like [`Marks::skip_plain`], for a single string.
#[inline]
pub(crate) fn skip_plain(rest: &[u8]) -> &[u8] {
    Marks::of(rest).skip_plain(rest)
}

/// Returns how many bytes of `rest` come before the first marked byte, and the marks from there on. Without a marked
/// byte, it returns the length of `rest` and no marks. `rest` is the end of `text`.
#[inline(never)]
fn find(text: &[u8], rest: &[u8]) -> (usize, u64) {
    let Some(block) = rest.first_chunk() else { return find_in_tail(text, rest) };
    match marks(block) {
        0 => find_far(text, rest),
        bits => from_lowest(0, bits),
    }
}

/// Like [`find`], when the first block has no mark.
#[inline(never)]
fn find_far(text: &[u8], rest: &[u8]) -> (usize, u64) {
    let (blocks, tail) = rest.as_chunks();
    let before = count_plain(blocks);
    match blocks.get(before) {
        Some(block) => from_lowest(before * BLOCK, marks(block)),
        None => {
            let (plain, bits) = find_in_tail(text, tail);
            (before * BLOCK + plain, bits)
        }
    }
}

/// Like [`find`], for less than a block. It uses the last whole block of the text, or a copy when the text is shorter
/// than a block.
fn find_in_tail(text: &[u8], tail: &[u8]) -> (usize, u64) {
    let bits = match text.last_chunk() {
        // Two shifts, because one shift by all 64 bits would overflow when the tail is empty.
        Some(block) => marks(block) >> 1 >> (BLOCK - 1 - tail.len()),
        None => {
            let mut block = [b' '; BLOCK];
            for (to, byte) in block.iter_mut().zip(tail) {
                *to = *byte;
            }
            marks(&block)
        }
    };
    if bits == 0 { (tail.len(), 0) } else { from_lowest(0, bits) }
}

#[inline]
const fn from_lowest(before: usize, bits: u64) -> (usize, u64) {
    (before + lowest(bits), bits >> lowest(bits))
}

/// The number of blocks at the front without a mark.
fn count_plain(blocks: &[[u8; BLOCK]]) -> usize {
    dispatch!(widest(), simd => {
        let is_plain = |block: &&[u8; BLOCK]| !are_special(u8x64::from_slice(simd, *block)).any_true();
        blocks.iter().take_while(is_plain).count()
    })
}

#[inline]
fn marks(block: &[u8; BLOCK]) -> u64 {
    dispatch!(Level::baseline(), simd => are_special(u8x64::from_slice(simd, block)).to_bitmask())
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

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn marks_agree_with_a_check_of_every_byte(
            text in prop::collection::vec(
                prop_oneof![30 => any::<u8>(), 60 => Just(b'a'), 1 => prop::sample::select(Vec::from(*b"\"\\\n"))], 0..400
            ),
            steps in prop::collection::vec(1_usize..90, 0..30),
        ) {
            let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..b' ');
            let mut marks = Marks::of(&text);
            let mut rest = &text[..];
            for step in steps {
                let plain = rest.iter().position(is_special).unwrap_or(rest.len());
                prop_assert_eq!(marks.skip_plain(rest), &rest[plain..]);
                rest = rest.get(plain + step..).unwrap_or_default();
            }
        }
    }
}
