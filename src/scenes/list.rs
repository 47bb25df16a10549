//! Cuts as a list of scenes that covers the video.

use super::{Detector, Survey};
use crate::decode::VideoInfo;
use longsight_models::Timestamp;
use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A stretch of frames between two cuts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Scene {
    /// Its number, from 0
    pub index: usize,
    /// Time of its first frame, in seconds on the source clock
    pub start: f64,
    /// Time of the next scene's first frame, or the end of the last frame; exclusive
    pub end: f64,
    /// `start` in ticks of the stream's time base
    pub start_pts: i64,
    /// `end` in ticks
    pub end_pts: i64,
    /// Its first frame's number in presentation order, from 0
    pub start_frame: u64,
    /// The number of the frame after its last; exclusive
    pub end_frame: u64,
    /// Time of the frame in its middle, which stands for it
    pub keyframe_s: f64,
}

/// The scenes of a video, in order and without gaps.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenes {
    /// The file, as given
    pub path: PathBuf,
    /// What the container says
    pub info: VideoInfo,
    /// Average frames per second
    pub frame_rate: f64,
    /// The detector's name
    pub detector: &'static str,
    /// The detector's settings
    pub settings: Value,
    /// At least one
    pub scenes: Vec<Scene>,
    /// What could not be decoded
    pub warnings: Vec<String>,
}

impl Scenes {
    pub(super) fn new(path: &Path, detector: &dyn Detector, survey: Survey) -> Self {
        let frame_rate = survey.frame_rate();
        let cuts = detector.cuts(&survey.rows, frame_rate);
        Self {
            path: path.to_path_buf(),
            frame_rate,
            detector: detector.name(),
            settings: detector.settings(),
            scenes: scenes(&survey, &cuts),
            warnings: survey.warnings.iter().map(ToString::to_string).collect(),
            info: survey.info,
        }
    }
}

fn scenes(survey: &Survey, cuts: &[usize]) -> Vec<Scene> {
    let rows = &survey.rows;
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain([rows.len()]);
    let scene = |(index, (start, end)): (usize, (usize, usize))| {
        let first = rows[start].time;
        let last = rows.get(end).map_or(Timestamp { pts: survey.end_pts, base: first.base }, |row| row.time);
        Scene {
            index,
            start: first.seconds(),
            end: last.seconds(),
            start_pts: first.pts,
            end_pts: last.pts,
            start_frame: survey.first_frame + start as u64,
            end_frame: survey.first_frame + end as u64,
            keyframe_s: rows[start + (end - start) / 2].time.seconds(),
        }
    };
    if rows.is_empty() { Vec::new() } else { starts.zip(ends).enumerate().map(scene).collect() }
}
