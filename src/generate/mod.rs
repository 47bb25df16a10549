//! A sequence becomes an answer: prefill in chunks, then one token at a time.
//!
//! Comes in: a [`Sequence`] about a fixed set of media. Goes out: text, as it comes. Never: what to do with the answer.

mod decoding;
mod packed;

pub use packed::Packed;

use crate::prompt::{PromptError, Tokenizer};
use candle_core::Tensor;
use candle_transformers::generation::{LogitsProcessor, Sampling};
use decoding::Decoding;
use longsight_models::{
    Attention, Dense, GrowingCache, KvCache, Logits, ModelError, Sequence, VisualTokens, Vlm, Want,
};
use std::ops::Range;

/// Rows of a prompt that are run at once. At the released 8B model's widths a row takes about 150 KB inside a layer,
/// so a chunk takes 150 MB whatever the prompt's length.
pub const PREFILL_ROWS: usize = 1024;

/// Room kept for an answer behind its prompt: longer ones make the cache grow.
const ANSWER_ROWS: usize = 256;

/// Tokens that a cache makes room for when `sequence` is to be answered.
fn answer_room(sequence: &Sequence, most: usize) -> usize {
    sequence.len() + most.min(ANSWER_ROWS)
}

/// Why generation failed.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The model failed
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The ids cannot be turned into text
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// The sampler failed
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// How the next token is chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Most tokens of an answer
    pub max_tokens: usize,
    /// 0 takes the most likely token
    pub temperature: f64,
    /// Keep the most likely tokens whose shares reach this
    pub top_p: Option<f64>,
    /// Keep this many most likely tokens
    pub top_k: Option<usize>,
    /// Divides the scores of tokens already in the sequence; 1 leaves them
    pub repetition_penalty: f32,
    /// Seed of the choice
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_tokens: 256, temperature: 0.0, top_p: None, top_k: None, repetition_penalty: 1.0, seed: 0 }
    }
}

impl Options {
    fn sampler(&self) -> LogitsProcessor {
        let temperature = self.temperature;
        let sampling = match (self.top_k, self.top_p) {
            _ if temperature <= 0.0 => Sampling::ArgMax,
            (None, None) => Sampling::All { temperature },
            (Some(k), None) => Sampling::TopK { k, temperature },
            (None, Some(p)) => Sampling::TopP { p, temperature },
            (Some(k), Some(p)) => Sampling::TopKThenTopP { k, p, temperature },
        };
        LogitsProcessor::from_sampling(self.seed, sampling)
    }
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The model said so
    Stopped,
    /// `max_tokens` were reached
    Full,
    /// The listener asked for it
    Cancelled,
}

/// What was generated.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Without special tokens
    pub text: String,
    /// Every generated id, the ending one included
    pub ids: Vec<u32>,
    /// Why it ended
    pub ended: Ended,
    /// Mean natural-log probability of the generated tokens, before any temperature
    pub mean_log_probability: f64,
    /// The same of the first token alone: how sure a "yes" or a "no" is
    pub first_log_probability: f64,
    /// Prompt tokens that had to be run, the rest being remembered from the question before
    pub prefilled: usize,
}

/// A model, a set of media, and what has been run of the last prompt. Questions about the same media share the part of
/// their prompts before the first difference.
pub struct Session<'m> {
    model: &'m dyn Vlm,
    media: &'m [VisualTokens],
    attention: Box<dyn Attention + 'm>,
    kv: Box<dyn KvCache + 'm>,
    held: Option<Sequence>,
}

impl<'m> Session<'m> {
    /// Dense attention, a cache that keeps everything.
    #[must_use]
    pub fn new(model: &'m dyn Vlm, media: &'m [VisualTokens]) -> Self {
        Self::with(model, media, Box::new(Dense), Box::new(GrowingCache::new()))
    }

    /// Another attention or cache; the cache must be empty.
    #[must_use]
    pub fn with(
        model: &'m dyn Vlm,
        media: &'m [VisualTokens],
        attention: Box<dyn Attention + 'm>,
        kv: Box<dyn KvCache + 'm>,
    ) -> Self {
        Self { model, media, attention, kv, held: None }
    }

