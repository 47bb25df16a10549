//! `longsight bench niah`.

use super::super::ask::{ModelArgs, ReadingArgs};
use super::super::failure::{Failure, Kind, Result};
use super::super::{Context, output};
use super::world::split;
use crate::bench::{self, NiahBench, NiahCell, NiahReport};
use crate::run::Cancel;
use longsight_world::dice::Split;
use longsight_world::script::{GRID, NEEDLE_S};
use std::path::PathBuf;

/// Arguments of `longsight bench niah`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Lengths of the haystacks in minutes, at least a half
    #[arg(long, value_delimiter = ',', default_values = ["1", "5", "10", "30", "60", "120"], value_parser = minutes)]
    minutes: Vec<f64>,
    /// Where the needles are: 0 is the start, 1 the end
    #[arg(long, value_delimiter = ',', default_values = ["0", "0.25", "0.5", "0.75", "1"], value_parser = depth)]
    depths: Vec<f64>,
    /// Haystacks of each length and depth, with three needles each
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    haystacks: u64,
    /// Seconds that a needle is seen, in halves, at most 4
    #[arg(long, value_name = "SECONDS", default_value_t = NEEDLE_S, value_parser = needle)]
    needle: f64,
    /// Which seeds: training has never seen those held out
    #[arg(long, default_value = "held-out", value_parser = split)]
    split: Split,
    /// The first seed
    #[arg(long, default_value_t = 2_000_000)]
    seed: u64,
    /// Draw the grid as a PNG file
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    reading: ReadingArgs,
}

pub(in crate::cli) fn minutes(text: &str) -> std::result::Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.5..=600.0).contains(&minutes) { Ok(minutes) } else { Err("not between 0.5 and 600".to_owned()) }
}

fn needle(text: &str) -> std::result::Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let whole = (seconds / GRID).fract() == 0.0;
    if whole && (GRID..=NEEDLE_S).contains(&seconds) { Ok(seconds) } else { Err("not 0.5, 1, 1.5 ... 4".to_owned()) }
}

fn depth(text: &str) -> std::result::Result<f64, String> {
    let depth: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=1.0).contains(&depth) { Ok(depth) } else { Err("not between 0 and 1".to_owned()) }
}

pub(super) fn run(args: &Args, context: &Context, cancel: &Cancel) -> Result {
    let model = args.model.load()?;
    let options = args.reading.options()?;
    let bench = NiahBench {
        split: args.split,
        seed: args.seed,
        minutes: args.minutes.clone(),
        depths: args.depths.clone(),
        haystacks: args.haystacks,
        needle_s: args.needle,
        options,
    };
    let mut show = |cell: &NiahCell| {
        let NiahCell { minutes, depth, found, smallest_event_s, doubted, prompt_tokens, prefill, density, seconds } =
            cell;
        output::note(
            context,
            &format!(
                "{minutes} min, depth {depth}: {} of {} needles, {} of the others doubted; {smallest_event_s:.2} s can be seen; {prompt_tokens} tokens, prefill {prefill:.2} of {seconds:.1} s{}",
                found.hits,
                found.of,
                doubted.hits,
                density.map_or_else(String::new, |density| format!(", density {density:.3}"))
            ),
        );
    };
    let report = bench::niah(&model, &bench, cancel, &mut show)
        .map_err(|error| Failure::new(Kind::Internal, format!("{error:#}")))?;
    if let Some(path) = &args.png {
        let columns: Vec<String> = args.minutes.iter().map(|minutes| format!("{minutes:.0} M")).collect();
        let rows: Vec<String> = args.depths.iter().map(|depth| format!("{:.0}", depth * 100.0)).collect();
        let shares = by_depth(&report, args.depths.len(), |cell| cell.found.share);
        bench::heat_map::draw(&columns, &rows, &shares).save_with_format(path, image::ImageFormat::Png).map_err(
            |error| {
                Failure::new(Kind::Internal, format!("{}: cannot be written: {error}", path.display()))
                    .hint("choose another file with --png")
            },
        )?;
    }
    if context.json { output::json(&report) } else { print(args, &report) }
}

/// `[depth][length]` of one figure of the cells.
fn by_depth<T>(report: &NiahReport, depths: usize, figure: impl Fn(&NiahCell) -> T) -> Vec<Vec<T>> {
    (0..depths).map(|row| report.cells.iter().skip(row).step_by(depths).map(&figure).collect()).collect()
}

fn print(args: &Args, report: &NiahReport) -> Result {
    let head: String = args.minutes.iter().map(|minutes| format!("{minutes:>9} min")).collect();
    output::text(&format!("{:<8}{head}", "depth"));
    let rows = by_depth(report, args.depths.len(), |cell| format!("{:>6}/{:<6}", cell.found.hits, cell.found.of));
    for (depth, row) in args.depths.iter().zip(rows) {
        output::text(&format!("{depth:<8}{}", row.concat()));
    }
    for missed in &report.missed {
        output::text(&format!(
            "missed, seed {}: {} -> {} (expected {})",
            missed.seed, missed.question, missed.answer, missed.expected
        ));
    }
    let found = report.found;
    let (doubted, missed): (usize, usize) =
        report.cells.iter().fold((0, 0), |sum, cell| (sum.0 + cell.doubted.hits, sum.1 + cell.doubted.of));
    output::text(&format!("{doubted} of {missed} needles not found are answered without a claim to support"));
    output::text(&format!(
        "{} of {} needles found: {:.1} % ({:.1} - {:.1})",
        found.hits,
        found.of,
        found.share * 100.0,
        found.low * 100.0,
        found.high * 100.0
    ));
    Ok(())
}
