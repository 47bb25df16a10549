//! A reading of a video that is kept: what was seen, and the keys and values before any question.

use super::ask::{Look, attention, sequence};
use super::looker::{Keep, Looker};
use super::search::looks;
use super::{Cancel, Job, Model, Plan, PrefillPlan, Question, RunError, Sink, presence, reflect};
use crate::decode::Feed;
use crate::generate::Session;
use crate::index::{Cut, FORMAT, Kept, Key, KvFormat, Pieces, Reading, Shelf};
use crate::recipe::{Options, SearchMode};
use crate::sample::{self, Sampler};
use longsight_models::{GrowingCache, Sequence, Span};
use serde::Serialize;
use std::collections::BTreeMap;

/// What makes a difference to what is kept of a video, besides its content; `None` where what is seen depends on the question.
pub(super) fn parts(model: &Model, plan: &Plan) -> Option<[String; 10]> {
    if sample::sampler(&plan.sample.method).is_some_and(Sampler::reads_questions) {
        return None;
    }
    let PrefillPlan { mode, chunk, revision, kv, .. } = &plan.prefill;
    let draws = plan.compressor().is_some_and(|compressor| compressor.draws());
    let facts = &model.facts;
    Some([
        facts.revision.clone(),
        facts.family.clone(),
        facts.dtype.clone(),
        text(&plan.decode),
        text(&plan.vision),
        text(&plan.sample),
        text(&plan.compress),
        text(&plan.prompt),
        if draws { plan.generate.seed.to_string() } else { String::new() },
        // Tensors of a GPU are in other number formats than a CPU's of the same name.
        format!("{} {chunk} {revision} {}{}", text(mode), kv.name(), if model.on_cpu { "" } else { " cuda" }),
    ])
}

pub(super) fn strs(parts: &[String; 10]) -> [&str; 10] {
    parts.each_ref().map(String::as_str)
}

/// What the index has of the video, read by this plan. What cannot be used is not there.
pub(super) fn recalled(model: &Model, job: &Job<'_>, plan: &Plan) -> Option<(Key, Kept)> {
    let shelf = job.index.filter(|shelf| !job.blind && shelf.holds_any())?;
    let parts = parts(model, plan)?;
    let found = shelf.key(&strs(&parts)).and_then(|key| Ok(shelf.store.get(&key)?.map(|kept| (key, kept))));
    found.unwrap_or_else(|error| {
        tracing::warn!("the index is not used: {error}");
        None
    })
}

/// Keeps what was seen in a look at an indexed video, without keys and values, which would be large. What cannot be kept is made again.
pub(super) fn keep_tokens(model: &Model, job: &Job<'_>, shelf: &Shelf<'_>, look: &Look) {
    let Some(parts) = parts(model, &look.plan).filter(|_| !job.blind && shelf.holds_any()) else { return };
    let kept = keep(model, job, look, &Sequence::default(), None);
    let put = shelf.key(&strs(&parts)).and_then(|key| shelf.put(&key, &kept, &[]));
    if let Err(error) = put {
        tracing::warn!("a closer look is not kept: {error}");
    }
}

/// A part of a plan as JSON.
fn text(part: &impl Serialize) -> String {
    // Plans are plain numbers and words, which always serialise.
    serde_json::to_string(part).unwrap_or_default()
}

/// What became of one reading.
#[derive(Debug, Clone, PartialEq)]
pub struct Indexed {
    /// What it is kept under
    pub key: Key,
    /// Whether it was there already
    pub known: bool,
}

