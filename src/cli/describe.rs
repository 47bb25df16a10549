//! `longsight describe`: what happens in a video, scene by scene, and its chapters.

use super::ask::{ModelArgs, PipelineArgs};
use super::failure::{Failure, Result};
use super::handover::{ExcerptArgs, Excerpts, FormatArgs};
use super::index::StoreArgs;
use super::scenes::Detection;
use super::video::Input;
use super::{Context, handover, output, parse_time, progress, wait};
use crate::render::{self, Format};
use crate::run::{self, Cancel, Event, Job, Question};
use longsight_models::Span;
use longsight_world::questions::CAPTION;
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "Examples:
  longsight describe holiday.mp4                                       a line for each scene
  longsight describe lecture.mp4 --format ffmetadata --out chapters.txt chapters for ffmpeg -map_chapters
  longsight describe match.mkv --format vtt --out match.vtt            captions for a player
  longsight describe tour.mp4 --prompt \"Which room is this?\" --json";

/// Arguments of `longsight describe`.
#[derive(Debug, Clone, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(super) struct Args {
    /// Video file, or - to read a pipe
    video: PathBuf,
    /// What is asked of each scene
    #[arg(long, value_name = "TEXT", default_value = CAPTION)]
    prompt: String,
    #[command(flatten)]
    detection: Detection,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Read the scenes even if the index has them
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

pub(super) fn run(args: &Args, context: &Context) -> Result {
    let (args, context) = (args.clone(), context.clone());
    let limit = args.timeout.map(Duration::from_secs_f64);
    let video = args.video.clone();
    wait::run(limit, move |cancel| describe(&args, &context, &cancel))
        .map_err(|failure| failure.about(&video.display()))
}

fn describe(args: &Args, context: &Context, cancel: &Cancel) -> Result {
    let prompt = Question::read(&args.prompt, &[])?;
    let format = args.output.format(context)?;
    args.output.check(&[&args.video])?;
    args.excerpts.check(&[&args.video])?;
    let options = args.pipeline.options()?;
    let detector = args.detection.detector(&options)?;
    // A wrong path is told before the model is loaded.
    let input = Input::open(&args.video, &context.decoder.limits())?;
    let facts = input.facts()?;
    let mut media = handover::media(&input.video, &input.name, format, &args.output);
    let mut progress = progress::Bar::new(context);
    progress.show(&Event::Loading);
    let model = args.model.load()?;
    let store = if args.no_index { None } else { args.store.store() };
    let shelf = store.as_ref().map(|store| store.shelf(&input.path, &facts.fingerprint));
    let questions = [prompt];
    let job = Job {
        facts: &facts,
        questions: &questions,
        pipeline: &args.pipeline.reading.pipeline,
        options: &options,
        index: shelf.as_ref(),
        rates: None,
        blind: false,
    };
    let mut show = |event: Event| progress.show(&event);
    let told = run::describe(&model, &input.video, &job, detector.as_ref(), cancel, &mut show)
        .map_err(|error| Failure::from(error).of(&facts.path))?;
    progress.finish();
    let spans: Vec<Span> = told.captions.iter().map(|one| Span { start: one.start, end: one.end }).collect();
    let excerpts = [Excerpts { file: &input.path, spans: &spans }];
    let beside = args.excerpts.write(&excerpts, format == Format::Html, context, &cancel.flag());
    let beside = beside.map(|thumbs| media.thumbs = thumbs.into_iter().flatten().collect());
    args.output.write(&render::captions(&told, &media, format))?;
    for warning in &told.warnings {
        output::note(context, &format!("warning: {warning}"));
    }
    beside
}
