//! Efficient Video Sampling (Bagrov et al. 2025, arXiv 2510.14624), on merged embeddings as its servers run it: what changed stays.

use super::window::best;
use super::{Compressor, Settings, Window};
use longsight_models::{ModelError, Selection};

/// The tokens that are least like the same place of the patch before; the video's first patch stays.
#[derive(Debug)]
pub(super) struct Evs(pub(super) Settings);

impl Compressor for Evs {
    fn kept(&self, patches: usize, (rows, columns): (usize, usize)) -> usize {
        self.0.budget(patches * rows * columns)
    }

    fn select(&self, window: &Window) -> Result<Selection, ModelError> {
        let scores: Vec<f32> = window.changes().into_iter().map(|change| change.unwrap_or(f32::INFINITY)).collect();
        Selection::keep(best(&scores, self.0.budget(window.len())))
    }
}
