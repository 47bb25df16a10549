//! `longsight batch`: questions about every video of a folder, resumable.

mod command;
mod progress;

use super::ask::{ModelArgs, PipelineArgs};
use super::failure::{Failure, Kind, Result, of_place};
use super::index::StoreArgs;
use super::time::format_time;
use super::{Context, output, parse_time, rates, wait};
use crate::batch::{
    self, Brief, Counts, Explained, GatherError, Gathered, Inputs, ItemError, Orders, Questions, SETTLE, Selection,
    Selector, Source, Store, StoreError, Survey, Surveyed,
};
use crate::run::{Cancel, Plan, Question};
use serde::Serialize;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const EXAMPLES: &str = r#"Examples:
  longsight batch footage --questions questions.txt --out answers
  longsight batch footage --questions questions.jsonl --out answers --include "*.mkv" --exclude raw --dry-run
  find . -name "*.mp4" -print0 | longsight batch - --questions questions.txt --out answers
  longsight batch footage --questions questions.txt --out part1 --shard 1/4
  longsight batch footage --questions questions.txt --out answers --retry-failed"#;

const NOTES: &str = r#"The file of questions has one a line, in words, or as JSON where choices or certain videos are meant:
  What is shown?
  {"question": "Which team scores?", "choices": ["A. red", "B. blue"], "video": "finals/*.mp4"}

OUT/answers.jsonl has one answer a line, OUT/videos/ the same for each video, OUT/failed.jsonl one line for each video that
failed, with the commands that do the same again. The same command goes on where it was interrupted, and does only what is
missing or has changed. Shards have folders of their own; their answers.jsonl can be joined.

Every video is looked at in a way that fits into --memory, or else into the machine's; one that cannot fit fails, and its line says
what would. Videos under way wait for each other where they would not fit together."#;

/// Items under way at once: one that the language model works on, one that is looked at meanwhile.
const JOBS: usize = 2;

/// Arguments of `longsight batch`.
#[derive(Debug, Clone, clap::Args)]
#[command(before_help = EXAMPLES, after_help = NOTES)]
pub(super) struct Args {
    /// Folders, videos, or `-` for a list of them on stdin, separated by NUL or line breaks
    #[arg(required = true, value_name = "DIR|VIDEO|-")]
    inputs: Vec<PathBuf>,
    /// What is asked: one question a line, in words or as JSON
    #[arg(long, value_name = "FILE")]
    questions: PathBuf,
    /// Folder for the answers; made if it is not there
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// Of folders, only files that match; `*.mp4` at any depth, `a/*.mp4` from the folder on [default: what is called like
    /// a video]
    #[arg(long, value_name = "GLOB")]
    include: Vec<Selector>,
    /// Of folders, not the files and folders that match
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<Selector>,
    /// Only part I of N, the same videos every time
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    shard: Option<(u64, u64)>,
    /// Videos under way at once: the language model works on one while others are looked at
    #[arg(long, value_name = "N", default_value_t = JOBS, value_parser = parse_jobs, env = "LONGSIGHT_JOBS")]
    jobs: usize,
    /// Give a video up after so long (90, 1:30, 90s) [default: 15 minutes, 20 times its length, and 10 minutes a question]
    #[arg(long, value_name = "T", value_parser = parse_time)]
    item_timeout: Option<f64>,
    /// Try again what failed before
    #[arg(long)]
    retry_failed: bool,
    /// A file that was written to within so many seconds is taken when it has not changed after them; 0 takes it as it is
    #[arg(long, value_name = "T", default_value_t = SETTLE.as_secs_f64(), value_parser = parse_time)]
    settle: f64,
    /// Say what would be done, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Keep what is read of each video in the index, so that later questions need not read it again
    #[arg(long, conflicts_with = "no_index")]
    fill_index: bool,
    /// Read the videos even if the index has them
    #[arg(long)]
    no_index: bool,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    pipeline: PipelineArgs,
}

/// `longsight.batch/1`
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct Summary<'a> {
    schema: &'static str,
    out: &'a str,
    #[serde(flatten)]
    counts: Counts,
    elapsed_s: f64,
}

/// `longsight.batch-plan/1`
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct Planned<'a> {
    schema: &'static str,
    out: &'a str,
    #[serde(flatten)]
    survey: Survey,
}

pub(super) fn run(args: &Args, context: &Context) -> Result {
    let (args, context) = (args.clone(), context.clone());
    wait::run(None, move |cancel| work_off(&args, &context, &cancel))
}

