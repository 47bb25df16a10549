//! Adaptive Keyframe Sampling (Tang et al., CVPR 2025, arXiv 2502.21271): relevance where it stands out, coverage where it does not.

use super::moments::{Moments, Sampler};
use std::ops::Range;

/// A stretch is not halved when its best moments are so much more relevant than its mean, of a range of 1; as published.
const STANDS_OUT: f32 = 0.8;
/// The most halvings, as published.
const DEPTH: u32 = 5;

/// Halves the video while nothing stands out; each part gives its most relevant moments, in equal shares by its depth.
#[derive(Debug)]
pub(super) struct Aks;

impl Sampler for Aks {
    fn reads_questions(&self) -> bool {
        true
    }

    fn choose(&self, moments: &Moments, count: usize) -> Vec<usize> {
        let least = moments.relevance.iter().copied().fold(f32::INFINITY, f32::min);
        let most = moments.relevance.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let scores: Vec<f32> = moments.relevance.iter().map(|r| (r - least) / (most - least).max(1e-6)).collect();
        let mut chosen = Vec::with_capacity(count);
        parts(&scores, 0..scores.len(), count, DEPTH, &mut chosen);
        chosen.sort_unstable();
        chosen
    }
}

fn parts(scores: &[f32], range: Range<usize>, count: usize, depth: u32, chosen: &mut Vec<usize>) {
    let mut order: Vec<usize> = range.clone().collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    let mean = |moments: &[usize]| moments.iter().map(|&n| scores[n]).sum::<f32>() / moments.len().max(1) as f32;
    let middle = range.start + range.len() / 2;
    let halves = [range.start..middle, middle..range.end];
    // Published, shares are rounded down; here the first half takes what is left over, if it has room.
    let shares = [count.div_ceil(2), count / 2];
    let fits = halves.iter().zip(shares).all(|(half, share)| share <= half.len());
    if depth == 0 || count < 2 || !fits || mean(&order[..count.min(order.len())]) - mean(&order) > STANDS_OUT {
        chosen.extend(order.into_iter().take(count));
        return;
    }
    for (half, share) in halves.into_iter().zip(shares) {
        parts(scores, half, share, depth - 1, chosen);
    }
}
