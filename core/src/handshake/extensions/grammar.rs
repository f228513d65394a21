//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 section 9.1).

use alloc::borrow::Cow;
use alloc::string::String;

use crate::handshake::headers::is_token_byte;

/// One element of the header, in order: an extension's name, then its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Element<'a> {
    Extension(&'a str),
    Parameter { name: &'a str, value: Option<Cow<'a, str>> },
}

/// The header does not match its grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::handshake) struct Malformed;

/// Reads one header value. It allocates only for a quoted value with an escape, and reads each byte a constant number of
/// times.
pub(super) struct Elements<'a> {
    rest: &'a [u8],
    place: Place,
}

#[derive(Clone, Copy)]
enum Place {
    /// Before the first extension: the list has at least one.
    Start,
    /// After a comma.
    Between,
    /// After an extension or one of its parameters.
    Inside,
    End,
}

impl<'a> Elements<'a> {
    pub(super) fn new(value: &'a [u8]) -> Self {
        Self { rest: value, place: Place::Start }
    }

    fn read(&mut self) -> Result<Option<Element<'a>>, Malformed> {
        self.skip_space();
        if let Place::Inside = self.place {
            if self.eat(b';') {
                return self.parameter().map(Some);
            }
            if !self.rest.is_empty() && !self.eat(b',') {
                return Err(Malformed);
            }
            self.place = Place::Between;
        }
        // RFC 9110 section 5.6.1.2: empty elements of a list are ignored.
        self.skip_space();
        while self.eat(b',') {
            self.skip_space();
        }
        if self.rest.is_empty() {
            return match self.place {
                Place::Start => Err(Malformed),
                _ => Ok(None),
            };
        }
        self.place = Place::Inside;
        self.token().map(|name| Some(Element::Extension(name)))
    }

    fn parameter(&mut self) -> Result<Element<'a>, Malformed> {
        self.skip_space();
        let name = self.token()?;
        self.skip_space();
        if !self.eat(b'=') {
            return Ok(Element::Parameter { name, value: None });
        }
        self.skip_space();
        let value = if self.eat(b'"') { self.quoted()? } else { Cow::Borrowed(self.token()?) };
        Ok(Element::Parameter { name, value: Some(value) })
    }

    fn token(&mut self) -> Result<&'a str, Malformed> {
        let end = self.rest.iter().position(|&byte| !is_token_byte(byte)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at_checked(end).unwrap_or_default();
        self.rest = rest;
        if token.is_empty() { Err(Malformed) } else { core::str::from_utf8(token).map_err(|_| Malformed) }
    }

    /// The rest of a quoted string. Without its escapes it must be a token, too.
    fn quoted(&mut self) -> Result<Cow<'a, str>, Malformed> {
        let mut value = Cow::Borrowed("");
        loop {
            if self.rest.first().copied().is_some_and(is_token_byte) {
                value += self.token()?;
            } else if self.eat(b'\\') {
                let (&escaped, rest) = self.rest.split_first().ok_or(Malformed)?;
                if !is_token_byte(escaped) {
                    return Err(Malformed);
                }
                self.rest = rest;
                String::push(value.to_mut(), char::from(escaped));
            } else if self.eat(b'"') && !value.is_empty() {
                return Ok(value);
            } else {
                return Err(Malformed);
            }
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let Some(rest) = self.rest.strip_prefix(&[byte]) else {
            return false;
        };
        self.rest = rest;
        true
    }

    fn skip_space(&mut self) {
        while self.eat(b' ') || self.eat(b'\t') {}
    }
}

/// Ends after the first error.
impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Place::End = self.place {
            return None;
        }
        let element = self.read().transpose();
        if !matches!(element, Some(Ok(_))) {
            self.place = Place::End;
        }
        element
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec::Vec;

    use super::*;

    /// The header in a canonical form: `name;parameter=value`, each followed by a bar.
    fn read(value: &str) -> Result<String, Malformed> {
        let elements: Result<Vec<_>, _> = Elements::new(value.as_bytes()).collect();
        Ok(elements?.iter().fold(String::new(), |text, element| match element {
            Element::Extension(name) => format!("{text}{name}|"),
            Element::Parameter { name, value: None } => format!("{text};{name}|"),
            Element::Parameter { name, value: Some(value) } => format!("{text};{name}={value}|"),
        }))
    }

    #[test]
    fn rfc_6455_section_9_1_what_the_grammar_allows_is_read() {
        for (value, expected) in [
            ("foo", "foo|"),
            ("foo, bar; baz=2", "foo|bar|;baz=2|"),
            ("deflate-stream", "deflate-stream|"),
            ("mux; max-channels=4; flow-control, deflate-stream", "mux|;max-channels=4|;flow-control|deflate-stream|"),
            ("private-extension", "private-extension|"),
            (r#"a;b="c""#, "a|;b=c|"),
            (r#"a;b="\c\d""#, "a|;b=cd|"),
            (r#"a;b="x\y\z";d"#, "a|;b=xyz|;d|"),
            ("a \t;\tb = c , , d", "a|;b=c|d|"),
            (",a,", "a|"),
            ("a;a;a=1;A", "a|;a|;a=1|;A|"),
            ("__proto__;constructor=toString", "__proto__|;constructor=toString|"),
        ] {
            assert_eq!(read(value).as_deref(), Ok(expected), "{value}");
        }
    }

    #[test]
    fn rfc_6455_section_9_1_what_the_grammar_forbids_is_malformed() {
        for value in [
            "",
            " ",
            ",",
            ", ,",
            ";",
            "a;",
            "a;;b",
            "a;b=",
            "a;=b",
            "a;b=;c",
            "a b",
            "a;b c",
            "a;b=c d",
            "a=b",
            "a/b",
            "\"a\"",
            r#"a;b=""#,
            r#"a;b="c"#,
            r#"a;b="""#,
            r#"a;b="c d""#,
            r#"a;b="c,d""#,
            r#"a;b="c\"#,
            r#"a;b="\,""#,
            r#"a;b="c"d"#,
            r#"a;b=c"d""#,
            "a;b=é",
            "é",
            "a\0",
            "a;\u{7f}",
        ] {
            assert_eq!(read(value), Err(Malformed), "{value:?}");
        }
    }

    #[test]
    fn nothing_follows_an_error() {
        let mut elements = Elements::new(b"a b, c");
        assert_eq!(elements.next(), Some(Ok(Element::Extension("a"))));
        assert_eq!(elements.next(), Some(Err(Malformed)));
        assert_eq!(elements.next(), None);
    }
}
