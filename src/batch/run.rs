//! Some items at once, each watched; what they give is written down as it comes.

use super::crew::{self, Ended, Shared, Watch};
use super::gather::Source;
use super::item::{self, Attempt, Brief, ItemError, Stage, Worked, held};
use super::report::{Counts, Explained, FailureRecord};
use super::store::{Store, StoreError};
use crate::decode::limits::STALL_TIMEOUT;
use crate::run::{Cancel, Question};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// An item's time before it is known how long its video is: fingerprint and headers, on a slow disk.
const OPENING: Duration = Duration::from_secs(600);
/// Without a frame. Decoding has its own watchdogs, which strike at one and two times their limit and know more.
const STALL: Duration = Duration::from_secs(3 * STALL_TIMEOUT.as_secs());
/// Between being asked to stop and being left behind.
const GRACE: Duration = Duration::from_secs(10);
/// The same when the whole batch stops: somebody waits.
const STOP_GRACE: Duration = Duration::from_secs(4);
/// How often progress is reported and cancellation is looked for.
const TICK: Duration = Duration::from_millis(100);

/// Puts what was asked of a video, and why it failed, in the words of the user's interface.
pub type Explain<'a> = dyn Fn(&Source, &[Question], ItemError) -> Explained + 'a;

/// What to do.
pub struct Orders<'a> {
    /// The videos, in their order
    pub sources: Vec<Source>,
    /// What holds for all of them
    pub brief: Arc<Brief>,
    /// Items under way at once; the language model works on one of them
    pub jobs: usize,
    /// How failures are told
    pub explain: &'a Explain<'a>,
}

/// What happens.
#[derive(Debug)]
pub enum Event<'a> {
    /// So far
    Progress(&'a Progress),
    /// A video failed
    Failed(&'a FailureRecord),
    /// A video is still being written, and was left for later
    Growing(&'a Source),
}

/// How far it is.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// What came of it
    pub counts: Counts,
    /// Videos of which something came
    pub finished: u64,
    /// The videos under way
    pub under_way: Vec<String>,
    /// What is left will take so long, going by bytes of video; unknown at first
    pub left: Option<Duration>,
    bytes_left: u64,
    bytes_worked: u64,
}

impl Progress {
    fn new(sources: &[Source]) -> Self {
        let counts = Counts { videos: sources.len() as u64, ..Counts::default() };
        Self { counts, bytes_left: sources.iter().map(|source| source.bytes).sum(), ..Self::default() }
    }

    /// Takes a video off the list; `worked` if it took the time that the others will take.
    fn finish(&mut self, source: &Source, worked: bool, since: Instant) {
        self.finished += 1;
        self.under_way.retain(|place| *place != source.place);
        self.bytes_left = self.bytes_left.saturating_sub(source.bytes);
        if worked {
            self.bytes_worked += source.bytes;
        }
        if self.bytes_worked > 0 {
            let seconds = since.elapsed().as_secs_f64() * self.bytes_left as f64 / self.bytes_worked as f64;
            self.left = Duration::try_from_secs_f64(seconds).ok();
        }
    }
}

/// What became of an item.
struct Outcome {
    source: Source,
    attempt: Option<Attempt>,
    stage: Stage,
    ended: Ended<Result<Worked, ItemError>>,
}

/// Works the sources off. When `cancel` is set, items under way are dropped after a moment; what is finished stays.
///
/// # Errors
/// When the output folder cannot be written; what stands there is whole, and another run goes on from it.
pub fn run(
    orders: Orders<'_>,
    store: Store,
    cancel: &Cancel,
    sink: &mut dyn FnMut(Event<'_>),
) -> Result<Counts, StoreError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(StoreError::Watch)?;
    let mut batch = Batch {
        progress: Progress::new(&orders.sources),
        started: Instant::now(),
        store: Arc::new(Mutex::new(store)),
        shared: Shared::new(orders.brief.room()),
        items: HashMap::new(),
        under_way: JoinSet::new(),
        brief: orders.brief,
        explain: orders.explain,
        sink,
    };
    let waiting = orders.sources.into();
    let result = runtime.block_on(batch.work_off(waiting, orders.jobs.max(1), cancel));
    batch.items.values().for_each(Cancel::cancel);
    runtime.shutdown_background();
    result?;
    held(&batch.store).tidy()?;
    Ok(batch.progress.counts)
}

struct Batch<'a> {
    progress: Progress,
    started: Instant,
    store: Arc<Mutex<Store>>,
    shared: Shared,
    /// The flags of items under way, by place
    items: HashMap<String, Cancel>,
    under_way: JoinSet<Outcome>,
    brief: Arc<Brief>,
    explain: &'a Explain<'a>,
    sink: &'a mut dyn FnMut(Event<'_>),
}

