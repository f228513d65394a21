//! The program of the project: shows, serves and measures the event stream of a MultiWA gateway.

mod args;
mod connection;
mod demo;
mod dialect;
mod doctor;
mod events;
mod exit;
mod generator;
mod listen;
mod log;
mod manual;
mod output;
mod ping;
mod serve;
mod signals;
mod silence;
mod text;
mod values;

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Runtime;

use args::{Args, Command};
use exit::End;

fn main() -> ExitCode {
    match run(Args::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(end) => end.report(),
    }
}

fn run(command: Command) -> Result<(), End> {
    let runtime = Runtime::new().map_err(|error| End::Failed(format!("the runtime cannot start: {error}")))?;
    let result = runtime.block_on(async {
        match command {
            Command::Demo(args) => demo::run(args).await,
            Command::Serve(args) => serve::run(args).await,
            Command::Listen(args) => listen::run(args).await,
            Command::Ping(args) => ping::run(args).await,
            Command::Doctor(args) => doctor::run(args).await,
            Command::Completions { shell } => manual::completions(shell),
            Command::Man { command } => manual::page(command.as_deref()),
        }
    });
    // A thread may block on standard input or on standard output. The program does not wait for it.
    runtime.shutdown_background();
    result
}