/// Reads a video by the job's pipeline, as a whole and, where questions for a time are asked part by part, in these parts, and keeps what
/// comes of it; gives each reading, the whole first.
///
/// # Errors
/// As [`super::ask`]; when what is seen depends on the question; and when the index cannot be written.
pub fn index(
    model: &Model,
    video: &Feed,
    job: &Job<'_>,
    shelf: &Shelf<'_>,
    cancel: &Cancel,
    sink: &mut Sink<'_>,
) -> Result<Vec<Indexed>, RunError> {
    let looker = Looker::new(model, video, &Job { index: None, ..*job }, cancel);
    let mut done = vec![read(&looker, job.options, shelf, sink)?];
    for (_, options) in parts_of(&looker)? {
        done.push(read(&looker, &options, shelf, sink)?);
    }
    Ok(done)
}

/// The parts in which questions for a time are asked of a long video; none of a short one.
pub(super) fn parts_of(looker: &Looker<'_>) -> Result<Vec<(Span, Options)>, RunError> {
    let plan = looker.plan(looker.job.options)?;
    let whole = Span { start: plan.decode.from, end: plan.decode.to.unwrap_or(f64::INFINITY) };
    let looks = match plan.evidence.search {
        SearchMode::Auto if whole.end.is_finite() => looks(looker.job.options, whole, &plan),
        _ => Vec::new(),
    };
    Ok(if looks.len() > 1 { looks } else { Vec::new() })
}

/// Reads what the options name and keeps it.
pub(super) fn read(
    looker: &Looker<'_>,
    options: &Options,
    shelf: &Shelf<'_>,
    sink: &mut Sink<'_>,
) -> Result<Indexed, RunError> {
    let (model, cancel) = (looker.model, looker.cancel);
    let parts = parts(model, &looker.plan(options)?).ok_or(RunError::NotIndexed)?;
    let key = shelf.key(&strs(&parts))?;
    if shelf.store.holds(&key)? {
        return Ok(Indexed { key, known: true });
    }
    let look = looker.see(options, &[], Keep::Nothing, sink)?;
    let plan = &look.plan;
    let prompt = sequence(model, &Question::from(""), plan, &look.seen)?;
    let attention = attention(options, model, plan).0;
    let mut session = Session::with(model.vlm(), &look.seen.tokens, attention, Box::new(GrowingCache::new()));
    session.prefill(&prompt, plan.prefill.chunk, &|| cancel.is_cancelled())?;
    if cancel.is_cancelled() {
        return Err(RunError::Cancelled);
    }
    let known = prompt.beginning(prompt.media_end());
    let kv = session.rows(known.len())?;
    let kept = Kept { kv, ..keep(model, &looker.job, &look, &known, Some(plan.prefill.kv)) };
    let mut pieces: Vec<(Cut, Pieces)> = Vec::new();
    if plan.evidence.check {
        for (cut, ranges) in [(Cut::Slices, presence::slices(&look)), (Cut::Parts, reflect::parts(&look))] {
            pieces.extend(presence::prompts(model, &look, ranges, cancel)?.map(|prompts| (cut, prompts)));
        }
    }
    shelf.put(&key, &kept, &pieces)?;
    Ok(Indexed { key, known: false })
}

fn keep(model: &Model, job: &Job<'_>, look: &Look, known: &Sequence, kv: Option<KvFormat>) -> Kept {
    let [tokens] = &look.seen.tokens;
    let reading = Reading {
        format: FORMAT.to_owned(),
        video: job.facts.path.clone(),
        model: model.facts.id.clone(),
        frames: look.seen.frames.iter().map(Into::into).collect(),
        patches: tokens.times().iter().map(|time| ((&time.first).into(), (&time.last).into())).collect(),
        grid: tokens.grid(),
        coverage: look.seen.coverage.clone(),
        // What follows from the plan is said anew.
        warnings: look.seen.warnings[look.planned..].to_vec(),
        prefix: known.ids().to_vec(),
        positions: known.positions().clone(),
        kv,
        head_dim: model.vlm().card().head_dim,
        pieces: BTreeMap::new(),
        hashes: BTreeMap::new(),
    };
    Kept { reading, tokens: tokens.clone(), kv: Vec::new(), folder: None }
}
