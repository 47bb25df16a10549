//! `longsight index --follow`: videos are indexed while they are being written.

use super::super::failure::{Failure, Kind, Result};
use super::super::video::Input;
use super::super::{Context, output, parse_time};
use super::Args;
use crate::batch::{self, Inputs, Selection};
use crate::index::Store;
use crate::recipe::Options;
use crate::render::one_line;
use crate::run::{self, Cancel, Due, Follower, Growth, Indexed, Job, Model, Pace};
use serde::Serialize;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often files and folders are looked at.
const TICK: Duration = Duration::from_millis(200);

/// Whether and how videos are followed.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct FollowArgs {
    /// Go on until Ctrl-C: index videos as they grow, and those that are added to folders
    #[arg(long, requires = "videos")]
    follow: bool,
    /// Follow for so long (90, 1:30), read what has changed to its end, and stop
    #[arg(long = "for", value_name = "T", value_parser = parse_time, requires = "follow")]
    time: Option<f64>,
    /// A video that is being written is looked at so often
    #[arg(long, value_name = "T", value_parser = parse_time, default_value_t = 60.0, requires = "follow")]
    every: f64,
    /// A video that has not been written to for so long is complete
    #[arg(long, value_name = "T", value_parser = parse_time, default_value_t = 10.0, requires = "follow")]
    settle: f64,
}

impl FollowArgs {
    pub(super) fn is_on(&self) -> bool {
        self.follow
    }

    fn pace(&self) -> Pace {
        let duration = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        Pace { settle: duration(self.settle), every: duration(self.every) }
    }
}

/// A line for each video that was read: schema `longsight.indexed/1`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(in crate::cli) struct Line {
    schema: &'static str,
    video: String,
    /// Its length by now, in seconds; null if it does not say
    duration_s: Option<f64>,
    /// Whether it is complete, as far as can be told, and was read as a whole
    complete: bool,
    /// Of the video as a whole; null before it is complete
    key: Option<String>,
    /// What is kept of it: the whole, and the parts in which questions for a time are asked of long videos
    readings: usize,
    /// Those of them that were read now; the others were there, or are parts that had been read before the video grew
    read: usize,
}

pub(super) fn follow(args: &Args, context: &Context, cancel: &Cancel, store: &Store) -> Result {
    if let Some(missing) = args.videos.iter().find(|path| !path.exists()) {
        let message = format!("{}: there is no such file or folder", missing.display());
        return Err(Failure::new(Kind::Input, message).hint("follow the folder that it will be written to"));
    }
    let options = args.reading.options()?;
    let pace = args.follow.pace();
    let end = args.follow.time.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let begun = Instant::now();
    let mut watch = Watch {
        args,
        context,
        cancel,
        store,
        options,
        model: args.model.load()?,
        growth: HashMap::new(),
        told: HashMap::new(),
    };
    let mut follower = Follower::new(pace);
    loop {
        let last = end.is_some_and(|end| begun.elapsed() >= end);
        let videos = watch.videos();
        for due in follower.due(videos.iter().map(PathBuf::as_path), Instant::now(), last) {
            if cancel.is_cancelled() {
                return Ok(());
            }
            watch.read(&due)?;
        }
        if last || cancel.is_cancelled() {
            return Ok(());
        }
        std::thread::sleep(TICK);
    }
}

struct Watch<'a> {
    args: &'a Args,
    context: &'a Context,
    cancel: &'a Cancel,
    store: &'a Store,
    options: Options,
    model: Model,
    growth: HashMap<PathBuf, Growth>,
    /// What was last said against each video
    told: HashMap<PathBuf, String>,
}

impl Watch<'_> {
    /// The videos that are there now, of the files and folders that were named.
    fn videos(&self) -> Vec<PathBuf> {
        let inputs = Inputs { paths: self.args.videos.clone(), selection: Selection::default() };
        // A folder that is empty, or is not there yet, has no videos yet.
        let gathered = batch::gather(&inputs).unwrap_or_default();
        gathered.sources.into_iter().map(|source| source.path).collect()
    }

    /// Reads what is new of a video, and says so. What is wrong with it is told and does not stop the others; while it is being written,
    /// it is not even told.
    fn read(&mut self, due: &Due) -> Result {
        match self.grow(due) {
            Ok(Some(line)) => self.say(&line),
            Ok(None) => Ok(()),
            Err(failure) if failure.kind == Kind::Input => {
                let new = self.told.get(&due.path) != Some(&failure.message);
                if new && (due.complete || self.context.verbose > 0) {
                    output::note(self.context, &format!("longsight: {}", failure.message));
                    self.told.insert(due.path.clone(), failure.message);
                }
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    fn grow(&mut self, due: &Due) -> Result<Option<Line>> {
        let input = Input::open(&due.path, &self.context.decoder.limits())?;
        let facts = input.facts()?;
        let job = Job {
            facts: &facts,
            questions: &[],
            pipeline: &self.args.reading.pipeline,
            options: &self.options,
            index: None,
            rates: None,
            blind: false,
        };
        let shelf = self.store.shelf(&due.path, &facts.fingerprint).growing();
        let growth = self.growth.entry(due.path.clone()).or_default();
        let (model, cancel) = (&self.model, self.cancel);
        let done = run::grow(model, &input.video, &job, &shelf, growth, due.complete, cancel, &mut |_| ())?;
        shelf.tidy()?;
        let read = done.iter().filter(|one| !one.known).count();
        // Nothing new of a video that is still growing is no news.
        Ok((due.complete || read > 0).then(|| line(facts.path, facts.duration_s, due.complete, &done, read)))
    }

    fn say(&self, line: &Line) -> Result {
        if self.context.json {
            return output::json(line);
        }
        let key = line.key.as_deref().map_or("", |key| &key[..16.min(key.len())]);
        let what = if line.complete { "is kept" } else { "is growing" };
        output::text(&format!(
            "{key:16}  {} {what}: {} readings, {} new",
            one_line(&line.video),
            line.readings,
            line.read
        ));
        Ok(())
    }
}

fn line(video: String, duration_s: Option<f64>, complete: bool, done: &[Indexed], read: usize) -> Line {
    Line {
        schema: "longsight.indexed/1",
        video,
        duration_s,
        complete,
        key: done.first().filter(|_| complete).map(|whole| whole.key.name().to_owned()),
        readings: done.len(),
        read,
    }
}
