//! One video: from its bytes to the lines that answer what is asked of it.

use super::crew::Desk;
use super::gather::Source;
use super::key::{self, Job};
use super::questions::Questions;
use super::report::{FailureRecord, JobFacts, Record};
use super::store::{Store, line_of};
use crate::decode::{self, DecodeError, Feed, Limits, VideoFacts};
use crate::index;
use crate::recipe::Options;
use crate::run::{self, Asks, Event, Model, Plan, Rates, RunError};
use blake3::Hash;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

/// A file that was written to within this time may still be written.
pub const SETTLE: Duration = Duration::from_secs(3);
/// An item's time, besides what follows from its length: model and disk may be slow, but not for ever.
const BASE_S: f64 = 900.0;
/// More of it for each second of video.
const PER_SECOND: f64 = 20.0;
/// More of it for each question, in seconds.
const PER_QUESTION_S: f64 = 600.0;
/// The length of a video that does not say it, in seconds.
const UNKNOWN_S: f64 = 3600.0;

/// How far an item has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Fingerprint and container
    Open,
    /// Which frames, and what is answered already
    Plan,
    /// The decoder itself, whatever it was needed for: it crashed, hung or talked nonsense
    Decode,
    /// Decoding and the vision tower
    Look,
    /// The language model
    Answer,
}

/// Why an item failed.
#[derive(Debug, thiserror::Error)]
pub enum ItemError {
    /// The run
    #[error(transparent)]
    Run(#[from] RunError),
    /// It was written to while it was looked at
    #[error("{}: changed while it was read", path.display())]
    Changed {
        /// The file
        path: PathBuf,
    },
    /// Its time was over
    #[error("{}: took longer than {} s", path.display(), limit.as_secs_f64())]
    TimedOut {
        /// The file
        path: PathBuf,
        /// Its time
        limit: Duration,
    },
    /// Nothing came of it for too long
    #[error("{}: did not move for {} s", path.display(), limit.as_secs_f64())]
    Stalled {
        /// The file
        path: PathBuf,
        /// How long
        limit: Duration,
    },
    /// A defect of this program
    #[error("{}: the work on it broke off: {message}", path.display())]
    Panicked {
        /// The file
        path: PathBuf,
        /// What the panic said
        message: String,
    },
}

impl ItemError {
    /// Whether the video's decoder failed, rather than what it was needed for.
    pub(super) fn is_of_decoder(&self) -> bool {
        matches!(self, Self::Run(RunError::Decode(error)) if error.is_breakdown())
    }

    /// Whether there is nothing that could be a video, and so not what was there before.
    fn is_of_nothing(&self) -> bool {
        use DecodeError::{Empty, Folder, NotRegular};
        matches!(self, Self::Run(RunError::Decode(Empty { .. } | Folder { .. } | NotRegular { .. })))
    }

    /// Whether the item was stopped on request.
    pub(super) fn is_cancelled(&self) -> bool {
        matches!(self, Self::Run(RunError::Cancelled | RunError::Decode(DecodeError::Cancelled { .. })))
    }
}

/// What holds for all items.
pub struct Brief {
    /// The model
    pub model: Model,
    /// The pipeline's name
    pub pipeline: String,
    /// Its settings, flags included
    pub options: Options,
    /// What each video may cost, and where it is decoded
    pub limits: Limits,
    /// What this machine does, where the options limit memory
    pub rates: Option<Rates>,
    /// What is asked
    pub questions: Questions,
    /// See [`SETTLE`]; zero takes files as they are
    pub settle: Duration,
    /// Whether videos that failed are tried again
    pub retry_failed: bool,
    /// What is kept of videos, if it may be used
    pub index: Option<index::Store>,
    /// Whether what is read of each is kept there
    pub fill: bool,
    /// Each item's time; from its length and questions if `None`
    pub timeout: Option<Duration>,
}

impl Brief {
    /// Bytes beside the loaded model, for all items that are under way: of those that were given, or of the machine's.
    pub(super) fn room(&self) -> Option<u64> {
        let most = self.options.budget.memory.or_else(run::memory)?;
        // One decoder more waits where there are some: what others are copied from.
        let loaded = |rates: &Rates| rates.loaded_bytes + rates.decoder_bytes;
        Some(most.saturating_sub(self.rates.as_ref().map_or(self.model.vlm().card().weight_bytes, loaded)))
    }

