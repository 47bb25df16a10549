//! Frame sizes, the text around visual tokens, and positions.

use crate::layers::media::{self, placeholder};
use crate::pixels::{VideoProcessor, image_size};
use crate::{Medium, ModelError, PixelBudget, Sequence, Size, VisualTokens};

/// The budget is for one frame, whatever their number, unless the processor caps the video's tokens.
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
    let factor = pixels.factor();
    let mut limits = budget.unwrap_or(pixels.limits);
    if video.cap {
        let total = (video.max_video_tokens as f64 * (factor * factor) as f64 * 0.9) as usize;
        let share = total * pixels.temporal_patch / frames.max(1);
        limits.max = limits.max.min(share).max((limits.min as f64 * 1.05) as usize);
    }
    image_size(source, factor, limits)
}

/// A placeholder for every visual token; time is in the positions alone.
pub(super) fn expand(prompt: &str, media: &[VisualTokens]) -> Result<String, ModelError> {
    media::expand(prompt, media, false, |tokens| placeholder(tokens.medium()).repeat(tokens.len()))
}

/// Positions as the released weights were trained: time advances with the seconds of a temporal patch, and text after
/// a block goes on after the largest position of its three axes.
pub(super) fn layout(
    ids: &[u32],
    placeholders: (u32, u32),
    media: &[VisualTokens],
    tokens_per_second: f64,
    seconds_per_patch: Option<f64>,
) -> Result<Sequence, ModelError> {
    let whole = |tokens: &VisualTokens| vec![tokens.len()];
    media::lay_out(ids, placeholders, media, whole, |positions, tokens, rows| {
        let start = positions.next;
        let times = times(tokens, tokens_per_second, seconds_per_patch);
        for at in &tokens.coordinates()[rows] {
            positions.push([start.saturating_add(times[at.t as usize]), start + at.h, start + at.w]);
        }
        let (height, width) = tokens.grid();
        let last = times.last().copied().unwrap_or(0).max((height.max(width) as u32).saturating_sub(1));
        positions.next = start.saturating_add(last).saturating_add(1);
    })
}

/// The time position of each temporal patch, from 0.
fn times(tokens: &VisualTokens, tokens_per_second: f64, seconds_per_patch: Option<f64>) -> Vec<u32> {
    if tokens.medium() == Medium::Image {
        return vec![0; tokens.times().len()];
    }
    let Some(seconds) = seconds_per_patch else {
        let begin = tokens.times().first().map_or(0.0, |time| time.first.time.seconds());
        // Nearest, not floor: real timestamps jitter around the even spacing that training saw.
        let position = |seconds: f64| ((seconds - begin) * tokens_per_second).round().max(0.0) as u32;
        return tokens.times().iter().map(|time| position(time.first.time.seconds())).collect();
    };
    (0..tokens.times().len()).map(|patch| (patch as f64 * seconds * tokens_per_second) as u32).collect()
}
