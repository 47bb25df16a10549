//! `longsight ask`: questions about a video, answered in words with the spans that the answers rest on.

use super::device::Device;
use super::dtype::Dtype;
use super::failure::{Failure, Kind, Result};
use super::handover::{ExcerptArgs, Excerpts, FormatArgs};
use super::index::StoreArgs;
use super::time::format_time;
use super::video::Input;
use super::{Context, handover, model_dir, output, parse_time, plan, progress, rates, wait};
use crate::evidence::Evidence;
use crate::index::KvFormat;
use crate::recipe::{self, Budget, Options, PrefillMode};
use crate::render::{self, Format};
use crate::run::{
    self, Answer, Cancel, Event, Job, LoadError, Model, Outline, PlanError, Question, QuestionFault, RunError,
};
use clap::ValueEnum;
use longsight_models::{LoadOptions, Span};
use std::path::{Path, PathBuf};
use std::time::Duration;

const EXAMPLES: &str = r#"Examples:
  longsight ask holiday.mp4 "When does the dog jump into the water?"
  longsight ask lecture.mkv "What is the title of the slide?" --from 10:00 --to 12:00
  longsight ask game.mp4 "Who scores first?" --choices "A. red" "B. blue"
  longsight ask talk.mp4 "Who speaks?" "When is the demo shown?" --json
  longsight ask game.mp4 "When is a goal scored?" --format html --out goals.html --clips goals
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
    /// Read the video even if the index has it
    #[arg(long)]
    no_index: bool,
    #[command(flatten)]
    store: StoreArgs,
    /// Say what would be done and what it would take, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    output: FormatArgs,
    #[command(flatten)]
    excerpts: ExcerptArgs,
    /// Exit with code 7 when no span of an answer held in a closer look
    #[arg(long, conflicts_with = "no_check")]
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
    /// Where to compute: cpu, or an NVIDIA GPU, cuda or cuda:N, in builds that have it
    #[arg(long, value_name = "cpu|cuda[:N]", default_value = "cpu", env = "LONGSIGHT_DEVICE")]
    pub(super) device: Device,
    /// The number format of the computation; f32 on a CPU and bf16 on a GPU unless said
    #[arg(long, value_enum, env = "LONGSIGHT_DTYPE")]
    pub(super) dtype: Option<Dtype>,
}

impl ModelArgs {
    /// How to load.
    ///
    /// # Errors
    /// With exit code 2, when the device is not there or does not compute in the number format.
    pub(super) fn load_options(&self) -> Result<LoadOptions> {
        let dtype = self.dtype();
        if self.device != Device::Cpu && matches!(dtype, Dtype::Q8_0) {
            return Err(Failure::new(Kind::Usage, format!("--device {}: q8_0 is for the CPU", self.device))
                .hint("leave --dtype out, or say bf16 or f16"));
        }
        Ok(LoadOptions { compute: dtype.into(), device: self.device.open()? })
    }

    fn dtype(&self) -> Dtype {
        self.dtype.unwrap_or(if self.device == Device::Cpu { Dtype::F32 } else { Dtype::Bf16 })
    }

    /// Loads the model.
    ///
    /// # Errors
    /// With exit code 5.
    pub(super) fn load(&self) -> Result<Model> {
        let folder = model_dir::resolve(&self.model)?;
        Model::load(&self.model, &folder, &self.load_options()?).map_err(|error| self.refused(error))
    }

    /// Reads what can be known without the weights.
    ///
    /// # Errors
    /// With exit code 5.
    pub(super) fn outline(&self) -> Result<Outline> {
        let folder = model_dir::resolve(&self.model)?;
        Outline::open(&self.model, &folder, &self.load_options()?).map_err(|error| self.refused(error))
    }

    /// Loads the model for `tune`, which writes the pattern file anew.
    ///
    /// # Errors
    /// With exit code 5.
    pub(super) fn load_untuned(&self) -> Result<Model> {
        let folder = model_dir::resolve(&self.model)?;
        Model::untuned(&self.model, &folder, &self.load_options()?).map_err(|error| self.refused(error))
    }

