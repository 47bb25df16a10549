//! Questions, the whole way: read, asked in one look or part by part, their spans checked, their conditions applied.
//!
//! ```text
//! question -> content + constraints -> stretch of the video -> one look, or one for each part
//!          -> spans -> a closer look at each -> the one that was meant -> answer
//! ```
//!
//! The spans of an answer that names a time are those it names; of one that says what something is, where it can be seen
//! ([`claim`](question::claim)). What times answer ([`Derived`]) is worked out of theirs.

use super::ask::{Probe, Said, choice, parted, pass};
use super::candidate::distinct;
use super::check::check;
use super::looker::{Keep, Looker};
use super::reflect::reflect;
use super::search::{add, parts, sweep};
use super::{Answer, Asks, Cancel, Job, Model, Plan, Question, QuestionPlan, RunError, Sink, Timing};
use crate::decode::Feed;
use crate::evidence::{self, Check, Coverage, Evidence, Status};
use crate::index::Shelf;
use crate::question::{self, Choice, Constraint, Derived, Found, Ordinal, Reading};
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
    let mut together: Vec<Asked> = Vec::new();
    for (question, reading) in questions.iter().zip(readings) {
        match events(reading) {
            Some(events) => together.extend(events.map(|event| Asked { question: event.into(), derived: None })),
            None => together.push(Asked::of(question, reading)),
        }
    }
    let mut told = worked_out(looker, &together, range, sink)?.into_iter();
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
pub(super) fn events(reading: &Reading) -> Option<impl Iterator<Item = &str>> {
    let bounds = |constraint: &Constraint| !matches!(constraint, Constraint::Ordinal(_));
    reading.constraints.iter().any(bounds).then(|| reading.constraints.iter().filter_map(when_of))
}

fn when_of(constraint: &Constraint) -> Option<&str> {
    match constraint {
        Constraint::Event(event) => Some(&event.when),
        _ => None,
    }
}

/// A question for one stretch, without its conditions.
struct Asked {
    question: Question,
    /// What it can be worked out of
    derived: Option<Derived>,
}

impl Asked {
    fn of(question: &Question, reading: &Reading) -> Self {
        let ordinal = reading.constraints.iter().any(|constraint| matches!(constraint, Constraint::Ordinal(_)));
        let derived = (!ordinal).then(|| derived(&reading.content, &question.choices)).flatten();
        Self { question: Question { text: reading.content.clone(), ..question.clone() }, derived }
    }
}

/// What a question with such choices can be worked out of.
pub(super) fn derived(question: &str, choices: &[String]) -> Option<Derived> {
    let choice = |choice: &String| {
        let (label, text) = parted(choice);
        Choice { label: label.to_owned(), text: text.to_owned(), spans: evidence::spans_in(text) }
    };
    question::derived(question, &choices.iter().map(choice).collect::<Vec<_>>())
}

/// What a question asks: it, and when the events of its conditions are.
pub(super) fn asks(question: &Question) -> Asks {
    let Reading { content, constraints } = question::read(&question.text);
    let events = constraints.iter().filter_map(when_of).count();
    Asks { prompts: 1 + events, checks: checks(question, &content) + events }
}

/// Answers that a question with such content leads to and that are looked at again: its own, or those that it is worked out of.
pub(super) fn checks(question: &Question, content: &str) -> usize {
    let open = question.choices.is_empty() && question::existence(content).is_some();
    match derived(content, &question.choices) {
        Some(derived) => derived.questions.len(),
        None => usize::from(open || question::claims(content)),
    }
}

/// Asks about one stretch; beside what other questions can answer, these.
fn worked_out(looker: &Looker<'_>, asked: &[Asked], stretch: Span, sink: &mut Sink<'_>) -> Result<Vec<Said>, RunError> {
    // Times that are not looked at again are no better than the model's own answer.
    let check = looker.plan(&looker.within(stretch))?.evidence.check;
    let derived = |asked: &Asked| asked.derived.clone().filter(|_| check);
    let mut questions = Vec::new();
    for one in asked {
        questions.push(one.question.clone());
        let others = derived(one).into_iter().flat_map(|derived| derived.questions);
        questions.extend(others.map(|other| Question::from(other.as_str())));
    }
    let mut told = round(looker, &questions, stretch, sink)?.into_iter();
    let mut all = Vec::with_capacity(asked.len());
    for one in asked {
        let Some(mut said) = told.next() else { continue };
        if let Some(derived) = derived(one) {
            let others: Vec<Said> = told.by_ref().take(derived.questions.len()).collect();
            work_out(&mut said, &one.question, &derived, others);
        }
        all.push(said);
    }
    Ok(all)
}

