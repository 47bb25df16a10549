//! V-CAST (arXiv 2603.27650): frames where the video turns get more tokens; in each, what stands out from it stays.

use super::window::{best, cosine, deal, dot};
use super::{Compressor, Settings, Window};
use longsight_models::{ModelError, Selection};

/// Of the softmax over curvatures, as published.
const TEMPERATURE: f32 = 0.7;

/// Budgets by the curvature of the path of the frames' means, tokens by distinctness and length. The budget of a window is fixed, so
/// frames compete within windows only; published, it is the whole video.
#[derive(Debug)]
pub(super) struct VCast(pub(super) Settings);

impl Compressor for VCast {
    fn kept(&self, patches: usize, (rows, columns): (usize, usize)) -> usize {
        self.0.budget(patches * rows * columns)
    }

    fn select(&self, window: &Window) -> Result<Selection, ModelError> {
        let (cells, budget) = (window.cells(), self.0.budget(window.len()));
        let least = usize::from(budget >= window.patches());
        let shares = deal(budget, &weights(&window.means()), least, cells);
        let distinct = window.distinctness();
        let lengths: Vec<f32> = (0..window.len()).map(|row| dot(window.token(row), window.token(row)).sqrt()).collect();
        let mut kept = Vec::with_capacity(budget);
        for (patch, share) in shares.into_iter().enumerate() {
            let rows = patch * cells..(patch + 1) * cells;
            let long = scaled(&lengths[rows.clone()]);
            let scores: Vec<f32> =
                distinct[rows.clone()].iter().zip(long).map(|(distinct, long)| distinct + long).collect();
            kept.extend(best(&scores, share).into_iter().map(|cell| rows.start + cell));
        }
        Selection::keep(kept)
    }
}

/// Softmax of the angles between steps from frame to frame; the first and last frame count as turns.
fn weights(means: &[Vec<f32>]) -> Vec<f32> {
    let step = |from: &[f32], to: &[f32]| -> Vec<f32> { to.iter().zip(from).map(|(to, from)| to - from).collect() };
    let unit: Vec<Vec<f32>> = means
        .iter()
        .map(|mean| {
            let length = dot(mean, mean).sqrt().max(1e-6);
            mean.iter().map(|value| value / length).collect()
        })
        .collect();
    let curvature = |n: usize| match (n.checked_sub(1).map(|n| &unit[n]), unit.get(n + 1)) {
        (Some(before), Some(after)) => 1.0 - cosine(&step(before, &unit[n]), &step(&unit[n], after)),
        _ => 1.0,
    };
    (0..unit.len()).map(|n| (curvature(n) / TEMPERATURE).exp()).collect()
}

/// From 0 for the least to 1 for the largest.
pub(super) fn scaled(values: &[f32]) -> Vec<f32> {
    let least = values.iter().copied().fold(f32::INFINITY, f32::min);
    let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    values.iter().map(|value| (value - least) / (most - least).max(1e-6)).collect()
}
