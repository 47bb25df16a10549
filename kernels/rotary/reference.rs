//! The formula, in f64.

use super::{Heads, Turn};
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
                turn(&mut x, |pair| [angles.cos, angles.sin].map(|table| f64::from(table[row * half + pair])));
            }
            out.extend(x);
        }
    }
    out
}

/// Turns rows `[tokens, heads, dim]`; where there are more than positions, these are met again.
///
/// # Panics
/// When the tables do not fit.
pub fn rotate(rows: &mut [f32], heads: usize, dim: usize, by: Turn) {
    let (angles, pairs) = (by.angles(), dim / 2);
    for (index, row) in rows.chunks_mut(dim).enumerate() {
        let token = index / heads % by.tokens();
        turn(row, |pair| {
            let angle = f64::from(angles[token * pairs + pair]);
            [angle.cos(), angle.sin()].map(|x| x * by.scale)
        });
    }
}

/// Turns one head by each pair's cosine and sine.
fn turn(x: &mut [f32], angle: impl Fn(usize) -> [f64; 2]) {
    let (low, high) = x.split_at_mut(x.len() / 2);
    for (pair, (low, high)) in low.iter_mut().zip(high).enumerate() {
        let ([cos, sin], [a, b]) = (angle(pair), [*low, *high].map(f64::from));
        (*low, *high) = ((a * cos - b * sin) as f32, (a * sin + b * cos) as f32);
    }
}
