//! UTF-8 of whole and of split texts: RFC 6455 section 8.1, RFC 3629.

use core::str;

/// Bytes that are not UTF-8, or that end in the middle of a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is not valid UTF-8")]
pub struct InvalidUtf8;

/// Checks a whole text in one pass.
///
/// # Errors
/// [`InvalidUtf8`] when the text is not valid.
#[inline]
pub fn from_utf8(bytes: &[u8]) -> Result<&str, InvalidUtf8> {
    if bytes.len() < SIMD_FROM { str::from_utf8(bytes).ok() } else { simdutf8::basic::from_utf8(bytes).ok() }
        .ok_or(InvalidUtf8)
}

/// Below this length the setup of the vector code costs more than it saves.
const SIMD_FROM: usize = 64;

/// Checks a text that arrives in pieces, and fails at the first byte after which no continuation can make the text
/// valid.
///
/// Each [`decode`](Self::decode) returns the text that is complete. At most 3 bytes of an incomplete character are
/// kept. [`finish`](Self::finish) ends the text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8Decoder {
    /// The start of a character whose end has not arrived.
    partial: [u8; 4],
    len: u8,
}

impl Utf8Decoder {
    /// Takes the next piece. Returns the character that an earlier piece began and this one completes, and the text
    /// after it.
    ///
    /// # Errors
    /// [`InvalidUtf8`] as soon as the pieces so far cannot be the start of a valid text.
    #[inline]
    pub fn decode<'b>(&mut self, piece: &'b [u8]) -> Result<(Option<char>, &'b str), InvalidUtf8> {
        let mut rest = piece;
        let mut completed = None;
        while self.len > 0 {
            let Some((&next, after)) = rest.split_first() else { return Ok((None, "")) };
            rest = after;
            completed = self.push(next)?;
        }
        let (text, partial) = rest.split_at(rest.len() - incomplete_suffix(rest));
        for &byte in partial {
            self.push(byte)?;
        }
        Ok((completed, from_utf8(text)?))
    }

    /// Ends the text and resets the decoder.
    ///
    /// # Errors
    /// [`InvalidUtf8`] when the text ends in the middle of a character.
    #[inline]
    pub fn finish(&mut self) -> Result<(), InvalidUtf8> {
        let unfinished = core::mem::take(self).len > 0;
        if unfinished { Err(InvalidUtf8) } else { Ok(()) }
    }

    /// Adds one byte to the incomplete character, and returns the character when it is complete.
    fn push(&mut self, byte: u8) -> Result<Option<char>, InvalidUtf8> {
        let slot = self.partial.get_mut(usize::from(self.len)).ok_or(InvalidUtf8)?;
        *slot = byte;
        self.len += 1;
        let partial = self.partial.get(..usize::from(self.len)).unwrap_or_default();
        match str::from_utf8(partial) {
            Ok(text) => {
                self.len = 0;
                Ok(text.chars().next())
            }
            Err(error) if error.error_len().is_none() => Ok(None),
            Err(_) => Err(InvalidUtf8),
        }
    }
}

/// The number of bytes at the end of `bytes` that start a character without ending it, 0 to 3.
fn incomplete_suffix(bytes: &[u8]) -> usize {
    for (back, &byte) in bytes.iter().rev().take(3).enumerate() {
        let needed = match byte {
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xFF => 4,
            0x80..=0xBF => continue,
            _ => return 0,
        };
        return if back + 1 < needed { back + 1 } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::*;

    const VALID: &[&str] = &[
        "",
        "Hello",
        "Hello-µ@ßöäüàá-UTF-8!!",
        "κόσμε",
        "\u{0}\u{7F}\u{80}\u{7FF}\u{800}\u{D7FF}\u{E000}\u{FFFF}\u{10000}\u{10FFFF}",
        "👩‍👩‍👧‍👦 e\u{301} and a run of plain letters that is longer than one vector register, to reach the wide code",
    ];

    /// Each text with the length of the shortest prefix that no continuation can make valid; `None` when only the end
    /// of the text shows it.
    const INVALID: &[(&[u8], Option<usize>)] = &[
        (b"\x80", Some(1)),
        (b"ab\xBF", Some(3)),
        (b"\xC0\x80", Some(1)),
        (b"\xC1\xBF", Some(1)),
        (b"\xE0\x80\x80", Some(2)),
        (b"\xE0\x9F\xBF", Some(2)),
        (b"\xF0\x80\x80\x80", Some(2)),
        (b"\xF0\x8F\xBF\xBF", Some(2)),
        (b"\xED\xA0\x80", Some(2)),
        (b"\xED\xBF\xBF", Some(2)),
        (b"\xF4\x90\x80\x80", Some(2)),
        (b"\xF5\x80\x80\x80", Some(1)),
        (b"\xFE", Some(1)),
        (b"\xFF", Some(1)),
        (b"\xC3(", Some(2)),
        (b"\xE2\x82(", Some(3)),
        (b"\xF0\x9F\x98(", Some(4)),
        (b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0\x80edited", Some(13)),
        (b"\xC3", None),
        (b"\xE2\x82", None),
        (b"\xF0\x9F\x98", None),
    ];

    fn decode(pieces: impl IntoIterator<Item = Vec<u8>>) -> Result<String, InvalidUtf8> {
        let mut decoder = Utf8Decoder::default();
        let mut text = String::new();
        for piece in pieces {
            let (first, rest) = decoder.decode(&piece)?;
            text.extend(first);
            text.push_str(rest);
        }
        decoder.finish()?;
        Ok(text)
    }

    #[test]
    fn valid_text_passes_whole_byte_by_byte_and_at_every_two_splits() {
        for text in VALID {
            let bytes = text.as_bytes();
            assert_eq!(from_utf8(bytes), Ok(*text));
            assert_eq!(decode(bytes.iter().map(|&byte| Vec::from([byte]))).as_deref(), Ok(*text));
            for one in 0..=bytes.len() {
                for two in one..=bytes.len() {
                    let pieces = [bytes[..one].to_vec(), bytes[one..two].to_vec(), bytes[two..].to_vec()];
                    assert_eq!(decode(pieces).as_deref(), Ok(*text), "cut at {one} and {two}");
                }
            }
        }
    }

    #[test]
    fn invalid_text_fails_at_the_first_byte_that_nothing_can_mend() {
        for &(bytes, fails_at) in INVALID {
            assert_eq!(from_utf8(bytes), Err(InvalidUtf8));
            for cut in 0..=bytes.len() {
                let mut decoder = Utf8Decoder::default();
                let result = decoder.decode(&bytes[..cut]).map(|_| ());
                assert_eq!(result.is_err(), fails_at.is_some_and(|at| cut >= at), "{bytes:x?} up to {cut}");
                assert_eq!(decode([bytes[..cut].to_vec(), bytes[cut..].to_vec()]), Err(InvalidUtf8));
            }
            assert_eq!(decode(bytes.iter().map(|&byte| Vec::from([byte]))), Err(InvalidUtf8));
        }
    }

    #[test]
    fn after_finish_the_decoder_is_as_new() {
        let mut decoder = Utf8Decoder::default();
        decoder.decode(b"\xE2\x82").unwrap();
        assert_eq!(decoder.finish(), Err(InvalidUtf8));
        assert_eq!(decoder.decode(b"a"), Ok((None, "a")));
        assert_eq!(decoder.finish(), Ok(()));
    }
}
