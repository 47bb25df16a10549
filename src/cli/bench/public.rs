//! `longsight bench ground` and the public question benchmarks: the same run of files into files.

use super::super::ask::{ModelArgs, ReadingArgs};
use super::super::failure::{Failure, Kind, Result};
use super::super::{Context, handover, output};
use crate::bench::public::{
    self, BENCHMARKS, Benchmark, Item, Progress, PublicError, PublicReport, PublicRun, Settings, Source, Task, Unasked,
    Videos,
};
use crate::run::Cancel;
use clap::builder::PossibleValuesParser;
use std::path::{Path, PathBuf};

const GROUND: &str = "Examples:
  longsight bench ground --dataset charades-sta charades_sta_test.txt --videos Charades_v1_480 --out predictions.json
  longsight bench ground --dataset timelens charades-timelens.json --videos videos --out predictions.json --model Qwen/Qwen3-VL-2B-Instruct
  longsight bench ground --dataset qvhighlights highlight_val_release.jsonl --predictions theirs.jsonl";

/// Arguments of `longsight bench ground`.
#[derive(Debug, Clone, clap::Args)]
#[command(before_help = GROUND)]
pub(super) struct GroundArgs {
    /// Whose annotations
    #[arg(long, value_parser = PossibleValuesParser::new(names(Task::Ground)))]
    dataset: String,
    #[command(flatten)]
    run: RunArgs,
}

/// Arguments of `longsight bench videomme`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct VideoMmeArgs {
    /// The second version: groups of four questions, eight options
    #[arg(long)]
    v2: bool,
    #[command(flatten)]
    run: RunArgs,
}

/// Arguments of the other question benchmarks.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct RunArgs {
    /// The benchmark's annotation file (JSON, JSON lines, CSV, TSV, text), or a folder of its JSON files
    annotations: PathBuf,
    /// The folder of its videos
    #[arg(long, value_name = "DIR", required_unless_present = "predictions")]
    videos: Option<PathBuf>,
    /// Where the predictions go, in the benchmark's own format; a run that was stopped goes on from the journal beside it
    #[arg(long, value_name = "FILE", required_unless_present = "predictions")]
    out: Option<PathBuf>,
    /// Only score this file of predictions
    #[arg(long, value_name = "FILE", conflicts_with_all = ["videos", "out", "wording"])]
    predictions: Option<PathBuf>,
    /// How the model is asked, with {} for the question [default: the benchmark's own wording]
    #[arg(long, value_name = "TEXT", value_parser = wording)]
    wording: Option<String>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    reading: ReadingArgs,
}

fn names(task: Task) -> Vec<&'static str> {
    BENCHMARKS.iter().filter(|benchmark| benchmark.task() == task).map(|benchmark| benchmark.name()).collect()
}

fn wording(text: &str) -> std::result::Result<String, String> {
    if text.contains("{}") { Ok(text.to_owned()) } else { Err("a wording has {} where the question goes".to_owned()) }
}

impl GroundArgs {
    pub(super) fn run(&self, context: &Context, cancel: &Cancel) -> Result {
        run(&self.dataset, &self.run, context, cancel)
    }
}

impl VideoMmeArgs {
    pub(super) fn run(&self, context: &Context, cancel: &Cancel) -> Result {
        run(if self.v2 { "videomme-v2" } else { "videomme" }, &self.run, context, cancel)
    }
}

/// Runs the benchmark of this name, or scores what somebody ran.
pub(super) fn run(name: &str, args: &RunArgs, context: &Context, cancel: &Cancel) -> Result {
    let benchmark = public::benchmark(name)
        .ok_or_else(|| Failure::new(Kind::Internal, format!("no benchmark is called {name}")))?;
    let items = benchmark.items(&Source::read(&args.annotations)?)?;
    let report = match (&args.predictions, &args.videos, &args.out) {
        (Some(file), ..) => {
            let predictions = benchmark.read(&items, &Source::read(file)?)?;
            public::score(benchmark, &items, &predictions)
        }
        (None, Some(videos), Some(out)) => predict(benchmark, &items, args, (videos, out), context, cancel)?,
        _ => return Err(Failure::new(Kind::Usage, "neither --predictions nor --videos and --out")),
    };
    if context.json {
        return output::json(&report);
    }
    print(&report);
    Ok(())
}

