//! Randomness from a seed that the caller supplies.

use core::fmt;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The one source of randomness of a state machine: ChaCha with 12 rounds, seeded by the caller.
///
/// RFC 6455 section 10.3 requires masking keys that a peer cannot predict, so the seed must come from the operating
/// system or from a hardware source. A simulation passes a fixed seed and gets the same bytes each time.
#[derive(Clone)]
pub(crate) struct Random(ChaCha12Rng);

impl Random {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha12Rng::from_seed(seed))
    }

    /// Four bytes for the masking key of one frame.
    pub(crate) fn masking_key(&mut self) -> [u8; 4] {
        self.0.next_u32().to_le_bytes()
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// A random number in `0..=max`. All numbers are equally likely, except for a bias below 2^-32 of the range.
    #[cfg(feature = "session")]
    pub(crate) fn up_to(&mut self, max: u64) -> u64 {
        // The high half of a 64 by 64 bit product maps the random number onto the range without a division.
        let range = u128::from(max) + 1;
        u64::try_from((u128::from(self.0.next_u64()) * range) >> 64).unwrap_or(max)
    }

    /// A seed for a state machine that this one contains.
    #[cfg(feature = "session")]
    pub(crate) fn seed(&mut self) -> [u8; 32] {
        self.bytes()
    }
}

/// Does not print the state: with it, a reader can predict every later masking key.
impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let mut one = Random::new([7; 32]);
        let mut other = Random::new([7; 32]);
        assert_eq!(one.bytes::<64>(), other.bytes::<64>());
        assert_ne!(one.masking_key(), one.masking_key());
    }

    #[cfg(feature = "session")]
    #[test]
    fn a_drawn_number_stays_in_its_range_and_reaches_both_ends() {
        let mut random = Random::new([1; 32]);
        let drawn: alloc::vec::Vec<u64> = (0..200).map(|_| random.up_to(3)).collect();
        assert_eq!(drawn.iter().min(), Some(&0));
        assert_eq!(drawn.iter().max(), Some(&3));
        let _ = random.up_to(u64::MAX);
        assert_eq!(random.up_to(0), 0);
    }
}
