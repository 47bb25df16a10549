//! Options -> Plan: what will be done, decided before a frame is read.

use super::cost::{self, Rates, Work};
use super::fit::{self, Fitting};
use super::machine;
use super::scrutiny::{EvidencePlan, QuestionPlan};
use crate::compress::{self, Compressor};
use crate::decode::{Sampling, VideoInfo};
use crate::generate;
use crate::index::KvFormat;
use crate::prefill::{Heads, Pattern, PatternFile};
use crate::recipe::{Budget, Options, PrefillMode};
use crate::scenes::Detector;
use longsight_models::{Card, Processor, Size, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Tokens of an answer, unless the pipeline says otherwise.
pub(super) const MAX_NEW_TOKENS: usize = 128;
/// Prompts shorter than this are prefilled densely: there is too little to gain.
const SPARSE_FROM: usize = 8192;
/// Rows at once of a sparse prefill: keys are laid out anew for each chunk, so that chunks should not be small. At the released 8B
/// model's widths that is 600 MB of activations.
const SPARSE_ROWS: usize = 4096;
/// A sampling coarser than this is told to the user even when nobody asked.
const COARSE_GAP_S: f64 = 2.0;

/// The resolved pipeline: every setting that changes an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The pipeline's name or file
    pub pipeline: String,
    /// Which frames
    pub decode: DecodePlan,
    /// How scenes were found, where they were surveyed: `describe`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenes: Option<ScenesPlan>,
    /// How large
    pub vision: VisionPlan,
    /// Which of them go on
    pub sample: SamplePlan,
    /// How visual tokens become fewer
    pub compress: CompressPlan,
    /// How it is put to the model
    #[serde(default)]
    pub prompt: PromptPlan,
    /// How the prompt is run
    pub prefill: PrefillPlan,
    /// How the answer is made
    pub generate: GeneratePlan,
    /// What an answer must rest on
    pub evidence: EvidencePlan,
    /// How the question was understood; null where it was asked as it is
    pub question: Option<QuestionPlan>,
}

/// How much is asked about one look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asks {
    /// Prompts; they share what was seen
    pub prompts: usize,
    /// Answers that are looked at again
    pub checks: usize,
}

impl std::iter::Sum for Asks {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            prompts: sum.prompts + one.prompts,
            checks: sum.checks + one.checks,
        })
    }
}

/// Which frames are taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DecodePlan {
    /// First second looked at
    pub from: f64,
    /// First second not looked at; null if the file does not say where it ends
    pub to: Option<f64>,
    /// Frames per second that were wished for
    pub fps: f64,
    /// The most frames
    pub max_frames: u64,
    /// Frames per second that come of it; null if the length is not known
    pub effective_fps: Option<f64>,
    /// Frames that come of it; null if the length is not known
    pub frames: Option<u64>,
}

/// What the model sees of each frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VisionPlan {
    /// Width in pixels
    pub width: u32,
    /// Height in pixels
    pub height: u32,
    /// Visual tokens of the whole video
    pub tokens: usize,
}

/// How scenes are found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScenesPlan {
    /// The detector's name
    pub detector: String,
    /// Its settings
    pub settings: BTreeMap<String, f64>,
}

impl ScenesPlan {
    pub(super) fn of(detector: &dyn Detector) -> Self {
        let settings = detector.settings();
        let number = |(name, value): (&String, &serde_json::Value)| Some((name.clone(), value.as_f64()?));
        let settings = settings.as_object().into_iter().flatten().filter_map(number).collect();
        Self { detector: detector.name().to_owned(), settings }
    }
}

/// Which of the encoded frames go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SamplePlan {
    /// `all`, or the sampler's name
    pub method: String,
    /// The share of moments that is kept; 1 keeps all
    pub keep: f64,
    /// Moments (temporal patches) that go on
    pub moments: usize,
}

/// How visual tokens become fewer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CompressPlan {
    /// `none`, or the method's name
    pub method: String,
    /// The share of visual tokens that is wished for; 1 keeps all
    pub keep: f64,
    /// Visual tokens that are left of the whole video
    pub tokens: usize,
}

/// How what was seen is put to the model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromptPlan {
    /// Positions that visual parts spanned in training: of a longer one, rotary frequencies are changed (visual context window extension);
    /// null leaves them alone
    pub visual_window: Option<u32>,
}