    /// Goes on from keys and values of the beginning of `known`, as another session left them.
    #[must_use]
    pub fn resume(
        model: &'m dyn Vlm,
        media: &'m [VisualTokens],
        attention: Box<dyn Attention + 'm>,
        kv: Box<dyn KvCache + 'm>,
        known: Sequence,
    ) -> Self {
        Self { held: Some(known), ..Self::with(model, media, attention, kv) }
    }

    /// Keys and values of the first `tokens` tokens that have been run, layer by layer.
    ///
    /// # Errors
    /// When not so many have been run.
    pub fn rows(&self, tokens: usize) -> Result<Vec<(Tensor, Tensor)>, ModelError> {
        self.kv.rows(tokens)
    }

    /// Bytes that the keys and values take.
    #[must_use]
    pub fn kv_bytes(&self) -> usize {
        self.kv.bytes()
    }

    /// Runs all of `sequence` but its last token, `rows_at_once` at a time, less what is remembered; ends between chunks
    /// when `stop` says so. Gives the number of rows run. [`Session::answer`] does the same by itself, unstoppably.
    ///
    /// # Errors
    /// When the model fails.
    pub fn prefill(
        &mut self,
        sequence: &Sequence,
        rows_at_once: usize,
        stop: &dyn Fn() -> bool,
    ) -> Result<usize, ModelError> {
        let before_last = sequence.len().saturating_sub(1);
        let known = self.held.take().map_or(0, |held| held.common_prefix(sequence));
        let known = known.min(self.kv.len()).min(before_last);
        self.kv.truncate(known);
        self.kv.expect(answer_room(sequence, ANSWER_ROWS));
        self.held = Some(sequence.clone());
        let (mut start, media_end) = (known, sequence.media_end());
        while start < before_last && !stop() {
            // What questions share is run apart from them, so that it comes out the same whatever follows.
            let border = if start < media_end { media_end.min(before_last) } else { before_last };
            let end = border.min(start + rows_at_once.max(1));
            self.forward(sequence, start..end, Want::Nothing)?;
            start = end;
        }
        Ok(start - known)
    }

    /// Scores of the token after `sequence`, `[vocabulary]` in f32, and the number of rows that had to be run.
    ///
    /// # Errors
    /// When the model fails.
    pub fn scores(&mut self, sequence: &Sequence) -> Result<(Tensor, usize), ModelError> {
        let rows = self.prefill(sequence, PREFILL_ROWS, &|| false)?;
        let last = sequence.len().saturating_sub(1);
        let logits = self.forward(sequence, last..sequence.len(), Want::Last)?;
        Ok((logits.last()?, rows + 1))
    }

    /// Scores of the token after `id`, which comes after what was last scored; `sequence` ends with it.
    fn scores_after(&mut self, sequence: &Sequence, id: u32) -> Result<Tensor, ModelError> {
        if let Some(held) = &mut self.held {
            held.push(id);
        }
        self.forward(sequence, sequence.len() - 1..sequence.len(), Want::Last)?.last()
    }

    fn forward(&mut self, sequence: &Sequence, rows: Range<usize>, want: Want) -> Result<Logits, ModelError> {
        self.model.forward(sequence, rows, self.media, &mut *self.attention, &mut *self.kv, want)
    }

    /// The answer to a prompt. `on_text` hears each piece of text as it comes and returns whether to go on.
    ///
    /// # Errors
    /// When the model, the sampler or the tokeniser fails.
    pub fn answer(
        &mut self,
        sequence: &Sequence,
        tokenizer: &Tokenizer,
        options: &Options,
        mut on_text: impl FnMut(&str) -> bool,
    ) -> Result<Answer, GenerateError> {
        let mut answer = Decoding::new(tokenizer, options);
        let mut sequence = sequence.clone();
        let (mut scores, prefilled) = self.scores(&sequence)?;
        answer.prefilled = prefilled;
        while let Some(id) = answer.next(&scores, sequence.ids(), &self.model.card().eos, &mut on_text)? {
            sequence.push(id);
            scores = self.scores_after(&sequence, id)?;
        }
        let (rest, answer) = answer.finish()?;
        if !rest.is_empty() {
            on_text(&rest);
        }
        Ok(answer)
    }
}
