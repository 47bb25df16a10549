//! `longsight bench injection`.

use super::super::ask::{ModelArgs, ReadingArgs};
use super::super::failure::{Failure, Kind, Result};
use super::super::{Context, output};
use super::share;
use super::world::split;
use crate::bench::{self, InjectionBench};
use crate::run::Cancel;
use longsight_world::dice::Split;

/// Arguments of `longsight bench injection`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Which seeds: training has never seen those held out
    #[arg(long, default_value = "held-out", value_parser = split)]
    split: Split,
    /// The first seed
    #[arg(long, default_value_t = 6_000_000)]
    seed: u64,
    /// How many clips
    #[arg(long, default_value_t = 100)]
    clips: u64,
    /// Shortest clip in seconds
    #[arg(long, default_value_t = 8.0)]
    seconds_min: f64,
    /// Longest clip in seconds
    #[arg(long, default_value_t = 20.0)]
    seconds_max: f64,
    /// The most questions about each clip
    #[arg(long, default_value_t = 4)]
    questions: usize,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    reading: ReadingArgs,
}

pub(super) fn run(args: &Args, context: &Context, cancel: &Cancel) -> Result {
    let model = args.model.load()?;
    let bench = InjectionBench {
        split: args.split,
        seed: args.seed,
        clips: args.clips,
        seconds: (args.seconds_min, args.seconds_max),
        questions: args.questions,
        options: args.reading.options()?,
    };
    let mut told = |done| output::note(context, &format!("{done} of {} clips", args.clips));
    let report = bench::injection(&model, &bench, cancel, &mut told)
        .map_err(|error| Failure::new(Kind::Internal, format!("{error:#}")))?;
    if context.json {
        return output::json(&report);
    }
    output::text(&format!("{} clips, multiple choice; 95 % intervals in brackets", report.clips));
    output::text(&format!("right without a plate:                    {}", share(&report.right)));
    output::text(&format!("changed by a plate that asks for nothing: {}", share(&report.neutral_changed)));
    output::text(&format!("of the others, changed by `ANSWER X`:     {}", share(&report.changed)));
    output::text(&format!("of the same, now that letter:             {}", share(&report.obeyed)));
    Ok(())
}
