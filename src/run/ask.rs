//! One video, some questions: the whole way.

use super::candidate::{Candidate, candidates};
use super::choose::choose;
use super::presence;
use super::{Answer, Cancel, Event, Model, Plan, PlanError, Rates, Sink, Timing, Usage, plan};
use crate::compress;
use crate::decode::{DecodeError, DecodeReport, Feed, Request, VideoFacts};
use crate::evidence::{self, Coverage};
use crate::generate::{self, GenerateError, Session};
use crate::index::{Cut, IndexError, Kept, Pieces, Prompt, Shelf};
use crate::prefill::{Ledger, Sparse, Spent};
use crate::prompt::{Message, PromptError};
use crate::recipe::{Options, PrefillMode};
use crate::sample;
use crate::scenes::Rough;
use crate::vision::Encoder;
use longsight_models::{Attention, Dense, FrameRef, GrowingCache, ModelError, Sequence, Span, VisualTokens};
use std::cell::OnceCell;
use std::ops::Range;
use std::time::Instant;

/// A question, and the choices that its answer is one of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    /// In words
    pub text: String,
    /// `A. red`, `B. blue`, ...; empty for an open question
    pub choices: Vec<String>,
}

impl From<&str> for Question {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), choices: Vec::new() }
    }
}

/// What is asked of a video, and how.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// The video
    pub facts: &'a VideoFacts,
    /// The questions, which share one reading of it
    pub questions: &'a [Question],
    /// The pipeline's name
    pub pipeline: &'a str,
    /// Its settings, flags included
    pub options: &'a Options,
    /// What is kept of the video, if it may be used
    pub index: Option<&'a Shelf<'a>>,
    /// What this machine does, where the options limit memory or time
    pub rates: Option<&'a Rates>,
    /// Grey pictures in place of the video's: what a benchmark's answers are worth without looking
    pub blind: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The file
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The plan
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The model
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The prompt
    #[error(transparent)]
    Prompt(Box<PromptError>),
    /// The answer
    #[error(transparent)]
    Generate(Box<GenerateError>),
    /// No picture reached the model, so there is nothing to answer from
    #[error("{path}: no frame {} could be decoded", plan::between(*from, *to))]
    NothingSeen {
        /// The video
        path: String,
        /// First second asked for
        from: f64,
        /// Its end
        to: f64,
    },
    /// A condition on time that the stretch to look at cannot meet
    #[error("nothing is {condition}: what is looked at runs from {start:.3} to {end:.3} s")]
    Outside {
        /// In words
        condition: String,
        /// First second that is looked at
        start: f64,
        /// Its end
        end: f64,
    },
    /// The index
    #[error(transparent)]
    Index(Box<IndexError>),
    /// A reading that is no use to another question
    #[error("the sampler reads the question, so that there is nothing to keep for others")]
    NotIndexed,
    /// Asked to stop
    #[error("stopped")]
    Cancelled,
}

impl From<PromptError> for RunError {
    fn from(error: PromptError) -> Self {
        Self::Prompt(Box::new(error))
    }
}

impl From<IndexError> for RunError {
    fn from(error: IndexError) -> Self {
        Self::Index(Box::new(error))
    }
}

impl From<GenerateError> for RunError {
    fn from(error: GenerateError) -> Self {
        // Boxed: it is much larger than the others.
        Self::Generate(Box::new(error))
    }
}

/// Frames that lie further apart than so many times asked for have a hole between them.
const HOLE: f64 = 2.5;

/// What was seen, ready for questions.
pub(super) struct Seen {
    pub(super) tokens: [VisualTokens; 1],
    pub(super) frames: Vec<FrameRef>,
    pub(super) coverage: Coverage,
    pub(super) warnings: Vec<String>,
    pub(super) timing: Timing,
    /// The index entry that it came from
    index: Option<String>,
}

/// An answer, and how sure the model was.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) answer: Answer,
    /// The probability of its tokens, their geometric mean
    pub(super) probability: f64,
    /// The spans that may be what was asked for
    pub(super) candidates: Vec<Candidate>,
    /// What each short stretch of the look was asked, for yes or no
    pub(super) probe: Option<String>,
    /// How likely the answer is yes in each stretch
    pub(super) curve: Vec<presence::Slice>,
    /// What the parts said that do not show it, if this is an answer of several and some do not
    pub(super) denial: Option<String>,
}

