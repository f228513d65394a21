//! The scanner: one pass over JSON that checks the grammar and the depth, and records the positions of members.
//!
//! It accepts the text that `serde_json` accepts as a raw value. In addition, it enforces a limit on nesting, which raw
//! values do not have. It copies and allocates nothing, except for keys with escapes. It returns positions in the text,
//! without a lifetime, so that the result for a message can outlive the borrow of the buffer that holds the message.

mod token;

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

pub(crate) use token::skip_plain;
use token::{Marks, Spelling, Unexpected};

/// The deepest nesting that any configuration can allow: one bit of a `u128` stands for each level.
pub(crate) const DEPTH_CEILING: u8 = 128;

/// Why and where a text was refused.
///
/// Positions count bytes from the start of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The text breaks the grammar of RFC 8259.
    #[error("not JSON at byte {at}")]
    Invalid {
        /// The first byte that cannot continue the text, or the start of a word that is not `true`, `false` or `null`.
        at: u32,
    },
    /// Arrays and objects are nested deeper than allowed.
    #[error("nested deeper than {limit} levels at byte {at}")]
    TooDeep {
        /// The position of the bracket that opens one level too many.
        at: u32,
        /// The deepest level allowed.
        limit: u8,
    },
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool,
    Number,
    /// A string without escapes: its content can be borrowed from the text.
    PlainString,
    EscapedString,
    Array,
    Object,
}

/// The position and the type of a value. It has no lifetime: each use takes the text as an argument.
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

    /// The raw text of the value.
    pub(crate) fn raw(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// The content of a string; `None` for other values, and for a string that has half a surrogate pair: it is not
    /// Unicode text (RFC 8259 section 8.2), so it cannot be a name.
    #[inline]
    pub(crate) fn string(self, text: &str) -> Option<Cow<'_, str>> {
        match self.kind {
            Kind::PlainString => text.get(self.content()).map(Cow::Borrowed),
            Kind::EscapedString => unescaped(self.raw(text)).map(Cow::Owned),
            _ => None,
        }
    }

    /// Whether this is a string with exactly this content. It allocates only if the string has escapes.
    #[inline]
    pub(crate) fn is(self, text: &str, content: &str) -> bool {
        match self.kind {
            Kind::PlainString => text.as_bytes().get(self.content()) == Some(content.as_bytes()),
            Kind::EscapedString => unescaped(self.raw(text)).is_some_and(|string| string == content),
            _ => false,
        }
    }

    /// The range of the content of a string, between its quotes.
    const fn content(self) -> Range<usize> {
        self.start as usize + 1..self.end as usize - 1
    }
}

#[cold]
fn unescaped(quoted: &str) -> Option<String> {
    serde_json::from_str(quoted).ok()
}

/// A cursor over JSON text. The caller reads keys and values, and the scanner checks everything in between.
///
/// There is no recursion, so nesting uses no stack. Functions that are not inlined take and return plain values, so
/// that the cursor itself stays in registers. The other functions are always inlined, because one call of them would
/// move the cursor to memory.
#[derive(Debug)]
pub(crate) struct Scanner<'t> {
    text: &'t str,
    /// The unread text.
    rest: &'t [u8],
    marks: Marks<'t>,
    depth: u8,
    max_depth: u8,
    /// A value was completed in the container that the caller entered, so a comma or the end of the container must
    /// follow.
    after_value: bool,
}

impl<'t> Scanner<'t> {
    #[inline]
    pub(crate) fn new(text: &'t str, max_depth: u8) -> Self {
        let (rest, max_depth) = (text.as_bytes(), max_depth.min(DEPTH_CEILING));
        Self { text, rest, marks: Marks::of(rest), depth: 0, max_depth, after_value: false }
    }

    /// A scanner for text that was checked before, with the highest possible limit of nesting.
    pub(crate) fn again(text: &'t str) -> Self {
        Self::new(text, DEPTH_CEILING)
    }

