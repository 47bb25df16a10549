//! A scene begins where the picture changes by more than a threshold from one frame to the next.

use super::flash::{FlashFilter, Least};
use super::{Detector, Row, Wishes};
use serde::Serialize;
use serde_json::Value;

/// PySceneDetect's `detect-content` with its default weights: hue, saturation and value count alike.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Content {
    /// Mean change of the three channels, 0 to 255, from which on a frame begins a scene
    pub threshold: f64,
    /// Shortest scene in seconds
    pub min_scene_s: f64,
}

impl Default for Content {
    fn default() -> Self {
        Self { threshold: 27.0, min_scene_s: super::MIN_SCENE_S }
    }
}

impl Detector for Content {
    fn name(&self) -> &'static str {
        "content"
    }

    fn wishes(&self) -> Wishes {
        Wishes { calm_below: self.threshold, likeness: false }
    }

    fn cuts(&self, rows: &[Row], frame_rate: f64) -> Vec<usize> {
        let mut filter = FlashFilter::new(Least::new(self.min_scene_s, frame_rate));
        let above = |row: &Row| row.change >= self.threshold;
        let frames = rows.iter().enumerate();
        frames.filter_map(|(at, row)| filter.push(at, row.time.seconds(), above(row))).collect()
    }

    fn settings(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}
