//! What a run would do, before it does it: schema `longsight.plan/1`.
//!
//! The questions are read as for the run, so that each is told for the stretch that its conditions on the clock leave, and part by part where
//! it would be asked so. What only the run can know, where an event is and which moments a sampler keeps, is told as such.

use super::ask::wording;
use super::cost::Cost;
use super::inquire::{checks, events, is_long, is_searched, narrow};
use super::looker::{whole, within};
use super::search::{add, looks};
use super::{Asks, Outline, Plan, Question, QuestionPlan, Rates, RunError, Timing};
use crate::decode::{VideoFacts, VideoInfo};
use crate::evidence::Coverage;
use crate::prompt::Message;
use crate::question::{self, Constraint};
use crate::recipe::Options;
use candle_core::{DType, Device, Tensor};
use longsight_models::{FrameRef, Medium, ModelError, PatchTime, Selection, Span, TimeBase, Timestamp, VisualTokens};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `longsight.plan/1`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Forecast {
    /// `longsight.plan/1`
    pub schema: String,
    /// The file
    pub video: VideoFacts,
    /// What would be asked, of several questions the first; null if nothing was given
    pub question: Option<String>,
    /// What would be seen for it and what not, as far as the container tells
    pub coverage: Coverage,
    /// What would be done for it
    pub plan: Plan,
    /// Tokens of all questions' prompts, visual ones included; times are taken to fall where they are asked for
    pub prompt_tokens: usize,
    /// The questions in their order, each with what would be seen for it
    pub questions: Vec<Foreseen>,
    /// Peak of resident memory in bytes, the decoder's process included
    pub memory_bytes: u64,
    /// Of these, keys and values of the prompt
    pub kv_bytes: u64,
    /// Seconds from the start to the last answer; each is taken to have one span to look at again, or one for each time that it is worked
    /// out of
    pub estimated_s: f64,
    /// The same by stage
    pub timing_s: Timing,
    /// What a reader should know
    pub warnings: Vec<String>,
}

/// What a run would do for one question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Foreseen {
    /// As it was given
    pub question: String,
    /// What the model would be asked, and the conditions on time that were taken out of it
    pub reading: QuestionPlan,
    /// In how many parts one after the other; 1 is all in one
    pub parts: usize,
    /// What would be seen
    pub coverage: Coverage,
    /// Tokens of its prompts, visual ones included
    pub prompt_tokens: usize,
}

/// What is planned.
#[derive(Debug, Clone, Copy)]
pub struct Prospect<'a> {
    /// The file
    pub facts: &'a VideoFacts,
    /// What its container says
    pub info: &'a VideoInfo,
    /// The pipeline's name
    pub pipeline: &'a str,
    /// Its settings, flags included
    pub options: &'a Options,
    /// What would be asked
    pub questions: &'a [Question],
}

/// Plans a run and tells what it would take, from the container and the checkpoint's configuration alone.
///
/// # Errors
/// When nothing fits, a setting makes no sense, a condition on time is met by no second, or the prompt cannot be made.
pub fn forecast(outline: &Outline, prospect: &Prospect<'_>, rates: &Rates) -> Result<Forecast, RunError> {
    let nothing = [Question::from("")];
    let questions = if prospect.questions.is_empty() { &nothing } else { prospect.questions };
    let asks = prospect.questions.iter().map(super::inquire::asks).sum();
    let mut foresight = Foresight { outline, prospect, rates, asks, rounds: Vec::new(), warnings: Vec::new() };
    let plan = foresight.resolve(prospect.options)?;
    let range = Span { start: plan.decode.from, end: plan.decode.to.unwrap_or(f64::INFINITY) };
    let mut told = Vec::with_capacity(questions.len());
    for question in questions {
        told.push(foresight.tell(question, range)?);
    }
    let cost = foresight.cost();
    let prompt_tokens = told.iter().map(|(one, _)| one.prompt_tokens).sum();
    let (first, plan) = told[0].clone();
    let mut warnings = Vec::new();
    for warning in foresight.warnings {
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    let given = !prospect.questions.is_empty();
    Ok(Forecast {
        schema: "longsight.plan/1".to_owned(),
        video: prospect.facts.clone(),
        question: given.then_some(first.question),
        coverage: first.coverage,
        plan,
        prompt_tokens,
        questions: told.into_iter().filter(|_| given).map(|(one, _)| one).collect(),
        memory_bytes: cost.memory_bytes,
        kv_bytes: cost.kv_bytes,
        estimated_s: cost.seconds.total,
        timing_s: cost.seconds,
        warnings,
    })
}

/// A stretch that is looked at, and what is asked about it.
struct Round {
    stretch: Span,
    /// Whether other questions about the stretch share it
    shared: bool,
    /// The plan of the whole stretch
    plan: Plan,
    /// Those of its parts, or that of the stretch
    looks: Vec<Plan>,
    asks: Asks,
}

struct Foresight<'a> {
    outline: &'a Outline,
    prospect: &'a Prospect<'a>,
    rates: &'a Rates,
    /// All that is asked: every look is planned for it
    asks: Asks,
    rounds: Vec<Round>,
    warnings: Vec<String>,
}

