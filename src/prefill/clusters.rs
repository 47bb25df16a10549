//! Clusters: what is near as it is, everything before it as the means of keys that are alike.
//!
//! Lines forget what they do not go through, and heads whose attention is spread over hours of video lose much by that. Here nothing is
//! forgotten: keys are given to clusters, a stretch of the prompt at a time, and each cluster is met as the mean of its keys and of its values
//! with the weight of all of them. Which keys are alike is asked as scores would ask it: by each column as large as queries are there, and
//! by the values as well. Clusters of keys are known from choosing a few of them for each query (Squeezed Attention, Hooper et al. 2024;
//! ClusterKV, Liu et al. 2024); here they are attended to.
//!
//! A mean has less weight than its keys have: `mean(exp(q . k)) ~ exp(q . mean(k) + var(q . k) / 2)`. The variance is added by columns, for
//! queries as they are in general.

use super::pattern::SINKS;
use candle_core::{D, DType, Tensor};
use longsight_kernels::attention::Summaries;
use longsight_kernels::cluster;
use longsight_models::{Call, ModelError};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Keys of a stretch: rows see the keys of their own stretch one by one, which costs half of it on average.
pub(super) const STRETCH: usize = 512;
/// Rounds of k-means: from the fourth on next to nothing changes.
const ROUNDS: usize = 4;
/// Queries that say how large scores make each column: as many as a prefill runs at once.
const ASKING: usize = 1024;
/// How much values count beside keys, both as large as they are on average.
const VALUES: f32 = 0.5;

/// Keys as the means of those that are alike. There are as many means in a long prompt as in a short one, so that a row costs the same in
/// both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clusters {
    /// Means in all
    pub means: usize,
    /// Keys before a row that it sees one by one, at least
    pub local: usize,
}

impl Clusters {
    /// Clusters of a stretch, in a prompt whose media end at token `end`.
    fn of_stretch(self, end: usize) -> usize {
        (self.means * STRETCH).div_ceil(end.max(1)).clamp(1, STRETCH)
    }

    /// Where the keys that a row at `position` sees one by one begin: a whole number of stretches before it.
    pub(super) fn near_from(window: usize, position: usize) -> usize {
        (position + 1).saturating_sub(window.max(1)) / STRETCH * STRETCH
    }
}

/// The clusters of a prompt's keys so far, by layer and by how many there are of a stretch, for each key head.
#[derive(Debug, Default)]
pub(super) struct Clustered(BTreeMap<(usize, usize), Vec<Arc<Summaries>>>);

impl Clustered {
    /// Those of all whole stretches of the call's keys, for each of its key heads. What comes before the call's first row is as it was.
    pub(super) fn of(&mut self, call: &Call<'_>, clusters: Clusters) -> Result<&[Arc<Summaries>], ModelError> {
        let shape = call.shape()?;
        // As many as for any other question about the same media.
        let end = if call.sequence.media_end() > 0 { call.sequence.media_end() } else { call.sequence.len() };
        let count = clusters.of_stretch(end);
        let heads = self.0.entry((call.layer, count)).or_insert_with(|| vec![Arc::default(); shape.kv_heads]);
        let known = heads.first().map_or(0, |own| own.at.partition_point(|&at| at < call.first / STRETCH * STRETCH));
        let done = heads.first().map_or(0, |own| own.at[..known].last().map_or(0, |last| last / STRETCH + 1));
        let stretches = done..shape.keys / STRETCH;
        heads.iter_mut().for_each(|own| Arc::make_mut(own).truncate(done * STRETCH));
        if stretches.is_empty() {
            return Ok(heads);
        }
        let scales = scales(call)?;
        let of = |x: &Tensor| -> Result<Vec<f32>, ModelError> {
            let part = x.narrow(1, stretches.start * STRETCH, stretches.len() * STRETCH)?;
            Ok(part.to_dtype(DType::F32)?.contiguous()?.flatten_all()?.to_vec1()?)
        };
        let (k, v) = (of(call.keys)?, of(call.values)?);
        let size = STRETCH * shape.dim;
        let parts: Vec<Summaries> = (0..shape.kv_heads * stretches.len())
            .into_par_iter()
            .with_max_len(1)
            .map(|part| {
                let (head, stretch) = (part / stretches.len(), stretches.start + part % stretches.len());
                let rows = part * size..(part + 1) * size;
                clustered((&k[rows.clone()], &v[rows]), stretch, &scales[head], count)
            })
            .collect();
        for (part, later) in parts.into_iter().enumerate() {
            Arc::make_mut(&mut heads[part / stretches.len()]).append(later);
        }
        Ok(heads)
    }
}

