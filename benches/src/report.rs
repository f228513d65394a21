//! The results: printed, and stored as JSON.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::goals::{Goal, Verdict};
use crate::race::Standing;

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

/// The median of one contestant.
#[derive(Debug, Serialize, Deserialize)]
pub struct Score {
    pub name: String,
    pub standing: Standing,
    pub value: f64,
}

/// The unit of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    #[serde(rename = "ns a message")]
    NanosAMessage,
    #[serde(rename = "us of server CPU a message")]
    ServerMicrosAMessage,
    #[serde(rename = "thousand deliveries a second")]
    ThousandDeliveriesASecond,
    #[serde(rename = "bytes a message")]
    BytesAMessage,
    #[serde(rename = "bytes a connection")]
    BytesAConnection,
}

impl Unit {
    pub fn name(self) -> &'static str {
        match self {
            Self::NanosAMessage => "ns a message",
            Self::ServerMicrosAMessage => "us of server CPU a message",
            Self::ThousandDeliveriesASecond => "thousand deliveries a second",
            Self::BytesAMessage => "bytes a message",
            Self::BytesAConnection => "bytes a connection",
        }
    }

    /// How many times better `value` is than `other`.
    pub fn better(self, value: f64, other: f64) -> f64 {
        match self {
            Self::ThousandDeliveriesASecond => value / other,
            _ => other / value,
        }
    }
}

impl Case {
    pub fn new(subject: &str, name: &str, unit: Unit, results: Vec<(String, Standing, f64)>, goals: &[Goal]) -> Self {
        let results = results.into_iter().map(|(name, standing, value)| Score { name, standing, value }).collect();
        let mut case = Self { subject: subject.to_owned(), name: name.to_owned(), unit, results, goals: Vec::new() };
        case.goals = goals.iter().filter_map(|goal| goal.evaluate(&case)).collect();
        case
    }

    /// The best result with one standing.
    pub fn best(&self, standing: Standing) -> Option<&Score> {
        let better = |a: &&Score, b: &&Score| self.unit.better(a.value, b.value).total_cmp(&1.0);
        self.results.iter().filter(|score| score.standing == standing).max_by(better)
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
        let best = self.best(Standing::Peer).map(|peer| peer.value);
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

/// A size with its unit.
pub fn size(len: usize) -> String {
    const KIB: usize = 1 << 10;
    match len {
        mib if mib >= KIB * KIB => format!("{} MiB", mib / KIB / KIB),
        kib if kib >= KIB => format!("{} KiB", kib / KIB),
        bytes => format!("{bytes} B"),
    }
}

/// A figure with three significant digits.
pub fn figure(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        medium if medium >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
