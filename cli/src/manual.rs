//! The completion scripts and manual pages of the command line.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::args::Args;
use crate::exit::End;

/// Prints the completion script of a shell.
pub(crate) fn completions(shell: Shell) -> Result<(), End> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "multiwa-ws", &mut script);
    Ok(io::stdout().write_all(&script)?)
}

/// Prints the manual page of the program or of one command.
pub(crate) fn page(name: Option<&str>) -> Result<(), End> {
    let mut program = Args::command();
    program.build();
    let command = match name {
        None => &program,
        Some(name) => program.find_subcommand(name).ok_or_else(|| End::Usage(format!("there is no command {name}")))?,
    };
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    Ok(io::stdout().write_all(&page)?)
}
