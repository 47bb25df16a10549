//! Moments that are unlike each other, and, if the questions are read, that have to do with them.

use super::moments::{Moments, Sampler, cosine};

/// What a moment counts that has least to do with the questions, of 1 for the one that has most.
const LEAST_RELEVANCE: f32 = 0.1;
/// Below this, nothing new is left: every other moment is like one that was taken.
const NOTHING_NEW: f32 = 1e-6;

/// The greedy most likely set of a determinantal point process whose kernel is likeness times relevance, as TimeSearch-R takes frames
/// (2511.05489); by the fast algorithm of Chen et al. 2018 (1709.05135), so in `moments x count^2`.
#[derive(Debug)]
pub(super) struct Diverse {
    pub(super) reads_questions: bool,
}

impl Sampler for Diverse {
    fn reads_questions(&self) -> bool {
        self.reads_questions
    }

    fn choose(&self, moments: &Moments, count: usize) -> Vec<usize> {
        let total = moments.means.len();
        let weights = if self.reads_questions { scaled(&moments.relevance) } else { vec![1.0; total] };
        // Likeness from 0 to 1, so that the kernel is one of a set and its mirror.
        let kernel = |a: usize, b: usize| {
            let like = (1.0 + cosine(&moments.means[a], &moments.means[b])) / 2.0;
            weights[a] * like * weights[b]
        };
        let mut left: Vec<f32> = (0..total).map(|n| weights[n] * weights[n]).collect();
        let mut factors: Vec<Vec<f32>> = vec![Vec::with_capacity(count); total];
        let mut taken = vec![false; total];
        for _ in 0..count {
            let open = (0..total).filter(|&n| !taken[n]);
            let Some(next) = open.max_by(|&a, &b| left[a].total_cmp(&left[b]).then(b.cmp(&a))) else { break };
            taken[next] = true;
            let root = left[next].max(NOTHING_NEW).sqrt();
            let row = factors[next].clone();
            for n in (0..total).filter(|&n| !taken[n]) {
                let shared: f32 = row.iter().zip(&factors[n]).map(|(a, b)| a * b).sum();
                let factor = (kernel(next, n) - shared) / root;
                factors[n].push(factor);
                left[n] -= factor * factor;
            }
        }
        (0..total).filter(|&n| taken[n]).collect()
    }
}

/// From [`LEAST_RELEVANCE`] for the least to 1 for the largest.
fn scaled(values: &[f32]) -> Vec<f32> {
    let least = values.iter().copied().fold(f32::INFINITY, f32::min);
    let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let share = |value: f32| if most > least { (value - least) / (most - least) } else { 1.0 };
    values.iter().map(|&value| LEAST_RELEVANCE + (1.0 - LEAST_RELEVANCE) * share(value)).collect()
}
