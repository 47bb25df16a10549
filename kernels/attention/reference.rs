//! The formula, in f64, one row at a time.

use super::{Inputs, Mask, Positions, Program, Shape, Strided};
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
/// is shown twice counts once; the mean of a group is a key of its own.
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
                            Positions::Means(_) => Met::Mean { set: segment.set, member },
                            _ => Met::Key(key),
                        };
                        keys.insert(met);
                    }
                }
            }
        }
    }
    let read = |x: Strided<T>, head: usize, met: Met| -> (Vec<f64>, f64) {
        match met {
            Met::Key(key) => (wide(x.row(head, key, shape.dim)), 0.0),
            Met::Mean { set, member } => {
                let set = &program.sets[head][set];
                let Positions::Means(groups) = set else { return (Vec::new(), 0.0) };
                let rows: Vec<Vec<f64>> = groups[member].iter().map(|&key| wide(x.row(head, key, shape.dim))).collect();
                let mean = (0..shape.dim).map(|d| rows.iter().map(|row| row[d]).sum::<f64>() / rows.len() as f64);
                (mean.collect(), f64::from(set.log_weight()))
            }
        }
    };
    softmax_over(inputs, |head, row| seen[head * shape.rows + row].iter().copied().collect(), read)
}

/// What a row meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Met {
    Key(usize),
    Mean { set: usize, member: usize },
}

fn wide<T: Element>(row: &[T]) -> Vec<f64> {
    row.iter().map(|x| f64::from(x.to_f32())).collect()
}

/// Attention over the keys for which `sees(head, row, key)`; 0 where there is none.
fn attend_where<T: Element>(inputs: Inputs<T>, sees: impl Fn(usize, usize, usize) -> bool) -> Vec<f32> {
    let Shape { keys, dim, .. } = inputs.shape;
    let seen = |head: usize, row: usize| (0..keys).filter(|&key| sees(head, row, key)).collect();
    softmax_over(inputs, seen, |x, head, key| (wide(x.row(head, key, dim)), 0.0))
}

/// Attention of each (head, row) over what it `meets`; `read` gives what stands there in the keys or values of a key head, and what
/// its score is raised by.
fn softmax_over<T: Element, M: Copy>(
    inputs: Inputs<T>,
    meets: impl Fn(usize, usize) -> Vec<M>,
    read: impl Fn(Strided<T>, usize, M) -> (Vec<f64>, f64),
) -> Vec<f32> {
    let Inputs { q, k, v, shape: Shape { heads, kv_heads, rows, dim, .. }, scale } = inputs;
    let mut out = Vec::with_capacity(heads * rows * dim);
    for head in 0..heads {
        let shared = head / (heads / kv_heads);
        for row in 0..rows {
            let (met, query) = (meets(head, row), wide(q.row(head, row, dim)));
            let score = |&one: &M| {
                let (key, raised) = read(k, shared, one);
                f64::from(scale) * query.iter().zip(key).map(|(a, b)| a * b).sum::<f64>() + raised
            };
            let scores: Vec<f64> = met.iter().map(score).collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
            let total: f64 = weights.iter().sum();
            let mut sum = vec![0.0; dim];
            for (&one, weight) in met.iter().zip(&weights) {
                for (sum, add) in sum.iter_mut().zip(read(v, shared, one).0) {
                    *sum += weight / total * add;
                }
            }
            out.extend(sum.iter().map(|&value| value as f32));
        }
    }
    out
}
