//! A few rows against many keys: nothing is packed, keys and values are read once, as they lie.
//!
//! All heads that share a key head are rows of one tile; both products go through `gemm`, softmax kept running.

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

/// Rows `start..start + width` of a head, as f32: where they are, or copied.
fn tile<'a, T: Element>(
    x: Strided<'a, T>,
    head: usize,
    start: usize,
    width: usize,
    dim: usize,
    copy: &'a mut Vec<f32>,
) -> Operand<'a> {
    if let Some(data) = T::as_f32(x.data) {
        return Operand { data: &data[head * x.head + start * x.row..], row: x.row, col: 1 };
    }
    copy.clear();
    (start..start + width).for_each(|row| copy.extend(x.row(head, row, dim).iter().map(|x| x.to_f32())));
    Operand { data: copy, row: dim, col: 1 }
}

/// A matrix that is written.
struct Matrix<'a> {
    data: &'a mut [f32],
    rows: usize,
    cols: usize,
    row: usize,
    col: usize,
}

/// A matrix that is read.
#[derive(Clone, Copy)]
struct Operand<'a> {
    data: &'a [f32],
    row: usize,
    col: usize,
}

impl Operand<'_> {
    fn holds(&self, rows: usize, cols: usize) -> bool {
        rows == 0 || cols == 0 || (rows - 1) * self.row + (cols - 1) * self.col < self.data.len()
    }
}

/// `dst = scale * left x right`, or with `add`, `dst += ..`, where `left` is `[dst.rows, inner]`.
fn product(dst: Matrix, add: bool, left: Operand, right: Operand, inner: usize, scale: f32) {
    let Matrix { data, rows: m, cols: n, row, col } = dst;
    assert!(left.holds(m, inner) && right.holds(inner, n), "an operand is too short");
    assert!(m == 0 || n == 0 || (m - 1) * row + (n - 1) * col < data.len(), "the product is too short");
    // SAFETY: the assertions above say that every element that `gemm` reaches by these sizes and strides lies inside
    // the three slices; the slices do not overlap, since one of them is borrowed mutably.
    unsafe {
        gemm::gemm(
            m,
            n,
            inner,
            data.as_mut_ptr(),
            col as isize,
            row as isize,
            add,
            left.data.as_ptr(),
            left.col as isize,
            left.row as isize,
            right.data.as_ptr(),
            right.col as isize,
            right.row as isize,
            1.0,
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
