//! Random runs of the machines against a model, and the shortest form of one that failed.
//!
//! A run is a seed and a list of steps. Each step draws what it does from the seed and its own number alone, so that leaving
//! one out changes no other: that is how [`shorten`] finds the few steps that a failure takes.
//!
//! - [`Sockets`]: both ends of one connection after another, every command, every accident.
//! - [`Peers`]: whole clients and a whole server that come, go and lose each other.

mod command;
mod draw;
mod ledger;
mod peers;
mod sockets;
mod verdict;

use std::panic::{AssertUnwindSafe, catch_unwind};

use multiwa_ws_core::Instant;
use multiwa_ws_core::websocket::{State, WebSocket};

pub use peers::Peers;
pub use sockets::Sockets;

use crate::random::Random;
use crate::simulator::Broken;
use crate::transcript::Transcript;

/// What is run at random.
pub trait Scenario: Sized {
    /// The beginning of the run numbered `seed`.
    fn begin(seed: u64) -> Self;
    /// Does one thing, drawn from `random`, and judges what came of it.
    ///
    /// # Errors
    /// A promise that was not kept.
    fn step(&mut self, random: &mut Random) -> Result<(), Broken>;
    /// Brings everything to its end, and judges the whole.
    ///
    /// # Errors
    /// A promise that was not kept.
    fn finish(&mut self) -> Result<(), Broken>;
    /// What happened.
    fn transcript(&mut self) -> &mut Transcript;
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What happened. Two runs are the same exactly if the digests are.
    pub transcript: Transcript,
    /// What went wrong, if anything did.
    pub failure: Option<Failure>,
}

/// A promise that was broken in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The number of the step that showed it; `None` if the end of the run did.
    pub step: Option<u64>,
    /// The promise, in words.
    pub what: String,
}

/// Lines of a trace that are kept as text.
const KEPT_LINES: usize = 2_000;

/// Runs those steps of the run numbered `seed`.
pub fn run<S: Scenario>(seed: u64, steps: impl IntoIterator<Item = u64>) -> Outcome {
    let mut scenario = S::begin(seed);
    *scenario.transcript() = Transcript::new(KEPT_LINES);
    let mut at = None;
    // A panic is a broken promise too, and its trace is wanted.
    let result = catch_unwind(AssertUnwindSafe(|| {
        for step in steps {
            at = Some(step);
            scenario.step(&mut Random::new(mix(seed, step)))?;
        }
        at = None;
        scenario.finish()
    }));
    let result = result.unwrap_or_else(|panic| Err(Broken(format!("panicked: {}", message(&*panic)))));
    let failure = result.err().map(|Broken(what)| Failure { step: at, what });
    Outcome { transcript: scenario.transcript().clone(), failure }
}

/// The fewest of those steps that still make the run fail, as far as at most `runs` further runs can tell. None of them if
/// the run does not fail.
pub fn shorten<S: Scenario>(seed: u64, steps: impl IntoIterator<Item = u64>, runs: usize) -> Vec<u64> {
    let mut steps: Vec<u64> = steps.into_iter().collect();
    let Some(failure) = run::<S>(seed, steps.iter().copied()).failure else { return Vec::new() };
    cut_behind(&mut steps, &failure);
    let mut runs = runs;
    let mut length = steps.len().div_ceil(2);
    while length > 0 {
        let mut start = 0;
        let mut shorter = false;
        while start < steps.len() && runs > 0 {
            let mut fewer = steps.clone();
            fewer.drain(start..steps.len().min(start + length));
            runs -= 1;
            match run::<S>(seed, fewer.iter().copied()).failure {
                Some(found) => {
                    cut_behind(&mut fewer, &found);
                    (steps, shorter) = (fewer, true);
                }
                None => start += length,
            }
        }
        if !shorter || length > 1 {
            length /= 2;
        }
        if runs == 0 {
            break;
        }
    }
    steps
}

/// What a call that does nothing leaves as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Snapshot {
    state: State,
    queued: usize,
    timeout: Option<Instant>,
}

impl Snapshot {
    fn of(socket: &WebSocket) -> Self {
        Self { state: socket.state(), queued: socket.queued(), timeout: socket.poll_timeout() }
    }
}

/// Nothing behind the step that failed was run.
fn cut_behind(steps: &mut Vec<u64>, failure: &Failure) {
    if let Some(last) = failure.step {
        steps.retain(|step| *step <= last);
    }
}

/// Spreads neighboring runs and steps over all seeds.
fn mix(seed: u64, step: u64) -> u64 {
    let mut mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ step.wrapping_add(1).wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
    mixed ^= mixed >> 32;
    mixed.wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails once steps 3, 40 and 777 were all run.
    struct Needs {
        done: Vec<u64>,
        transcript: Transcript,
    }

    impl Scenario for Needs {
        fn begin(_seed: u64) -> Self {
            Self { done: Vec::new(), transcript: Transcript::new(0) }
        }

        fn step(&mut self, random: &mut Random) -> Result<(), Broken> {
            let drawn = random.up_to(u64::MAX);
            self.transcript.record(0, "step", drawn);
            let needed = [3, 40, 777].map(|step| Random::new(mix(5, step)).up_to(u64::MAX));
            if needed.contains(&drawn) {
                self.done.push(drawn);
            }
            Broken::unless(self.done.len() < 3, || "all three".into())
        }

        fn finish(&mut self) -> Result<(), Broken> {
            Ok(())
        }

        fn transcript(&mut self) -> &mut Transcript {
            &mut self.transcript
        }
    }

    #[test]
    fn a_failure_is_shortened_to_the_steps_that_it_takes() {
        let steps = shorten::<Needs>(5, 0..2_000, 1_000);
        assert_eq!(steps, [3, 40, 777]);
        let failure = run::<Needs>(5, steps).failure;
        assert_eq!(failure, Some(Failure { step: Some(777), what: "all three".into() }));
        assert!(shorten::<Needs>(6, 0..2_000, 1_000).is_empty());
    }

    #[test]
    fn a_run_is_the_same_each_time() {
        let digest = |seed, steps| run::<Needs>(seed, 0..steps).transcript.digest();
        assert_eq!(digest(1, 100), digest(1, 100));
        assert_ne!(digest(1, 100), digest(2, 100));
        assert_ne!(digest(1, 100), digest(1, 101));
    }
}