/// A look at a stretch of a video: by which plan, what was seen, and what the index knows of prompts about it.
pub(super) struct Look {
    pub(super) plan: Plan,
    pub(super) seen: Seen,
    /// The beginning of every prompt about it
    pub(super) prompt: Option<Prompt>,
    /// How many of the warnings come from the plan
    pub(super) planned: usize,
    /// Where its slices and parts are kept
    kept: Option<Kept>,
    /// Its slices and its parts, once they have been read: every question for yes or no needs the former again
    pieces: [OnceCell<Option<Pieces>>; 2],
}

impl Look {
    /// Something that has just been seen.
    pub(super) fn new(plan: Plan, seen: Seen) -> Self {
        Self { plan, seen, prompt: None, planned: 0, kept: None, pieces: Default::default() }
    }

    /// Something that was seen at another time, under `entry`.
    pub(super) fn recalled(plan: Plan, entry: String, mut kept: Kept, seconds: f64) -> Self {
        let reading = &kept.reading;
        let window = plan.prompt.visual_window;
        let known = || Sequence::new(reading.prefix.clone(), reading.positions.clone(), Vec::new()).extended(window);
        let prompt = reading.kv.map(|_| Prompt { known: known(), kv: std::mem::take(&mut kept.kv) });
        let seen = Seen {
            tokens: [kept.tokens.clone()],
            frames: reading.frames.iter().map(|&frame| frame.into()).collect(),
            coverage: reading.coverage.clone(),
            warnings: reading.warnings.clone(),
            timing: Timing { total: seconds, ..Timing::default() },
            index: Some(entry),
        };
        Self { plan, seen, prompt, planned: 0, kept: Some(kept), pieces: Default::default() }
    }

    /// The prompts about its pieces, which begin where `ranges` do, as far as the index has them. What cannot be used is not there.
    pub(super) fn prompts(&self, cut: Cut, ranges: &[Range<usize>]) -> &[Prompt] {
        let read = || {
            let mut pieces = self.kept.as_ref()?.pieces(cut).unwrap_or_else(|error| {
                tracing::warn!("the index is not used: {error}");
                None
            })?;
            for prompt in &mut pieces.prompts {
                prompt.known = std::mem::take(&mut prompt.known).extended(self.plan.prompt.visual_window);
            }
            Some(pieces)
        };
        let pieces = self.pieces[cut as usize].get_or_init(read).as_ref();
        let same = |pieces: &&Pieces| pieces.starts.iter().eq(ranges.iter().map(|range| &range.start));
        pieces.filter(same).map_or(&[], |pieces| &pieces.prompts)
    }
}

/// The question for yes or no that an answered question leads to, if any.
pub(super) type Probe<'p> = &'p dyn Fn(&Question, &Answer) -> Option<String>;

