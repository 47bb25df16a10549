//! From pictures to patches: resize, rescale, normalise, cut. What Hugging Face processors do, from their own files.

mod config;
mod patchify;
mod resize;

pub(crate) use config::{ImageProcessor, ProcessorConfig, VideoProcessor};
pub(crate) use patchify::Patcher;
pub(crate) use resize::{check_ratio, fit, image_size, round_to};
