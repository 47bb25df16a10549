//! Many prompts at once: their rows are packed into one pass through the linear layers, and each row attends to its own prompt
//! alone. What comes out is, bit for bit, what a [`super::Session`] for each would give; what is saved is the time that short passes waste.

use super::decoding::Decoding;
use super::{Answer, GenerateError, Options, PREFILL_ROWS, answer_room};
use crate::prompt::Tokenizer;
use candle_core::Tensor;
use longsight_models::{
    Attention, Call, GrowingCache, KvCache, Logits, ModelError, Sequence, VisualRun, VisualTokens, Vlm, Want,
};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Prompts about one medium each, and what has been run of them.
pub struct Packed<'m> {
    model: &'m dyn Vlm,
    media: Vec<VisualTokens>,
    held: Vec<Sequence>,
    caches: Caches,
}

impl<'m> Packed<'m> {
    /// Prompts about these media, of which nothing has been run.
    #[must_use]
    pub fn new(model: &'m dyn Vlm, media: Vec<VisualTokens>) -> Self {
        let lanes = media.iter().map(|_| Lane::default()).collect();
        let held = media.iter().map(|_| Sequence::default()).collect();
        Self { model, media, held, caches: Caches(Arc::new(Mutex::new(Inner { lanes, rows: Vec::new() }))) }
    }

    /// Goes on, in one of the prompts, from keys and values of the beginning of `known`.
    pub fn resume(&mut self, prompt: usize, kv: Vec<(Tensor, Tensor)>, known: Sequence) {
        if let Some(held) = self.held.get_mut(prompt) {
            self.caches.lock().lanes[prompt].kv = GrowingCache::holding(kv, known.len());
            *held = known;
        }
    }

    /// Keys and values of the first `tokens` tokens of a prompt, layer by layer.
    ///
    /// # Errors
    /// When not so many have been run.
    pub fn rows(&self, prompt: usize, tokens: usize) -> Result<Vec<(Tensor, Tensor)>, ModelError> {
        self.caches.lock().lanes[prompt].kv.rows(tokens)
    }

    /// Runs the beginnings of the prompts up to the last visual token, less what is remembered, `rows_at_once` at a time; ends between
    /// passes when `stop` says so.
    ///
    /// # Errors
    /// When the model fails.
    pub fn media(
        &mut self,
        sequences: &[Sequence],
        rows_at_once: usize,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), ModelError> {
        self.shared(sequences, 0, rows_at_once, stop)
    }

    fn shared(
        &mut self,
        sequences: &[Sequence],
        room: usize,
        rows_at_once: usize,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), ModelError> {
        let remembered = self.remember(sequences, room);
        // What questions share is run apart from them, so that it comes out the same whatever follows.
        let border = |(known, sequence): (usize, &Sequence)| known..sequence.media_end().min(before_last(sequence));
        let shared = remembered.into_iter().zip(sequences).map(border);
        self.run(shared, rows_at_once, stop)
    }

    /// Runs all of the prompts but their last tokens, less what is remembered, and makes room for answers; ends between passes when `stop`
    /// says so. [`Packed::answers`] does the same by itself.
    ///
    /// # Errors
    /// When the model fails.
    pub fn prefill(
        &mut self,
        sequences: &[Sequence],
        options: &Options,
        rows_at_once: usize,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), ModelError> {
        self.shared(sequences, options.max_tokens, rows_at_once, stop)?;
        let run: Vec<usize> = self.caches.lock().lanes.iter().map(|lane| lane.kv.len()).collect();
        let rest = run.into_iter().zip(sequences).map(|(run, sequence)| run..before_last(sequence));
        self.run(rest, rows_at_once, stop)
    }

