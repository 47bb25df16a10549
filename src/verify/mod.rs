//! Does a family compute what its authors' implementation computes? Replays a reference that lies beside a checkpoint.
//!
//! Comes in: a checkpoint folder with `frames.safetensors`, `golden.safetensors` and `golden.json`. Goes out: the
//! differences. `vision_embeds`, `logits` and `generated_ids` are computed from the reference's own pixels, so that
//! rounding in resizing is not multiplied by the network; `logits_end_to_end` from this program's.

mod compare;
mod reference;
mod replay;

pub use compare::{Equal, LogitDifference, PixelDifference, TensorDifference};
pub use replay::verify;

use crate::prompt::PromptError;
use longsight_models::{ComputeDtype, ModelError};
use serde::Serialize;
use std::path::PathBuf;

/// Why a reference cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A file of the reference is missing or not what it should be
    #[error("{}: {message}", path.display())]
    Reference {
        /// The file
        path: PathBuf,
        /// What is wrong with it
        message: String,
    },
    /// The checkpoint or the model
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The prompt
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// The tensor library
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// The differences from a reference.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct Report {
    /// `longsight.verify/1`
    pub schema: &'static str,
    /// The family's name
    pub family: &'static str,
    /// The number format of the computation
    pub dtype: &'static str,
    /// Token ids of the expanded prompt
    pub input_ids: Equal,
    /// Three-axis positions
    pub position_ids: Equal,
    /// This program's pixels
    pub pixel_values: PixelDifference,
    /// Visual tokens
    pub vision_embeds: TensorDifference,
    /// DeepStack rows, one entry for each level
    pub deepstack_embeds: Vec<TensorDifference>,
    /// Scores of every token, from the reference's pixels
    pub logits: LogitDifference,
    /// Scores of every token, from this program's pixels
    pub logits_end_to_end: LogitDifference,
    /// Greedy continuation
    pub generated_ids: Equal,
    /// Whether everything is within its tolerance
    pub pass: bool,
}

/// How far a report may be from the reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Norm of the difference over the norm of the reference, from the same pixels
    pub network: f64,
    /// The same from this program's pixels
    pub end_to_end: f64,
    /// Whether greedy ids must be equal: half formats may swap near-equal scores
    pub generated: bool,
}

/// Share of pixel values that may be one grey level off.
pub const ROUNDED_PIXELS: f64 = 0.05;

impl Tolerance {
    /// In f32 nothing but the order of additions differs; half formats keep 11 (f16) or 8 (bf16) bits at every step.
    #[must_use]
    pub fn of(compute: ComputeDtype) -> Self {
        match compute {
            ComputeDtype::Bf16 | ComputeDtype::Q8_0 => Self { network: 0.1, end_to_end: 0.15, generated: false },
            ComputeDtype::F16 => Self { network: 0.02, end_to_end: 0.05, generated: false },
            ComputeDtype::F32 => Self { network: 1e-3, end_to_end: 0.03, generated: true },
        }
    }
}
