//! What a run will cost in memory and time, told from the container, the model's card, and a few rates of this machine.

use super::plan::{Asks, PrefillPlan};
use super::{EvidencePlan, Timing, fit};
use crate::decode::{self, Limits, VideoInfo};
use crate::recipe::PrefillMode;
use crate::vision;
use longsight_models::{Card, Size, Span};
use serde::{Deserialize, Serialize};

/// Tokens of an answer that time is estimated for.
const ANSWER_TOKENS: f64 = 12.0;
/// Tokens of a question with the words around it.
const QUESTION_TOKENS: f64 = 24.0;
/// Keys that a row of a sparse prefill meets on average, where nothing better is known: a cluster counts as one.
const SPARSE_KEYS: f64 = 2600.0;
/// Scores of a sparse prefill take so many times as long as dense ones: tiles are partly filled, and patterns are estimated.
const SPARSE_PRICE: f64 = 1.5;

/// Seconds of the event that a closer look is estimated for.
const EVENT_S: f64 = 4.0;
/// Tokens of the words around what a short stretch shows, when it is asked about.
const PROBE_TOKENS: f64 = 32.0;

/// What this machine does with one model, measured once (`calibrate`). Seconds per unit; all cores together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Per pixel of a source frame, for resizing
    pub pixel_s: f64,
    /// Per patch, for the vision tower
    pub patch_s: f64,
    /// Per prompt token, for linear layers and all that grows with length
    pub token_s: f64,
    /// Per pair of a row and a key that it sees, all layers and heads together
    pub score_s: f64,
    /// Per token of an answer
    pub step_s: f64,
    /// Per token of an answer and key that it sees
    pub step_key_s: f64,
    /// Bytes of the process with the model loaded and warm
    pub loaded_bytes: u64,
    /// Bytes of a decoder's process that has not read its file yet; 0 where decoding has none of its own
    pub decoder_bytes: u64,
    /// Before the first picture of a video is there: the file's, as the next
    #[serde(skip)]
    pub start_s: f64,
    /// Per second of video, for decoding: the file's, not the machine's alone, and so measured on the file
    #[serde(skip)]
    pub decode_s: f64,
}

/// What a run takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Peak of resident memory, the decoder's process included
    pub memory_bytes: u64,
    /// Keys and values of the prompt
    pub kv_bytes: u64,
    /// By stage
    pub seconds: Timing,
}

/// What there is to do.
pub(super) struct Work<'a> {
    pub(super) card: &'a Card,
    pub(super) info: &'a VideoInfo,
    pub(super) span: Span,
    pub(super) frames: usize,
    pub(super) size: Size,
    /// Visual tokens of the prompt
    pub(super) visual: usize,
    /// Visual tokens that are held at once before that
    pub(super) held: usize,
    /// All tokens of the prompt
    pub(super) prompt: usize,
    /// Moments that it is about
    pub(super) moments: usize,
    pub(super) prefill: &'a PrefillPlan,
    pub(super) evidence: &'a EvidencePlan,
    pub(super) asks: Asks,
}

/// Bytes of a number: activations, keys and values are f32 on a CPU.
const NUMBER: u64 = 4;
/// Numbers of a prompt row inside a language layer, in widths of the model: the row and its norm, queries, keys, values, attention's output,
/// and the two inner rows of the feed-forward part.
const ROW_WIDTHS: u64 = 14;
impl Cost {
    /// Of some work, at a machine's rates.
    pub(super) fn of(work: &Work<'_>, rates: &Rates) -> Self {
        Self {
            memory_bytes: memory(work, Some(rates)),
            kv_bytes: kv_bytes(work.card, work.prompt as u64),
            seconds: seconds(work, rates),
        }
    }
}

fn kv_bytes(card: &Card, tokens: u64) -> u64 {
    card.kv_bytes_per_token(NUMBER as usize) as u64 * tokens
}

