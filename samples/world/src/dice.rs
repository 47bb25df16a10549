//! Seeded choices that are the same on every platform and in every release.
//!
//! Only integers come out of the generator; `rand`'s distributions are not used because their results may change between
//! releases.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};

/// Which part of the world a seed belongs to. The same number in two splits gives unrelated clips.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// Seen in training.
    Train,
    /// Never trained on: measurement, samples, tests.
    HeldOut,
}

/// A stream of choices derived from a seed.
#[derive(Clone, Debug)]
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// The choices of one clip. `purpose` separates independent streams of the same clip (script, questions, encoding).
    ///
    /// Split, purpose and seed lie in different bytes of the ChaCha key, so no two of them can meet.
    pub fn new(split: Split, seed: u64, purpose: u8) -> Self {
        let mut key = *b"longsight generated world ......";
        key[22] = split as u8;
        key[23] = purpose;
        key[24..].copy_from_slice(&seed.to_le_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    /// A whole number in `0..n`; 0 where `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        // The high half of a 64-bit product: unbiased to 2^-32 for the small `n` used here.
        ((u64::from(self.0.next_u32()) * n as u64) >> 32) as usize
    }

    /// A whole number in `low..=high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1).max(1) as usize) as i64
    }

    /// True in `percent` of a hundred cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// A number in `low..=high` on a grid of 4096 steps.
    pub fn real(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.below(4097) as f64 / 4096.0
    }

    /// One of `items`, which must not be empty.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Puts `items` in an arbitrary order (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_choices_and_splits_differ() {
        let draw = |split, seed, purpose| {
            let mut dice = Dice::new(split, seed, purpose);
            (0..8).map(|_| dice.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(Split::Train, 7, 0), draw(Split::Train, 7, 0));
        assert_ne!(draw(Split::Train, 7, 0), draw(Split::HeldOut, 7, 0));
        assert_ne!(draw(Split::Train, 7, 0), draw(Split::Train, 8, 0));
        assert_ne!(draw(Split::Train, 7, 0), draw(Split::Train, 7, 1));
    }

    #[test]
    fn choices_stay_in_range_and_reach_both_ends() {
        let mut dice = Dice::new(Split::Train, 1, 0);
        let drawn: Vec<i64> = (0..2000).map(|_| dice.between(-2, 3)).collect();
        assert_eq!(drawn.iter().min(), Some(&-2));
        assert_eq!(drawn.iter().max(), Some(&3));
        assert_eq!(dice.below(0), 0);
    }
}