    /// The answers to one prompt for each medium, in their order; none if `stop` says so on the way.
    ///
    /// # Errors
    /// When the model, the sampler or the tokeniser fails.
    pub fn answers(
        &mut self,
        sequences: &[Sequence],
        tokenizer: &Tokenizer,
        options: &Options,
        rows_at_once: usize,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<Answer>>, GenerateError> {
        self.prefill(sequences, options, rows_at_once, stop)?;
        let mut answers: Vec<Decoding<'_>> = sequences.iter().map(|_| Decoding::new(tokenizer, options)).collect();
        let mut open: Vec<usize> = (0..answers.len()).collect();
        while !open.is_empty() {
            if stop() {
                return Ok(None);
            }
            let last = |&prompt: &usize| (prompt, self.held[prompt].len().saturating_sub(1)..self.held[prompt].len());
            let pieces: Vec<_> = open.iter().map(last).collect();
            let scores = self.forward(&pieces, Want::All)?;
            let mut on = Vec::with_capacity(open.len());
            for (row, prompt) in open.into_iter().enumerate() {
                let (scores, held) = (scores.tensor().get(row)?, &mut self.held[prompt]);
                if let Some(id) = answers[prompt].next(&scores, held.ids(), &self.model.card().eos, &mut |_| true)? {
                    held.push(id);
                    on.push(prompt);
                }
            }
            open = on;
        }
        let answers = answers.into_iter().map(|answer| Ok(answer.finish()?.1));
        Ok(Some(answers.collect::<Result<_, GenerateError>>()?))
    }

    /// Takes the prompts over, and gives how much of each has been run already.
    fn remember(&mut self, sequences: &[Sequence], room: usize) -> Vec<usize> {
        let mut caches = self.caches.lock();
        let known = self.held.iter_mut().zip(sequences).zip(&mut caches.lanes).map(|((held, sequence), lane)| {
            let known = held.common_prefix(sequence).min(lane.kv.len()).min(before_last(sequence));
            lane.kv.truncate(known);
            lane.kv.expect(answer_room(sequence, room));
            *held = sequence.clone();
            known
        });
        known.collect()
    }

    /// Runs a range of each prompt. A range is cut as a session of its own would cut it.
    fn run(
        &mut self,
        ranges: impl Iterator<Item = Range<usize>>,
        rows_at_once: usize,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), ModelError> {
        let most = rows_at_once.max(1);
        let mut pieces: Vec<(usize, Range<usize>)> = Vec::new();
        let mut rows = 0;
        for (prompt, range) in ranges.enumerate() {
            for start in range.clone().step_by(most) {
                let piece = start..range.end.min(start + most);
                let again = pieces.last().is_some_and(|&(before, _)| before == prompt);
                if rows + piece.len() > most.max(PREFILL_ROWS) || again {
                    if stop() {
                        return Ok(());
                    }
                    self.forward(&std::mem::take(&mut pieces), Want::Nothing)?;
                    rows = 0;
                }
                rows += piece.len();
                pieces.push((prompt, piece));
            }
        }
        if !pieces.is_empty() && !stop() {
            self.forward(&pieces, Want::Nothing)?;
        }
        Ok(())
    }

    /// One pass over ranges of some prompts, which follow what has been run of each.
    fn forward(&mut self, pieces: &[(usize, Range<usize>)], want: Want) -> Result<Logits, ModelError> {
        let (mut ids, mut positions, mut visual) = (Vec::new(), [const { Vec::new() }; 3], Vec::new());
        let mut rows = Vec::with_capacity(pieces.len());
        let mut extensions = Vec::new();
        for (prompt, range) in pieces {
            let (held, at) = (&self.held[*prompt], ids.len());
            rows.push((*prompt, at..at + range.len()));
            ids.extend_from_slice(&held.ids()[range.clone()]);
            for (axis, all) in positions.iter_mut().zip(held.positions()) {
                axis.extend_from_slice(&all[range.clone()]);
            }
            for (run, extension) in held.extensions(range.clone()) {
                let tokens = at + run.start - range.start..at + run.end - range.start;
                extensions.extend(extension.map(|extension| (tokens, extension)));
            }
            for run in held.visual() {
                let (start, end) = (run.tokens.start.max(range.start), run.tokens.end.min(range.end));
                if start < end {
                    let tokens = at + start - range.start..at + end - range.start;
                    let first_row = run.first_row + start - run.tokens.start;
                    visual.push(VisualRun { tokens, medium: *prompt, first_row });
                }
            }
        }
        let sequence = Sequence::new(ids, positions, visual).with_extensions(extensions);
        self.caches.lock().rows = rows;
        let (mut attention, mut kv, all) = (self.caches.clone(), self.caches.clone(), 0..sequence.len());
        self.model.forward(&sequence, all, &self.media, &mut attention, &mut kv, want)
    }
}

/// All but the last token, which is run for its scores.
fn before_last(sequence: &Sequence) -> usize {
    sequence.len().saturating_sub(1)
}

/// The caches of all prompts, seen as one cache of the rows being run, and as the attention that keeps prompts apart.
#[derive(Clone)]
struct Caches(Arc<Mutex<Inner>>);

struct Inner {
    lanes: Vec<Lane>,
    /// Which rows of the pass belong to which prompt
    rows: Vec<(usize, Range<usize>)>,
}

#[derive(Default)]
struct Lane {
    kv: GrowingCache,
    /// Keys and values of the layer being run
    layer: Option<(Tensor, Tensor)>,
}

impl Caches {
    /// A thread that panicked while it held the lock has left tensors whole.
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KvCache for Caches {
    fn append(&mut self, layer: usize, keys: &Tensor, values: &Tensor) -> Result<(Tensor, Tensor), ModelError> {
        let Inner { lanes, rows } = &mut *self.lock();
        for (prompt, rows) in &*rows {
            let part = |tensor: &Tensor| tensor.narrow(1, rows.start, rows.len());
            let lane = &mut lanes[*prompt];
            lane.layer = Some(lane.kv.append(layer, &part(keys)?, &part(values)?)?);
        }
        Ok((keys.clone(), values.clone()))
    }

    /// Each pass stands for itself: what comes before is in the prompts' own caches.
    fn len(&self) -> usize {
        0
    }

    fn truncate(&mut self, _len: usize) {}

    fn rows(&self, tokens: usize) -> Result<Vec<(Tensor, Tensor)>, ModelError> {
        Err(ModelError::Shape { what: "cached tokens", expected: vec![tokens], found: vec![0] })
    }

    fn bytes(&self) -> usize {
        self.lock().lanes.iter().map(|lane| lane.kv.bytes()).sum()
    }
}

impl Attention for Caches {
    fn attend(&mut self, call: Call<'_>) -> Result<Tensor, ModelError> {
        let Inner { lanes, rows } = &*self.lock();
        let attended = rows.par_iter().map(|(prompt, rows)| -> Result<Tensor, ModelError> {
            let none = || ModelError::Shape { what: "cached tokens", expected: vec![rows.len()], found: vec![0] };
            let (keys, values) = lanes[*prompt].layer.as_ref().ok_or_else(none)?;
            let first = keys.dim(1)?.checked_sub(rows.len()).ok_or_else(none)?;
            let queries = call.queries.narrow(1, rows.start, rows.len())?;
            Call { queries: &queries, keys, values, first, ..call }.dense()
        });
        let attended: Vec<Tensor> = attended.collect::<Result<_, _>>()?;
        Ok(Tensor::cat(&attended, 1)?)
    }
}
