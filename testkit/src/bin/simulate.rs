//! Runs the state machines of core at random, and prints how to repeat a failed run.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use multiwa_ws_testkit::chaos::{Failure, Outcome, Peers, Sockets, run, shorten};
use multiwa_ws_testkit::simulator::deadlines;

/// Runs clients and servers at random in virtual time and checks their guarantees after each step.
///
/// A run with an even seed drives both ends of bare connections. A run with an odd seed drives whole clients and a
/// whole server. The same seed and number of steps do the same on every machine, byte by byte: the printed digest
/// proves it.
#[derive(Debug, Parser)]
#[command(name = "simulate")]
struct Arguments {
    /// The first run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many runs, with one seed after the other.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Steps of each run.
    #[arg(long, default_value_t = 2_000)]
    steps: u64,
    /// Check the guarantees of keep-alive on slow lines and for stopped processes, instead of random steps.
    #[arg(long, conflicts_with_all = ["steps", "trace"])]
    deadlines: bool,
    /// Print the last events of each run, and its digest.
    #[arg(long)]
    trace: bool,
}

/// The maximum number of tries to repeat a failed run with fewer steps.
const TRIES: usize = 3_000;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // The report has each panic with its seed, so the panics themselves print nothing.
    std::panic::set_hook(Box::new(|_| {}));
    match if arguments.deadlines { check_deadlines(&arguments) } else { simulate(&arguments) } {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => {
            // Nobody may be reading. The exit code still reports the failure.
            _ = write!(std::io::stderr(), "{report}");
            ExitCode::FAILURE
        }
    }
}

fn simulate(arguments: &Arguments) -> Result<(), String> {
    let started = Instant::now();
    let mut out = std::io::stdout();
    let mut all = sha1_smol::Sha1::new();
    for seed in arguments.seed..arguments.seed.saturating_add(arguments.seeds) {
        let Outcome { transcript, failure } = run_seed(seed, 0..arguments.steps);
        let digest = transcript.digest();
        all.update(digest.as_bytes());
        if arguments.trace {
            _ = writeln!(out, "{transcript}seed {seed}: {digest}");
        }
        if failure.is_some() {
            return Err(report(seed, arguments.steps));
        }
    }
    let (seeds, steps) = (arguments.seeds, arguments.steps.saturating_mul(arguments.seeds));
    let seconds = started.elapsed().as_secs_f64();
    _ = writeln!(out, "{seeds} seeds from {}, {steps} steps in {seconds:.1} s: {}", arguments.seed, all.digest());
    Ok(())
}

fn check_deadlines(arguments: &Arguments) -> Result<(), String> {
    for seed in arguments.seed..arguments.seed.saturating_add(arguments.seeds) {
        for (name, check) in deadlines::CHECKS {
            check(seed).map_err(|broken| format!("{name} fails with --deadlines --seed {seed}: {broken}\n"))?;
        }
    }
    _ = writeln!(std::io::stdout(), "{} seeds from {}: deadlines hold", arguments.seeds, arguments.seed);
    Ok(())
}

/// The failed run, reduced to as few steps as possible.
fn report(seed: u64, steps: u64) -> String {
    let mut text = format!("seed {seed} fails: repeat it with --seed {seed} --steps {steps}\n");
    let shortest = shorten_seed(seed, steps);
    let Outcome { transcript, failure } = run_seed(seed, shortest.iter().copied());
    if let Some(Failure { step, what }) = failure {
        let at = step.map_or("at the end".into(), |step| format!("in step {step}"));
        _ = write!(text, "{transcript}{what}\n{at}, with steps {shortest:?}\n");
    }
    text
}

fn run_seed(seed: u64, steps: impl IntoIterator<Item = u64>) -> Outcome {
    if is_even(seed) { run::<Sockets>(seed, steps) } else { run::<Peers>(seed, steps) }
}

fn shorten_seed(seed: u64, steps: u64) -> Vec<u64> {
    if is_even(seed) { shorten::<Sockets>(seed, 0..steps, TRIES) } else { shorten::<Peers>(seed, 0..steps, TRIES) }
}

fn is_even(seed: u64) -> bool {
    seed.is_multiple_of(2)
}
