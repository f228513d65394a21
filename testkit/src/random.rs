//! The seeded random source of the kit.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Random numbers that depend only on a seed: the same seed gives the same numbers on every machine.
#[derive(Clone, Debug)]
pub struct Random(ChaCha12Rng);

impl Random {
    /// A source for the run numbered `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(ChaCha12Rng::seed_from_u64(seed))
    }

    /// A number in `0..=max`. All are equally likely, except for a bias below 2^-32 of the range.
    pub fn up_to(&mut self, max: u64) -> u64 {
        let range = u128::from(max) + 1;
        u64::try_from((u128::from(self.0.next_u64()) * range) >> 64).unwrap_or(max)
    }

    /// A length in `0..=max`.
    pub fn length_up_to(&mut self, max: usize) -> usize {
        let drawn = self.up_to(u64::try_from(max).unwrap_or(u64::MAX));
        usize::try_from(drawn).unwrap_or(max)
    }

    /// True with a probability of `per_million` in a million.
    pub fn happens(&mut self, per_million: u32) -> bool {
        self.up_to(999_999) < u64::from(per_million)
    }

    /// One of `from`, each equally likely.
    #[expect(clippy::indexing_slicing, reason = "the index is below the length")]
    pub fn pick<T: Copy, const N: usize>(&mut self, from: [T; N]) -> T {
        const { assert!(N > 0, "there must be something to pick from") };
        from[self.length_up_to(N - 1)]
    }

    /// `N` random bytes, for example the seed of a state machine.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_another_seed_gives_others() {
        let drawn = |seed| Random::new(seed).bytes::<32>();
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }

    #[test]
    fn the_numbers_of_a_seed_never_change_from_release_to_release() {
        assert_eq!(Random::new(1).bytes::<8>(), FIRST_BYTES_OF_SEED_1);
    }

    #[test]
    fn a_drawn_number_reaches_both_ends_of_its_range() {
        let mut random = Random::new(3);
        let drawn: Vec<u64> = (0..200).map(|_| random.up_to(3)).collect();
        assert_eq!(drawn.iter().min(), Some(&0));
        assert_eq!(drawn.iter().max(), Some(&3));
        assert_eq!(random.length_up_to(0), 0);
    }

    #[test]
    fn each_of_several_is_picked() {
        let mut random = Random::new(5);
        let picked: std::collections::BTreeSet<char> = (0..100).map(|_| random.pick(['a', 'b', 'c'])).collect();
        assert_eq!(picked.len(), 3);
    }

    #[test]
    fn a_certain_thing_happens_and_an_impossible_one_does_not() {
        let mut random = Random::new(4);
        assert!((0..100).all(|_| random.happens(1_000_000)));
        assert!(!(0..100).any(|_| random.happens(0)));
    }

    const FIRST_BYTES_OF_SEED_1: [u8; 8] = [97, 24, 48, 211, 100, 26, 104, 249];
}
