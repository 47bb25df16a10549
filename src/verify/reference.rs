//! Reads the files of a reference.

use super::VerifyError;
use candle_core::{DType, Device, Tensor};
use image::RgbImage;
use longsight_models::{Frame, Grid, TimeBase, Timestamp};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// golden.json.
#[derive(Debug, Deserialize)]
pub(super) struct Golden {
    /// The chat-templated text before the video placeholder is expanded
    pub(super) prompt: String,
    /// Frames per second of the source
    pub(super) fps: f64,
    /// Which frames of the source were kept
    pub(super) frame_indices: Vec<u64>,
}

/// A whole reference.
#[derive(Debug)]
pub(super) struct Reference {
    pub(super) golden: Golden,
    pub(super) frames: Vec<Frame>,
    tensors: HashMap<String, Tensor>,
    path: PathBuf,
}

impl Reference {
    pub(super) fn open(folder: &Path) -> Result<Self, VerifyError> {
        let path = folder.join("golden.json");
        let wrong = |message: String| VerifyError::Reference { path: path.clone(), message };
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
        let golden: Golden = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if !golden.fps.is_finite() || golden.fps <= 0.0 {
            return Err(wrong(format!("{} frames per second", golden.fps)));
        }
        let frames = frames(&folder.join("frames.safetensors"), &golden)?;
        let path = folder.join("golden.safetensors");
        Ok(Self { golden, frames, tensors: load(&path)?, path })
    }

    /// A tensor of golden.safetensors.
    pub(super) fn tensor(&self, name: &str) -> Result<&Tensor, VerifyError> {
        self.tensors.get(name).ok_or_else(|| self.wrong(format!("no tensor {name}")))
    }

    /// All of a tensor's elements, which must be whole and not negative.
    pub(super) fn ids(&self, name: &str) -> Result<Vec<u32>, VerifyError> {
        let values: Vec<i64> = self.tensor(name)?.flatten_all()?.to_dtype(DType::I64)?.to_vec1()?;
        let id = |value: i64| u32::try_from(value).map_err(|_| self.wrong(format!("{name} holds {value}")));
        values.into_iter().map(id).collect()
    }

    /// The grid of the one video.
    pub(super) fn grid(&self) -> Result<Grid, VerifyError> {
        match self.ids("video_grid_thw")?[..] {
            [t, h, w] => Ok(Grid { t: t as usize, h: h as usize, w: w as usize }),
            ref other => Err(self.wrong(format!("video_grid_thw is {other:?}, not one video's"))),
        }
    }

    /// `deepstack_embeds.0`, `.1`, ..
    pub(super) fn deepstack(&self) -> Vec<&Tensor> {
        (0..).map_while(|level| self.tensors.get(&format!("deepstack_embeds.{level}"))).collect()
    }

    /// Seconds of one temporal patch of `frames` frames, as processors that know only rates compute it: the frames
    /// kept of all frames, times the source's rate; then rounded to f32, as the reference stores it.
    pub(super) fn seconds_per_patch(&self, frames: usize) -> f64 {
        let total = self.golden.frame_indices.last().map_or(1, |last| last + 1);
        let kept = self.golden.frame_indices.len() as f64;
        f64::from((frames as f64 / (kept / total as f64 * self.golden.fps)) as f32)
    }

    pub(super) fn wrong(&self, message: String) -> VerifyError {
        VerifyError::Reference { path: self.path.clone(), message }
    }
}

fn load(path: &Path) -> Result<HashMap<String, Tensor>, VerifyError> {
    let wrong = |message: String| VerifyError::Reference { path: path.to_path_buf(), message };
    if !path.is_file() {
        return Err(wrong("no such file".to_owned()));
    }
    candle_core::safetensors::load(path, &Device::Cpu).map_err(|error| wrong(error.to_string()))
}

fn frames(path: &Path, golden: &Golden) -> Result<Vec<Frame>, VerifyError> {
    let wrong = |message: String| VerifyError::Reference { path: path.to_path_buf(), message };
    let tensors = load(path)?;
    let pixels = tensors.get("video_frames").ok_or_else(|| wrong("no tensor video_frames".to_owned()))?;
    let (count, height, width, channels) = pixels.dims4()?;
    if channels != 3 || count != golden.frame_indices.len() || count == 0 {
        let indices = golden.frame_indices.len();
        return Err(wrong(format!("{count} frames of {channels} channels for {indices} frame indices")));
    }
    let base = time_base(golden.fps);
    let frame = |(at, &index): (usize, &u64)| {
        let bytes: Vec<u8> = pixels.get(at)?.flatten_all()?.to_vec1()?;
        let image = RgbImage::from_raw(width as u32, height as u32, bytes);
        let image = image.ok_or_else(|| wrong("a frame is shorter than its size".to_owned()))?;
        let ticks = i64::try_from(index).unwrap_or(i64::MAX).saturating_mul(base.ticks_per_frame);
        Ok(Frame { index, time: Timestamp { pts: ticks, base: base.base }, image })
    };
    golden.frame_indices.iter().enumerate().map(frame).collect()
}

/// A time base in which frames of a constant rate fall on whole ticks.
struct FrameBase {
    base: TimeBase,
    ticks_per_frame: i64,
}

/// Rates are whole, decimal or NTSC (`24000/1001`) numbers.
fn time_base(fps: f64) -> FrameBase {
    for scale in [1u32, 10, 100, 1000, 1001, 10_000, 100_000] {
        let den = (fps * f64::from(scale)).round();
        if den >= 1.0 && den <= f64::from(u32::MAX) && (den / f64::from(scale) - fps).abs() <= fps * 1e-9 {
            return FrameBase { base: TimeBase { num: scale, den: den as u32 }, ticks_per_frame: 1 };
        }
    }
    let ticks = (1e9 / fps).round().clamp(1.0, 1e15) as i64;
    FrameBase { base: TimeBase { num: 1, den: 1_000_000_000 }, ticks_per_frame: ticks }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_times_are_the_index_over_the_rate() {
        for fps in [24.0, 29.97, 30_000.0 / 1001.0, 12.5, 0.5, 59.94, std::f64::consts::PI] {
            let base = time_base(fps);
            for index in [0, 1, 7, 1000, 123_456] {
                let time = Timestamp { pts: index * base.ticks_per_frame, base: base.base }.seconds();
                let expected = index as f64 / fps;
                assert!((time - expected).abs() <= 1e-7 * (1.0 + expected), "{index} at {fps}: {time}");
            }
        }
    }
}
