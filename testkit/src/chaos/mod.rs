//! Random runs of the state machines against a model. Reduces a failed run to its shortest form.
//!
//! A run is a seed and a list of steps. Each step takes its randomness only from the seed and its own number, so that
//! leaving out one step changes no other step. This allows [`shorten`] to find the few steps that a failure needs.
//!
//! - [`Sockets`]: both ends of one connection after another, with every command and every fault.
//! - [`Peers`]: whole clients and a whole server that start, stop and lose connections.

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

use crate::contract::ContractViolation;
use crate::random::Random;
use crate::transcript::Transcript;

/// A scenario that is run at random.
pub trait Scenario: Sized {
    /// The initial state of the run numbered `seed`.
    fn begin(seed: u64) -> Self;
    /// Does one random thing, and checks the result.
    ///
    /// # Errors
    /// A broken guarantee.
    fn step(&mut self, random: &mut Random) -> Result<(), ContractViolation>;
    /// Brings everything to its end, and checks the result.
    ///
    /// # Errors
    /// A broken guarantee.
    fn finish(&mut self) -> Result<(), ContractViolation>;
    /// The trace of the run.
    fn transcript(&mut self) -> &mut Transcript;
}

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The trace. Two runs are the same exactly if their digests are equal.
    pub transcript: Transcript,
    /// The failure, if there is one.
    pub failure: Option<Failure>,
}

/// A broken guarantee of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The number of the step that showed it. `None` if the end of the run showed it.
    pub step: Option<u64>,
    /// The message.
    pub what: String,
}

/// Lines of a trace that are kept as text.
const KEPT_LINES: usize = 2_000;

/// Runs these steps of the run numbered `seed`.
pub fn run<S: Scenario>(seed: u64, steps: impl IntoIterator<Item = u64>) -> Outcome {
    let mut scenario = S::begin(seed);
    *scenario.transcript() = Transcript::new(KEPT_LINES);
    let mut at = None;
    // A panic also breaks a guarantee. Its trace is kept.
    let result = catch_unwind(AssertUnwindSafe(|| {
        for step in steps {
            at = Some(step);
            scenario.step(&mut Random::new(mix(seed, step)))?;
        }
        at = None;
        scenario.finish()
    }));
    let result = result.unwrap_or_else(|panic| Err(ContractViolation(format!("panicked: {}", message(&*panic)))));
    let failure = result.err().map(|ContractViolation(what)| Failure { step: at, what });
    Outcome { transcript: scenario.transcript().clone(), failure }
}

/// The shortest list of these steps that still makes the run fail, found with at most `runs` more runs. The list is
/// empty if the run does not fail.
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

/// The state that a call without effect must not change.
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

/// No step after the failed one was run.
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
    use crate::contract::ensure;

    /// Fails once steps 3, 40 and 777 have all run.
    struct Needs {
        done: Vec<u64>,
        transcript: Transcript,
    }

    impl Scenario for Needs {
        fn begin(_seed: u64) -> Self {
            Self { done: Vec::new(), transcript: Transcript::new(0) }
        }

        fn step(&mut self, random: &mut Random) -> Result<(), ContractViolation> {
            let drawn = random.up_to(u64::MAX);
            self.transcript.record(0, "step", drawn);
            let needed = [3, 40, 777].map(|step| Random::new(mix(5, step)).up_to(u64::MAX));
            if needed.contains(&drawn) {
                self.done.push(drawn);
            }
            ensure(self.done.len() < 3, || "all three".into())
        }

        fn finish(&mut self) -> Result<(), ContractViolation> {
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