impl Foresight<'_> {
    fn resolve(&mut self, options: &Options) -> Result<Plan, RunError> {
        let (processor, patterns) = (&*self.outline.processor, self.outline.patterns.as_ref());
        let Prospect { pipeline, info, .. } = *self.prospect;
        let rates = Some(self.rates);
        let (plan, warnings) = Plan::resolve(pipeline, options, info, processor, patterns, rates, self.asks)?;
        self.warnings.extend(warnings);
        Ok(plan)
    }

    /// What would be done for a question, and the plan that its answer would show.
    fn tell(&mut self, question: &Question, range: Span) -> Result<(Foreseen, Plan), RunError> {
        let reading = question::read(&question.text);
        let video = whole(self.prospect.info);
        let mut steps = Vec::new();
        let (mut text, mut stretch) = (reading.content.clone(), range);
        let bounds = events(&reading);
        let narrowed = bounds.is_some();
        if let Some(events) = bounds {
            let events: Vec<Question> = events.map(Question::from).collect();
            for event in &events {
                self.ask(event, range, true, Asks { prompts: 1, checks: 1 })?;
            }
            let found;
            // Where an event is, only the run finds: it may leave everything.
            (found, steps) = narrow(&reading, range, video, &mut |_| Some(video))?;
            let bounds = reading.constraints.iter().filter(|constraint| !matches!(constraint, Constraint::Ordinal(_)));
            for (step, constraint) in steps.iter_mut().zip(bounds) {
                if matches!(constraint, Constraint::Event(_)) {
                    *step = format!("{constraint}: found when it is asked");
                }
            }
            if !events.is_empty() {
                self.warnings.push(format!(
                    "\"{}\": what its condition leaves of the video only the run can find; told is what all of it takes",
                    question.text
                ));
            }
            match found {
                Some(found) => stretch = found,
                None => text.clone_from(&question.text),
            }
        }
        let own = Question { text: text.clone(), ..question.clone() };
        let asks = Asks { prompts: 1, checks: checks(&own, &text) };
        let round = self.ask(&own, stretch, !narrowed, asks)?;
        let Round { plan, looks, .. } = &self.rounds[round];
        let (info, processor) = (self.prospect.info, &*self.outline.processor);
        let seen: Vec<Coverage> =
            looks.iter().map(|look| coverage(look, info, processor.card().temporal_patch as u64)).collect();
        let prompts = looks.iter().map(|look| prompt(self.outline, look, info, &own));
        let prompt_tokens = prompts.sum::<Result<usize, RunError>>()?;
        let mut plan = told(plan, looks);
        let mut coverage = seen[0].clone();
        seen[1..].iter().for_each(|part| coverage.extend(part));
        let ordinals = reading.constraints.iter().filter(|constraint| matches!(constraint, Constraint::Ordinal(_)));
        steps.extend(ordinals.map(ToString::to_string));
        let reading = QuestionPlan { asked: text, constraints: steps };
        plan.question = Some(reading.clone()).filter(|reading| !reading.constraints.is_empty());
        if plan.sample.keep < 1.0 && plan.sample.method != "uniform" {
            self.warnings.push(format!(
                "which moments `{}` keeps, only the run can tell: gaps are told as if they lay at equal distances",
                plan.sample.method
            ));
        }
        let parts = looks.len();
        Ok((Foreseen { question: question.text.clone(), reading, parts, coverage, prompt_tokens }, plan))
    }

    /// Adds a question to the round in which it is asked, which may have to be made; the number of the round.
    fn ask(&mut self, question: &Question, stretch: Span, shared: bool, asks: Asks) -> Result<usize, RunError> {
        let plan = self.resolve(&within(self.prospect.options, stretch))?;
        let by_parts = is_long(&plan, stretch) && is_searched(question);
        let same =
            |round: &Round| shared && round.shared && round.stretch == stretch && (round.looks.len() > 1) == by_parts;
        let round = match self.rounds.iter().position(same) {
            Some(round) => round,
            None => {
                let parts = if by_parts { looks(self.prospect.options, stretch, &plan) } else { Vec::new() };
                let mut looks = Vec::with_capacity(parts.len().max(1));
                for (_, options) in &parts {
                    looks.push(self.resolve(options)?);
                }
                if looks.is_empty() {
                    looks.push(plan.clone());
                }
                self.rounds.push(Round { stretch, shared, plan, looks, asks: Asks::default() });
                self.rounds.len() - 1
            }
        };
        let all = &mut self.rounds[round].asks;
        *all = [*all, asks].into_iter().sum();
        Ok(round)
    }

    /// What all rounds take, one after the other.
    fn cost(&self) -> Cost {
        let (card, info) = (self.outline.processor.card(), self.prospect.info);
        let mut sum = Cost { memory_bytes: 0, kv_bytes: 0, seconds: Timing::default() };
        for round in &self.rounds {
            let Cost { memory_bytes, kv_bytes, mut seconds } =
                Cost::of(&round.plan.work(card, info, round.asks), self.rates);
            if round.looks.len() > 1 {
                // Prompts about parts are shorter by more than a part's share.
                let parts =
                    round.looks.iter().map(|look| Cost::of(&look.work(card, info, round.asks), self.rates).seconds);
                let prefill = parts.map(|part| part.prefill).sum();
                seconds.total += prefill - std::mem::replace(&mut seconds.prefill, prefill);
            }
            sum.memory_bytes = sum.memory_bytes.max(memory_bytes);
            sum.kv_bytes = sum.kv_bytes.max(kv_bytes);
            add(&mut sum.seconds, &seconds);
        }
        sum
    }
}