fn work_off(args: &Args, context: &Context, cancel: &Cancel) -> Result {
    let started = Instant::now();
    let questions = questions(&args.questions)?;
    let options = args.pipeline.options()?;
    Plan::check(&options).map_err(|error| Failure::new(Kind::Usage, error))?;
    if options.budget.seconds.is_some() {
        return Err(Failure::new(
            Kind::Usage,
            "a batch has no --budget: what it does must come out the same when it goes on",
        )
        .hint("limit it by --memory, --max-tokens or --item-timeout"));
    }
    let Gathered { sources, all, notes } = gather(args)?;
    for note in &notes {
        output::note(context, &shown(&format!("longsight: {}: {}, and is left out", note.path.display(), note.reason)));
    }
    for (line, video) in questions.unmatched(&all) {
        let what = format!("longsight: {}, line {line}: no video is `{video}`", args.questions.display());
        output::note(context, &shown(&what));
    }
    let index = if args.no_index { None } else { args.store.store() };
    if args.fill_index && index.is_none() {
        return Err(Failure::new(Kind::Usage, "there is no place for an index").hint("name one with --index-dir"));
    }
    // What is wrong with the folder is told before the model is loaded.
    let store = if args.dry_run { None } else { Some(open(&args.out, &sources)?) };
    let model = args.model.load()?;
    let rates = match options.budget.memory {
        Some(_) => Some(rates::of_machine(model.facts(), context, || rates::measure(&model, context))?),
        None => None,
    };
    let brief = Brief {
        model,
        rates,
        limits: context.decoder.limits(),
        pipeline: args.pipeline.reading.pipeline.clone(),
        options,
        questions,
        settle: Duration::try_from_secs_f64(args.settle).unwrap_or(SETTLE),
        retry_failed: args.retry_failed,
        index,
        fill: args.fill_index,
        timeout: args.item_timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
    };
    let Some(store) = store else { return plan(&sources, &brief, args, context, cancel) };
    let mut display = progress::Display::new(context, sources.len());
    let explain =
        |source: &Source, questions: &[Question], error: ItemError| explain(args, context, source, questions, error);
    let orders = Orders { sources, brief: Arc::new(brief), jobs: args.jobs, explain: &explain };
    let counts = batch::run(orders, store, cancel, &mut |event| display.show(&event));
    display.finish();
    let counts = counts?;
    let out = args.out.to_string_lossy();
    let elapsed_s = started.elapsed().as_secs_f64();
    if context.json {
        output::json(&Summary { schema: "longsight.batch/1", out: &out, counts, elapsed_s })?;
    } else {
        print(&counts, &args.out, elapsed_s);
    }
    if cancel.is_cancelled() {
        // Which signal it was is known to who waits for this.
        output::note(context, "longsight: stopped; the same command goes on from here");
        return Err(Failure::new(Kind::Interrupted, "interrupted"));
    }
    verdict(&counts, &args.out)
}

fn open(out: &Path, sources: &[Source]) -> Result<Store> {
    let store = Store::open(out)?;
    store.check(sources)?;
    Ok(store)
}

fn questions(path: &Path) -> Result<Questions> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(Kind::Usage, format!("{}: cannot be read: {error}", path.display()))
            .hint("write one question a line and give the file with --questions")
    })?;
    Questions::parse(&text).map_err(|error| {
        Failure::new(Kind::Usage, format!("{}: {error}", path.display()))
            .hint(r#"a line is a question, or {"question": "...", "choices": ["..."], "video": "..."}"#)
    })
}

impl From<GatherError> for Failure {
    fn from(error: GatherError) -> Self {
        let hint = match &error {
            GatherError::Nothing { include, .. } if !include.is_empty() => {
                "a pattern without a slash is compared with names at any depth, else with the path from the folder on"
            }
            GatherError::Nothing { .. } => {
                "give a folder of videos, which are known by their endings (mp4, mov, mkv, ...), or name files"
            }
            GatherError::Folder { .. } => "check its permissions",
        };
        Self::new(Kind::Input, error).hint(hint)
    }
}

fn gather(args: &Args) -> Result<Gathered> {
    let mut paths = Vec::new();
    for input in &args.inputs {
        if input.as_os_str() != "-" {
            paths.push(input.clone());
            continue;
        }
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .map_err(|error| Failure::new(Kind::Input, format!("the list on stdin cannot be read: {error}")))?;
        paths.extend(batch::list(&bytes));
    }
    let selection = Selection { include: args.include.clone(), exclude: args.exclude.clone(), shard: args.shard };
    Ok(batch::gather(&Inputs { paths, selection })?)
}

/// `--dry-run`
fn plan(sources: &[Source], brief: &Brief, args: &Args, context: &Context, cancel: &Cancel) -> Result {
    let survey = batch::survey(sources, brief, &args.out, cancel, &mut |video| match video {
        Surveyed::Open(source, open) if context.verbose > 0 => {
            output::note(context, &shown(&format!("{}: {open} questions to answer", source.path.display())));
        }
        Surveyed::Open(..) => {}
        Surveyed::Broken(source, error) => {
            let failure = failure(error);
            output::note(context, &shown(&format!("longsight: {}: {}", source.place, failure.message)));
        }
    })?;
    let out = args.out.to_string_lossy();
    if context.json {
        return output::json(&Planned { schema: "longsight.batch-plan/1", out: &out, survey });
    }
    let Survey { videos, videos_open, questions, answered, shared, failed, duration_s, frames, visual_tokens } = survey;
    output::text(&format!(
        "{videos} videos, {questions} questions: {answered} answered, {shared} by copies, {failed} videos cannot be used"
    ));
    output::text(&format!(
        "to do: {videos_open} videos, {} of video, {frames} frames, {visual_tokens} visual tokens",
        format_time(duration_s)
    ));
    Ok(())
}

