//! Text from the wire, made safe for terminals and for lines.

use std::borrow::Cow;
use std::fmt::Write;

/// `text` with an escape for every character that could control a terminal or hide text on it.
///
/// These are the control characters of ASCII and Latin-1, which begin terminal sequences, the line separators, and the
/// marks that change the direction of text.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    escape(text, |c, out| out.extend(c.escape_default()))
}

/// The same for a line of JSON. Its value does not change: JSON has such characters only in strings.
pub(crate) fn printable_json(json: &str) -> Cow<'_, str> {
    escape(json, |c, out| {
        let mut units = [0; 2];
        for unit in c.encode_utf16(&mut units) {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
    })
}

/// JSON without the white space between its tokens, so that it fits on one line. Everything else is unchanged.
pub(crate) fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in json.chars() {
        match (in_string, c) {
            (false, ' ' | '\t' | '\n' | '\r') => continue,
            (false, '"') => in_string = true,
            (true, '"') if !escaped => in_string = false,
            _ => {}
        }
        escaped = in_string && c == '\\' && !escaped;
        out.push(c);
    }
    out
}

/// `text` without the byte order mark that some editors add at the start.
pub(crate) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn escape(text: &str, write: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) { write(c, &mut out) } else { out.push(c) }
    }
    Cow::Owned(out)
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_ap_09_no_control_character_survives() {
        for c in ('\0'..='\u{9f}').filter(|c| c.is_control()).chain(['\u{2028}', '\u{202e}', '\u{2066}', '\u{200f}']) {
            let text = format!("a{c}b");
            assert!(printable(&text).chars().all(|c| !is_unsafe(c)), "{:x}", u32::from(c));
        }
        assert_eq!(printable("\u{1b}[31mred\u{9b}2J\r\n"), "\\u{1b}[31mred\\u{9b}2J\\r\\n");
    }

    #[test]
    fn ordinary_text_of_every_script_is_left_alone() {
        let text = "Olá, Привет, שלום, مرحبا, 你好 👋🏽 👩‍👩‍👧 C:\\temp \"quoted\"";
        assert!(matches!(printable(text), Cow::Borrowed(same) if same == text));
    }

    #[test]
    fn sec_ap_09_json_is_the_same_value_without_control_characters() {
        let json = "{\"a\":\"\u{7f}\u{9b}2J \u{202e}x\"}";
        let safe = printable_json(json);
        assert_eq!(safe, r#"{"a":"\u007f\u009b2J \u202ex"}"#);
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(json), value(&safe));
    }

    #[test]
    fn white_space_goes_only_between_tokens() {
        let json = "{ \"a b\" :\t[1.0 ,\r\n 2e400, \"c \\\" \\\\\" , \" \" ] }";
        assert_eq!(compact(json), r#"{"a b":[1.0,2e400,"c \" \\"," "]}"#);
    }
}
