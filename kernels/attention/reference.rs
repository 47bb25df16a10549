//! The formula, in f64, one row at a time.

use super::{Inputs, Mask, Positions, Program, Shape};
use crate::element::Element;
use std::collections::BTreeSet;

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

/// See [`super::attend_program`]: the softmax is over everything that any pass shows a row, from its last fresh one on. A key that
/// is shown twice counts once; a summary is a key of its own.
#[must_use]
pub fn attend_program<T: Element>(inputs: Inputs<T>, program: &Program) -> Vec<f32> {
    let shape = inputs.shape;
    let group = shape.heads / shape.kv_heads;
    let mut seen = vec![BTreeSet::new(); shape.heads * shape.rows];
    for tile in program.passes.iter().flatten() {
        let order = &program.orders[tile.rows.order];
        for row in (tile.rows.first..tile.rows.first + tile.rows.count).map(|member| order.at(member)) {
            let keys = &mut seen[tile.head * shape.rows + row];
            if tile.fresh {
                keys.clear();
            }
            let position = program.first + row;
            for segment in &program.segments[tile.segments.clone()] {
                let set = &program.sets[tile.head / group][segment.set];
                for (member, key) in (0..set.len()).map(|member| (member, set.at(member))) {
                    let near = segment.near.is_none_or(|near| key + near <= position);
                    let far = segment.far.is_none_or(|far| key + far >= position);
                    if segment.keys.contains(&key) && near && far {
                        let met = match set {
                            Positions::Summaries(_) => Met::Summary { set: segment.set, member },
                            _ => Met::Key(key),
                        };
                        keys.insert(met);
                    }
                }
            }
        }
    }
    let read = |head: usize, met: Met| match met {
        Met::Key(key) => row_of(&inputs, head, key),
        Met::Summary { set, member } => {
            let Positions::Summaries(own) = &program.sets[head][set] else { unreachable!("a summary of no set") };
            let row = |rows: &[f32]| wide(&rows[member * shape.dim..][..shape.dim]);
            (row(&own.keys), row(&own.values), f64::from(own.log_weights[member]))
        }
    };
    softmax_over(inputs, |head, row| seen[head * shape.rows + row].iter().copied().collect(), read)
}

/// What a row meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Met {
    Key(usize),
    Summary { set: usize, member: usize },
}

fn wide<T: Element>(row: &[T]) -> Vec<f64> {
    row.iter().map(|x| f64::from(x.to_f32())).collect()
}

/// Attention over the keys for which `sees(head, row, key)`; 0 where there is none.
fn attend_where<T: Element>(inputs: Inputs<T>, sees: impl Fn(usize, usize, usize) -> bool) -> Vec<f32> {
    let keys = inputs.shape.keys;
    let seen = |head: usize, row: usize| (0..keys).filter(|&key| sees(head, row, key)).collect();
    softmax_over(inputs, seen, |head, key| row_of(&inputs, head, key))
}

/// A key, its value, and what its score is raised by.
fn row_of<T: Element>(inputs: &Inputs<T>, head: usize, key: usize) -> (Vec<f64>, Vec<f64>, f64) {
    let dim = inputs.shape.dim;
    (wide(inputs.k.row(head, key, dim)), wide(inputs.v.row(head, key, dim)), 0.0)
}

/// Attention of each (head, row) over what it `meets`; `read` gives what that is for a key head, as [`row_of`].
fn softmax_over<T: Element, M: Copy>(
    inputs: Inputs<T>,
    meets: impl Fn(usize, usize) -> Vec<M>,
    read: impl Fn(usize, M) -> (Vec<f64>, Vec<f64>, f64),
) -> Vec<f32> {
    let Inputs { q, shape: Shape { heads, kv_heads, rows, dim, .. }, scale, .. } = inputs;
    let mut out = Vec::with_capacity(heads * rows * dim);
    for head in 0..heads {
        let shared = head / (heads / kv_heads);
        for row in 0..rows {
            let query = wide(q.row(head, row, dim));
            let met: Vec<_> = meets(head, row).into_iter().map(|one| read(shared, one)).collect();
            let score = |(key, _, raise): &(Vec<f64>, Vec<f64>, f64)| {
                f64::from(scale) * query.iter().zip(key).map(|(a, b)| a * b).sum::<f64>() + raise
            };
            let scores: Vec<f64> = met.iter().map(score).collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
            let total: f64 = weights.iter().sum();
            let mut sum = vec![0.0; dim];
            for ((_, value, _), weight) in met.iter().zip(&weights) {
                sum.iter_mut().zip(value).for_each(|(sum, add)| *sum += weight / total * add);
            }
            out.extend(sum.iter().map(|&value| value as f32));
        }
    }
    out
}
