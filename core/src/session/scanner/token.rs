//! The tokens of JSON that hold no others: strings, numbers and literals, and the white space between.
//!
//! Each function takes the rest of a text and returns the rest behind what it read. A slice that only gets shorter lets the
//! compiler keep everything in registers and see most bounds for itself.

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
    // Keys and short values end in the first word, without a call.
    match rest.split_first_chunk() {
        None => skip_plain_tail(rest),
        Some((word, behind)) => match specials(*word) {
            0 => skip_plain_words(behind),
            found => rest.get(lowest(found)..).unwrap_or_default(),
        },
    }
}

/// Words that are looked at one by one before a string counts as long.
const NARROW_WORDS: usize = 4;

/// Bytes that are looked at in one go once a string is long: the compiler makes vector instructions of it.
const BLOCK: usize = 32;

#[inline(never)]
fn skip_plain_words(mut rest: &[u8]) -> &[u8] {
    for _ in 0..NARROW_WORDS {
        let Some((word, behind)) = rest.split_first_chunk() else { return skip_plain_tail(rest) };
        match specials(*word) {
            0 => rest = behind,
            found => return rest.get(lowest(found)..).unwrap_or_default(),
        }
    }
    skip_plain_wide(rest)
}

#[inline(never)]
fn skip_plain_wide(rest: &[u8]) -> &[u8] {
    let is_plain = |block: &&[u8; BLOCK]| !block.iter().fold(false, |found, byte| found | is_special(*byte));
    let plain = rest.as_chunks().0.iter().take_while(is_plain).count() * BLOCK;
    let mut rest = rest.get(plain..).unwrap_or_default();
    while let Some((word, behind)) = rest.split_first_chunk() {
        match specials(*word) {
            0 => rest = behind,
            found => return rest.get(lowest(found)..).unwrap_or_default(),
        }
    }
    skip_plain_tail(rest)
}

/// The same for fewer bytes than a word, which only the end of a text leaves.
#[cold]
fn skip_plain_tail(mut rest: &[u8]) -> &[u8] {
    while let [byte, behind @ ..] = rest
        && !is_special(*byte)
    {
        rest = behind;
    }
    rest
}

/// With its second bit flipped, a quote is 0x20 and control characters stay below, so one comparison finds both.
#[inline]
const fn is_special(byte: u8) -> bool {
    (byte ^ 0x02 < 0x21) | (byte == b'\\')
}

/// Marks the bytes of a word for which [`is_special`] holds, by their highest bits. The lowest mark is exact: the borrow of
/// a subtraction can only spoil bytes above one that is marked.
#[inline]
const fn specials(word: [u8; 8]) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    let word = u64::from_le_bytes(word);
    let below = (word ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    let backslash = (word ^ (ONES * 0x5c)).wrapping_sub(ONES);
    (below | backslash) & !word & (ONES << 7)
}

/// The index of the first marked byte.
#[inline]
const fn lowest(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}
