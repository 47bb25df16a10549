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
    /// What is written there was read in the closer look, and is not what was asked for but may be mistaken for it
    pub misread: bool,
}

/// Probability of being right from which a span is verified.
const VERIFIED: f64 = 0.9;
/// Probability of being right below which a span is contradicted.
const CONTRADICTED: f64 = 0.1;
/// Presence below which nothing is there.
const PRESENT: f64 = 0.5;
/// Overlap below which two looks saw different events.
const SAME_EVENT: f64 = 0.1;
/// From agreement to the probability of being right: a logistic curve (Platt), fitted to the spans of 32 held-out clips
/// that nothing else was measured on, answered by longsight-tiny (`bench evidence --seed 4000000 --clips 32`). Other models
/// are not calibrated: their order holds, the numbers may not.
const PLATT: (f64, f64) = (-5.1, 13.3);

/// Verified, weak or contradicted, and the calibrated probability that the span is right, of a span that was looked at
/// again.
#[must_use]
pub fn judge(clues: &Clues) -> (Check, f64) {
    let score = 1.0 / (1.0 + (-PLATT.0 - PLATT.1 * agreement(clues)).exp());
    let nowhere = clues.closer < SAME_EVENT && clues.closer_named < SAME_EVENT;
    let check = match clues.closer_presence {
        Some(presence) if presence < PRESENT && nowhere => Check::Contradicted,
        None if nowhere => Check::Contradicted,
        _ if score < CONTRADICTED => Check::Contradicted,
        _ if score >= VERIFIED && !nowhere => Check::Verified,
        _ => Check::Weak,
    };
    (check, score)
}

/// How far everything agrees, 0 to 1. What could not be asked counts as the answer's own probability.
fn agreement(clues: &Clues) -> f64 {
    let presence = clues.presence.unwrap_or(clues.probability);
    let closer = clues.closer_presence.unwrap_or(clues.probability);
    let named = clues.named.max(clues.closer_named);
    let read = if clues.misread { 0.5 } else { 1.0 };
    (read * presence * closer * clues.closer.max(0.0).sqrt() * f64::midpoint(1.0, named)).clamp(0.0, 1.0)
}

impl From<&Evidence> for Span {
    fn from(evidence: &Evidence) -> Self {
        Self { start: evidence.start, end: evidence.end }
    }
}

/// Intersection over union of two spans.
#[must_use]
pub fn iou(a: Span, b: Span) -> f64 {
    a.iou(b)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Source;

    fn clues(presence: f64, closer_presence: f64, closer: f64, named: f64) -> Clues {
        let (presence, closer_presence) = (Some(presence), Some(closer_presence));
        Clues { named, probability: 0.95, presence, closer_presence, closer, ..Clues::default() }
    }

    #[test]
    fn what_two_looks_agree_on_is_verified_and_what_the_second_misses_is_not() {
        for (clues, expected) in [
            (clues(0.95, 0.95, 0.9, 0.9), Check::Verified),
            (clues(0.95, 0.95, 0.3, 0.9), Check::Weak),
            (Clues { misread: true, ..clues(0.95, 0.95, 0.9, 0.9) }, Check::Weak),
            (clues(0.6, 0.6, 0.9, 0.9), Check::Weak),
            (clues(0.95, 0.6, 0.0, 0.9), Check::Contradicted),
            (clues(0.95, 0.2, 0.0, 0.9), Check::Contradicted),
            (
                Clues { named: 1.0, probability: 0.95, closer: 0.9, closer_named: 0.9, ..Clues::default() },
                Check::Verified,
            ),
            (Clues { named: 1.0, probability: 0.95, ..Clues::default() }, Check::Contradicted),
        ] {
            assert_eq!(judge(&clues).0, expected, "{clues:?}");
        }
    }

    #[test]
    fn more_agreement_never_scores_less() {
        let steps = (0..=10).map(|step| f64::from(step) / 10.0);
        let scores = |of: fn(f64) -> Clues| steps.clone().map(|x| judge(&of(x)).1).collect::<Vec<_>>();
        for scores in [
            scores(|x| clues(x, 0.9, 0.9, 0.9)),
            scores(|x| clues(0.9, x, 0.9, 0.9)),
            scores(|x| clues(0.9, 0.9, x, 0.9)),
            scores(|x| clues(0.9, 0.9, 0.9, x)),
        ] {
            assert!(scores.is_sorted() && scores[0] < scores[10], "{scores:?}");
            assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)));
        }
    }

    #[test]
    fn only_verified_spans_support_an_answer() {
        let span = |check: Check| Evidence {
            start: 1.0,
            end: 2.0,
            score: 0.5,
            source: Source::Visual,
            frames: Vec::new(),
            verified: check == Check::Verified,
            check,
        };
        for (checks, expected) in [
            (&[Check::Verified, Check::Verified][..], Status::Supported),
            (&[Check::Verified, Check::Weak], Status::Partly),
            (&[Check::Unchecked], Status::Partly),
            (&[Check::Weak, Check::Contradicted], Status::Partly),
            (&[Check::Contradicted], Status::Unsupported),
        ] {
            let evidence: Vec<Evidence> = checks.iter().map(|&check| span(check)).collect();
            assert_eq!(status(Status::Supported, &evidence), expected, "{checks:?}");
        }
        assert_eq!(status(Status::Unanswerable, &[]), Status::Unanswerable);
    }
}
