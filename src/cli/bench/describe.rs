//! `longsight bench describe`.

use super::super::ask::{ModelArgs, ReadingArgs};
use super::super::failure::{Failure, Kind, Result};
use super::super::{Context, output};
use super::share;
use super::world::split;
use crate::bench::{self, DescribeBench};
use crate::run::Cancel;
use longsight_world::dice::Split;

/// Arguments of `longsight bench describe`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Which seeds: training has never seen those held out
    #[arg(long, default_value = "held-out", value_parser = split)]
    split: Split,
    /// The first seed
    #[arg(long, default_value_t = 7_000_000)]
    seed: u64,
    /// How many clips
    #[arg(long, default_value_t = 100)]
    clips: u64,
    /// Shortest clip in seconds
    #[arg(long, default_value_t = 10.0)]
    seconds_min: f64,
    /// Longest clip in seconds
    #[arg(long, default_value_t = 60.0)]
    seconds_max: f64,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    reading: ReadingArgs,
}

pub(super) fn run(args: &Args, context: &Context, cancel: &Cancel) -> Result {
    let model = args.model.load()?;
    let bench = DescribeBench {
        split: args.split,
        seed: args.seed,
        clips: args.clips,
        seconds: (args.seconds_min, args.seconds_max),
        options: args.reading.options()?,
    };
    let mut told = |done| output::note(context, &format!("{done} of {} clips", args.clips));
    let report = bench::describe(&model, &bench, cancel, &mut told)
        .map_err(|error| Failure::new(Kind::Internal, format!("{error:#}")))?;
    if context.json {
        return output::json(&report);
    }
    output::text(&format!("{} clips; 95 % intervals in brackets", report.clips));
    output::text(&format!("scenes described word for word: {}", share(&report.exact)));
    output::text(&format!("of what happens, told:          {}", share(&report.told)));
    output::text(&format!("of what is told, true:          {}", share(&report.holds)));
    output::text(&format!("a clip takes {:.2} s", report.seconds));
    Ok(())
}
