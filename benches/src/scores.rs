//! The figures of the contestants, and how they are written.

use serde::{Deserialize, Serialize};

use crate::race::Standing;

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
    #[serde(rename = "ns of client CPU an event")]
    ClientNanosAnEvent,
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
            Self::ClientNanosAnEvent => "ns of client CPU an event",
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

/// The best result with one standing.
pub fn best(unit: Unit, results: &[Score], standing: Standing) -> Option<&Score> {
    let better = |a: &&Score, b: &&Score| unit.better(a.value, b.value).total_cmp(&1.0);
    results.iter().filter(|score| score.standing == standing).max_by(better)
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
