//! config.json and the processors' files.

use crate::layers::activation::Activation;
use crate::layers::config::{self, Parts, TextDefaults, VisionFacts, one_or_equal};
use crate::pixels::{ImageProcessor, ProcessorConfig, VideoProcessor};
use crate::{Card, Checkpoint, ModelError, PixelBudget};
use serde::Deserialize;

/// The vision tower; defaults are the class's.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(super) struct VisionConfig {
    pub(super) depth: usize,
    pub(super) hidden_size: usize,
    pub(super) hidden_act: Activation,
    pub(super) intermediate_size: usize,
    pub(super) num_heads: usize,
    pub(super) in_channels: usize,
    #[serde(deserialize_with = "one_or_equal")]
    pub(super) patch_size: usize,
    pub(super) spatial_merge_size: usize,
    #[serde(deserialize_with = "one_or_equal")]
    pub(super) temporal_patch_size: usize,
    pub(super) out_hidden_size: usize,
    pub(super) num_position_embeddings: usize,
    pub(super) deepstack_visual_indexes: Vec<usize>,
    pub(super) rope_parameters: Option<AxialRope>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct AxialRope {
    pub(super) rope_theta: Option<f64>,
}

impl Default for VisionConfig {
    fn default() -> Self {
        Self {
            depth: 27,
            hidden_size: 1152,
            hidden_act: Activation::GeluPytorchTanh,
            intermediate_size: 4304,
            num_heads: 16,
            in_channels: 3,
            patch_size: 16,
            spatial_merge_size: 2,
            temporal_patch_size: 2,
            out_hidden_size: 3584,
            num_position_embeddings: 2304,
            deepstack_visual_indexes: vec![8, 16, 24],
            rope_parameters: None,
        }
    }
}

impl VisionConfig {
    pub(super) fn rope_theta(&self) -> f64 {
        self.rope_parameters.as_ref().and_then(|rope| rope.rope_theta).unwrap_or(10_000.0)
    }
}

/// Everything that the family reads from a checkpoint's JSON files.
pub(super) struct Config {
    pub(super) parts: Parts<VisionConfig>,
    pub(super) image: ImageProcessor,
    pub(super) video: VideoProcessor,
}

impl Config {
    pub(super) fn read(checkpoint: &Checkpoint) -> Result<Self, ModelError> {
        let parts: Parts<VisionConfig> = config::read(
            checkpoint,
            &TextDefaults {
                rms_norm_eps: 1e-6,
                rope_theta: 500_000.0,
                mrope_section: [24, 20, 20],
                max_position_embeddings: 128_000,
                head_dim: Some(128),
                interleaved: true,
                qkv_bias: false,
                qk_norm: true,
            },
        )?;
        let vision = &parts.vision;
        if let Err(message) = check(vision, parts.decoder.hidden) {
            return Err(config::wrong(checkpoint, message));
        }
        let video = ProcessorConfig {
            resize: true,
            resample: 3,
            rescale: Some(1.0 / 255.0),
            normalize: Some(([0.5; 3], [0.5; 3])),
            limits: PixelBudget { min: 128 * 32 * 32, max: 768 * 32 * 32 },
            patch: 16,
            temporal_patch: 2,
            merge: 2,
        };
        let image = ProcessorConfig {
            // The class of the image processor is Qwen2-VL's, with its defaults.
            normalize: Some(([0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_54, 0.261_302_58, 0.275_777_11])),
            limits: PixelBudget { min: 56 * 56, max: 28 * 28 * 1280 },
            patch: 14,
            ..video.clone()
        };
        let video = VideoProcessor { pixels: video, fps: 2.0, frames: (4, 768), cap: false, max_video_tokens: 768 };
        let image = ImageProcessor::read(checkpoint, &image)?;
        let video = VideoProcessor::read(checkpoint, &video, false)?;
        for pixels in [&video.pixels, &image.pixels] {
            let found = [pixels.patch, pixels.temporal_patch, pixels.merge];
            let expected = [vision.patch_size, vision.temporal_patch_size, vision.spatial_merge_size];
            if found != expected {
                let message = format!(
                    "the processor's patch, temporal patch and merge {found:?} are not the tower's {expected:?}"
                );
                return Err(config::wrong(checkpoint, message));
            }
        }
        Ok(Self { parts, image, video })
    }

    pub(super) fn card(&self, checkpoint: &Checkpoint) -> Result<Card, ModelError> {
        let vision = VisionFacts {
            layers: self.parts.vision.depth,
            hidden: self.parts.vision.hidden_size,
            deepstack: self.parts.vision.deepstack_visual_indexes.len(),
        };
        config::card("qwen3_vl", checkpoint, &self.parts, &vision, &self.video)
    }
}

fn check(vision: &VisionConfig, language_hidden: usize) -> Result<(), String> {
    let VisionConfig { hidden_size, num_heads, out_hidden_size, in_channels, depth, .. } = *vision;
    if num_heads == 0 || hidden_size % num_heads != 0 || (hidden_size / num_heads) % 4 != 0 {
        return Err(format!(
            "vision heads: a width of {hidden_size} cannot be shared by {num_heads} heads rotated on 2 axes"
        ));
    }
    if in_channels != 3 {
        return Err(format!("{in_channels} colour channels are not supported (supported: 3)"));
    }
    if out_hidden_size != language_hidden {
        return Err(format!(
            "visual tokens of width {out_hidden_size} do not fit a language model of width {language_hidden}"
        ));
    }
    if vision.num_position_embeddings == 0 {
        return Err("num_position_embeddings is 0".to_owned());
    }
    if let Some(layer) = vision.deepstack_visual_indexes.iter().find(|&&layer| layer >= depth) {
        return Err(format!("deepstack_visual_indexes names layer {layer} of {depth}"));
    }
    Ok(())
}