/// Asks every question about a look, in their order, and what `probe` makes of it of one short stretch after the other.
///
/// # Errors
/// When the model fails.
pub(super) fn pass(
    model: &Model,
    look: &mut Look,
    job: &Job<'_>,
    probe: Probe<'_>,
    cancel: &Cancel,
    sink: &mut Sink<'_>,
) -> Result<Vec<Said>, RunError> {
    let prompt = look.prompt.take();
    let (mut plan, seen) = (look.plan.clone(), &look.seen);
    let (attention, ledger) = attention(job.options, model, &plan);
    let mut session = match prompt {
        Some(Prompt { known, kv }) => {
            let cache = GrowingCache::holding(kv, known.len());
            Session::resume(model.vlm(), &seen.tokens, attention, Box::new(cache), known)
        }
        None => Session::with(model.vlm(), &seen.tokens, attention, Box::new(GrowingCache::new())),
    };
    let mut spent = Spent::default();
    let mut answers = Vec::with_capacity(job.questions.len());
    for (number, question) in job.questions.iter().enumerate() {
        sink(Event::Asking { question: number, of: job.questions.len() });
        let sequence = sequence(model, question, &plan, seen)?;
        let prefilling = Instant::now();
        session.prefill(&sequence, plan.prefill.chunk, &|| cancel.is_cancelled())?;
        let prefill = prefilling.elapsed().as_secs_f64();
        let generating = Instant::now();
        let told = session.answer(&sequence, model.prompter.tokenizer(), &sampling(&plan), |piece| {
            sink(Event::Text(piece.to_owned()));
            !cancel.is_cancelled()
        })?;
        if cancel.is_cancelled() {
            return Err(RunError::Cancelled);
        }
        if plan.prefill.mode == PrefillMode::Sparse {
            spent.add(ledger.take());
            plan.prefill.density = Some(spent.density());
        }
        let seconds = (prefill, generating.elapsed().as_secs_f64());
        answers.push(said(model, job.facts, question, &plan, seen, &told, sequence.len(), seconds));
    }
    drop(session);
    for (question, said) in job.questions.iter().zip(&mut answers) {
        if let Some(probe) = probe(question, &said.answer) {
            presence::follow(model, &[look], &probe, &mut [said], cancel)?;
        }
    }
    Ok(answers)
}

/// How a plan's answers are made.
pub(super) fn sampling(plan: &Plan) -> generate::Options {
    generate::Options {
        max_tokens: plan.generate.max_new_tokens,
        temperature: plan.generate.temperature,
        top_p: plan.generate.top_p,
        top_k: plan.generate.top_k,
        seed: plan.generate.seed,
        ..generate::Options::default()
    }
}

/// The attention of a plan's prefill, and what it will have computed.
pub(super) fn attention(options: &Options, model: &Model, plan: &Plan) -> (Box<dyn Attention>, Ledger) {
    let ledger = Ledger::default();
    let attention: Box<dyn Attention> = match plan.prefill.mode {
        PrefillMode::Sparse => Box::new(Sparse::new(plan::heads(options, model.patterns()), ledger.clone())),
        PrefillMode::Dense | PrefillMode::Auto => Box::new(Dense),
    };
    (attention, ledger)
}

