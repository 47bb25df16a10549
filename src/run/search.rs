//! Long videos, part by part (TimeSearch's spotlight, training-free; the parts of TDC-Video's chain of thought): the same
//! question is asked of each part, at the frames that one look at the whole would have had, and the spans that the parts
//! name become one list. Each is then looked at closer, which is TimeSearch's reflection.

use super::ask::{Look, Probe, Said, pass, said, sampling, sequence};
use super::candidate::Candidate;
use super::looker::{Keep, Looker, within};
use super::presence::{self, PACKED};
use super::{Answer, Event, Job, Plan, Question, RunError, Sink, Timing, Usage};
use crate::evidence::{self, Coverage, Status};
use crate::generate::Packed;
use crate::index::Prompt;
use crate::recipe::{Options, PrefillMode};
use longsight_models::{Sequence, Span};
use std::collections::BTreeMap;
use std::time::Instant;

/// A rest that is shorter than this share of a part belongs to the part before it.
const REST: f64 = 0.25;
/// Differences of times that are roundings.
const SAME: f64 = 1e-6;

/// Parts of a stretch: `length` seconds each, the last what is left. A stretch that grows keeps those it had, but for the last.
pub(super) fn parts(stretch: Span, length: f64) -> Vec<Span> {
    let count = (stretch.duration() / length - REST - SAME).ceil().max(1.0) as usize;
    let at = |part: usize| if part == count { stretch.end } else { stretch.start + length * part as f64 };
    (0..count).map(|part| Span { start: at(part), end: at(part + 1) }).collect()
}

/// Asks the questions of every part of `stretch`; one answer each.
pub(super) fn sweep(
    looker: &Looker<'_>,
    questions: &[Question],
    probe: Probe<'_>,
    stretch: Span,
    plan: &Plan,
    sink: &mut Sink<'_>,
) -> Result<Vec<Said>, RunError> {
    let mut found: Vec<Vec<Said>> = vec![Vec::new(); questions.len()];
    let mut waiting: Vec<Look> = Vec::new();
    let mut unseen = None;
    for (_, options) in looks(looker.job.options, stretch, plan) {
        let mut look = match looker.see(&options, questions, Keep::Nothing, sink) {
            // The pictures may end before the file does, and a damaged part does not keep the others from being asked.
            Err(error @ RunError::NothingSeen { .. }) => {
                unseen.get_or_insert(error);
                continue;
            }
            look => look?,
        };
        if look.plan.prefill.mode == PrefillMode::Sparse {
            packed(looker, std::mem::take(&mut waiting), questions, probe, &mut found, sink)?;
            // Its heads choose what they see by themselves, one prompt at a time.
            let job = Job { questions, options: &options, ..looker.job };
            let told = pass(looker.model, &mut look, &job, probe, looker.cancel, sink)?;
            found.iter_mut().zip(told).for_each(|(found, said)| found.push(said));
            continue;
        }
        waiting.push(look);
        let tokens: usize = waiting.iter().map(|look| look.seen.tokens[0].len()).sum();
        if tokens >= PACKED {
            packed(looker, std::mem::take(&mut waiting), questions, probe, &mut found, sink)?;
        }
    }
    packed(looker, waiting, questions, probe, &mut found, sink)?;
    match unseen {
        Some(error) if found.iter().all(Vec::is_empty) => Err(error),
        _ => Ok(found.into_iter().filter_map(|said| together(said, stretch, plan)).collect()),
    }
}

