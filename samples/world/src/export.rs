//! Seeds -> what a model is trained on: sampled frames that went through the codec, and questions.
//!
//! Frames lie as raw RGB bytes `[n, height, width, 3]` in `frames.u8`, clip after clip; `clips.jsonl` has a line for each clip.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::dice::{Dice, Split};
use crate::media::{Decoder, EncodeOptions, Encoder, MediaError};
use crate::questions::{Kind, Question, ask, captions, prompt_text};
use crate::render::{Renderer, Style};
use crate::script::{Scene, Script, Span, Wishes};

/// The stream of choices encoding is drawn from.
const PURPOSE: u8 = 2;
/// Shorter sides in pixels that clips are filmed at.
const SIDES: [u32; 6] = [96, 96, 112, 128, 160, 256];
/// Pictures a second.
const RATES: [u32; 3] = [6, 8, 10];
/// Presets of x264.
const PRESETS: [&str; 4] = ["ultrafast", "superfast", "ultrafast", "veryfast"];
/// Clips in flight for each thread: 64 frames of 96x96 are 1.8 MB, so this is some 30 MB a thread.
const CLIPS_A_THREAD: usize = 16;

/// What to export.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// Which seeds.
    pub split: Split,
    /// The first seed; clip `i` has seed `seed + i`.
    pub seed: u64,
    /// How many clips.
    pub clips: u64,
    /// How long they are.
    pub wishes: Wishes,
    /// Clips of a second that always have a sign ([`Script::board`]), whatever the wishes.
    pub boards: bool,
    /// Questions for each clip, at most.
    pub questions: usize,
    /// Width and height of the exported frames in pixels.
    pub size: (u32, u32),
    /// Widths over heights that clips are filmed at, one drawn for each; a frame need not have the ratio of its film, as what a
    /// model makes of a film of 16:9 mostly has not.
    pub ratios: Vec<f64>,
    /// Frames a second, where the clip is short enough for it.
    pub sample_fps: f64,
    /// Most frames of a clip.
    pub max_frames: usize,
    /// Threads.
    pub jobs: usize,
}

/// A line of `clips.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
pub struct ClipLine {
    /// Number of its first frame in `frames.u8`.
    pub offset: u64,
    /// How many frames it has.
    pub frames: usize,
    /// Width and height of its frames in pixels.
    pub size: (u32, u32),
    /// The time of each frame, in seconds: that of the decoded frame.
    pub times: Vec<f64>,
    /// Length of the clip in seconds.
    pub duration: f64,
    /// Its seed.
    pub seed: u64,
    /// What happens, for training that looks at single frames.
    pub scenes: Vec<Scene>,
    /// What to ask.
    pub questions: Vec<ExportedQuestion>,
    /// What to ask of each scene by itself.
    pub captions: Vec<ExportedQuestion>,
}

/// A question as a model is trained on it.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExportedQuestion {
    /// What it asks for.
    pub kind: Kind,
    /// See [`prompt_text`].
    pub prompt: String,
    /// The right answer.
    pub answer: String,
    /// When it can be seen.
    pub spans: Vec<Span>,
}

/// Why an export stopped.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A clip could not be encoded or decoded.
    #[error("clip of seed {seed}")]
    Clip {
        /// Which.
        seed: u64,
        /// Why.
        source: MediaError,
    },
    /// A frame could not be resized.
    #[error("cannot resize a frame of seed {seed} to {} x {} pixels", size.0, size.1)]
    Resize {
        /// Which clip.
        seed: u64,
        /// To what.
        size: (u32, u32),
    },
    /// Threads could not be started.
    #[error("cannot start threads")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// A file could not be written.
    #[error("cannot write {path}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Writes `frames.u8` and `clips.jsonl` into `folder`; `done` hears the number of clips written so far.
