//! `longsight find`: where a described moment happens, in videos and folders of them.

use super::ask::{ModelArgs, PipelineArgs};
use super::failure::{Failure, Kind, Result};
use super::handover::{ExcerptArgs, Excerpts, FormatArgs};
use super::index::StoreArgs;
use super::video::{Closed, Input};
use super::{Context, handover, output, parse_time, progress, wait};
use crate::batch::{self, Inputs, Selection};
use crate::index::Store;
use crate::recipe::Options;
use crate::render::{self, Format, Media};
use crate::run::{self, Cancel, Event, Job, Model, Moments, Question};
use longsight_models::Span;
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = r#"Examples:
  longsight find holiday.mp4 "a dog"
  longsight find clips/ "the sign says EXIT" --top 5
  longsight find day1.mkv day2.mkv "When does the red car appear?" --min-score 0.9 --json
  longsight find lecture.mp4 "a slide with a table in the last ten minutes""#;

/// Arguments of `longsight find`.
#[derive(Debug, Clone, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(super) struct Args {
    /// Videos, folders of them or `-` for a pipe, and last what to find: a noun, a sentence or a "when" question
    #[arg(required = true, num_args = 2.., value_names = ["VIDEO", "QUERY"])]
    videos_and_query: Vec<PathBuf>,
    /// The most moments, of all videos together
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// The least score of a moment, 0 to 1
    #[arg(long, value_name = "S", default_value_t = 0.5, value_parser = score)]
    min_score: f64,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Read the videos even if the index has them
    #[arg(long)]
    no_index: bool,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    output: FormatArgs,
    #[command(flatten)]
    excerpts: ExcerptArgs,
    /// Give up after so long (90, 1:30, 90s); exit code 124
    #[arg(long, value_name = "T", value_parser = parse_time, env = "LONGSIGHT_TIMEOUT")]
    timeout: Option<f64>,
}

fn score(text: &str) -> std::result::Result<f64, String> {
    let score: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=1.0).contains(&score) { Ok(score) } else { Err("not between 0 and 1".to_owned()) }
}

pub(super) fn run(args: &Args, context: &Context) -> Result {
    let (args, context) = (args.clone(), context.clone());
    let limit = args.timeout.map(Duration::from_secs_f64);
    let named = args.videos_and_query.split_last().map_or(&[][..], |(_, named)| named);
    let named = named.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    wait::run(limit, move |cancel| find_all(&args, &context, &cancel)).map_err(|failure| failure.about(&named))
}

fn find_all(args: &Args, context: &Context, cancel: &Cancel) -> Result {
    let usage = |message: &str| Failure::new(Kind::Usage, message).hint("longsight find VIDEO... QUERY");
    let (query, named) = args.videos_and_query.split_last().ok_or_else(|| usage("no query"))?;
    let query = query.to_str().ok_or_else(|| usage("the query is no text"))?;
    let query = &Question::read(query, &[])?.text;
    let videos = videos(named, context)?;
    let format = args.output.format(context)?;
    if videos.len() > 1 && !format.holds_several_videos() {
        return Err(usage("this format holds the moments of one video"));
    }
    let options = args.pipeline.options()?;
    args.output.check(&videos)?;
    args.excerpts.check(&videos)?;
    // A single wrong path is told before the model is loaded; a pipe can be read once.
    let mut opened = match videos.as_slice() {
        [only] => Some(Input::open(only, &context.decoder.limits())?),
        _ => None,
    };
    let mut progress = progress::Bar::new(context);
    progress.show(&Event::Loading);
    let model = args.model.load()?;
    let store = if args.no_index { None } else { args.store.store() };
    let (mut found, mut failed): (Vec<Found>, Vec<Failure>) = (Vec::new(), Vec::new());
    let (store, limits) = (store.as_ref(), &context.decoder.limits());
    for video in &videos {
        let search = Search { model: &model, query, args, format, options: &options, store };
        let input = opened.take().map_or_else(|| Input::open(video, limits), Ok);
        match input.and_then(|input| search.find(input, cancel, &mut progress)) {
            Ok(one) => found.push(one),
            // What concerns this video alone leaves the others their turn.
            Err(failure) if matches!(failure.kind, Kind::Input | Kind::Usage) && videos.len() > 1 => {
                output::note(context, &format!("longsight: {}", failure.message));
                failed.push(failure);
            }
            Err(failure) => return Err(failure),
        }
    }
    progress.finish();
    let unsure = found.iter().any(|one| !one.moments.moments.is_empty());
    let mut found = best(found, args.top, args.min_score);
    let beside = show(&mut found, unsure, args, format, context, cancel);
    match failed.into_iter().next() {
        Some(first) if found.is_empty() => Err(first),
        Some(first) => {
            Err(Failure::new(Kind::Partial, format!("some videos could not be searched, first {}", first.message))
                .hint("the moments of the others are complete"))
        }
        None => beside,
    }
}

