//! `longsight ask`: questions about a video, answered in words with the spans that the answers rest on.

use super::dtype::Dtype;
use super::failure::{Failure, Kind, Result};
use super::time::format_time;
use super::video::Input;
use super::{Context, model_dir, output, parse_time, progress, wait};
use crate::decode::Limits;
use crate::evidence::Status;
use crate::recipe::{self, Options, PrefillMode};
use crate::run::{self, Answer, Cancel, Event, Job, LoadError, Model, PlanError, Question, RunError};
use clap::ValueEnum;
use longsight_models::LoadOptions;
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = r#"Examples:
  longsight ask holiday.mp4 "When does the dog jump into the water?"
  longsight ask lecture.mkv "What is the title of the slide?" --from 10:00 --to 12:00
  longsight ask game.mp4 "Who scores first?" --choices "A. red" "B. blue"
  longsight ask talk.mp4 "Who speaks?" "When is the demo shown?" --json
  cat talk.mp4 | longsight ask - "What is shown first?"
  longsight ask film.mp4 "When does it rain?" --model Qwen/Qwen3-VL-2B-Instruct --max-frames 512"#;

/// Arguments of `longsight ask`.
#[derive(Debug, Clone, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(super) struct Args {
    /// The video; `-` reads a pipe
    video: PathBuf,
    /// One or more questions, which share one reading of the video
    #[arg(required = true, num_args = 1..)]
    questions: Vec<String>,
    /// The answers to choose from, for multiple choice
    #[arg(long, num_args = 1.., value_name = "CHOICE")]
    choices: Vec<String>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Exit with code 7 when no span supports an answer
    #[arg(long)]
    require_evidence: bool,
    /// Give up after so long (90, 1:30, 90s); exit code 124
    #[arg(long, value_name = "T", value_parser = parse_time, env = "LONGSIGHT_TIMEOUT")]
    timeout: Option<f64>,
}

/// Which model, and how it runs.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ModelArgs {
    /// A checkpoint folder, a hub id in the Hugging Face cache, or the bundled model
    #[arg(long, value_name = "ID|DIR", default_value = model_dir::BUNDLED, env = "LONGSIGHT_MODEL")]
    pub(super) model: String,
    /// Where to compute
    #[arg(long, default_value = "cpu", env = "LONGSIGHT_DEVICE")]
    pub(super) device: Device,
    /// The number format of the computation
    #[arg(long, value_enum, default_value_t, env = "LONGSIGHT_DTYPE")]
    pub(super) dtype: Dtype,
}

/// Devices of this build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Device {
    /// This machine's processor
    Cpu,
}

impl ModelArgs {
    /// How to load.
    pub(super) fn load_options(&self) -> LoadOptions {
        let Device::Cpu = self.device;
        LoadOptions { compute: self.dtype.into(), ..LoadOptions::default() }
    }

    /// Loads the model.
    ///
    /// # Errors
    /// With exit code 5.
    pub(super) fn load(&self) -> Result<Model> {
        let folder = model_dir::resolve(&self.model)?;
        Model::load(&self.model, &folder, &self.load_options()).map_err(|error| self.refused(error))
    }

    /// The same for `tune`, which writes the pattern file anew.
    ///
    /// # Errors
    /// With exit code 5.
    pub(super) fn load_untuned(&self) -> Result<Model> {
        let folder = model_dir::resolve(&self.model)?;
        Model::untuned(&self.model, &folder, &self.load_options()).map_err(|error| self.refused(error))
    }

    /// The flags as they would be written.
    pub(super) fn flags(&self) -> Vec<String> {
        let name = |value: Option<clap::builder::PossibleValue>| value.map(|value| value.get_name().to_owned());
        let (device, dtype) = (name(self.device.to_possible_value()), name(self.dtype.to_possible_value()));
        [flag("model", Some(&self.model)), flag("device", device), flag("dtype", dtype)].into_iter().flatten().collect()
    }