/// How the prompt is run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PrefillPlan {
    /// Which attention: dense or sparse
    pub mode: PrefillMode,
    /// Tokens run at once
    pub chunk: usize,
    /// Heads by pattern, all layers together
    pub patterns: BTreeMap<String, usize>,
    /// Hash of every head's pattern with its parameters
    pub revision: String,
    /// How the index keeps keys and values
    #[serde(default)]
    pub kv: KvFormat,
    /// Scores computed for the prompts of this video so far, as a share of dense attention's; null before it was run
    pub density: Option<f64>,
}

/// How the answer is made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GeneratePlan {
    /// The most tokens
    pub max_new_tokens: usize,
    /// 0: greedy
    pub temperature: f64,
    /// Share of probability sampled from
    pub top_p: Option<f64>,
    /// Tokens sampled from
    pub top_k: Option<usize>,
    /// Seed of the sampler
    pub seed: u64,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// The range holds nothing
    #[error("nothing to look at {}: the video runs from {start:.3} to {end:.3} s", between(*from, *to))]
    EmptyRange {
        /// As asked for
        from: f64,
        /// As asked for
        to: f64,
        /// First second of the video
        start: f64,
        /// Its end
        end: f64,
    },
    /// Nothing that could be done without makes it fit
    #[error("it does not fit: {least}, and the limit is {limit}")]
    DoesNotFit {
        /// The least that a run would take
        least: String,
        /// What there is
        limit: String,
        /// What would fit
        hint: String,
    },
    /// No method of that name
    #[error("no {what} `{name}`; there are {known}")]
    Method {
        /// Of what
        what: &'static str,
        /// What was asked for
        name: String,
        /// What there is
        known: String,
    },
    /// Two settings that do not go together
    #[error(
        "--compress {compress} and --sample {sample}: what is pooled in the vision tower is no longer whole when moments are chosen"
    )]
    Apart {
        /// The method
        compress: String,
        /// The sampler
        sample: String,
    },
    /// A setting that makes no sense
    #[error("{name} is {value}, which is not {must}")]
    Setting {
        /// Which
        name: &'static str,
        /// Its value
        value: f64,
        /// What it must be
        must: &'static str,
    },
    /// A limit that cannot be kept, because nobody knows what a run takes
    #[error("the pipeline limits memory or time, which this command does not plan for: take [budget] out of it")]
    NoRates,
    /// A pattern that makes no sense
    #[error("the pattern's {0}")]
    Pattern(String),
    /// The model refuses the frame size
    #[error("{0}")]
    Size(String),
}

/// A stretch in words; one without an end is infinite.
pub(super) fn between(from: f64, to: f64) -> String {
    match (from.is_finite(), to.is_finite()) {
        (true, true) => format!("between {from:.3} and {to:.3} s"),
        (true, false) => format!("from {from:.3} s on"),
        (false, true) => format!("before {to:.3} s"),
        (false, false) => "at all".to_owned(),
    }
}

impl Plan {
    /// Decides everything from the container and the model's card; warnings say what a user may not expect. `rates` are needed where
    /// there is a limit on memory or time; what is asked counts towards the latter.
    ///
    /// # Errors
    /// When a setting makes no sense, the range holds nothing, or nothing fits.
    pub fn resolve(
        pipeline: &str,
        options: &Options,
        info: &VideoInfo,
        processor: &dyn Processor,
        patterns: Option<&PatternFile>,
        rates: Option<&Rates>,
        asks: Asks,
    ) -> Result<(Self, Vec<String>), PlanError> {
        check(options)?;
        if rates.is_none() && options.budget != Budget::default() {
            return Err(PlanError::NoRates);
        }
        let card = processor.card();
        let span = range(options, info)?;
        let fps = options.decode.fps.unwrap_or(card.fps);
        let wished = options.decode.max_frames.unwrap_or(card.frames.1).max(1);
        let known = span.end.is_finite().then(|| span.duration());
        let all = known.map_or(wished, |seconds| frames_at(seconds, fps, info));
        let evidence = EvidencePlan::resolve(&options.evidence);
        let (evidence_plan, machine) = (&evidence, machine::memory());
        let fitting =
            Fitting { options, info, processor, patterns, rates, machine, span, evidence: evidence_plan, asks };
        let look = fitting.fit(all.min(wished))?;
        let sampling = Sampling::Fps { fps, max_frames: Some(look.frames as u64) };
        let effective_fps = known.and_then(|_| sampling.effective_fps(span, info).or(info.frame_rate));
        let plan = Self {
            pipeline: pipeline.to_owned(),
            decode: DecodePlan {
                from: span.start,
                to: known.map(|_| span.end),
                fps,
                max_frames: look.frames as u64,
                effective_fps,
                frames: known.map(|_| look.frames as u64),
            },
            scenes: None,
            vision: VisionPlan { width: look.size.width, height: look.size.height, tokens: look.tokens },
            prompt: PromptPlan { visual_window: options.prompt.visual_window },
            prefill: prefill(options, card, patterns, look.prompt()),
            sample: look.sample,
            compress: look.compress,
            generate: GeneratePlan {
                max_new_tokens: options.generate.max_new_tokens.unwrap_or(MAX_NEW_TOKENS),
                temperature: options.generate.temperature.unwrap_or(0.0),
                top_p: options.generate.top_p,
                top_k: options.generate.top_k,
                seed: options.generate.seed.unwrap_or(0),
            },
            evidence,
            question: None,
        };
        let mut warnings = plan.warnings(options, card, all);
        if plan.prefill.mode == PrefillMode::Sparse && patterns.is_none() && options.prefill.pattern.is_none() {
            warnings.push(
                "the model has no pattern file: every head is vertical-slash; `longsight tune` finds better".to_owned(),
            );
        }
        Ok((plan, warnings))
    }

