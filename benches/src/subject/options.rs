//! What a subject gets: the settings of a measurement, and where its results go.

use std::io;

use crate::race::Effort;
use crate::report::Case;

/// Takes each case as soon as it is measured. If it fails, the measurement ends.
pub type Put<'a> = dyn FnMut(Case) -> io::Result<()> + 'a;

/// The settings of a measurement.
#[derive(Clone, Debug)]
pub struct Options {
    pub effort: Effort,
    /// The text that the name of a case must contain.
    pub only: String,
}

impl Options {
    /// Whether to measure the case with this name.
    pub fn wants(&self, case: &str) -> bool {
        case.contains(&self.only)
    }
}
