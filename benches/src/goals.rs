//! The goals for ours, and whether they are met.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::race::Standing;
use crate::scores::{Score, Unit, best, figure};

/// One goal of a case.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// This many times as good as the best peer.
    TimesBestPeer(f64),
    /// This many times as good as the best peer with this text in its name.
    TimesBestOf(&'static str, f64),
    /// This fraction of the result of the reference with this name.
    OfReference(&'static str, f64),
    /// At most this value, in the unit of the case.
    AtMost(f64),
}

/// A goal and its result.
#[derive(Debug, Serialize, Deserialize)]
pub struct Verdict {
    pub goal: String,
    pub reached: f64,
    pub wanted: f64,
    pub met: bool,
}

impl Goal {
    /// The result for the best of ours. `None` if the contestants to compare with did not take part.
    pub fn evaluate(&self, unit: Unit, results: &[Score]) -> Option<Verdict> {
        let ours = best(unit, results, Standing::Ours)?.value;
        let (goal, reached, wanted) = match *self {
            Self::TimesBestPeer(wanted) => {
                let peer = best(unit, results, Standing::Peer)?.value;
                ("times the best peer".to_owned(), unit.better(ours, peer), wanted)
            }
            Self::TimesBestOf(name, wanted) => {
                let better = |a: &f64, b: &f64| unit.better(*a, *b).total_cmp(&1.0);
                let peers = results.iter().filter(|score| score.standing == Standing::Peer);
                let peer = peers.filter(|score| score.name.contains(name)).map(|score| score.value).max_by(better)?;
                (format!("times the best peer with {name}"), unit.better(ours, peer), wanted)
            }
            Self::OfReference(name, wanted) => {
                let reference = results.iter().find(|score| score.name == name)?.value;
                (format!("of what {name} reaches"), unit.better(ours, reference), wanted)
            }
            Self::AtMost(wanted) => {
                let met = ours <= wanted;
                return Some(Verdict { goal: format!("at most {}", unit.name()), reached: ours, wanted, met });
            }
        };
        Some(Verdict { goal, reached, wanted, met: reached >= wanted })
    }
}

impl Verdict {
    /// Whether smaller figures are better.
    fn is_bound(&self) -> bool {
        self.goal.starts_with("at most")
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.met { "met" } else { "SHORT" };
        if self.is_bound() {
            let what = self.goal.trim_start_matches("at most ");
            return write!(f, "{word}: {} {what}, at most {} wanted", figure(self.reached), figure(self.wanted));
        }
        write!(f, "{word}: {:.2} {}, {:.2} wanted", self.reached, self.goal, self.wanted)
    }
}
