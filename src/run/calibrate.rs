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
    Ok(Rates { pixel_s, patch_s, token_s, score_s, step_s, step_key_s, loaded_bytes, decoder_bytes, decode_s: 0.0 })
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

/// Places of a video at which its decoding is measured, as shares of its length.
const PLACES: [f64; 3] = [0.1, 0.45, 0.8];
/// Fewer frames than these are not worth a difference.
const FEW_FRAMES: u64 = 24;
/// Frames per second of a video that does not say.
const USUAL_RATE: f64 = 30.0;
/// The stretch that is decoded first at each place; it doubles until all of them take [`LONG_ENOUGH_S`].
const STRETCH_S: f64 = 2.0;

/// Seconds that decoding takes per second of a stretch of the video, measured on parts of it: never more than a quarter.
///
/// # Errors
/// When the file cannot be opened, or a part of it not be read.
pub fn decoding_rate(video: &Feed, span: Span, fps: f64) -> Result<f64, RunError> {
    // What a part takes that is hardly longer than a frame: opening the file, starting decoders, the first picture.
    let middle = span.start + span.duration() / 2.0;
    let start = decoding(video, Span { start: middle, end: middle + 1e-3 }, fps)?;
    let mut stretch = STRETCH_S;
    loop {
        let all = stretch * PLACES.len() as f64 >= span.duration() / 4.0;
        let stretch_s = if all { span.duration() / 4.0 / PLACES.len() as f64 } else { stretch };
        let (mut spent, mut frames, mut rate) = (0.0, 0, 0.0);
        for place in PLACES {
            let from = span.start + place * span.duration();
            let part = decoding(video, Span { start: from, end: from + stretch_s }, fps)?;
            (spent, frames, rate) = (spent + part.0, frames + part.1, part.2);
        }
        if spent >= LONG_ENOUGH_S || all {
            // A part is decoded from the key frame before it on, so frames are counted rather than seconds.
            let parts = PLACES.len() as u64;
            let more = frames.saturating_sub(parts * start.1);
            let per_frame = match more {
                0..FEW_FRAMES => spent / frames.max(1) as f64,
                _ => (spent - parts as f64 * start.0).max(0.0) / more as f64,
            };
            return Ok(per_frame * rate);
        }
        stretch *= 2.0;
    }
}

/// Seconds spent, frames decoded for it, and the video's frames per second.
fn decoding(video: &Feed, span: Span, fps: f64) -> Result<(f64, u64, f64), DecodeError> {
    let rate = video.info().frame_rate.unwrap_or(USUAL_RATE);
    let sampling = Sampling::Fps { fps, max_frames: None };
    let request = Request { from: Some(span.start), to: Some(span.end), ..Request::new(sampling) };
    let (begun, before) = (Meter::start(), video.spent_apart());
    let mut stream = video.stream(&request)?;
    stream.by_ref().for_each(drop);
    let report = stream.finish()?;
    let apart = video.spent_apart().saturating_sub(before).as_secs_f64() / Limits::default().cores() as f64;
    Ok((begun.shared() + apart, report.frames_decoded, rate))
}

/// Resident memory of a process, where the system tells it.
fn resident_bytes(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}
