//! The extension bits of a header (RFC 6455 section 5.2).

use core::fmt;
use core::ops::BitOr;

/// A set of the three bits that RFC 6455 section 5.2 reserves for extensions.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ReservedBits(u8);

impl ReservedBits {
    /// No bit, as in a frame without extensions.
    pub const NONE: Self = Self(0);
    /// The first bit; `permessage-deflate` marks compressed messages with it (RFC 7692 section 6).
    pub const RSV1: Self = Self(0x40);
    /// The second bit.
    pub const RSV2: Self = Self(0x20);
    /// The third bit.
    pub const RSV3: Self = Self(0x10);

    /// Those of the first byte of a frame.
    pub(super) const fn of_first_byte(byte: u8) -> Self {
        Self(byte & 0x70)
    }

    /// The bits as they stand in the first byte of a frame.
    pub(super) const fn bits(self) -> u8 {
        self.0
    }

    /// Whether every bit of `other` is set here as well.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }
}

impl BitOr for ReservedBits {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for ReservedBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [("RSV1", Self::RSV1), ("RSV2", Self::RSV2), ("RSV3", Self::RSV3)];
        f.debug_set().entries(named.iter().filter(|(_, bit)| self.contains(*bit)).map(|(name, _)| name)).finish()
    }
}
