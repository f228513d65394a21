//! The failure of a scenario: a message that says what was observed and where.

use std::fmt::{self, Debug};
use std::panic::Location;

/// Why a scenario failed. `?` converts every error into it.
pub struct Failure(String);

/// The result of a step of a scenario.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure with the message `text`.
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

/// Returns an error unless `condition` holds.
///
/// # Errors
/// The message that `otherwise` returns.
#[track_caller]
pub fn ensure(condition: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    if condition { Ok(()) } else { Err(Failure::new(otherwise())) }
}

/// Returns an error unless `seen` equals `expected`.
///
/// # Errors
/// A failure that shows both values.
#[track_caller]
pub fn same<T: Debug + PartialEq<U>, U: Debug>(seen: T, expected: U) -> Outcome {
    if seen == expected { Ok(()) } else { Err(Failure::new(format!("seen {seen:?}, expected {expected:?}"))) }
}
