//! What a run would do, before it does it: schema `longsight.plan/1`.

use super::ask::wording;
use super::cost::Cost;
use super::inquire::checks;
use super::{Outline, Plan, Question, Rates, RunError, Timing};
use crate::decode::{VideoFacts, VideoInfo};
use crate::evidence::Coverage;
use crate::prompt::Message;
use crate::recipe::Options;
use candle_core::{DType, Device, Tensor};
use longsight_models::{FrameRef, Medium, ModelError, PatchTime, Selection, TimeBase, Timestamp, VisualTokens};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `longsight.plan/1`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Forecast {
    /// `longsight.plan/1`
    pub schema: String,
    /// The file
    pub video: VideoFacts,
    /// What would be asked; null if nothing was given
    pub question: Option<String>,
    /// What would be seen and what not, as far as the container tells
    pub coverage: Coverage,
    /// What would be done
    pub plan: Plan,
    /// Tokens of the prompt, visual ones included; times are taken to fall where they are asked for
    pub prompt_tokens: usize,
    /// Peak of resident memory in bytes, the decoder's process included
    pub memory_bytes: u64,
    /// Of these, keys and values of the prompt
    pub kv_bytes: u64,
    /// Seconds from the start to the answer, which is taken to have one span to look at again, or one for each time that it is worked out of
    pub estimated_s: f64,
    /// The same by stage
    pub timing_s: Timing,
    /// What a reader should know
    pub warnings: Vec<String>,
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
    pub question: Option<&'a Question>,
}

/// Plans a run and tells what it would take, from the container and the checkpoint's configuration alone.
///
/// # Errors
/// When nothing fits, a setting makes no sense, or the prompt cannot be made.
pub fn forecast(outline: &Outline, prospect: &Prospect<'_>, rates: &Rates) -> Result<Forecast, RunError> {
    let Prospect { facts, info, pipeline, options, question } = *prospect;
    let processor = &*outline.processor;
    let (patterns, checks) = (outline.patterns.as_ref(), question.map_or(0, checks));
    let (plan, warnings) = Plan::resolve(pipeline, options, info, processor, patterns, Some(rates), checks)?;
    let nothing = Question::from("");
    let prompt_tokens = prompt(outline, &plan, question.unwrap_or(&nothing))?;
    let cost = Cost::of(&plan.work(processor.card(), info, checks), rates);
    Ok(Forecast {
        schema: "longsight.plan/1".to_owned(),
        video: facts.clone(),
        question: question.map(|question| question.text.clone()),
        coverage: coverage(&plan, info, processor.card().temporal_patch as u64),
        prompt_tokens,
        memory_bytes: cost.memory_bytes,
        kv_bytes: cost.kv_bytes,
        estimated_s: cost.seconds.total,
        timing_s: cost.seconds,
        plan,
        warnings,
    })
}

/// What would be seen if frames lay exactly where they are asked for.
fn coverage(plan: &Plan, info: &VideoInfo, per_moment: u64) -> Coverage {
    let from = plan.decode.from;
    let to = plan.decode.to.unwrap_or(from);
    let encoded = plan.decode.frames.unwrap_or(plan.decode.max_frames);
    // Chosen moments lie where they were found: evenly is a guess.
    let frames = if plan.sample.keep < 1.0 { encoded.min(plan.sample.moments as u64 * per_moment) } else { encoded };
    let share = frames as f64 / encoded.max(1) as f64;
    let apart = |fps: Option<f64>| fps.map_or(0.0, |fps| 1.0 / fps);
    let max_gap_s = (apart(plan.decode.effective_fps) / share).max(apart(info.frame_rate)).min((to - from).max(0.0));
    Coverage {
        from,
        to,
        frames_decoded: info.frame_rate.map_or(frames, |rate| ((to - from) * rate).round().max(frames as f64) as u64),
        frames_seen: frames,
        max_gap_s,
        smallest_event_s: max_gap_s,
        visual_tokens_before: plan.vision.tokens as u64,
        visual_tokens_after: plan.compress.tokens as u64,
        scenes: Vec::new(),
    }
}

/// Tokens of the prompt, made as for the run but of empty visual tokens.
fn prompt(outline: &Outline, plan: &Plan, question: &Question) -> Result<usize, RunError> {
    let (processor, card) = (&*outline.processor, outline.processor.card());
    let grid = plan.grid(card);
    let frames = plan.decode.max_frames;
    let base = TimeBase { num: 1, den: 1000 };
    let step = plan.decode.effective_fps.map_or(0.0, |fps| 1.0 / fps);
    let frame = |index: u64| {
        let index = index.min(frames.saturating_sub(1));
        let pts = ((plan.decode.from + index as f64 * step) * 1000.0).round() as i64;
        FrameRef { index, time: Timestamp { pts, base } }
    };
    let per_patch = card.temporal_patch as u64;
    let times: Vec<PatchTime> = (0..frames.div_ceil(per_patch))
        .map(|patch| PatchTime { first: frame(patch * per_patch), last: frame((patch + 1) * per_patch - 1) })
        .collect();
    let moments = plan.sample.moments.clamp(1, times.len().max(1));
    let times: Vec<PatchTime> = (0..moments).map(|n| times[(2 * n + 1) * times.len() / (2 * moments)]).collect();
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
