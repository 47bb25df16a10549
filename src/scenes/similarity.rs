//! Scenes end where consecutive frames are least alike: the segmentation of TDC (temporal dynamic context), which cuts
//! at the lowest cosine similarities of frame embeddings, whatever made them.

use super::{Detector, Row, Wishes};
use longsight_kernels::glance::Glance;
use serde::Serialize;
use serde_json::Value;

/// Cuts at the frames that are least like the one before.
///
/// Applied to the glances' own [`features`] when used as a [`Detector`]; [`Similarity::lowest`] takes similarities of any
/// embedding.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Similarity {
    /// Cut only where the cosine is below this, -1 to 1; 1 cuts at the lowest, however high they are
    pub threshold: f64,
    /// Most cuts
    pub max_cuts: usize,
    /// Shortest scene in seconds
    pub min_scene_s: f64,
}

impl Default for Similarity {
    fn default() -> Self {
        // TDC's 24 cuts; its vectors are patch features, the threshold is for the colour grid of `features`.
        Self { threshold: 0.9, max_cuts: 24, min_scene_s: super::MIN_SCENE_S }
    }
}

impl Similarity {
    /// The cuts for one `(seconds, likeness to the one before)` a frame, ascending.
    #[must_use]
    pub fn lowest(&self, frames: &[(f64, f32)]) -> Vec<usize> {
        let mut order: Vec<usize> = (1..frames.len()).filter(|&at| f64::from(frames[at].1) < self.threshold).collect();
        order.sort_by(|&a, &b| frames[a].1.total_cmp(&frames[b].1));
        let far_enough = |from: usize, to: usize| frames[to].0 - frames[from].0 >= self.min_scene_s - 1e-6;
        let mut cuts: Vec<usize> = Vec::new();
        for at in order {
            if cuts.len() == self.max_cuts {
                break;
            }
            let after = cuts.partition_point(|&cut| cut < at);
            let before = if after > 0 { cuts[after - 1] } else { 0 };
            if far_enough(before, at) && cuts.get(after).is_none_or(|&next| far_enough(at, next)) {
                cuts.insert(after, at);
            }
        }
        cuts
    }

    /// The cosine of each row with the one before; 1 for the first.
    #[must_use]
    pub fn of_consecutive(embeddings: &[Vec<f32>]) -> Vec<f32> {
        let pairs = embeddings.windows(2).map(|pair| cosine(&pair[0], &pair[1]));
        embeddings.iter().take(1).map(|_| 1.0).chain(pairs).collect()
    }
}

impl Detector for Similarity {
    fn name(&self) -> &'static str {
        "similarity"
    }

    fn wishes(&self) -> Wishes {
        Wishes { calm_below: 0.0, likeness: true }
    }

    fn cuts(&self, rows: &[Row], _frame_rate: f64) -> Vec<usize> {
        let frames: Vec<_> = rows.iter().map(|row| (row.time.seconds(), row.likeness)).collect();
        self.lowest(&frames)
    }

    fn settings(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// Cells of the feature grid, across and down.
const CELLS: usize = 8;

/// A glance as a vector: the mean colour of each cell of an 8 x 8 grid, as a point on the colour circle and a value
/// about mid-grey. `[8 * 8 * 3]`.
#[must_use]
pub fn features(glance: &Glance) -> Vec<f32> {
    let mut sums = vec![[0.0f32; 3]; CELLS * CELLS];
    let mut counts = vec![0.0f32; CELLS * CELLS];
    let circle: Vec<(f32, f32)> =
        (0..180u8).map(|hue| (f32::from(hue) * std::f32::consts::PI / 90.0).sin_cos()).collect();
    let [hue, saturation, value] = &glance.channels;
    for y in 0..glance.height {
        for x in 0..glance.width {
            let at = y * glance.stride() + x;
            let cell = y * CELLS / glance.height * CELLS + x * CELLS / glance.width;
            let (sin, cos) = circle[usize::from(hue[at]).min(179)];
            // A dark pixel has hardly a colour, whatever its saturation says.
            let colour = f32::from(saturation[at]) / 255.0 * f32::from(value[at]) / 255.0;
            let sums = &mut sums[cell];
            sums[0] += colour * cos;
            sums[1] += colour * sin;
            sums[2] += f32::from(value[at]) / 127.5 - 1.0;
            counts[cell] += 1.0;
        }
    }
    sums.iter().zip(counts).flat_map(|(sums, count)| sums.map(|sum| sum / count.max(1.0))).collect()
}

/// The cosine of two vectors; 1 where both are zero, 0 where one is.
#[must_use]
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let (aa, bb) = (dot(a, a), dot(b, b));
    match (aa == 0.0, bb == 0.0) {
        (true, true) => 1.0,
        (true, false) | (false, true) => 0.0,
        _ => (dot(a, b) / (aa.sqrt() * bb.sqrt())).clamp(-1.0, 1.0),
    }
}
