//! Which frames can be left out before they are decoded.
//!
//! A decoder skips a frame that no other refers to at almost no cost, and with today's encoders that is half of all
//! frames. A cut costs bytes: the first frame after it cannot be predicted. So a frame between two reference frames is
//! decoded only if it, or the reference frame that closes the gap, is large beside its like; and gaps whose ends turn
//! out to differ are looked at again, frame by frame (`survey::close`). What can be missed that way is a flash: frames
//! that differ from both ends of a gap of two or three frames, whose ends are alike, and that cost few bytes.

use crate::decode::{Ahead, Gate, Open};
use longsight_models::TimeBase;
use std::ops::RangeInclusive;

/// A frame this many times as large as the median of its like is taken for a change.
const LARGE: usize = 2;
/// Longest gap in seconds, five frames at 24 a second, in which frames may be left out.
const WIDEST_S: f64 = 0.21;
/// After a change of this part of the score wanted, gaps are decoded in full: going back for them would cost more.
const RESTLESS_PART: f64 = 0.4;
/// Frames in the running medians: about a second of reference frames.
const MEMORY: usize = 15;

/// Leaves out calm frames between reference frames.
#[derive(Debug)]
pub(super) struct Busy {
    /// Reference frames further apart than this, in ticks, leave too much time for something to come and go
    widest: i64,
    /// The latest time sent
    frontier: Option<i64>,
    /// The score from which on a frame has to be known
    calm_below: f64,
    /// Whether the last frame differed so much that gaps would have to be looked at again
    restless: bool,
    ahead: Median,
    between: Median,
    /// Whether the present gap is worth every frame
    awake: bool,
}

impl Busy {
    /// A gate for a video with this time base, where scores below `calm_below` need not be known.
    pub(super) fn new(base: TimeBase, calm_below: f64) -> Self {
        Self {
            widest: (WIDEST_S / base.seconds().max(1e-9)) as i64,
            frontier: None,
            calm_below,
            restless: false,
            ahead: Median::default(),
            between: Median::default(),
            awake: true,
        }
    }
}

/// A gate that learns from what was decoded.
pub(super) trait Watch: Gate {
    /// The score of the frame just looked at.
    fn tell(&mut self, _change: f64) {}
}

impl Watch for Open {}

impl Watch for Busy {
    fn tell(&mut self, change: f64) {
        self.restless = change >= self.calm_below * RESTLESS_PART;
    }
}

impl Gate for Busy {
    fn wants(&mut self, ahead: Ahead) -> bool {
        if self.frontier.is_none_or(|frontier| ahead.pts > frontier) {
            // Opens a gap: what is shown before it comes after it in the file.
            let wide = self.frontier.is_none_or(|frontier| ahead.pts - frontier > self.widest);
            self.frontier = Some(ahead.pts);
            self.awake = ahead.key || wide || self.restless || self.ahead.is_large(ahead.bytes);
            if !ahead.key {
                self.ahead.push(ahead.bytes);
            }
            return true;
        }
        self.awake |= self.between.is_large(ahead.bytes);
        self.between.push(ahead.bytes);
        self.awake
    }
}

/// The median of the last few sizes.
#[derive(Debug, Default)]
struct Median {
    recent: Vec<usize>,
    next: usize,
}

impl Median {
    fn push(&mut self, bytes: usize) {
        if self.recent.len() < MEMORY {
            self.recent.push(bytes);
        } else {
            self.recent[self.next] = bytes;
        }
        self.next = (self.next + 1) % MEMORY;
    }

    /// Whether `bytes` stands out; always true before there is something to compare it with.
    fn is_large(&self, bytes: usize) -> bool {
        let mut sorted = self.recent.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).is_none_or(|&median| bytes > LARGE * median)
    }
}

/// Wants the frames of some spans of ticks.
#[derive(Debug)]
pub(super) struct Only(Vec<RangeInclusive<i64>>);

impl Only {
    pub(super) fn new(spans: Vec<RangeInclusive<i64>>) -> Self {
        Self(spans)
    }
}

impl Gate for Only {
    fn wants(&mut self, ahead: Ahead) -> bool {
        self.0.iter().any(|span| span.contains(&ahead.pts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets in file order: presentation time and size.
    fn wanted(packets: &[(i64, usize)]) -> Vec<i64> {
        let mut gate = Busy::new(TimeBase { num: 1, den: 25 }, 27.0);
        let mut wants = |&(pts, bytes): &(i64, usize)| gate.wants(Ahead { pts, bytes, key: pts == 0 }).then_some(pts);
        packets.iter().filter_map(&mut wants).collect()
    }

    /// Groups of a reference frame and two frames between, all calm.
    fn calm(groups: i64) -> Vec<(i64, usize)> {
        let groups = (0..groups).flat_map(|group| [(3 * group + 3, 900), (3 * group + 1, 100), (3 * group + 2, 110)]);
        std::iter::once((0, 5000)).chain(groups).collect()
    }

    #[test]
    fn calm_frames_between_reference_frames_are_left_out() {
        let kept = wanted(&calm(10));
        assert!(kept.iter().all(|pts| pts % 3 == 0 || *pts < 4), "{kept:?}");
        assert!(kept.iter().filter(|pts| *pts % 3 == 0).count() == 11);
    }

    #[test]
    fn after_a_change_every_frame_is_kept() {
        let mut gate = Busy::new(TimeBase { num: 1, den: 25 }, 27.0);
        for (pts, bytes) in calm(10) {
            gate.wants(Ahead { pts, bytes, key: pts == 0 });
        }
        gate.tell(13.0);
        let mut next =
            [(33, 900), (31, 100), (32, 110)].map(|(pts, bytes)| Ahead { pts, bytes, key: false }).into_iter();
        assert!(next.all(|ahead| gate.wants(ahead)));
    }

    #[test]
    fn a_slow_video_keeps_every_frame() {
        let slow: Vec<_> = calm(10).into_iter().map(|(pts, bytes)| (pts * 25, bytes)).collect();
        assert_eq!(wanted(&slow).len(), slow.len());
    }

    #[test]
    fn a_large_frame_keeps_its_gap() {
        let mut packets = calm(10);
        packets[22].1 = 4000;
        let reference = packets[22].0;
        let kept = wanted(&packets);
        assert!(kept.contains(&(reference - 1)) && kept.contains(&(reference - 2)), "{kept:?}");
        let mut packets = calm(10);
        packets[23].1 = 400;
        assert!(wanted(&packets).contains(&packets[24].0), "what follows a large frame in a gap is kept too");
    }
}
