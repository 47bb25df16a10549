//! Spans that may be what was asked for, and what speaks for each.

use super::Answer;
use super::presence::Slice;
use crate::evidence::{self, Check, Clues, Evidence, Source, iou};
use crate::question::says_no;
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
    // An answer that names no time stands behind every stretch, unless it denies them.
    let denies = evidence::denies(&answer.answer) || says_no(&answer.answer);
    let least = if answer.evidence.is_empty() && !denies { 1.0 } else { 0.0 };
    let run = |(run, presence): &(Evidence, f64)| {
        let named = answer.evidence.iter().map(|span| iou(span.into(), run.into())).fold(least, f64::max);
        let clues = Clues { named, probability, presence: Some(*presence), ..Clues::default() };
        Candidate { evidence: run.clone(), clues }
    };
    let mut all: Vec<Candidate> = named.chain(runs.iter().map(run)).collect();
    all.sort_by(|a, b| a.evidence.start.total_cmp(&b.evidence.start));
    all
}

/// Candidates in the order of time; of those that overlap, which closer looks have moved onto each other, the surest.
pub(super) fn distinct(mut all: Vec<Candidate>) -> Vec<Candidate> {
    all.sort_by(|a, b| b.evidence.score.total_cmp(&a.evidence.score));
    let mut kept: Vec<Candidate> = Vec::new();
    for next in all {
        let apart = |one: &Candidate| iou((&one.evidence).into(), (&next.evidence).into()) == 0.0;
        if kept.iter().all(apart) {
            kept.push(next);
        }
    }
    kept.sort_by(|a, b| a.evidence.start.total_cmp(&b.evidence.start));
    kept
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

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(second: u32, yes: f64) -> Slice {
        Slice { start: f64::from(second), end: f64::from(second + 1), frames: Vec::new(), yes }
    }

    fn curve(yes: &[f64]) -> Vec<Slice> {
        (0..).zip(yes).map(|(second, &yes)| slice(second, yes)).collect()
    }

    #[test]
    fn stretches_of_yes_are_runs_with_their_mean() {
        let found = runs(&curve(&[0.9, 0.7, 0.1, 0.2, 0.6, 0.4]));
        let found: Vec<(f64, f64, f64)> = found.iter().map(|(run, mean)| (run.start, run.end, *mean)).collect();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].0, found[0].1, found[1].0, found[1].1), (0.0, 2.0, 4.0, 5.0));
        assert!((found[0].2 - 0.8).abs() < 1e-12);
        assert!(runs(&[]).is_empty());
    }

    #[test]
    fn the_presence_of_a_span_is_that_of_its_inside() {
        let curve = curve(&[0.0, 0.4, 0.9, 0.9, 0.2, 0.0]);
        assert!((mean_presence(&curve, Span::new(1.5, 4.5)) - 0.9).abs() < 1e-12);
        assert!((mean_presence(&curve, Span::new(2.0, 3.0)) - 0.9).abs() < 1e-12);
        assert!(mean_presence(&curve, Span::new(9.0, 10.0)).abs() < 1e-12);
    }

    #[test]
    fn of_candidates_that_overlap_the_surest_stays() {
        let at = |start: f64, end: f64, score: f64| Candidate {
            evidence: Evidence {
                start,
                end,
                score,
                source: Source::Visual,
                frames: Vec::new(),
                verified: false,
                check: Check::Weak,
            },
            clues: Clues::default(),
        };
        let kept = distinct(vec![at(5.0, 9.0, 0.5), at(0.0, 4.0, 0.6), at(3.0, 6.0, 0.9)]);
        assert_eq!(kept, vec![at(3.0, 6.0, 0.9)]);
        let kept = distinct(vec![at(5.0, 9.0, 0.5), at(0.0, 4.0, 0.6)]);
        assert_eq!(kept.iter().map(|one| one.evidence.start).collect::<Vec<_>>(), [0.0, 5.0]);
    }

    #[test]
    fn joined_candidates_weigh_by_length() {
        let part = |start: f64, end: f64, presence: f64| {
            let (run, mean) = runs(&[Slice { start, end, frames: Vec::new(), yes: presence }]).remove(0);
            Candidate { evidence: run, clues: Clues { presence: Some(mean), ..Clues::default() } }
        };
        let mut one = part(0.0, 3.0, 1.0);
        one.join(part(3.0, 4.0, 0.6));
        assert_eq!((one.evidence.start, one.evidence.end), (0.0, 4.0));
        assert!((one.clues.presence.unwrap_or_default() - 0.9).abs() < 1e-12);
    }
}