/// The plan that an answer shows, by that of its stretch and those of the looks.
fn told(whole: &Plan, looks: &[Plan]) -> Plan {
    let [first, _, ..] = looks else { return whole.clone() };
    let mut plan = Plan { decode: whole.decode.clone(), ..first.clone() };
    plan.vision.tokens = looks.iter().map(|look| look.vision.tokens).sum();
    plan.sample.moments = looks.iter().map(|look| look.sample.moments).sum();
    plan.compress.tokens = looks.iter().map(|look| look.compress.tokens).sum();
    plan
}

/// The frames that a look is planned to see: those that are shown when one is asked for, where the video has a steady rate.
fn frames(plan: &Plan, info: &VideoInfo) -> Vec<FrameRef> {
    let from = plan.decode.from;
    let span = Span { start: from, end: plan.decode.to.unwrap_or(f64::INFINITY) };
    let fps = plan.sampling().effective_fps(span, info);
    let step = fps.or(info.frame_rate).map_or(0.0, |fps| 1.0 / fps);
    let steady = info.frame_rate.filter(|_| !info.vfr);
    let start = info.start_s.unwrap_or(0.0);
    let shown = |number: u64| {
        let wanted = from + number as f64 * step;
        let Some(rate) = steady else { return wanted };
        let place = (wanted - start) * rate;
        // The first is one inside the stretch.
        let place = if number == 0 { (place - SAME).ceil() } else { (place + SAME).floor() };
        start + place.max(0.0) / rate
    };
    let base = TimeBase { num: 1, den: 1_000_000 };
    let frame = |number: u64| {
        let pts = (shown(number) * 1e6).round() as i64;
        FrameRef { index: number, time: Timestamp { pts, base } }
    };
    (0..plan.decode.max_frames).map(frame).collect()
}

/// A frame's share that is a rounding.
const SAME: f64 = 1e-3;

/// The moments of a look that go on: the frames of each, and how many it has.
fn moments(plan: &Plan, frames: &[FrameRef], per_patch: u64) -> Vec<PatchTime> {
    let per_patch = usize::try_from(per_patch).unwrap_or(1).max(1);
    let all: Vec<PatchTime> =
        frames.chunks(per_patch).map(|patch| PatchTime { first: patch[0], last: patch[patch.len() - 1] }).collect();
    let count = plan.sample.moments.clamp(1, all.len().max(1));
    (0..count).filter_map(|n| all.get((2 * n + 1) * all.len() / (2 * count)).copied()).collect()
}

/// What would be seen if frames lay where they are asked for.
fn coverage(plan: &Plan, info: &VideoInfo, per_moment: u64) -> Coverage {
    let (from, all) = (plan.decode.from, frames(plan, info));
    let to = plan.decode.to.unwrap_or(from);
    let kept = moments(plan, &all, per_moment);
    let inside = |frame: &&FrameRef| {
        let next = kept.partition_point(|moment| moment.last.index < frame.index);
        kept.get(next).is_some_and(|moment| moment.first.index <= frame.index)
    };
    let seen: Vec<FrameRef> = all.iter().filter(inside).copied().collect();
    let count = seen.len() as u64;
    let decoded = info.frame_rate.map_or(count, |rate| ((to - from) * rate).round().max(count as f64) as u64);
    Coverage::of(from, to, decoded, &seen, plan.vision.tokens, plan.compress.tokens)
}

/// Tokens of the prompt, made as for the run but of empty visual tokens.
fn prompt(outline: &Outline, plan: &Plan, info: &VideoInfo, question: &Question) -> Result<usize, RunError> {
    let (processor, card) = (&*outline.processor, outline.processor.card());
    let grid = plan.grid(card);
    let times = moments(plan, &frames(plan, info), card.temporal_patch as u64);
    let count = times.len() * grid.0 * grid.1;
    let empty = || -> Result<Tensor, ModelError> { Ok(Tensor::zeros((count, 1), DType::U8, &Device::Cpu)?) };
    let mut tokens = VisualTokens::new(empty()?, Vec::new(), grid, times, Medium::Video)?;
    let kept = plan.compress.tokens;
    if kept < tokens.len() {
        // Which ones are left only a run can tell; that each moment has some is what methods aim at.
        tokens = tokens.select(&Selection::keep((0..kept).map(|n| (2 * n + 1) * count / (2 * kept)))?)?;
    }
    let messages = [Message::about_video(wording(question))];
    Ok(outline.prompter.build(processor, &messages, &[tokens])?.len())
}
