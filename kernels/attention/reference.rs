//! The formula, in f64, one row at a time.

use super::{Inputs, Mask, Program, Shape, Strided};
use crate::element::Element;

/// See [`super::attend`].
#[must_use]
pub fn attend<T: Element>(inputs: Inputs<T>, mask: Mask) -> Vec<f32> {
    attend_where(inputs, |_, row, key| match mask {
        Mask::Causal { first } => key <= first + row,
        Mask::Segments(bounds) => {
            let segment = |x: usize| bounds.partition_point(|&bound| bound <= x);
            segment(row) == segment(key)
        }
    })
}

/// See [`super::attend_program`]: the softmax is over everything that any pass shows a row, from its last fresh one on.
#[must_use]
pub fn attend_program<T: Element>(inputs: Inputs<T>, program: &Program) -> Vec<f32> {
    let shape = inputs.shape;
    let mut seen = vec![false; shape.heads * shape.rows * shape.keys];
    for tile in program.passes.iter().flatten() {
        let order = &program.orders[tile.rows.order];
        for row in (tile.rows.first..tile.rows.first + tile.rows.count).map(|member| order.at(member)) {
            let keys = &mut seen[(tile.head * shape.rows + row) * shape.keys..][..shape.keys];
            if tile.fresh {
                keys.fill(false);
            }
            let position = program.first + row;
            for segment in &program.segments[tile.segments.clone()] {
                let set = &program.sets[tile.head / (shape.heads / shape.kv_heads)][segment.set];
                for key in (0..set.len()).map(|i| set.at(i)) {
                    let near = segment.near.is_none_or(|near| key + near <= position);
                    let far = segment.far.is_none_or(|far| key + far >= position);
                    keys[key] |= segment.keys.contains(&key) && near && far;
                }
            }
        }
    }
    attend_where(inputs, |head, row, key| seen[(head * shape.rows + row) * shape.keys + key])
}

/// Attention over the keys for which `sees(head, row, key)`; 0 where there is none.
fn attend_where<T: Element>(inputs: Inputs<T>, sees: impl Fn(usize, usize, usize) -> bool) -> Vec<f32> {
    let Inputs { q, k, v, shape: Shape { heads, kv_heads, rows, keys, dim }, scale } = inputs;
    let mut out = Vec::with_capacity(heads * rows * dim);
    let row = |x: Strided<T>, head: usize, r: usize| -> Vec<f64> {
        x.row(head, r, dim).iter().map(|&value| f64::from(value.to_f32())).collect()
    };
    for head in 0..heads {
        let shared = head / (heads / kv_heads);
        for r in 0..rows {
            let seen: Vec<usize> = (0..keys).filter(|&key| sees(head, r, key)).collect();
            let query = row(q, head, r);
            let scores: Vec<f64> = seen
                .iter()
                .map(|&j| f64::from(scale) * query.iter().zip(row(k, shared, j)).map(|(a, b)| a * b).sum::<f64>())
                .collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
            let total: f64 = weights.iter().sum();
            let mut sum = vec![0.0; dim];
            for (&j, weight) in seen.iter().zip(&weights) {
                for (value, add) in sum.iter_mut().zip(row(v, shared, j)) {
                    *value += weight / total * add;
                }
            }
            out.extend(sum.iter().map(|&value| value as f32));
        }
    }
    out
}
