//! `longsight bench evidence`.

use super::super::ask::{ModelArgs, ReadingArgs};
use super::super::failure::{Failure, Kind, Result};
use super::super::{Context, output};
use super::share;
use super::world::split;
use crate::bench::{self, EvidenceBench, EvidenceReport, Timed};
use crate::run::Cancel;
use longsight_world::dice::Split;

/// Arguments of `longsight bench evidence`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Which seeds: training has never seen those held out
    #[arg(long, default_value = "held-out", value_parser = split)]
    split: Split,
    /// The first seed
    #[arg(long, default_value_t = 3_000_000)]
    seed: u64,
    /// How many clips
    #[arg(long, default_value_t = 100)]
    clips: u64,
    /// Shortest clip in seconds
    #[arg(long, default_value_t = 20.0)]
    seconds_min: f64,
    /// Longest clip in seconds
    #[arg(long, default_value_t = 60.0)]
    seconds_max: f64,
    /// The most questions of each sort about each clip
    #[arg(long, default_value_t = 4)]
    questions: usize,
    /// Pictures a second of the clips
    #[arg(long, default_value_t = 8)]
    rate: u32,
    /// Leave out the same questions in one look, without checks
    #[arg(long)]
    no_single: bool,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    reading: ReadingArgs,
}

pub(super) fn run(args: &Args, context: &Context, cancel: &Cancel) -> Result {
    let model = args.model.load()?;
    let bench = EvidenceBench {
        split: args.split,
        seed: args.seed,
        clips: args.clips,
        seconds: (args.seconds_min, args.seconds_max),
        questions: args.questions,
        rate: args.rate,
        single: !args.no_single,
        options: args.reading.options()?,
    };
    let mut told = |done| output::note(context, &format!("{done} of {} clips", args.clips));
    let report = bench::evidence(&model, &bench, cancel, &mut told)
        .map_err(|error| Failure::new(Kind::Internal, format!("{error:#}")))?;
    if context.json { output::json(&report) } else { print(&report) }
}

fn print(report: &EvidenceReport) -> Result {
    output::text(&format!("{} clips of {:.0} s together; 95 % intervals in brackets", report.clips, report.seconds));
    let timed = |name: &str, timed: &Timed| {
        output::text(&format!(
            "when, {name}: mean IoU {:.3} ± {:.3}, R@0.5 {}, R@0.7 {}",
            timed.mean_iou,
            timed.mean_iou_margin,
            share(&timed.recall_50),
            share(&timed.recall_70)
        ));
    };
    report.single.iter().for_each(|single| timed("in one look", single));
    timed("as shown", &report.when);
    output::text(&format!("verified spans that are right: {}", share(&report.verified_right)));
    output::text(&format!("what is there, with a verified span: {}", share(&report.verified_found)));
    output::text(&format!("what is not there, with a verified span: {}", share(&report.verified_absent)));
    output::text(&format!("what something is or says, right: {}", share(&report.claims)));
    output::text(&format!("  with a verified span, right and in its place: {}", share(&report.claims_verified)));
    output::text(&format!("questions with a condition, right: {}", share(&report.constraints)));
    for (condition, right) in &report.conditions {
        let name = serde_json::to_value(condition).map_err(|error| Failure::new(Kind::Internal, error))?;
        output::text(&format!("  {:<8} {}", name.as_str().unwrap_or_default(), share(right)));
    }
    output::text("score  right");
    for bar in &report.reliability {
        output::text(&format!("{:5.2}  {}", bar.score, share(&bar.right)));
    }
    output::text("answered  from score  wrong");
    for risk in &report.risk {
        output::text(&format!("{:6.1} %  {:10.2}  {}", risk.coverage * 100.0, risk.score, share(&risk.wrong)));
    }
    output::text(&format!(
        "an answer takes {:.2} s, {:.2} s of it closer looks; {} visual tokens, and {} tokens in closer looks",
        report.answer_s.0, report.answer_s.1, report.tokens.0, report.tokens.1
    ));
    Ok(())
}
