//! The formula, in f64.

use super::Heads;
use crate::norm;

/// See [`Heads::lay`]: `[heads, rows, dim]`.
#[must_use]
pub fn lay(heads: Heads, x: &[f32], count: usize) -> Vec<f32> {
    let (dim, half) = (heads.dim, heads.dim / 2);
    let rows = x.len() / (count * dim);
    let mut out = Vec::with_capacity(x.len());
    for head in 0..count {
        for row in 0..rows {
            let x = &x[(row * count + head) * dim..][..dim];
            let mut x = heads.norm.map_or_else(|| x.to_vec(), |rms| norm::reference::rows(rms, x));
            if let Some(angles) = heads.angles {
                for i in 0..half {
                    let [cos, sin] = [angles.cos, angles.sin].map(|table| f64::from(table[row * half + i]));
                    let [low, high] = [x[i], x[i + half]].map(f64::from);
                    (x[i], x[i + half]) = ((low * cos - high * sin) as f32, (low * sin + high * cos) as f32);
                }
            }
            out.extend(x);
        }
    }
    out
}
