//! What some rows look at: the shares of their attention by key and by distance, from which sparse patterns are estimated.
//!
//! Two walks over the keys, one for the sums and one for the shares; the `rows x keys` map is never held (MMInference's
//! Algorithm 1 and MInference's vertical-slash estimate both write it out).

use super::blas::{Matrix, Operand, product, tile};
use super::weigh::weigh;
use super::{Inputs, Shape, Strided};
use crate::element::Element;
use crate::exp::exp_negative;
use rayon::prelude::*;

/// Keys of a stretch.
const TILE: usize = 128;

/// The attention of one head's rows, summed up. All rows together have as much as there are rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Mass {
    /// By key, of rows that are further from it than `near`
    pub columns: Vec<f32>,
    /// By distance from row to key, from 0 on
    pub distances: Vec<f32>,
    /// By row: what goes to keys further away than `near`
    pub far: Vec<f32>,
}

/// What the rows at `positions` (ascending; `inputs.q` holds just them) look at, for each head; `near` has a distance for each.
///
/// # Panics
/// When the slices are too short for the shape, the heads do not divide, or positions do not ascend inside the keys.
#[must_use]
pub fn probe<T: Element>(inputs: Inputs<T>, positions: &[usize], near: &[usize]) -> Vec<Mass> {
    inputs.check();
    let Shape { heads, kv_heads, rows, keys, .. } = inputs.shape;
    assert!(positions.len() == rows && positions.windows(2).all(|pair| pair[0] < pair[1]), "{rows} rows elsewhere");
    assert!(positions.last().is_none_or(|&last| last < keys) && near.len() == heads, "rows beyond {keys} keys");
    let group = heads / kv_heads;
    let by_group = (0..kv_heads).into_par_iter().with_max_len(1).map(|shared| {
        let heads = shared * group..(shared + 1) * group;
        Walk::new(inputs, positions, heads.clone()).masses(&near[heads])
    });
    by_group.flatten().collect()
}

/// The rows of all heads that share a key head, against its keys.
struct Walk<'a, T> {
    keys: Strided<'a, T>,
    shared: usize,
    dim: usize,
    scale: f32,
    /// `[group][rows][dim]`
    queries: Vec<f32>,
    positions: &'a [usize],
}

impl<'a, T: Element> Walk<'a, T> {
    fn new(inputs: Inputs<'a, T>, positions: &'a [usize], heads: std::ops::Range<usize>) -> Self {
        let Inputs { q, k, shape: Shape { heads: all, kv_heads, dim, .. }, scale, .. } = inputs;
        let shared = heads.start / (all / kv_heads);
        let rows = heads.flat_map(|head| (0..positions.len()).map(move |row| (head, row)));
        let queries = rows.flat_map(|(head, row)| q.row(head, row, dim).iter().map(|x| x.to_f32())).collect();
        Self { keys: k, shared, dim, scale, queries, positions }
    }

    /// Calls `each(row of the group, its position, first key, scores of the keys it sees)`.
    fn scores(&self, mut each: impl FnMut(usize, usize, usize, &mut [f32])) {
        let count = self.queries.len() / self.dim.max(1);
        let end = self.positions.last().map_or(0, |last| last + 1);
        let (mut scores, mut copy) = (vec![0.0; count * TILE], Vec::new());
        for start in (0..end).step_by(TILE) {
            let width = TILE.min(end - start);
            let keys = tile(self.keys, self.shared, start, width, self.dim, &mut copy);
            product(
                Matrix { data: &mut scores, rows: count, cols: width, row: TILE, col: 1 },
                false,
                Operand { data: &self.queries, row: self.dim, col: 1 },
                Operand { row: keys.col, col: keys.row, ..keys },
                self.dim,
                self.scale,
            );
            for (row, scores) in scores.chunks_mut(TILE).enumerate() {
                let position = self.positions[row % self.positions.len()];
                let seen = (position + 1).saturating_sub(start).min(width);
                if seen > 0 {
                    each(row, position, start, &mut scores[..seen]);
                }
            }
        }
    }

    fn masses(&self, near: &[usize]) -> Vec<Mass> {
        let rows = self.positions.len();
        let Some(&last) = self.positions.last() else {
            return near.iter().map(|_| Mass { columns: vec![], distances: vec![], far: vec![] }).collect();
        };
        let (mut largest, mut total) = (vec![f32::NEG_INFINITY; near.len() * rows], vec![0.0f32; near.len() * rows]);
        self.scores(|row, _, _, scores| {
            let (max, sum) = weigh(scores, largest[row]);
            total[row] = total[row] * (largest[row] - max).exp() + sum;
            largest[row] = max;
        });
        let empty = || Mass { columns: vec![0.0; last + 1], distances: vec![0.0; last + 1], far: vec![0.0; rows] };
        let mut masses: Vec<Mass> = near.iter().map(|_| empty()).collect();
        self.scores(|row, position, start, scores| {
            let (mass, near) = (&mut masses[row / rows], near[row / rows]);
            let share = 1.0 / total[row];
            for score in &mut *scores {
                *score = exp_negative(*score - largest[row]) * share;
            }
            // Distances fall as keys rise: gathered backwards and turned round at the end, so that both sums run forwards.
            let backwards = &mut mass.distances[start + last - position..][..scores.len()];
            backwards.iter_mut().zip(&*scores).for_each(|(sum, score)| *sum += score);
            let far = position.saturating_sub(near).saturating_sub(start).min(scores.len());
            mass.columns[start..start + far].iter_mut().zip(&scores[..far]).for_each(|(sum, score)| *sum += score);
            mass.far[row % rows] += scores[..far].iter().sum::<f32>();
        });
        masses.iter_mut().for_each(|mass| mass.distances.reverse());
        masses
    }
}