///
/// # Errors
/// Where a clip cannot be made or a file not be written.
pub fn export(folder: &Path, options: &ExportOptions, mut done: impl FnMut(u64)) -> Result<(), ExportError> {
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| ExportError::File { path, source }
    };
    std::fs::create_dir_all(folder).map_err(file(folder))?;
    let (frames_path, lines_path) = (folder.join("frames.u8"), folder.join("clips.jsonl"));
    let mut frames = BufWriter::new(File::create(&frames_path).map_err(file(&frames_path))?);
    let mut lines = BufWriter::new(File::create(&lines_path).map_err(file(&lines_path))?);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.jobs).build()?;
    let batch = (options.jobs.max(1) * CLIPS_A_THREAD) as u64;
    let mut offset = 0;
    let mut written = 0;
    while written < options.clips {
        let seeds = options.seed + written..options.seed + options.clips.min(written + batch);
        let filmed: Result<Vec<_>, _> =
            pool.install(|| seeds.into_par_iter().map(|seed| film(seed, options)).collect());
        for (mut line, pixels) in filmed? {
            line.offset = offset;
            offset += line.frames as u64;
            frames.write_all(&pixels).map_err(file(&frames_path))?;
            serde_json::to_writer(&mut lines, &line).map_err(io::Error::from).map_err(file(&lines_path))?;
            lines.write_all(b"\n").map_err(file(&lines_path))?;
            written += 1;
        }
        done(written);
    }
    frames.flush().map_err(file(&frames_path))?;
    lines.flush().map_err(file(&lines_path))
}

/// The line, its offset still 0, and the pixels of one clip.
fn film(seed: u64, options: &ExportOptions) -> Result<(ClipLine, Vec<u8>), ExportError> {
    let script = if options.boards {
        Script::board(options.split, seed)
    } else {
        Script::write(options.split, seed, &options.wishes)
    };
    let encoding = encoding(&script, &options.ratios);
    let times = sample_times(script.duration, options.sample_fps, options.max_frames);
    let shown = sampled(&script, &encoding, &times).map_err(|source| ExportError::Clip { seed, source })?;
    let mut pixels = Vec::with_capacity(shown.len() * (options.size.0 * options.size.1 * 3) as usize);
    for (_, picture) in &shown {
        let size = options.size;
        if picture.dimensions() == size {
            pixels.extend_from_slice(picture.as_raw());
        } else {
            pixels.extend(resized(picture, size).ok_or(ExportError::Resize { seed, size })?);
        }
    }
    let exported = |questions: Vec<Question>| {
        let one = |question: Question| ExportedQuestion {
            kind: question.kind,
            prompt: prompt_text(&question),
            answer: question.answer,
            spans: question.spans,
        };
        questions.into_iter().map(one).collect()
    };
    let line = ClipLine {
        offset: 0,
        frames: shown.len(),
        size: options.size,
        times: shown.iter().map(|(time, _)| *time).collect(),
        duration: script.duration,
        seed,
        questions: exported(ask(&script, options.questions)),
        captions: exported(captions(&script)),
        scenes: script.scenes,
    };
    Ok((line, pixels))
}

/// An encoding drawn from the clip's seed.
fn encoding(script: &Script, ratios: &[f64]) -> EncodeOptions {
    let mut dice = Dice::new(script.split, script.seed, PURPOSE);
    let side = *dice.pick(&SIDES);
    let (rate, crf) = ((*dice.pick(&RATES), 1), dice.between(16, 36) as u32);
    let (preset, gop) = ((*dice.pick(&PRESETS)).to_owned(), *dice.pick(&[25, 50, 250]));
    let ratio = if ratios.is_empty() { 1.0 } else { *dice.pick(ratios) };
    let even = |length: f64| (length / 2.0).round() as u32 * 2;
    let (width, height) = (even(f64::from(side) * ratio.max(1.0)), even(f64::from(side) / ratio.min(1.0)));
    EncodeOptions { width, height, rate, crf, preset, gop }
}

/// `k / f` for `f` = `fps`, or less where the clip would give more than `most` frames.
pub fn sample_times(duration: f64, fps: f64, most: usize) -> Vec<f64> {
    let fps = fps.min(most as f64 / duration);
    // The rounding of the product must not add a frame.
    let count = ((duration * fps - 1e-6).ceil().max(1.0) as usize).min(most);
    (0..count).map(|frame| frame as f64 / fps).collect()
}

