//! What a model family is: how it is recognised, loaded and run.

use super::{Attention, Card, Checkpoint, Frame, KvCache, ModelError, Patches, Sequence, VisualTokens};
use candle_core::{DType, Device, Tensor};
use longsight_kernels::level::Precision;
use std::ops::Range;

/// The number format of the computation, whatever the weights are stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ComputeDtype {
    /// 32 bits throughout
    #[default]
    F32,
    /// 16-bit IEEE floats throughout
    F16,
    /// 16-bit brain floats: on a CPU in weights and products, with sums and what lies between in f32; elsewhere throughout
    Bf16,
    /// Weights of linear layers in blocks of 32 eight-bit numbers with a scale (GGML's Q8_0), made as they are loaded; the rest in
    /// f32. On a CPU only
    Q8_0,
}

impl ComputeDtype {
    /// `f32`, `f16`, `bf16` or `q8_0`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Q8_0 => "q8_0",
        }
    }
}

/// How to load.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// The number format of the computation
    pub compute: ComputeDtype,
    /// Where to compute
    pub device: Device,
}

impl Default for LoadOptions {
    /// f32 on the CPU.
    fn default() -> Self {
        Self { compute: ComputeDtype::F32, device: Device::Cpu }
    }
}

impl LoadOptions {
    /// What tensors hold.
    pub(crate) fn dtype(&self) -> DType {
        match self.compute {
            ComputeDtype::Bf16 if self.device.is_cpu() => DType::F32,
            ComputeDtype::F32 | ComputeDtype::Q8_0 => DType::F32,
            ComputeDtype::F16 => DType::F16,
            ComputeDtype::Bf16 => DType::BF16,
        }
    }

    /// What f32 tensors on a CPU are multiplied in.
    pub(crate) fn products(&self) -> Precision {
        if self.compute == ComputeDtype::Bf16 { Precision::Bf16 } else { Precision::F32 }
    }
}

/// A model family: one folder and one line in [`crate::FAMILIES`].
pub trait Family: Sync {
    /// Its name, as in `model_type` of config.json.
    fn name(&self) -> &'static str;

    /// The `architectures` strings that it claims.
    fn architectures(&self) -> &'static [&'static str];

    /// Facts of a checkpoint without loading its weights.
    ///
    /// # Errors
    /// When the configuration cannot be understood.
    fn card(&self, checkpoint: &Checkpoint) -> Result<Card, ModelError>;

    /// What of the checkpoint needs no weights.
    ///
    /// # Errors
    /// As [`Family::card`].
    fn processor(&self, checkpoint: &Checkpoint) -> Result<Box<dyn Processor>, ModelError>;

    /// Loads the weights (memory-mapped where they are used as stored).
    ///
    /// # Errors
    /// When the configuration or a weight is missing or not what the architecture says.
    fn load(&self, checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Box<dyn Vlm>, ModelError>;
}

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Pixels across
    pub width: u32,
    /// Pixels down
    pub height: u32,
}

/// The pixels that may be spent, in place of the checkpoint's own limits. What they count is the family's: Qwen2.5-VL
/// counts one frame's, Qwen3-VL all frames' together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelBudget {
    /// Least
    pub min: usize,
    /// Most
    pub max: usize,
}

/// Which rows' logits are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// The last row's: one row
    Last,
    /// Every row's
    All,
    /// None: the KV cache is all that is wanted (earlier chunks of a prompt)
    Nothing,
}

/// Scores of the next token, `[rows, vocabulary]`, f32.
#[derive(Debug, Clone)]
pub struct Logits(Tensor);

impl Logits {
    /// # Errors
    /// When the tensor has not two axes.
    pub fn new(tensor: &Tensor) -> Result<Self, ModelError> {
        tensor.dims2()?;
        Ok(Self(tensor.to_dtype(DType::F32)?))
    }

    /// `[rows, vocabulary]`, f32.
    #[must_use]
    pub fn tensor(&self) -> &Tensor {
        &self.0
    }

    /// The last row `[vocabulary]`.
    ///
    /// # Errors
    /// When there is no row ([`Want::Nothing`]).
    pub fn last(&self) -> Result<Tensor, ModelError> {
        let rows = self.0.dim(0)?;
        let none = || ModelError::Shape { what: "logits", expected: vec![1], found: vec![0] };
        Ok(self.0.get(rows.checked_sub(1).ok_or_else(none)?)?)
    }
}

