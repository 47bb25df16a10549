//! What else could it be? A long video's answer that no stretch of it supports is asked for once more, of one part after the other, as a
//! small model hears a few seconds among hours badly; what the parts say is held against the whole look, surest first, and the first
//! that a closer look confirms is the answer (TimeSearch's reflection; the parts are TDC-Video's).

use super::ask::{Look, Probe, Said, choice, prompt, sampling, wording};
use super::check::check;
use super::looker::Looker;
use super::presence::{self, PACKED};
use super::{Question, RunError, Sink};
use crate::evidence::{self, Status};
use crate::generate::{PREFILL_ROWS, Packed};
use crate::index::{Cut, Prompt};
use crate::question::says_no;
use crate::recipe::SearchMode;
use longsight_models::{Sequence, Span, VisualTokens};
use std::ops::Range;
use std::time::Instant;

/// Other answers that are held against the look.
const MOST: usize = 3;

/// Puts in the place of `said`, the answer to `question` about `look`, what a part of it says instead, if that can be confirmed.
/// `claim` makes of an answer the question for yes or no that short stretches are asked.
pub(super) fn reflect(
    looker: &Looker<'_>,
    look: &Look,
    question: &Question,
    claim: Probe<'_>,
    said: &mut Said,
    range: Span,
    sink: &mut Sink<'_>,
) -> Result<(), RunError> {
    let started = Instant::now();
    let (others, mut cost) = others(looker, look, question, &said.answer.answer)?;
    let confirmed = first(others, |text, probability| {
        let mut other = said.clone();
        other.answer.choice = choice(text, &question.choices);
        (other.answer.answer, other.probability) = (text.to_owned(), probability);
        (other.answer.status, other.candidates) = (Status::Partly, Vec::new());
        other.answer.evidence.clear();
        other.answer.warnings.clone_from(&look.seen.warnings);
        let Some(probe) = claim(question, &other.answer) else { return Ok::<_, RunError>(None) };
        presence::follow(looker.model, &[look], &probe, &mut [&mut other], looker.cancel)?;
        check(looker, question, &mut other, range, sink)?;
        cost += other.answer.usage.check_tokens - said.answer.usage.check_tokens;
        let sure = other.candidates.iter().any(|candidate| candidate.evidence.verified);
        tracing::info!(
            "instead of \"{}\" a part of the video says \"{}\" ({probability:.2}), which {} confirmed",
            said.answer.answer.escape_debug(),
            other.answer.answer.escape_debug(),
            if sure { "is" } else { "is not" }
        );
        Ok(sure.then_some(other))
    })?;
    if let Some(other) = confirmed {
        *said = other;
    }
    let seconds = started.elapsed().as_secs_f64();
    said.answer.usage.check_tokens += cost;
    said.answer.timing_s.check += seconds;
    said.answer.timing_s.total += seconds;
    Ok(())
}

/// The first of some answers that is confirmed; no more than [`MOST`] are tried.
fn first<T, E>(
    others: Vec<(String, f64)>,
    mut confirm: impl FnMut(&str, f64) -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    for (text, probability) in others.into_iter().take(MOST) {
        if let Some(confirmed) = confirm(&text, probability)? {
            return Ok(Some(confirmed));
        }
    }
    Ok(None)
}

/// Of what parts say, what neither denies nor is `answer`, each once, surest first.
fn differing(said: Vec<(String, f64)>, answer: &str) -> Vec<(String, f64)> {
    let mut others: Vec<(String, f64)> = Vec::new();
    for (text, probability) in said {
        if text == answer || evidence::denies(&text) || says_no(&text) {
            continue;
        }
        match others.iter_mut().find(|(other, _)| *other == text) {
            Some((_, most)) => *most = most.max(probability),
            None => others.push((text, probability)),
        }
    }
    others.sort_by(|a, b| b.1.total_cmp(&a.1));
    others
}

