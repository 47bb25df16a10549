//! Questions, the whole way: read, asked in one look or part by part, their spans checked, their conditions applied.
//!
//! ```text
//! question -> content + constraints -> stretch of the video -> one look, or one for each part
//!          -> spans -> a closer look at each -> the one that was meant -> answer
//! ```

use super::ask::Said;
use super::candidate::distinct;
use super::check::check;
use super::looker::{Keep, Looker};
use super::search::{parts, sweep};
use super::{Answer, Cancel, Job, Model, Question, QuestionPlan, RunError, Sink};
use crate::decode::Feed;
use crate::evidence::{self, Check, Evidence, Status};
use crate::index::Shelf;
use crate::question::{self, Constraint, Ordinal, Reading};
use crate::recipe::SearchMode;
use longsight_models::Span;

/// Answers every question about an opened video, in their order. Questions about the same stretch share one reading of it.
///
/// # Errors
/// When the file gives no frame, the plan does not fit, or the model fails. Damage to the file is a warning instead.
pub fn ask(
    model: &Model,
    video: &Feed,
    job: &Job<'_>,
    cancel: &Cancel,
    sink: &mut Sink<'_>,
) -> Result<Vec<Answer>, RunError> {
    let readings: Vec<Reading> = job.questions.iter().map(|question| question::read(&question.text)).collect();
    let looker = Looker::new(model, video, job, cancel);
    inquire(&looker, &readings, sink)
}

/// Answers the job's questions as they were read.
pub(super) fn inquire(looker: &Looker<'_>, readings: &[Reading], sink: &mut Sink<'_>) -> Result<Vec<Answer>, RunError> {
    let questions = looker.job.questions;
    let plan = looker.plan(looker.job.options)?;
    let range = Span { start: plan.decode.from, end: plan.decode.to.unwrap_or(f64::INFINITY) };
    // What can be asked of the whole range is asked together: plain questions, and when the events of others are.
    let mut together: Vec<Question> = Vec::new();
    for (question, reading) in questions.iter().zip(readings) {
        match events(reading) {
            Some(events) => together.extend(events.map(Question::from)),
            None => together.push(Question { text: reading.content.clone(), ..question.clone() }),
        }
    }
    let mut told = round(looker, &together, range, sink)?.into_iter();
    let mut answers = Vec::with_capacity(questions.len());
    for (question, reading) in questions.iter().zip(readings) {
        let said = match events(reading) {
            None => told.next(),
            Some(events) => {
                let events: Vec<Said> = told.by_ref().take(events.count()).collect();
                Some(narrowed(looker, question, reading, range, &events, sink)?)
            }
        };
        if let Some(said) = said {
            answers.push(finished(said, question, reading));
        }
    }
    if let Some(Err(error)) = looker.job.index.map(Shelf::tidy) {
        tracing::warn!("the index is larger than it should be: {error}");
    }
    Ok(answers)
}

/// The questions for the events that bound the stretch to look at; `None` if the whole range is to be looked at.
fn events(reading: &Reading) -> Option<impl Iterator<Item = &str>> {
    let bounds = |constraint: &Constraint| !matches!(constraint, Constraint::Ordinal(_));
    reading.constraints.iter().any(bounds).then(|| reading.constraints.iter().filter_map(when_of))
}

fn when_of(constraint: &Constraint) -> Option<&str> {
    match constraint {
        Constraint::Event(event) => Some(&event.when),
        _ => None,
    }
}

/// Asks about one stretch, in one look or part by part, and checks what is said.
pub(super) fn round(
    looker: &Looker<'_>,
    questions: &[Question],
    stretch: Span,
    sink: &mut Sink<'_>,
) -> Result<Vec<Said>, RunError> {
    let options = looker.within(stretch);
    let plan = looker.plan(&options)?;
    let long = plan.evidence.search == SearchMode::Auto
        && stretch.end.is_finite()
        && parts(stretch, plan.evidence.part_s).len() > 1;
    let by_parts = |question: &Question| long && question.choices.is_empty() && question::asks_when(&question.text);
    let (searched, plain): (Vec<Question>, Vec<Question>) = questions.iter().cloned().partition(by_parts);
    let probes = |questions: &[Question]| -> Vec<Option<String>> {
        questions.iter().map(|question| probe(question).filter(|_| plan.evidence.check)).collect()
    };
    let mut searched = match searched.as_slice() {
        [] => Vec::new(),
        some => sweep(looker, some, &probes(some), stretch, &plan, sink)?,
    }
    .into_iter();
    let mut plain = match plain.as_slice() {
        [] => Vec::new(),
        some => looker.pass(&options, some, &probes(some), Keep::Nothing, sink)?,
    }
    .into_iter();
    let mut all = Vec::with_capacity(questions.len());
    for question in questions {
        let said = if by_parts(question) { searched.next() } else { plain.next() };
        let Some(mut said) = said else { continue };
        if plan.evidence.check {
            if question::says_no(&said.answer.answer) {
                said.candidates.clear();
            }
            check(looker, question, probe(question).as_deref(), &mut said, stretch, sink)?;
        }
        settle(&mut said);
        all.push(said);
    }
    Ok(all)
}

/// The question for yes or no that is asked of short stretches: of what has a time or is there or not.
fn probe(question: &Question) -> Option<String> {
    if question.choices.is_empty() { question::existence(&question.text) } else { None }
}

