//! `longsight index`: reads videos once and keeps what later questions need.

mod follow;

pub(super) use follow::Line;

use super::ask::{ModelArgs, ReadingArgs};
use super::failure::{Failure, Kind, Result, of_place};
use super::time::format_time;
use super::video::Input;
use super::{Context, cache, output, progress, wait};
use crate::index::{IndexError, KvFormat, Listed, Store, Trust};
use crate::recipe::parse_bytes;
use crate::render::one_line;
use crate::run::{self, Cancel, Job};
use follow::FollowArgs;
use serde::Serialize;
use std::path::PathBuf;

const EXAMPLES: &str = r#"Examples:
  longsight index film.mp4                     later questions about it need not read it again
  longsight index *.mp4 --pipeline hour
  longsight index --follow recordings/         segments are indexed as they are added, growing files as they grow
  longsight index --list
  longsight index --prune 10G                  the least recently used go first
  longsight index --verify"#;

/// Where the index is, and what it trusts.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct StoreArgs {
    /// Where readings are kept; below the user's cache if it is not given
    #[arg(long, value_name = "DIR", env = "LONGSIGHT_INDEX")]
    index_dir: Option<PathBuf>,
    /// Keep no more than so much in the index: the least recently used goes when there is more
    #[arg(long, alias = "max-size", value_name = "BYTES", value_parser = parse_bytes, default_value = "20G", env = "LONGSIGHT_INDEX_SIZE")]
    index_size: u64,
    /// Read a video whole to know it again, even if its inode, length and times are those of one that was read before
    #[arg(long)]
    rehash: bool,
}

impl StoreArgs {
    /// The index, if there is a place for one.
    pub(super) fn store(&self) -> Option<Store> {
        let root = self.index_dir.clone().or_else(|| Some(cache::folder()?.join("index")))?;
        let trust = if self.rehash { Trust::Bytes } else { Trust::System };
        Some(Store::at(root).trusting(trust).limited(self.index_size))
    }

    /// The flags that say which readings are used, as they would be written.
    pub(super) fn flags(&self) -> Vec<String> {
        let absolute = |folder: &PathBuf| std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
        let folder = self.index_dir.as_ref().map(|folder| format!("--index-dir={}", absolute(folder).display()));
        folder.into_iter().chain(self.rehash.then(|| "--rehash".to_owned())).collect()
    }
}

/// Arguments of `longsight index`.
#[derive(Debug, Clone, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(super) struct Args {
    /// The videos; with --follow, folders too
    #[arg(required_unless_present_any = ["list", "prune", "verify"])]
    videos: Vec<PathBuf>,
    /// Show what is kept, the least recently used first
    #[arg(long, conflicts_with = "videos")]
    list: bool,
    /// Take away the least recently used until the rest is no larger
    #[arg(long, value_name = "BYTES", value_parser = parse_room, conflicts_with_all = ["videos", "list"])]
    prune: Option<u64>,
    /// Read everything that is kept and say what is damaged
    #[arg(long, conflicts_with_all = ["videos", "list", "prune"])]
    verify: bool,
    #[command(flatten)]
    follow: FollowArgs,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    reading: ReadingArgs,
}