/// The moments of one video, and how it is handed over.
struct Found {
    moments: Moments,
    media: Media,
    input: Closed,
}

/// What is looked for, and how.
struct Search<'a> {
    model: &'a Model,
    query: &'a str,
    args: &'a Args,
    format: Format,
    options: &'a Options,
    store: Option<&'a Store>,
}

impl Search<'_> {
    fn find(&self, input: Input, cancel: &Cancel, progress: &mut progress::Bar) -> Result<Found> {
        let facts = input.facts()?;
        let media = handover::media(&input.video, &input.name, self.format, &self.args.output);
        let shelf = self.store.map(|store| store.shelf(&input.path, &facts.fingerprint));
        let job = Job {
            facts: &facts,
            questions: &[],
            pipeline: &self.args.pipeline.reading.pipeline,
            options: self.options,
            index: shelf.as_ref(),
            rates: None,
            blind: false,
        };
        let moments = run::find(self.model, &input.video, &job, self.query, cancel, &mut |event| progress.show(&event))
            .map_err(|error| Failure::from(error).of(&facts.path))?;
        Ok(Found { moments, media, input: input.close() })
    }
}

/// Writes the moments, and beside them what they look like. `unsure` is whether there were any before the least score was asked for.
fn show(found: &mut [Found], unsure: bool, args: &Args, format: Format, context: &Context, cancel: &Cancel) -> Result {
    let spans: Vec<Vec<Span>> = found
        .iter()
        .map(|one| one.moments.moments.iter().map(|moment| Span { start: moment.start, end: moment.end }).collect())
        .collect();
    let excerpts: Vec<Excerpts<'_>> =
        found.iter().zip(&spans).map(|(one, spans)| Excerpts { file: &one.input.path, spans }).collect();
    let beside = args.excerpts.write(&excerpts, format == Format::Html, context, &cancel.flag());
    let beside = beside.map(|thumbs| found.iter_mut().zip(thumbs).for_each(|(one, thumbs)| one.media.thumbs = thumbs));
    let documents: Vec<(&Moments, &Media)> = found.iter().map(|one| (&one.moments, &one.media)).collect();
    let text = render::moments(&documents, format).map_err(|error| Failure::new(Kind::Usage, error))?;
    args.output.write(&text)?;
    if spans.iter().all(Vec::is_empty) {
        let more = args.min_score > 0.0 && args.top > 0 && unsure;
        let more = if more { "; --min-score 0 shows what was thought of" } else { "" };
        output::note(context, &format!("nothing found{more}"));
    }
    for warning in found.iter().flat_map(|one| &one.moments.warnings) {
        output::note(context, &format!("warning: {warning}"));
    }
    beside
}

/// The `top` moments of at least `least`, with their videos in the order of each one's best; videos without stay, behind.
fn best(mut found: Vec<Found>, top: usize, least: f64) -> Vec<Found> {
    let mut scores: Vec<f64> = found
        .iter()
        .flat_map(|one| &one.moments.moments)
        .map(|moment| moment.score)
        .filter(|&score| score >= least)
        .collect();
    scores.sort_by(|a, b| b.total_cmp(a));
    // The last score that is shown; as many of those equal to it as there is room for.
    let last = if top == 0 { f64::INFINITY } else { scores.get(top - 1).copied().unwrap_or(least) };
    let mut equal = top.saturating_sub(scores.iter().filter(|&&score| score > last).count());
    for one in &mut found {
        one.moments.moments.retain(|moment| {
            let tied = moment.score == last && equal > 0;
            equal -= usize::from(tied);
            moment.score > last || tied
        });
    }
    let first = |one: &Found| one.moments.moments.first().map_or(-1.0, |moment| moment.score);
    found.sort_by(|a, b| first(b).total_cmp(&first(a)));
    found
}

/// Every video that was named, and those in the folders that were, as a batch takes them.
fn videos(named: &[PathBuf], context: &Context) -> Result<Vec<PathBuf>> {
    let gathered = batch::gather(&Inputs { paths: named.to_vec(), selection: Selection::default() })?;
    for note in &gathered.notes {
        let path = note.path.display().to_string();
        output::note(context, &format!("longsight: {}: {}, and is left out", path.escape_debug(), note.reason));
    }
    Ok(gathered.sources.into_iter().map(|source| source.path).collect())
}