fn print(counts: &Counts, out: &Path, elapsed_s: f64) {
    let Counts { videos, done, done_before, failed, failed_before, skipped, .. } = counts;
    let mut line =
        format!("{videos} videos: {done} done ({done_before} before), {failed} failed ({failed_before} before)");
    if *skipped > 0 {
        line.push_str(&format!(", {skipped} still being written"));
    }
    output::text(&line);
    output::text(&format!(
        "{} answers in {}, {} taken over from copies, {} there before: {}",
        counts.answers,
        format_time(elapsed_s),
        counts.answers_shared,
        counts.answers_before,
        shown(&out.join("answers.jsonl").display().to_string())
    ));
}

/// What the exit code says of a batch that came to its end.
fn verdict(counts: &Counts, out: &Path) -> Result {
    if counts.failed == 0 {
        return Ok(());
    }
    let message = format!("{} of {} videos failed", counts.failed, counts.videos);
    let nothing = counts.done == 0 && counts.failed_input == counts.failed;
    let kind = if nothing { Kind::Input } else { Kind::Partial };
    let file = out.join("failed.jsonl");
    Err(Failure::new(kind, message)
        .hint(shown(&format!("{} says why; --retry-failed tries them again", file.display()))))
}

fn explain(args: &Args, context: &Context, source: &Source, questions: &[Question], error: ItemError) -> Explained {
    let limit = match error {
        ItemError::TimedOut { limit, .. } => Some(limit),
        _ => None,
    };
    let transient = matches!(error, ItemError::Changed { .. } | ItemError::Stalled { .. });
    let failure = failure(error);
    Explained {
        code: failure.kind.code(),
        retryable: transient || failure.kind.retryable(),
        message: failure.message,
        hint: failure.hint,
        command: command::ask(&source.path, questions, &flags(args, context), limit),
    }
}

/// The flags that decide what is done to a video, as they would be written.
fn flags(args: &Args, context: &Context) -> Vec<String> {
    let index = if args.no_index { vec!["--no-index".to_owned()] } else { args.store.flags() };
    [args.model.flags(), args.pipeline.flags(), index, context.decoder.flags()].concat()
}

fn failure(error: ItemError) -> Failure {
    match error {
        ItemError::Run(error) => error.into(),
        ItemError::Changed { .. } => Failure::new(Kind::Input, error).hint("try again when nothing writes to it"),
        ItemError::TimedOut { .. } => {
            Failure::new(Kind::TimedOut, error).hint("give it longer with --item-timeout, or look at less of it")
        }
        ItemError::Stalled { .. } => Failure::new(Kind::TimedOut, error).hint("copy it to a local disk and try again"),
        ItemError::Panicked { .. } => Failure::new(Kind::Internal, error).hint("please report this"),
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let (kind, hint) = match &error {
            StoreError::Foreign { .. } => {
                (Kind::Usage, "choose an empty folder, or one of an earlier batch, with --out")
            }
            StoreError::Taken { .. } => (Kind::Usage, "give every input a folder of its own with --out"),
            StoreError::Held { .. } => (Kind::Busy, "wait until it has ended, or choose another folder with --out"),
            StoreError::Io { .. } if error.is_full() => {
                (Kind::DoesNotFit, "make room and give the same command again: what is written is whole")
            }
            StoreError::Watch(_) => (Kind::Internal, ""),
            StoreError::Io { source, .. } => (of_place(source), "check the folder given with --out"),
        };
        Self::new(kind, error).hint(hint)
    }
}

/// Text with names in it, whose control characters could do something to a terminal.
fn shown(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// Reads `2/4`: the second of four parts.
fn parse_shard(text: &str) -> std::result::Result<(u64, u64), String> {
    let parts = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
    match parts {
        Some((index, count)) if (1..=count).contains(&index) => Ok((index - 1, count)),
        _ => Err(format!("`{text}` is no part; write 1/4 to 4/4 for four parts")),
    }
}

fn parse_jobs(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(jobs @ 1..=64) => Ok(jobs),
        _ => Err(format!("`{text}` is no number from 1 to 64")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_counted_from_one() {
        assert_eq!(parse_shard("1/4"), Ok((0, 4)));
        assert_eq!(parse_shard("4/4"), Ok((3, 4)));
        for text in ["", "1", "0/4", "5/4", "1/0", "a/b", "-1/4"] {
            assert!(parse_shard(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_cannot_talk_to_the_terminal() {
        assert_eq!(shown("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb\u{fffd}c");
    }
}
