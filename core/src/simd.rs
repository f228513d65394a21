//! Selects the vector instructions.

use fearless_simd::Level;

/// The widest vector instructions of the processor. Without `std` they cannot be detected, so it returns those that
/// every processor of the target has.
#[inline]
pub(crate) fn widest() -> Level {
    #[cfg(feature = "std")]
    return Level::new();
    #[cfg(not(feature = "std"))]
    Level::baseline()
}
