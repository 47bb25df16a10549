//! Spans of an answer, looked at again: closer, by themselves, before they are shown.

use super::ask::Said;
use super::candidate::{Candidate, mean_presence, runs};
use super::looker::{Keep, Looker};
use super::presence::Slice;
use super::{Answer, Event, EvidencePlan, Question, RunError, Sink};
use crate::evidence::{self, Check, Evidence};
use crate::question;
use crate::recipe;
use longsight_models::Span;
use std::time::Instant;

/// The most frames of a closer look. Longer stretches are looked at more coarsely.
const MOST_FRAMES: usize = 128;
/// Spans longer than this many margins are looked at around their borders alone.
const LONG_MARGINS: f64 = 5.0;

/// Looks at the candidates of `said`, the answer to `question`, again, inside `range`, and gives each its verdict.
pub(super) fn check(
    looker: &Looker<'_>,
    question: &Question,
    said: &mut Said,
    range: Span,
    sink: &mut Sink<'_>,
) -> Result<(), RunError> {
    let started = Instant::now();
    let plan = said.answer.plan.evidence;
    let of = said.candidates.len().min(plan.max_spans);
    // The surest first, if not all can be looked at.
    let mut order: Vec<usize> = (0..said.candidates.len()).collect();
    order.sort_by(|&a, &b| said.candidates[b].evidence.score.total_cmp(&said.candidates[a].evidence.score));
    let mut tokens = 0;
    let (probe, answer) = (said.probe.clone(), said.answer.answer.clone());
    for (look, &place) in order.iter().take(of).enumerate() {
        sink(Event::Checking { span: look, of });
        let closer = Closer { looker, question, answer: &answer, probe: probe.as_deref(), plan: &plan, range };
        tokens += closer.look(&mut said.candidates[place])?;
    }
    said.answer.usage.check_tokens += tokens;
    let seconds = started.elapsed().as_secs_f64();
    said.answer.timing_s.check += seconds;
    said.answer.timing_s.total += seconds;
    Ok(())
}

/// Prompt tokens of a look, its probes included.
fn cost(said: &Said) -> usize {
    said.answer.usage.prompt_tokens + said.answer.usage.check_tokens
}

struct Closer<'a> {
    looker: &'a Looker<'a>,
    question: &'a Question,
    answer: &'a str,
    probe: Option<&'a str>,
    plan: &'a EvidencePlan,
    range: Span,
}