/// What a checkpoint does that takes no weights: sizes, pixels, the prompt's text and positions. So that a run can be planned before
/// gigabytes are read.
pub trait Processor: Send + Sync {
    /// Facts.
    fn card(&self) -> &Card;

    /// The size that `frames` frames of size `source` are resized to, by the rules of the checkpoint's video
    /// processor, or within `budget` in place of its limits.
    ///
    /// # Errors
    /// When the sides are too unequal.
    fn frame_size(&self, source: Size, frames: usize, budget: Option<PixelBudget>) -> Result<Size, ModelError>;

    /// The size that one still image of size `source` is resized to.
    ///
    /// # Errors
    /// When the sides are too unequal.
    fn image_size(&self, source: Size, budget: Option<PixelBudget>) -> Result<Size, ModelError>;

    /// Visual tokens of `frames` frames of `size` (as [`Processor::frame_size`] gives).
    fn visual_tokens(&self, size: Size, frames: usize) -> usize {
        let card = self.card();
        let side = card.patch * card.merge;
        frames.div_ceil(card.temporal_patch) * (size.width as usize / side) * (size.height as usize / side)
    }

    /// Resizes frames to `size`, normalises and cuts them. A number of frames that is no multiple of the temporal
    /// patch is filled up by repeating the last, so chunks of a video (except its last) hold whole temporal patches.
    ///
    /// # Errors
    /// When there is no frame or `size` is no multiple of a merged patch.
    fn patch(&self, frames: &[Frame], size: Size) -> Result<Patches, ModelError>;

    /// The same for one still image.
    ///
    /// # Errors
    /// As [`Processor::patch`].
    fn patch_image(&self, image: &Frame, size: Size) -> Result<Patches, ModelError>;

    /// Replaces the prompt's placeholders, one for each of `media` in order, by the text that makes room for their
    /// tokens (and, for families that write times into the prompt, says when each was).
    ///
    /// # Errors
    /// When placeholders and media differ in number.
    fn expand(&self, prompt: &str, media: &[VisualTokens]) -> Result<String, ModelError>;

    /// Positions and visual rows of the expanded, tokenised prompt. `seconds_per_patch` overrides the media's own
    /// times for families that have time in their positions (a replay of a reference that knows only a rate).
    ///
    /// # Errors
    /// When placeholder tokens and media differ in number.
    fn layout(
        &self,
        ids: &[u32],
        media: &[VisualTokens],
        seconds_per_patch: Option<f64>,
    ) -> Result<Sequence, ModelError>;
}

/// A loaded vision-language model. Shared by threads; what changes (KV, attention state) is passed in.
pub trait Vlm: Send + Sync {
    /// Its part without weights.
    fn processor(&self) -> &dyn Processor;

    /// Facts.
    fn card(&self) -> &Card {
        self.processor().card()
    }

    /// The vision tower. Temporal patches do not see each other, so encoding a video in chunks and joining them with
    /// [`VisualTokens::concat`] gives what encoding it whole gives.
    ///
    /// # Errors
    /// When the patches have another width than the tower's.
    fn encode(&self, patches: &Patches) -> Result<VisualTokens, ModelError> {
        self.encode_pooled(patches, &[])
    }

    /// The same with every temporal patch pooled between the tower and its mergers: `strides` says for each by how many tokens a
    /// side, 1 leaving it as it is; nothing is pooled where there are none. A token stands at the first place of those that it is of.
    ///
    /// # Errors
    /// As [`Vlm::encode`]; and when there is not one stride of at least 1 for each temporal patch.
    fn encode_pooled(&self, patches: &Patches, strides: &[usize]) -> Result<VisualTokens, ModelError>;

    /// The language model's own vectors of some tokens, `[ids, hidden]`: the space that visual tokens are put into.
    ///
    /// # Errors
    /// When an id is outside the vocabulary.
    fn embed(&self, ids: &[u32]) -> Result<Tensor, ModelError>;

    /// Runs `rows` of the sequence; the rows before them are in `kv`, and theirs are added to it. Long prompts are run
    /// in chunks of rows, each call with the next range, so that memory stays flat.
    ///
    /// # Errors
    /// When `kv` does not hold exactly the rows before, or shapes do not agree.
    fn forward(
        &self,
        sequence: &Sequence,
        rows: Range<usize>,
        media: &[VisualTokens],
        attention: &mut dyn Attention,
        kv: &mut dyn KvCache,
        want: Want,
    ) -> Result<Logits, ModelError>;
}
