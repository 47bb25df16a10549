//! The processors' settings, in any of the files that releases have put them in.

use crate::{Checkpoint, ModelError, PixelBudget};
use serde::Deserialize;
use serde_json::Value;

/// Settings of an image or video processor; missing ones take the class's default.
#[derive(Debug, Clone, Deserialize)]
struct Settings {
    do_resize: Option<bool>,
    do_rescale: Option<bool>,
    do_normalize: Option<bool>,
    image_mean: Option<Vec<f64>>,
    image_std: Option<Vec<f64>>,
    rescale_factor: Option<f64>,
    resample: Option<u32>,
    size: Option<SizeSettings>,
    min_pixels: Option<usize>,
    max_pixels: Option<usize>,
    patch_size: Option<usize>,
    temporal_patch_size: Option<usize>,
    merge_size: Option<usize>,
    fps: Option<f64>,
    min_frames: Option<usize>,
    max_frames: Option<usize>,
    cap_pixels_per_frame: Option<bool>,
    max_video_tokens: Option<usize>,
}

#[derive(Debug, Clone, Deserialize)]
struct SizeSettings {
    #[serde(alias = "min_pixels")]
    shortest_edge: Option<usize>,
    #[serde(alias = "max_pixels")]
    longest_edge: Option<usize>,
}

/// What both processors do to a picture.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ProcessorConfig {
    pub(crate) resize: bool,
    /// Pillow's number of the filter
    pub(crate) resample: u32,
    /// Factor applied to bytes, if any
    pub(crate) rescale: Option<f64>,
    /// Mean and standard deviation by channel, if any
    pub(crate) normalize: Option<([f64; 3], [f64; 3])>,
    pub(crate) limits: PixelBudget,
    pub(crate) patch: usize,
    pub(crate) temporal_patch: usize,
    pub(crate) merge: usize,
}

impl ProcessorConfig {
    /// Pixels along the side of one visual token.
    pub(crate) fn factor(&self) -> usize {
        self.patch * self.merge
    }
}

/// Settings of the image processor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ImageProcessor {
    pub(crate) pixels: ProcessorConfig,
}

/// Settings of the video processor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct VideoProcessor {
    pub(crate) pixels: ProcessorConfig,
    pub(crate) fps: f64,
    pub(crate) frames: (usize, usize),
    /// Whether `max_video_tokens` limits the pixels too
    pub(crate) cap: bool,
    pub(crate) max_video_tokens: usize,
}

impl ImageProcessor {
    /// From processor_config.json or preprocessor_config.json.
    pub(crate) fn read(checkpoint: &Checkpoint, defaults: &ProcessorConfig) -> Result<Self, ModelError> {
        let settings = settings(checkpoint, "image_processor", &["preprocessor_config.json"], true)?;
        Ok(Self { pixels: settings.pixels(checkpoint, defaults, true)? })
    }
}

impl VideoProcessor {
    /// From processor_config.json, video_preprocessor_config.json or preprocessor_config.json; `override_size` where
    /// `min_pixels` and `max_pixels` go before `size`.
    pub(crate) fn read(checkpoint: &Checkpoint, defaults: &Self, override_size: bool) -> Result<Self, ModelError> {
        let files = ["video_preprocessor_config.json", "preprocessor_config.json"];
        let settings = settings(checkpoint, "video_processor", &files, true)?;
        Ok(Self {
            pixels: settings.pixels(checkpoint, &defaults.pixels, override_size)?,
            fps: settings.fps.unwrap_or(defaults.fps),
            frames: (
                settings.min_frames.unwrap_or(defaults.frames.0),
                settings.max_frames.unwrap_or(defaults.frames.1),
            ),
            cap: settings.cap_pixels_per_frame.unwrap_or(defaults.cap),
            max_video_tokens: settings.max_video_tokens.unwrap_or(defaults.max_video_tokens),
        })
    }
}

/// The newest of the places that has the settings: nested in processor_config.json, else a file of their own.
fn settings(checkpoint: &Checkpoint, key: &str, files: &[&str], needed: bool) -> Result<Settings, ModelError> {
    let nested = checkpoint.json("processor_config.json")?.and_then(|config| config.get(key).cloned());
    let mut found = nested.map(|value| ("processor_config.json", value));
    for name in files {
        if found.is_none() {
            found = checkpoint.json(name)?.map(|value| (*name, value));
        }
    }
    let config_error =
        |file: &str, message: String| ModelError::Config { path: checkpoint.folder().join(file), message };
    let (file, value) = match found {
        Some(found) => found,
        None if needed => {
            return Err(config_error("processor_config.json", format!("there is none, nor {}", files.join(" or "))));
        }
        None => ("processor_config.json", Value::Object(serde_json::Map::new())),
    };
    serde_json::from_value(value).map_err(|error| config_error(file, error.to_string()))
}

impl Settings {
    fn pixels(
        &self,
        checkpoint: &Checkpoint,
        defaults: &ProcessorConfig,
        override_size: bool,
    ) -> Result<ProcessorConfig, ModelError> {
        let wrong = |message: &str| ModelError::Config {
            path: checkpoint.folder().join("processor_config.json"),
            message: message.to_owned(),
        };
        let three = |values: &Option<Vec<f64>>, default: [f64; 3], name: &str| match values.as_deref() {
            None => Ok(default),
            Some(&[r, g, b]) => Ok([r, g, b]),
            Some(_) => Err(wrong(&format!("{name} must have 3 numbers"))),
        };
        let (mean, deviation) = defaults.normalize.unwrap_or(([0.0; 3], [1.0; 3]));
        let mean = three(&self.image_mean, mean, "image_mean")?;
        let deviation = three(&self.image_std, deviation, "image_std")?;
        let size = self.size.as_ref();
        let edge = |given: Option<usize>, own: Option<usize>, default: usize| {
            given.filter(|_| override_size).or(own).unwrap_or(default)
        };
        let config = ProcessorConfig {
            resize: self.do_resize.unwrap_or(true),
            resample: self.resample.unwrap_or(defaults.resample),
            rescale: self.do_rescale.unwrap_or(true).then(|| self.rescale_factor.unwrap_or(1.0 / 255.0)),
            normalize: self.do_normalize.unwrap_or(true).then_some((mean, deviation)),
            limits: PixelBudget {
                min: edge(self.min_pixels, size.and_then(|s| s.shortest_edge), defaults.limits.min),
                max: edge(self.max_pixels, size.and_then(|s| s.longest_edge), defaults.limits.max),
            },
            patch: self.patch_size.unwrap_or(defaults.patch),
            temporal_patch: self.temporal_patch_size.unwrap_or(defaults.temporal_patch),
            merge: self.merge_size.unwrap_or(defaults.merge),
        };
        if [config.patch, config.temporal_patch, config.merge, config.limits.max].contains(&0) {
            return Err(wrong("patch_size, temporal_patch_size, merge_size and size must not be 0"));
        }
        Ok(config)
    }
}
