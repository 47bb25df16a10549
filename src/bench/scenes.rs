//! The scenes of a file, found as users find them, held against a plain walk.

use super::median;
use crate::decode::{DecodeError, Feed, Limits};
use crate::scenes::{self, Detector, Row, Scenes, Wishes};
use serde::Serialize;
use serde_json::Value;
use std::path::Path;
use std::time::Instant;

/// One measurement, schema `longsight.bench.scenes/1`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// What this is
    pub schema: &'static str,
    /// The detector's name
    pub detector: &'static str,
    /// Scenes found
    pub scenes: usize,
    /// Frames of the video
    pub frames: u64,
    /// Seconds of each run, from opening the file to the last scene
    pub runs_s: Vec<f64>,
    /// Median of them
    pub seconds: f64,
    /// Frames of the video per second of work
    pub fps: f64,
    /// Seconds of video per second of work
    pub speed: f64,
}

/// Why there is no measurement.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The file cannot be decoded
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The scenes are not those that a walk over every frame gives
    #[error("the scenes begin at frames {found:?}, and a walk that looks at every frame begins them at {expected:?}")]
    Wrong {
        /// First frames of the scenes of a run
        found: Vec<u64>,
        /// What they should be
        expected: Vec<u64>,
    },
}

/// Finds the scenes of `path` `runs` times.
///
/// The check before it: they begin where those of one decoder that looks closely at every frame, in order, begin.
///
/// # Errors
/// When the file cannot be decoded, or the check fails.
pub fn run(path: &Path, detector: &dyn Detector, limits: &Limits, runs: usize) -> Result<Outcome, BenchError> {
    let find = |detector: &dyn Detector, limits: &Limits| {
        scenes::detect(&Feed::open(path, limits)?, detector, None, &mut |_| {})
    };
    let starts = |scenes: &Scenes| scenes.scenes.iter().map(|scene| scene.start_frame).collect::<Vec<_>>();
    let (found, expected) = (find(detector, limits)?, find(&Plain(detector), &limits.with_threads(1))?);
    if starts(&found) != starts(&expected) {
        return Err(BenchError::Wrong { found: starts(&found), expected: starts(&expected) });
    }
    let mut runs_s = Vec::new();
    for _ in 0..runs.max(1) {
        let started = Instant::now();
        std::hint::black_box(find(detector, limits)?);
        runs_s.push(started.elapsed().as_secs_f64());
    }
    let seconds = median(&runs_s);
    let (first, last) = (found.scenes.first(), found.scenes.last());
    let frames = last.map_or(0, |scene| scene.end_frame);
    let covered = first.zip(last).map_or(0.0, |(first, last)| last.end - first.start);
    Ok(Outcome {
        schema: "longsight.bench.scenes/1",
        detector: detector.name(),
        scenes: found.scenes.len(),
        frames,
        runs_s,
        seconds,
        fps: frames as f64 / seconds,
        speed: covered / seconds,
    })
}

/// The same detector, given every frame's score.
struct Plain<'a>(&'a dyn Detector);

impl Detector for Plain<'_> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn wishes(&self) -> Wishes {
        Wishes { calm_below: 0.0, ..self.0.wishes() }
    }

    fn cuts(&self, rows: &[Row], frame_rate: f64) -> Vec<usize> {
        self.0.cuts(rows, frame_rate)
    }

    fn settings(&self) -> Value {
        self.0.settings()
    }
}