    /// Enters the next value if it is an object. Otherwise returns `false` and consumes nothing.
    #[inline]
    pub(crate) fn enter_object(&mut self) -> Result<bool, JsonError> {
        self.enter_if(b'{')
    }

    /// Enters the next value if it is an array. Otherwise returns `false` and consumes nothing.
    #[cfg(any(feature = "server", feature = "socketio"))]
    pub(crate) fn enter_array(&mut self) -> Result<bool, JsonError> {
        self.enter_if(b'[')
    }

    /// The next key of the entered object, converted by `name`. Its value comes next. `None` when the object has ended.
    ///
    /// A key that has half a surrogate pair is passed as raw text. It equals no name, because it has a backslash.
    #[inline(always)]
    pub(crate) fn next_key<N>(&mut self, name: impl FnOnce(&[u8]) -> N) -> Result<Option<N>, JsonError> {
        let rest = match self.rest {
            [b',', behind @ ..] if self.after_value => behind,
            [b'"', ..] if !self.after_value => self.rest,
            _ => {
                self.skip_space();
                if let [b'}', behind @ ..] = self.rest {
                    self.leave(behind);
                    return Ok(None);
                }
                if self.after_value { self.fit(token::expect(self.rest, b','))? } else { self.rest }
            }
        };
        let content = self.fit(token::expect(rest, b'"'))?;
        let read = token::string(content, &mut self.marks);
        let (behind, spelling) = self.fit(read)?;
        self.rest = self.fit(token::expect(behind, b':'))?;
        let key = content.get(..content.len() - behind.len() - 1).unwrap_or_default();
        Ok(Some(match spelling {
            Spelling::Plain => name(key),
            Spelling::Escaped => name(&unescaped_key(key)),
        }))
    }

    /// Whether the entered array has a further element, which comes next. `false` when the array has ended.
    #[cfg(any(feature = "server", feature = "socketio"))]
    pub(crate) fn next_element(&mut self) -> Result<bool, JsonError> {
        self.skip_space();
        if let [b']', behind @ ..] = self.rest {
            self.leave(behind);
            return Ok(false);
        }
        if self.after_value {
            self.rest = self.fit(token::expect(self.rest, b','))?;
            self.skip_space();
            if let [b']', ..] = self.rest {
                return Err(self.invalid());
            }
        }
        Ok(true)
    }

    /// Reads the next value completely.
    #[inline(always)]
    pub(crate) fn value(&mut self) -> Result<Value, JsonError> {
        self.skip_space();
        let start = self.at();
        let kind = match self.rest {
            [b'"', content @ ..] => {
                let read = token::string(content, &mut self.marks);
                let (behind, spelling) = self.fit(read)?;
                self.rest = behind;
                match spelling {
                    Spelling::Plain => Kind::PlainString,
                    Spelling::Escaped => Kind::EscapedString,
                }
            }
            [bracket @ (b'{' | b'['), ..] => {
                self.rest = skip_container(self.text, self.rest, self.depth, self.max_depth)?;
                if *bracket == b'{' { Kind::Object } else { Kind::Array }
            }
            _ => {
                let (behind, kind) = self.fit(bare(self.rest))?;
                self.rest = behind;
                kind
            }
        };
        self.after_value = true;
        Ok(Value { start, end: self.at(), kind })
    }

    /// The position of the next value, for [`Scanner::object_since`].
    #[inline]
    pub(crate) fn position(&mut self) -> u32 {
        self.skip_space();
        self.at()
    }

    /// The object that was entered at `position` and left just now.
    #[inline]
    pub(crate) fn object_since(&self, position: u32) -> Value {
        Value { start: position, end: self.at(), kind: Kind::Object }
    }

    /// Checks that only white space follows. Refuses a text that is too long for positions of 32 bits.
    #[inline]
    pub(crate) fn finish(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        if self.rest.is_empty() && u32::try_from(self.text.len()).is_ok() { Ok(()) } else { Err(self.invalid()) }
    }

