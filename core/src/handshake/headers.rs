//! HTTP header fields, incoming and outgoing.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::error::InvalidHeader;

/// An ordered list of valid HTTP header fields.
///
/// Names are compared without regard to case. Values are bytes, since HTTP allows all bytes except control characters;
/// [`get_str`](Self::get_str) returns a value as text. `Debug` hides credentials: the values that
/// [`without_credentials`](Self::without_credentials) leaves out, and in any other value the text after a `?`.
///
/// ```
/// use multiwa_ws_core::handshake::{Headers, InvalidHeader};
///
/// let mut headers = Headers::new();
/// headers.append("X-MultiWA-Features", "subscription-sets")?;
/// assert_eq!(headers.get_str("x-multiwa-features"), Some("subscription-sets"));
/// assert_eq!(headers.append("X-Split", "a\r\nSet-Cookie: b"), Err(InvalidHeader::Value));
/// # Ok::<(), InvalidHeader>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    names: String,
    values: Vec<u8>,
    /// The end positions of each field's name and value. Each field begins where the previous one ends.
    ends: Vec<(usize, usize)>,
}

impl Headers {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut start = (0, 0);
        self.ends.iter().map(move |&end| {
            let name = self.names.get(start.0..end.0).unwrap_or_default();
            let value = self.values.get(start.1..end.1).unwrap_or_default();
            start = end;
            (name, value)
        })
    }

    /// The values of every field of that name, in order.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The value of the first field of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The value of the first field of that name, when it is UTF-8.
    #[must_use]
    pub fn get_str(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| core::str::from_utf8(value).ok())
    }

    /// Adds a field. Spaces and tabs around the value are removed, as every HTTP recipient does.
    ///
    /// # Errors
    /// The name is not a token (RFC 9110 section 5.1), or the value contains a control character (section 5.5): with CR
    /// and LF a value could inject more headers.
    pub fn append(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), InvalidHeader> {
        let value = trim(value.as_ref());
        if !is_token(name.as_bytes()) {
            return Err(InvalidHeader::Name);
        }
        if !is_field_value(value) {
            return Err(InvalidHeader::Value);
        }
        self.names.push_str(name);
        self.values.extend_from_slice(value);
        self.ends.push((self.names.len(), self.values.len()));
        Ok(())
    }

    /// The fields without credentials. They may be printed, or sent to an origin other than the intended one.
    ///
    /// Credentials are `Authorization`, cookies, `X-API-Key`, and any field with a similar name (`X-Auth-Token`,
    /// `Api-Secret`).
    #[must_use]
    pub fn without_credentials(&self) -> Self {
        let mut headers = Self::new();
        for (name, value) in self.iter().filter(|(name, _)| !is_credential(name)) {
            // The field was valid before.
            headers.append(name, value).unwrap_or_default();
        }
        headers
    }

    /// The value of the only field of that name.
    pub(super) fn single(&self, name: &str) -> Single<'_> {
        let mut fields = self.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        match (fields.next(), fields.next()) {
            (None, _) => Single::Missing,
            (Some((_, value)), None) => Single::Value(value),
            (Some(_), Some(_)) => Single::Repeated,
        }
    }

    /// The elements of a comma-separated list over all fields of that name (RFC 9110 section 5.6.1: empty elements are
    /// ignored).
    pub(super) fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.get_all(name)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .map(trim)
            .filter(|element| !element.is_empty())
    }

    /// Whether the list of that name contains `token`, compared without regard to case.
    pub(super) fn lists(&self, name: &str, token: &str) -> bool {
        self.list(name).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// The first field whose name is among `reserved`.
    pub(super) fn find_reserved(&self, reserved: &[&str]) -> Option<&str> {
        self.iter().map(|(name, _)| name).find(|name| reserved.iter().any(|other| other.eq_ignore_ascii_case(name)))
    }

    /// Appends the fields in their wire format.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for (name, value) in self.iter() {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value);
            (name, if is_credential(name) { String::from(REDACTED) } else { redact_query(&value) })
        });
        f.debug_map().entries(shown).finish()
    }
}

pub(super) const SEC_WEBSOCKET_PROTOCOL: &str = "Sec-WebSocket-Protocol";

/// How many fields of one name there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Single<'a> {
    Missing,
    Value(&'a [u8]),
    Repeated,
}