impl Closer<'_> {
    /// Gives the prompt tokens that it cost.
    fn look(&self, candidate: &mut Candidate) -> Result<usize, RunError> {
        let span = Span::from(&candidate.evidence);
        let margin = self.plan.margin_s;
        let long = span.duration() > LONG_MARGINS * margin && self.probe.is_some();
        let mut tokens = 0;
        if long {
            let (first, _) = self.around(span.start, span.start)?;
            let (last, _) = self.around(span.end, span.end)?;
            tokens += cost(&first) + cost(&last);
            self.borders(candidate, &first, &last);
        } else {
            let (again, read) = self.around(span.start, span.end)?;
            tokens += cost(&again);
            self.whole(candidate, &again);
            candidate.clues.misread = read;
        }
        let (check, score) = evidence::judge(&candidate.clues);
        tracing::info!(
            "closer look at {:.2} to {:.2} s for \"{}\": {:.2} to {:.2} s, {check:?}, score {score:.3}, {:?}",
            span.start,
            span.end,
            self.question.text.escape_debug(),
            candidate.evidence.start,
            candidate.evidence.end,
            candidate.clues
        );
        candidate.evidence.score = score;
        candidate.evidence.check = check;
        candidate.evidence.verified = check == Check::Verified;
        Ok(tokens)
    }

    /// One look from a margin before `from` to a margin behind `to`; and whether something was read there that may be mistaken for what was asked for.
    fn around(&self, from: f64, to: f64) -> Result<(Said, bool), RunError> {
        let around = Span {
            start: (from - self.plan.margin_s).max(self.range.start),
            end: (to + self.plan.margin_s).min(self.range.end),
        };
        let mut options = self.looker.within(around);
        options.decode.fps = Some(self.plan.fps);
        options.decode.max_frames = Some(MOST_FRAMES);
        // What this look says is not looked at again itself.
        options.evidence.check = Some(false);
        // Closer means with nothing left out, whatever the first look did without, as far as it fits.
        (options.sample, options.compress) = (recipe::Sample::default(), recipe::Compress::default());
        let reading = question::reading(&self.question.text);
        let read = reading.as_ref().map(|(question, _)| Question::from(question.as_str()));
        let questions: Vec<Question> = std::iter::once(self.question.clone()).chain(read).collect();
        let probe =
            |question: &Question, _: &Answer| self.probe.filter(|_| question == self.question).map(str::to_owned);
        let mut said = self.looker.pass(&options, &questions, &probe, Keep::Tokens, &mut |_| ())?.into_iter();
        let first = said.next().ok_or(RunError::Cancelled)?;
        let text = said.next().map(|said| said.answer.answer.trim_end_matches('.').to_owned());
        let misread = text.zip(reading).is_some_and(|(text, (_, says))| question::mistakable(&text, &says));
        Ok((first, misread))
    }

    /// The span is where it is in the closer look.
    fn whole(&self, candidate: &mut Candidate, again: &Said) {
        let span = Span::from(&candidate.evidence);
        let seen: Vec<Evidence> = match again.curve.as_slice() {
            [] => again.answer.evidence.clone(),
            curve => runs(curve).into_iter().map(|(run, _)| run).collect(),
        };
        let overlap = |other: &Evidence| evidence::iou(span, other.into());
        let same = seen.into_iter().max_by(|a, b| overlap(a).total_cmp(&overlap(b))).filter(|same| overlap(same) > 0.0);
        let clues = &mut candidate.clues;
        clues.closer = same.as_ref().map_or(0.0, overlap);
        let place = same.as_ref().map_or(span, Span::from);
        clues.closer_presence = (!again.curve.is_empty()).then(|| mean_presence(&again.curve, place));
        let named = |other: &Evidence| evidence::iou(place, other.into());
        clues.closer_named = again.answer.evidence.iter().map(named).fold(0.0, f64::max);
        if evidence::spans_in(self.answer).is_empty() && again.answer.answer != self.answer {
            // What is said of the video is not what is said of its evidence.
            clues.named = 0.0;
        }
        // Without a curve the closer answer is no better placed than the first.
        if let (Some(same), false) = (same, again.curve.is_empty()) {
            candidate.evidence = same;
        }
    }

    /// Both borders are where they are in a closer look at each; what lies between was seen before.
    fn borders(&self, candidate: &mut Candidate, first: &Said, last: &Said) {
        let span = Span::from(&candidate.evidence);
        let inside = |slices: &[Slice], from: f64, to: f64| mean_presence(slices, Span { start: from, end: to });
        let begins = runs(&first.curve).into_iter().map(|(run, _)| run).find(|run| run.end > span.start);
        let ends = runs(&last.curve).into_iter().map(|(run, _)| run).rfind(|run| run.start < span.end);
        let start = begins.as_ref().map_or(span.start, |run| run.start);
        let end = ends.as_ref().map_or(span.end, |run| run.end);
        let margin = self.plan.margin_s;
        let presence = inside(&first.curve, start, span.start + margin) + inside(&last.curve, span.end - margin, end);
        let clues = &mut candidate.clues;
        clues.closer_presence = Some(presence / 2.0);
        let (start, end) = (start.min(end), end.max(start));
        clues.closer = match (begins, ends) {
            (Some(_), Some(_)) => evidence::iou(span, Span { start, end }),
            _ => 0.0,
        };
        clues.closer_named = clues.named;
        let evidence = &mut candidate.evidence;
        (evidence.start, evidence.end) = (start, end);
        let more =
            [first, last].into_iter().flat_map(|said| &said.curve).flat_map(|slice| slice.frames.iter().copied());
        evidence.frames.extend(more);
        evidence.frames.retain(|frame| start <= frame.time_s && frame.time_s < end);
        evidence.frames.sort_by(|a, b| a.time_s.total_cmp(&b.time_s));
        evidence.frames.dedup();
    }
}
