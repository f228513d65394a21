//! How a scenario fails: with a text that says what was seen and where.

use std::fmt::{self, Debug};
use std::panic::Location;

/// Why a scenario failed. Every error becomes one by `?`.
pub struct Failure(String);

/// What a step of a scenario gives.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure that says `text`.
    #[track_caller]
    pub fn new(text: impl fmt::Display) -> Self {
        Self(format!("{text} ({})", Location::caller()))
    }
}

impl<E: std::error::Error> From<E> for Failure {
    #[track_caller]
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        Self::new(text)
    }
}

impl Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Goes on only if `condition` holds.
///
/// # Errors
/// What `otherwise` says.
#[track_caller]
pub fn ensure(condition: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    if condition { Ok(()) } else { Err(Failure::new(otherwise())) }
}

/// Goes on only if `seen` is what was `expected`.
///
/// # Errors
/// Both of them.
#[track_caller]
pub fn same<T: Debug + PartialEq<U>, U: Debug>(seen: T, expected: U) -> Outcome {
    if seen == expected { Ok(()) } else { Err(Failure::new(format!("seen {seen:?}, expected {expected:?}"))) }
}
