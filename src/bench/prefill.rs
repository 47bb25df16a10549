//! A whole prompt through the language model, end to end: linear layers, attention, cache.
//!
//! The prompt is frames of visual tokens with random embeddings, so that any checkpoint will do, one with random weights too.

use super::attention::frames;
use crate::prefill::{Heads, Ledger, Sparse, Spent};
use candle_core::{Device, Tensor};
use longsight_models::{
    Attention, Dense, FrameRef, GrowingCache, KvCache, Medium, ModelError, PatchTime, Sequence, TimeBase, Timestamp,
    VisualTokens, Vlm, Want,
};
use serde::Serialize;
use std::time::Instant;

/// Text tokens, rows and columns of a frame.
const FRAME: (usize, u32, u32) = (10, 11, 20);

/// Frames a second apart.
const SECOND: TimeBase = TimeBase { num: 1, den: 1 };

/// One measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PrefillTimed {
    /// `dense` or `sparse`
    pub prefill: &'static str,
    /// Of the prompt
    pub tokens: usize,
    /// Rows at once
    pub chunk: usize,
    /// Seconds of each run
    pub runs_s: Vec<f64>,
    /// The least of them
    pub seconds: f64,
    /// Prompt tokens a second
    pub tokens_per_s: f64,
    /// Seconds of it in attention; `None` for dense attention, which is not measured apart
    pub attention_s: Option<f64>,
    /// Seconds of that in estimating and writing programs
    pub index_s: Option<f64>,
    /// Share of dense attention's scores that was computed
    pub density: f64,
    /// Bytes of keys and values
    pub kv_bytes: usize,
    /// How far the last token's scores are from dense attention's, as a share of their norm; `None` if that was not run
    pub logits_off: Option<f64>,
}

/// A prompt and the visual tokens in it.
pub struct PrefillPrompt {
    sequence: Sequence,
    media: [VisualTokens; 1],
}

impl PrefillPrompt {
    /// Of so many tokens, for a language model of this width.
    ///
    /// # Errors
    /// When memory fails.
    pub fn new(tokens: usize, hidden: usize) -> Result<Self, ModelError> {
        let sequence = frames(tokens, FRAME);
        let (rows, columns) = (FRAME.1 as usize, FRAME.2 as usize);
        let moment = |index: usize| {
            let frame = FrameRef { index: index as u64, time: Timestamp { pts: index as i64, base: SECOND } };
            PatchTime { first: frame, last: frame }
        };
        let times: Vec<PatchTime> = (0..sequence.visual().len()).map(moment).collect();
        let embeddings = Tensor::randn(0f32, 0.02, (times.len() * rows * columns, hidden), &Device::Cpu)?;
        let tokens = VisualTokens::new(embeddings, Vec::new(), (rows, columns), times, Medium::Video)?;
        Ok(Self { sequence, media: [tokens] })
    }

    /// Runs it once: seconds, what attention spent, bytes of the cache, the last token's scores.
    ///
    /// # Errors
    /// When the model fails.
    pub fn run(
        &self,
        model: &dyn Vlm,
        heads: Option<&Heads>,
        chunk: usize,
    ) -> Result<(f64, Spent, usize, Vec<f32>), ModelError> {
        let ledger = Ledger::default();
        let mut attention: Box<dyn Attention> = match heads {
            Some(heads) => Box::new(Sparse::new(heads.clone(), ledger.clone())),
            None => Box::new(Dense),
        };
        let (mut kv, len) = (GrowingCache::new(), self.sequence.len());
        kv.expect(len);
        let begun = Instant::now();
        let mut logits = None;
        for start in (0..len).step_by(chunk) {
            let rows = start..len.min(start + chunk);
            let want = if rows.end == len { Want::Last } else { Want::Nothing };
            logits = Some(model.forward(&self.sequence, rows, &self.media, &mut *attention, &mut kv, want)?);
        }
        // Having the scores in hand is having waited for a GPU.
        let scores = logits.map(|logits| logits.last()).transpose()?.map(|scores| scores.to_vec1()).transpose()?;
        let seconds = begun.elapsed().as_secs_f64();
        Ok((seconds, ledger.take(), kv.bytes(), scores.unwrap_or_default()))
    }
}

/// Two steps of bf16.
const ROUNDING: f64 = 1.0 / 128.0;

/// Times a prompt of `tokens` by dense attention and, with `heads`, by patterns.
///
/// # Errors
/// When the model fails, or gives other scores in other chunks.
pub fn prefill(
    model: &dyn Vlm,
    tokens: usize,
    kinds: &[(&'static str, Option<&Heads>, usize)],
    runs: usize,
    each: &mut dyn FnMut(&PrefillTimed),
) -> Result<Vec<PrefillTimed>, anyhow::Error> {
    let short = PrefillPrompt::new(700, model.card().hidden)?;
    let (whole, parts) = (short.run(model, None, 700)?.3, short.run(model, None, 230)?.3);
    let off = distance(&parts, &whole);
    // What rounding to bf16 in each layer may come to; chunks that are wrong come to about 1.
    let most = ROUNDING * (model.card().layers as f64).sqrt();
    anyhow::ensure!(off < most, "the last scores differ by {off} when the prompt is run in chunks");
    let prompt = PrefillPrompt::new(tokens, model.card().hidden)?;
    let (mut timed, mut dense): (Vec<_>, Option<Vec<f32>>) = (Vec::new(), None);
    for &(name, heads, chunk) in kinds {
        let outcomes = (0..runs.max(1)).map(|_| prompt.run(model, heads, chunk)).collect::<Result<Vec<_>, _>>()?;
        let Some((seconds, spent, kv_bytes, scores)) = outcomes.iter().min_by(|a, b| a.0.total_cmp(&b.0)) else {
            continue;
        };
        timed.push(PrefillTimed {
            prefill: name,
            tokens,
            chunk,
            runs_s: outcomes.iter().map(|outcome| outcome.0).collect(),
            seconds: *seconds,
            tokens_per_s: tokens as f64 / seconds,
            attention_s: heads.map(|_| spent.total_s),
            index_s: heads.map(|_| spent.index_s),
            density: spent.density(),
            kv_bytes: *kv_bytes,
            logits_off: dense.as_ref().map(|dense| distance(scores, dense)),
        });
        if heads.is_none() {
            dense = Some(scores.clone());
        }
        timed.last().into_iter().for_each(&mut *each);
    }
    Ok(timed)
}

/// Norm of the difference, as a share of the norm of `b`.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut b.iter().copied())
}
