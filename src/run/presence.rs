//! Is it there? Asked of one short stretch of a look after the other (TimeSearch's reflection, XL3M's local probes): where
//! the answer is yes, there it is. The stretches are cut out of the visual tokens that the look has already made, and asked about many at
//! a time.

use super::ask::{Look, Said, prompt};
use super::candidate::candidates;
use super::{Cancel, Model, Plan, RunError};
use crate::evidence::SeenFrame;
use crate::generate::{self, PREFILL_ROWS, Packed};
use crate::index::{Cut, Pieces, Prompt};
use crate::question::{says_no, says_yes};
use longsight_models::{Sequence, VisualTokens};
use rayon::prelude::*;
use std::iter::Peekable;
use std::ops::Range;
use std::time::Instant;

/// A short stretch of a look.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slice {
    /// First second: the time of its first frame
    pub(super) start: f64,
    /// First second after it
    pub(super) end: f64,
    /// Its frames, as far as they are known
    pub(super) frames: Vec<SeenFrame>,
    /// How likely it is there
    pub(super) yes: f64,
}

/// Tokens of the prompts that are run together.
pub(super) const PACKED: usize = 2048;

/// Keys and values that the prompts about the slices of one look, or those about its parts, may take in the index; where they would take
/// more, they are run anew for every question.
const KEPT_BYTES: usize = 1 << 30;

/// Asks `probe` of each look, and holds the answer's spans against what comes of it. A model that answers neither yes nor
/// no leaves `said`, one for each look, as it was.
pub(super) fn follow(
    model: &Model,
    looks: &[&Look],
    probe: &str,
    said: &mut [&mut Said],
    cancel: &Cancel,
) -> Result<(), RunError> {
    let started = Instant::now();
    let ends: Vec<f64> = said.iter().map(|said| said.answer.coverage.to).collect();
    let curves = curves(model, looks, probe, &ends, cancel)?;
    let seconds = started.elapsed().as_secs_f64() / said.len().max(1) as f64;
    for (said, (curve, cost)) in said.iter_mut().zip(curves) {
        said.curve = curve;
        said.probe = Some(probe.to_owned());
        said.answer.usage.check_tokens += cost;
        said.candidates = candidates(&said.answer, said.probability, &said.curve);
        said.answer.timing_s.check += seconds;
        said.answer.timing_s.total += seconds;
    }
    Ok(())
}

/// A slice of one of some looks, before it is asked about.
struct Slot<'l> {
    look: usize,
    plan: &'l Plan,
    tokens: &'l VisualTokens,
    patches: Range<usize>,
    /// What is known of its prompt
    kept: Option<&'l Prompt>,
}

/// The slices of each look, and the prompt tokens that they cost; none where the model answers neither yes nor no.
fn curves(
    model: &Model,
    looks: &[&Look],
    probe: &str,
    ends: &[f64],
    cancel: &Cancel,
) -> Result<Vec<(Vec<Slice>, usize)>, RunError> {
    let mut slots: Vec<Slot<'_>> = Vec::new();
    for (number, look) in looks.iter().enumerate() {
        let ranges = slices(look);
        let mut kept = look.prompts(Cut::Slices, &ranges).iter();
        let (plan, tokens) = (&look.plan, &look.seen.tokens[0]);
        let slot = |patches| Slot { look: number, plan, tokens, patches, kept: kept.next() };
        slots.extend(ranges.into_iter().map(slot));
    }
    let mut curves: Vec<(Option<Vec<Slice>>, usize)> = vec![(Some(Vec::new()), 0); looks.len()];
    let mut waiting = slots.into_iter().peekable();
    while waiting.peek().is_some() {
        let group = group(&mut waiting);
        let asked = ask(model, &group, probe, cancel)?;
        // A model that never says yes or no is not asked again.
        let silent = asked.iter().all(|(yes, _)| yes.is_none());
        for (slot, (yes, cost)) in group.iter().zip(asked) {
            let starts = |patch: usize| slot.tokens.times().get(patch).map(|patch| patch.first.time.seconds());
            let end = ends.get(slot.look).copied().unwrap_or_default();
            let (start, end) = (starts(slot.patches.start).unwrap_or(end), starts(slot.patches.end).unwrap_or(end));
            let frames = || frames(slot.tokens, slot.patches.clone());
            let (curve, tokens) = &mut curves[slot.look];
            *tokens += cost;
            match (yes, &mut *curve) {
                (Some(yes), Some(slices)) => slices.push(Slice { start, end, frames: frames(), yes }),
                _ => *curve = None,
            }
        }
        if silent {
            return Ok(curves.into_iter().map(|(_, cost)| (Vec::new(), cost)).collect());
        }
    }
    Ok(curves.into_iter().map(|(slices, cost)| (slices.unwrap_or_default(), cost)).collect())
}