fn predict(
    benchmark: &'static dyn Benchmark,
    items: &[Item],
    args: &RunArgs,
    (folder, out): (&Path, &Path),
    context: &Context,
    cancel: &Cancel,
) -> Result<PublicReport> {
    let videos = Videos::below(folder)?;
    let options = args.reading.options()?;
    let model = args.model.load()?;
    let settings = Settings {
        benchmark: benchmark.name().to_owned(),
        annotations: fingerprint(&args.annotations),
        wording: args.wording.clone().unwrap_or_else(|| benchmark.wording().to_owned()),
        model: model.facts().clone(),
        options: serde_json::to_value(&options).map_err(|error| Failure::new(Kind::Internal, error))?,
    };
    let run =
        PublicRun { benchmark, items, videos: &videos, folder, model: &model, options: &options, settings: &settings };
    let mut show = |progress: Progress| match progress {
        Progress::Held(0) => {}
        Progress::Held(held) => output::note(context, &format!("{held} questions were answered before")),
        Progress::Answered { predictions, of } => output::note(context, &format!("{predictions} of {of} questions")),
        Progress::Failed { video, why } => output::note(context, &format!("{video}: {why}")),
    };
    let (predictions, Unasked { missing, failed }) = run.predict(out, cancel, &mut show)?;
    handover::put(out, benchmark.write(items, &predictions).as_bytes(), "--out")?;
    let report = public::score(benchmark, items, &predictions);
    Ok(PublicReport { missing_videos: missing, failed_videos: failed, settings: Some(settings), ..report })
}

/// Of a file, or of the files of a folder; empty where they cannot be read, which was told before.
fn fingerprint(path: &Path) -> String {
    let mut files = vec![path.to_path_buf()];
    if path.is_dir() {
        files = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|ending| ending == "json"));
        files.sort();
    }
    let hashes: Vec<String> = files.iter().filter_map(|file| crate::decode::fingerprint(file).ok()).collect();
    hashes.join("-")
}

fn print(report: &PublicReport) {
    output::text(&format!("{}: {} of {} questions answered", report.benchmark, report.predictions, report.questions));
    for metric in &report.metrics {
        let value = metric.value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
        output::text(&format!("  {:<40} {value:>7}  of {}", metric.name, metric.of));
    }
    for (videos, what) in [(&report.missing_videos, "not in the folder"), (&report.failed_videos, "not answered about")]
    {
        if let Some(first) = videos.first() {
            output::text(&format!("{} videos were {what}: {first}, ...", videos.len()));
        }
    }
}

impl From<PublicError> for Failure {
    fn from(error: PublicError) -> Self {
        match &error {
            PublicError::File { .. } => Self::new(Kind::Input, &error).hint("check the path"),
            PublicError::Parquet { path } => Self::new(Kind::Input, &error).hint(format!(
                "export it first: python3 -c \"import pandas; pandas.read_parquet('{0}').to_json('{0}.jsonl', orient='records', \
                    lines=True)\"",
                path.display()
            )),
            PublicError::Format { .. } => {
                Self::new(Kind::Input, &error).hint("give the file as the benchmark's authors released it")
            }
            PublicError::Settings { .. } => {
                Self::new(Kind::Usage, &error).hint("choose another --out, or remove that file to begin anew")
            }
            PublicError::NoVideos { .. } => Self::new(Kind::Input, &error).hint("give the folder with --videos"),
            PublicError::Cancelled => Self::new(Kind::Interrupted, "interrupted").hint("the same command goes on from here"),
        }
    }
}