/// What the loaded model holds, and above it looking and asking. Without rates the model is its weights alone.
pub(super) fn memory(work: &Work<'_>, rates: Option<&Rates>) -> u64 {
    let Work { card, info, prefill, .. } = work;
    let (pixels, hidden) = (u64::from(info.width) * u64::from(info.height), card.hidden as u64);
    let deep = 1 + card.deepstack as u64;
    let table = |tokens: usize| tokens as u64 * hidden * deep * NUMBER;
    let prompt = work.prompt as u64;
    let frames = work.frames as u64;
    let seconds = if work.span.end.is_finite() { work.span.duration() } else { 0.0 };
    let per_frame = (work.size.width as usize / card.patch) * (work.size.height as usize / card.patch);
    let (native, waiting) = decode::held_bytes(pixels, frames, seconds, Limits::default().cores());
    let (chunk, patches) = vision::held_bytes(card, pixels, frames, per_frame);
    let pictures = native + (waiting + chunk).min(frames * pixels * 3);
    let rows = (prefill.chunk as u64).min(prompt);
    let activations = rows * hidden * ROW_WIDTHS * NUMBER;
    // The chunks and the table that is made of them stand side by side for a moment.
    let looking = pictures + patches + 2 * table(work.held);
    let asking = table(work.visual) + kv_bytes(card, prompt) + activations;
    // Half of what the smaller of both took has not gone back to the system, as measured on videos from seconds to hours.
    // What decoding holds, it holds in the decoder's process where there is one: that adds what such a process takes to begin with.
    let loaded = rates.map_or(card.weight_bytes, |rates| rates.loaded_bytes + rates.decoder_bytes);
    loaded + looking.max(asking) + looking.min(asking) / 2
}

fn seconds(work: &Work<'_>, rates: &Rates) -> Timing {
    let Work { card, info, span, size, prefill, .. } = work;
    let (frames, prompt) = (work.frames as f64, work.prompt as f64);
    let patches = frames / card.temporal_patch as f64 * f64::from(size.width) * f64::from(size.height)
        / (card.patch * card.patch) as f64;
    let length = if span.end.is_finite() { span.duration() } else { 0.0 };
    let decode = rates.start_s + length * rates.decode_s;
    let vision = frames * f64::from(info.width) * f64::from(info.height) * rates.pixel_s + patches * rates.patch_s;
    let share = if prefill.mode == PrefillMode::Sparse {
        prefill.density.unwrap_or(SPARSE_KEYS / (prompt / 2.0)) * SPARSE_PRICE
    } else {
        1.0
    };
    // Further questions have the prompt in common, but for their words.
    let prompts = work.asks.prompts.max(1) as f64;
    let words = (prompts - 1.0) * QUESTION_TOKENS;
    let prefill = (prompt + words) * rates.token_s + prompt * prompt / 2.0 * rates.score_s * share.min(1.0);
    let generate = prompts * ANSWER_TOKENS * (rates.step_s + prompt * rates.step_key_s);
    let checks = if work.evidence.check { work.asks.checks } else { 0 };
    let check = if checks == 0 { 0.0 } else { checks as f64 * checking(work, rates) };
    let total = decode + vision + prefill + generate + check;
    Timing { decode, vision, prefill, generate, check, total, ..Timing::default() }
}

/// Seconds of asking about every short stretch of a look, and of one closer look: what checking an answer with one span takes.
fn checking(work: &Work<'_>, rates: &Rates) -> f64 {
    let plan = work.evidence;
    let asking = |prompt: usize, moments: usize| {
        (prompt as f64 + moments.min(plan.max_probes) as f64 * PROBE_TOKENS) * rates.token_s
    };
    let Work { card, size, .. } = work;
    let length = (2.0 * plan.margin_s + EVENT_S).min(work.span.duration());
    let frames = (length * plan.fps).ceil() as usize;
    let near = frames.div_ceil(card.temporal_patch);
    let side = card.patch * card.merge;
    let visual = near * (size.width as usize / side) * (size.height as usize / side);
    let prompt = fit::prompt_tokens(near, visual);
    let span = Span { start: work.span.start, end: work.span.start + length };
    let closer = Work { span, frames, visual, held: visual, prompt, moments: near, asks: Asks::default(), ..*work };
    asking(work.prompt, work.moments) + seconds(&closer, rates).total + asking(prompt, near)
}
