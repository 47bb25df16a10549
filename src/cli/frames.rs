//! `longsight frames`: which frames a run looks at, with their exact times, and as pictures.

use super::failure::{Failure, Kind, Result};
use super::handover::put;
use super::time::format_time;
use super::video::Input;
use super::{Context, output, parse_time, wait};
use crate::decode::{DecodeReport, Feed, FrameFacts, Limits, Request, Sampling, Size, VideoFacts};
use crate::run::Cancel;
use crate::sample::{self, Wishes};
use clap::ArgMatches;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use image::codecs::jpeg::JpegEncoder;
use image::{ImageEncoder, RgbImage};
use longsight_models::Frame;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// JPEG quality of written frames.
const JPEG_QUALITY: u8 = 92;

const EXAMPLES: &str = "Examples:
  longsight frames talk.mp4                          what a run looks at: 2 frames a second
  longsight frames talk.mp4 --fps 100000 --json      every frame, as JSON
  longsight frames talk.mp4 --at 1:30,95.5 --out .   two frames as PNG
  longsight frames talk.mp4 --from 1:00 --to 2:00 --uniform 8 --size 640x360 --out frames --format jpeg";

/// Arguments of `longsight frames`.
#[derive(Debug, Clone, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(super) struct Args {
    /// Video file, or - to read a pipe
    video: PathBuf,
    /// Frames per second; above the video's own rate, every frame once
    #[arg(long, value_parser = parse_rate, env = "LONGSIGHT_FPS")]
    fps: Option<f64>,
    /// Frames at most, spread over the whole range
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), env = "LONGSIGHT_MAX_FRAMES")]
    max_frames: Option<u64>,
    /// This many frames, from the middles of equal parts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    uniform: Option<u64>,
    /// The frames shown at these times
    #[arg(long, value_name = "T,...", value_delimiter = ',', value_parser = parse_time,
          conflicts_with_all = ["uniform", "from", "to"])]
    at: Vec<f64>,
    /// Start here
    #[arg(long, value_name = "T", value_parser = parse_time)]
    from: Option<f64>,
    /// End before here
    #[arg(long, value_name = "T", value_parser = parse_time)]
    to: Option<f64>,
    /// Size of the pictures; the largest of the video's shape that fits, never enlarged
    #[arg(long, value_name = "WxH", value_parser = parse_size)]
    size: Option<(u32, u32)>,
    /// Write the frames to this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Of the written frames
    #[arg(long, value_enum, default_value_t = Format::Png, requires = "out")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Png,
    Jpeg,
}

/// The result: schema `longsight.frames/1`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct Listing {
    schema: &'static str,
    video: VideoFacts,
    frames: Vec<Entry>,
    coverage: Coverage,
    plan: Plan,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Entry {
    index: u64,
    pts: i64,
    time_base: String,
    time_s: f64,
    width: u32,
    height: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Coverage {
    from: f64,
    to: f64,
    frames_decoded: u64,
    frames_seen: u64,
    max_gap_s: f64,
}

/// The flags that made the result.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Plan {
    fps: Option<f64>,
    max_frames: Option<u64>,
    uniform: Option<u64>,
    at: Vec<f64>,
    from: Option<f64>,
    to: Option<f64>,
    size: Option<(u32, u32)>,
}