    fn limit(&self, duration_s: Option<f64>, questions: usize) -> Duration {
        let seconds = BASE_S + PER_SECOND * duration_s.unwrap_or(UNKNOWN_S) + PER_QUESTION_S * questions as f64;
        let derived = || Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(86_400));
        self.timeout.unwrap_or_else(derived)
    }
}

/// What came of an item.
#[derive(Debug)]
pub(super) enum Worked {
    /// Everything is answered: by `lines`, which are new, and by what was there
    Answered { jobs: Vec<Job>, lines: Vec<(Job, Vec<u8>)>, shared: usize },
    /// The same was tried before, and failed
    FailedBefore { unreadable: bool },
    /// It is still being written
    Growing,
    /// Nothing is asked of it
    Unasked,
}

/// What an item is about, as soon as it is known.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    /// The file's fingerprint; empty where there is nothing that could be a video
    pub(super) content: String,
    /// Hash of it and of what is tried; `None` where nothing can be
    pub(super) tried: Option<Hash>,
}

/// A video that is known and not yet decoded.
pub(super) struct Prepared {
    pub(super) facts: VideoFacts,
    pub(super) plan: Plan,
    pub(super) jobs: Vec<Job>,
    video: Feed,
}

/// Works an item off. What it is about goes to `attempt` as soon as it is known.
pub(super) fn work(
    source: &Source,
    brief: &Brief,
    store: &Mutex<Store>,
    desk: &Desk,
    attempt: &OnceLock<Attempt>,
) -> Result<Worked, ItemError> {
    if brief.questions.of(source).is_empty() {
        return Ok(Worked::Unasked);
    }
    if !settles(&source.path, brief.settle, desk) {
        return Ok(Worked::Growing);
    }
    if desk.cancel().is_cancelled() {
        return Err(RunError::Cancelled.into());
    }
    let before = Stamp::of(&source.path);
    // It is set here alone, once.
    let found = |content: &str, tried| drop(attempt.set(Attempt { content: content.to_owned(), tried }));
    let fingerprint = fingerprint(source).inspect_err(|error| {
        if error.is_of_nothing() {
            found("", None);
        }
    })?;
    let tried = key::attempt(&fingerprint, &brief.options, brief.model.facts());
    found(&fingerprint, Some(tried));
    if let (false, Some(record)) = (brief.retry_failed, held(store).failures().of(&source.place, &tried)) {
        return Ok(Worked::FailedBefore { unreadable: record.is_unreadable() });
    }
    let Prepared { facts, plan, jobs, video } = prepare(source, fingerprint, brief, || desk.enter(Stage::Plan))?;
    let mut lines = recall(store, &jobs, source, &facts);
    let shared = lines.len();
    let open: Vec<&Job> = {
        let store = held(store);
        let answered = |job: &Job| store.index().is_done(job) || lines.iter().any(|(known, _)| known == job);
        jobs.iter().filter(|job| !answered(job)).collect()
    };
    if !open.is_empty() {
        // Plans fit one by one; those under way have to fit together.
        if let Some(room) = brief.room() {
            let decoder = brief.rates.as_ref().map_or(0, |rates| rates.decoder_bytes);
            desk.room((decoder + plan.memory_bytes(brief.model.vlm().card(), video.info())).min(room));
        }
        lines.extend(answer(source, brief, desk, &facts, &video, &open)?);
        if Stamp::of(&source.path) != before {
            return Err(ItemError::Changed { path: source.path.clone() });
        }
    }
    Ok(Worked::Answered { jobs, lines, shared })
}

/// Asks the model, and gives a line for each job.
fn answer(
    source: &Source,
    brief: &Brief,
    desk: &Desk,
    facts: &VideoFacts,
    video: &Feed,
    open: &[&Job],
) -> Result<Vec<(Job, Vec<u8>)>, ItemError> {
    desk.allow(brief.limit(facts.duration_s, open.len()));
    desk.enter(Stage::Look);
    let questions: Vec<run::Question> = open.iter().map(|job| job.question.clone()).collect();
    let (pipeline, options) = (brief.pipeline.as_str(), &brief.options);
    let rates = brief.rates.as_ref();
    let shelf = brief.index.as_ref().map(|store| store.shelf(&source.path, &facts.fingerprint));
    let index = shelf.as_ref();
    let asked = run::Job { facts, questions: &questions, pipeline, options, index, rates, blind: false };
    if let (true, Some(shelf)) = (brief.fill, index) {
        run::index(&brief.model, video, &asked, shelf, desk.cancel(), &mut |_| desk.alive())?;
    }
    let answers = run::ask(&brief.model, video, &asked, desk.cancel(), &mut |event| show(&event, desk))?;
    let line = |(job, answer): (&&Job, _)| {
        let (key, place) = (job.key.to_hex().to_string(), source.place.clone());
        let record = Record { answer, job: JobFacts { key, place, choices: job.question.choices.clone() } };
        Some(((*job).clone(), line_of(&record)?))
    };
    Ok(open.iter().zip(answers).filter_map(line).collect())
}

