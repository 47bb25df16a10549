//! A minimum length of scenes, as PySceneDetect's flash filter in merging mode keeps it.

/// Counts a length in frames of the average rate, as PySceneDetect's command line does: 0.6 s at 24 frames a second are
/// 14 frames.
#[derive(Debug, Clone, Copy)]
pub(super) struct Least {
    frames: f64,
    rate: f64,
}

impl Least {
    /// At least `seconds` at `rate` frames a second.
    pub(super) fn new(seconds: f64, rate: f64) -> Self {
        Self { frames: (seconds * rate).round_ties_even(), rate }
    }

    /// Whether there is any.
    fn is_some(self) -> bool {
        self.frames > 0.0
    }

    /// Whether at least this lies between two times in seconds.
    pub(super) fn lies_between(self, from: f64, to: f64) -> bool {
        // To the microsecond first: what a container's clock cannot say is no reason for another frame.
        let seconds = ((to - from) * 1e6).round() / 1e6;
        (seconds * self.rate).round_ties_even() >= self.frames
    }
}

/// Turns "this frame differs from the one before" into cuts at least a length apart.
///
/// A frame above the threshold is a cut if at least the length has passed since the last such frame, or since the start.
/// Otherwise, once there has been a cut, frames above the threshold are merged into one cut at the last of them, after
/// the length has passed without another. Frames above it in the first `length` after the start give no cut.
#[derive(Debug, Clone)]
pub(super) struct FlashFilter {
    least: Least,
    /// The last frame above the threshold, or the first of all: its number and time
    above: Option<(usize, f64)>,
    /// Where merging began
    merging: Option<f64>,
    had_cut: bool,
}

impl FlashFilter {
    /// A filter for scenes of at least a length.
    pub(super) fn new(least: Least) -> Self {
        Self { least, above: None, merging: None, had_cut: false }
    }

    /// Takes the next frame: its number, its time in seconds, whether it is above the threshold. Gives the number of the
    /// first frame of a new scene.
    pub(super) fn push(&mut self, frame: usize, seconds: f64, above: bool) -> Option<usize> {
        if !self.least.is_some() {
            return above.then_some(frame);
        }
        let (last, last_seconds) = *self.above.get_or_insert((frame, seconds));
        let long_enough = self.least.lies_between(last_seconds, seconds);
        if above {
            self.above = Some((frame, seconds));
        }
        if let Some(start) = self.merging {
            if above || !long_enough || !self.least.lies_between(start, last_seconds) {
                return None;
            }
            self.merging = None;
            return Some(last);
        }
        if !above {
            return None;
        }
        if long_enough {
            self.had_cut = true;
            return Some(frame);
        }
        if self.had_cut {
            self.merging = Some(seconds);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cuts of a video of 10 frames a second and 0.6 s, with these frames above the threshold.
    fn cuts(above: &[usize], seconds: f64) -> Vec<usize> {
        let mut filter = FlashFilter::new(Least::new(seconds, 10.0));
        (0..100).filter_map(|frame| filter.push(frame, frame as f64 / 10.0, above.contains(&frame))).collect()
    }

    #[test]
    fn cuts_far_apart_stay() {
        assert_eq!(cuts(&[10, 20, 30], 0.6), [10, 20, 30]);
        assert_eq!(cuts(&[10, 16], 0.6), [10, 16], "exactly the length is enough");
    }

    #[test]
    fn a_cut_in_the_first_moments_is_dropped() {
        assert_eq!(cuts(&[3, 20], 0.6), [20]);
        assert!(cuts(&[5, 10], 0.6).is_empty(), "the second is too near the first, and nothing was cut yet");
        assert_eq!(cuts(&[6], 0.6), [6]);
    }

    #[test]
    fn a_burst_merges_into_one_cut_at_its_end() {
        // 10 cuts; 12 to 19 are a burst of more than the length, emitted at 19 after quiet.
        assert_eq!(cuts(&[10, 12, 14, 16, 18, 19], 0.6), [10, 19]);
        // A burst shorter than the length stays open and swallows what comes: PySceneDetect's rule.
        assert_eq!(cuts(&[10, 12, 14], 0.6), [10]);
        assert_eq!(cuts(&[10, 12, 14, 40], 0.6), [10, 40]);
    }

    #[test]
    fn a_length_is_a_whole_number_of_frames() {
        let least = Least::new(0.6, 24.0);
        assert!(least.lies_between(1.0, 1.0 + 14.0 / 24.0), "14.4 frames are 14");
        assert!(!least.lies_between(1.0, 1.0 + 13.0 / 24.0));
        assert!(Least::new(0.6, 30.006).lies_between(0.0, 0.599_882), "18 frames of a phone's clock");
    }

    #[test]
    fn without_a_length_every_frame_above_is_a_cut() {
        assert_eq!(cuts(&[1, 2, 3], 0.0), [1, 2, 3]);
    }
}
