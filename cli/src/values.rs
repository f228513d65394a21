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
    fn an_empty_key_is_refused() {
        assert!(api_key("").is_err() && api_key("\r\n").is_err());
    }
}
