//! Is it there? Asked of one short stretch of a look after the other (TimeSearch's reflection, XL3M's local probes): where
//! the answer is yes, there it is. The stretches are cut out of the visual tokens that the look has already made.

use super::ask::Said;
use super::candidate::candidates;
use super::{Cancel, Model, RunError};
use crate::evidence::SeenFrame;
use crate::generate::{self, Session};
use crate::prompt::Message;
use crate::question::{says_no, says_yes};
use longsight_models::VisualTokens;
use rayon::prelude::*;
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

/// Asks `probe` of the look behind `said`, and holds the answer's spans against what comes of it. A model that answers
/// neither yes nor no leaves `said` as it was.
pub(super) fn follow(
    model: &Model,
    tokens: &VisualTokens,
    probe: &str,
    most: usize,
    said: &mut Said,
    cancel: &Cancel,
) -> Result<(), RunError> {
    let started = Instant::now();
    let (curve, cost) = curve(model, tokens, probe, most, said.answer.coverage.to, cancel)?;
    said.curve = curve;
    said.answer.usage.check_tokens += cost;
    said.candidates = candidates(&said.answer, said.probability, &said.curve);
    let seconds = started.elapsed().as_secs_f64();
    said.answer.timing_s.check += seconds;
    said.answer.timing_s.total += seconds;
    Ok(())
}

/// The slices of a look, and the prompt tokens that they cost; none if the model answers neither yes nor no.
fn curve(
    model: &Model,
    tokens: &VisualTokens,
    probe: &str,
    most: usize,
    end: f64,
    cancel: &Cancel,
) -> Result<(Vec<Slice>, usize), RunError> {
    let patches = tokens.times().len();
    if most == 0 || patches == 0 {
        return Ok((Vec::new(), 0));
    }
    let each = patches.div_ceil(most).max(1);
    let starts = |patch: usize| tokens.times().get(patch).map(|patch| patch.first.time.seconds());
    let slice = |first: usize| -> Result<(Option<Slice>, usize), RunError> {
        if cancel.is_cancelled() {
            return Err(RunError::Cancelled);
        }
        let range = first..patches.min(first + each);
        let (start, end) = (starts(range.start).unwrap_or(end), starts(range.end).unwrap_or(end));
        let (yes, cost) = probability(model, tokens.patches(range.clone())?, probe)?;
        Ok((yes.map(|yes| Slice { start, end, frames: frames(tokens, range), yes }), cost))
    };
    // Compression may have left a moment nothing to ask about; then the answer's own spans have to do.
    if tokens.tokens_per_time().contains(&0) {
        return Ok((Vec::new(), 0));
    }
    // The first says whether the model answers with yes or no at all.
    let (Some(first), cost) = slice(0)? else { return Ok((Vec::new(), 0)) };
    // Short prompts keep one core busy each.
    let rest: Vec<usize> = (each..patches).step_by(each).collect();
    let (rest, costs): (Vec<Option<Slice>>, Vec<usize>) =
        rest.into_par_iter().map(slice).collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    let slices: Option<Vec<Slice>> = std::iter::once(Some(first)).chain(rest).collect();
    Ok((slices.unwrap_or_default(), cost + costs.iter().sum::<usize>()))
}

/// The frames that patches begin and end with.
fn frames(tokens: &VisualTokens, patches: Range<usize>) -> Vec<SeenFrame> {
    let both = tokens.times()[patches].iter().flat_map(|patch| [&patch.first, &patch.last]);
    let mut frames: Vec<SeenFrame> = both.map(SeenFrame::from).collect();
    frames.dedup();
    frames
}

/// The probability of a yes, by the first token of the answer, `None` if it is neither yes nor no; and the prompt's tokens.
fn probability(model: &Model, tokens: VisualTokens, probe: &str) -> Result<(Option<f64>, usize), RunError> {
    let media = [tokens];
    let messages = [Message::about_video(probe.to_owned())];
    let sequence = model.prompter.build(model.vlm().processor(), &messages, &media)?;
    let options = generate::Options { max_tokens: 1, ..generate::Options::default() };
    let said = Session::new(model.vlm(), &media).answer(&sequence, model.prompter.tokenizer(), &options, |_| true)?;
    let sure = said.first_log_probability.exp();
    let yes = match &said.text {
        yes if says_yes(yes) => Some(sure),
        no if says_no(no) => Some(1.0 - sure),
        _ => None,
    };
    Ok((yes, sequence.len()))
}
