//! What was looked at, and what was not.

use longsight_models::{FrameRef, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much of the video stands behind an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    /// First second that was asked for
    pub from: f64,
    /// First second that was not, or where the file's pictures end
    pub to: f64,
    /// Frames that the decoder gave
    pub frames_decoded: u64,
    /// Frames that the model saw
    pub frames_seen: u64,
    /// The longest stretch without a seen frame, borders included, in seconds
    pub max_gap_s: f64,
    /// What lasts at least so long was seen in at least one frame, in seconds
    pub smallest_event_s: f64,
    /// Visual tokens before compression
    pub visual_tokens_before: u64,
    /// Visual tokens that reached the language model
    pub visual_tokens_after: u64,
    /// How densely each scene was seen, in the order of time and without gaps. Scenes are told apart by the frames that were decoded, so
    /// that a scene between two of them is not known of; empty where nothing was decoded (`plan`)
    #[serde(default)]
    pub scenes: Vec<SceneCoverage>,
}

/// How densely a scene was seen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SceneCoverage {
    /// Its first second
    pub start: f64,
    /// The first second after it
    pub end: f64,
    /// Frames of it that the model saw
    pub frames_seen: u64,
    /// The same per second
    pub fps: f64,
}

impl SceneCoverage {
    /// A scene of which so many frames were seen.
    #[must_use]
    pub fn new(scene: Span, frames_seen: u64) -> Self {
        let seconds = scene.duration();
        let fps = if seconds > 0.0 { frames_seen as f64 / seconds } else { 0.0 };
        Self { start: scene.start, end: scene.end, frames_seen, fps }
    }
}

impl Coverage {
    /// Coverage of `from..to` by the frames `seen`, in presentation order.
    #[must_use]
    pub fn of(from: f64, to: f64, decoded: u64, seen: &[FrameRef], before: usize, after: usize) -> Self {
        let mut last = from;
        let mut max_gap_s: f64 = 0.0;
        for time in seen.iter().map(|frame| frame.time.seconds()).chain([to]) {
            max_gap_s = max_gap_s.max(time - last);
            last = last.max(time);
        }
        Self {
            from,
            to,
            frames_decoded: decoded,
            frames_seen: seen.len() as u64,
            max_gap_s,
            smallest_event_s: max_gap_s,
            visual_tokens_before: before as u64,
            visual_tokens_after: after as u64,
            scenes: Vec::new(),
        }
    }

    /// The same by scenes that begin at `cuts` (ascending), of which `seen` was seen.
    #[must_use]
    pub fn with_scenes(mut self, cuts: &[f64], seen: &[FrameRef]) -> Self {
        let inside = cuts.iter().copied().filter(|&cut| cut > self.from && cut < self.to);
        let borders: Vec<f64> = std::iter::once(self.from).chain(inside).chain([self.to]).collect();
        let before = |time: f64| seen.partition_point(|frame| frame.time.seconds() < time) as u64;
        let last = borders.len() - 2;
        let scene = |(number, border): (usize, &[f64])| {
            // Frames that lie on the stretch's own borders belong to what begins or ends there.
            let first = if number == 0 { 0 } else { before(border[0]) };
            let end = if number == last { seen.len() as u64 } else { before(border[1]) };
            SceneCoverage::new(Span { start: border[0], end: border[1] }, end - first)
        };
        self.scenes = borders.windows(2).enumerate().map(scene).collect();
        self
    }

    /// Takes in the look at the stretch that follows.
    pub fn extend(&mut self, next: &Self) {
        // Between two looks lies what neither has seen, where one between them gave no frame.
        let between = next.from - self.to;
        self.to = self.to.max(next.to);
        self.frames_decoded += next.frames_decoded;
        self.frames_seen += next.frames_seen;
        self.max_gap_s = self.max_gap_s.max(next.max_gap_s).max(between);
        self.smallest_event_s = self.smallest_event_s.max(next.smallest_event_s).max(between);
        self.visual_tokens_before += next.visual_tokens_before;
        self.visual_tokens_after += next.visual_tokens_after;
        let mut scenes = next.scenes.iter().copied();
        // That a stretch ends somewhere makes no new scene.
        if let (Some(last), Some(first)) = (self.scenes.last_mut(), next.scenes.first())
            && first.start <= last.end
        {
            let joined = Span { start: last.start, end: first.end };
            *last = SceneCoverage::new(joined, last.frames_seen + first.frames_seen);
            scenes.next();
        }
        self.scenes.extend(scenes);
    }

    /// Frames per second of the scene that was seen most thinly and of the one that was seen most densely.
    #[must_use]
    pub fn rates(&self) -> Option<(f64, f64)> {
        let rates = || self.scenes.iter().map(|scene| scene.fps);
        Some((rates().min_by(f64::total_cmp)?, rates().max_by(f64::total_cmp)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longsight_models::{TimeBase, Timestamp};

    fn frame(index: u64) -> FrameRef {
        FrameRef { index, time: Timestamp { pts: index as i64, base: TimeBase { num: 1, den: 2 } } }
    }

    fn told(coverage: &Coverage) -> Vec<(f64, f64, u64, f64)> {
        coverage.scenes.iter().map(|scene| (scene.start, scene.end, scene.frames_seen, scene.fps)).collect()
    }

    #[test]
    fn scenes_fill_the_stretch_and_share_its_frames() {
        // Frames at 0, 0.5, ... 9.5 s; of the last four seconds one was taken.
        let seen: Vec<FrameRef> = (0..12).chain([16]).map(frame).collect();
        let coverage = Coverage::of(0.0, 10.0, 20, &seen, 60, 39).with_scenes(&[2.0, 6.0, 99.0], &seen);
        assert_eq!(told(&coverage), [(0.0, 2.0, 4, 2.0), (2.0, 6.0, 8, 2.0), (6.0, 10.0, 1, 0.25)]);
        assert_eq!(coverage.rates(), Some((0.25, 2.0)));
        assert_eq!(Coverage::of(0.0, 10.0, 20, &seen, 60, 39).with_scenes(&[], &seen).scenes[0].frames_seen, 13);
    }

    #[test]
    fn a_scene_goes_on_over_the_border_of_two_looks() {
        let look = |from: u64, to: u64, cuts: &[f64]| {
            let seen: Vec<FrameRef> = (2 * from..2 * to).map(frame).collect();
            Coverage::of(from as f64, to as f64, 2 * (to - from), &seen, 30, 30).with_scenes(cuts, &seen)
        };
        let mut all = look(0, 10, &[4.0]);
        all.extend(&look(10, 20, &[15.0]));
        assert_eq!(told(&all), [(0.0, 4.0, 8, 2.0), (4.0, 15.0, 22, 2.0), (15.0, 20.0, 10, 2.0)]);
        assert_eq!((all.from, all.to, all.frames_seen), (0.0, 20.0, 40));
        // What lies between was not looked at.
        all.extend(&look(30, 32, &[]));
        assert_eq!(told(&all)[3], (30.0, 32.0, 4, 2.0));
    }
}
