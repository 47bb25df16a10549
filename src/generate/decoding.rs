//! One answer as it grows: scores in, ids and text out.

use super::{Answer, Ended, GenerateError, Options};
use crate::prompt::{TextStream, Tokenizer};
use candle_core::Tensor;
use candle_transformers::generation::LogitsProcessor;

/// An answer that is not finished.
pub(super) struct Decoding<'t> {
    options: &'t Options,
    sampler: LogitsProcessor,
    stream: TextStream<'t>,
    text: String,
    ids: Vec<u32>,
    ended: Ended,
    log_probability: f64,
    first: Option<f64>,
    /// Prompt tokens that had to be run
    pub(super) prefilled: usize,
}

impl<'t> Decoding<'t> {
    pub(super) fn new(tokenizer: &'t Tokenizer, options: &'t Options) -> Self {
        Self {
            options,
            sampler: options.sampler(),
            stream: TextStream::new(tokenizer),
            text: String::new(),
            ids: Vec::new(),
            ended: Ended::Full,
            log_probability: 0.0,
            first: None,
            prefilled: 0,
        }
    }

    /// Takes the scores of the token after `context`; gives that token if another one is wanted after it. `on_text` hears each
    /// piece of text and returns whether to go on.
    pub(super) fn next(
        &mut self,
        scores: &Tensor,
        context: &[u32],
        eos: &[u32],
        on_text: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Option<u32>, GenerateError> {
        if self.ids.len() >= self.options.max_tokens {
            return Ok(None);
        }
        let id = self.sampler.sample(&penalise(scores, self.options.repetition_penalty, context)?)?;
        let log_share = log_share(scores, id)?;
        self.log_probability += log_share;
        self.first.get_or_insert(log_share);
        self.ids.push(id);
        if eos.contains(&id) {
            self.ended = Ended::Stopped;
            return Ok(None);
        }
        let piece = self.stream.push(id)?;
        self.text.push_str(&piece);
        if !piece.is_empty() && !on_text(&piece) {
            self.ended = Ended::Cancelled;
            return Ok(None);
        }
        Ok((self.ids.len() < self.options.max_tokens).then_some(id))
    }

    /// The rest of the text, which a tokeniser may have held back, and the answer.
    pub(super) fn finish(self) -> Result<(String, Answer), GenerateError> {
        let rest = self.stream.finish()?;
        let mean_log_probability = self.log_probability / self.ids.len().max(1) as f64;
        let first_log_probability = self.first.unwrap_or(f64::NEG_INFINITY);
        let answer = Answer {
            text: self.text + &rest,
            ids: self.ids,
            ended: self.ended,
            mean_log_probability,
            first_log_probability,
            prefilled: self.prefilled,
        };
        Ok((rest, answer))
    }
}

fn penalise(scores: &Tensor, penalty: f32, context: &[u32]) -> Result<Tensor, candle_core::Error> {
    if penalty == 1.0 {
        return Ok(scores.clone());
    }
    candle_transformers::utils::apply_repeat_penalty(scores, penalty, context)
}

/// The natural logarithm of the share that `id` has among all scores.
fn log_share(scores: &Tensor, id: u32) -> Result<f64, candle_core::Error> {
    let scores: Vec<f32> = scores.to_vec1()?;
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f64 = scores.iter().map(|score| f64::from(score - largest).exp()).sum();
    Ok(f64::from(scores[id as usize] - largest) - total.ln())
}
