//! Measuring: every contestant does the same work in the same process, in short turns one after the other.

use std::io;
use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::ours::Run;

/// What a contestant is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    Ours,
    Peer,
    /// What the machine allows.
    Reference,
}

/// Somebody who does the work of a case.
pub struct Contestant {
    pub name: String,
    pub standing: Standing,
    /// One pass over the work. All but references must find the same.
    pub run: Run,
}

impl Contestant {
    pub fn ours(name: &str, run: Run) -> Self {
        Self { name: name.to_owned(), standing: Standing::Ours, run }
    }

    pub fn peer(name: &str, run: Run) -> Self {
        Self { name: name.to_owned(), standing: Standing::Peer, run }
    }

    pub fn reference(name: &str, run: Run) -> Self {
        Self { name: name.to_owned(), standing: Standing::Reference, run }
    }
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    pub rounds: usize,
    /// How long the turn of a contestant in one round takes.
    pub turn: Duration,
}

/// The number of rounds that a person asks for.
///
/// # Errors
/// It is no number, or zero: after no round there is no figure.
pub fn rounds(text: Option<&str>) -> Result<usize, String> {
    let rounds = text.and_then(|text| text.parse().ok()).filter(|rounds| *rounds > 0);
    rounds.ok_or_else(|| "--rounds needs a whole number, at least 1".to_owned())
}

/// Lets `contestants` run and returns the median time of each for one of the `units` that a pass consists of, in
/// nanoseconds of processor time, with the name and the standing.
///
/// Processor time, not that of the wall: what else the machine does is not counted.
pub fn run(mut contestants: Vec<Contestant>, units: usize, effort: Effort) -> Vec<(String, Standing, f64)> {
    let mut found = None;
    let mut passes = Vec::new();
    for contestant in &mut contestants {
        // The first passes are for the caches; they also tell whether the work is the same.
        for _ in 0..3 {
            let result = (contestant.run)();
            if contestant.standing != Standing::Reference {
                let expected = *found.get_or_insert(result);
                assert_eq!(result, expected, "{} does other work than the others", contestant.name);
            }
        }
        let mut count = 1;
        while timed(contestant, count) < effort.turn.as_nanos() as f64 && count < 1 << 24 {
            count *= 2;
        }
        passes.push((count / 2).max(1));
    }
    let mut times = vec![Vec::with_capacity(effort.rounds); contestants.len()];
    for round in 0..effort.rounds {
        for turn in 0..contestants.len() {
            // Each round begins with another one: nobody always follows the same neighbor's leavings first.
            let index = (round + turn) % contestants.len();
            let time = timed(&mut contestants[index], passes[index]);
            times[index].push(time / (passes[index] * units) as f64);
        }
    }
    let medians = times.iter_mut().map(|times| median(times));
    contestants.into_iter().zip(medians).map(|(one, time)| (one.name, one.standing, time)).collect()
}

fn timed(contestant: &mut Contestant, passes: usize) -> f64 {
    let start = processor_nanos();
    for _ in 0..passes {
        std::hint::black_box((contestant.run)());
    }
    processor_nanos() - start
}

fn processor_nanos() -> f64 {
    nanos(clock_gettime(ClockId::ThreadCPUTime))
}

/// What `work` takes of the processor time of all threads but this one: those of the server that is asked, since no other has
/// anything to do.
pub fn others_during(work: impl FnOnce() -> io::Result<()>) -> io::Result<f64> {
    let before = others_nanos();
    work()?;
    // The server may still be on its way to its next wait.
    std::thread::sleep(Duration::from_micros(200));
    Ok(others_nanos() - before)
}

fn others_nanos() -> f64 {
    nanos(clock_gettime(ClockId::ProcessCPUTime)) - processor_nanos()
}

fn nanos(time: Timespec) -> f64 {
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// The middle of `values`; NaN when there are none.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => values[len / 2],
        len => (values[len / 2 - 1] + values[len / 2]) / 2.0,
    }
}
