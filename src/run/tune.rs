//! Prompts about videos, run densely beside every candidate of the pattern search.

use super::ask::{look, sequence};
use super::{Asks, Cancel, Job, Model, Plan, RunError, Sink};
use crate::decode::Feed;
use crate::generate::Session;
use crate::prefill::tune::Trial;
use longsight_models::{Attention, Call, GrowingCache, ModelError};

/// Lends a trial to a session.
struct Lent<'a>(&'a mut Trial);

impl Attention for Lent<'_> {
    fn attend(&mut self, call: Call<'_>) -> Result<candle_core::Tensor, ModelError> {
        self.0.attend(call)
    }
}

/// Runs the job's first question about a video and tries the candidates on the way. Gives the prompt's tokens.
///
/// # Errors
/// As [`super::ask`].
pub fn tune(
    model: &Model,
    video: &Feed,
    job: &Job<'_>,
    trial: &mut Trial,
    cancel: &Cancel,
    sink: &mut Sink<'_>,
) -> Result<usize, RunError> {
    let (plan, _) = Plan::resolve(
        job.pipeline,
        job.options,
        video.info(),
        model.vlm().processor(),
        None,
        job.rates,
        Asks::default(),
    )?;
    let seen = look(model, video, job, &plan, cancel, sink)?;
    let Some(question) = job.questions.first() else { return Ok(0) };
    let sequence = sequence(model, question, &plan, &seen)?;
    let cache = Box::new(GrowingCache::new());
    let mut session = Session::with(model.vlm(), &seen.tokens, Box::new(Lent(trial)), cache);
    session.prefill(&sequence, plan.prefill.chunk, &|| cancel.is_cancelled())?;
    if cancel.is_cancelled() { Err(RunError::Cancelled) } else { Ok(sequence.len()) }
}
