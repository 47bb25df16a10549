//! Spans of an answer, looked at again: closer, by themselves, before they are shown.

use super::ask::Said;
use super::looker::Looker;
use super::{Event, Question, RunError, Sink};
use crate::evidence::{self, Check, Closer, Evidence};
use crate::question::{existence, says_no, says_yes};
use longsight_models::Span;
use std::time::Instant;

/// The most frames of a closer look: a minute at two a second. Longer stretches are looked at more coarsely.
const MOST_FRAMES: usize = 120;

/// Looks at the spans of `said`, the answer to `question`, again, inside `range`, and gives each its verdict.
pub(super) fn check(
    looker: &Looker<'_>,
    question: &Question,
    said: &mut Said,
    range: Span,
    sink: &mut Sink<'_>,
) -> Result<(), RunError> {
    let started = Instant::now();
    let evidence = &mut said.answer.evidence;
    let plan = said.answer.plan.evidence;
    let of = evidence.len().min(plan.max_spans);
    let mut tokens = 0;
    for (look, span) in evidence.iter_mut().take(of).enumerate() {
        sink(Event::Checking { span: look, of });
        tokens += look_closer(looker, question, span, range)?;
    }
    said.answer.usage.check_tokens += tokens;
    said.answer.timing_s.check += started.elapsed().as_secs_f64();
    said.answer.timing_s.total += started.elapsed().as_secs_f64();
    Ok(())
}

/// One span; gives the prompt tokens that it cost.
fn look_closer(looker: &Looker<'_>, question: &Question, span: &mut Evidence, range: Span) -> Result<usize, RunError> {
    let plan = looker.job.options.evidence.clone();
    let plan = super::EvidencePlan::resolve(&plan);
    let around = Span {
        start: (span.start - plan.margin_s).max(range.start),
        end: (span.end + plan.margin_s).min(range.end),
    };
    let mut options = looker.within(around);
    options.decode.fps = Some(plan.fps);
    options.decode.max_frames = Some(MOST_FRAMES);
    let mut questions = vec![question.clone()];
    questions.extend(existence(&question.text).as_deref().map(Question::from));
    let closer = looker.pass(&options, &questions, &mut |_| ())?;
    let Some(again) = closer.first() else { return Ok(0) };
    let presence = closer.get(1).and_then(presence);
    let seen = Closer { spans: &again.answer.evidence, probability: again.probability, presence };
    let verdict = evidence::judge(span, &seen);
    tracing::info!(
        "closer look at {:.2} to {:.2} s ({:.2} to {:.2} s, {} frames): \"{}\", presence {}: {:?}, score {:.2}",
        span.start,
        span.end,
        around.start,
        around.end,
        again.answer.coverage.frames_seen,
        again.answer.answer.escape_debug(),
        presence.map_or_else(|| "not asked".to_owned(), |share| format!("{share:.2}")),
        verdict.check,
        verdict.score
    );
    if let (Check::Verified, Some(same)) = (verdict.check, verdict.same) {
        *span = again.answer.evidence[same].clone();
    }
    span.score = verdict.score;
    span.check = verdict.check;
    span.verified = verdict.check == Check::Verified;
    Ok(closer.iter().map(|said| said.answer.usage.prompt_tokens).sum())
}

/// The probability that the answer is yes; `None` if it is neither yes nor no.
fn presence(said: &Said) -> Option<f64> {
    match &said.answer.answer {
        yes if says_yes(yes) => Some(said.first),
        no if says_no(no) => Some(1.0 - said.first),
        _ => None,
    }
}
