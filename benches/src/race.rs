//! Measures contestants: all of them do the same work in the same process, in short turns one after the other.

use std::io;
use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::ours::Run;
use crate::process::thread_nanos;

/// The role of a contestant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    Ours,
    Peer,
    /// The limit of the machine.
    Reference,
}

/// An implementation that does the work of a case.
pub struct Contestant {
    pub name: String,
    pub standing: Standing,
    /// One pass over the work. All contestants except references must return the same value.
    pub run: Run,
    pub clock: Clock,
}

impl Contestant {
    pub fn ours(name: &str, run: Run) -> Self {
        Self::new(name, Standing::Ours, run)
    }

    pub fn peer(name: &str, run: Run) -> Self {
        Self::new(name, Standing::Peer, run)
    }

    pub fn reference(name: &str, run: Run) -> Self {
        Self::new(name, Standing::Reference, run)
    }

    fn new(name: &str, standing: Standing, run: Run) -> Self {
        Self { name: name.to_owned(), standing, run, clock: Clock::Thread }
    }

    /// Adds the processor time of a thread of the contestant, given by its number.
    pub fn with_thread(self, thread: u32) -> Self {
        Self { clock: Clock::And(thread), ..self }
    }
}

/// The processor time that counts for a contestant.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// That of the thread that runs the work.
    Thread,
    /// That thread, and another one that works for it.
    And(u32),
}

impl Clock {
    fn nanos(self) -> f64 {
        match self {
            Self::Thread => processor_nanos(),
            Self::And(thread) => {
                // The thread finishes what it does, such as to fill a queue. So a turn pays for what it takes out. The
                // system counts the time of a thread when it sleeps.
                std::thread::sleep(Duration::from_millis(10));
                processor_nanos() + thread_nanos(thread)
            }
        }
    }
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    pub rounds: usize,
    /// The time of one turn of a contestant in a round.
    pub turn: Duration,
}

/// The number of rounds from the command line.
///
/// # Errors
/// The text is not a number, or it is zero: without a round there is no figure.
pub fn rounds(text: Option<&str>) -> Result<usize, String> {
    let rounds = text.and_then(|text| text.parse().ok()).filter(|rounds| *rounds > 0);
    rounds.ok_or_else(|| "--rounds needs a whole number, at least 1".to_owned())
}

/// Runs `contestants` and returns the median time of each, with its name and its standing. The time is the processor
/// time in nanoseconds for one of the `units` in a pass.
///
/// It is processor time, not wall-clock time: other work of the machine is not counted.
pub fn run(mut contestants: Vec<Contestant>, units: usize, effort: Effort) -> Vec<(String, Standing, f64)> {
    let mut found = None;
    let mut passes = Vec::new();
    for contestant in &mut contestants {
        // The first passes fill the caches. They also check that all contestants do the same work.
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
            // Each round begins with another contestant, so that no contestant always runs after the same neighbor and
            // its cache contents.
            let index = (round + turn) % contestants.len();
            let time = timed(&mut contestants[index], passes[index]);
            times[index].push(time / (passes[index] * units) as f64);
        }
    }
    let medians = times.iter_mut().map(|times| median(times));
    contestants.into_iter().zip(medians).map(|(one, time)| (one.name, one.standing, time)).collect()
}

fn timed(contestant: &mut Contestant, passes: usize) -> f64 {
    let start = contestant.clock.nanos();
    for _ in 0..passes {
        std::hint::black_box((contestant.run)());
    }
    contestant.clock.nanos() - start
}

fn processor_nanos() -> f64 {
    nanos(clock_gettime(ClockId::ThreadCPUTime))
}

/// The processor time of all other threads during `work`. These are the threads of the server, because no other thread
/// works.
pub fn others_during(work: impl FnOnce() -> io::Result<()>) -> io::Result<f64> {
    let before = others_nanos();
    work()?;
    // The server may not have reached its next wait yet.
    std::thread::sleep(Duration::from_micros(200));
    Ok(others_nanos() - before)
}

fn others_nanos() -> f64 {
    nanos(clock_gettime(ClockId::ProcessCPUTime)) - processor_nanos()
}

fn nanos(time: Timespec) -> f64 {
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// The median of `values`. NaN if there are none.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => values[len / 2],
        len => (values[len / 2 - 1] + values[len / 2]) / 2.0,
    }
}
