//! Temporal context tokens (Temporal Dynamic Context, 2025, arXiv 2504.10443): in each scene one frame stays whole, the others become
//! a few tokens against it. The published compressor is a trained Q-Former; this is its shape without training: the static
//! frame's pooled tokens are the queries, a frame's own tokens keys and values.

use super::window::{best, cosine, deal};
use super::{Compressor, Settings, Window};
use longsight_models::{Group, ModelError, Selection};

/// The most patches that one static frame stands for, as published.
const CHUNK: usize = 8;
/// Sharpness of the attention over cosines: a token that is 0.1 more like the query weighs e times as much.
const SHARPNESS: f32 = 10.0;

/// Static frames where the picture changes most, the rest of the budget as context tokens where it changes at all.
#[derive(Debug)]
pub(super) struct Context(pub(super) Settings);

impl Compressor for Context {
    fn kept(&self, patches: usize, (rows, columns): (usize, usize)) -> usize {
        self.0.budget(patches * rows * columns)
    }

    fn select(&self, window: &Window) -> Result<Selection, ModelError> {
        let (cells, patches) = (window.cells(), window.patches());
        let budget = self.0.budget(window.len());
        let changes = patch_changes(window);
        let statics = static_patches(&changes, budget, cells);
        let others: Vec<usize> = (0..patches).filter(|patch| !statics.contains(patch)).collect();
        let left = budget - statics.len() * cells;
        // A frame that is told from its static frame by nothing still gets its share of what is left.
        let weights: Vec<f32> = others.iter().map(|&patch| changes[patch].max(1e-3)).collect();
        let least = usize::from(left >= others.len());
        let shares = deal(left, &weights, least, cells);
        let mut counts = vec![cells; patches];
        others.iter().zip(shares).for_each(|(&patch, share)| counts[patch] = share);
        let mut groups = Vec::with_capacity(budget);
        let mut last_static = None;
        for (patch, &count) in counts.iter().enumerate() {
            let rows = patch * cells..(patch + 1) * cells;
            if count == cells {
                last_static = Some(patch);
                groups.extend(rows.map(|at| Group { at, rows: vec![(at, 1.0)] }));
            } else {
                // Before the window's first static frame, the frame is its own.
                groups.extend(context(window, patch, last_static.unwrap_or(patch), count));
            }
        }
        Selection::new(groups)
    }
}

/// Of each patch, how unlike the patch before its mean is; 1 for the video's first.
fn patch_changes(window: &Window) -> Vec<f32> {
    let changes = window.changes();
    let mean = |patch: &[Option<f32>]| {
        patch.iter().map(|change| change.unwrap_or(1.0)).sum::<f32>() / patch.len().max(1) as f32
    };
    changes.chunks(window.cells().max(1)).map(mean).collect()
}

/// Half of the budget in static frames, where the picture changes most, one in every [`CHUNK`] patches if that is within it.
fn static_patches(changes: &[f32], budget: usize, cells: usize) -> Vec<usize> {
    let count = (budget / (2 * cells.max(1))).min(changes.len());
    let every: Vec<usize> = (0..changes.len()).step_by(CHUNK).collect();
    if count <= every.len() {
        return best(changes, count);
    }
    let mut scores = changes.to_vec();
    every.into_iter().for_each(|patch| scores[patch] = f32::INFINITY);
    best(&scores, count)
}

/// `count` tokens of a patch: each looks, with a stretch of the static frame's tokens as its query, at all of the patch's tokens, and stands
/// at the one that it looks at most among those that are free.
fn context(window: &Window, patch: usize, of: usize, count: usize) -> Vec<Group> {
    let (cells, first) = (window.cells(), patch * window.cells());
    let mut free: Vec<usize> = (first..first + cells).collect();
    let mut groups: Vec<Group> = (0..count)
        .map(|n| {
            let query = window.mean(of * cells + n * cells / count..of * cells + ((n + 1) * cells).div_ceil(count));
            let weights: Vec<f32> =
                (0..cells).map(|cell| (SHARPNESS * cosine(window.token(first + cell), &query)).exp()).collect();
            let sum: f32 = weights.iter().sum();
            let weight = |row: usize| weights[row - first];
            let place = (0..free.len()).max_by(|&a, &b| weight(free[a]).total_cmp(&weight(free[b]))).unwrap_or(0);
            let rows = (first..first + cells).map(|row| (row, weight(row) / sum)).collect();
            Group { at: free.remove(place), rows }
        })
        .collect();
    groups.sort_by_key(|group| group.at);
    groups
}
