//! What was asked for. Comes in: pipeline files (TOML) and flags. Goes out: [`Options`], merged by precedence.
//!
//! Tables stand in data order. Unknown keys are errors that name the nearest known one, with line and column. The
//! resolved form, against a video and a model, is [`crate::run::Plan`].

mod bytes;
mod nearest;

pub use bytes::parse_bytes;

use crate::index::KvFormat;
use crate::prefill::Pattern;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The pipelines that are part of the program: name and text.
pub const BUILT_IN: &[(&str, &str)] = &[
    (DEFAULT, include_str!("../../pipelines/balanced.toml")),
    ("quick", include_str!("../../pipelines/quick.toml")),
    ("hour", include_str!("../../pipelines/hour.toml")),
    ("dense", include_str!("../../pipelines/dense.toml")),
];

/// The pipeline that is used when none is named.
pub const DEFAULT: &str = "balanced";

/// A pipeline as written: what is `None` was not said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Which frames are taken from the file
    pub decode: Decode,
    /// How scenes are found, where they are
    pub scenes: Scenes,
    /// How large they are shown to the model
    pub vision: Vision,
    /// Which of the frames that were encoded go on
    pub sample: Sample,
    /// How visual tokens become fewer
    pub compress: Compress,
    /// How what is left is put to the model
    pub prompt: Prompt,
    /// How the prompt is run
    pub prefill: Prefill,
    /// How the answer is sampled
    pub generate: Generate,
    /// What an answer must rest on
    pub evidence: Evidence,
    /// What all of it may cost
    pub budget: Budget,
}

/// `[decode]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Decode {
    /// Frames per second to look at
    pub fps: Option<f64>,
    /// The most frames to look at
    pub max_frames: Option<usize>,
    /// First second to look at
    pub from: Option<f64>,
    /// First second not to look at
    pub to: Option<f64>,
}

/// `[scenes]`: for `scenes` and `describe`; what an answer tells of scenes, it tells by the frames that were looked at
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenes {
    /// How scenes are found
    pub detector: Option<SceneDetector>,
    /// The detector's own: see there
    pub threshold: Option<f64>,
    /// Shortest scene, in seconds
    pub min_scene_len: Option<f64>,
    /// Similarity: the most cuts
    pub max_cuts: Option<usize>,
}

impl Scenes {
    /// What `over` says takes precedence; what belongs to one detector does not hold for another.
    fn overridden_by(&self, over: &Self) -> Self {
        let same = over.detector.is_none_or(|detector| detector == self.detector.unwrap_or_default());
        Self {
            detector: over.detector.or(self.detector),
            threshold: over.threshold.or(self.threshold.filter(|_| same)),
            min_scene_len: over.min_scene_len.or(self.min_scene_len),
            max_cuts: over.max_cuts.or(self.max_cuts.filter(|_| same)),
        }
    }
}

/// A way to find scenes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum SceneDetector {
    /// Cuts where the picture changes
    #[default]
    Content,
    /// Cuts where it changes more than around
    Adaptive,
    /// Cuts at the frames least like the one before
    Similarity,
}

/// `[vision]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vision {
    /// The most visual tokens that reach the language model
    pub max_tokens: Option<usize>,
}

/// `[sample]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sample {
    /// A sampler's name, or `all`
    pub method: Option<String>,
    /// The share of moments (temporal patches) that is kept, above 0 and at most 1
    pub keep: Option<f64>,
}

/// `[compress]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Compress {
    /// A method's name, `none`, or `auto`: only where something would not fit otherwise
    pub method: Option<String>,
    /// The share of visual tokens that is kept, above 0 and at most 1
    pub keep: Option<f64>,
}

/// `[budget]`: what a run may cost; frames, their size and their tokens are chosen to fit
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// Peak memory: bytes, or with a unit (`"8G"`, `"512M"`)
    #[serde(deserialize_with = "bytes::deserialize")]
    pub memory: Option<u64>,
    /// Seconds from the start to the answer
    pub seconds: Option<f64>,
}