    #[inline]
    fn enter_if(&mut self, bracket: u8) -> Result<bool, JsonError> {
        self.skip_space();
        let Ok(behind) = token::expect(self.rest, bracket) else { return Ok(false) };
        self.depth = deeper(self.text, self.rest, self.depth, self.max_depth)?;
        self.rest = behind;
        self.after_value = false;
        Ok(true)
    }

    #[inline]
    fn leave(&mut self, behind: &'t [u8]) {
        self.rest = behind;
        self.depth = self.depth.saturating_sub(1);
        self.after_value = true;
    }

    #[inline]
    fn skip_space(&mut self) {
        self.rest = token::skip_space(self.rest);
    }

    #[inline]
    fn at(&self) -> u32 {
        position(self.text, self.rest.len())
    }

    #[inline]
    fn fit<T>(&self, read: Result<T, Unexpected>) -> Result<T, JsonError> {
        read.map_err(|unexpected| invalid(self.text, unexpected))
    }

    fn invalid(&self) -> JsonError {
        invalid(self.text, Unexpected::at(self.rest))
    }
}

/// Checks the container at the start of `rest`, which is `depth` levels down, and returns the text after it.
#[inline(never)]
fn skip_container<'t>(text: &'t str, mut rest: &'t [u8], depth: u8, max_depth: u8) -> Result<&'t [u8], JsonError> {
    let outside = depth;
    let mut depth = depth;
    // The open containers, the innermost in the lowest bit: 1 is an object, 0 an array.
    let mut objects = 0_u128;
    let mut marks = Marks::of(text.as_bytes());
    let unexpected = |unexpected: Unexpected| invalid(text, unexpected);
    loop {
        'value: {
            match rest {
                [b'"', content @ ..] => (rest, _) = token::string(content, &mut marks).map_err(unexpected)?,
                [bracket @ (b'{' | b'['), inside @ ..] => {
                    depth = deeper(text, rest, depth, max_depth)?;
                    objects = objects << 1 | u128::from(*bracket == b'{');
                    rest = token::skip_space(inside);
                    if rest.first() != Some(&end_of(objects)) {
                        break 'value;
                    }
                }
                _ => (rest, _) = bare(rest).map_err(unexpected)?,
            }
            loop {
                if let [b',', behind @ ..] = rest {
                    rest = token::skip_space(behind);
                    break;
                }
                match token::expect(rest, end_of(objects)) {
                    Ok(behind) => rest = behind,
                    Err(_) => {
                        rest = token::skip_space(token::expect(rest, b',').map_err(unexpected)?);
                        break;
                    }
                }
                objects >>= 1;
                depth -= 1;
                if depth == outside {
                    return Ok(rest);
                }
            }
        }
        if objects & 1 == 1 {
            let key = token::expect(rest, b'"').map_err(unexpected)?;
            (rest, _) = token::string(key, &mut marks).map_err(unexpected)?;
            rest = token::skip_space(token::expect(rest, b':').map_err(unexpected)?);
        }
    }
}

/// The bracket that ends the innermost container.
#[inline]
const fn end_of(objects: u128) -> u8 {
    if objects & 1 == 1 { b'}' } else { b']' }
}

/// The depth after the next bracket.
#[inline]
fn deeper(text: &str, rest: &[u8], depth: u8, max_depth: u8) -> Result<u8, JsonError> {
    if depth == max_depth {
        return Err(JsonError::TooDeep { at: position(text, rest.len()), limit: max_depth });
    }
    Ok(depth + 1)
}

/// Reads a number or a literal.
#[inline(never)]
fn bare(rest: &[u8]) -> Result<(&[u8], Kind), Unexpected> {
    let (rest, kind) = match rest {
        [b'-' | b'0'..=b'9', ..] => (token::number(rest)?, Kind::Number),
        [b't', ..] => (token::literal(rest, b"true")?, Kind::Bool),
        [b'f', ..] => (token::literal(rest, b"false")?, Kind::Bool),
        _ => (token::literal(rest, b"null")?, Kind::Null),
    };
    Ok((rest, kind))
}

