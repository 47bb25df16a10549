//! What this machine does with a model, and with a file: measured in about a second, so that costs can be told before a run.

use super::{Model, Rates, RunError};
use crate::decode::{DecodeError, Feed, Limits, Program, Request, Sampling, apart};
use crate::generate::PREFILL_ROWS;
use cpu_time::ProcessTime;
use image::RgbImage;
use longsight_models::{Dense, Frame, GrowingCache, ModelError, Sequence, Size, Span, TimeBase, Timestamp, Vlm, Want};
use std::time::Instant;

/// The picture that resizing and the tower are measured on.
const SOURCE: Size = Size { width: 640, height: 360 };
/// Frames of a video whose frame size is measured.
const FRAMES: usize = 64;
/// Patches that the tower is given to be measured.
const PATCHES: usize = 1024;
/// A prompt is measured at this length and at four times it; both double until the longer takes [`LONG_ENOUGH_S`].
const PROMPT: usize = 128;
/// The longest prompt that is measured.
const LONGEST_PROMPT: usize = 16_384;
/// A measurement this long is not noise.
const LONG_ENOUGH_S: f64 = 0.2;
/// Tokens of an answer that are measured.
const STEPS: usize = 6;

/// Time since a moment, on the wall and on the process's processors.
struct Meter(Instant, ProcessTime);

impl Meter {
    fn start() -> Self {
        Self(Instant::now(), ProcessTime::now())
    }

    /// Seconds that the work takes where it has the machine to itself: no more than its processor time, whatever else ran meanwhile.
    fn alone(&self) -> f64 {
        self.0.elapsed().as_secs_f64().min(self.1.elapsed().as_secs_f64())
    }

    /// Seconds that the work adds to a stage that keeps every core busy.
    fn shared(&self) -> f64 {
        self.1.elapsed().as_secs_f64() / Limits::default().cores() as f64
    }
}

/// Measures the model on this machine, and the program that decodes.
///
/// # Errors
/// When the model fails.
pub fn calibrate(model: &Model, decoder: &Program) -> Result<Rates, ModelError> {
    let vlm = model.vlm();
    let (pixel_s, patch_s) = looking(vlm)?;
    let mut short = run(vlm, PROMPT)?;
    let loaded_bytes = resident_bytes(std::process::id()).unwrap_or(vlm.card().weight_bytes);
    // A program that does not start decodes nothing, and whoever needs it is told.
    let decoder_bytes = apart::idle(decoder, &Limits::default(), resident_bytes).ok().flatten().unwrap_or(0);
    let mut long = run(vlm, PROMPT * 4)?;
    while long.prompt_s < LONG_ENOUGH_S && long.tokens * 2 <= LONGEST_PROMPT.min(vlm.card().context) {
        (short, long) = (run(vlm, short.tokens * 2)?, run(vlm, long.tokens * 2)?);
    }
    // Whatever else the machine does only makes it slower.
    (short, long) = (short.least(&run(vlm, short.tokens)?), long.least(&run(vlm, long.tokens)?));
    // Linear and quadratic part from two lengths.
    let (a, b) = (short.tokens as f64, long.tokens as f64);
    let score_s = (2.0 * (long.prompt_s / b - short.prompt_s / a) / (b - a)).max(0.0);
    let token_s = (long.prompt_s / b - score_s * b / 2.0).max(0.0);
    let step_key_s = ((long.step_s - short.step_s) / (b - a)).max(0.0);
    let step_s = (long.step_s - step_key_s * b).max(0.0);
    Ok(Rates {
        pixel_s,
        patch_s,
        token_s,
        score_s,
        step_s,
        step_key_s,
        loaded_bytes,
        decoder_bytes,
        start_s: 0.0,
        decode_s: 0.0,
    })
}

