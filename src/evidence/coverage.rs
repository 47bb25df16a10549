//! What was looked at, and what was not.

use longsight_models::FrameRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much of the video stands behind an answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    /// First second that was asked for
    pub from: f64,
    /// First second that was not, or where the file's pictures end
    pub to: f64,
    /// Frames that the decoder gave
    pub frames_decoded: u64,
    /// Frames that the model saw
    pub frames_seen: u64,
    /// The longest stretch without a seen frame, borders included, in seconds
    pub max_gap_s: f64,
    /// What lasts at least so long was seen in at least one frame, in seconds
    pub smallest_event_s: f64,
    /// Visual tokens before compression
    pub visual_tokens_before: u64,
    /// Visual tokens that reached the language model
    pub visual_tokens_after: u64,
}

impl Coverage {
    /// Coverage of `from..to` by the frames `seen`, in presentation order.
    #[must_use]
    pub fn of(from: f64, to: f64, decoded: u64, seen: &[FrameRef], before: usize, after: usize) -> Self {
        let mut last = from;
        let mut max_gap_s: f64 = 0.0;
        for time in seen.iter().map(|frame| frame.time.seconds()).chain([to]) {
            max_gap_s = max_gap_s.max(time - last);
            last = last.max(time);
        }
        Self {
            from,
            to,
            frames_decoded: decoded,
            frames_seen: seen.len() as u64,
            max_gap_s,
            smallest_event_s: max_gap_s,
            visual_tokens_before: before as u64,
            visual_tokens_after: after as u64,
        }
    }
}
