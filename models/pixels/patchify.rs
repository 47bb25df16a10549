//! Frames to rows of normalised pixels.

use super::ProcessorConfig;
use super::resize::resample;
use crate::{Frame, FrameRef, Grid, Medium, ModelError, PatchTime, Patches, Size};
use candle_core::{Device, Tensor};
use rayon::prelude::*;

const CHANNELS: usize = 3;

/// Cuts frames as one processor's settings say.
#[derive(Debug, Clone)]
pub(crate) struct Patcher {
    config: ProcessorConfig,
    /// What each of the 256 values of each channel becomes
    values: [[f32; 256]; CHANNELS],
}

impl Patcher {
    pub(crate) fn new(config: ProcessorConfig) -> Self {
        let mut values = [[0.0; 256]; CHANNELS];
        for (channel, values) in values.iter_mut().enumerate() {
            for (byte, value) in values.iter_mut().enumerate() {
                let byte = byte as f32;
                // Rescaling is folded into mean and deviation in f32, as the reference does.
                *value = match (config.normalize, config.rescale) {
                    (Some((mean, deviation)), rescale) => {
                        let scale = rescale.map_or(1.0, |factor| (1.0 / factor) as f32);
                        (byte - mean[channel] as f32 * scale) / (deviation[channel] as f32 * scale)
                    }
                    (None, Some(factor)) => byte * factor as f32,
                    (None, None) => byte,
                };
            }
        }
        Self { config, values }
    }

    /// What one grey level of each channel is after normalisation.
    pub(crate) fn grey_level(&self) -> [f32; CHANNELS] {
        std::array::from_fn(|channel| self.values[channel][1] - self.values[channel][0])
    }

    /// Patches of consecutive `frames`, each resized to `size`; the last is repeated to fill its temporal patch.
    pub(crate) fn patch(&self, frames: &[Frame], size: Size, medium: Medium) -> Result<Patches, ModelError> {
        let ProcessorConfig { patch, temporal_patch, merge, .. } = self.config;
        let factor = self.config.factor();
        let (height, width) = (size.height as usize, size.width as usize);
        if frames.is_empty() || height == 0 || width == 0 || height % factor != 0 || width % factor != 0 {
            let found = vec![frames.len(), height, width];
            return Err(ModelError::Shape { what: "frames and their size", expected: vec![1, factor, factor], found });
        }
        let grid = Grid { t: frames.len().div_ceil(temporal_patch), h: height / patch, w: width / patch };
        let pictures: Vec<Vec<u8>> =
            frames.par_iter().map(|frame| resample(&frame.image, size, &self.config)).collect::<Result<_, _>>()?;
        let last = frames.len() - 1;
        let per_row = CHANNELS * temporal_patch * patch * patch;
        let mut pixels = vec![0f32; grid.patches() * per_row];
        // One task per row of visual tokens.
        let band = merge * grid.w * per_row;
        pixels.par_chunks_mut(band).enumerate().for_each(|(index, band)| {
            let (t, top) = (index / (grid.h / merge), index % (grid.h / merge) * merge);
            let pictures: Vec<&[u8]> =
                (0..temporal_patch).map(|i| &*pictures[(t * temporal_patch + i).min(last)]).collect();
            for (block, rows) in band.chunks_mut(merge * merge * per_row).enumerate() {
                for (inside, row) in rows.chunks_mut(per_row).enumerate() {
                    let (y, x) = (top + inside / merge, block * merge + inside % merge);
                    self.cut(row, &pictures, y * patch, x * patch, width);
                }
            }
        });
        let times = frames
            .chunks(temporal_patch)
            .map(|chunk| PatchTime { first: FrameRef::from(&chunk[0]), last: FrameRef::from(&chunk[chunk.len() - 1]) });
        let pixels = Tensor::from_vec(pixels, (grid.patches(), per_row), &Device::Cpu)?;
        Patches::new(pixels, grid, times.collect(), medium)
    }

    /// One patch, `[channels, temporal, patch, patch]`, whose corner lies at (`top`, `left`).
    fn cut(&self, row: &mut [f32], pictures: &[&[u8]], top: usize, left: usize, width: usize) {
        let patch = self.config.patch;
        for (plane, out) in row.chunks_mut(patch * patch).enumerate() {
            let (channel, picture) = (plane / pictures.len(), pictures[plane % pictures.len()]);
            let values = &self.values[channel];
            for (y, line) in out.chunks_mut(patch).enumerate() {
                let start = ((top + y) * width + left) * CHANNELS + channel;
                let bytes = picture[start..].iter().step_by(CHANNELS);
                for (value, &byte) in line.iter_mut().zip(bytes) {
                    *value = values[byte as usize];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed call fails the test")]
    use super::*;
    use crate::{PixelBudget, TimeBase, Timestamp};
    use image::{Rgb, RgbImage};

    fn config() -> ProcessorConfig {
        ProcessorConfig {
            resize: true,
            resample: 3,
            rescale: None,
            normalize: None,
            limits: PixelBudget { min: 1, max: 1 << 30 },
            patch: 2,
            temporal_patch: 2,
            merge: 2,
        }
    }

    /// A frame whose red says the frame, green the row and blue the column.
    fn frame(index: u64) -> Frame {
        let image = RgbImage::from_fn(8, 4, |x, y| Rgb([index as u8, y as u8, x as u8]));
        Frame { index, time: Timestamp { pts: index as i64, base: TimeBase { num: 1, den: 2 } }, image }
    }

    #[test]
    fn rows_hold_channels_times_and_lines_of_patches_in_merge_order() {
        let size = Size { width: 8, height: 4 };
        let patches = Patcher::new(config()).patch(&[frame(0), frame(1), frame(2)], size, Medium::Video).unwrap();
        assert_eq!(patches.grid(), Grid { t: 2, h: 2, w: 4 });
        let rows: Vec<Vec<f32>> = patches.pixels().to_vec2().unwrap();
        // The second token's third patch of the first two frames: lines 2 and 3, columns 4 and 5.
        assert_eq!(rows[6][..8], [0., 0., 0., 0., 1., 1., 1., 1.]);
        assert_eq!(rows[6][8..16], [2., 2., 3., 3., 2., 2., 3., 3.]);
        assert_eq!(rows[6][16..], [4., 5., 4., 5., 4., 5., 4., 5.]);
        // The third frame fills its temporal patch alone.
        assert_eq!(rows[8][..8], [2.; 8]);
        assert_eq!((patches.times()[1].first.index, patches.times()[1].last.index), (2, 2));
        assert_eq!(patches.times()[0].mean_seconds(), 0.25);
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let patcher = Patcher::new(config());
        for (width, height) in [(6, 4), (0, 4), (8, 2)] {
            assert!(patcher.patch(&[frame(0)], Size { width, height }, Medium::Video).is_err());
        }
        assert!(patcher.patch(&[], Size { width: 8, height: 4 }, Medium::Video).is_err());
    }
}
