//! A span, and what a closer look at it said -> verified, weak or contradicted, and how sure.

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

/// What was said in the closer look.
#[derive(Debug, Clone, Copy)]
pub struct Closer<'a> {
    /// The spans that it names, on its own frames
    pub spans: &'a [Evidence],
    /// The model's probability of that answer
    pub probability: f64,
    /// The probability that the thing is there at all, where that could be asked
    pub presence: Option<f64>,
}

/// What is made of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// Verified, weak or contradicted
    pub check: Check,
    /// The calibrated probability that the span is right
    pub score: f64,
    /// Which of the closer look's spans is the same event
    pub same: Option<usize>,
    /// How much the two overlap: intersection over union
    pub agreement: f64,
}

/// Score from which a span is verified.
pub const VERIFIED_SCORE: f64 = 0.5;
/// Overlap below which two looks saw different events.
const SAME_EVENT: f64 = 0.1;
/// Presence below which nothing is there, whatever span was named.
const PRESENT: f64 = 0.5;

/// Holds a span against a closer look at it.
#[must_use]
pub fn judge(span: &Evidence, closer: &Closer<'_>) -> Verdict {
    let overlap = |other: &Evidence| iou(span.into(), other.into());
    let best = closer.spans.iter().enumerate().max_by(|(_, a), (_, b)| overlap(a).total_cmp(&overlap(b)));
    let (same, agreement) = match best {
        Some((place, other)) if overlap(other) >= SAME_EVENT => (Some(place), overlap(other)),
        _ => (None, 0.0),
    };
    let presence = closer.presence.unwrap_or(1.0);
    let score = (span.score * closer.probability).sqrt() * agreement.sqrt() * presence;
    let check = match same {
        None if closer.spans.is_empty() || presence < PRESENT => Check::Contradicted,
        Some(_) if score >= VERIFIED_SCORE => Check::Verified,
        _ => Check::Weak,
    };
    Verdict { check, score, same, agreement }
}

impl From<&Evidence> for Span {
    fn from(evidence: &Evidence) -> Self {
        Self { start: evidence.start, end: evidence.end }
    }
}

/// Intersection over union of two spans.
fn iou(a: Span, b: Span) -> f64 {
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
