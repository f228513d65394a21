//! Curves: what they consist of, and their measurement.

use crate::ours::Run;
use crate::race::{self, Contestant, Effort};

/// The curves of one image.
pub struct Plot {
    pub title: &'static str,
    /// The labels of the axes, with units.
    pub axes: [&'static str; 2],
    /// Whether the vertical axis is logarithmic. The horizontal axis always is.
    pub log: bool,
    pub curves: Vec<Curve>,
}

/// One line of a plot.
pub struct Curve {
    pub name: &'static str,
    pub points: Vec<Point>,
}

/// The work of one point of a curve.
pub struct Point {
    pub x: usize,
    /// The divisor for the time of a pass in ns.
    pub units: f64,
    pub run: Run,
}

/// A curve with its measured figures.
#[derive(Debug)]
pub struct Measured {
    pub name: &'static str,
    pub points: Vec<(f64, f64)>,
}

/// Measures all points of all curves in turns, round after round, and takes the median of each.
pub fn measure(curves: Vec<Curve>, effort: Effort) -> Vec<Measured> {
    let mut scales = Vec::new();
    let mut contestants = Vec::new();
    for curve in curves {
        scales.push((curve.name, Vec::new()));
        for Point { x, units, run } in curve.points {
            let Some((name, points)) = scales.last_mut() else { continue };
            points.push((x as f64, units));
            contestants.push(Contestant::reference(name, run));
        }
    }
    let mut times = race::run(contestants, 1, effort).into_iter().map(|(_, _, time)| time);
    let mut measured = Vec::new();
    for (name, points) in scales {
        let points = points.into_iter().zip(times.by_ref()).map(|((x, units), time)| (x, time / units)).collect();
        measured.push(Measured { name, points });
    }
    measured
}

/// `first`, and then each value `step` times the value before, up to `last`.
pub(super) fn steps(first: usize, step: usize, last: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(first), move |x| Some(x * step)).take_while(move |x| *x <= last)
}
