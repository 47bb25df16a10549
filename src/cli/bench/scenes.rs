//! `longsight bench scenes`.

use super::super::failure::{Failure, Kind, Result};
use super::super::scenes::Detection;
use super::super::{Context, output};
use crate::bench::scenes::{self, BenchError};
use crate::decode::Limits;
use crate::recipe::Options;
use std::path::PathBuf;

/// Arguments of `longsight bench scenes`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Video file
    video: PathBuf,
    #[command(flatten)]
    detection: Detection,
    /// Timed runs
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Decoder threads; 0 takes one for each core
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

pub(super) fn run(args: &Args, context: &Context) -> Result {
    let limits = Limits { threads: args.threads, ..context.decoder.limits() };
    let detector = args.detection.detector(&Options::default())?;
    let outcome =
        scenes::run(&args.video, detector.as_ref(), &limits, args.runs as usize).map_err(|error| match error {
            BenchError::Decode(error) => error.into(),
            BenchError::Wrong { .. } => Failure::new(Kind::Internal, format!("{}: {error}", args.video.display())),
        })?;
    if context.json {
        return output::json(&outcome);
    }
    output::text(&format!(
        "{} scenes in {} frames in {:.3} s: {:.1} frames a second, {:.1} x real time",
        outcome.scenes, outcome.frames, outcome.seconds, outcome.fps, outcome.speed
    ));
    Ok(())
}