/// Encodes and decodes the clip; for each of `times` the frame being shown then, and that frame's own time.
///
/// # Errors
/// What the encoder or decoder returns.
pub fn sampled(script: &Script, encoding: &EncodeOptions, times: &[f64]) -> Result<Vec<(f64, RgbImage)>, MediaError> {
    let style = Style::drawn(script.split, script.seed);
    let renderer = Renderer::styled(script, encoding.width, encoding.height, style);
    let mut encoder = Encoder::open(encoding, false)?;
    let mut decoder = Decoder::open()?;
    let mut found = Vec::with_capacity(times.len());
    let last = encoding.pictures(script.duration).saturating_sub(1);
    // The pictures that are shown at the wanted times: the last ones that have begun.
    let wanted: Vec<u32> = times
        .iter()
        .map(|time| {
            let begun = time * f64::from(encoding.rate.0) / f64::from(encoding.rate.1) + 1e-6;
            (begun as u32).min(last)
        })
        .collect();
    let mut keep = |decoder: &mut Decoder, frame: ffmpeg_next::frame::Video| {
        let number = frame.pts().unwrap_or(0) as u32;
        let times = wanted.iter().filter(|&&wanted| wanted == number).count();
        if times > 0 {
            let picture = decoder.picture(&frame)?;
            found.extend(std::iter::repeat_n((encoding.time(number), picture), times));
        }
        Ok(())
    };
    for picture in 0..=last {
        encoder.push(&renderer.picture(encoding.time(picture)), |packet| decoder.push(packet, &mut keep))?;
    }
    encoder.finish(|packet| decoder.push(packet, &mut keep))?;
    decoder.finish(&mut keep)?;
    Ok(found)
}

/// The picture as `size` pixels, by bicubic convolution (Catmull-Rom), as the product does.
fn resized(picture: &RgbImage, size: (u32, u32)) -> Option<Vec<u8>> {
    let (width, height) = picture.dimensions();
    let mut pixels = vec![0; (size.0 * size.1 * 3) as usize];
    // The typed call: the untyped one would build kernels for every pixel type into this crate.
    let from = TypedImageRef::<U8x3>::from_buffer(width, height, picture.as_raw()).ok()?;
    let mut to = TypedImage::<U8x3>::from_buffer(size.0, size.1, &mut pixels).ok()?;
    let how = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
    Resizer::new().resize_typed(&from, &mut to, &how).ok()?;
    Some(pixels)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop")]

    use super::*;

    #[test]
    fn sample_times_keep_to_the_rate_and_to_the_most() {
        assert_eq!(sample_times(2.0, 2.0, 64), [0.0, 0.5, 1.0, 1.5]);
        assert_eq!(sample_times(2.2, 2.0, 64).len(), 5);
        for duration in [10.5, 33.0, 60.0, 59.5] {
            let times = sample_times(duration, 2.0, 64);
            assert!(times.len() <= 64 && times.iter().all(|&time| time < duration));
            assert!(duration <= 32.0 || times.len() == 64, "{duration} {}", times.len());
        }
    }

    #[test]
    fn exported_frames_show_the_script_at_their_times() {
        for (size, ratios) in [((96, 96), vec![]), ((128, 64), vec![2.0]), ((64, 96), vec![2.0 / 3.0])] {
            shows_the_script(size, ratios);
        }
    }

    fn shows_the_script(size: (u32, u32), ratios: Vec<f64>) {
        let (width, height) = size;
        let bytes = (width * height * 3) as usize;
        let folder = tempfile::tempdir().unwrap();
        let options = ExportOptions {
            split: Split::HeldOut,
            seed: 40,
            clips: 20,
            wishes: Wishes { shortest: 2.0, longest: 40.0 },
            boards: false,
            questions: 4,
            size,
            ratios,
            sample_fps: 2.0,
            max_frames: 64,
            jobs: 2,
        };
        let mut heard = 0;
        export(folder.path(), &options, |written| heard = written).unwrap();
        assert_eq!(heard, 20);
        let pixels = std::fs::read(folder.path().join("frames.u8")).unwrap();
        let lines = std::fs::read_to_string(folder.path().join("clips.jsonl")).unwrap();
        let lines: Vec<ClipLine> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut offset = 0;
        for (line, seed) in lines.iter().zip(options.seed..) {
            assert_eq!((line.seed, line.offset, line.times.len()), (seed, offset, line.frames));
            let script = Script::write(options.split, seed, &options.wishes);
            let renderer = Renderer::styled(&script, width, height, Style::drawn(options.split, seed));
            for (frame, &time) in pixels.chunks(bytes).skip(offset as usize).zip(&line.times) {
                let drawn = renderer.picture(time);
                let difference: u64 = drawn.iter().zip(frame).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
                // What the codec, the resizing and film grain change at worst; another scene or object would be far more.
                let grain = script.scenes.iter().map(|scene| u64::from(scene.grain)).max().unwrap_or(0);
                assert!(difference < (8 + grain) * bytes as u64, "seed {seed} at {time}: {difference}");
            }
            offset += line.frames as u64;
        }
        assert_eq!(pixels.len() as u64, offset * bytes as u64);
    }
}
