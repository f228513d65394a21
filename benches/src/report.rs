//! The results: printed, and stored as JSON.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::goals::{Goal, Verdict};
use crate::race::Standing;
use crate::scores::{Score, Unit, best, figure};

/// All results of `compare`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// The name of the processor.
    pub machine: String,
    pub cases: Vec<Case>,
}

impl Report {
    /// Adds a case, or replaces the stored one.
    pub fn put(&mut self, case: Case) {
        match self.cases.iter_mut().find(|other| other.subject == case.subject && other.name == case.name) {
            Some(other) => *other = case,
            None => self.cases.push(case),
        }
    }
}

/// One kind of work at one size.
#[derive(Debug, Serialize, Deserialize)]
pub struct Case {
    pub subject: String,
    pub name: String,
    pub unit: Unit,
    pub results: Vec<Score>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub goals: Vec<Verdict>,
}

/// The name, the standing and the median of a contestant.
pub type Outcome = (String, Standing, f64);

/// The part of a race that stands in a row of its own: the references, and those of the others whose names are `wanted`.
pub fn part(results: &[Outcome], wanted: impl Fn(&str) -> bool) -> Vec<Outcome> {
    let is_in = |(name, standing, _): &&Outcome| *standing == Standing::Reference || wanted(name);
    results.iter().filter(is_in).cloned().collect()
}

impl Case {
    pub fn new(subject: &str, name: &str, unit: Unit, results: Vec<Outcome>, goals: &[Goal]) -> Self {
        let results = results.into_iter().map(|(name, standing, value)| Score { name, standing, value }).collect();
        let mut case = Self { subject: subject.to_owned(), name: name.to_owned(), unit, results, goals: Vec::new() };
        case.goals = goals.iter().filter_map(|goal| goal.evaluate(unit, &case.results)).collect();
        case
    }

    /// The results, from best to worst.
    pub fn ranking(&self) -> Vec<&Score> {
        let mut scores: Vec<_> = self.results.iter().collect();
        scores.sort_by(|a, b| self.unit.better(b.value, a.value).total_cmp(&1.0));
        scores
    }

    /// The printed text of the case.
    pub fn print(&self) -> String {
        let mut out = format!("{} {} ({})\n", self.subject, self.name, self.unit.name());
        let best = best(self.unit, &self.results, Standing::Peer).map(|peer| peer.value);
        for score in self.ranking() {
            let mark = match score.standing {
                Standing::Ours => "*",
                Standing::Peer => " ",
                Standing::Reference => "-",
            };
            let ratio = best.map_or_else(String::new, |best| format!("{:8.2}x", self.unit.better(score.value, best)));
            let _ = writeln!(out, "  {mark} {:<44} {:>12} {ratio}", score.name, figure(score.value));
        }
        for goal in &self.goals {
            let _ = writeln!(out, "  {goal}");
        }
        out
    }
}
