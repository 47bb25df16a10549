//! Spans that may be what was asked for, and what speaks for each.

use super::Answer;
use super::presence::Slice;
use crate::evidence::{Check, Clues, Evidence, Source, iou};
use longsight_models::Span;

/// Presence from which a stretch shows what was asked for.
pub(super) const PRESENT: f64 = 0.5;

/// A span, before it is shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    pub(super) evidence: Evidence,
    pub(super) clues: Clues,
}

impl Candidate {
    /// Takes in one that follows: what is known of either counts by its length.
    pub(super) fn join(&mut self, next: Self) {
        let (a, b) = (self.evidence.end - self.evidence.start, next.evidence.end - next.evidence.start);
        let weight = if a + b > 0.0 { a / (a + b) } else { 0.5 };
        let mean = |a: f64, b: f64| a * weight + b * (1.0 - weight);
        let clues = &mut self.clues;
        clues.named = mean(clues.named, next.clues.named);
        clues.probability = mean(clues.probability, next.clues.probability);
        clues.presence = match (clues.presence, next.clues.presence) {
            (Some(a), Some(b)) => Some(mean(a, b)),
            (a, b) => a.or(b),
        };
        self.evidence.score = mean(self.evidence.score, next.evidence.score);
        self.evidence.end = self.evidence.end.max(next.evidence.end);
        self.evidence.frames.extend(next.evidence.frames);
    }
}

/// The spans that the answer names, and the stretches in which it is there, as one list in the order of time. A stretch
/// stands for the named spans that it overlaps: its borders were asked for one by one.
pub(super) fn candidates(answer: &Answer, probability: f64, curve: &[Slice]) -> Vec<Candidate> {
    let runs = runs(curve);
    let near = |a: &Evidence, b: &Evidence| iou(a.into(), b.into()) > 0.0;
    let named = answer.evidence.iter().filter(|span| !runs.iter().any(|(run, _)| near(span, run)));
    let named = named.map(|span| {
        let presence = (!curve.is_empty()).then(|| mean_presence(curve, span.into()));
        Candidate { evidence: span.clone(), clues: Clues { named: 1.0, probability, presence, ..Clues::default() } }
    });
    let run = |(run, presence): &(Evidence, f64)| {
        let named = answer.evidence.iter().map(|span| iou(span.into(), run.into())).fold(0.0, f64::max);
        let clues = Clues { named, probability, presence: Some(*presence), ..Clues::default() };
        Candidate { evidence: run.clone(), clues }
    };
    let mut all: Vec<Candidate> = named.chain(runs.iter().map(run)).collect();
    all.sort_by(|a, b| a.evidence.start.total_cmp(&b.evidence.start));
    all
}

/// The stretches in which it is there, each with its mean presence.
pub(super) fn runs(curve: &[Slice]) -> Vec<(Evidence, f64)> {
    let there = |slice: &Slice| slice.yes >= PRESENT;
    let runs = curve.chunk_by(|a, b| there(a) == there(b)).filter(|run| run.first().is_some_and(there));
    runs.map(|run| {
        let presence = run.iter().map(|slice| slice.yes).sum::<f64>() / run.len() as f64;
        let evidence = Evidence {
            start: run.first().map_or(0.0, |slice| slice.start),
            end: run.last().map_or(0.0, |slice| slice.end),
            score: presence,
            source: Source::Visual,
            frames: run.iter().flat_map(|slice| slice.frames.iter().copied()).collect(),
            verified: false,
            check: Check::Unchecked,
        };
        (evidence, presence)
    })
    .collect()
}

/// The mean presence of the slices that lie in a span.
pub(super) fn mean_presence(curve: &[Slice], span: Span) -> f64 {
    let mut inside: Vec<f64> =
        curve.iter().filter(|slice| slice.start < span.end && slice.end > span.start).map(|slice| slice.yes).collect();
    // A border runs through the outer two.
    if inside.len() > 2 {
        inside = inside[1..inside.len() - 1].to_vec();
    }
    inside.iter().sum::<f64>() / inside.len().max(1) as f64
}
