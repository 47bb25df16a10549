//! Long videos, part by part (TimeSearch's spotlight, training-free; the parts of TDC-Video's chain of thought): the same
//! question is asked of each part, at the frames that one look at the whole would have had, and the spans that the parts
//! name become one list. Each is then looked at closer, which is TimeSearch's reflection.

use super::ask::Said;
use super::candidate::Candidate;
use super::looker::Looker;
use super::{Answer, Plan, Question, RunError, Sink, Timing, Usage};
use crate::evidence::{self, Coverage, Status};
use crate::recipe::Options;
use longsight_models::Span;
use std::collections::BTreeMap;

/// Equal parts of a stretch, none longer than `longest` seconds.
pub(super) fn parts(stretch: Span, longest: f64) -> Vec<Span> {
    let count = (stretch.duration() / longest).ceil().max(1.0) as usize;
    // The last end is the stretch's own, not a sum that is a rounding away from it.
    let at = |part: usize| {
        if part == count { stretch.end } else { stretch.start + stretch.duration() * part as f64 / count as f64 }
    };
    (0..count).map(|part| Span { start: at(part), end: at(part + 1) }).collect()
}

/// Asks the questions of every part of `stretch`; one answer each.
pub(super) fn sweep(
    looker: &Looker<'_>,
    questions: &[Question],
    probes: &[Option<String>],
    stretch: Span,
    plan: &Plan,
    sink: &mut Sink<'_>,
) -> Result<Vec<Said>, RunError> {
    let mut found: Vec<Vec<Said>> = vec![Vec::new(); questions.len()];
    for (part, options) in looks(looker, stretch, plan) {
        for (number, said) in looker.pass(&options, questions, probes, sink)?.into_iter().enumerate() {
            tracing::info!(
                "{:.2} to {:.2} s: \"{}\" {} ({:.2})",
                part.start,
                part.end,
                questions[number].text.escape_debug(),
                said.answer.answer.escape_debug(),
                said.probability
            );
            found[number].push(said);
        }
    }
    Ok(found.into_iter().filter_map(|said| together(said, stretch, plan)).collect())
}

/// The parts of `stretch`, each with the settings by which it is looked at.
pub(super) fn looks(looker: &Looker<'_>, stretch: Span, plan: &Plan) -> Vec<(Span, Options)> {
    let parts = parts(stretch, plan.evidence.part_s);
    let frames = share(plan, parts.len());
    let look = |part: Span| {
        let mut options = looker.within(part);
        options.decode.fps = Some(plan.decode.fps);
        options.decode.max_frames = Some(frames);
        (part, options)
    };
    parts.into_iter().map(look).collect()
}

/// Frames of one of `parts` parts.
fn share(plan: &Plan, parts: usize) -> usize {
    let frames = plan.decode.frames.unwrap_or(plan.decode.max_frames);
    usize::try_from(frames.div_ceil(parts as u64)).unwrap_or(usize::MAX).max(1)
}

