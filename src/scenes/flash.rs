//! A minimum length of scenes, as PySceneDetect's flash filter in merging mode keeps it.

/// Microseconds: the clock on which PySceneDetect compares lengths.
pub(super) fn micros(seconds: f64) -> i64 {
    (seconds * 1e6).round() as i64
}

/// Turns "this frame differs from the one before" into cuts at least a length apart.
///
/// A frame above the threshold is a cut if at least the length has passed since the last such frame, or since the start.
/// Otherwise, once there has been a cut, frames above the threshold are merged into one cut at the last of them, after
/// the length has passed without another. Frames above it in the first `length` after the start give no cut.
#[derive(Debug, Clone)]
pub(super) struct FlashFilter {
    length: i64,
    /// The last frame above the threshold, or the first of all
    above: Option<(usize, i64)>,
    /// Where merging began
    merging: Option<i64>,
    had_cut: bool,
}

impl FlashFilter {
    /// A filter for scenes of at least `seconds`.
    pub(super) fn new(seconds: f64) -> Self {
        Self { length: micros(seconds), above: None, merging: None, had_cut: false }
    }

    /// Takes the next frame: its number, its time, whether it is above the threshold. Gives the number of the first
    /// frame of a new scene.
    pub(super) fn push(&mut self, frame: usize, micros: i64, above: bool) -> Option<usize> {
        if self.length <= 0 {
            return above.then_some(frame);
        }
        let (last, last_micros) = *self.above.get_or_insert((frame, micros));
        let long_enough = micros - last_micros >= self.length;
        if above {
            self.above = Some((frame, micros));
        }
        if let Some(start) = self.merging {
            if above || !long_enough || last_micros - start < self.length {
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
            self.merging = Some(micros);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cuts of a video of 10 frames a second and 0.6 s, with these frames above the threshold.
    fn cuts(above: &[usize], seconds: f64) -> Vec<usize> {
        let mut filter = FlashFilter::new(seconds);
        (0..100).filter_map(|frame| filter.push(frame, frame as i64 * 100_000, above.contains(&frame))).collect()
    }

    #[test]
    fn cuts_far_apart_stay() {
        assert_eq!(cuts(&[10, 20, 30], 0.6), [10, 20, 30]);
        assert_eq!(cuts(&[10, 16], 0.6), [10, 16], "exactly the length is enough");
    }

    #[test]
    fn a_cut_in_the_first_moments_is_dropped() {
        assert_eq!(cuts(&[3, 20], 0.6), [20]);
        assert_eq!(cuts(&[5, 10], 0.6), [], "the second is too near the first, and nothing was cut yet");
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
    fn without_a_length_every_frame_above_is_a_cut() {
        assert_eq!(cuts(&[1, 2, 3], 0.0), [1, 2, 3]);
    }
}
