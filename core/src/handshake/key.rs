//! The challenge of the handshake: `Sec-WebSocket-Key` and `Sec-WebSocket-Accept` (RFC 6455 section 1.3).

use alloc::string::String;

use data_encoding::BASE64;
use sha1_smol::Sha1;

/// The nonce as the header contains it: 16 bytes in base64.
pub(super) fn encode_key(nonce: [u8; 16]) -> String {
    BASE64.encode(&nonce)
}

/// Whether a header value is the base64 form of exactly 16 bytes.
#[cfg(feature = "server")]
pub(super) fn is_key(value: &[u8]) -> bool {
    value.len() == 24 && BASE64.decode(value).is_ok_and(|nonce| nonce.len() == 16)
}

/// The value of `Sec-WebSocket-Accept` that answers `key`.
pub(super) fn accept(key: &[u8]) -> String {
    let mut digest = Sha1::new();
    digest.update(key);
    digest.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64.encode(&digest.digest().bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_6455_section_1_3_is_answered() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[cfg(feature = "server")]
    #[test]
    fn a_key_is_exactly_sixteen_bytes_in_base64() {
        assert!(is_key(encode_key([0xff; 16]).as_bytes()));
        for wrong in [
            "",
            "AAAA",
            "AAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAA=",
            "AAAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAA== ",
            "AAAAAAAAAAAAAAAAAAAA AA==",
            "_-AAAAAAAAAAAAAAAAAAAA==",
        ] {
            assert!(!is_key(wrong.as_bytes()), "{wrong:?}");
        }
    }
}
