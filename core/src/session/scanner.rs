//! The scanner: one pass over JSON that checks the grammar and the depth and notes where members lie.
//!
//! It accepts what `serde_json` accepts as a raw value, and besides holds a limit on nesting, which raw values have not. It
//! copies and allocates nothing: what it hands out are positions in the text, free of any lifetime, so that a judgement about
//! a message can outlive the borrow of the buffer the message lies in.

use alloc::borrow::Cow;
use alloc::string::String;

/// The deepest nesting that any configuration can allow: one bit of a `u128` stands for each level.
pub(crate) const DEPTH_CEILING: u8 = 128;

/// Where a text stopped being acceptable JSON.
///
/// Positions count bytes from the start of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The text breaks the grammar of RFC 8259.
    #[error("not JSON at byte {at}")]
    Invalid {
        /// The first byte that fits no continuation.
        at: u32,
    },
    /// Arrays and objects are nested deeper than allowed.
    #[error("nested deeper than {limit} levels at byte {at}")]
    TooDeep {
        /// The bracket that opened one level too many.
        at: u32,
        /// The deepest level allowed.
        limit: u8,
    },
}

/// What a value is, as far as its first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool,
    Number,
    /// A string without escapes: its content lies in the text as it is.
    PlainString,
    EscapedString,
    Array,
    Object,
}

/// Where a value lies in the text and what it is. It knows no lifetime: each use names the text again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    start: u32,
    end: u32,
    kind: Kind,
}

impl Value {
    pub(crate) const fn kind(self) -> Kind {
        self.kind
    }

    /// The value as it was written.
    pub(crate) fn raw(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// The content of a string; `None` for other values, and for a string that holds half a surrogate pair: that is no
    /// Unicode text (RFC 8259 section 8.2), so it can name nothing.
    pub(crate) fn string(self, text: &str) -> Option<Cow<'_, str>> {
        match self.kind {
            Kind::PlainString => text.get(self.start as usize + 1..self.end as usize - 1).map(Cow::Borrowed),
            Kind::EscapedString => serde_json::from_str::<String>(self.raw(text)).ok().map(Cow::Owned),
            _ => None,
        }
    }

    /// Whether this is a string with exactly this content, told without an allocation unless it holds escapes.
    pub(crate) fn is(self, text: &str, content: &str) -> bool {
        self.string(text).is_some_and(|string| string == content)
    }
}

/// A cursor over JSON text: the caller pulls keys and values, everything in between is checked.
///
/// Nothing recurses, so depth costs no stack.
#[derive(Debug)]
pub(crate) struct Scanner<'t> {
    text: &'t str,
    at: usize,
    /// The containers that stand open, the innermost in the lowest bit: 1 is an object, 0 an array.
    objects: u128,
    depth: u8,
    max_depth: u8,
    /// A value was completed in the innermost container, so a comma or its end must follow.
    after_value: bool,
}

impl<'t> Scanner<'t> {
    pub(crate) fn new(text: &'t str, max_depth: u8) -> Self {
        Self { text, at: 0, objects: 0, depth: 0, max_depth: max_depth.min(DEPTH_CEILING), after_value: false }
    }

    /// A scanner for text that was checked before, as deep as that may be.
    pub(crate) fn again(text: &'t str) -> Self {
        Self::new(text, DEPTH_CEILING)
    }

    /// Enters the object that comes next; `false`, and nothing is consumed, when something else does.
    pub(crate) fn enter_object(&mut self) -> Result<bool, JsonError> {
        self.enter_if(b'{')
    }

    /// Enters the array that comes next; `false`, and nothing is consumed, when something else does.
    pub(crate) fn enter_array(&mut self) -> Result<bool, JsonError> {
        self.enter_if(b'[')
    }

