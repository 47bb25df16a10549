//! `longsight bench compress`.

use super::super::ask::{ModelArgs, ReadingArgs};
use super::super::failure::{Failure, Kind, Result};
use super::super::{Context, output};
use super::niah::minutes;
use crate::bench::{self, CompressBench, CompressRow, InHaystacks};
use crate::compress::methods;
use crate::run::Cancel;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Arguments of `longsight bench compress`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Methods to try; all of them if none is named
    #[arg(long, num_args = 1.., value_name = "METHOD")]
    methods: Vec<String>,
    /// Shares of visual tokens to keep
    #[arg(long, num_args = 1.., default_values_t = [0.5, 0.25, 0.1])]
    keeps: Vec<f64>,
    /// How many clips of 10 to 60 s
    #[arg(long, default_value_t = 60)]
    clips: u64,
    /// The first seed of the clips, held out
    #[arg(long, default_value_t = 1_000_000)]
    seed: u64,
    /// The most questions about each clip
    #[arg(long, default_value_t = 8)]
    questions: usize,
    /// Lengths of the haystacks in minutes
    #[arg(long, value_delimiter = ',', default_values = ["5", "20"], value_parser = minutes)]
    minutes: Vec<f64>,
    /// Haystacks of each length, with three needles each
    #[arg(long, default_value_t = 5)]
    haystacks: u64,
    /// Ask as `ask` does, with closer looks at what an answer says: they see what was left out of the first one
    #[arg(long)]
    check: bool,
    /// Ask the haystacks filmed in this folder by the one method at the one share, and nothing else: what this command runs for each
    #[arg(long, value_name = "DIR", hide = true)]
    haystacks_in: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    reading: ReadingArgs,
}

/// `longsight.bench.compress/1`
#[derive(Debug, Serialize)]
struct Outcome {
    schema: &'static str,
    clips: u64,
    rows: Vec<CompressRow>,
}

/// Runs this program for one method at one share.
fn in_a_process(args: &Args, folder: &Path, method: &str, keep: f64) -> anyhow::Result<InHaystacks> {
    let minutes: Vec<String> = args.minutes.iter().map(f64::to_string).collect();
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bench", "compress", "--json", "--methods", method, "--keeps", &keep.to_string()]);
    command.args(["--minutes", &minutes.join(","), "--haystacks", &args.haystacks.to_string()]);
    command.arg("--haystacks-in").arg(folder).args(args.model.flags()).args(args.reading.flags());
    if args.check {
        command.arg("--check");
    }
    // What goes wrong there is told by itself.
    let told = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    anyhow::ensure!(told.status.success(), "{method} at {keep}: its process ended with {}", told.status);
    Ok(serde_json::from_slice(&told.stdout)?)
}

pub(super) fn run(args: &Args, context: &Context, cancel: &Cancel) -> Result {
    let model = args.model.load()?;
    let names: Vec<String> =
        if args.methods.is_empty() { methods().map(str::to_owned).collect() } else { args.methods.clone() };
    let settings = names.iter().flat_map(|name| args.keeps.iter().map(move |&keep| (name.clone(), keep))).collect();
    let bench = CompressBench {
        settings,
        seed: args.seed,
        clips: args.clips,
        questions: args.questions,
        minutes: args.minutes.clone(),
        haystacks: args.haystacks,
        check: args.check,
        options: args.reading.options()?,
    };
    let failed = |error: anyhow::Error| Failure::new(Kind::Internal, format!("{error:#}"));
    if let (Some(folder), Some((method, keep))) = (&args.haystacks_in, bench.settings.first()) {
        let found = bench::in_haystacks(&model, &bench, (method, *keep), folder, cancel).map_err(failed)?;
        return output::json(&found);
    }
    let elsewhere = |folder: &Path, method: &str, keep: f64| in_a_process(args, folder, method, keep);
    let mut done = |what: &str| output::note(context, what);
    let rows = bench::compress(&model, &bench, &elsewhere, cancel, &mut done).map_err(failed)?;
    if context.json {
        return output::json(&Outcome { schema: "longsight.bench.compress/1", clips: args.clips, rows });
    }
    output::text(&format!(
        "{:<13} {:>5} {:>6}  {:<22} {:<14} {:<22} {:<22} {:>10} {:>8}",
        "method", "keep", "kept", "right", "when, IoU", "when, R@0.5", "needles", "prefill s", "peak MB"
    ));
    for row in &rows {
        let share = |share: &bench::Share| {
            format!("{:5.1} % ({:.1} - {:.1})", share.share * 100.0, share.low * 100.0, share.high * 100.0)
        };
        output::text(&format!(
            "{:<13} {:>5.2} {:>6.3}  {:<22} {:.3} ± {:.3}  {:<22} {:<22} {:>10.2} {:>8}",
            row.method,
            row.keep,
            row.kept,
            share(&row.right),
            row.when.mean_iou,
            row.when.mean_iou_margin,
            share(&row.when.recall_50),
            share(&row.needles),
            row.prefill_s,
            row.peak_bytes.map_or_else(|| "-".to_owned(), |bytes| (bytes >> 20).to_string())
        ));
    }
    Ok(())
}
