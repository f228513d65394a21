//! The query of a request target, decoded as a form (`protocol.md`, Transport).

#[cfg(feature = "server")]
use alloc::borrow::Cow;
use alloc::string::String;
#[cfg(feature = "server")]
use alloc::vec::Vec;

#[cfg(feature = "server")]
use percent_encoding::percent_decode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The names and values of `query`, decoded: `+` is a space, `%41` is `A`, and a `%` that does not begin an escape stays
/// a `%`.
#[cfg(feature = "server")]
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}

/// Appends `name=value` to the query of `target`.
pub(super) fn append(target: &mut String, name: &str, value: &str) {
    target.push(if target.contains('?') { '&' } else { '?' });
    target.extend(utf8_percent_encode(name, ESCAPED));
    target.push('=');
    target.extend(utf8_percent_encode(value, ESCAPED));
}

/// All characters except the unreserved ones of RFC 3986 section 2.3.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(feature = "server")]
fn decode(text: &str) -> Cow<'_, [u8]> {
    if !text.contains('+') {
        return percent_decode(text.as_bytes()).into();
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_decode(spaced.as_bytes()).collect::<Vec<u8>>())
}

#[cfg(test)]
#[cfg(feature = "server")]
mod tests {
    use alloc::vec;

    use super::*;

    fn read(query: &str) -> Vec<(String, String)> {
        let text = |bytes: Cow<'_, [u8]>| String::from_utf8(bytes.into_owned()).unwrap();
        pairs(query).map(|(name, value)| (text(name), text(value))).collect()
    }

    #[test]
    fn a_query_is_read_as_a_form() {
        for (query, expected) in [
            ("", vec![]),
            ("&&", vec![]),
            ("apiKey=a+b%2Bc", vec![("apiKey", "a b+c")]),
            ("a=1&a=2&b", vec![("a", "1"), ("a", "2"), ("b", "")]),
            ("=x&y==", vec![("", "x"), ("y", "=")]),
            ("%61pi%4Bey=%C3%A9&x=%zz%4", vec![("apiKey", "é"), ("x", "%zz%4")]),
        ] {
            let expected: Vec<_> = expected.iter().map(|&(n, v)| (String::from(n), String::from(v))).collect();
            assert_eq!(read(query), expected, "{query}");
        }
    }

    #[test]
    fn what_is_appended_is_read_back() {
        let mut target = String::from("/ws");
        for value in ["", "a b+c", "&=#?%\r\n", "é💬"] {
            append(&mut target, "api Key", value);
        }
        assert!(target.bytes().all(|byte| byte.is_ascii_graphic()));
        let (_, query) = target.split_once('?').unwrap();
        let values: Vec<_> = read(query).into_iter().map(|(_, value)| value).collect();
        assert_eq!(values, ["", "a b+c", "&=#?%\r\n", "é💬"]);
    }
}