    /// What there is to do where so much is asked, for the cost of it.
    pub(super) fn work<'a>(&'a self, card: &'a Card, info: &'a VideoInfo, asks: Asks) -> Work<'a> {
        let (frames, visual) = (self.decode.max_frames as usize, self.compress.tokens);
        Work {
            card,
            info,
            span: Span { start: self.decode.from, end: self.decode.to.unwrap_or(f64::INFINITY) },
            frames,
            size: self.size(),
            visual,
            prompt: fit::prompt_tokens(self.sample.moments, visual),
            held: if self.sample.keep < 1.0 { self.vision.tokens } else { visual },
            moments: self.sample.moments,
            prefill: &self.prefill,
            evidence: &self.evidence,
            asks,
        }
    }

    /// Peak of resident memory of a run by this plan, above the loaded model.
    #[must_use]
    pub fn memory_bytes(&self, card: &Card, info: &VideoInfo) -> u64 {
        cost::memory(&self.work(card, info, Asks::default()), None).saturating_sub(card.weight_bytes)
    }

    /// The compressor, where there is one.
    #[must_use]
    pub fn compressor(&self) -> Option<Box<dyn Compressor>> {
        compress::method(
            &self.compress.method,
            compress::Settings { keep: self.compress.keep, seed: self.generate.seed },
        )
    }

    /// Refuses settings that no video can make sense of.
    ///
    /// # Errors
    /// At the first of them.
    pub fn check(options: &Options) -> Result<(), PlanError> {
        check(options)
    }

    /// What decoding is asked for.
    #[must_use]
    pub fn sampling(&self) -> Sampling {
        Sampling::Fps { fps: self.decode.fps, max_frames: Some(self.decode.max_frames) }
    }

    /// The size that frames are shown in.
    #[must_use]
    pub fn size(&self) -> Size {
        Size { width: self.vision.width, height: self.vision.height }
    }

    /// Rows and columns of visual tokens of a temporal patch, before any are left out.
    pub(super) fn grid(&self, card: &Card) -> (usize, usize) {
        fit::grid(self.size(), card)
    }

    fn warnings(&self, options: &Options, card: &Card, all: usize) -> Vec<String> {
        let mut warnings = Vec::new();
        let asked = options.decode.fps.is_some() || options.decode.max_frames.is_some();
        if let Some(fps) = self.decode.effective_fps
            && fps * COARSE_GAP_S < 1.0
            && !asked
        {
            warnings.push(format!(
                "one frame every {:.1} s is looked at ({} of {all} at {} a second): shorter events can be missed; \
                 --max-frames or --from/--to look closer",
                1.0 / fps,
                self.decode.max_frames,
                self.decode.fps
            ));
        }
        let wished = options.compress.keep.is_some()
            || options.compress.method.as_deref().is_some_and(|method| method != "auto");
        if self.compress.method != "none" && !wished {
            warnings.push(format!(
                "{} of {} visual tokens are kept ({}), so that it fits",
                self.compress.tokens, self.vision.tokens, self.compress.method
            ));
        }
        if self.decode.frames.is_none() {
            warnings.push("the file does not say how long it is: its first frames are looked at".to_owned());
        }
        if self.decode.max_frames as usize > card.frames.1 {
            warnings.push(format!(
                "{} frames are more than the {} that the model was made for",
                self.decode.max_frames, card.frames.1
            ));
        }
        warnings
    }
}

