//! Tiles: 128 query rows against 128 keys at a time, both products through `gemm`, softmax kept running.
//!
//! Work is shared between threads by (head, query tile), longest first. A single query row (decoding) is run for all
//! heads that share a key head at once, so that keys are read once.

use super::weigh::weigh;
use super::{Mask, Shape, Strided};
use rayon::prelude::*;
use std::ops::Range;

/// Query rows and keys of a tile: scores of 64 KB stay in the second-level cache beside one tile of keys and values.
const TILE: usize = 128;

/// See [`super::attend`], which has checked the arguments.
pub(super) fn attend(q: Strided, k: Strided, v: Strided, shape: Shape, scale: f32, mask: Mask) -> Vec<f32> {
    let Shape { heads, kv_heads, rows, dim, .. } = shape;
    let mut out = vec![0.0; heads * rows * dim];
    if let (1, Mask::Causal { first }, true) = (rows, mask, heads > kv_heads) {
        // Heads of one group become rows: the output has the same order either way.
        let group = heads / kv_heads;
        let grouped = Strided { data: q.data, head: group * q.head, row: q.head };
        let tiles = out.chunks_mut(group * dim).enumerate();
        let tiles =
            tiles.map(|(head, out)| Tile { head, shared: head, rows: 0..group, keys: 0..first + 1, causal: None, out });
        run(tiles.collect(), grouped, k, v, dim, scale);
        return out;
    }
    if out.is_empty() {
        return out;
    }
    let mut tiles = Vec::new();
    for (head, mut rest) in out.chunks_mut(rows * dim).enumerate() {
        let shared = head / (heads / kv_heads);
        let mut tile = |rows: Range<usize>, keys: Range<usize>, causal: Option<usize>| {
            let (out, after) = std::mem::take(&mut rest).split_at_mut(rows.len() * dim);
            rest = after;
            tiles.push(Tile { head, shared, rows, keys, causal, out });
        };
        match mask {
            Mask::Causal { first } => {
                for start in (0..rows).step_by(TILE) {
                    let end = rows.min(start + TILE);
                    tile(start..end, 0..first + end, Some(first));
                }
            }
            Mask::Segments(bounds) => {
                for bound in bounds.windows(2) {
                    for start in (bound[0]..bound[1]).step_by(TILE) {
                        tile(start..bound[1].min(start + TILE), bound[0]..bound[1], None);
                    }
                }
            }
        }
    }
    // Later rows of a causal head see more keys: beginning with them leaves the short ones to fill the gaps.
    tiles.sort_by_key(|tile| std::cmp::Reverse(tile.keys.len()));
    run(tiles, q, k, v, dim, scale);
    out
}

/// What one thread does at a time.
struct Tile<'a> {
    head: usize,
    shared: usize,
    rows: Range<usize>,
    keys: Range<usize>,
    /// Row `r` sees keys up to `causal + r`; all of `keys` without
    causal: Option<usize>,
    /// `[rows.len(), dim]`
    out: &'a mut [f32],
}

fn run(tiles: Vec<Tile>, q: Strided, k: Strided, v: Strided, dim: usize, scale: f32) {
    tiles
        .into_par_iter()
        .with_max_len(1)
        .for_each_init(|| vec![0.0; TILE * TILE], |scores, tile| run_tile(tile, q, k, v, dim, scale, scores));
}

fn run_tile(tile: Tile, q: Strided, k: Strided, v: Strided, dim: usize, scale: f32, scores: &mut Vec<f32>) {
    let Tile { head, shared, rows, keys, causal, out } = tile;
    let count = rows.len();
    let queries = &q.data[head * q.head + rows.start * q.row..];
    scores.resize(count.max(TILE) * TILE, 0.0);
    let mut largest = vec![f32::NEG_INFINITY; count];
    let mut total = vec![0.0f32; count];
    for start in keys.clone().step_by(TILE) {
        let width = keys.end.min(start + TILE) - start;
        let key_tile = &k.data[shared * k.head + start * k.row..];
        let value_tile = &v.data[shared * v.head + start * v.row..];
        product(
            Matrix { data: scores, rows: count, cols: width, row: TILE, col: 1 },
            false,
            Operand { data: queries, row: q.row, col: 1 },
            Operand { data: key_tile, row: 1, col: k.row },
            dim,
            scale,
        );
        for (i, row) in scores.chunks_mut(TILE).take(count).enumerate() {
            let seen = causal.map_or(width, |first| (first + rows.start + i + 1).saturating_sub(start).min(width));
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
            Operand { data: scores, row: TILE, col: 1 },
            Operand { data: value_tile, row: v.row, col: 1 },
            width,
            1.0,
        );
    }
    for (row, total) in out.chunks_mut(dim).zip(&total) {
        let share = 1.0 / total;
        row.iter_mut().for_each(|value| *value *= share);
    }
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