impl Batch<'_> {
    async fn work_off(
        &mut self,
        mut waiting: VecDeque<Source>,
        jobs: usize,
        cancel: &Cancel,
    ) -> Result<(), StoreError> {
        let mut stopped: Option<Instant> = None;
        loop {
            while stopped.is_none() && self.under_way.len() < jobs {
                let Some(source) = waiting.pop_front() else { break };
                self.start(source);
            }
            tokio::select! {
                biased;
                ended = self.under_way.join_next() => match ended {
                    Some(Ok(outcome)) => self.settle(outcome)?,
                    // Tasks neither panic nor are aborted before the end.
                    Some(Err(_)) => {}
                    None => return Ok(()),
                },
                () = tokio::time::sleep(TICK) => (self.sink)(Event::Progress(&self.progress)),
            }
            if stopped.is_none() && cancel.is_cancelled() {
                stopped = Some(Instant::now());
                self.items.values().for_each(Cancel::cancel);
            }
            if stopped.is_some_and(|since| since.elapsed() > STOP_GRACE) {
                return Ok(());
            }
        }
    }

    fn start(&mut self, source: Source) {
        let cancel = Cancel::default();
        self.items.insert(source.place.clone(), cancel.clone());
        self.progress.under_way.push(source.place.clone());
        let attempt = Arc::new(OnceLock::new());
        let work = {
            let (source, attempt) = (source.clone(), Arc::clone(&attempt));
            let (brief, store) = (Arc::clone(&self.brief), Arc::clone(&self.store));
            move |desk: &crew::Desk| item::work(&source, &brief, &store, desk, &attempt)
        };
        let watch = Watch { limit: self.brief.timeout.unwrap_or(OPENING), stall: STALL, grace: GRACE };
        let shared = self.shared.clone();
        self.under_way.spawn(async move {
            let (stage, ended) = crew::attend(work, watch, shared, cancel).await;
            Outcome { source, attempt: attempt.get().cloned(), stage, ended }
        });
    }

    /// Writes down what came of an item.
    fn settle(&mut self, outcome: Outcome) -> Result<(), StoreError> {
        let Outcome { source, attempt, stage, ended } = outcome;
        self.items.remove(&source.place);
        let path = || source.path.clone();
        let (error, left_behind) = match ended {
            Ended::Done(Ok(worked)) => return self.note(&source, worked, attempt.as_ref()),
            // Stopped with the whole batch: nothing came of it.
            Ended::Done(Err(error)) if error.is_cancelled() => return Ok(()),
            Ended::Done(Err(error)) => (error, false),
            Ended::Panicked(message) => (ItemError::Panicked { path: path(), message }, false),
            Ended::TimedOut { limit, left_behind } => (ItemError::TimedOut { path: path(), limit }, left_behind),
            Ended::Stalled { limit, left_behind } => (ItemError::Stalled { path: path(), limit }, left_behind),
        };
        let worked = stage >= Stage::Look;
        let stage = if error.is_of_decoder() { Stage::Decode } else { stage };
        let questions = self.brief.questions.of(&source);
        let Explained { code, message, hint, retryable, command } = (self.explain)(&source, &questions, error);
        let record = FailureRecord {
            schema: "longsight.failure/1".to_owned(),
            video: source.path.to_string_lossy().into_owned(),
            place: source.place.clone(),
            attempt: attempt.as_ref().and_then(|attempt| Some(attempt.tried?.to_hex().to_string())),
            stage,
            code: code.to_owned(),
            message,
            hint,
            retryable,
            left_behind,
            command,
        };
        let counts = &mut self.progress.counts;
        counts.failed += 1;
        counts.failed_input += u64::from(record.is_unreadable());
        counts.left_behind += u64::from(left_behind);
        self.progress.finish(&source, worked, self.started);
        (self.sink)(Event::Failed(&record));
        self.outdate(&source, attempt.as_ref())?;
        held(&self.store).fail(record)
    }

    /// What was answered about another video at the same place says nothing of the one that fails there now.
    fn outdate(&self, source: &Source, attempt: Option<&Attempt>) -> Result<(), StoreError> {
        attempt.map_or(Ok(()), |attempt| held(&self.store).outdate(&source.place, &attempt.content))
    }

    fn note(&mut self, source: &Source, worked: Worked, attempt: Option<&Attempt>) -> Result<(), StoreError> {
        let counts = &mut self.progress.counts;
        let mut fresh = 0;
        match worked {
            Worked::Answered { jobs, lines, shared } => {
                let mut store = held(&self.store);
                store.add(&source.place, &lines)?;
                store.mirror(&source.place, &jobs)?;
                store.forgive(&source.place);
                fresh = lines.len() - shared;
                counts.done += 1;
                counts.done_before += u64::from(lines.is_empty());
                counts.answers += fresh as u64;
                counts.answers_shared += shared as u64;
                counts.answers_before += (jobs.len() - lines.len()) as u64;
            }
            Worked::FailedBefore { unreadable } => {
                counts.failed += 1;
                counts.failed_before += 1;
                counts.failed_input += u64::from(unreadable);
                self.outdate(source, attempt)?;
            }
            Worked::Growing => {
                counts.skipped += 1;
                (self.sink)(Event::Growing(source));
            }
            Worked::Unasked => counts.unasked += 1,
        }
        self.progress.finish(source, fresh > 0, self.started);
        Ok(())
    }
}