/// Asks the questions, and what `probe` makes of the answers, of some looks at once.
fn packed(
    looker: &Looker<'_>,
    mut looks: Vec<Look>,
    questions: &[Question],
    probe: Probe<'_>,
    found: &mut [Vec<Said>],
    sink: &mut Sink<'_>,
) -> Result<(), RunError> {
    let Some(first) = looks.first() else { return Ok(()) };
    let (model, chunk, options) = (looker.model, first.plan.prefill.chunk, sampling(&first.plan));
    let stop = || looker.cancel.is_cancelled();
    let media = looks.iter().map(|look| look.seen.tokens[0].clone()).collect();
    let mut prompts = Packed::new(model.vlm(), media);
    for (number, look) in looks.iter_mut().enumerate() {
        if let Some(Prompt { known, kv }) = look.prompt.take() {
            prompts.resume(number, kv, known);
        }
    }
    let each = |seconds: Instant| seconds.elapsed().as_secs_f64() / looks.len() as f64;
    for (number, question) in questions.iter().enumerate() {
        sink(Event::Asking { question: number, of: questions.len() });
        let sequences: Vec<Sequence> =
            looks.iter().map(|look| sequence(model, question, &look.plan, &look.seen)).collect::<Result<_, _>>()?;
        let prefilling = Instant::now();
        prompts.prefill(&sequences, &options, chunk, &stop)?;
        let prefill = each(prefilling);
        let generating = Instant::now();
        let told = prompts.answers(&sequences, model.prompter.tokenizer(), &options, chunk, &stop)?;
        let seconds = (prefill, each(generating));
        let told = told.ok_or(RunError::Cancelled)?.into_iter().zip(&looks).zip(&sequences);
        let mut told: Vec<Said> = told
            .map(|((told, look), sequence)| {
                said(model, looker.job.facts, question, &look.plan, &look.seen, &told, sequence.len(), seconds)
            })
            .collect();
        let mut probed: BTreeMap<String, (Vec<&Look>, Vec<&mut Said>)> = BTreeMap::new();
        for (look, said) in looks.iter().zip(&mut told) {
            if let Some(probe) = probe(question, &said.answer) {
                let (looks, told) = probed.entry(probe).or_default();
                looks.push(look);
                told.push(said);
            }
        }
        for (probe, (looks, mut told)) in probed {
            presence::follow(model, &looks, &probe, &mut told, looker.cancel)?;
        }
        for said in told {
            tracing::info!(
                "{:.2} to {:.2} s: \"{}\" {} ({:.2})",
                said.answer.coverage.from,
                said.answer.coverage.to,
                question.text.escape_debug(),
                said.answer.answer.escape_debug(),
                said.probability
            );
            found[number].push(said);
        }
    }
    Ok(())
}

/// The parts of `stretch`, each with the settings by which it is looked at, where the whole has such `options` and such a plan.
pub(super) fn looks(options: &Options, stretch: Span, plan: &Plan) -> Vec<(Span, Options)> {
    let look = |part: Span| {
        let mut options = within(options, part);
        options.decode.fps = Some(plan.decode.fps);
        options.decode.max_frames = Some(share(plan, part.duration() / stretch.duration()));
        (part, options)
    };
    parts(stretch, plan.evidence.part_s).into_iter().map(look).collect()
}

/// Frames of a part that is such a share of all.
fn share(plan: &Plan, share: f64) -> usize {
    let frames = plan.decode.frames.unwrap_or(plan.decode.max_frames);
    ((frames as f64 * share - SAME).ceil() as usize).max(1)
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
    let first = parts.next().map(|answer| answer.coverage.clone());
    let mut all = first.unwrap_or_else(|| Coverage::of(stretch.start, stretch.end, 0, &[], 0, 0));
    parts.for_each(|part| all.extend(&part.coverage));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn borders(start: f64, end: f64) -> Vec<f64> {
        let parts = parts(Span { start, end }, 60.0);
        parts.iter().map(|part| part.start).chain(parts.last().map(|part| part.end)).collect()
    }

    #[test]
    fn parts_stay_when_the_stretch_grows_and_a_short_rest_is_no_part() {
        assert_eq!(borders(0.0, 60.04), [0.0, 60.04]);
        assert_eq!(borders(5.0, 65.0), [5.0, 65.0]);
        assert_eq!(borders(0.0, 76.0), [0.0, 60.0, 76.0]);
        assert_eq!(borders(0.0, 194.0), [0.0, 60.0, 120.0, 194.0]);
        assert_eq!(borders(0.0, 196.0), [0.0, 60.0, 120.0, 180.0, 196.0]);
        assert_eq!(borders(0.0, 0.5), [0.0, 0.5]);
    }
}
