//! Patterns that choose blocks of 128 keys for each tile of 96 rows: what the grid is measured against.

use super::kept::joined_blocks;
use super::pattern::{Choice, Estimate, LineChoice, largest};
use candle_core::{D, DType, Tensor};
use longsight_kernels::attention::TILE_ROWS;
use longsight_models::ModelError;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Keys of a block.
pub(super) const BLOCK: usize = 128;

/// Each block is kept with the same probability, and always the first and the row's own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Random {
    /// The probability
    pub density: f64,
}

/// Blocks whose antidiagonals, every `stride`-th, have the most weight (XAttention, Xu et al. 2025).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Antidiagonal {
    /// Tokens from one antidiagonal to the next: 4, 8 or 16
    pub stride: usize,
    /// Share of the estimated weight that is kept
    pub keep: f32,
}

/// Blocks by mean queries and keys where that agrees with what the last rows look at, vertical-slash where it does not
/// (FlexPrefill, Lai et al. 2025).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryAware {
    /// Share of the estimated weight that is kept
    pub keep: f32,
    /// The most that the estimates may disagree: the square root of their Jensen-Shannon divergence
    pub divergence: f32,
}

type Tiles = Vec<Vec<Range<usize>>>;

impl Random {
    pub(super) fn choose(&self, Estimate { call, head, .. }: Estimate<'_>) -> Result<Tiles, ModelError> {
        let rows = call.shape()?.rows;
        let lucky = |tile: usize, block: usize| {
            let seed = [call.layer, head, call.first + tile, block].map(|part| part as u64);
            let hash = seed.iter().fold(0x9e37_79b9_7f4a_7c15_u64, |hash, part| {
                let hash = (hash ^ part).wrapping_mul(0xff51_afd7_ed55_8ccd);
                hash ^ (hash >> 32)
            });
            (hash >> 11) as f64 / (1u64 << 53) as f64
        };
        let tile = |tile: usize| {
            let own = own(call.first, rows, tile);
            let by_chance = (0..own.start).filter(|&block| lucky(tile, block) < self.density);
            joined_blocks(by_chance.chain([0]).chain(own.clone()).collect())
        };
        Ok((0..rows.div_ceil(TILE_ROWS)).map(tile).collect())
    }
}

impl Antidiagonal {
    pub(super) fn choose(&self, estimate: Estimate<'_>) -> Result<Tiles, ModelError> {
        let (stride, first, rows) = (self.stride, estimate.call.first, estimate.call.shape()?.rows);
        let (q, k) = tensors(estimate)?;
        let dim = q.dim(1)?;
        let folded = |x: Tensor| -> candle_core::Result<Tensor> {
            let len = x.dim(0)?;
            let x = x.pad_with_zeros(0, 0, len.next_multiple_of(stride) - len)?;
            x.reshape((len.div_ceil(stride), stride, dim))
        };
        let turned: Vec<u32> = (0..stride as u32).rev().collect();
        let q = folded(q)?.index_select(&Tensor::new(turned, k.device())?, 1)?.flatten_from(1)?;
        let k = folded(k)?.flatten_from(1)?;
        let scale = (dim as f64).powf(-0.5) / stride as f64;
        let shares = shares(&q, &k, scale, |row| first + row * stride, stride)?;
        Ok(kept(&shares, (TILE_ROWS / stride, BLOCK / stride), first, rows, self.keep))
    }
}

impl QueryAware {
    pub(super) fn choose(&self, estimate: Estimate<'_>) -> Result<Choice, ModelError> {
        let Estimate { call, mass, .. } = estimate;
        let rows = call.shape()?.rows;
        let (q, k) = tensors(estimate)?;
        let dim = q.dim(1)?;
        let pooled = |x: Tensor, size: usize| -> candle_core::Result<Tensor> {
            let (len, count) = (x.dim(0)?, x.dim(0)?.div_ceil(size));
            let sizes: Vec<f32> = (0..count).map(|i| size.min(len - i * size) as f32).collect();
            let x = x.pad_with_zeros(0, 0, count * size - len)?;
            x.reshape((count, size, dim))?.sum(1)?.broadcast_div(&Tensor::from_vec(sizes, (count, 1), x.device())?)
        };
        let (q, k) = (pooled(q, TILE_ROWS)?, pooled(k, BLOCK)?);
        let shares = shares(&q, &k, (dim as f64).powf(-0.5), |tile| call.first + tile * TILE_ROWS, BLOCK)?;
        let looked: Vec<f32> = mass.columns.chunks(BLOCK).map(|block| block.iter().sum()).collect();
        let guessed = shares.last().map_or(&[][..], |last| &last[..]);
        if divergence(&looked, guessed).sqrt() < self.divergence {
            return Ok(Choice::Blocks(kept(&shares, (1, 1), call.first, rows, self.keep)));
        }
        let diagonals: Vec<f32> = mass.distances.chunks(64).map(|block| block.iter().sum()).collect();
        let band = |block: usize| block * 64..(block + 1) * 64;
        Ok(Choice::Lines(LineChoice {
            window: BLOCK,
            columns: covering(&mass.columns, self.keep),
            bands: covering(&diagonals, self.keep).into_iter().map(band).collect(),
            ..LineChoice::default()
        }))
    }
}