/// The answer as it follows from what the other questions came to; where it does not, it stays what the model said.
fn work_out(said: &mut Said, question: &Question, derived: &Derived, others: Vec<Said>) {
    let answer = &mut said.answer;
    let (mut found, mut spans) = (Vec::with_capacity(others.len()), Vec::with_capacity(others.len()));
    for other in others {
        let Answer { answer: said, mut evidence, usage, timing_s: whole, .. } = other.answer;
        answer.usage.check_tokens += usage.prompt_tokens + usage.check_tokens;
        let check = whole.prefill + whole.generate + whole.check;
        add(&mut answer.timing_s, &Timing { check, total: check, ..Timing::default() });
        evidence.retain(best(&evidence));
        evidence.retain(|span| span.check != Check::Contradicted);
        found.push(Found { said, spans: evidence.iter().map(Span::from).collect() });
        spans.push(evidence);
    }
    let Some(text) = derived.answer(&found) else { return };
    answer.choice = choice(&text, &question.choices);
    answer.answer = text;
    answer.evidence = spans.into_iter().flatten().collect();
    answer.evidence.sort_by(|a, b| a.start.total_cmp(&b.start));
    answer.status = if answer.evidence.is_empty() { Status::Partly } else { Status::Supported };
    answer.warnings.retain(|warning| !warning.starts_with(NO_STRETCH));
    answer.plan.question = Some(QuestionPlan { asked: derived.questions.join(" "), constraints: Vec::new() });
}

/// How a warning begins that nothing was found of what an answer says.
const NO_STRETCH: &str = "no short stretch";

/// Asks about one stretch, in one look or part by part, and checks what is said.
pub(super) fn round(
    looker: &Looker<'_>,
    questions: &[Question],
    stretch: Span,
    sink: &mut Sink<'_>,
) -> Result<Vec<Said>, RunError> {
    let options = looker.within(stretch);
    let plan = looker.plan(&options)?;
    let long = is_long(&plan, stretch);
    let by_parts = |question: &Question| long && is_searched(question);
    let (searched, plain): (Vec<Question>, Vec<Question>) = questions.iter().cloned().partition(by_parts);
    let probe: Probe<'_> = if plan.evidence.check { &probe } else { &|_, _| None };
    let mut searched = match searched.as_slice() {
        [] => Vec::new(),
        some => sweep(looker, some, probe, stretch, &plan, sink)?,
    }
    .into_iter();
    let mut look = None;
    let mut plain = match plain.as_slice() {
        [] => Vec::new(),
        some => {
            let look = look.insert(looker.see(&options, some, Keep::Nothing, sink)?);
            pass(
                looker.model,
                look,
                &Job { questions: some, options: &options, ..looker.job },
                probe,
                looker.cancel,
                sink,
            )?
        }
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
            check(looker, question, &mut said, stretch, sink)?;
            let sure = said.candidates.iter().any(|one| one.evidence.verified);
            if let (Some(look), true) = (&look, long && !sure && question::claims(&question.text)) {
                reflect(looker, look, question, probe, &mut said, stretch, sink)?;
            }
        }
        settle(&mut said);
        all.push(said);
    }
    Ok(all)
}

/// Whether a stretch has parts that are asked one after the other.
pub(super) fn is_long(plan: &Plan, stretch: Span) -> bool {
    let evidence = &plan.evidence;
    evidence.search == SearchMode::Auto && stretch.end.is_finite() && parts(stretch, evidence.part_s).len() > 1
}

/// Whether that is how a question is asked of a long stretch.
pub(super) fn is_searched(question: &Question) -> bool {
    question.choices.is_empty() && question::asks_when(&question.text)
}

