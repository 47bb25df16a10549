//! `longsight bench decode`.

use super::super::failure::{Failure, Kind, Result};
use super::super::frames::{parse_rate, parse_size};
use super::super::{Context, output};
use crate::bench::decode::{self, BenchError};
use crate::decode::{Limits, Request, Sampling, Size};
use std::path::PathBuf;

/// Arguments of `longsight bench decode`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Video file
    video: PathBuf,
    /// Frames per second; above the video's own rate, every frame
    #[arg(long, default_value = "2", value_parser = parse_rate)]
    fps: f64,
    /// This many frames, from the middles of equal parts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "fps")]
    uniform: Option<u64>,
    /// Size of the pictures; the largest of the video's shape that fits
    #[arg(long, value_name = "WxH", value_parser = parse_size)]
    size: Option<(u32, u32)>,
    /// Timed runs
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Decoder threads; 0 takes one for each core
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

pub(super) fn run(args: &Args, context: &Context) -> Result {
    let sampling = match args.uniform {
        Some(count) => Sampling::Uniform { count },
        None => Sampling::Fps { fps: args.fps, max_frames: None },
    };
    let request = Request {
        size: args.size.map_or(Size::Native, |(width, height)| Size::Fit { width, height }),
        limits: Limits { threads: args.threads, ..context.decoder.limits() },
        ..Request::new(sampling)
    };
    let outcome = decode::run(&args.video, &request, args.runs as usize).map_err(|error| match error {
        BenchError::Decode(error) => error.into(),
        BenchError::Wrong { .. } => Failure::new(Kind::Internal, format!("{}: {error}", args.video.display())),
    })?;
    if context.json {
        return output::json(&outcome);
    }
    output::text(&format!(
        "{} frames of {}x{} ({} decoded) in {:.3} s: {:.1} frames a second, {:.1} x real time",
        outcome.frames,
        outcome.width,
        outcome.height,
        outcome.frames_decoded,
        outcome.seconds,
        outcome.fps,
        outcome.speed
    ));
    Ok(())
}