/// Parts of the names of headers that hold credentials, in lower case. It is better to hide a harmless header than to
/// print a key.
const SECRET: [&str; 9] =
    ["authorization", "api-key", "apikey", "auth-", "cookie", "credential", "password", "secret", "token"];

fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|part| name.contains(part))
}

const REDACTED: &str = "[redacted]";

/// `text` without the part after its first `?`, which may contain the API key (`protocol.md`, Transport).
pub(super) fn redact_query(text: &str) -> String {
    let Some((path, _)) = text.split_once('?') else {
        return String::from(text);
    };
    alloc::format!("{path}?{REDACTED}")
}

/// RFC 9110 section 5.6.2.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

pub(super) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// RFC 9110 section 5.5: no control characters except the tab.
fn is_field_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == b'\t' || !byte.is_ascii_control())
}

/// RFC 9112 section 3.2: `host[:port]`. Only characters that could confuse a recipient are checked.
pub(super) fn is_authority(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|&byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'\\' | b'?' | b'#' | b'@' | b','))
}

/// Whether `target` is a valid path and query for a request line.
pub(super) fn is_origin_form(target: &str) -> bool {
    // RFC 6455 section 3: a fragment has no meaning here and its `#` must be escaped.
    target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

/// RFC 6454 section 6.2: a serialized origin, or `null`. Only characters that could confuse a recipient are checked.
pub(super) fn is_origin(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic)
}

/// `bytes` without the spaces and tabs around them (RFC 9110 section 5.6.3).
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_character_is_refused_in_names_and_values() {
        for byte in (0..=0x1f).chain([0x7f]) {
            let mut headers = Headers::new();
            let text = alloc::format!("a{}b", char::from(byte));
            assert_eq!(headers.append(&text, "v"), Err(InvalidHeader::Name));
            let expected = if byte == b'\t' { Ok(()) } else { Err(InvalidHeader::Value) };
            assert_eq!(headers.append("X-A", &text), expected, "{byte}");
        }
        assert_eq!(Headers::new().append("", "v"), Err(InvalidHeader::Name));
        assert_eq!(Headers::new().append("X A", "v"), Err(InvalidHeader::Name));
    }

    #[test]
    fn names_are_found_without_regard_to_case_and_values_are_trimmed() {
        let mut headers = Headers::new();
        assert!(headers.is_empty());
        headers.append("Connection", " keep-alive , ,Upgrade\t").unwrap();
        headers.append("connection", "close").unwrap();
        assert_eq!(headers.get("CONNECTION"), Some(&b"keep-alive , ,Upgrade"[..]));
        assert!(headers.lists("Connection", "upgrade") && headers.lists("Connection", "CLOSE"));
        assert!(!headers.lists("Connection", "up"));
        assert_eq!(headers.list("Connection").count(), 3);
        assert_eq!((headers.len(), headers.is_empty()), (2, false));
        assert_eq!(headers.single("Connection"), Single::Repeated);
        assert_eq!(headers.single("Upgrade"), Single::Missing);
    }

    const CREDENTIALS: [&str; 8] = [
        "Authorization",
        "Proxy-Authorization",
        "X-API-Key",
        "Cookie",
        "Set-Cookie",
        "X-Auth-Token",
        "x-apikey",
        "Client-Secret",
    ];

    #[test]
    fn credentials_can_be_left_out() {
        let mut headers = Headers::new();
        headers.append("User-Agent", "a").unwrap();
        for name in CREDENTIALS {
            headers.append(name, "s3cret").unwrap();
        }
        headers.append("X-Trace", "b").unwrap();
        let names: Vec<_> = headers.without_credentials().iter().map(|(name, _)| String::from(name)).collect();
        assert_eq!(names, ["User-Agent", "X-Trace"]);
    }

    #[test]
    fn debug_output_hides_credentials() {
        let mut headers = Headers::new();
        for name in CREDENTIALS {
            headers.append(name, "s3cret").unwrap();
        }
        headers.append("Referer", "http://h/ws?api%4bey=s3cret").unwrap();
        headers.append("Host", "h:3001").unwrap();
        let shown = alloc::format!("{headers:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
        assert!(shown.contains("h:3001") && shown.contains("http://h/ws?[redacted]"), "{shown}");
    }
}
