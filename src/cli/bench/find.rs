//! `longsight bench find`.

use super::super::ask::{ModelArgs, ReadingArgs};
use super::super::failure::{Failure, Kind, Result};
use super::super::{Context, output};
use super::world::split;
use super::{minutes, share};
use crate::bench::{self, FindBench};
use crate::run::Cancel;
use longsight_world::dice::Split;

/// Arguments of `longsight bench find`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Which seeds: training has never seen those held out
    #[arg(long, default_value = "held-out", value_parser = split)]
    split: Split,
    /// The first seed
    #[arg(long, default_value_t = 5_000_000)]
    seed: u64,
    /// How many videos, of which no two have the same sign
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100))]
    videos: u64,
    /// Length of each in minutes, at least a half
    #[arg(long, default_value_t = 1.0, value_parser = minutes)]
    minutes: f64,
    /// How many of the moments are searched for in all videos
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=100))]
    queries: u64,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    reading: ReadingArgs,
}

pub(super) fn run(args: &Args, context: &Context, cancel: &Cancel) -> Result {
    let model = args.model.load()?;
    let bench = FindBench {
        split: args.split,
        seed: args.seed,
        videos: args.videos as usize,
        minutes: args.minutes,
        queries: args.queries as usize,
        options: args.reading.options()?,
    };
    let report = bench::find(&model, &bench, cancel, &mut |what| output::note(context, what))
        .map_err(|error| Failure::new(Kind::Internal, format!("{error:#}")))?;
    if context.json {
        return output::json(&report);
    }
    output::text(&format!("{} videos of {} min; 95 % intervals in brackets", report.videos, args.minutes));
    output::text(&format!("the right one comes first: {}", share(&report.first)));
    output::text(&format!("its moment in its place:   {}", share(&report.placed)));
    output::text(&format!("reading a video {:.2} s, searching it {:.3} s", report.read_s, report.search_s));
    for one in &report.missed {
        let first = one.first.map_or_else(|| "none".to_owned(), |first| first.to_string());
        let (right, best) = one.scores;
        output::text(&format!("  {}: {first} ({best:.3}) before {} ({right:.3})", one.query, one.right));
    }
    Ok(())
}