    fn refused(&self, error: LoadError) -> Failure {
        let hint = match error {
            LoadError::Patterns(_) => format!("`longsight tune --model {}` writes it anew", self.model),
            _ => format!("`longsight model info {}` says what is there", self.model),
        };
        Failure::new(Kind::Model, error).hint(hint)
    }
}

/// The pipeline, and the settings of it that have flags.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct PipelineArgs {
    #[command(flatten)]
    pub(super) reading: ReadingArgs,
    /// The most tokens of an answer
    #[arg(long, value_name = "N")]
    max_new_tokens: Option<usize>,
    /// 0 takes the most likely token every time
    #[arg(long)]
    temperature: Option<f64>,
    /// Seed of the sampler
    #[arg(long, env = "LONGSIGHT_SEED")]
    seed: Option<u64>,
}

/// The pipeline, and how a video is read by it.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ReadingArgs {
    /// A built-in pipeline, or a TOML file
    #[arg(long, value_name = "NAME|FILE", default_value = "default", env = "LONGSIGHT_PIPELINE")]
    pub(super) pipeline: String,
    /// Look from here on (90, 1:30, 0:01:30.5)
    #[arg(long, value_name = "T", value_parser = parse_time)]
    from: Option<f64>,
    /// Look up to here
    #[arg(long, value_name = "T", value_parser = parse_time)]
    to: Option<f64>,
    /// Frames per second to look at
    #[arg(long, env = "LONGSIGHT_FPS")]
    fps: Option<f64>,
    /// The most frames to look at
    #[arg(long, value_name = "N", env = "LONGSIGHT_MAX_FRAMES")]
    max_frames: Option<usize>,
    /// The most visual tokens
    #[arg(long, value_name = "N", env = "LONGSIGHT_MAX_TOKENS")]
    max_tokens: Option<usize>,
    /// Which attention runs the prompt
    #[arg(long, value_enum, env = "LONGSIGHT_PREFILL")]
    prefill: Option<PrefillMode>,
}

impl PipelineArgs {
    /// The pipeline file with the flags over it.
    ///
    /// # Errors
    /// With exit code 2 when there is no such pipeline or it has a key that is not known.
    pub(super) fn options(&self) -> Result<Options> {
        let mut flags = Options::default();
        flags.generate.max_new_tokens = self.max_new_tokens;
        flags.generate.temperature = self.temperature;
        flags.generate.seed = self.seed;
        Ok(self.reading.options()?.overridden_by(&flags))
    }

    /// The flags as they would be written.
    pub(super) fn flags(&self) -> Vec<String> {
        let mut flags = self.reading.flags();
        flags.extend(flag("max-new-tokens", self.max_new_tokens));
        flags.extend(flag("temperature", self.temperature));
        flags.extend(flag("seed", self.seed));
        flags
    }
}

/// `--name=value`, if there is a value.
fn flag(name: &str, value: Option<impl std::fmt::Display>) -> Option<String> {
    value.map(|value| format!("--{name}={value}"))
}

impl ReadingArgs {
    /// The pipeline file with the flags over it.
    ///
    /// # Errors
    /// With exit code 2 when there is no such pipeline or it has a key that is not known.
    pub(super) fn options(&self) -> Result<Options> {
        let file = recipe::load(&self.pipeline).map_err(|error| Failure::new(Kind::Usage, error))?;
        let mut flags = Options::default();
        flags.decode.fps = self.fps;
        flags.decode.max_frames = self.max_frames;
        flags.decode.from = self.from;
        flags.decode.to = self.to;
        flags.vision.max_tokens = self.max_tokens;
        flags.prefill.mode = self.prefill;
        Ok(file.overridden_by(&flags))
    }