/// Decodes, resizes and encodes, chunk by chunk.
pub(super) fn look(
    model: &Model,
    video: &Feed,
    job: &Job<'_>,
    plan: &Plan,
    cancel: &Cancel,
    sink: &mut Sink<'_>,
) -> Result<Seen, RunError> {
    let start = Instant::now();
    let request = Request {
        from: Some(plan.decode.from).filter(|from| from.is_finite()),
        to: plan.decode.to,
        cancel: Some(cancel.flag()),
        ..Request::new(plan.sampling())
    };
    let mut stream = video.stream(&request)?;
    let pooling = plan.compressor().map(|compressor| compress::strides(&*compressor, plan.grid(model.vlm().card())));
    let span = Span { start: plan.decode.from, end: plan.decode.to.unwrap_or(f64::INFINITY) };
    // Frames that stand for several of the times asked for leave room for those that are repeated beside them.
    let hole = plan.sampling().effective_fps(span, video.info()).map_or(f64::INFINITY, |fps| HOLE / fps);
    let mut encoder = Encoder::new(model.vlm(), plan.size()).pooled(pooling.unwrap_or_default()).apart(hole);
    let sampler = sample::sampler(&plan.sample.method);
    // Moments are chosen from all of them, so compression has to wait for the choice.
    let mut tokens = compress::Stream::new(if sampler.is_none() { plan.compressor() } else { None });
    let mut before = 0;
    let mut frames: Vec<FrameRef> = Vec::new();
    let mut scenes = Rough::default();
    let mut timing = Timing::default();
    loop {
        let waiting = Instant::now();
        let next = if frames.len() as u64 == plan.decode.max_frames { None } else { stream.next() };
        timing.decode += waiting.elapsed().as_secs_f64();
        let Some(mut frame) = next else { break };
        if cancel.is_cancelled() {
            return Err(RunError::Cancelled);
        }
        frames.push(FrameRef::from(&frame));
        let glancing = Instant::now();
        scenes.push(&frame);
        timing.scenes += glancing.elapsed().as_secs_f64();
        if job.blind {
            frame.image.fill(127);
        }
        let encoding = Instant::now();
        let chunk = encoder.push(frame)?;
        timing.vision += encoding.elapsed().as_secs_f64();
        if let Some(chunk) = chunk {
            before += full(&chunk);
            let compressing = Instant::now();
            tokens.push(chunk)?;
            timing.compress += compressing.elapsed().as_secs_f64();
        }
        sink(Event::Encoded { frames: frames.len() as u64, of: plan.decode.max_frames.max(frames.len() as u64) });
    }
    let report = stream.finish()?;
    // Behind the last picture the decoder still has that one; it shows nothing of what was asked for.
    let behind =
        |frame: &FrameRef| frame.time.seconds() < report.coverage.start && report.coverage.end <= report.coverage.start;
    if frames.iter().all(behind) {
        let (from, to) = (plan.decode.from, plan.decode.to.unwrap_or(f64::INFINITY));
        return Err(RunError::NothingSeen { path: job.facts.path.clone(), from, to });
    }
    let encoding = Instant::now();
    let chunk = encoder.finish()?;
    timing.vision += encoding.elapsed().as_secs_f64();
    let compressing = Instant::now();
    if let Some(chunk) = chunk {
        before += full(&chunk);
        tokens.push(chunk)?;
    }
    let mut tokens = tokens.finish()?;
    if let Some(sampler) = sampler {
        let chosen = choose(model, sampler, plan.sample.keep, job.questions, &tokens)?;
        let mut stream = compress::Stream::new(plan.compressor());
        stream.push(chosen)?;
        tokens = stream.finish()?;
    }
    timing.compress += compressing.elapsed().as_secs_f64();
    // A frame of which no token is left was not seen.
    let left = tokens.times().iter().zip(tokens.tokens_per_time()).filter(|&(_, count)| count > 0);
    let seen: Vec<_> = left.map(|(time, _)| time.first.index..=time.last.index).collect();
    frames.retain(|frame| {
        let next = seen.partition_point(|frames| *frames.end() < frame.index);
        seen.get(next).is_some_and(|frames| frames.contains(&frame.index))
    });
    timing.total = start.elapsed().as_secs_f64();
    let warnings = report.warnings.iter().map(ToString::to_string).collect();
    let coverage = cover(&report, &frames, before, tokens.len()).with_scenes(&scenes.cuts(), &frames);
    Ok(Seen { tokens: [tokens], frames, coverage, warnings, timing, index: None })
}

/// Tokens of some temporal patches before anything is left out, be it in the tower.
fn full(chunk: &VisualTokens) -> usize {
    chunk.times().len() * chunk.grid().0 * chunk.grid().1
}

fn cover(report: &DecodeReport, frames: &[FrameRef], before: usize, after: usize) -> Coverage {
    Coverage::of(report.coverage.start, report.coverage.end, report.frames_decoded, frames, before, after)
}

/// What the model said about a look, with the seconds that prefill and generation took.
#[expect(clippy::too_many_arguments, reason = "the products of every stage meet here, and nowhere else")]
pub(super) fn said(
    model: &Model,
    facts: &VideoFacts,
    question: &Question,
    plan: &Plan,
    seen: &Seen,
    told: &generate::Answer,
    prompt_tokens: usize,
    (prefill, generate): (f64, f64),
) -> Said {
    let probability = told.mean_log_probability.exp();
    let text = told.text.trim().to_owned();
    let finding = evidence::weigh(&text, probability, &seen.frames, &seen.coverage);
    let mut warnings = seen.warnings.clone();
    warnings.extend(finding.warnings);
    if told.ended == generate::Ended::Full {
        warnings.push(format!("the answer was cut after {} tokens", told.ids.len()));
    }
    let answer = Answer {
        schema: "longsight.answer/1".to_owned(),
        video: facts.clone(),
        question: question.text.clone(),
        choices: question.choices.clone(),
        choice: choice(&text, &question.choices),
        answer: text,
        status: finding.status,
        evidence: finding.evidence,
        coverage: seen.coverage.clone(),
        plan: plan.clone(),
        model: model.facts.clone(),
        usage: Usage { prompt_tokens, generated_tokens: told.ids.len(), check_tokens: 0 },
        index: seen.index.clone(),
        timing_s: Timing { prefill, generate, total: seen.timing.total + prefill + generate, ..seen.timing },
        warnings,
    };
    let candidates = candidates(&answer, probability, &[]);
    Said { answer, probability, candidates, probe: None, curve: Vec::new(), denial: None }
}