/// The pattern of every head of a sparse prefill.
pub(super) fn heads(options: &Options, patterns: Option<&PatternFile>) -> Heads {
    match (options.prefill.pattern, patterns) {
        (Some(pattern), _) => Heads::all(pattern.into()),
        (None, Some(file)) => file.heads(),
        (None, None) => Heads::all(Pattern::SAFE.into()),
    }
}

pub(super) fn prefill(options: &Options, card: &Card, patterns: Option<&PatternFile>, tokens: usize) -> PrefillPlan {
    let known = patterns.is_some() || options.prefill.pattern.is_some();
    let sparse = match options.prefill.mode.unwrap_or_default() {
        PrefillMode::Auto => known && tokens >= SPARSE_FROM,
        PrefillMode::Dense => false,
        PrefillMode::Sparse => true,
    };
    let dense = Heads::all(Pattern::Dense.into());
    let heads = if sparse { heads(options, patterns) } else { dense };
    let named = |(name, count): (&'static str, usize)| (name.to_owned(), count);
    PrefillPlan {
        mode: if sparse { PrefillMode::Sparse } else { PrefillMode::Dense },
        chunk: options.prefill.chunk.unwrap_or(if sparse { SPARSE_ROWS } else { generate::PREFILL_ROWS }),
        patterns: heads.counts(card.layers, card.heads).into_iter().map(named).collect(),
        revision: heads.revision(),
        kv: options.prefill.kv.unwrap_or_default(),
        density: None,
    }
}

/// Settings that no video can make sense of.
fn check(options: &Options) -> Result<(), PlanError> {
    let positive = |name, value: Option<f64>| match value {
        Some(value) if !(value.is_finite() && value > 0.0) => {
            Err(PlanError::Setting { name, value, must: "a positive number" })
        }
        _ => Ok(()),
    };
    positive("fps", options.decode.fps)?;
    positive("max_frames", options.decode.max_frames.map(|frames| frames as f64))?;
    positive("visual_window", options.prompt.visual_window.map(f64::from))?;
    positive("chunk", options.prefill.chunk.map(|rows| rows as f64))?;
    positive("memory", options.budget.memory.map(|bytes| bytes as f64))?;
    positive("seconds", options.budget.seconds)?;
    for value in options.compress.keep.into_iter().chain(options.sample.keep) {
        if !(value > 0.0 && value <= 1.0) {
            return Err(PlanError::Setting { name: "keep", value, must: "above 0 and at most 1" });
        }
    }
    positive("fps of [evidence]", options.evidence.fps)?;
    positive("part", options.evidence.part)?;
    positive("max_new_tokens", options.generate.max_new_tokens.map(|tokens| tokens as f64))?;
    if let Some(Err(wrong)) = options.prefill.pattern.map(|pattern| pattern.check()) {
        return Err(PlanError::Pattern(wrong));
    }
    match options.generate.temperature {
        Some(value) if !(value.is_finite() && value >= 0.0) => {
            Err(PlanError::Setting { name: "temperature", value, must: "0 or more" })
        }
        _ => Ok(()),
    }
}

/// The stretch that is looked at: what was asked for, less what the file does not hold; open if it does not say.
fn range(options: &Options, info: &VideoInfo) -> Result<Span, PlanError> {
    let (from, to) = (options.decode.from.unwrap_or(f64::NEG_INFINITY), options.decode.to.unwrap_or(f64::INFINITY));
    let (start, end) = (info.start_s.unwrap_or(0.0), info.end_s().unwrap_or(f64::INFINITY));
    let span = Span { start: from.max(start), end: to.min(end) };
    if span.start < span.end { Ok(span) } else { Err(PlanError::EmptyRange { from, to, start, end }) }
}

/// Frames of `seconds` at `fps`, or at the source's own rate where that is lower.
fn frames_at(seconds: f64, fps: f64, info: &VideoInfo) -> usize {
    let fps = info.frame_rate.map_or(fps, |own| own.min(fps));
    ((seconds * fps).ceil() as usize).max(1)
}
