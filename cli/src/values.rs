//! Values of the command line that several commands take.

use std::time::Duration;

use jiff::SignedDuration;
use multiwa_ws_core::handshake::ApiKey;

/// Parses a key, which must not be empty.
pub(crate) fn api_key(text: &str) -> Result<ApiKey, String> {
    let key = ApiKey::new(text);
    if key.expose().is_empty() {
        return Err("the key is empty: set a key, or unset the option and the environment variable".to_owned());
    }
    Ok(key)
}

/// Parses the path of a URL. A server compares it byte for byte, so it has no characters that a client would encode.
pub(crate) fn path(text: &str) -> Result<String, String> {
    let is_sent_unchanged = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&byte);
    match text.starts_with('/') && text.bytes().all(is_sent_unchanged) {
        true => Ok(text.to_owned()),
        false => Err("write a path such as /ws, with other characters percent-encoded and without a query".to_owned()),
    }
}

/// Parses the length of a message in bytes. The upper bound is the length that a frame may have by default.
pub(crate) fn message_len(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(len) if (1_024..=64 << 20).contains(&len) => Ok(len),
        _ => Err("write a number of bytes, from 1024 to 67108864".to_owned()),
    }
}

/// Parses a duration with units, such as `30s`, `5m` or `1h 30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let duration: SignedDuration = text.parse().map_err(|_| HOW_TO_WRITE_A_DURATION.to_owned())?;
    match Duration::try_from(duration) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("a duration must be longer than zero".to_owned()),
    }
}

const HOW_TO_WRITE_A_DURATION: &str = "write a number with its unit, such as 500ms, 30s, 5m or 1h";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_are_positive() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1_500)));
        for wrong in ["", "30", "-1s", "0s", "soon", "5 parsecs"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_path_is_what_a_client_sends() {
        for right in ["/", "/ws", "/a/b-c.d", "/%C3%A9"] {
            assert_eq!(path(right).as_deref(), Ok(right));
        }
        for wrong in ["", "ws", "/ws?x", "/ws#x", "/w s", "/é"] {
            assert!(path(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_length_of_a_message_is_within_that_of_a_frame() {
        assert_eq!((message_len("1024"), message_len("67108864")), (Ok(1_024), Ok(64 << 20)));
        for wrong in ["", "1023", "67108865", "1MiB", "-1"] {
            assert!(message_len(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_empty_key_is_refused() {
        assert!(api_key("").is_err() && api_key("\r\n").is_err());
    }
}