/// The result: schema `longsight.index/1`.
#[derive(Debug, Default, Serialize, schemars::JsonSchema)]
pub(super) struct Report {
    schema: &'static str,
    /// What was read, or was there already
    indexed: Vec<Indexed>,
    /// What is kept (`--list`)
    entries: Vec<Listed>,
    /// What was taken away (`--prune`, or for want of room)
    removed: Vec<Listed>,
    /// Entries that are not what was written (`--verify`), with what is wrong
    damaged: Vec<(String, String)>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Indexed {
    video: String,
    /// Of the video as a whole
    key: String,
    /// The whole, and the parts in which questions for a time are asked of long videos
    readings: usize,
    /// Whether all of it was there already
    known: bool,
}

impl Indexed {
    fn of(video: String, done: &[run::Indexed]) -> Option<Self> {
        let key = done.first()?.key.name().to_owned();
        Some(Self { video, key, readings: done.len(), known: done.iter().all(|one| one.known) })
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result {
    let (args, context) = (args.clone(), context.clone());
    wait::run(None, move |cancel| work(&args, &context, &cancel))
}

fn work(args: &Args, context: &Context, cancel: &Cancel) -> Result {
    let store = args
        .store
        .store()
        .ok_or_else(|| Failure::new(Kind::Usage, "there is no place for an index").hint("name one with --index-dir"))?;
    let mut report = Report { schema: "longsight.index/1", ..Report::default() };
    let mut failed = None;
    if args.list {
        report.entries = store.list()?;
    } else if let Some(most) = args.prune {
        report.removed = store.prune(most)?;
    } else if args.verify {
        report.damaged = store.verify()?;
    } else if args.follow.is_on() {
        return follow::follow(args, context, cancel, &store);
    } else {
        failed = add(args, context, cancel, &store, &mut report)?;
        report.removed = store.prune(args.store.index_size)?;
    }
    if context.json {
        output::json(&report)?;
    } else {
        print(&report, args, &store);
    }
    match report.damaged.len() {
        0 => failed.map_or(Ok(()), |first| {
            let message = format!("some videos could not be read, first {}", first.message);
            Err(Failure::new(Kind::Partial, message).hint("the others are kept"))
        }),
        count => Err(Failure::new(Kind::Input, format!("{count} entries of the index are damaged"))
            .hint("`longsight index --prune 0` takes everything away")),
    }
}

/// Reads the videos; gives the first failure, where some could not be read and others were.
fn add(args: &Args, context: &Context, cancel: &Cancel, store: &Store, report: &mut Report) -> Result<Option<Failure>> {
    let options = args.reading.options()?;
    let limits = context.decoder.limits();
    let open = |video: &PathBuf| -> Result<Input> {
        let input = Input::open(video, &limits)?;
        // Until it is this video's turn.
        input.video.rest();
        Ok(input)
    };
    // A wrong path is told before the model is loaded; it leaves the others their turn.
    let (mut inputs, mut failed) = (Vec::new(), Vec::new());
    for video in &args.videos {
        match open(video) {
            Ok(input) => inputs.push(input),
            Err(failure) if args.videos.len() > 1 && failure.kind == Kind::Input => {
                output::note(context, &format!("longsight: {}", failure.message));
                failed.push(failure);
            }
            Err(failure) => return Err(failure),
        }
    }
    if inputs.is_empty()
        && let Some(failure) = failed.pop()
    {
        return Err(failure);
    }
    let mut progress = progress::Bar::new(context);
    let model = args.model.load()?;
    for input in inputs {
        let facts = input.facts()?;
        let job = Job {
            facts: &facts,
            questions: &[],
            pipeline: &args.reading.pipeline,
            options: &options,
            index: None,
            rates: None,
            blind: false,
        };
        let shelf = store.shelf(&input.path, &facts.fingerprint);
        let done = run::index(&model, &input.video, &job, &shelf, cancel, &mut |event| progress.show(&event))?;
        report.indexed.extend(Indexed::of(facts.path, &done));
    }
    progress.finish();
    Ok(failed.into_iter().next())
}

/// As [`parse_bytes`], or nothing at all.
fn parse_room(text: &str) -> std::result::Result<u64, String> {
    if text == "0" { Ok(0) } else { parse_bytes(text) }
}

fn print(report: &Report, args: &Args, store: &Store) {
    for one in &report.indexed {
        let what = if one.known { "was there already" } else { "is kept" };
        output::text(&format!("{}  {} {what}", &one.key[..16], one_line(&one.video)));
    }
    let line = |entry: &Listed| {
        format!(
            "{}  {:>8} MB  {:>4}  {}  {}  {} - {}",
            &entry.key[..16.min(entry.key.len())],
            entry.bytes >> 20,
            entry.kv.map_or("-", KvFormat::name),
            entry.model,
            one_line(&entry.video),
            format_time(entry.from),
            format_time(entry.to)
        )
    };
    report.entries.iter().for_each(|entry| output::text(&line(entry)));
    report.removed.iter().for_each(|entry| output::text(&format!("removed {}", line(entry))));
    report.damaged.iter().for_each(|(key, why)| output::text(&format!("{key}: {why}")));
    if args.verify && report.damaged.is_empty() {
        output::text(&format!("{}: nothing is damaged", store.root().display()));
    }
}

impl From<IndexError> for Failure {
    fn from(error: IndexError) -> Self {
        if matches!(error, IndexError::Changed { .. }) {
            return Self::new(Kind::Input, error)
                .hint("try again when nothing writes to it, or use `longsight index --follow`");
        }
        let kind = match &error {
            IndexError::Io { source, .. } => of_place(source),
            _ => Kind::Internal,
        };
        Self::new(kind, error).hint("choose another place with --index-dir")
    }
}
