//! A scene begins where a change stands out from the changes around it, so that fast motion is no cut.

use super::flash::Least;
use super::{Detector, Row, Wishes};
use serde::Serialize;
use serde_json::Value;

/// PySceneDetect's `detect-adaptive`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Adaptive {
    /// How many times the mean change of its neighbours a frame's must be
    pub threshold: f64,
    /// Neighbours on each side
    pub window: usize,
    /// Least change, 0 to 255
    pub min_change: f64,
    /// Shortest scene in seconds
    pub min_scene_s: f64,
}

impl Default for Adaptive {
    fn default() -> Self {
        Self { threshold: 3.0, window: 2, min_change: 15.0, min_scene_s: super::MIN_SCENE_S }
    }
}

/// Neighbours whose mean is below this do not change at all.
const STILL: f64 = 1e-5;
/// The ratio of a change among neighbours that do not change at all.
const MAX_RATIO: f64 = 255.0;

impl Adaptive {
    /// How many times the mean of its neighbours the middle of `around` is.
    fn ratio(&self, around: &[Row]) -> f64 {
        let change = around[self.window].change;
        let others: f64 =
            around.iter().enumerate().filter(|(at, _)| *at != self.window).map(|(_, row)| row.change).sum();
        let mean = others / (2 * self.window) as f64;
        match mean < STILL {
            true if change >= self.min_change => MAX_RATIO,
            true => 0.0,
            false => (change / mean).min(MAX_RATIO),
        }
    }
}

impl Detector for Adaptive {
    fn name(&self) -> &'static str {
        "adaptive"
    }

    fn wishes(&self) -> Wishes {
        // The neighbours' scores count too.
        Wishes { calm_below: 0.0, likeness: false }
    }

    fn cuts(&self, rows: &[Row], frame_rate: f64) -> Vec<usize> {
        let Some(first) = rows.first() else { return Vec::new() };
        let least = Least::new(self.min_scene_s, frame_rate);
        let mut last = first.time.seconds();
        let mut cuts = Vec::new();
        for (at, around) in rows.windows(2 * self.window + 1).enumerate() {
            let row = &around[self.window];
            let time = row.time.seconds();
            let stands_out = row.change >= self.min_change && self.ratio(around) >= self.threshold;
            if stands_out && least.lies_between(last, time) {
                last = time;
                cuts.push(at + self.window);
            }
        }
        cuts
    }

    fn settings(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}