/// Passes on what a run reports. The first question comes when the video has been looked at: from there on the language
/// model is needed, which one item at a time has.
fn show(event: &Event, desk: &Desk) {
    match event {
        Event::Asking { question: 0, .. } => {
            desk.turn();
            desk.enter(Stage::Answer);
        }
        _ => desk.alive(),
    }
}

/// The answers that copies of the video have.
fn recall(store: &Mutex<Store>, jobs: &[Job], source: &Source, facts: &VideoFacts) -> Vec<(Job, Vec<u8>)> {
    let store = held(store);
    let missing = jobs.iter().filter(|job| !store.index().is_done(job));
    missing.filter_map(|job| Some((job.clone(), store.recall(job, &source.place, &facts.path)?))).collect()
}

/// What a file's content is known by.
pub(super) fn fingerprint(source: &Source) -> Result<String, ItemError> {
    let path = || source.path.clone();
    // What is no regular file is refused by name; a pipe would keep the fingerprint waiting.
    decode::check(&source.path).map_err(RunError::from)?;
    decode::fingerprint(&source.path)
        .map_err(|error| RunError::from(DecodeError::Unreadable { path: path(), source: error }).into())
}

/// Opens a video, resolves its plan and says what is asked of it.
pub(super) fn prepare(
    source: &Source,
    fingerprint: String,
    brief: &Brief,
    opened: impl FnOnce(),
) -> Result<Prepared, ItemError> {
    let video = Feed::open(&source.path, &brief.limits).map_err(RunError::from)?;
    opened();
    let facts = VideoFacts::known(&video, &source.path, fingerprint);
    let model = &brief.model;
    let (processor, patterns) = (model.vlm().processor(), model.patterns());
    let (plan, _) =
        // A batch has no limit on time, to which what is asked would count.
        Plan::resolve(
            &brief.pipeline,
            &brief.options,
            video.info(),
            processor,
            patterns,
            brief.rates.as_ref(),
            Asks::default(),
        )
            .map_err(RunError::from)?;
    let job = |question| Job::new(&source.place, &facts.fingerprint, question, &plan, model.facts());
    let jobs = brief.questions.of(source).iter().map(job).collect();
    Ok(Prepared { facts, plan, jobs, video })
}

/// A file's length and time of writing; what they were when it could not be looked at is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp(Option<(u64, SystemTime)>);

impl Stamp {
    fn of(path: &Path) -> Self {
        Self(std::fs::metadata(path).ok().and_then(|facts| Some((facts.len(), facts.modified().ok()?))))
    }

    /// How long ago it was written; zero if that lies in the future, as on disks with another clock.
    fn age(self) -> Duration {
        self.0.map_or(Duration::MAX, |(_, written)| written.elapsed().unwrap_or_default())
    }
}

/// Whether a file is left alone: it was written longer ago than `settle`, or is the same after that time.
fn settles(path: &Path, settle: Duration, desk: &Desk) -> bool {
    const STEP: Duration = Duration::from_millis(50);
    let first = Stamp::of(path);
    let mut left = settle.saturating_sub(first.age());
    while !left.is_zero() && !desk.cancel().is_cancelled() {
        let step = left.min(STEP);
        std::thread::sleep(step);
        left -= step;
        desk.alive();
    }
    Stamp::of(path) == first
}

impl FailureRecord {
    /// Whether the file is no readable video.
    pub(super) fn is_unreadable(&self) -> bool {
        self.code == super::report::UNREADABLE
    }
}

/// The store; a thread that panicked with it has left it whole, since every change to it is one step.
pub(super) fn held(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}