/// The question for yes or no that is asked of short stretches: whether what has a time, or what the answer says, is there.
fn probe(question: &Question, answer: &Answer) -> Option<String> {
    if evidence::denies(&answer.answer) && question::claims(&question.text) {
        return None;
    }
    let answer = match &answer.choice {
        Some(choice) => parted(choice).1,
        None if !question.choices.is_empty() => return None,
        None => return question::existence(&question.text).or_else(|| question::claim(&question.text, &answer.answer)),
    };
    question::claim(&question.text, answer)
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
    let timeless = evidence::spans_in(&answer.answer).is_empty() && !evidence::denies(&answer.answer);
    match (said.probe.as_deref(), answer.evidence.is_empty()) {
        (Some(_), false) if timeless && !question::says_no(&answer.answer) => answer.status = Status::Supported,
        (Some(claim), true) if question::claims(&answer.question) => {
            answer.warnings.push(format!("{NO_STRETCH} of what was seen says yes to \"{claim}\""));
        }
        _ => {}
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
    let (stretch, steps) = narrow(reading, range, looker.video(), &mut |event| {
        let when = events.next().and_then(|said| held(&said.answer.evidence));
        when.and_then(|when| event.stretch(when, looker.video()))
    })?;
    tracing::info!("\"{}\" is \"{}\": {}", question.text.escape_debug(), reading.content, steps.join("; "));
    let (text, range) = match stretch {
        Some(stretch) => (reading.content.clone(), stretch),
        None => (question.text.clone(), range),
    };
    let content = Reading { content: text.clone(), constraints: reading.constraints.clone() };
    let said = worked_out(looker, &[Asked::of(question, &content)], range, sink)?.pop();
    let mut said = said.ok_or(RunError::Cancelled)?;
    if stretch.is_none() {
        said.answer.warnings.push(format!("asked of the whole video: {}", steps.join("; ")));
    }
    let asked = said.answer.plan.question.take().map_or(text, |question| question.asked);
    said.answer.plan.question = Some(QuestionPlan { asked, constraints: steps });
    Ok(said)
}

/// What the conditions of a question leave of `range`, `None` if the time of one is not known, and what each came to. `bounded` says what
/// an event leaves of the video.
pub(super) fn narrow(
    reading: &Reading,
    range: Span,
    video: Span,
    bounded: &mut dyn FnMut(&question::Event) -> Option<Span>,
) -> Result<(Option<Span>, Vec<String>), RunError> {
    let mut stretch = Some(range);
    let mut steps = Vec::new();
    for constraint in &reading.constraints {
        let part = match constraint {
            Constraint::Clock(clock) => {
                let part = clock.stretch(video).and_then(|part| both(range, part));
                if part.is_none() && video.end.is_finite() {
                    let Span { start, end } = both(range, video).unwrap_or(range);
                    return Err(RunError::Outside { condition: constraint.to_string(), start, end });
                }
                part
            }
            Constraint::Event(event) => bounded(event),
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
    Ok((stretch, steps))
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
    let asks_when = question::asks_when(&reading.content);
    if question.choices.is_empty() {
        if asks_when && !answer.evidence.is_empty() {
            times(&mut answer, ordinal);
        } else {
            bound(&mut answer, asks_when);
        }
    }
    if let Some(ordinal) = ordinal {
        let asked = QuestionPlan { asked: reading.content.clone(), constraints: Vec::new() };
        answer.plan.question.get_or_insert(asked).constraints.push(ordinal.to_string());
    }
    answer.status = evidence::status(answer.status, &answer.evidence);
    if answer.choice.is_none() && !question.choices.is_empty() {
        answer.warnings.push("the answer names none of the choices".to_owned());
    }
    answer
}

/// Score from which a span that was not verified is shown beside verified ones: it is right more often than not.
const LIKELY: f64 = 0.5;

/// Which of some spans are shown: those that hold or probably do, or if none does, those that may.
fn best(evidence: &[Evidence]) -> fn(&Evidence) -> bool {
    match () {
        () if evidence.iter().any(|span| span.verified) => |span| span.verified || span.score >= LIKELY,
        () if evidence.iter().any(|span| span.check != Check::Contradicted) => |span| span.check != Check::Contradicted,
        () => |_| true,
    }
}

/// What an answer comes to that is nothing but times outside of what was looked at; a warning says which.
const NO_TIME: &str = "The time was not found in the video.";

/// Leaves no time in an answer's words that its video does not have.
fn bound(answer: &mut Answer, asks_when: bool) {
    let Coverage { from, to, .. } = answer.coverage;
    let named = evidence::spans_in(&answer.answer);
    let outside = |span: &Span| span.end < from || span.start > to;
    if asks_when && !named.is_empty() && named.iter().all(outside) {
        NO_TIME.clone_into(&mut answer.answer);
    } else {
        answer.answer = evidence::clipped(&answer.answer, to);
    }
}

/// Says the spans of an answer that is nothing but times: those that hold or probably do, or if none does, those that may.
/// What a closer look did not find again is evidence no more where there is better.
fn times(answer: &mut Answer, ordinal: Option<Ordinal>) {
    answer.evidence.retain(best(&answer.evidence));
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
