//! Questions to the model, video by video, and what comes of it.

use super::journal::{Journal, Settings};
use super::{Benchmark, Item, Metric, Prediction, Predictions, PublicError, Task, Videos};
use crate::bench::questions::ask_file;
use crate::recipe::Options;
use crate::run::{Answer, Cancel, Model, Question, RunError};
use serde::Serialize;
use std::path::Path;

/// A run of a benchmark.
pub struct PublicRun<'a> {
    /// Which
    pub benchmark: &'a dyn Benchmark,
    /// What is asked
    pub items: &'a [Item],
    /// Of what
    pub videos: &'a Videos,
    /// The videos' folder
    pub folder: &'a Path,
    /// Whom
    pub model: &'a Model,
    /// The pipeline's settings
    pub options: &'a Options,
    /// What the predictions depend on
    pub settings: &'a Settings,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// Predictions that an earlier run left
    Held(usize),
    /// Questions about a video were answered
    Answered {
        /// Questions with a prediction
        predictions: usize,
        /// Questions in all
        of: usize,
    },
    /// A video could not be asked about
    Failed {
        /// Its name
        video: String,
        /// Why
        why: String,
    },
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct PublicReport {
    /// `longsight.bench.public/1`
    pub schema: &'static str,
    /// Which benchmark
    pub benchmark: &'static str,
    /// Questions in the annotations
    pub questions: usize,
    /// Of these, with a prediction
    pub predictions: usize,
    /// Videos that are not in the folder
    pub missing_videos: Vec<String>,
    /// Videos that could not be asked about
    pub failed_videos: Vec<String>,
    /// What the official scorer says
    pub metrics: Vec<Metric>,
    /// What the predictions depend on; null where they were read from a file
    pub settings: Option<Settings>,
}

/// What the official scorer says of predictions that are there.
#[must_use]
pub fn score(benchmark: &dyn Benchmark, items: &[Item], predictions: &Predictions) -> PublicReport {
    PublicReport {
        schema: "longsight.bench.public/1",
        benchmark: benchmark.name(),
        questions: items.len(),
        predictions: items.iter().filter(|item| predictions.contains_key(&item.key)).count(),
        missing_videos: Vec::new(),
        failed_videos: Vec::new(),
        metrics: benchmark.score(items, predictions),
        settings: None,
    }
}

/// The videos that a run could not ask about.
#[derive(Debug, Clone, Default)]
pub struct Unasked {
    /// Not in the folder
    pub missing: Vec<String>,
    /// Could not be read or answered about
    pub failed: Vec<String>,
}

impl PublicRun<'_> {
    /// Asks what has no prediction yet, and gives all predictions. Each is kept as soon as it is there, in a file beside
    /// `out`, from which a second run goes on.
    ///
    /// # Errors
    /// When no video is there at all, predictions cannot be kept, or `cancel` was set. A video that is missing or cannot be
    /// asked about is none.
    pub fn predict(
        &self,
        out: &Path,
        cancel: &Cancel,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Predictions, Unasked), PublicError> {
        let (mut journal, mut predictions) = Journal::open(out, self.settings)?;
        progress(Progress::Held(predictions.len()));
        let mut unasked = Unasked::default();
        let mut by_video: Vec<&Item> = self.items.iter().collect();
        // Stable: questions about one video stay in their order, and are asked in one reading.
        by_video.sort_by(|a, b| a.video.cmp(&b.video));
        let groups: Vec<&[&Item]> = by_video.chunk_by(|a, b| a.video == b.video).collect();
        if !groups.is_empty() && groups.iter().all(|group| self.videos.find(&group[0].video).is_none()) {
            return Err(PublicError::NoVideos { path: self.folder.to_path_buf(), of: groups.len() });
        }
        for group in groups {
            let open: Vec<&Item> = group.iter().copied().filter(|item| !predictions.contains_key(&item.key)).collect();
            let video = &group[0].video;
            let Some(path) = self.videos.find(video) else {
                unasked.missing.push(video.clone());
                continue;
            };
            if open.is_empty() {
                continue;
            }
            match self.ask(path, &open, cancel) {
                Ok(answers) => {
                    for (item, answer) in open.iter().zip(&answers) {
                        let prediction = self.prediction(answer);
                        journal.add(&item.key, &prediction)?;
                        predictions.insert(item.key.clone(), prediction);
                    }
                    progress(Progress::Answered { predictions: predictions.len(), of: self.items.len() });
                }
                Err(RunError::Cancelled) => return Err(PublicError::Cancelled),
                Err(_) if cancel.is_cancelled() => return Err(PublicError::Cancelled),
                Err(error) => {
                    progress(Progress::Failed { video: video.clone(), why: error.to_string() });
                    unasked.failed.push(video.clone());
                }
            }
        }
        Ok((predictions, unasked))
    }

    fn ask(&self, path: &Path, items: &[&Item], cancel: &Cancel) -> Result<Vec<Answer>, RunError> {
        let put = |item: &&Item| Question::from(self.settings.wording.replace("{}", &item.query).as_str());
        let questions: Vec<Question> = items.iter().map(put).collect();
        ask_file(self.model, path, &questions, self.options, false, cancel)
    }

    /// What an answer predicts: its words; for grounding, its checked spans too, if it has any.
    fn prediction(&self, answer: &Answer) -> Prediction {
        let windows = match self.benchmark.task() {
            Task::Ground => answer.evidence.iter().map(|span| [span.start, span.end, span.score]).collect(),
            Task::Choose => Vec::new(),
        };
        Prediction { answer: answer.answer.clone(), windows }
    }
}
