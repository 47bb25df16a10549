//! The formula, in f64, one row at a time.

use super::{Mask, Shape, Strided};

/// See [`super::attend`].
#[must_use]
pub fn attend(q: Strided, k: Strided, v: Strided, shape: Shape, scale: f32, mask: Mask) -> Vec<f32> {
    let Shape { heads, kv_heads, rows, dim, .. } = shape;
    let mut out = Vec::with_capacity(heads * rows * dim);
    let row = |x: Strided, head: usize, r: usize| -> Vec<f64> {
        x.data[head * x.head + r * x.row..][..dim].iter().map(|&value| f64::from(value)).collect()
    };
    for head in 0..heads {
        let shared = head / (heads / kv_heads);
        for r in 0..rows {
            let seen = match mask {
                Mask::Causal { first } => 0..first + r + 1,
                Mask::Segments(bounds) => {
                    let end = bounds.partition_point(|&bound| bound <= r);
                    bounds[end - 1]..bounds[end]
                }
            };
            let query = row(q, head, r);
            let scores: Vec<f64> = seen
                .clone()
                .map(|j| f64::from(scale) * query.iter().zip(row(k, shared, j)).map(|(a, b)| a * b).sum::<f64>())
                .collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
            let total: f64 = weights.iter().sum();
            let mut sum = vec![0.0; dim];
            for (j, weight) in seen.zip(&weights) {
                for (value, add) in sum.iter_mut().zip(row(v, shared, j)) {
                    *value += weight / total * add;
                }
            }
            out.extend(sum.iter().map(|&value| value as f32));
        }
    }
    out
}