/// Seconds per source pixel and per patch.
fn looking(vlm: &dyn Vlm) -> Result<(f64, f64), ModelError> {
    let (processor, card) = (vlm.processor(), vlm.card());
    let size = processor.frame_size(SOURCE, FRAMES, None)?;
    let per_frame = (size.width as usize / card.patch) * (size.height as usize / card.patch);
    let count = (PATCHES / per_frame.max(1)).clamp(1, FRAMES / card.temporal_patch) * card.temporal_patch;
    let frames: Vec<Frame> = (0..count as u64)
        .map(|index| {
            let image = RgbImage::from_fn(SOURCE.width, SOURCE.height, |x, y| {
                image::Rgb([(x ^ y) as u8, (x + index as u32) as u8, y as u8])
            });
            Frame { index, time: Timestamp { pts: index as i64, base: TimeBase { num: 1, den: 2 } }, image }
        })
        .collect();
    // The first pass fills caches and starts threads.
    vlm.encode(&processor.patch(&frames[..card.temporal_patch.min(count)], size)?)?;
    // Decoding runs beside both.
    let resizing = Meter::start();
    let patches = processor.patch(&frames, size)?;
    let resize_s = resizing.shared();
    let encoding = Meter::start();
    vlm.encode(&patches)?;
    let encode_s = encoding.shared();
    let pixels = count as f64 * f64::from(SOURCE.width) * f64::from(SOURCE.height);
    Ok((resize_s / pixels, encode_s / (count / card.temporal_patch * per_frame) as f64))
}

/// A prompt of so many tokens, and what it took.
struct Ran {
    tokens: usize,
    prompt_s: f64,
    step_s: f64,
}

impl Ran {
    fn least(&self, other: &Self) -> Self {
        Self { tokens: self.tokens, prompt_s: self.prompt_s.min(other.prompt_s), step_s: self.step_s.min(other.step_s) }
    }
}

fn run(vlm: &dyn Vlm, tokens: usize) -> Result<Ran, ModelError> {
    let positions: Vec<u32> = (0..(tokens + STEPS) as u32).collect();
    let axes = [positions.clone(), positions.clone(), positions];
    let sequence = Sequence::new(vec![0; tokens + STEPS], axes, Vec::new());
    let (mut kv, mut dense) = (GrowingCache::new(), Dense);
    let mut forward = |rows, want| vlm.forward(&sequence, rows, &[], &mut dense, &mut kv, want).map(drop);
    let prefilling = Meter::start();
    for start in (0..tokens).step_by(PREFILL_ROWS) {
        forward(start..tokens.min(start + PREFILL_ROWS), Want::Nothing)?;
    }
    let prompt_s = prefilling.alone();
    let stepping = Meter::start();
    for step in tokens..tokens + STEPS {
        forward(step..step + 1, Want::Last)?;
    }
    Ok(Ran { tokens, prompt_s, step_s: stepping.alone() / STEPS as f64 })
}

/// Places of a long video at which its decoding is measured, as shares of its length.
const PLACES: [f64; 3] = [0.1, 0.45, 0.8];
/// The stretch that is decoded first at each place, or what holds [`FRAMES_APART`] wanted frames; it doubles until all of them take
/// [`LONG_ENOUGH_S`] longer than what lies before them.
const STRETCH_S: f64 = 2.0;
/// Fewer wanted frames say nothing of the time between two.
const FRAMES_APART: f64 = 3.0;
/// The least that is decoded of a video too short for [`PLACES`], from its beginning on.
const SHORT_S: f64 = 4.0;
/// What is decoded of a video, unless that is less than [`SHORT_S`].
const MOST: f64 = 0.25;

/// What decoding a stretch of a video takes, measured on parts of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DecodingRate {
    /// Seconds until the first picture: opening the file, starting decoders
    pub start_s: f64,
    /// Seconds for each second of the stretch
    pub per_s: f64,
}

/// Measures decoding on parts of a stretch: never more than a quarter of it, or the first seconds.
///
/// # Errors
/// When the file cannot be opened, or a part of it not be read.
pub fn decoding_rate(video: &Feed, span: Span, fps: f64) -> Result<DecodingRate, RunError> {
    let most = span.duration() * MOST;
    let least = STRETCH_S.max(FRAMES_APART / fps);
    let long = most >= least * PLACES.len() as f64;
    let places: &[f64] = if long { &PLACES } else { &[0.0] };
    let from = |place: f64| span.start + place * span.duration();
    let part = |place: f64, seconds: f64| {
        decoding(video, Span { start: from(place), end: (from(place) + seconds).min(span.end) }, fps)
    };
    // What lies before a part is decoded with it, from a key frame on, and is the same for one that is hardly longer than a frame.
    let before = places.iter().map(|&place| part(place, 1e-3)).collect::<Result<Vec<_>, _>>()?;
    let mut stretch = if long { least } else { most.max(SHORT_S).max(least) };
    loop {
        let last = !long || stretch * places.len() as f64 >= most;
        let stretch_s = if last && long { most / places.len() as f64 } else { stretch.min(span.duration()) };
        let parts = places.iter().map(|&place| part(place, stretch_s)).collect::<Result<Vec<_>, _>>()?;
        if last || more(&before, &parts, |part| part.seconds) >= LONG_ENOUGH_S {
            return Ok(rate(&before, &parts));
        }
        stretch *= 2.0;
    }
}