    /// The flags as they would be written, in whatever folder.
    pub(super) fn flags(&self) -> Vec<String> {
        let model = if Path::new(&self.model).is_dir() { anywhere(&self.model) } else { self.model.clone() };
        let dtype = self.dtype().to_possible_value().map(|value| value.get_name().to_owned());
        let device = Some(self.device.to_string());
        [flag("model", Some(model)), flag("device", device), flag("dtype", dtype)].into_iter().flatten().collect()
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
    /// The most memory (8G, 512M): frames, their size and their tokens are chosen to fit
    #[arg(long, value_name = "BYTES", value_parser = recipe::parse_bytes, env = "LONGSIGHT_MEMORY")]
    memory: Option<u64>,
    /// The most time from start to answer, closer looks included (60s, 1:30), likewise
    #[arg(long, value_name = "T", value_parser = parse_time, env = "LONGSIGHT_BUDGET")]
    budget: Option<f64>,
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
    #[arg(long, value_name = "NAME|FILE", default_value = recipe::DEFAULT, env = "LONGSIGHT_PIPELINE")]
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
    /// The most visual tokens that reach the language model
    #[arg(long, value_name = "N", env = "LONGSIGHT_MAX_TOKENS")]
    max_tokens: Option<usize>,
    /// Which moments go into the prompt: all, or a sampler's name
    #[arg(long, value_name = "SAMPLER", env = "LONGSIGHT_SAMPLE")]
    sample: Option<String>,
    /// The share of moments that a sampler keeps
    #[arg(long, value_name = "SHARE", env = "LONGSIGHT_SAMPLE_KEEP")]
    sample_keep: Option<f64>,
    /// How visual tokens become fewer: a method's name, none, or auto (only where it would not fit otherwise)
    #[arg(long, value_name = "METHOD", env = "LONGSIGHT_COMPRESS")]
    compress: Option<String>,
    /// The share of visual tokens that is kept
    #[arg(long, value_name = "SHARE", env = "LONGSIGHT_KEEP")]
    keep: Option<f64>,
    /// Positions that a video spanned in the model's training at most (say 32000): of one that spans more, rotary frequencies are changed to fit
    /// (visual context window extension); off unless said
    #[arg(long, value_name = "POSITIONS", env = "LONGSIGHT_VISUAL_WINDOW")]
    visual_window: Option<u32>,
    /// Which attention runs the prompt
    #[arg(long, value_enum, env = "LONGSIGHT_PREFILL")]
    prefill: Option<PrefillMode>,
    /// How the index keeps the keys and values of what was seen: answers are the same with f32, and may differ with the others
    #[arg(long, value_enum, value_name = "FORMAT", env = "LONGSIGHT_KV")]
    kv: Option<KvFormat>,
    /// Show times without a closer look at them
    #[arg(long)]
    pub(super) no_check: bool,
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
        flags.budget.memory = self.memory;
        flags.budget.seconds = self.budget;
        Ok(self.reading.options()?.overridden_by(&flags))
    }

    /// The flags as they would be written.
    pub(super) fn flags(&self) -> Vec<String> {
        let mut flags = self.reading.flags();
        flags.extend(flag("memory", self.memory));
        flags.extend(flag("budget", self.budget));
        flags.extend(flag("max-new-tokens", self.max_new_tokens));
        flags.extend(flag("temperature", self.temperature));
        flags.extend(flag("seed", self.seed));
        flags
    }
}

