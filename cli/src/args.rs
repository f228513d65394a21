//! The command line.

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::exit::EXIT_CODES;
use crate::{demo, doctor, listen, ping, serve};

/// Shows, serves and measures the event stream of a MultiWA gateway.
///
/// Only data goes to standard output. Everything else goes to standard error.
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
    Doctor(doctor::Args),
    /// Prints a script that completes this command line in a shell
    Completions {
        shell: Shell,
    },
    /// Prints the manual page of the program, or of one of its commands
    Man {
        command: Option<String>,
    },
}

const EXAMPLES: &str = "\
Examples:
  multiwa-ws demo
  multiwa-ws serve --api-key secret --demo 2
  MULTIWA_WS_API_KEY=secret multiwa-ws listen ws://127.0.0.1:3001/ws --profile profile-123
  MULTIWA_WS_API_KEY=secret multiwa-ws doctor ws://127.0.0.1:3001/ws";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
