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
    #[serde(alias = "in_chans")]
    pub(super) in_channels: usize,
    #[serde(deserialize_with = "one_or_equal")]
    pub(super) patch_size: usize,
    pub(super) spatial_merge_size: usize,
    #[serde(deserialize_with = "one_or_equal")]
    pub(super) temporal_patch_size: usize,
    pub(super) tokens_per_second: f64,
    pub(super) window_size: usize,
    pub(super) out_hidden_size: usize,
    pub(super) fullatt_block_indexes: Vec<usize>,
    pub(super) rope_parameters: Option<AxialRope>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct AxialRope {
    pub(super) rope_theta: Option<f64>,
}

impl Default for VisionConfig {
    fn default() -> Self {
        Self {
            depth: 32,
            hidden_size: 3584,
            hidden_act: Activation::Silu,
            intermediate_size: 3420,
            num_heads: 16,
            in_channels: 3,
            patch_size: 14,
            spatial_merge_size: 2,
            temporal_patch_size: 2,
            tokens_per_second: 4.0,
            window_size: 112,
            out_hidden_size: 3584,
            fullatt_block_indexes: vec![7, 15, 23, 31],
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
                rms_norm_eps: 1e-5,
                rope_theta: 1_000_000.0,
                mrope_section: [16, 24, 24],
                max_position_embeddings: 32_768,
                head_dim: None,
                interleaved: false,
                qkv_bias: true,
                qk_norm: false,
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
            normalize: Some(([0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_54, 0.261_302_58, 0.275_777_11])),
            limits: PixelBudget { min: 128 * 28 * 28, max: 768 * 28 * 28 },
            patch: 14,
            temporal_patch: 2,
            merge: 2,
        };
        let image = ProcessorConfig { limits: PixelBudget { min: 56 * 56, max: 28 * 28 * 1280 }, ..video.clone() };
        let video = VideoProcessor { pixels: video, fps: 2.0, frames: (4, 768), cap: false, max_video_tokens: 128_000 };
        let image = ImageProcessor::read(checkpoint, &image)?;
        let video = VideoProcessor::read(checkpoint, &video, true)?;
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
        let vision =
            VisionFacts { layers: self.parts.vision.depth, hidden: self.parts.vision.hidden_size, deepstack: 0 };
        config::card("qwen2_5_vl", checkpoint, &self.parts, &vision, &self.video)
    }
}

fn check(vision: &VisionConfig, language_hidden: usize) -> Result<(), String> {
    let VisionConfig { hidden_size, num_heads, out_hidden_size, in_channels, .. } = *vision;
    if num_heads == 0 || hidden_size % num_heads != 0 || (hidden_size / num_heads) % 4 != 0 {
        return Err(format!(
            "vision heads: a width of {hidden_size} cannot be shared by {num_heads} heads rotated on 2 axes"
        ));
    }
    if in_channels != 3 {
        return Err(format!("{in_channels} colour channels are not supported (supported: 3)"));
    }
    if vision.window_size < vision.patch_size * vision.spatial_merge_size {
        return Err(format!("a window of {} pixels holds no visual token", vision.window_size));
    }
    if out_hidden_size != language_hidden {
        return Err(format!(
            "visual tokens of width {out_hidden_size} do not fit a language model of width {language_hidden}"
        ));
    }
    Ok(())
}
