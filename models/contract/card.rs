//! What can be known of a model without running it.

use schemars::JsonSchema;
use serde::Serialize;

/// The number format of the stored weights or of the computation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DTypeName {
    /// 32-bit floats
    F32,
    /// 16-bit IEEE floats
    F16,
    /// 16-bit brain floats
    Bf16,
}

/// Facts about a checkpoint, read from its configuration.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Card {
    /// The family's name (`qwen3_vl`)
    pub family: &'static str,
    /// Weights in all, counted from the files' headers; tied weights once
    pub parameters: u64,
    /// Bytes of weights on disk
    pub weight_bytes: u64,
    /// The dtype of most stored weights
    pub dtype: DTypeName,
    /// Language layers
    pub layers: usize,
    /// Width of the language model
    pub hidden: usize,
    /// Query heads
    pub heads: usize,
    /// Key and value heads
    pub kv_heads: usize,
    /// Width of a head
    pub head_dim: usize,
    /// Vocabulary
    pub vocabulary: usize,
    /// Longest context that the model was made for, in tokens
    pub context: usize,
    /// Vision layers
    pub vision_layers: usize,
    /// Width of the vision tower
    pub vision_hidden: usize,
    /// Rows added to the first language layers for each visual token (DeepStack)
    pub deepstack: usize,
    /// Pixels along a patch's side
    pub patch: usize,
    /// Patches along the side of one visual token
    pub merge: usize,
    /// Frames in one temporal patch
    pub temporal_patch: usize,
    /// Frames per second that the checkpoint's video processor samples
    pub fps: f64,
    /// Fewest and most frames that it samples
    pub frames: (usize, usize),
    /// What one grey level of each colour is after normalisation
    pub grey_level: [f32; 3],
    /// Ids that end an answer
    pub eos: Vec<u32>,
}

impl Card {
    /// Bytes of keys and values per token at `bytes` per element.
    #[must_use]
    pub fn kv_bytes_per_token(&self, bytes: usize) -> usize {
        2 * self.layers * self.kv_heads * self.head_dim * bytes
    }
}
