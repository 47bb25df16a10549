//! A span and what speaks for it -> verified, weak or contradicted, and how sure.

use super::{Evidence, Status};
use longsight_models::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a closer look at a span came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// Seen again, at nearly the same time
    Verified,
    /// Seen again, but elsewhere or not surely
    Weak,
    /// Not there
    Contradicted,
    /// Not looked at again
    #[default]
    Unchecked,
}

/// What speaks for a span. Shares from 0 to 1; `None` where it could not be asked.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Clues {
    /// Overlap with a span that the answer names (intersection over union)
    pub named: f64,
    /// The model's probability of the answer
    pub probability: f64,
    /// How likely it is there, asked of each short stretch of the span: their mean
    pub presence: Option<f64>,
    /// The same in the closer look
    pub closer_presence: Option<f64>,
    /// Overlap of the span with where the closer look has it; 0 if nowhere
    pub closer: f64,
    /// Overlap with a span that the answer in the closer look names
    pub closer_named: f64,
}

/// Score from which a span is verified.
const VERIFIED: f64 = 0.5;
/// Presence below which nothing is there.
const PRESENT: f64 = 0.5;
/// Overlap below which two looks saw different events.
const SAME_EVENT: f64 = 0.1;

/// Verified, weak or contradicted, and the calibrated probability that the span is right, of a span that was looked at
/// again.
#[must_use]
pub fn judge(clues: &Clues) -> (Check, f64) {
    let score = score(clues);
    let nowhere = clues.closer < SAME_EVENT && clues.closer_named < SAME_EVENT;
    let check = match clues.closer_presence {
        Some(presence) if presence < PRESENT && nowhere => Check::Contradicted,
        None if nowhere => Check::Contradicted,
        _ if score >= VERIFIED && !nowhere => Check::Verified,
        _ => Check::Weak,
    };
    (check, score)
}

fn score(clues: &Clues) -> f64 {
    let presence = clues.presence.unwrap_or(clues.probability);
    let closer = clues.closer_presence.unwrap_or(clues.probability);
    let named = clues.named.max(clues.closer_named);
    (presence * closer * clues.closer.sqrt() * (0.5 + 0.5 * named)).clamp(0.0, 1.0)
}

impl From<&Evidence> for Span {
    fn from(evidence: &Evidence) -> Self {
        Self { start: evidence.start, end: evidence.end }
    }
}

/// Intersection over union of two spans.
#[must_use]
pub fn iou(a: Span, b: Span) -> f64 {
    let both = (a.end.min(b.end) - a.start.max(b.start)).max(0.0);
    let either = a.duration() + b.duration() - both;
    if either > 0.0 { both / either } else { 0.0 }
}

/// How well an answer is supported once its spans have been looked at; `before` is what it was before.
#[must_use]
pub fn status(before: Status, evidence: &[Evidence]) -> Status {
    let count = |check: Check| evidence.iter().filter(|span| span.check == check).count();
    match (before, evidence.len()) {
        (_, 0) | (Status::Unanswerable, _) => before,
        (_, all) if count(Check::Contradicted) == all => Status::Unsupported,
        (Status::Supported, all) if count(Check::Verified) == all => Status::Supported,
        _ => Status::Partly,
    }
}
