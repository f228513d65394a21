//! The result of a check.

/// A guarantee that a state machine broke, as text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ContractViolation(pub String);

/// `Ok` if the guarantee was kept.
pub(crate) fn ensure(kept: bool, describe: impl FnOnce() -> String) -> Result<(), ContractViolation> {
    if kept { Ok(()) } else { Err(ContractViolation(describe())) }
}
