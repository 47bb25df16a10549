//! Grid: the same slots of every frame, as keys for all rows, as rows for all keys, and each row's own (MMInference, section 3).
//!
//! Which slots is estimated for every prompt from its last rows; that they go on through the frames to come is what makes the
//! estimate hold for the next chunk. Prompts without frames get lines of a constant stride, searched for.

use super::layout::Slot;
use super::pattern::{Estimate, LineChoice, SINKS, largest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a grid's stride comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stride {
    /// The layout of the frames
    #[default]
    Frame,
    /// The mass itself
    Free,
}

/// Lines through the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// Where the stride comes from
    #[serde(default)]
    pub stride: Stride,
    /// Slots whose keys all rows see
    pub vertical: usize,
    /// Slots whose rows see all keys
    #[serde(default)]
    pub horizontal: usize,
    /// Whether rows see their own slot in every frame
    #[serde(default)]
    pub slash: bool,
    /// Keys before a row
    pub local: usize,
}

/// The longest stride that is searched for, and the keys in which it is.
const MAX_STRIDE: usize = 1024;
const SEARCHED: usize = 32_768;
/// A stride whose line has no more than this share of the mass above what chance gives it is none.
const FLOOR: f32 = 0.02;

impl Grid {
    pub(super) fn choose(&self, estimate: Estimate<'_>) -> LineChoice {
        let own = LineChoice { window: self.local, ..LineChoice::default() };
        if self.stride == Stride::Free || estimate.layout.frames() == 0 {
            let strides: Vec<(usize, usize)> = stride(&estimate.mass.columns, self.local).into_iter().collect();
            let rows = if self.horizontal > 0 { strides.clone() } else { Vec::new() };
            let strides = if self.vertical > 0 { strides } else { Vec::new() };
            return LineChoice { strides, row_strides: rows, ..own };
        }
        LineChoice { slots: self.slots(estimate), rows: self.rows(estimate), own_slot: self.slash, ..own }
    }

    /// The slots with the most mass in all frames together.
    fn slots(&self, Estimate { layout, mass, .. }: Estimate<'_>) -> Vec<Slot> {
        let mut sums: BTreeMap<Slot, f32> = BTreeMap::new();
        for (key, share) in mass.columns.iter().enumerate().skip(SINKS) {
            if let Some(slot) = layout.slot(key) {
                *sums.entry(slot).or_default() += share;
            }
        }
        best(sums, self.vertical)
    }

    /// The slots whose rows look furthest.
    fn rows(&self, Estimate { layout, mass, probed, .. }: Estimate<'_>) -> Vec<Slot> {
        let mut means: BTreeMap<Slot, (f32, f32)> = BTreeMap::new();
        for (&position, far) in probed.iter().zip(&mass.far) {
            if let Some(slot) = layout.slot(position) {
                let (sum, count) = means.entry(slot).or_default();
                (*sum, *count) = (*sum + far, *count + 1.0);
            }
        }
        best(means.into_iter().map(|(slot, (sum, count))| (slot, sum / count)).collect(), self.horizontal)
    }
}

fn best(sums: BTreeMap<Slot, f32>, count: usize) -> Vec<Slot> {
    let (slots, sums): (Vec<Slot>, Vec<f32>) = sums.into_iter().unzip();
    largest(&sums, count).into_iter().map(|index| slots[index]).collect()
}

/// The (stride, phase) of the line that has most mass above its share, less the ends where every head has some.
///
/// Sums alone favour the smallest stride and means its multiples; what a phase has above the mean of its stride favours neither, and
/// of strides that do about as well the longest costs least.
fn stride(columns: &[f32], window: usize) -> Option<(usize, usize)> {
    let end = columns.len().saturating_sub(window);
    let start = SINKS.max(end.saturating_sub(SEARCHED));
    let searched = columns.get(start..end)?;
    let total: f32 = searched.iter().sum();
    let mut found: Vec<(f32, usize, usize)> = Vec::new();
    for stride in 2..=MAX_STRIDE.min(searched.len() / 4) {
        let mut phases = vec![0.0f32; stride];
        for turn in searched.chunks(stride) {
            phases.iter_mut().zip(turn).for_each(|(sum, share)| *sum += share);
        }
        let (phase, most) = phases.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
        found.push((most - total / stride as f32, stride, phase));
    }
    let best = found.iter().map(|&(excess, ..)| excess).fold(0.0, f32::max);
    let near = found.into_iter().filter(|&(excess, ..)| excess >= 0.95 * best && excess > FLOOR * total);
    near.max_by_key(|&(_, stride, _)| stride).map(|(_, stride, phase)| (stride, (start + phase) % stride))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise with a line of weight `weight`, a sink and a window.
    fn planted(keys: usize, (stride, phase): (usize, usize), weight: f32) -> Vec<f32> {
        let mut state = 12_345u32;
        let mut columns: Vec<f32> = (0..keys)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                -(1.0 - (state >> 8) as f32 / (1 << 24) as f32).ln() * 0.3 / keys as f32
            })
            .collect();
        let count = keys.div_ceil(stride) as f32;
        (phase..keys).step_by(stride).for_each(|key| columns[key] += weight / count);
        columns[..4].iter_mut().for_each(|share| *share += 0.08);
        columns[keys - 100..].iter_mut().for_each(|share| *share += 0.002);
        columns
    }

    #[test]
    fn planted_strides_are_found_and_noise_has_none() {
        for (keys, line, weight) in [(20_000, (184, 37), 0.3), (65_536, (256, 11), 0.2), (131_072, (196, 190), 0.1)] {
            assert_eq!(stride(&planted(keys, line, weight), 256), Some(line), "{keys}");
        }
        assert_eq!(stride(&planted(20_000, (100, 3), 0.0), 256), None);
        assert_eq!(stride(&[], 256), None);
        assert_eq!(stride(&[1.0; 70], 256), None);
    }
}
