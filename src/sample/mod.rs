//! Which frames are worth looking at?
//!
//! Comes in: what the container says of the video, and wishes. Goes out: a [`Plan`]: the [`Sampling`] that decoding is
//! asked for, and what it will and will not see. Never: a decoded frame.

mod aks;
mod diverse;
mod moments;
mod scenes;

pub use moments::{Moments, Sampler, chosen, relevance, sampler, samplers};

use crate::decode::{Sampling, VideoInfo};
use longsight_models::Span;

/// Frames per second, unless the user says otherwise: what the supported models were trained with.
pub const DEFAULT_FPS: f64 = 2.0;
/// Frames, unless the user says otherwise: the same models' limit.
pub const DEFAULT_MAX_FRAMES: u64 = 768;

/// What the user asked for; `None` leaves the choice open.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Wishes {
    /// Frames per second
    pub fps: Option<f64>,
    /// Frames at most
    pub max_frames: Option<u64>,
    /// First second wanted
    pub from: Option<f64>,
    /// First second no longer wanted
    pub to: Option<f64>,
}

/// How a video will be sampled.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What decoding is asked for
    pub sampling: Sampling,
    /// The stretch that will be looked at, in seconds; without end if the container does not say
    pub span: Span,
    /// Frames per second that come of it; `None` if the container gives no rate and every frame is taken
    pub fps: Option<f64>,
    /// Frames expected
    pub frames: Option<u64>,
    /// The longest time between two frames, in seconds: what is shorter may be missed
    pub max_gap_s: Option<f64>,
}

/// Spreads frames evenly over a stretch of a video: [`DEFAULT_FPS`] up to [`DEFAULT_MAX_FRAMES`] in all unless wished
/// otherwise. A wish for a rate alone has no limit; a limit that does not reach the end lowers the rate.
#[must_use]
pub fn plan(info: &VideoInfo, wishes: &Wishes) -> Plan {
    let open = Span { start: wishes.from.unwrap_or(f64::NEG_INFINITY), end: wishes.to.unwrap_or(f64::INFINITY) };
    let span = info.clip(open);
    let fps = wishes.fps.unwrap_or(DEFAULT_FPS);
    let max_frames = wishes.max_frames.or(if wishes.fps.is_none() { Some(DEFAULT_MAX_FRAMES) } else { None });
    let sampling = Sampling::Fps { fps, max_frames };
    let fps = sampling.effective_fps(span, info).or(info.frame_rate);
    let frames = fps.map(|fps| (span.duration() * fps).round().max(1.0)).filter(|frames| frames.is_finite());
    Plan {
        sampling,
        span,
        fps,
        frames: frames.map(|frames| (frames as u64).min(max_frames.unwrap_or(u64::MAX))),
        max_gap_s: fps.map(|fps| 1.0 / fps),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Orientation;
    use longsight_models::TimeBase;

    fn video(duration_s: f64, rate: f64) -> VideoInfo {
        VideoInfo {
            format: "mov,mp4".to_owned(),
            stream: 0,
            codec: "h264".to_owned(),
            pixel_format: "yuv420p".to_owned(),
            bit_depth: 8,
            width: 64,
            height: 48,
            coded_width: 64,
            coded_height: 48,
            pixel_aspect: (1, 1),
            orientation: Orientation::default(),
            time_base: TimeBase { num: 1, den: 90_000 },
            start_s: Some(0.0),
            duration_s: Some(duration_s),
            duration_is_guess: false,
            frame_rate: Some(rate),
            tick_rate: Some(rate),
            vfr: false,
            frames: None,
            has_audio: false,
            video_streams: 1,
            hdr: false,
        }
    }

    fn check(duration_s: f64, wishes: Wishes, frames: u64, fps: f64) {
        let plan = plan(&video(duration_s, 30.0), &wishes);
        assert_eq!(plan.frames, Some(frames), "{plan:?}");
        assert!(plan.fps.is_some_and(|got| (got - fps).abs() < 1e-9), "{plan:?}");
    }

    #[test]
    fn a_short_video_is_seen_at_the_default_rate_and_a_long_one_within_the_default_number() {
        check(60.0, Wishes::default(), 120, 2.0);
        check(3600.0, Wishes::default(), 768, 768.0 / 3600.0);
    }

    #[test]
    fn wishes_override_the_defaults() {
        check(3600.0, Wishes { fps: Some(1.0), ..Wishes::default() }, 3600, 1.0);
        check(3600.0, Wishes { max_frames: Some(360), ..Wishes::default() }, 360, 0.1);
        check(3600.0, Wishes { from: Some(10.0), to: Some(20.0), ..Wishes::default() }, 20, 2.0);
        check(10.0, Wishes { fps: Some(1000.0), ..Wishes::default() }, 300, 30.0);
        check(3600.0, Wishes { from: Some(3590.0), ..Wishes::default() }, 20, 2.0);
    }
}