/// The head's queries and its keys, in f32.
fn tensors(Estimate { call, head, .. }: Estimate<'_>) -> Result<(Tensor, Tensor), ModelError> {
    let shape = call.shape()?;
    let shared = head / (shape.heads / shape.kv_heads);
    let one = |x: &Tensor, at: usize| x.get(at)?.contiguous()?.to_dtype(DType::F32);
    Ok((one(call.queries, head)?, one(call.keys, shared)?))
}

/// Softmax of the scores of folded rows, by row, over the folded keys up to the one that the row begins in: row `i` begins at position
/// `position(i)`, key `j` at `j * size`.
fn shares(
    q: &Tensor,
    k: &Tensor,
    scale: f64,
    position: impl Fn(usize) -> usize,
    size: usize,
) -> Result<Vec<Vec<f32>>, ModelError> {
    let scores: Vec<Vec<f32>> = (q.matmul(&k.t()?)? * scale)?.to_vec2()?;
    let keys = k.dim(D::Minus2)?;
    let softmax = |(row, mut scores): (usize, Vec<f32>)| {
        // The row's own block counts as seen: it is kept whatever its share.
        let seen = (position(row) / size + 1).min(keys);
        scores.truncate(seen);
        let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        scores.iter_mut().for_each(|score| *score = (*score - largest).exp());
        let total: f32 = scores.iter().sum();
        scores.iter_mut().for_each(|share| *share /= total);
        scores
    };
    Ok(scores.into_iter().enumerate().map(softmax).collect())
}

/// The blocks of the tile's own rows, which the diagonal runs through.
fn own(first: usize, rows: usize, tile: usize) -> Range<usize> {
    let start = first + tile * TILE_ROWS;
    let end = first + rows.min((tile + 1) * TILE_ROWS);
    start / BLOCK..end.div_ceil(BLOCK)
}

/// For each tile of rows the fewest blocks that hold `keep` of its shares, and the first and its own. A tile is `fold.0` rows of shares,
/// a block `fold.1` columns.
fn kept(shares: &[Vec<f32>], fold: (usize, usize), first: usize, rows: usize, keep: f32) -> Tiles {
    let tile = |(tile, rows_of): (usize, &[Vec<f32>])| {
        let own = own(first, rows, tile);
        let mut blocks = vec![0.0; own.end];
        for share in rows_of {
            for (block, part) in blocks.iter_mut().zip(share.chunks(fold.1)) {
                *block += part.iter().sum::<f32>();
            }
        }
        joined_blocks(covering(&blocks, keep).into_iter().chain([0]).chain(own).collect())
    };
    shares.chunks(fold.0).enumerate().map(tile).collect()
}

/// The fewest indices whose values reach `share` of the sum.
fn covering(values: &[f32], share: f32) -> Vec<usize> {
    let mut order = largest(values, values.len());
    order.sort_unstable_by(|&a, &b| values[b].total_cmp(&values[a]));
    let wanted = share * values.iter().sum::<f32>();
    let mut reached = 0.0;
    let count = order.iter().position(|&index| {
        reached += values[index];
        reached >= wanted
    });
    order.truncate(count.map_or(order.len(), |count| count + 1));
    order
}

/// Jensen-Shannon divergence, in bits, of two distributions that need not sum to one.
fn divergence(a: &[f32], b: &[f32]) -> f32 {
    let (sum_a, sum_b): (f32, f32) = (a.iter().sum(), b.iter().sum());
    let part = |p: f32, q: f32| if p > 0.0 { p * (2.0 * p / (p + q)).log2() } else { 0.0 };
    let at = |x: &[f32], i: usize, sum: f32| x.get(i).map_or(0.0, |x| x / sum);
    let terms = (0..a.len().max(b.len())).map(|i| {
        let (p, q) = (at(a, i, sum_a), at(b, i, sum_b));
        part(p, q) + part(q, p)
    });
    terms.sum::<f32>() / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewest_that_reach_a_share() {
        assert_eq!(covering(&[0.1, 0.5, 0.0, 0.4], 0.85), [1, 3]);
        assert_eq!(covering(&[0.1, 0.5, 0.0, 0.4], 1.0).len(), 3);
        assert!(covering(&[], 0.5).is_empty());
    }

    #[test]
    fn equal_distributions_do_not_diverge_and_disjoint_ones_do_by_a_bit() {
        assert!(divergence(&[1.0, 3.0], &[0.25, 0.75]).abs() < 1e-6);
        assert!((divergence(&[1.0], &[0.0, 2.0]) - 1.0).abs() < 1e-6);
    }
}
