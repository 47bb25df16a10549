//! Which frames are wanted: times on the source clock, and the rule that a time means the frame shown then.

use super::info::VideoInfo;
use longsight_models::Span;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Two times closer than this are the same: below any container's tick, above the rounding of sums.
pub(super) const EPSILON_S: f64 = 1e-6;

/// Which frames of a video are wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Sampling {
    /// Every frame
    All,
    /// Every key frame
    Keyframes,
    /// The frames shown at `from + k / f`, where `f` is `fps`, lowered until `max_frames` reach the end. A rate at or
    /// above the source's means every frame once.
    Fps {
        /// Frames per second wanted
        fps: f64,
        /// Frames allowed
        max_frames: Option<u64>,
    },
    /// The frames shown in the middles of `count` equal parts
    Uniform {
        /// Parts
        count: u64,
    },
    /// The frames shown at these times, in seconds on the source clock
    Times(Vec<f64>),
}

/// Times in order, each counted off when its frame is found.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Picks {
    /// Every frame of the range
    Every,
    /// Every key frame of the range
    Keys,
    /// `from + k * step` for `k` from `next` on in `runs`, which ascend
    Grid { from: f64, step: f64, next: u64, runs: Vec<Range<u64>> },
    /// Sorted times, those before `next` done
    List { times: Vec<f64>, next: usize },
}

impl Sampling {
    /// The rate at which frames are taken from a stretch of a video; `None` if that is every frame, or no steady rate.
    #[must_use]
    pub fn effective_fps(&self, span: Span, info: &VideoInfo) -> Option<f64> {
        let Self::Fps { fps, max_frames } = *self else { return None };
        let limit = max_frames.map_or(f64::INFINITY, |frames| frames as f64 / span.duration().max(EPSILON_S));
        let fps = fps.min(limit);
        // Both rates: an average can lie below the real rate, and a tick rate far above it.
        let source = info.frame_rate.into_iter().chain(info.tick_rate).fold(f64::NAN, f64::max);
        let every = fps >= source || !fps.is_finite();
        (!every).then_some(fps)
    }

    /// Turns wishes into times for a stretch of a video.
    pub(super) fn resolve(&self, span: Span, info: &VideoInfo) -> Picks {
        match *self {
            Self::All => Picks::Every,
            Self::Keyframes => Picks::Keys,
            Self::Fps { max_frames, .. } => match self.effective_fps(span, info) {
                Some(fps) => {
                    let whole = (span.duration() * fps - EPSILON_S).ceil().max(1.0) as u64;
                    let count = whole.min(max_frames.unwrap_or(u64::MAX));
                    Picks::grid(span.start, 1.0 / fps, count)
                }
                None => Picks::Every,
            },
            Self::Uniform { count } => {
                let part = span.duration() / count as f64;
                Picks::grid(span.start + part / 2.0, part, count)
            }
            Self::Times(ref times) => {
                let mut times = times.clone();
                times.retain(|time| time.is_finite());
                times.sort_by(f64::total_cmp);
                Picks::List { times, next: 0 }
            }
        }
    }
}

impl Picks {
    /// `from + k * step` for `k` in `0..count`.
    fn grid(from: f64, step: f64, count: u64) -> Self {
        Self::Grid { from, step, next: 0, runs: std::iter::once(0..count).collect() }
    }

    /// A grid dealt out to `hands` walks: at each of `joints` (seconds, ascending) the next one takes over, round and round.
    /// `None` where this is no grid, or not every hand would get something.
    pub(super) fn deal(&self, joints: &[f64], hands: usize) -> Option<Vec<Self>> {
        let Self::Grid { from, step, next, ref runs } = *self else { return None };
        let end = runs.last()?.end;
        let first_at = |time: &f64| (((time - from - EPSILON_S) / step).ceil().max(0.0) as u64).clamp(next, end);
        let mut borders = vec![next];
        borders.extend(joints.iter().map(first_at));
        borders.push(end);
        let mut dealt = vec![Vec::new(); hands];
        let stretches = borders.windows(2).filter(|pair| pair[0] < pair[1]);
        for (place, pair) in stretches.enumerate() {
            dealt[place % hands].push(pair[0]..pair[1]);
        }
        let hand = |runs: Vec<Range<u64>>| Some(Self::Grid { from, step, next: runs.first()?.start, runs });
        dealt.into_iter().map(hand).collect()
    }

    /// The next time that has no frame yet; `None` when every frame is wanted, or no more.
    pub(super) fn next_time(&self) -> Option<f64> {
        match *self {
            Self::Every | Self::Keys => None,
            Self::Grid { from, step, next, ref runs } => member(runs, next).map(|k| from + k as f64 * step),
            Self::List { ref times, next } => times.get(next).copied(),
        }
    }