    /// The next key of the object that was entered, its value being next; `None` once the object ended.
    ///
    /// A key that holds half a surrogate pair comes as it was written: it equals no name, since it holds a backslash.
    pub(crate) fn next_key(&mut self) -> Result<Option<Cow<'t, str>>, JsonError> {
        let text = self.text;
        Ok(self.key()?.map(|key| key.string(text).unwrap_or(Cow::Borrowed(key.raw(text)))))
    }

    /// Whether the array that was entered has a further element, which is next; `false` once the array ended.
    pub(crate) fn next_element(&mut self) -> Result<bool, JsonError> {
        let byte = self.skip_space();
        if byte == b']' {
            self.leave();
            return Ok(false);
        }
        if self.after_value {
            self.expect(b',')?;
            if self.skip_space() == b']' {
                return Err(self.invalid());
            }
        }
        Ok(true)
    }

    /// The value that comes next, whole.
    pub(crate) fn value(&mut self) -> Result<Value, JsonError> {
        let byte = self.skip_space();
        let start = self.at;
        let kind = match byte {
            b'{' | b'[' => {
                self.container(byte)?;
                if byte == b'{' { Kind::Object } else { Kind::Array }
            }
            _ => self.leaf(byte)?,
        };
        self.after_value = true;
        Ok(self.located(start, kind))
    }

    /// The position of the next value, for [`Scanner::object_since`].
    pub(crate) fn position(&mut self) -> usize {
        self.skip_space();
        self.at
    }

    /// The object that was entered at `position` and left just now.
    pub(crate) fn object_since(&self, position: usize) -> Value {
        self.located(position, Kind::Object)
    }

    /// Nothing but white space may follow. A text that positions of 32 bits cannot span is refused here.
    pub(crate) fn finish(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        if self.at == self.text.len() && u32::try_from(self.at).is_ok() { Ok(()) } else { Err(self.invalid()) }
    }

    fn enter_if(&mut self, bracket: u8) -> Result<bool, JsonError> {
        if self.skip_space() != bracket {
            return Ok(false);
        }
        self.enter(bracket)?;
        Ok(true)
    }

    fn enter(&mut self, bracket: u8) -> Result<(), JsonError> {
        if self.depth == self.max_depth {
            return Err(JsonError::TooDeep { at: narrow(self.at), limit: self.max_depth });
        }
        self.at += 1;
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(bracket == b'{');
        self.after_value = false;
        Ok(())
    }

    fn leave(&mut self) {
        self.at += 1;
        self.depth = self.depth.saturating_sub(1);
        self.objects >>= 1;
        self.after_value = true;
    }

    fn container(&mut self, bracket: u8) -> Result<(), JsonError> {
        let outside = self.depth;
        self.enter(bracket)?;
        while self.depth > outside {
            let in_object = self.objects & 1 == 1;
            let ended = if in_object { self.key()?.is_none() } else { !self.next_element()? };
            if ended {
                continue;
            }
            match self.skip_space() {
                bracket @ (b'{' | b'[') => self.enter(bracket)?,
                byte => {
                    self.leaf(byte)?;
                    self.after_value = true;
                }
            }
        }
        Ok(())
    }

    fn key(&mut self) -> Result<Option<Value>, JsonError> {
        let mut byte = self.skip_space();
        if byte == b'}' {
            self.leave();
            return Ok(None);
        }
        if self.after_value {
            self.expect(b',')?;
            byte = self.skip_space();
        }
        if byte != b'"' {
            return Err(self.invalid());
        }
        let start = self.at;
        let kind = self.string()?;
        let key = self.located(start, kind);
        self.skip_space();
        self.expect(b':')?;
        Ok(Some(key))
    }

    fn leaf(&mut self, first: u8) -> Result<Kind, JsonError> {
        match first {
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.literal("true", Kind::Bool),
            b'f' => self.literal("false", Kind::Bool),
            b'n' => self.literal("null", Kind::Null),
            _ => Err(self.invalid()),
        }
    }

    #[inline]
    fn string(&mut self) -> Result<Kind, JsonError> {
        self.at += 1;
        self.at += plain_prefix(self.rest());
        if self.byte() == b'"' {
            self.at += 1;
            return Ok(Kind::PlainString);
        }
        self.string_from_escape()
    }

    /// The rest of a string, from its first byte that cannot stand as it is.
    #[cold]
    fn string_from_escape(&mut self) -> Result<Kind, JsonError> {
        loop {
            match self.byte() {
                b'"' => {
                    self.at += 1;
                    return Ok(Kind::EscapedString);
                }
                b'\\' => self.escape()?,
                // A control character, or the text ended.
                _ => return Err(self.invalid()),
            }
            self.at += plain_prefix(self.rest());
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        match self.byte() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.byte().is_ascii_hexdigit() {
                        return Err(self.invalid());
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.invalid()),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Kind, JsonError> {
        if self.byte() == b'-' {
            self.at += 1;
        }
        // RFC 8259 section 6: no leading zeros.
        if self.byte() == b'0' {
            self.at += 1;
            if self.byte().is_ascii_digit() {
                return Err(self.invalid());
            }
        } else {
            self.digits()?;
        }
        if self.byte() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.byte(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Kind::Number)
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), JsonError> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { Err(self.invalid()) } else { Ok(()) }
    }

    fn literal(&mut self, word: &str, kind: Kind) -> Result<Kind, JsonError> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.invalid());
        }
        self.at += word.len();
        Ok(kind)
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.byte() != byte {
            return Err(self.invalid());
        }
        self.at += 1;
        Ok(())
    }

    /// Skips white space and looks at the byte behind it.
    #[inline]
    fn skip_space(&mut self) -> u8 {
        // Machines write none, so the usual case is one comparison.
        let byte = self.byte();
        if byte > b' ' { byte } else { self.skip_spaces() }
    }

    fn skip_spaces(&mut self) -> u8 {
        while let b' ' | b'\n' | b'\r' | b'\t' = self.byte() {
            self.at += 1;
        }
        self.byte()
    }

    /// The present byte. The end of the text reads as NUL, which fits nowhere in JSON either.
    #[inline]
    fn byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn rest(&self) -> &'t [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn located(&self, start: usize, kind: Kind) -> Value {
        Value { start: narrow(start), end: narrow(self.at), kind }
    }

    fn invalid(&self) -> JsonError {
        JsonError::Invalid { at: narrow(self.at) }
    }
}

