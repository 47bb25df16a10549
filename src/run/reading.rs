//! A reading of a video that is kept: what was seen, and the keys and values before any question.

use super::ask::{Seen, attention, look, sequence};
use super::looker::Looker;
use super::search::looks;
use super::{Cancel, Job, Model, Plan, Question, RunError, Sink};
use crate::decode::Video;
use crate::generate::Session;
use crate::index::{FORMAT, Kept, Key, Reading, Shelf};
use crate::recipe::SearchMode;
use crate::sample::{self, Sampler};
use longsight_models::{FrameRef, GrowingCache, KvCache, Sequence, Span};
use serde::Serialize;
use std::collections::BTreeMap;

/// The key of a video read by a plan; `None` where what is seen depends on the question.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn key(model: &Model, shelf: &Shelf<'_>, plan: &Plan) -> Result<Option<Key>, RunError> {
    if sample::sampler(&plan.sample.method).is_some_and(Sampler::reads_questions) {
        return Ok(None);
    }
    let prefill = format!("{} {} {}", text(&plan.prefill.mode), plan.prefill.chunk, plan.prefill.revision);
    let (decode, vision) = (text(&plan.decode), text(&plan.vision));
    let (sample, compress, seed) = (text(&plan.sample), text(&plan.compress), plan.generate.seed.to_string());
    let facts = &model.facts;
    // Tensors of a GPU are in other number formats than a CPU's of the same name.
    let prefill = if model.on_cpu { prefill } else { prefill + " cuda" };
    let parts = [&facts.revision, &facts.family, &facts.dtype, &decode, &vision, &sample, &compress, &seed, &prefill];
    Ok(Some(shelf.key(&parts.map(String::as_str))?))
}

/// A part of a plan as JSON.
fn text(part: &impl Serialize) -> String {
    // Plans are plain numbers and words, which always serialise.
    serde_json::to_string(part).unwrap_or_default()
}

/// Reads a video by the job's pipeline, as a whole and, where questions for a time are asked part by part, in these parts, and keeps what
/// comes of it; gives each reading's key, and whether it was there already.
///
/// # Errors
/// As [`super::ask`]; when what is seen depends on the question; and when the index cannot be written.
pub fn index(
    model: &Model,
    video: Video,
    job: &Job<'_>,
    shelf: &Shelf<'_>,
    cancel: &Cancel,
    sink: &mut Sink<'_>,
) -> Result<Vec<(Key, bool)>, RunError> {
    let looker = Looker::new(model, &video, job, cancel);
    let plan = looker.plan(job.options)?;
    let mut keys = vec![read(model, video, job, shelf, cancel, sink)?];
    let whole = Span { start: plan.decode.from, end: plan.decode.to.unwrap_or(f64::INFINITY) };
    let looks = match plan.evidence.search {
        SearchMode::Auto if whole.end.is_finite() => looks(&looker, whole, &plan),
        _ => Vec::new(),
    };
    if looks.len() > 1 {
        for (_, options) in looks {
            let job = Job { options: &options, ..*job };
            keys.push(read(model, looker.open()?, &job, shelf, cancel, sink)?);
        }
    }
    Ok(keys)
}

/// Reads what the job's options name and keeps it.
fn read(
    model: &Model,
    video: Video,
    job: &Job<'_>,
    shelf: &Shelf<'_>,
    cancel: &Cancel,
    sink: &mut Sink<'_>,
) -> Result<(Key, bool), RunError> {
    let processor = model.vlm().processor();
    let (plan, _) = Plan::resolve(job.pipeline, job.options, video.info(), processor, model.patterns(), job.rates)?;
    let key = key(model, shelf, &plan)?.ok_or(RunError::NotIndexed)?;
    if shelf.store.has(&key) {
        return Ok((key, true));
    }
    let seen = look(model, video, job, &plan, cancel, sink)?;
    let prompt = sequence(model, &Question::from(""), &seen)?;
    let mut session =
        Session::with(model.vlm(), &seen.tokens, attention(job.options, model, &plan).0, Box::new(GrowingCache::new()));
    session.prefill(&prompt, plan.prefill.chunk, &|| cancel.is_cancelled())?;
    if cancel.is_cancelled() {
        return Err(RunError::Cancelled);
    }
    let length = prompt.media_end();
    let kv = session.rows(length)?;
    shelf.store.put(&key, &keep(model, job, &seen, &prompt, kv))?;
    Ok((key, false))
}

fn keep(
    model: &Model,
    job: &Job<'_>,
    seen: &Seen,
    prompt: &Sequence,
    kv: Vec<(candle_core::Tensor, candle_core::Tensor)>,
) -> Kept {
    let [tokens] = &seen.tokens;
    let length = prompt.media_end();
    let reading = Reading {
        format: FORMAT.to_owned(),
        video: job.facts.path.clone(),
        model: model.facts.id.clone(),
        frames: seen.frames.iter().map(Into::into).collect(),
        patches: tokens.times().iter().map(|time| ((&time.first).into(), (&time.last).into())).collect(),
        grid: tokens.grid(),
        coverage: seen.coverage,
        warnings: seen.warnings.clone(),
        prefix: prompt.ids()[..length].to_vec(),
        positions: std::array::from_fn(|axis| prompt.positions()[axis][..length].to_vec()),
        hashes: BTreeMap::new(),
    };
    Kept { reading, tokens: tokens.clone(), kv }
}

/// What was kept, as if it had just been seen; and the keys and values with the part of a prompt that they are of.
pub(super) fn recall(kept: Kept) -> (Seen, Box<dyn KvCache>, Sequence) {
    let Kept { reading, tokens, kv } = kept;
    let frames: Vec<FrameRef> = reading.frames.into_iter().map(Into::into).collect();
    let prefix = Sequence::new(reading.prefix, reading.positions, Vec::new());
    let seen = Seen::recalled(tokens, frames, reading.coverage, reading.warnings);
    (seen, Box::new(GrowingCache::holding(kv)), prefix)
}