impl Args {
    /// Lets the flags that choose frames otherwise win over the environment's rate and number; with those given as flags they do not go
    /// together. The parser takes both for the same.
    pub(super) fn settle(&mut self, given: &ArgMatches) -> std::result::Result<(), clap::Error> {
        let chosen = if self.uniform.is_some() { "--uniform <N>" } else { "--at <T,...>" };
        if self.uniform.is_none() && self.at.is_empty() {
            return Ok(());
        }
        for (name, flag) in [("fps", "--fps <FPS>"), ("max_frames", "--max-frames <N>")] {
            if given.value_source(name) == Some(ValueSource::CommandLine) {
                let message = format!("the argument '{chosen}' cannot be used with '{flag}'\n");
                return Err(clap::Error::raw(ErrorKind::ArgumentConflict, message));
            }
        }
        (self.fps, self.max_frames) = (None, None);
        Ok(())
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result {
    let (args, context) = (args.clone(), context.clone());
    wait::run(None, move |cancel| show(&args, &context, &cancel))
}

fn show(args: &Args, context: &Context, cancel: &Cancel) -> Result {
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from >= to
    {
        return Err(Failure::new(Kind::Usage, format!("--from {from} is not before --to {to}")));
    }
    let limits = context.decoder.limits();
    let input = Input::open(&args.video, &limits)?;
    let facts = input.facts()?;
    let request = Request { cancel: Some(cancel.flag()), ..request(args, &input, limits) };
    let (entries, report) = match &args.out {
        None => {
            let (frames, report) = input.video.list(&request)?;
            (frames.iter().map(|frame| Entry::new(frame, None)).collect(), report)
        }
        Some(folder) => write_frames(&input.video, &request, folder, args.format)?,
    };
    if entries.is_empty() {
        let (from, to) = (format_time(report.coverage.start), format_time(report.coverage.end));
        return Err(Failure::new(Kind::Usage, format!("{}: no frame is shown there", args.video.display()))
            .hint(format!("the video was read from {from} to {to}; check --from and --to")));
    }
    for warning in &report.warnings {
        output::note(context, &format!("longsight: {}: {warning}", args.video.display()));
    }
    if context.json {
        return output::json(&Listing::new(args, &request, facts, entries, &report));
    }
    print_table(&entries);
    output::note(
        context,
        &format!(
            "{} of {} decoded frames, {} to {}, at most {:.3} s apart",
            report.frames_yielded,
            report.frames_decoded,
            format_time(report.coverage.start),
            format_time(report.coverage.end),
            report.max_gap_s
        ),
    );
    Ok(())
}

fn request(args: &Args, input: &Input, limits: Limits) -> Request {
    let wishes = Wishes { fps: args.fps, max_frames: args.max_frames, from: args.from, to: args.to };
    let sampling = match args.uniform {
        Some(count) => Sampling::Uniform { count },
        None if args.at.is_empty() => sample::plan(input.video.info(), &wishes).sampling,
        None => Sampling::Times(args.at.clone()),
    };
    let size = args.size.map_or(Size::Native, |(width, height)| Size::Fit { width, height });
    Request { sampling, from: args.from, to: args.to, size, limits, cancel: None }
}

fn write_frames(video: &Feed, request: &Request, folder: &Path, format: Format) -> Result<(Vec<Entry>, DecodeReport)> {
    let cannot = |path: &Path, error: &std::io::Error| Failure::unwritable(path, error, "--out");
    std::fs::create_dir_all(folder).map_err(|error| cannot(folder, &error))?;
    let mut stream = video.stream(request)?;
    let mut entries = Vec::new();
    for frame in &mut stream {
        let name = format!("{:06}-{:.3}s.{}", frame.index, frame.time.seconds(), format.extension());
        let path = folder.join(&name);
        put(&path, &format.encoded(&frame.image)?, "--out")?;
        entries.push(Entry::of(&frame, name));
    }
    Ok((entries, stream.finish()?))
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
        }
    }

    fn encoded(self, image: &RgbImage) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let (width, height, color) = (image.width(), image.height(), image::ExtendedColorType::Rgb8);
        let encoded = match self {
            Self::Png => image::codecs::png::PngEncoder::new(&mut bytes).write_image(image, width, height, color),
            Self::Jpeg => {
                JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY).write_image(image, width, height, color)
            }
        };
        encoded.map_err(|error| Failure::new(Kind::Internal, error))?;
        Ok(bytes)
    }
}

impl Entry {
    fn new(frame: &FrameFacts, file: Option<String>) -> Self {
        Self {
            index: frame.index,
            pts: frame.time.pts,
            time_base: frame.time.base.to_string(),
            time_s: frame.time.seconds(),
            width: frame.width,
            height: frame.height,
            file,
        }
    }

    fn of(frame: &Frame, file: String) -> Self {
        let (width, height) = frame.image.dimensions();
        Self::new(&FrameFacts { index: frame.index, time: frame.time, width, height }, Some(file))
    }
}

impl Listing {
    fn new(args: &Args, request: &Request, video: VideoFacts, frames: Vec<Entry>, report: &DecodeReport) -> Self {
        let (fps, max_frames) = match request.sampling {
            Sampling::Fps { fps, max_frames } => (Some(fps), max_frames),
            _ => (None, None),
        };
        Self {
            schema: "longsight.frames/1",
            video,
            frames,
            coverage: Coverage {
                from: report.coverage.start,
                to: report.coverage.end,
                frames_decoded: report.frames_decoded,
                frames_seen: report.frames_yielded,
                max_gap_s: report.max_gap_s,
            },
            plan: Plan {
                fps,
                max_frames,
                uniform: args.uniform,
                at: args.at.clone(),
                from: args.from,
                to: args.to,
                size: args.size,
            },
            warnings: report.warnings.iter().map(ToString::to_string).collect(),
        }
    }
}

fn print_table(entries: &[Entry]) {
    output::text(&format!("{:>8}  {:>14}  {:>14}  {:>12}  size", "frame", "time", "pts", "time base"));
    for entry in entries {
        let time = format_time(entry.time_s);
        let size = format!("{}x{}", entry.width, entry.height);
        let file = entry.file.as_ref().map_or(String::new(), |file| format!("  {file}"));
        output::text(&format!(
            "{:>8}  {time:>14}  {:>14}  {:>12}  {size}{file}",
            entry.index, entry.pts, entry.time_base
        ));
    }
}

pub(super) fn parse_rate(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err(format!("`{text}` is no rate; write a number above 0, such as 2 or 0.5")),
    }
}

/// Reads `640x360`.
pub(super) fn parse_size(text: &str) -> std::result::Result<(u32, u32), String> {
    let side = |text: &str| text.parse::<u32>().ok().filter(|side| (1..=16_384).contains(side));
    text.split_once('x')
        .and_then(|(width, height)| Some((side(width)?, side(height)?)))
        .ok_or_else(|| format!("`{text}` is no size; write 640x360, sides from 1 to 16384"))
}