    /// The flags as they would be written.
    fn flags(&self) -> Vec<String> {
        let prefill = self.prefill.and_then(|mode| mode.to_possible_value());
        let flags = [
            flag("pipeline", Some(&self.pipeline)),
            flag("from", self.from),
            flag("to", self.to),
            flag("fps", self.fps),
            flag("max-frames", self.max_frames),
            flag("max-tokens", self.max_tokens),
            flag("prefill", prefill.as_ref().map(clap::builder::PossibleValue::get_name)),
        ];
        flags.into_iter().flatten().collect()
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result {
    let (args, context) = (args.clone(), context.clone());
    let limit = args.timeout.map(Duration::from_secs_f64);
    wait::run(limit, move |cancel| answer_all(&args, &context, &cancel))
}

fn answer_all(args: &Args, context: &Context, cancel: &Cancel) -> Result {
    if args.questions.iter().any(|question| question.trim().is_empty()) {
        return Err(Failure::new(Kind::Usage, "a question is empty"));
    }
    let mut options = args.pipeline.options()?;
    if args.require_evidence {
        options.evidence.require = Some(true);
    }
    // The file is looked at before the model is loaded: a wrong path is told at once.
    let input = Input::open(&args.video, &Limits::default())?;
    let facts = input.facts()?;
    let mut progress = progress::Bar::new(context);
    progress.show(&Event::Loading);
    let model = args.model.load()?;
    let question = |text: &String| Question { text: text.trim().to_owned(), choices: args.choices.clone() };
    let questions: Vec<Question> = args.questions.iter().map(question).collect();
    let pipeline = &args.pipeline.reading.pipeline;
    let job = Job { facts: &facts, questions: &questions, pipeline, options: &options, blind: false };
    let answers = run::ask(&model, input.video, &job, cancel, &mut |event| progress.show(&event))?;
    progress.finish();
    for answer in &answers {
        if context.json { output::json(answer)? } else { print(answer, answers.len() > 1, context) }
    }
    let unsupported = |answer: &&Answer| answer.plan.evidence.require && answer.evidence.is_empty();
    match answers.iter().find(unsupported) {
        Some(answer) => Err(Failure::new(
            Kind::NoEvidence,
            format!("{}: no span supports the answer to \"{}\"", facts.path, answer.question),
        )
        .hint("look closer with --fps or --from/--to, or drop --require-evidence")),
        None => Ok(()),
    }
}

/// The answer for people: words first, then what they rest on, then what was not seen.
fn print(answer: &Answer, several: bool, context: &Context) {
    if several {
        output::text(&answer.question);
    }
    output::text(&answer.answer);
    for span in &answer.evidence {
        output::text(&format!(
            "  {} - {}  {} frames seen, probability {:.2}",
            format_time(span.start),
            format_time(span.end),
            span.frames.len(),
            span.score
        ));
    }
    if answer.status != Status::Supported && answer.status != Status::Unanswerable && !answer.evidence.is_empty() {
        output::text("  only some of the times it names were seen");
    }
    let seen = &answer.coverage;
    output::note(
        context,
        &format!(
            "looked at {} frames from {} to {}, at most {:.2} s apart, in {:.1} s",
            seen.frames_seen,
            format_time(seen.from),
            format_time(seen.to),
            seen.max_gap_s,
            answer.timing_s.total
        ),
    );
    for warning in &answer.warnings {
        output::note(context, &format!("warning: {warning}"));
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Decode(error) => error.into(),
            RunError::Plan(error @ PlanError::DoesNotFit { .. }) => {
                Self::new(Kind::DoesNotFit, &error).hint("raise --max-tokens, or look at less with --from/--to")
            }
            RunError::Plan(error) => Self::new(Kind::Usage, &error),
            RunError::NothingSeen { .. } => {
                Self::new(Kind::Input, &error).hint("`longsight frames` shows what can be decoded")
            }
            RunError::Prompt(_) => Self::new(Kind::Model, &error),
            RunError::Cancelled => Self::new(Kind::Interrupted, "interrupted"),
            RunError::Model(_) | RunError::Generate(_) => Self::new(Kind::Internal, &error),
        }
    }
}
