//! What ours must reach, and whether it does.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::race::Standing;
use crate::report::{Case, figure};

/// One goal for the case it is given with.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// This many times better than the best peer.
    TimesBestPeer(f64),
    /// This many times better than the best peer with this in its name.
    TimesBestOf(&'static str, f64),
    /// This part of what the reference of that name reaches.
    OfReference(&'static str, f64),
    /// At most this, in the unit of the case.
    AtMost(f64),
}

/// A goal with what came of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Verdict {
    pub goal: String,
    pub reached: f64,
    pub desired: f64,
    pub met: bool,
}

impl Goal {
    /// What came of it for the best of ours; nothing when those to compare with did not take part.
    pub fn evaluate(&self, case: &Case) -> Option<Verdict> {
        let ours = case.best(Standing::Ours)?.value;
        let (goal, reached, desired) = match *self {
            Self::TimesBestPeer(desired) => {
                let peer = case.best(Standing::Peer)?.value;
                ("times the best peer".to_owned(), case.unit.better(ours, peer), desired)
            }
            Self::TimesBestOf(name, desired) => {
                let better = |a: &f64, b: &f64| case.unit.better(*a, *b).total_cmp(&1.0);
                let peers = case.results.iter().filter(|score| score.standing == Standing::Peer);
                let peer = peers.filter(|score| score.name.contains(name)).map(|score| score.value).max_by(better)?;
                (format!("times the best peer with {name}"), case.unit.better(ours, peer), desired)
            }
            Self::OfReference(name, desired) => {
                let reference = case.results.iter().find(|score| score.name == name)?.value;
                (format!("of what {name} reaches"), case.unit.better(ours, reference), desired)
            }
            Self::AtMost(desired) => {
                let met = ours <= desired;
                return Some(Verdict { goal: format!("at most {}", case.unit.name()), reached: ours, desired, met });
            }
        };
        Some(Verdict { goal, reached, desired, met: reached >= desired })
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
            return write!(f, "{word}: {} {what}, at most {} desired", figure(self.reached), figure(self.desired));
        }
        write!(f, "{word}: {:.2} {}, {:.2} desired", self.reached, self.goal, self.desired)
    }
}
