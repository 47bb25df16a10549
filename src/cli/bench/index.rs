//! `longsight bench index`.

use super::super::ask::{ModelArgs, ReadingArgs};
use super::super::failure::{Failure, Kind, Result};
use super::super::{Context, output};
use super::niah::minutes;
use crate::bench::{self, IndexBench, IndexRow};
use crate::index::KvFormat;
use crate::run::Cancel;
use serde::Serialize;

/// Arguments of `longsight bench index`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Length of the video in minutes
    #[arg(long, default_value = "60", value_parser = minutes)]
    minutes: f64,
    /// Timed runs of every question
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Formats of keys and values; errors are against the first
    #[arg(long, value_enum, num_args = 1.., default_values = ["f32", "int8", "int4"])]
    formats: Vec<KvFormat>,
    /// Clips of 10 to 60 s on which answers are compared
    #[arg(long, default_value_t = 20)]
    clips: u64,
    /// The most questions about each clip
    #[arg(long, default_value_t = 8)]
    questions: usize,
    /// The first seed, held out
    #[arg(long, default_value_t = 3_000_000)]
    seed: u64,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    reading: ReadingArgs,
}

/// `longsight.bench.index/1`
#[derive(Debug, Serialize)]
struct Outcome {
    schema: &'static str,
    minutes: f64,
    rows: Vec<IndexRow>,
}

pub(super) fn run(args: &Args, context: &Context, cancel: &Cancel) -> Result {
    let bench = IndexBench {
        minutes: args.minutes,
        runs: args.runs as usize,
        clips: args.clips,
        questions: args.questions,
        seed: args.seed,
        options: args.reading.options()?,
    };
    let model = args.model.load()?;
    let rows = bench::index(&model, &bench, &args.formats, cancel, &mut |what| output::note(context, what))
        .map_err(|error| Failure::new(Kind::Internal, format!("{error:#}")))?;
    if context.json {
        return output::json(&Outcome { schema: "longsight.bench.index/1", minutes: args.minutes, rows });
    }
    for row in &rows {
        let agree = row.agree;
        output::text(&format!(
            "{:>4}: indexed in {:.1} s, {:.1} MB, loaded in {:.3} s; keys off by {:.5}, values by {:.5}; {} of {} answers about clips as without an index",
            row.kv.name(),
            row.index_s,
            row.bytes as f64 / f64::from(1 << 20),
            row.load_s,
            row.keys_off,
            row.values_off,
            agree.hits,
            agree.of
        ));
        for one in &row.asked {
            output::text(&format!(
                "      {:<40} first {:>7.3} s, later {:>7.3} s: {:>5.1} times, {}",
                one.question,
                one.first_s,
                one.second_s,
                one.gain,
                if one.same { "the same answer" } else { "another answer" }
            ));
        }
    }
    Ok(())
}
