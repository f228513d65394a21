//! The key that a client shows to be let in.

use alloc::boxed::Box;
use core::fmt;

use subtle::{Choice, ConstantTimeEq};

/// An API key: compared in constant time, never shown (`protocol.md`, Transport).
///
/// There is no `Display`, and `Debug` hides the key; [`expose`](Self::expose) is the one way to its bytes.
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
    /// Takes the key's bytes as they are.
    #[must_use]
    pub fn new(key: impl AsRef<[u8]>) -> Self {
        Self(key.as_ref().into())
    }

    /// The bytes of the key, for a look-up that this type cannot do; keep them out of logs.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether this key is one of `keys`; how long it takes does not tell which one or how much of it is right.
    #[must_use]
    pub fn is_any_of(&self, keys: &[Self]) -> bool {
        keys.iter().fold(Choice::from(0), |found, key| found | self.0.ct_eq(&key.0)).into()
    }
}

/// Takes the same time wherever the keys differ, unless in length.
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
    fn debug_output_hides_the_key() {
        assert_eq!(alloc::format!("{:?}", ApiKey::new("s3cret")), "ApiKey([redacted])");
    }
}