    /// Whether nothing more is wanted.
    pub(super) fn is_done(&self) -> bool {
        !matches!(self, Self::Every | Self::Keys) && self.next_time().is_none()
    }

    /// Whether a frame shown from `start` to `end` is, or may become, wanted.
    pub(super) fn may_want(&self, start: f64, end: f64) -> bool {
        match *self {
            Self::Every | Self::Keys => true,
            Self::Grid { from, step, next, ref runs } => {
                // The first time of a range may yet go to the first frame inside it: see `Walk::belongs_to_next`.
                let first = next == 0 && end > from && start < from + step + EPSILON_S;
                let k = ((start - from - EPSILON_S) / step).ceil().max(0.0);
                first || member(runs, k as u64).is_some_and(|k| from + k as f64 * step < end + EPSILON_S)
            }
            Self::List { ref times, .. } => {
                let at = times.partition_point(|&time| time < start - EPSILON_S);
                times.get(at).is_some_and(|&time| time < end + EPSILON_S)
            }
        }
    }

    /// Counts off the times before `end`; whether there were any.
    pub(super) fn take_before(&mut self, end: f64) -> bool {
        let mut any = false;
        while self.next_time().is_some_and(|time| time < end - EPSILON_S) {
            any = true;
            match self {
                Self::Every | Self::Keys => break,
                Self::Grid { from, step, next, runs } => {
                    let behind = ((end - EPSILON_S - *from) / *step).ceil() as u64;
                    let taken = member(runs, *next).unwrap_or(*next);
                    *next = behind.max(taken + 1);
                }
                Self::List { next, .. } => *next += 1,
            }
        }
        any
    }

    /// The time after the next.
    pub(super) fn time_after_next(&self) -> Option<f64> {
        match *self {
            Self::Grid { from, step, next, ref runs } => {
                let after = member(runs, next).and_then(|k| member(runs, k + 1));
                after.map(|k| from + k as f64 * step)
            }
            _ => None,
        }
    }
}

/// The first number from `k` on that lies in one of the ascending `runs`.
fn member(runs: &[Range<u64>], k: u64) -> Option<u64> {
    let run = runs.get(runs.partition_point(|run| run.end <= k))?;
    Some(run.start.max(k))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(from: f64, step: f64, count: u64) -> Picks {
        Picks::grid(from, step, count)
    }

    #[test]
    fn a_dealt_grid_is_the_same_grid() {
        let picks = grid(0.25, 0.5, 40);
        let hands = picks.deal(&[3.0, 3.1, 7.25, 15.0], 3).unwrap_or_default();
        let mut times = Vec::new();
        for mut hand in hands {
            while let Some(time) = hand.next_time() {
                assert!(hand.may_want(time - 0.01, time + 0.01));
                assert_eq!(hand.time_after_next().is_none(), {
                    let mut rest = hand.clone();
                    rest.take_before(time + 0.01);
                    rest.is_done()
                });
                times.push(time);
                assert!(hand.take_before(time + 0.01));
            }
        }
        times.sort_by(f64::total_cmp);
        assert_eq!(times, (0..40).map(|k| 0.25 + f64::from(k) * 0.5).collect::<Vec<_>>());
        assert_eq!(picks.deal(&[99.0], 2), None, "nothing left for the second");
        assert_eq!(Picks::Every.deal(&[1.0], 2), None);
    }

    #[test]
    fn a_grid_is_counted_off_in_order() {
        let mut picks = grid(10.0, 0.5, 4);
        assert!(!picks.take_before(10.0), "a time belongs to the frame that starts at it");
        assert!(picks.take_before(10.04));
        assert_eq!(picks.next_time(), Some(10.5));
        assert!(picks.take_before(11.2), "two times in one frame are counted off together");
        assert_eq!(picks.next_time(), Some(11.5));
        assert!(picks.take_before(99.0));
        assert!(picks.is_done());
    }

    #[test]
    fn a_frame_is_wanted_if_a_time_falls_into_it() {
        let picks = grid(0.0, 0.5, 100);
        assert!(picks.may_want(0.49, 0.53));
        assert!(picks.may_want(0.5, 0.53));
        assert!(!picks.may_want(0.53, 0.56));
        assert!(!picks.may_want(60.0, 60.1), "behind the last time");
        let list = Picks::List { times: vec![1.0, 7.0], next: 0 };
        assert!(list.may_want(0.98, 1.02) && list.may_want(6.0, f64::INFINITY));
        assert!(!list.may_want(1.02, 6.98));
    }
}
