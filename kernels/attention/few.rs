//! A few rows against many keys: nothing is packed, keys and values are read once, as they lie.
//!
//! All heads that share a key head are rows of one tile; both products go through `gemm`, softmax kept running.

use super::blas::{Matrix, Operand, product, tile};
use super::weigh::weigh;
use super::{Inputs, Shape, Strided};
use crate::element::Element;
use rayon::prelude::*;

/// Keys of a tile: its keys and values, as f32, stay in the second-level cache.
const TILE: usize = 128;

/// Row `r` of every head sees keys `0..=first + r`; the arguments were checked.
pub(super) fn attend<T: Element>(inputs: Inputs<T>, first: usize) -> Vec<f32> {
    let Inputs { q, k, v, shape: Shape { heads, kv_heads, rows, dim, .. }, scale } = inputs;
    let mut out = vec![0.0; heads * rows * dim];
    if out.is_empty() {
        return out;
    }
    let group = heads / kv_heads;
    out.par_chunks_mut(group * rows * dim).enumerate().with_max_len(1).for_each(|(shared, out)| {
        let mut queries = Vec::with_capacity(group * rows * dim);
        for head in shared * group..(shared + 1) * group {
            (0..rows).for_each(|row| queries.extend(q.row(head, row, dim).iter().map(|x| x.to_f32())));
        }
        run(&queries, (k, v), shared, (rows, first, dim), scale, out);
    });
    out
}

/// `queries` and `out` are `[group][rows][dim]`.
fn run<T: Element>(
    queries: &[f32],
    (k, v): (Strided<T>, Strided<T>),
    shared: usize,
    (rows, first, dim): (usize, usize, usize),
    scale: f32,
    out: &mut [f32],
) {
    let count = queries.len() / dim;
    let mut scores = vec![0.0; count * TILE];
    let mut largest = vec![f32::NEG_INFINITY; count];
    let mut total = vec![0.0f32; count];
    let (mut key_copy, mut value_copy) = (Vec::new(), Vec::new());
    for start in (0..first + rows).step_by(TILE) {
        let width = (first + rows).min(start + TILE) - start;
        let keys = tile(k, shared, start, width, dim, &mut key_copy);
        let values = tile(v, shared, start, width, dim, &mut value_copy);
        product(
            Matrix { data: &mut scores, rows: count, cols: width, row: TILE, col: 1 },
            false,
            Operand { data: queries, row: dim, col: 1 },
            Operand { row: keys.col, col: keys.row, ..keys },
            dim,
            scale,
        );
        for (i, row) in scores.chunks_mut(TILE).enumerate() {
            let seen = (first + i % rows + 1).saturating_sub(start).min(width);
            row[seen..width].fill(0.0);
            if seen == 0 {
                continue;
            }
            let (max, sum) = weigh(&mut row[..seen], largest[i]);
            if max > largest[i] {
                let shrink = (largest[i] - max).exp();
                total[i] *= shrink;
                out[i * dim..][..dim].iter_mut().for_each(|value| *value *= shrink);
                largest[i] = max;
            }
            total[i] += sum;
        }
        product(
            Matrix { data: out, rows: count, cols: dim, row: dim, col: 1 },
            true,
            Operand { data: &scores, row: TILE, col: 1 },
            values,
            width,
            1.0,
        );
    }
    for (row, total) in out.chunks_mut(dim).zip(&total) {
        let share = 1.0 / total;
        row.iter_mut().for_each(|value| *value *= share);
    }
}