/// One answer of those of all parts, in their order.
fn together(parts: Vec<Said>, stretch: Span, plan: &Plan) -> Option<Said> {
    let coverage = cover(parts.iter().map(|said| &said.answer), stretch);
    let mut found: Vec<Candidate> = Vec::new();
    let mut texts: BTreeMap<&str, usize> = BTreeMap::new();
    let denial = parts.iter().find(|said| evidence::denies(&said.answer.answer));
    let denial = denial.map(|said| said.answer.answer.clone());
    let (mut timing, mut warnings) = (Timing::default(), Vec::new());
    for said in &parts {
        let answer = &said.answer;
        *texts.entry(&answer.answer).or_default() += 1;
        found.extend(said.candidates.iter().cloned());
        add(&mut timing, &answer.timing_s);
        // What one part denies is told of the whole, if it is the answer.
        let own = evidence::uncertain(&answer.answer, &answer.coverage);
        for warning in &answer.warnings {
            if *warning != own && !warnings.contains(warning) {
                warnings.push(warning.clone());
            }
        }
    }
    let named = parts.iter().any(|said| !said.answer.evidence.is_empty());
    let found = merged(found, coverage.max_gap_s);
    let spans: Vec<Span> = found.iter().map(|one| Span::from(&one.evidence)).collect();
    let usual = texts.iter().max_by_key(|(_, count)| **count).map_or("", |(text, _)| *text).to_owned();
    let probability = parts.iter().map(|said| said.probability).fold(0.0, f64::max);
    let usage = usage(parts.iter().map(|said| &said.answer))?;
    let mut told = parts.first()?.answer.plan.clone();
    told.decode = plan.decode.clone();
    count(&mut told, &coverage, parts.iter().map(|said| &said.answer));
    // Spared by the index only if every part was.
    let index = parts.iter().all(|said| said.answer.index.is_some());
    let mut said = parts.into_iter().next()?;
    said.probability = probability;
    let answer = &mut said.answer;
    answer.plan = told;
    answer.index = answer.index.take().filter(|_| index);
    if !named && evidence::denies(&usual) && evidence::denial(&coverage) == Status::Partly {
        warnings.push(evidence::uncertain(&usual, &coverage));
    }
    answer.status = match named {
        true => Status::Supported,
        false if evidence::denies(&usual) => evidence::denial(&coverage),
        false => Status::Partly,
    };
    answer.answer = if named { evidence::in_words(&spans) } else { usual };
    answer.evidence = found.iter().map(|one| one.evidence.clone()).collect();
    (answer.coverage, answer.timing_s, answer.warnings, answer.usage) = (coverage, timing, warnings, usage);
    (said.candidates, said.denial) = (found, denial);
    Some(said)
}

/// Candidates in the order of time, those that touch made one.
fn merged(mut all: Vec<Candidate>, gap: f64) -> Vec<Candidate> {
    all.sort_by(|a, b| a.evidence.start.total_cmp(&b.evidence.start));
    let mut merged: Vec<Candidate> = Vec::new();
    for next in all {
        match merged.last_mut() {
            Some(last) if next.evidence.start - last.evidence.end <= gap => last.join(next),
            _ => merged.push(next),
        }
    }
    merged
}

/// What the looks at the parts of a stretch have seen together.
pub(super) fn cover<'a>(mut parts: impl Iterator<Item = &'a Answer>, stretch: Span) -> Coverage {
    let first = parts.next().map(|answer| answer.coverage);
    let mut all = first.unwrap_or_else(|| Coverage::of(stretch.start, stretch.end, 0, &[], 0, 0));
    for part in parts.map(|answer| answer.coverage) {
        all.to = part.to;
        all.frames_decoded += part.frames_decoded;
        all.frames_seen += part.frames_seen;
        all.max_gap_s = all.max_gap_s.max(part.max_gap_s);
        all.smallest_event_s = all.smallest_event_s.max(part.smallest_event_s);
        all.visual_tokens_before += part.visual_tokens_before;
        all.visual_tokens_after += part.visual_tokens_after;
    }
    all
}

/// Tells in the plan of a stretch what the looks at its parts came to.
pub(super) fn count<'a>(plan: &mut Plan, coverage: &Coverage, parts: impl Iterator<Item = &'a Answer>) {
    let tokens = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    plan.vision.tokens = tokens(coverage.visual_tokens_before);
    plan.sample.moments = parts.map(|answer| answer.plan.sample.moments).sum();
    plan.compress.tokens = tokens(coverage.visual_tokens_after);
}

/// Tokens of all parts; `None` if there is none.
pub(super) fn usage<'a>(parts: impl Iterator<Item = &'a Answer>) -> Option<Usage> {
    parts.map(|answer| answer.usage).reduce(|sum, usage| Usage {
        prompt_tokens: sum.prompt_tokens + usage.prompt_tokens,
        generated_tokens: sum.generated_tokens + usage.generated_tokens,
        check_tokens: sum.check_tokens + usage.check_tokens,
    })
}

pub(super) fn add(sum: &mut Timing, part: &Timing) {
    sum.decode += part.decode;
    sum.scenes += part.scenes;
    sum.vision += part.vision;
    sum.compress += part.compress;
    sum.prefill += part.prefill;
    sum.generate += part.generate;
    sum.check += part.check;
    sum.total += part.total;
}