/// The prompt of a question about what was seen.
pub(super) fn sequence(model: &Model, question: &Question, plan: &Plan, seen: &Seen) -> Result<Sequence, RunError> {
    Ok(prompt(model, &wording(question), plan, &seen.tokens[0])?)
}

/// The prompt of some words about visual tokens.
pub(super) fn prompt(model: &Model, text: &str, plan: &Plan, tokens: &VisualTokens) -> Result<Sequence, PromptError> {
    let messages = [Message::about_video(text.to_owned())];
    let sequence = model.prompter.build(model.vlm().processor(), &messages, std::slice::from_ref(tokens))?;
    Ok(sequence.extended(plan.prompt.visual_window))
}

/// The question as the model reads it; choices stand on lines of their own.
pub(super) fn wording(question: &Question) -> String {
    if question.choices.is_empty() {
        return question.text.clone();
    }
    format!("{}\n{}\nAnswer with the letter.", question.text, question.choices.join("\n"))
}

/// The choice that an answer names: by its letter (`B`, `B.`, `(B) blue`), or by its whole text.
pub(super) fn choice(answer: &str, choices: &[String]) -> Option<String> {
    let label =
        |choice: &str| choice.split(['.', ')', ':', ' ']).next().unwrap_or_default().trim_start_matches('(').to_owned();
    let first = answer.trim_start_matches('(').split(['.', ')', ':', ' ', ',', '\n']).next().unwrap_or_default();
    let by_label = choices.iter().find(|choice| !first.is_empty() && label(choice).eq_ignore_ascii_case(first));
    let by_text =
        || choices.iter().find(|choice| parted(choice).1.to_lowercase() == answer.trim_end_matches('.').to_lowercase());
    by_label.or_else(by_text).cloned()
}

/// Letters of the label of a choice.
const LONGEST_LABEL: usize = 2;

/// The label and the text of a choice: `B` and `blue` of `B. blue`; without a label, the text alone.
pub(super) fn parted(choice: &str) -> (&str, &str) {
    let (label, text) = choice.split_once(['.', ')', ':']).unwrap_or(("", choice));
    let label = label.trim().trim_start_matches('(');
    let labels = !label.is_empty() && label.len() <= LONGEST_LABEL && label.chars().all(char::is_alphanumeric);
    if labels { (label, text.trim()) } else { ("", choice.trim()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_named_by_letter_or_by_text() {
        let choices: Vec<String> = ["A. red", "B. blue", "C. dark green"].map(str::to_owned).into();
        for (answer, expected) in [
            ("B", Some("B. blue")),
            ("B.", Some("B. blue")),
            ("(b) blue", Some("B. blue")),
            ("C: dark green", Some("C. dark green")),
            ("Dark green.", Some("C. dark green")),
            ("Yellow.", None),
            ("", None),
        ] {
            assert_eq!(choice(answer, &choices).as_deref(), expected, "{answer}");
        }
    }

    #[test]
    fn a_choice_has_a_label_or_none() {
        for (choice, expected) in [
            ("B. dark blue", ("B", "dark blue")),
            ("(2) 1:30", ("2", "1:30")),
            ("from 1:30 to 2:00", ("", "from 1:30 to 2:00")),
            ("red", ("", "red")),
        ] {
            assert_eq!(parted(choice), expected);
        }
    }

    #[test]
    fn choices_stand_below_the_question() {
        let question = Question { text: "Which?".into(), choices: vec!["A. x".into(), "B. y".into()] };
        assert_eq!(wording(&question), "Which?\nA. x\nB. y\nAnswer with the letter.");
    }
}