/// The candidates become the evidence. What the answer denies is shown only where it was verified, and what some parts
/// deny is denied where closer looks contradict the others.
fn settle(said: &mut Said) {
    let answer = &mut said.answer;
    let gone = said.candidates.iter().all(|one| one.evidence.check == Check::Contradicted);
    if let (Some(denial), true) = (said.denial.take(), gone) {
        (answer.status, answer.answer) = (evidence::denial(&answer.coverage), denial);
    }
    let all = distinct(std::mem::take(&mut said.candidates)).into_iter().map(|candidate| candidate.evidence);
    if evidence::denies(&answer.answer) {
        answer.evidence = all.filter(|span| span.verified).collect();
        if !answer.evidence.is_empty() {
            answer.status = Status::Supported;
        }
    } else {
        answer.evidence = all.collect();
    }
    if question::says_yes(&answer.answer) && !answer.evidence.is_empty() {
        answer.status = Status::Supported;
    }
}

/// A question about the stretch that its constraints leave. `events` are the answers to [`events`].
fn narrowed(
    looker: &Looker<'_>,
    question: &Question,
    reading: &Reading,
    range: Span,
    events: &[Said],
    sink: &mut Sink<'_>,
) -> Result<Said, RunError> {
    let mut events = events.iter();
    let mut stretch = Some(range);
    let mut steps = Vec::new();
    for constraint in &reading.constraints {
        let part = match constraint {
            Constraint::Clock(clock) => clock.stretch(looker.video()),
            Constraint::Event(event) => {
                let when = events.next().and_then(|said| held(&said.answer.evidence));
                when.and_then(|when| event.stretch(when, looker.video()))
            }
            Constraint::Ordinal(_) => continue,
        };
        stretch = match (stretch, part) {
            (Some(whole), Some(part)) => both(whole, part),
            _ => None,
        };
        steps.push(match stretch {
            Some(Span { start, end }) if end.is_finite() => format!("{constraint}: {start:.2} to {end:.2} s"),
            Some(Span { start, .. }) => format!("{constraint}: from {start:.2} s on"),
            None => format!("{constraint}: no such time was found"),
        });
    }
    tracing::info!("\"{}\" is \"{}\": {}", question.text.escape_debug(), reading.content, steps.join("; "));
    let (text, range) = match stretch {
        Some(stretch) => (reading.content.clone(), stretch),
        None => (question.text.clone(), range),
    };
    let asked = Question { text: text.clone(), ..question.clone() };
    let said = round(looker, &[asked], range, sink)?.pop();
    let mut said = said.ok_or(RunError::Cancelled)?;
    if stretch.is_none() {
        said.answer.warnings.push(format!("asked of the whole video: {}", steps.join("; ")));
    }
    said.answer.plan.question = Some(QuestionPlan { asked: text, constraints: steps });
    Ok(said)
}

/// When an event is: the first span that holds, or else the first that was not contradicted.
fn held(evidence: &[Evidence]) -> Option<Span> {
    let verified = evidence.iter().find(|span| span.verified);
    verified.or_else(|| evidence.iter().find(|span| span.check != Check::Contradicted)).map(Span::from)
}

fn both(a: Span, b: Span) -> Option<Span> {
    let (start, end) = (a.start.max(b.start), a.end.min(b.end));
    (start < end).then_some(Span { start, end })
}

/// The answer as it is shown: the time that was meant, its text and its status in line with the checked spans.
fn finished(said: Said, question: &Question, reading: &Reading) -> Answer {
    let mut answer = said.answer;
    answer.question.clone_from(&question.text);
    let ordinal = reading.constraints.iter().find_map(|constraint| match constraint {
        Constraint::Ordinal(ordinal) => Some(*ordinal),
        _ => None,
    });
    if question::asks_when(&reading.content) && !answer.evidence.is_empty() {
        times(&mut answer, ordinal);
    }
    if let Some(ordinal) = ordinal {
        let asked = QuestionPlan { asked: reading.content.clone(), constraints: Vec::new() };
        answer.plan.question.get_or_insert(asked).constraints.push(ordinal.to_string());
    }
    answer.status = evidence::status(answer.status, &answer.evidence);
    answer
}

/// Score from which a span that was not verified is shown beside verified ones: it is right more often than not.
const LIKELY: f64 = 0.5;

/// Says the spans of an answer that is nothing but times: those that hold or probably do, or if none does, those that may.
/// What a closer look did not find again is evidence no more where there is better.
fn times(answer: &mut Answer, ordinal: Option<Ordinal>) {
    let best = match () {
        () if answer.evidence.iter().any(|span| span.verified) => {
            |span: &Evidence| span.verified || span.score >= LIKELY
        }
        () if answer.evidence.iter().any(|span| span.check != Check::Contradicted) => {
            |span: &Evidence| span.check != Check::Contradicted
        }
        () => |_: &Evidence| true,
    };
    answer.evidence.retain(best);
    let in_words = |evidence: &[Evidence]| {
        let spans: Vec<Span> = evidence.iter().map(Span::from).collect();
        evidence::in_words(&spans)
    };
    match ordinal.map(|ordinal| ordinal.pick(&answer.evidence).cloned()) {
        Some(None) => {
            let found = answer.evidence.len();
            let times = if found == 1 { "time" } else { "times" };
            answer.answer = format!("It was found {found} {times} only: {}", in_words(&answer.evidence));
            // Other times than the one that was asked for are no evidence.
            answer.status = Status::Unsupported;
            answer.evidence.clear();
            return;
        }
        Some(Some(meant)) => answer.evidence = vec![meant],
        None => {}
    }
    answer.answer = in_words(&answer.evidence);
}