/// For each key head how large scores make each column of a key: the root of the mean square of the call's newest queries, in units of
/// scores.
fn scales(call: &Call<'_>) -> Result<Vec<Vec<f32>>, ModelError> {
    let shape = call.shape()?;
    let rows = shape.rows.min(ASKING);
    let squares = call.queries.narrow(1, shape.rows - rows, rows)?.to_dtype(DType::F32)?.sqr()?.mean(1)?;
    let by_group = squares.reshape((shape.kv_heads, shape.heads / shape.kv_heads, shape.dim))?.mean(D::Minus2)?;
    Ok((by_group / shape.dim as f64)?.sqrt()?.to_vec2()?)
}

/// The clusters of one stretch of a key head, `count` of them, or fewer of the first one.
fn clustered((keys, values): (&[f32], &[f32]), stretch: usize, scales: &[f32], count: usize) -> Summaries {
    let dim = scales.len();
    let first = stretch * STRETCH;
    // Every row sees the first keys of the prompt as they are.
    let skip = SINKS.saturating_sub(first).min(STRETCH);
    let (keys, values) = (&keys[skip * dim..], &values[skip * dim..]);
    let mut points = vec![0.0; 2 * keys.len()];
    let (mut scored, mut given) = (0.0f32, 0.0f32);
    for ((point, key), value) in points.chunks_mut(2 * dim).zip(keys.chunks(dim)).zip(values.chunks(dim)) {
        let (scaled, copied) = point.split_at_mut(dim);
        scaled.iter_mut().zip(key).zip(scales).for_each(|((to, x), scale)| *to = x * scale);
        copied.copy_from_slice(value);
        scored += scaled.iter().map(|x| x * x).sum::<f32>();
        given += copied.iter().map(|x| x * x).sum::<f32>();
    }
    let share = VALUES * (scored / given.max(f32::MIN_POSITIVE)).sqrt();
    points.chunks_mut(2 * dim).for_each(|point| point[dim..].iter_mut().for_each(|x| *x *= share));
    let count = (count * (STRETCH - skip)).div_ceil(STRETCH);
    let of = cluster::assign(&points, 2 * dim, count, ROUNDS);
    let mut groups = vec![Vec::new(); count];
    of.iter().enumerate().for_each(|(row, &of)| groups[of].push(row));
    groups.retain(|group| !group.is_empty());
    groups.sort_unstable_by_key(|group| group.last().copied());
    let mut all = Summaries::default();
    for group in &groups {
        let share = 1.0 / group.len() as f32;
        let row = |at: usize| at * dim..(at + 1) * dim;
        let mean = |x: &[f32]| {
            let mut mean = vec![0.0f32; dim];
            group.iter().for_each(|&at| mean.iter_mut().zip(&x[row(at)]).for_each(|(mean, x)| *mean += share * x));
            mean
        };
        let (key, value) = (mean(keys), mean(values));
        let mut spread = 0.0f32;
        for &at in group {
            let columns = keys[row(at)].iter().zip(&key).zip(scales);
            spread += columns.map(|((x, mean), scale)| ((x - mean) * scale).powi(2)).sum::<f32>();
        }
        all.at.push(first + skip + group[group.len() - 1]);
        all.log_weights.push((group.len() as f32).ln() + spread * share / 2.0);
        all.keys.extend(key);
        all.values.extend(value);
    }
    all
}
