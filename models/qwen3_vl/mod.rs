//! Qwen3-VL: every temporal patch is its own block after the text of its time; the vision tower's earlier layers are
//! added to the first language layers (DeepStack); rotary axes interleaved.

mod config;
mod layout;
mod vision;

use crate::layers::decoder::Decoder;
use crate::pixels::{Patcher, image_size};
use crate::weights::Weights;
use crate::{
    Attention, Card, Checkpoint, Family, Frame, KvCache, LoadOptions, Logits, Medium, ModelError, Patches, PixelBudget,
    Sequence, Size, VisualTokens, Vlm, Want,
};
use candle_core::Tensor;
use config::Config;
use std::ops::Range;
use vision::Vision;

/// The family.
#[derive(Debug)]
pub(crate) struct Qwen3Vl;

impl Family for Qwen3Vl {
    fn name(&self) -> &'static str {
        "qwen3_vl"
    }

    fn architectures(&self) -> &'static [&'static str] {
        &["Qwen3VLForConditionalGeneration"]
    }

    fn card(&self, checkpoint: &Checkpoint) -> Result<Card, ModelError> {
        Config::read(checkpoint)?.card(checkpoint)
    }

    fn processor(&self, checkpoint: &Checkpoint) -> Result<Box<dyn crate::Processor>, ModelError> {
        Ok(Box::new(Processor::open(checkpoint)?))
    }

    fn load(&self, checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Box<dyn Vlm>, ModelError> {
        let processor = Processor::open(checkpoint)?;
        let config = &processor.config;
        let weights = Weights::open(checkpoint, options)?;
        let trunk = weights.at_first(&["model.language_model", "language_model.model", "model"], "embed_tokens.weight");
        let tower = weights.at_first(&["model.visual", "visual"], "patch_embed.proj.weight");
        let head = weights.at_first(&["lm_head", "language_model.lm_head"], "weight");
        Ok(Box::new(Model {
            vision: Vision::load(config, &tower)?,
            decoder: Decoder::load(config.parts.decoder.clone(), &trunk, &head)?,
            processor,
        }))
    }
}

struct Processor {
    card: Card,
    config: Config,
    video: Patcher,
    image: Patcher,
}

impl Processor {
    fn open(checkpoint: &Checkpoint) -> Result<Self, ModelError> {
        let config = Config::read(checkpoint)?;
        Ok(Self {
            card: config.card(checkpoint)?,
            video: Patcher::new(config.video.pixels.clone()),
            image: Patcher::new(config.image.pixels.clone()),
            config,
        })
    }
}

struct Model {
    processor: Processor,
    vision: Vision,
    decoder: Decoder,
}

impl crate::Processor for Processor {
    fn card(&self) -> &Card {
        &self.card
    }

    fn frame_size(&self, source: Size, frames: usize, budget: Option<PixelBudget>) -> Result<Size, ModelError> {
        layout::frame_size(&self.config.video, source, frames, budget)
    }

    fn image_size(&self, source: Size, budget: Option<PixelBudget>) -> Result<Size, ModelError> {
        let pixels = &self.config.image.pixels;
        if !pixels.resize {
            return Ok(source);
        }
        image_size(source, pixels.factor(), budget.unwrap_or(pixels.limits))
    }

    fn patch(&self, frames: &[Frame], size: Size) -> Result<Patches, ModelError> {
        self.video.patch(frames, size, Medium::Video)
    }

    fn patch_image(&self, image: &Frame, size: Size) -> Result<Patches, ModelError> {
        self.image.patch(std::slice::from_ref(image), size, Medium::Image)
    }

    fn expand(&self, prompt: &str, media: &[VisualTokens]) -> Result<String, ModelError> {
        layout::expand(prompt, media)
    }

    fn layout(&self, ids: &[u32], media: &[VisualTokens], _: Option<f64>) -> Result<Sequence, ModelError> {
        layout::layout(ids, (self.config.parts.image_token, self.config.parts.video_token), media)
    }
}

impl Vlm for Model {
    fn processor(&self) -> &dyn crate::Processor {
        &self.processor
    }

    fn encode_pooled(&self, patches: &Patches, strides: &[usize]) -> Result<VisualTokens, ModelError> {
        self.vision.encode(patches, strides)
    }

    fn embed(&self, ids: &[u32]) -> Result<Tensor, ModelError> {
        self.decoder.embed(ids)
    }

    fn forward(
        &self,
        sequence: &Sequence,
        rows: Range<usize>,
        media: &[VisualTokens],
        attention: &mut dyn Attention,
        kv: &mut dyn KvCache,
        want: Want,
    ) -> Result<Logits, ModelError> {
        self.decoder.forward(sequence, rows, media, attention, kv, want)
    }
}
