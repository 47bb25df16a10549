//! Frames out of a file: chosen ones, as RGB, with their exact times.

use super::median;
use crate::decode::{self, DecodeError, Feed, FrameFacts, Request};
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

/// One measurement, schema `longsight.bench.decode/1`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// What this is
    pub schema: &'static str,
    /// Frames given
    pub frames: u64,
    /// Frames decoded to give them
    pub frames_decoded: u64,
    /// Size of the first picture
    pub width: u32,
    /// Size of the first picture
    pub height: u32,
    /// Seconds of each run, from opening the file to the last picture
    pub runs_s: Vec<f64>,
    /// Median of them
    pub seconds: f64,
    /// Frames given per second of work
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
    /// The pictures are not those that a plain walk over every frame gives
    #[error("frame {at} of a run is {found:?}, and a walk over every frame gives {expected:?}")]
    Wrong {
        /// Place in the run
        at: usize,
        /// Index and ticks of the frame that came
        found: Option<(u64, i64)>,
        /// Index and ticks of the frame that should
        expected: Option<(u64, i64)>,
    },
}

/// Decodes what `request` asks for `runs` times.
///
/// The check before it: every frame given stands, with the same number and time, in the list of all frames, and they
/// come in order.
///
/// # Errors
/// When the file cannot be decoded, or the check fails.
pub fn run(path: &Path, request: &Request, runs: usize) -> Result<Outcome, BenchError> {
    let everything = Request { sampling: decode::Sampling::All, ..request.clone() };
    let (all, _) = Feed::open(path, &request.limits)?.list(&everything)?;
    let (first, ..) = time(path, request)?;
    check(&all, &first)?;
    let mut runs_s = Vec::new();
    let mut last = None;
    for _ in 0..runs.max(1) {
        let (_, seconds, report) = time(path, request)?;
        runs_s.push(seconds);
        last = Some(report);
    }
    let seconds = median(&runs_s);
    let covered = last.as_ref().map_or(0.0, |report| report.coverage.duration());
    Ok(Outcome {
        schema: "longsight.bench.decode/1",
        frames: first.len() as u64,
        frames_decoded: last.map_or(0, |report| report.frames_decoded),
        width: first.first().map_or(0, |frame| frame.width),
        height: first.first().map_or(0, |frame| frame.height),
        runs_s,
        seconds,
        fps: first.len() as f64 / seconds,
        speed: covered / seconds,
    })
}

/// One run: the frames that came, the time it took, the report.
fn time(path: &Path, request: &Request) -> Result<(Vec<FrameFacts>, f64, decode::DecodeReport), DecodeError> {
    let started = Instant::now();
    let mut stream = Feed::open(path, &request.limits)?.stream(request)?;
    let frames = stream
        .by_ref()
        .map(|frame| {
            let (width, height) = std::hint::black_box(&frame.image).dimensions();
            FrameFacts { index: frame.index, time: frame.time, width, height }
        })
        .collect();
    let report = stream.finish()?;
    Ok((frames, started.elapsed().as_secs_f64(), report))
}

fn check(all: &[FrameFacts], given: &[FrameFacts]) -> Result<(), BenchError> {
    let key = |frame: &FrameFacts| (frame.index, frame.time.pts);
    let mut from = 0;
    for (at, frame) in given.iter().enumerate() {
        let place = all[from..].iter().position(|other| key(other) == key(frame));
        let Some(place) = place else {
            let expected = all.iter().find(|other| other.index == frame.index).map(key);
            return Err(BenchError::Wrong { at, found: Some(key(frame)), expected });
        };
        from += place + 1;
    }
    if given.is_empty() {
        return Err(BenchError::Wrong { at: 0, found: None, expected: all.first().map(key) });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use longsight_models::{TimeBase, Timestamp};

    fn frame(index: u64, pts: i64) -> FrameFacts {
        let time = Timestamp { pts, base: TimeBase { num: 1, den: 25 } };
        FrameFacts { index, time, width: 4, height: 4 }
    }

    #[test]
    fn a_run_has_to_give_frames_of_the_walk_in_order() {
        let all: Vec<FrameFacts> = (0..5).map(|n| frame(n, n as i64)).collect();
        assert!(check(&all, &[all[0], all[3]]).is_ok());
        assert!(check(&all, &[all[3], all[0]]).is_err(), "out of order");
        assert!(check(&all, &[all[1], all[1]]).is_err(), "twice");
        assert!(check(&all, &[frame(2, 3)]).is_err(), "a wrong time");
        assert!(check(&all, &[]).is_err(), "nothing at all");
    }
}