/// A part of a video that was decoded.
#[derive(Debug, Clone, Copy)]
struct Part {
    seconds: f64,
    /// Frames decoded for it. Where few are wanted, those that no other needs are not
    frames: f64,
    /// Seconds from the first frame given to the last
    reach: f64,
}

/// How much more of something parts have than what lies before them.
fn more(before: &[Part], parts: &[Part], of: fn(&Part) -> f64) -> f64 {
    parts.iter().map(of).sum::<f64>() - before.iter().map(of).sum::<f64>()
}

/// From parts, and for each what lay before it.
fn rate(before: &[Part], parts: &[Part]) -> DecodingRate {
    // A part begins with its first frame and ends with its last: nothing is decoded behind it.
    let reach = more(before, parts, |part| part.reach);
    let spent = match more(before, parts, |part| part.seconds) {
        spent if spent > 0.0 => spent,
        // Noise hides the difference of times, but not that of frames.
        _ => {
            more(&[], parts, |part| part.seconds) / more(&[], parts, |part| part.frames).max(1.0)
                * more(before, parts, |part| part.frames).max(0.0)
        }
    };
    let start_s = before.iter().map(|part| part.seconds).fold(f64::INFINITY, f64::min);
    DecodingRate {
        start_s: if start_s.is_finite() { start_s } else { 0.0 },
        per_s: if reach > 0.0 { spent / reach } else { 0.0 },
    }
}

fn decoding(video: &Feed, span: Span, fps: f64) -> Result<Part, DecodeError> {
    let sampling = Sampling::Fps { fps, max_frames: None };
    let request = Request { from: Some(span.start), to: Some(span.end), ..Request::new(sampling) };
    let (begun, spent) = (Meter::start(), video.spent_apart());
    let mut stream = video.stream(&request)?;
    stream.by_ref().for_each(drop);
    let report = stream.finish()?;
    let apart = video.spent_apart().saturating_sub(spent).as_secs_f64() / Limits::default().cores() as f64;
    let reach = report.last_s.zip(report.first_s).map_or(0.0, |(last, first)| last - first);
    Ok(Part { seconds: begun.shared() + apart, frames: report.frames_decoded as f64, reach })
}

/// Resident memory of a process, where the system tells it.
fn resident_bytes(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(seconds: f64, frames: f64, reach: f64) -> Part {
        Part { seconds, frames, reach }
    }

    fn close(found: DecodingRate, start_s: f64, per_s: f64) {
        let near = |found: f64, expected: f64| (found - expected).abs() < 1e-9;
        assert!(near(found.start_s, start_s) && near(found.per_s, per_s), "{found:?}");
    }

    #[test]
    fn what_lies_before_a_part_is_not_its_own() {
        let before = [part(0.14, 20.0, 0.0), part(0.2, 50.0, 0.0)];
        let after = [part(0.2, 38.0, 1.5), part(0.26, 68.0, 1.5)];
        close(rate(&before, &after), 0.14, 0.04);
        close(rate(&before[..1], &after[..1]), 0.14, 0.04);
    }

    #[test]
    fn noise_gives_no_negative_times() {
        let (before, after) = (part(0.4, 2.0, 0.0), part(0.26, 26.0, 2.0));
        close(rate(&[before], &[after]), 0.4, 0.12);
        let still = part(0.1, 1.0, 0.0);
        close(rate(&[still], &[still]), 0.1, 0.0);
        close(rate(&[], &[]), 0.0, 0.0);
    }
}
