//! The key with which a client authenticates.

use alloc::boxed::Box;
use core::fmt;

use subtle::{Choice, ConstantTimeEq};

/// An API key. It is compared in constant time and never printed (`protocol.md`, Transport).
///
/// There is no `Display`, and `Debug` hides the key. Only [`expose`](Self::expose) returns its bytes.
///
/// ```
/// use multiwa_ws_core::handshake::ApiKey;
///
/// let shown = ApiKey::new("k-1");
/// assert!(shown.is_any_of(&[ApiKey::new("k-0"), ApiKey::new("k-1")]));
/// assert_eq!(format!("{shown:?}"), "ApiKey([redacted])");
/// ```
#[derive(Clone)]
pub struct ApiKey(Box<[u8]>);

impl ApiKey {
    /// Creates a key without the white space and the byte order mark around it. Files and environment variables add them;
    /// they are never part of a key.
    #[must_use]
    pub fn new(key: impl AsRef<[u8]>) -> Self {
        let key = key.as_ref();
        Self(match core::str::from_utf8(key) {
            Ok(text) => text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}').as_bytes().into(),
            Err(_) => key.trim_ascii().into(),
        })
    }

    /// The bytes of the key, for a lookup that this type cannot do. Keep them out of logs.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether this key is one of `keys`. The duration does not reveal which key matched or how many bytes matched.
    #[must_use]
    pub fn is_any_of(&self, keys: &[Self]) -> bool {
        keys.iter().fold(Choice::from(0), |found, key| found | self.0.ct_eq(&key.0)).into()
    }
}

/// The comparison of keys of the same length takes the same time, wherever they differ.
impl PartialEq for ApiKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for ApiKey {}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_ap_07_keys_are_equal_when_every_byte_is() {
        let key = ApiKey::new("abc");
        assert_eq!(key, ApiKey::new("abc"));
        for other in ["", "ab", "abcd", "abd", "bbc"] {
            assert_ne!(key, ApiKey::new(other));
            assert!(!key.is_any_of(&[ApiKey::new(other)]));
        }
        assert!(!key.is_any_of(&[]));
        assert!(key.is_any_of(&[ApiKey::new("abc"), ApiKey::new("abd")]));
        assert!(key.is_any_of(&[ApiKey::new("abc"), ApiKey::new("abc")]));
    }

    #[test]
    fn f_22_white_space_and_byte_order_marks_around_a_key_are_no_part_of_it() {
        for text in
            ["k 1\n", "k 1\r\n", " \tk 1 ", "\u{feff}k 1", "\u{feff} k 1\n", "\u{a0}k 1\u{2028}", "\u{c}k 1\u{85}"]
        {
            assert_eq!(ApiKey::new(text).expose(), b"k 1", "{text:?}");
        }
        for nothing in ["", "\r\n", "\u{feff}", " \u{feff} "] {
            assert!(ApiKey::new(nothing).expose().is_empty(), "{nothing:?}");
        }
        // A key that is not text is used as bytes.
        assert_eq!(ApiKey::new(b" \xff\n").expose(), b"\xff");
    }

    #[test]
    fn debug_output_hides_the_key() {
        assert_eq!(alloc::format!("{:?}", ApiKey::new("s3cret")), "ApiKey([redacted])");
    }
}
