//! Which vector instructions to use.

use fearless_simd::Level;

/// Those of the processor; without `std` nobody can ask it, and those that every processor of the target has are taken.
#[inline]
pub(crate) fn widest() -> Level {
    #[cfg(feature = "std")]
    return Level::new();
    #[cfg(not(feature = "std"))]
    Level::baseline()
}