/// Positions beyond 4 GiB are out of reach: [`Scanner::finish`] refuses such a text.
fn narrow(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

/// How many bytes at the start of `bytes` can stand in a string as they are: neither quote, backslash nor control.
#[inline]
pub(crate) fn plain_prefix(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH: u64 = ONES << 7;
    // The lowest set bit marks the first byte below the bound; bits above it may be set falsely, by the borrow.
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word & HIGH;
    let mut at = 0;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*word);
        let special = below(word, 0x20) | below(word ^ (ONES * 0x22), 1) | below(word ^ (ONES * 0x5c), 1);
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + plain_prefix_of_tail(bytes.get(at..).unwrap_or_default())
}

/// The same for fewer bytes than a word, which only the end of a text leaves.
#[cold]
fn plain_prefix_of_tail(bytes: &[u8]) -> usize {
    let plain = |byte: &&u8| **byte >= 0x20 && **byte != b'"' && **byte != b'\\';
    bytes.iter().take_while(plain).count()
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    fn scan(text: &str, max_depth: u8) -> Result<Value, JsonError> {
        let mut scanner = Scanner::new(text, max_depth);
        let value = scanner.value()?;
        scanner.finish().map(|()| value)
    }

    #[test]
    fn accepts_and_refuses_what_serde_json_does() {
        let texts = [
            "0",
            "-0",
            "-",
            "01",
            "1.",
            "1.5",
            ".5",
            "1e5",
            "1E+5",
            "1e",
            "1e-",
            "-1.0e-10",
            "1e999999",
            "1a",
            "0x1",
            "+1",
            "true",
            "false",
            "null",
            "tru",
            "nul",
            "nulll",
            "True",
            "NaN",
            "Infinity",
            "\"\"",
            "\"a",
            "\"\\u00e9\"",
            "\"\\u00g9\"",
            "\"\\ud800\"",
            "\"\\x\"",
            "\"\\",
            "\"\n\"",
            "\"\u{7f}\"",
            "\"\u{0}\"",
            "\"é😀\"",
            "'a'",
            "[]",
            "[1]",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1,2",
            "[",
            "]",
            "[}",
            "[[],[]]",
            "[1,[2,{\"a\":[]}]]",
            "{}",
            "{\"a\":1}",
            "{\"a\":1,}",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{\"a\":1 \"b\":2}",
            "{\"a\":1,\"a\":2}",
            "{1:2}",
            "{\"a\":1",
            "{",
            "}",
            "{]",
            "{\"\\u0061\":1}",
            "",
            " ",
            " 1 ",
            "\t\r\n{}\n",
            "1 1",
            "{} x",
            "\u{feff}1",
            "\u{a0}1",
            "/*c*/1",
            "1\0",
            "[1]]",
            "\u{b}1",
        ];
        for text in texts {
            assert_eq!(scan(text, 64).is_ok(), serde_json::from_str::<&RawValue>(text).is_ok(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json_on_anything_made_of_json_tokens(
            tokens in prop::collection::vec(prop::sample::select(Vec::from([
                "{", "}", "[", "]", ",", ":", "\"a\"", "\"\\n\"", "\"", "\\", "1", "-", ".", "e", "0", "null", "true", " ", "\n", "é", "\u{1}",
            ])), 0..12)
        ) {
            let text: String = tokens.concat();
            let ours = scan(&text, 64).ok().map(|value| value.raw(&text).to_string());
            let theirs = serde_json::from_str::<&RawValue>(&text).ok().map(|value| value.get().to_string());
            prop_assert_eq!(ours, theirs);
        }

        #[test]
        fn agrees_with_serde_json_on_any_string(content in any::<String>(), cut in 0usize..40) {
            let quoted = serde_json::to_string(&content).unwrap();
            let value = scan(&quoted, 1).unwrap();
            let decoded = value.string(&quoted);
            prop_assert_eq!(decoded.as_deref(), Some(content.as_str()));
            // Cut anywhere, both refuse.
            let cut = quoted.get(..cut.min(quoted.len() - 1)).unwrap_or("");
            prop_assert_eq!(scan(cut, 1).is_ok(), serde_json::from_str::<&RawValue>(cut).is_ok());
        }
    }

    #[test]
    fn depth_is_refused_one_level_past_the_limit() {
        for limit in [1, 2, 64, DEPTH_CEILING] {
            let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            assert!(scan(&nested(usize::from(limit)), limit).is_ok());
            let error = JsonError::TooDeep { at: u32::from(limit), limit };
            assert_eq!(scan(&nested(usize::from(limit) + 1), limit), Err(error));
        }
        // No stack is at stake, however deep the text.
        assert!(matches!(scan(&"{\"a\":".repeat(1 << 20), 255), Err(JsonError::TooDeep { limit: DEPTH_CEILING, .. })));
        // Siblings do not add up.
        assert!(scan("[[],[],[[]]]", 3).is_ok());
    }

    #[test]
    fn an_error_names_the_first_byte_that_fits_nowhere() {
        assert_eq!(scan("{\"a\":tru}", 64), Err(JsonError::Invalid { at: 5 }));
        assert_eq!(scan("[1,2", 64), Err(JsonError::Invalid { at: 4 }));
        assert_eq!(scan("{} {}", 64), Err(JsonError::Invalid { at: 3 }));
        assert_eq!(JsonError::Invalid { at: 3 }.to_string(), "not JSON at byte 3");
    }

    #[test]
    fn half_a_surrogate_pair_is_no_string() {
        let text = r#""\ud83d""#;
        let value = scan(text, 1).unwrap();
        assert_eq!(value.kind(), Kind::EscapedString);
        assert_eq!(value.string(text), None);
        let text = r#""\ud83d\ude00""#;
        assert_eq!(scan(text, 1).unwrap().string(text).as_deref(), Some("😀"));
    }

    #[test]
    fn special_bytes_are_found_at_every_offset_of_a_word() {
        for special in [b'"', b'\\', 0, 0x1f, b'\n'] {
            for offset in 0..24 {
                let mut bytes = [b'a'; 24];
                bytes[offset] = special;
                assert_eq!(plain_prefix(&bytes), offset);
            }
        }
        assert_eq!(plain_prefix("é\u{7f}ÿ 😀!#[]".as_bytes()), "é\u{7f}ÿ 😀!#[]".len());
    }
}