/// Decodes a key that has escapes.
#[cold]
fn unescaped_key(content: &[u8]) -> Vec<u8> {
    let quoted = core::str::from_utf8(content).ok().map(|content| format!("\"{content}\""));
    quoted.and_then(|quoted| unescaped(&quoted)).map_or_else(|| content.into(), String::into_bytes)
}

#[cold]
fn invalid(text: &str, unexpected: Unexpected) -> JsonError {
    JsonError::Invalid { at: position(text, unexpected.left) }
}

/// The position at which `left` bytes of the text remain. Positions beyond 4 GiB are not used: [`Scanner::finish`]
/// refuses such a text.
#[inline]
fn position(text: &str, left: usize) -> u32 {
    u32::try_from(text.len() - left).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

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
            // Both refuse a string that is cut at any byte.
            let cut = quoted.get(..cut.min(quoted.len() - 1)).unwrap_or("");
            prop_assert_eq!(scan(cut, 1).is_ok(), serde_json::from_str::<&RawValue>(cut).is_ok());
        }
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json_on_an_event_with_a_piece_replaced(
            at in any::<prop::sample::Index>(),
            len in 0_usize..4,
            piece in prop::sample::select(Vec::from([
                "\"", "\\", "\\u", "\\ud83d", "{", "}", "[", "]", ",", ":", "-", ".", "e", "0", "1", "t", " ", "\n", "\u{1}", "\u{7f}", "é", "",
            ])),
        ) {
            let event = r#"{"type":"event","payload":{"event":"message.ack","profileId":"profile-\u0031","data":{"messageId":
                "a longer text, \"quoted\", of more than one block of bytes and \ud83d\ude00 on two lines\n","ack":-1.5e+3,"l":[true,[],{}]}}}"#;
            // It is ASCII, so every index is a boundary.
            let event = event.replace('\n', " ");
            let from = at.index(event.len());
            let text = [&event[..from], piece, &event[(from + len).min(event.len())..]].concat();
            let theirs = serde_json::from_str::<&RawValue>(&text).ok().map(|value| value.get());
            let ours = scan(&text, 64).ok().map(|value| value.raw(&text));
            prop_assert_eq!(ours, theirs);
            prop_assert_eq!(crate::session::Envelope::parse(&text, 64).is_ok(), theirs.is_some());
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
        // Nesting of any depth uses no stack.
        assert!(matches!(scan(&"{\"a\":".repeat(1 << 20), 255), Err(JsonError::TooDeep { limit: DEPTH_CEILING, .. })));
        // Siblings do not add to the depth.
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
    fn special_bytes_are_found_at_every_offset_of_words_and_blocks() {
        for plain in [b'a', b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xff] {
            for special in [b'"', b'\\', 0, 0x1f, b'\n'] {
                for offset in 0..200 {
                    let mut bytes = [plain; 200];
                    // A second special byte after it is not taken for the first.
                    bytes[offset..(offset + 2).min(200)].fill(special);
                    assert_eq!(skip_plain(&bytes).len(), bytes.len() - offset, "{special} among {plain}");
                    assert!(skip_plain(&bytes[..offset]).is_empty());
                }
            }
        }
    }

    #[test]
    fn half_an_escape_is_refused_at_the_byte_that_is_missing() {
        let filler = "x".repeat(70);
        for lead in ["", "1234567", "12345678", &filler] {
            for (escape, fits) in
                [("\\", 1), ("\\u", 2), ("\\u12", 4), ("\\uD8G0", 4), ("\\x", 1), ("\\U0041", 1), ("\u{1f}", 0)]
            {
                let at = u32::try_from(1 + lead.len() + fits).unwrap();
                let text = format!("\"{lead}{escape}\u{7f}\"");
                assert_eq!(scan(&text, 1), Err(JsonError::Invalid { at }), "{text:?}");
            }
        }
    }
}
