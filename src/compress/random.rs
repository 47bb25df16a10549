//! A baseline: any tokens.

use super::window::best;
use super::{Compressor, Settings, Window};
use longsight_models::{ModelError, Selection};

/// Tokens drawn without regard to what they show; the same for the same seed.
#[derive(Debug)]
pub(super) struct Random(pub(super) Settings);

impl Compressor for Random {
    fn kept(&self, patches: usize, (rows, columns): (usize, usize)) -> usize {
        self.0.budget(patches * rows * columns)
    }

    fn select(&self, window: &Window) -> Result<Selection, ModelError> {
        let draw = |row: usize| {
            let mut hash = blake3::Hasher::new();
            for number in [self.0.seed, window.first() as u64, row as u64] {
                hash.update(&number.to_le_bytes());
            }
            let [a, b, c, ..] = *hash.finalize().as_bytes();
            // 24 bits: as many as an f32 holds exactly
            u32::from_le_bytes([a, b, c, 0]) as f32
        };
        let scores: Vec<f32> = (0..window.len()).map(draw).collect();
        Selection::keep(best(&scores, self.0.budget(window.len())))
    }

    fn draws(&self) -> bool {
        true
    }
}
