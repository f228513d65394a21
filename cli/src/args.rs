//! The command line.

use std::time::Duration;

use clap::{Parser, Subcommand};
use clap_complete::Shell;
use jiff::SignedDuration;
use multiwa_ws_core::handshake::ApiKey;

use crate::exit::EXIT_CODES;
use crate::{demo, listen, ping, serve};

/// Shows, serves and measures the event stream of a MultiWA gateway.
///
/// Standard output carries data only; everything else goes to standard error.
#[derive(Parser)]
#[command(name = "multiwa-ws", version, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Demo(demo::Args),
    Serve(serve::Args),
    Listen(listen::Args),
    Ping(ping::Args),
    /// Prints a script that completes this command line in a shell
    #[command(hide = true)]
    Completions {
        shell: Shell,
    },
    /// Prints the manual page of the program, or of one of its commands
    #[command(hide = true)]
    Man {
        command: Option<String>,
    },
}

const EXAMPLES: &str = "\
Examples:
  multiwa-ws demo
  multiwa-ws serve --api-key secret --demo 2
  MULTIWA_WS_API_KEY=secret multiwa-ws listen ws://127.0.0.1:3001/ws --profile profile-123
  MULTIWA_WS_API_KEY=secret multiwa-ws ping ws://127.0.0.1:3001/ws";

/// Parses a key, which must not be empty.
pub(crate) fn api_key(text: &str) -> Result<ApiKey, String> {
    let key = ApiKey::new(text);
    if key.expose().is_empty() {
        return Err("an empty key is no key: leave it out".to_owned());
    }
    Ok(key)
}

/// Parses a duration with units, such as `30s`, `5m` or `1h 30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let duration: SignedDuration = text.parse().map_err(|_| HOW_TO_WRITE_A_DURATION.to_owned())?;
    match Duration::try_from(duration) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("a duration is longer than nothing".to_owned()),
    }
}

const HOW_TO_WRITE_A_DURATION: &str = "write a number with its unit, such as 500ms, 30s, 5m or 1h";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

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