/// `[prompt]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prompt {
    /// Positions that visual parts spanned in training, if longer ones are to be fitted into them
    pub visual_window: Option<u32>,
}

/// `[prefill]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prefill {
    /// Which attention runs the prompt
    pub mode: Option<PrefillMode>,
    /// The pattern of all heads, in place of the model's own file
    pub pattern: Option<Pattern>,
    /// Prompt tokens run through the language model at once
    pub chunk: Option<usize>,
    /// How the index keeps what the prompt leaves: keys and values
    pub kv: Option<KvFormat>,
}

/// The attention of the prefill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum PrefillMode {
    /// Sparse where the model has a pattern file and the prompt is long enough to gain by it
    #[default]
    Auto,
    /// Every token attends to every token before it
    Dense,
    /// Each head by its pattern
    Sparse,
}

/// `[generate]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Generate {
    /// The most tokens of an answer
    pub max_new_tokens: Option<usize>,
    /// 0 takes the most likely token every time
    pub temperature: Option<f64>,
    /// Share of probability that is sampled from
    pub top_p: Option<f64>,
    /// Number of tokens that are sampled from
    pub top_k: Option<usize>,
    /// Seed of the sampler
    pub seed: Option<u64>,
}

/// `[evidence]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Evidence {
    /// Refuse an answer that no checked span supports
    pub require: Option<bool>,
    /// Look at every span of an answer again, closer, before it is shown
    pub check: Option<bool>,
    /// Frames per second of the closer look
    pub fps: Option<f64>,
    /// Seconds before and behind a span that the closer look takes in
    pub margin: Option<f64>,
    /// The most spans of an answer that are looked at again
    pub max_spans: Option<usize>,
    /// The most short stretches of one look that are asked about one by one, for yes or no
    pub max_probes: Option<usize>,
    /// When questions for a time are asked part by part
    pub search: Option<SearchMode>,
    /// Seconds of a part
    pub part: Option<f64>,
}

/// When a question for a time is asked of one part of the video after the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum SearchMode {
    /// Of videos longer than a part
    #[default]
    Auto,
    /// Always in one
    Never,
}

/// Why a pipeline cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// No such file and no built-in of that name
    #[error("no pipeline `{name}`; built in: {known}")]
    Unknown {
        /// What was asked for
        name: String,
        /// What there is
        known: String,
    },
    /// The file cannot be read
    #[error("{}: {source}", path.display())]
    Read {
        /// The file
        path: PathBuf,
        /// Why
        source: std::io::Error,
    },
    /// The text is no pipeline
    #[error("{name}: {message}")]
    Parse {
        /// File or built-in name
        name: String,
        /// Where and what, and the nearest known key
        message: String,
    },
}

/// Reads a pipeline by name: a file (`x.toml`, or any path), or a built-in.
///
/// # Errors
/// When there is none of that name, or it cannot be read or understood.
pub fn load(name: &str) -> Result<Options, RecipeError> {
    if let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
        return parse(name, text);
    }
    let path = PathBuf::from(name);
    if !path.is_file() {
        let known = BUILT_IN.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", ");
        return Err(RecipeError::Unknown { name: name.to_owned(), known });
    }
    let text = std::fs::read_to_string(&path).map_err(|source| RecipeError::Read { path, source })?;
    parse(name, &text)
}

/// Reads a pipeline's text; `name` is for messages.
///
/// # Errors
/// When it is no TOML or has a key or a value that is not known.
pub fn parse(name: &str, text: &str) -> Result<Options, RecipeError> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let mut message = error.to_string().trim_end().to_owned();
        if let Some(hint) = nearest::hint(error.message()) {
            message.push_str(&hint);
        }
        RecipeError::Parse { name: name.to_owned(), message }
    })
}