/// A path that names the same from any folder.
fn anywhere(path: &str) -> String {
    std::path::absolute(path).ok().and_then(|path| path.into_os_string().into_string().ok()).unwrap_or(path.to_owned())
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
        flags.sample.method.clone_from(&self.sample);
        flags.sample.keep = self.sample_keep;
        flags.compress.method.clone_from(&self.compress);
        flags.compress.keep = self.keep;
        flags.prompt.visual_window = self.visual_window;
        flags.prefill.mode = self.prefill;
        flags.prefill.kv = self.kv;
        flags.evidence.check = self.no_check.then_some(false);
        Ok(file.overridden_by(&flags))
    }

    /// The flags as they would be written, in whatever folder.
    pub(super) fn flags(&self) -> Vec<String> {
        let built_in = recipe::BUILT_IN.iter().any(|(name, _)| *name == self.pipeline);
        let pipeline = if built_in { self.pipeline.clone() } else { anywhere(&self.pipeline) };
        let prefill = self.prefill.and_then(|mode| mode.to_possible_value());
        let flags = [
            flag("pipeline", Some(pipeline)),
            flag("from", self.from),
            flag("to", self.to),
            flag("fps", self.fps),
            flag("max-frames", self.max_frames),
            flag("max-tokens", self.max_tokens),
            flag("sample", self.sample.as_ref()),
            flag("sample-keep", self.sample_keep),
            flag("compress", self.compress.as_ref()),
            flag("keep", self.keep),
            flag("visual-window", self.visual_window),
            flag("kv", self.kv.map(KvFormat::name)),
            self.no_check.then(|| "--no-check".to_owned()),
            flag("prefill", prefill.as_ref().map(clap::builder::PossibleValue::get_name)),
        ];
        flags.into_iter().flatten().collect()
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result {
    let (args, context) = (args.clone(), context.clone());
    let limit = args.timeout.map(Duration::from_secs_f64);
    let video = args.video.clone();
    wait::run(limit, move |cancel| answer_all(&args, &context, &cancel))
        .map_err(|failure| failure.about(&video.display()))
}

fn answer_all(args: &Args, context: &Context, cancel: &Cancel) -> Result {
    let questions = args.questions.iter().map(|text| Question::read(text, &args.choices));
    let questions = questions.collect::<std::result::Result<Vec<_>, _>>()?;
    let format = args.output.format(context)?;
    if let Some(file) = args.questions.iter().find(|text| Path::new(text).is_file()) {
        output::note(
            context,
            &format!(
                "warning: the file {} is asked as a question; `longsight batch` and `longsight find` take several videos",
                file.escape_debug()
            ),
        );
    }
    args.output.check(&[&args.video])?;
    args.excerpts.check(&[&args.video])?;
    let mut options = args.pipeline.options()?;
    if args.require_evidence {
        options.evidence.require = Some(true);
    }
    // The file is looked at before the model is loaded: a wrong path is told at once.
    let input = Input::open(&args.video, &context.decoder.limits())?;
    if args.dry_run {
        let forecast = plan::forecast(&input, &args.model, &args.pipeline, &options, &questions, context)?;
        return match format {
            Format::Text => args.output.write(&plan::table(&forecast, context)),
            Format::Json => args.output.write(&output::line(&forecast)?),
            _ => {
                Err(Failure::new(Kind::Usage, "a dry run gives a plan, as text or as JSON").hint("leave out --format"))
            }
        };
    }
    let facts = input.facts()?;
    let mut media = handover::media(&input.video, &input.name, format, &args.output);
    let mut progress = progress::Bar::new(context);
    progress.show(&Event::Loading);
    let model = args.model.load()?;
    let rates = match options.budget == Budget::default() {
        true => None,
        false => {
            let machine = rates::of_machine(model.facts(), context, || rates::measure(&model, context))?;
            Some(rates::of_video(&machine, &input, &options, model.vlm().card().fps)?)
        }
    };
    let pipeline = &args.pipeline.reading.pipeline;
    let store = if args.no_index { None } else { args.store.store() };
    let shelf = store.as_ref().map(|store| store.shelf(&input.path, &facts.fingerprint));
    let job = Job {
        facts: &facts,
        questions: &questions,
        pipeline,
        options: &options,
        index: shelf.as_ref(),
        rates: rates.as_ref(),
        blind: false,
    };
    let answers = run::ask(&model, &input.video, &job, cancel, &mut |event| progress.show(&event))
        .map_err(|error| Failure::from(error).of(&facts.path))?;
    progress.finish();
    let spans: Vec<Span> = answers.iter().flat_map(|answer| &answer.evidence).map(Evidence::span).collect();
    let excerpts = [Excerpts { file: &input.path, spans: &spans }];
    let beside = args.excerpts.write(&excerpts, format == Format::Html, context, &cancel.flag());
    let beside = beside.and_then(|thumbs| Ok((thumbs, args.excerpts.scenes(&input.video, format)?)));
    if let Ok((thumbs, scenes)) = &beside {
        (media.thumbs, media.scenes) = (thumbs.concat(), scenes.clone());
    }
    args.output.write(&render::answers(&answers, &media, format))?;
    answers.iter().for_each(|answer| remark(answer, format, context));
    // The answers are there, and are told whatever goes wrong beside them.
    beside?;
    let verified = |answer: &Answer| answer.evidence.iter().any(|span| span.verified);
    let unsupported = |answer: &&Answer| answer.plan.evidence.require && !verified(answer);
    match answers.iter().find(unsupported) {
        Some(answer) => Err(Failure::new(
            Kind::NoEvidence,
            format!("{}: no checked span supports the answer to \"{}\"", facts.path, answer.question),
        )
        .hint("look closer with --fps or --from/--to, or drop --require-evidence")),
        None => Ok(()),
    }
}

/// What was not seen, for people who read the answer; JSON has it all in itself.
fn remark(answer: &Answer, format: Format, context: &Context) {
    if format == Format::Json {
        return;
    }
    if format == Format::Text {
        if let Some(read) = &answer.plan.question {
            let read: Vec<&str> =
                std::iter::once(read.asked.as_str()).chain(read.constraints.iter().map(String::as_str)).collect();
            output::note(context, &format!("asked as {}", plain(&read.join("; "))));
        }
        let seen = &answer.coverage;
        output::note(
            context,
            &format!(
                "{} {} frames from {} to {}, at most {:.2} s apart, in {:.1} s",
                if answer.index.is_some() { "the index holds" } else { "looked at" },
                seen.frames_seen,
                format_time(seen.from),
                format_time(seen.to),
                seen.max_gap_s,
                answer.timing_s.total
            ),
        );
        if let (Some((least, most)), true) = (seen.rates(), seen.scenes.len() > 1) {
            let scenes = seen.scenes.len();
            output::note(context, &format!("{scenes} scenes, seen at {least:.2} to {most:.2} frames a second"));
        }
    }
    for warning in &answer.warnings {
        output::note(context, &format!("warning: {warning}"));
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        match &error {
            PlanError::DoesNotFit { hint, .. } => {
                Self::new(Kind::DoesNotFit, &error).hint(format!("{hint}; or look at less with --from/--to"))
            }
            _ => Self::new(Kind::Usage, &error),
        }
    }
}

impl From<QuestionFault> for Failure {
    fn from(fault: QuestionFault) -> Self {
        let hint = match fault {
            QuestionFault::Empty => "say what you want to know",
            QuestionFault::TooLong { .. } => "ask for less at once",
            _ => r#"give every answer to choose from once: --choices "A. red" "B. blue""#,
        };
        Self::new(Kind::Usage, fault).hint(hint)
    }
}

/// Without control characters, which a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Decode(error) => error.into(),
            RunError::Plan(error) => error.into(),
            RunError::NothingSeen { .. } => {
                Self::new(Kind::Input, &error).hint("`longsight frames` shows what can be decoded")
            }
            RunError::Outside { .. } => {
                Self::new(Kind::Usage, &error).hint("ask of a time in the video, or leave out --from/--to")
            }
            RunError::Index(error) => (*error).into(),
            RunError::NotIndexed => Self::new(Kind::Usage, &error).hint("choose another --sample"),
            RunError::Prompt(_) => Self::new(Kind::Model, &error),
            RunError::Cancelled => Self::new(Kind::Interrupted, "interrupted"),
            RunError::Model(_) | RunError::Generate(_) => Self::new(Kind::Internal, &error),
        }
    }
}