/// The temporal patches of each slice; none where there is nothing to ask about.
pub(super) fn slices(look: &Look) -> Vec<Range<usize>> {
    let (tokens, most) = (&look.seen.tokens[0], look.plan.evidence.max_probes);
    let patches = tokens.times().len();
    // Compression may have left a moment nothing to ask about; then the answer's own spans have to do.
    if most == 0 || patches == 0 || tokens.tokens_per_time().contains(&0) {
        return Vec::new();
    }
    let each = patches.div_ceil(most).max(1);
    (0..patches).step_by(each).map(|first| first..patches.min(first + each)).collect()
}

/// The next slots that are asked about together.
fn group<'l>(slots: &mut Peekable<impl Iterator<Item = Slot<'l>>>) -> Vec<Slot<'l>> {
    let (mut group, mut tokens) = (Vec::new(), 0);
    while let Some(slot) = slots.next_if(|_| tokens < PACKED) {
        let (rows, columns) = slot.tokens.grid();
        tokens += slot.patches.len() * rows * columns;
        group.push(slot);
    }
    group
}

/// Prompts about slots, with `text` as the question.
fn sequences(model: &Model, group: &[Slot<'_>], text: &str) -> Result<(Vec<VisualTokens>, Vec<Sequence>), RunError> {
    let media: Vec<VisualTokens> =
        group.iter().map(|slot| slot.tokens.patches(slot.patches.clone())).collect::<Result<_, _>>()?;
    let build = |(slot, tokens): (&Slot<'_>, &VisualTokens)| prompt(model, text, slot.plan, tokens);
    let sequences = group.par_iter().zip(&media).map(build).collect::<Result<_, _>>()?;
    Ok((media, sequences))
}

/// The probability of a yes for each slot, by the first token of the answer, `None` if it is neither yes nor no; and the prompt's tokens.
fn ask(model: &Model, group: &[Slot<'_>], probe: &str, cancel: &Cancel) -> Result<Vec<(Option<f64>, usize)>, RunError> {
    let (media, sequences) = sequences(model, group, probe)?;
    let mut packed = Packed::new(model.vlm(), media);
    for (number, slot) in group.iter().enumerate() {
        if let Some(Prompt { known, kv }) = slot.kept.filter(|kept| kept.begins(&sequences[number])) {
            packed.resume(number, kv.clone(), known.clone());
        }
    }
    let options = generate::Options { max_tokens: 1, ..generate::Options::default() };
    let stop = || cancel.is_cancelled();
    let told = packed.answers(&sequences, model.prompter.tokenizer(), &options, PREFILL_ROWS, &stop)?;
    let said = |(said, sequence): (generate::Answer, &Sequence)| {
        let sure = said.first_log_probability.exp();
        let yes = match &said.text {
            yes if says_yes(yes) => Some(sure),
            no if says_no(no) => Some(1.0 - sure),
            _ => None,
        };
        (yes, sequence.len())
    };
    Ok(told.ok_or(RunError::Cancelled)?.into_iter().zip(&sequences).map(said).collect())
}

/// The beginnings of the prompts about pieces of a look, for the index; `None` where there are no pieces, or they would take too much.
pub(super) fn prompts(
    model: &Model,
    look: &Look,
    ranges: Vec<Range<usize>>,
    cancel: &Cancel,
) -> Result<Option<Pieces>, RunError> {
    let tokens = &look.seen.tokens[0];
    if ranges.is_empty() || tokens.len() * model.vlm().card().kv_bytes_per_token(4) > KEPT_BYTES {
        return Ok(None);
    }
    let starts = ranges.iter().map(|range| range.start).collect();
    let slot = |patches: Range<usize>| Slot { look: 0, plan: &look.plan, tokens, patches, kept: None };
    let mut waiting = ranges.into_iter().map(slot).peekable();
    let mut prompts = Vec::new();
    while waiting.peek().is_some() {
        let (media, sequences) = sequences(model, &group(&mut waiting), "")?;
        let mut packed = Packed::new(model.vlm(), media);
        packed.media(&sequences, PREFILL_ROWS, &|| cancel.is_cancelled())?;
        if cancel.is_cancelled() {
            return Err(RunError::Cancelled);
        }
        for (number, sequence) in sequences.iter().enumerate() {
            let known = sequence.beginning(sequence.media_end());
            prompts.push(Prompt { kv: packed.rows(number, known.len())?, known });
        }
    }
    Ok(Some(Pieces { starts, prompts }))
}

/// The frames that patches begin and end with.
fn frames(tokens: &VisualTokens, patches: Range<usize>) -> Vec<SeenFrame> {
    let both = tokens.times()[patches].iter().flat_map(|patch| [&patch.first, &patch.last]);
    let mut frames: Vec<SeenFrame> = both.map(SeenFrame::from).collect();
    frames.dedup();
    frames
}