/// What parts of the look say that neither denies nor is `answer`, each once, surest first; and the prompt tokens of all parts.
fn others(
    looker: &Looker<'_>,
    look: &Look,
    question: &Question,
    answer: &str,
) -> Result<(Vec<(String, f64)>, usize), RunError> {
    let (model, plan, tokens) = (looker.model, &look.plan, &look.seen.tokens[0]);
    let text = wording(question);
    let stop = || looker.cancel.is_cancelled();
    let (mut said, mut cost): (Vec<(String, f64)>, usize) = (Vec::new(), 0);
    let parts = parts(look);
    let mut kept = look.prompts(Cut::Parts, &parts).iter();
    for group in grouped(parts, &tokens.tokens_per_time()) {
        let kept: Vec<&Prompt> = kept.by_ref().take(group.len()).collect();
        let media: Vec<VisualTokens> =
            group.into_iter().map(|patches| tokens.patches(patches)).collect::<Result<_, _>>()?;
        let sequences: Vec<Sequence> =
            media.iter().map(|tokens| prompt(model, &text, plan, tokens)).collect::<Result<_, _>>()?;
        cost += sequences.iter().map(Sequence::len).sum::<usize>();
        let mut packed = Packed::new(model.vlm(), media);
        for (number, kept) in kept.into_iter().enumerate().filter(|(number, kept)| kept.begins(&sequences[*number])) {
            packed.resume(number, kept.kv.clone(), kept.known.clone());
        }
        let told = packed.answers(&sequences, model.prompter.tokenizer(), &sampling(plan), PREFILL_ROWS, &stop)?;
        let told = told.ok_or(RunError::Cancelled)?.into_iter();
        said.extend(told.map(|told| (told.text.trim().to_owned(), told.mean_log_probability.exp())));
    }
    Ok((differing(said, answer), cost))
}

/// The temporal patches of each part of a look; none where it has no more than one, and where a moment has no token left to ask about.
pub(super) fn parts(look: &Look) -> Vec<Range<usize>> {
    let (tokens, plan) = (&look.seen.tokens[0], look.plan.evidence);
    if plan.search != SearchMode::Auto || tokens.tokens_per_time().contains(&0) {
        return Vec::new();
    }
    let times = tokens.times();
    let begin = times.first().map_or(0.0, |patch| patch.first.time.seconds());
    let part = |patch: usize| ((times[patch].first.time.seconds() - begin) / plan.part_s) as usize;
    let mut starts: Vec<usize> =
        (0..times.len()).filter(|&patch| patch == 0 || part(patch) != part(patch - 1)).collect();
    if starts.len() < 2 {
        return Vec::new();
    }
    starts.push(times.len());
    starts.windows(2).map(|borders| borders[0]..borders[1]).collect()
}

/// Parts of together some [`PACKED`] tokens in a group.
fn grouped(parts: Vec<Range<usize>>, counts: &[usize]) -> Vec<Vec<Range<usize>>> {
    let (mut groups, mut size): (Vec<Vec<Range<usize>>>, usize) = (Vec::new(), PACKED);
    for part in parts {
        if size >= PACKED {
            groups.push(Vec::new());
            size = 0;
        }
        size += counts[part.clone()].iter().sum::<usize>();
        if let Some(group) = groups.last_mut() {
            group.push(part);
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(texts: &[(&str, f64)]) -> Vec<(String, f64)> {
        texts.iter().map(|&(text, probability)| (text.to_owned(), probability)).collect()
    }

    #[test]
    fn what_parts_say_instead_is_tried_surest_first() {
        let parts = [("Red.", 0.5), ("It is not in the video.", 0.99), ("Blue.", 0.4), ("No.", 0.9), ("Green.", 0.8)];
        let parts = said(&[&parts[..], &[("Blue.", 0.7), ("Black.", 0.6), ("Pink.", 0.1)]].concat());
        let others = differing(parts, "Red.");
        assert_eq!(others, said(&[("Green.", 0.8), ("Blue.", 0.7), ("Black.", 0.6), ("Pink.", 0.1)]));
        let tried = |right: &str| {
            let mut tried = Vec::new();
            let found = first(others.clone(), |text, _| {
                tried.push(text.to_owned());
                Ok::<_, ()>((text == right).then(|| text.to_owned()))
            });
            (found, tried.len())
        };
        assert_eq!(tried("Blue."), (Ok(Some("Blue.".to_owned())), 2), "the first that holds ends it");
        assert_eq!(tried("Pink."), (Ok(None), MOST), "no more than these are tried");
        assert_eq!(first(others, |_, _| Err::<Option<()>, _>("stopped")), Err("stopped"));
    }
}
