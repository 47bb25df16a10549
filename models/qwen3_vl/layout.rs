//! Frame sizes, the text around visual tokens, and positions.

use crate::layers::media::{self, END, START, placeholder};
use crate::pixels::{VideoProcessor, check_ratio, fit, round_to};
use crate::{Medium, ModelError, PixelBudget, Sequence, Size, VisualTokens};

/// The budget is for all frames together; sides below one visual token are first scaled up.
pub(super) fn frame_size(
    video: &VideoProcessor,
    source: Size,
    frames: usize,
    budget: Option<PixelBudget>,
) -> Result<Size, ModelError> {
    let pixels = &video.pixels;
    if !pixels.resize {
        return Ok(source);
    }
    let (factor, frames) = (pixels.factor(), frames.max(pixels.temporal_patch));
    let mut limits = budget.unwrap_or(pixels.limits);
    if video.cap {
        let most = (video.max_video_tokens * factor * factor).min(limits.max / frames);
        limits.max = most.max((limits.min as f64 * 1.05) as usize).saturating_mul(frames);
    }
    check_ratio(Size { width: source.width.max(1), height: source.height.max(1) })?;
    let (mut height, mut width) = (f64::from(source.height), f64::from(source.width));
    let step = factor as f64;
    if height < step || width < step {
        let scale = (step / height).max(step / width);
        (height, width) = ((height * scale).trunc(), (width * scale).trunc());
    }
    let count = round_to(frames as f64, pixels.temporal_patch);
    check_ratio(Size { width: width as u32, height: height as u32 })?;
    let rounded = (round_to(height, factor), round_to(width, factor));
    fit(rounded, (height, width), frames as f64, count, factor, limits)
}

/// A video becomes, for each temporal patch, its time, then its tokens between marks. Chat templates already put
/// marks around the placeholder; the released weights were trained without that outer pair.
pub(super) fn expand(prompt: &str, media: &[VisualTokens]) -> Result<String, ModelError> {
    media::expand(prompt, media, true, |tokens| {
        let pads = |count: usize| placeholder(tokens.medium()).repeat(count);
        if tokens.medium() == Medium::Image {
            return pads(tokens.len());
        }
        let patches = tokens.times().iter().zip(tokens.tokens_per_time()).filter(|&(_, count)| count > 0);
        patches
            .map(|(time, count)| format!("<{:.1} seconds>{START}{}{END}", time.mean_seconds(), pads(count)))
            .collect()
    })
}

/// Tokens of a block share one time; text goes on after the longer side of the block.
pub(super) fn layout(ids: &[u32], tokens: (u32, u32), media: &[VisualTokens]) -> Result<Sequence, ModelError> {
    media::lay_out(ids, tokens, media, VisualTokens::tokens_per_time, |positions, tokens, rows| {
        let start = positions.next;
        for at in &tokens.coordinates()[rows] {
            positions.push([start, start + at.h, start + at.w]);
        }
        let (height, width) = tokens.grid();
        positions.next += height.max(width) as u32;
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed call fails the test")]
    use super::*;
    use crate::pixels::ProcessorConfig;

    fn video(max: usize, cap: bool) -> VideoProcessor {
        VideoProcessor {
            pixels: ProcessorConfig {
                resize: true,
                resample: 3,
                rescale: None,
                normalize: None,
                limits: PixelBudget { min: 4096, max },
                patch: 16,
                temporal_patch: 2,
                merge: 2,
            },
            fps: 2.0,
            frames: (4, 768),
            cap,
            max_video_tokens: 768,
        }
    }

    /// Sizes that the reference's video processor gives with a budget of 24576 tokens' pixels.
    #[test]
    fn all_frames_share_the_budget() {
        for (frames, height, width, expected) in [
            (20, 720, 1280, (704, 1280)),
            (120, 720, 1280, (320, 608)),
            (768, 1080, 1920, (128, 224)),
            (768, 360, 640, (128, 224)),
            (6, 240, 320, (256, 320)),
            (4, 1080, 1920, (1088, 1920)),
        ] {
            let size = frame_size(&video(24576 * 1024, false), Size { width, height }, frames, None).unwrap();
            assert_eq!((size.height, size.width), expected, "{frames} frames of {height}x{width}");
        }
        let size = |width, height| frame_size(&video(24576 * 1024, false), Size { width, height }, 4, None);
        assert_eq!(size(20, 10).unwrap(), Size { width: 64, height: 32 });
        assert!(size(6500, 32).is_err());
        assert!(size(0, 32).is_err());
    }

    #[test]
    fn the_cap_bounds_each_frame() {
        let size = frame_size(&video(24576 * 1024, true), Size { width: 1920, height: 1080 }, 4, None).unwrap();
        assert_eq!((size.height, size.width), (640, 1152));
    }
}
