//! What a batch would do: everything that can be known without decoding a frame.

use super::gather::Source;
use super::item::{self, Brief, ItemError};
use super::key;
use super::store::{Failures, Index, Store, StoreError};
use crate::run::Cancel;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::Path;

/// A batch before it is run.
#[derive(Debug, Default, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Survey {
    /// Videos of this run
    pub videos: u64,
    /// Of those, the ones that there is something to do about
    pub videos_open: u64,
    /// Questions, each counted for every video that it is asked of
    pub questions: u64,
    /// Of those, the ones that are answered
    pub answered: u64,
    /// Of those, the ones that a copy of the video has the answer to
    pub shared: u64,
    /// Videos that cannot be opened, or failed before and will not be tried again
    pub failed: u64,
    /// Seconds of video that will be looked at; of videos that say how long they are
    pub duration_s: f64,
    /// Frames that will be looked at
    pub frames: u64,
    /// Visual tokens of these
    pub visual_tokens: u64,
}

/// What is found out about one video.
#[derive(Debug)]
pub enum Surveyed<'a> {
    /// It can be asked about; so many of its questions are open
    Open(&'a Source, usize),
    /// It cannot be used
    Broken(&'a Source, ItemError),
}

/// Looks at every video's container. Writes nothing.
///
/// # Errors
/// When the output folder belongs to something else or cannot be read.
pub fn survey(
    sources: &[Source],
    brief: &Brief,
    out: &Path,
    cancel: &Cancel,
    sink: &mut dyn FnMut(Surveyed<'_>),
) -> Result<Survey, StoreError> {
    let (index, failures) = Store::peek(out)?;
    let mut survey = Survey { videos: sources.len() as u64, ..Survey::default() };
    for source in sources.iter().take_while(|_| !cancel.is_cancelled()) {
        match survey.add(source, brief, (&index, &failures)) {
            Ok(open) => sink(Surveyed::Open(source, open)),
            Err(error) => {
                survey.failed += 1;
                sink(Surveyed::Broken(source, error));
            }
        }
    }
    Ok(survey)
}

impl Survey {
    /// Counts a video in; the number of its questions that the model will be asked.
    fn add(
        &mut self,
        source: &Source,
        brief: &Brief,
        (index, failures): (&Index, &Failures),
    ) -> Result<usize, ItemError> {
        let questions = brief.questions.of(source).len();
        self.questions += questions as u64;
        if questions == 0 {
            return Ok(0);
        }
        let fingerprint = item::fingerprint(source)?;
        let attempt = key::attempt(&fingerprint, &brief.options, brief.model.facts());
        if !brief.retry_failed && failures.of(&source.place, &attempt).is_some() {
            self.failed += 1;
            return Ok(0);
        }
        let prepared = item::prepare(source, fingerprint, brief, || ())?;
        let answered = prepared.jobs.iter().filter(|job| index.is_done(job)).count();
        let shared = prepared.jobs.iter().filter(|job| !index.is_done(job) && index.known(job).is_some()).count();
        let open = questions - answered - shared;
        self.answered += answered as u64;
        self.shared += shared as u64;
        if open > 0 {
            self.videos_open += 1;
            let decode = &prepared.plan.decode;
            self.duration_s += decode.to.map_or(0.0, |to| to - decode.from);
            self.frames += decode.frames.unwrap_or(decode.max_frames);
            self.visual_tokens += prepared.plan.vision.tokens as u64;
        }
        Ok(open)
    }
}
