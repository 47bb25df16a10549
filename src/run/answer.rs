//! The answer object: what `ask --json` prints, one per question.

use crate::decode::VideoFacts;
use crate::evidence::{Coverage, Evidence, Status};
use crate::run::Plan;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `longsight.answer/1`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// `longsight.answer/1`
    pub schema: String,
    /// The file
    pub video: VideoFacts,
    /// As it was asked, without the choices
    pub question: String,
    /// The choices that were given, as they were given; left out without any
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// What the model said
    pub answer: String,
    /// The choice that the answer names, as it was given; null without choices or when it names none
    pub choice: Option<String>,
    /// How well the answer is supported
    pub status: Status,
    /// The spans that it rests on
    pub evidence: Vec<Evidence>,
    /// What was looked at
    pub coverage: Coverage,
    /// What was done
    pub plan: Plan,
    /// What answered
    pub model: ModelFacts,
    /// What it cost in tokens
    pub usage: Usage,
    /// The index entry that spared reading the video; null if it was read
    pub index: Option<String>,
    /// What it cost in time
    pub timing_s: Timing,
    /// What a reader should know
    pub warnings: Vec<String>,
}

/// The model that answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelFacts {
    /// As it was asked for
    pub id: String,
    /// Content hash of its configuration and weight headers, or the hub's revision
    pub revision: String,
    /// The family that runs it
    pub family: String,
    /// The number format of the computation
    pub dtype: String,
}

/// Tokens of one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Tokens of the prompt, visual ones included
    pub prompt_tokens: usize,
    /// Tokens of the answer
    pub generated_tokens: usize,
    /// Tokens of the prompts that checked it, visual ones included: short stretches asked about one by one, closer looks
    #[serde(default)]
    pub check_tokens: usize,
}

/// Seconds by stage. Decoding and encoding overlap, so the stages may sum to more than the total; stages that several
/// questions share are counted with each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timing {
    /// Waiting for frames
    pub decode: f64,
    /// Finding scenes
    pub scenes: f64,
    /// The vision tower, resizing included
    pub vision: f64,
    /// Choosing among visual tokens
    pub compress: f64,
    /// Running the prompt
    pub prefill: f64,
    /// Running the answer
    pub generate: f64,
    /// Asking about short stretches and looking closer at spans, all stages together
    #[serde(default)]
    pub check: f64,
    /// From the first read of the file to the answer
    pub total: f64,
}
