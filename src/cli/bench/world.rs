//! `longsight bench world`.

use super::super::ask::{ModelArgs, ReadingArgs};
use super::super::failure::{Failure, Kind, Result};
use super::super::frames::parse_size;
use super::super::{Context, output};
use crate::bench::{self, Share, Timed, WorldBench, WorldReport};
use crate::run::Cancel;
use longsight_world::dice::Split;
use longsight_world::media::EncodeOptions;

/// Arguments of `longsight bench world`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Which seeds: training has never seen those held out
    #[arg(long, default_value = "held-out", value_parser = split)]
    split: Split,
    /// The first seed
    #[arg(long, default_value_t = 1_000_000)]
    seed: u64,
    /// How many clips
    #[arg(long, default_value_t = 200)]
    clips: u64,
    /// Shortest clip in seconds
    #[arg(long, default_value_t = 10.0)]
    seconds_min: f64,
    /// Longest clip in seconds
    #[arg(long, default_value_t = 60.0)]
    seconds_max: f64,
    /// The most questions about each clip
    #[arg(long, default_value_t = 12)]
    questions: usize,
    /// Width and height that the clips are filmed at, in pixels
    #[arg(long, value_name = "WxH", value_parser = parse_size, default_value = "320x320")]
    film: (u32, u32),
    /// Pictures a second that they are filmed at
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=120))]
    film_fps: u32,
    /// x264's constant rate factor: 0 to 51, less is better
    #[arg(long, default_value_t = 23, value_parser = clap::value_parser!(u32).range(0..=51))]
    film_crf: u32,
    /// Leave out the blind baseline
    #[arg(long)]
    no_blind: bool,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    reading: ReadingArgs,
}

pub(super) fn split(text: &str) -> std::result::Result<Split, String> {
    match text {
        "held-out" => Ok(Split::HeldOut),
        "train" => Ok(Split::Train),
        _ => Err("a split is held-out or train".to_owned()),
    }
}

pub(super) fn run(args: &Args, context: &Context, cancel: &Cancel) -> Result {
    let model = args.model.load()?;
    let bench = WorldBench {
        split: args.split,
        seed: args.seed,
        clips: args.clips,
        seconds: (args.seconds_min, args.seconds_max),
        questions: args.questions,
        film: EncodeOptions {
            width: args.film.0 & !1,
            height: args.film.1 & !1,
            rate: (args.film_fps, 1),
            crf: args.film_crf,
            preset: "veryfast".to_owned(),
            ..EncodeOptions::default()
        },
        blind: !args.no_blind,
        options: args.reading.options()?,
    };
    let report = bench::world(&model, &bench, cancel, &mut |done| {
        if done % 10 == 0 {
            output::note(context, &format!("{done} of {} clips", args.clips));
        }
    })
    .map_err(|error| Failure::new(Kind::Internal, format!("{error:#}")))?;
    if context.json { output::json(&report) } else { print(&report) }
}

fn print(report: &WorldReport) -> Result {
    let share =
        |share: &Share| format!("{:5.1} % ({:.1} - {:.1})", share.share * 100.0, share.low * 100.0, share.high * 100.0);
    output::text(&format!("{} clips; 95 % intervals in brackets", report.clips));
    output::text(&format!(
        "{:<10} {:>5}  {:<22} {:<22} {:<22}",
        "kind", "asked", "right", "blind", "most frequent answer"
    ));
    for row in &report.kinds {
        let blind = row.sides.blind.as_ref().map_or_else(|| "-".to_owned(), share);
        let name = serde_json::to_value(row.kind).map_err(|error| Failure::new(Kind::Internal, error))?;
        output::text(&format!(
            "{:<10} {:>5}  {:<22} {:<22} {:<22}",
            name.as_str().unwrap_or_default(),
            row.sides.seeing.of,
            share(&row.sides.seeing),
            blind,
            share(&row.sides.majority)
        ));
    }
    output::text(&format!(
        "counts up to 4: {}; false refusals: {}",
        share(&report.small_counts),
        share(&report.false_refusals)
    ));
    let timed = |name: &str, timed: &Timed| {
        output::text(&format!(
            "when, {name}: mean IoU {:.3} ± {:.3}, R@0.5 {}, R@0.7 {} ({} questions)",
            timed.mean_iou,
            timed.mean_iou_margin,
            share(&timed.recall_50),
            share(&timed.recall_70),
            timed.of
        ));
    };
    timed("seeing", &report.when);
    report.when_blind.iter().for_each(|blind| timed("blind", blind));
    Ok(())
}