impl Options {
    /// These options, with what `over` says taking precedence.
    #[must_use]
    pub fn overridden_by(&self, over: &Self) -> Self {
        Self {
            decode: Decode {
                fps: over.decode.fps.or(self.decode.fps),
                max_frames: over.decode.max_frames.or(self.decode.max_frames),
                from: over.decode.from.or(self.decode.from),
                to: over.decode.to.or(self.decode.to),
            },
            scenes: self.scenes.overridden_by(&over.scenes),
            vision: Vision { max_tokens: over.vision.max_tokens.or(self.vision.max_tokens) },
            sample: Sample {
                method: over.sample.method.clone().or(self.sample.method.clone()),
                keep: over.sample.keep.or(self.sample.keep),
            },
            compress: Compress {
                method: over.compress.method.clone().or(self.compress.method.clone()),
                keep: over.compress.keep.or(self.compress.keep),
            },
            prompt: Prompt { visual_window: over.prompt.visual_window.or(self.prompt.visual_window) },
            prefill: Prefill {
                mode: over.prefill.mode.or(self.prefill.mode),
                pattern: over.prefill.pattern.or(self.prefill.pattern),
                chunk: over.prefill.chunk.or(self.prefill.chunk),
                kv: over.prefill.kv.or(self.prefill.kv),
            },
            generate: Generate {
                max_new_tokens: over.generate.max_new_tokens.or(self.generate.max_new_tokens),
                temperature: over.generate.temperature.or(self.generate.temperature),
                top_p: over.generate.top_p.or(self.generate.top_p),
                top_k: over.generate.top_k.or(self.generate.top_k),
                seed: over.generate.seed.or(self.generate.seed),
            },
            evidence: Evidence {
                require: over.evidence.require.or(self.evidence.require),
                check: over.evidence.check.or(self.evidence.check),
                fps: over.evidence.fps.or(self.evidence.fps),
                margin: over.evidence.margin.or(self.evidence.margin),
                max_spans: over.evidence.max_spans.or(self.evidence.max_spans),
                max_probes: over.evidence.max_probes.or(self.evidence.max_probes),
                search: over.evidence.search.or(self.evidence.search),
                part: over.evidence.part.or(self.evidence.part),
            },
            budget: Budget {
                memory: over.budget.memory.or(self.budget.memory),
                seconds: over.budget.seconds.or(self.budget.seconds),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_built_in_pipeline_parses() {
        for (name, _) in BUILT_IN {
            load(name).unwrap();
        }
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place_and_the_nearest_one() {
        let error = parse("mine.toml", "[decode]\nfsp = 2.0\n").unwrap_err().to_string();
        assert!(
            error.contains("mine.toml") && error.contains("line 2") && error.contains("did you mean `fps`"),
            "{error}"
        );
        let error = parse("mine.toml", "[decod]\nfps = 2.0\n").unwrap_err().to_string();
        assert!(error.contains("did you mean `decode`"), "{error}");
    }

    #[test]
    fn a_detectors_settings_are_not_anothers() {
        let file =
            parse("a", "[scenes]\ndetector = \"similarity\"\nthreshold = 0.8\nmax_cuts = 3\nmin_scene_len = 2.0")
                .unwrap();
        let over = |scenes| file.overridden_by(&Options { scenes, ..Options::default() }).scenes;
        assert_eq!(over(Scenes::default()), file.scenes);
        let fewer = over(Scenes { max_cuts: Some(1), ..Scenes::default() });
        assert_eq!((fewer.threshold, fewer.max_cuts), (Some(0.8), Some(1)));
        let other = over(Scenes { detector: Some(SceneDetector::Content), ..Scenes::default() });
        assert_eq!((other.threshold, other.max_cuts, other.min_scene_len), (None, None, Some(2.0)));
        assert!(parse("a", "[scenes]\ndetector = \"contents\"").is_err());
    }

    #[test]
    fn flags_win_over_the_file() {
        let file = parse("a", "[decode]\nfps = 1.0\nmax_frames = 9").unwrap();
        let flags = Options { decode: Decode { fps: Some(4.0), ..Decode::default() }, ..Options::default() };
        let merged = file.overridden_by(&flags);
        assert_eq!((merged.decode.fps, merged.decode.max_frames), (Some(4.0), Some(9)));
    }
}
