//! The output folder: who holds it, what is answered, what failed.
//!
//! ```text
//! OUT/.longsight-batch   whose folder this is; locked while a batch runs
//!     answers.jsonl      one answer a line
//!     failed.jsonl       one line for each video that failed
//!     videos/a/b.mp4.jsonl   the answers about a/b.mp4
//! ```
//! `answers.jsonl` alone decides what is done; everything else can be made from it.

use super::gather::Source;
use super::journal::{self, Extent, Journal, TEMPORARY};
use super::key::{self, Job};
use super::place::ENDING;
use super::report::{FailureRecord, JobFacts};
use blake3::Hash;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const MARKER: &str = ".longsight-batch";
const ANSWERS: &str = "answers.jsonl";
const FAILED: &str = "failed.jsonl";
const VIDEOS: &str = "videos";

/// Why the output folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder holds something else
    #[error("{}: is not empty and no output folder of a batch", folder.display())]
    Foreign {
        /// The folder
        folder: PathBuf,
    },
    /// Another batch is writing to it
    #[error("{}: {} is writing to it", folder.display(), holder.as_ref().map_or("another batch".to_owned(), ToString::to_string))]
    Held {
        /// The folder
        folder: PathBuf,
        /// Who; `None` if it has not said so yet
        holder: Option<Holder>,
    },
    /// It holds answers about another video where this one's would be
    #[error("{}: holds answers about {} where those about {} would be", folder.display(), other.display(), path.display())]
    Taken {
        /// The folder
        folder: PathBuf,
        /// The video that was to be asked about
        path: PathBuf,
        /// The video whose answers are there
        other: PathBuf,
    },
    /// The operating system gives no timers
    #[error("the watch over the videos cannot be started: {0}")]
    Watch(io::Error),
    /// It cannot be read or written
    #[error("{}: {source}", path.display())]
    Io {
        /// The file
        path: PathBuf,
        /// Why
        source: io::Error,
    },
}

impl StoreError {
    /// Whether there is no room: a full disk, a quota, a limit on file sizes.
    #[must_use]
    pub fn is_full(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge))
    }
}

/// Who writes to an output folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// `longsight.batch-folder/1`
    schema: String,
    /// Process
    pub pid: u32,
    /// Machine
    pub host: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} on {}", self.pid, self.host)
    }
}

/// What is answered, by slot and by key.
#[derive(Debug, Default)]
struct Index {
    by_slot: HashMap<Hash, (Hash, Extent)>,
    by_key: HashMap<Hash, Extent>,
    /// The newest answer of every place
    by_place: HashMap<String, Extent>,
    lines: usize,
}

/// The part of a line that decides which answer it is.
#[derive(Deserialize)]
struct Line {
    question: String,
    job: JobFacts,
}

impl Index {
    /// Takes note of a line; what is no answer is counted and nothing else.
    fn read(&mut self, line: &[u8], extent: Extent) {
        self.lines += 1;
        let Ok(Line { question, job }) = serde_json::from_slice(line) else { return };
        let Ok(key) = Hash::from_hex(&job.key) else { return };
        self.insert(key::slot(&job.place, &question, &job.choices), key, &job.place, extent);
    }

    fn insert(&mut self, slot: Hash, key: Hash, place: &str, extent: Extent) {
        self.by_slot.insert(slot, (key, extent));
        self.by_key.insert(key, extent);
        self.by_place.insert(place.to_owned(), extent);
    }

    /// The newest line of every slot, in the order of the file.
    fn newest(&self) -> Vec<Extent> {
        let mut extents: Vec<Extent> = self.by_slot.values().map(|&(_, extent)| extent).collect();
        extents.sort_by_key(|extent| extent.at);
        extents
    }
}

/// The output folder of a batch, held by this process as long as this lives.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    answers: Journal,
    index: Index,
    failed: Journal,
    failures: BTreeMap<String, FailureRecord>,
    stale_failures: bool,
    _lock: File,
}

/// Whether a folder is a batch's output.
pub(super) fn is_store(folder: &Path) -> bool {
    folder.join(MARKER).is_file()
}

impl Store {
    /// Makes or opens a folder and takes hold of it; repairs what a killed run left.
    ///
    /// # Errors
    /// When it belongs to something else, another batch holds it, or it cannot be written.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let failed_at = |path: &Path| {
            let path = path.to_path_buf();
            move |source| StoreError::Io { path, source }
        };
        std::fs::create_dir_all(folder).map_err(failed_at(folder))?;
        check_own(folder)?;
        let lock = take(folder)?;
        remove_temporary(folder);
        let (answers_path, failed_path) = (folder.join(ANSWERS), folder.join(FAILED));
        let mut index = Index::default();
        let answers = Journal::open(answers_path.clone(), |line, extent| index.read(line, extent))
            .map_err(failed_at(&answers_path))?;
        let mut failures = Failures::default();
        let failed =
            Journal::open(failed_path.clone(), |line, _| failures.read(line)).map_err(failed_at(&failed_path))?;
        let mut store = Self {
            folder: folder.to_path_buf(),
            answers,
            index,
            failed,
            failures: failures.by_place,
            stale_failures: failures.stale,
            _lock: lock,
        };
        store.tidy()?;
        Ok(store)
    }

    /// What a folder holds, to look at only; nothing if there is no such folder. What is done to it meanwhile is not seen.
    ///
    /// # Errors
    /// When it belongs to something else or cannot be read.
    pub(super) fn peek(folder: &Path) -> Result<Peek, StoreError> {
        if !folder.is_dir() {
            return Ok(Peek::default());
        }
        check_own(folder)?;
        let (mut index, mut failures) = (Index::default(), Failures::default());
        let scan = |name: &str, each: &mut dyn FnMut(&[u8], Extent)| {
            let path = folder.join(name);
            journal::scan(&path, each).map_err(|source| StoreError::Io { path, source })
        };
        scan(ANSWERS, &mut |line, extent| index.read(line, extent))?;
        scan(FAILED, &mut |line, _| failures.read(line))?;
        Ok(Peek { index, failures: failures.by_place })
    }

    /// Refuses videos where there are answers about others that are still there: another input than the folder's.
    ///
    /// # Errors
    /// At the first of them.
    pub fn check(&self, sources: &[Source]) -> Result<(), StoreError> {
        for source in sources {
            let Some(other) = self.owner(&source.place).filter(|other| *other != source.path) else { continue };
            let same = || source.path.canonicalize().ok() == other.canonicalize().ok();
            if other.exists() && !same() {
                let (folder, path) = (self.folder.clone(), source.path.clone());
                return Err(StoreError::Taken { folder, path, other });
            }
        }
        Ok(())
    }

    /// The video that the answers at `place` are about.
    fn owner(&self, place: &str) -> Option<PathBuf> {
        let line = self.answers.read(*self.index.by_place.get(place)?).ok()?;
        let record: serde_json::Value = serde_json::from_slice(&line).ok()?;
        Some(PathBuf::from(record.pointer("/video/path")?.as_str()?))
    }

    /// Whether a job has its answer.
    #[must_use]
    pub fn is_done(&self, job: &Job) -> bool {
        self.index.by_slot.get(&job.slot).is_some_and(|(key, _)| *key == job.key)
    }

    /// How the same attempt on the video at `place` failed before.
    pub(super) fn failed(&self, place: &str, attempt: &Hash) -> Option<&FailureRecord> {
        failed(&self.failures, place, attempt)
    }

    /// The answer to the same job about a copy of the video, as a line for this one.
    pub(super) fn recall(&self, job: &Job, place: &str, path: &str) -> Option<Vec<u8>> {
        let line = self.answers.read(*self.index.by_key.get(&job.key)?).ok()?;
        let mut record: serde_json::Value = serde_json::from_slice(&line).ok()?;
        *record.pointer_mut("/video/path")? = path.into();
        *record.pointer_mut("/job/place")? = place.into();
        line_of(&record)
    }

    /// Adds answers about the video at `place`, one line each, in one write.
    ///
    /// # Errors
    /// When they cannot be written; then none of them is.
    pub(super) fn add(&mut self, place: &str, answers: &[(Job, Vec<u8>)]) -> Result<(), StoreError> {
        if answers.is_empty() {
            return Ok(());
        }
        let lines: Vec<u8> = answers.iter().flat_map(|(_, line)| line).copied().collect();
        let mut at = self.answers.append(&lines).map_err(|source| self.io(ANSWERS, source))?;
        for (job, line) in answers {
            self.index.insert(job.slot, job.key, place, Extent { at, length: line.len() });
            self.index.lines += 1;
            at += line.len() as u64;
        }
        Ok(())
    }

    /// Writes the answers to `jobs` to the video's own file, unless they stand there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn mirror(&self, place: &str, jobs: &[Job]) -> Result<(), StoreError> {
        let mut lines = Vec::new();
        for (_, extent) in jobs.iter().filter_map(|job| self.index.by_slot.get(&job.slot)) {
            lines.extend(self.answers.read(*extent).map_err(|source| self.io(ANSWERS, source))?);
        }
        let relative = format!("{VIDEOS}/{place}{ENDING}");
        let failed = |source| self.io(&relative, source);
        let path = self.folder.join(&relative);
        self.make_folders(&relative).map_err(failed)?;
        let there = std::fs::symlink_metadata(&path).is_ok_and(|facts| facts.is_file());
        if there && std::fs::read(&path).is_ok_and(|content| content == lines) {
            return Ok(());
        }
        journal::replace(&path, |out| out.write_all(&lines)).map_err(failed)
    }

    /// Makes the folders above `relative`; a link in their place is refused, as what is behind it lies elsewhere.
    fn make_folders(&self, relative: &str) -> io::Result<()> {
        for (at, _) in relative.match_indices('/') {
            let folder = self.folder.join(&relative[..at]);
            match std::fs::symlink_metadata(&folder) {
                Ok(facts) if facts.is_dir() => {}
                Ok(_) => return Err(io::Error::other(format!("{} is no folder", folder.display()))),
                Err(_) => std::fs::create_dir(&folder)?,
            }
        }
        Ok(())
    }

    /// Writes a failure down.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn fail(&mut self, record: FailureRecord) -> Result<(), StoreError> {
        if let Some(line) = line_of(&record) {
            self.failed.append(&line).map_err(|source| self.io(FAILED, source))?;
        }
        self.stale_failures |= self.failures.insert(record.place.clone(), record).is_some();
        Ok(())
    }

    /// The video at `place` no longer fails.
    pub(super) fn forgive(&mut self, place: &str) {
        self.stale_failures |= self.failures.remove(place).is_some();
    }

    /// Leaves one line for each answer and each failure: what was answered anew or no longer fails goes.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn tidy(&mut self) -> Result<(), StoreError> {
        let newest = self.index.newest();
        if newest.len() != self.index.lines {
            self.answers.keep(&newest).map_err(|source| self.io(ANSWERS, source))?;
            let mut index = Index::default();
            let path = self.folder.join(ANSWERS);
            journal::scan(&path, |line, extent| index.read(line, extent)).map_err(|source| self.io(ANSWERS, source))?;
            self.index = index;
        }
        if self.stale_failures {
            let lines: Vec<u8> = self.failures.values().filter_map(line_of).flatten().collect();
            self.failed.rewrite(&lines).map_err(|source| self.io(FAILED, source))?;
            self.stale_failures = false;
        }
        Ok(())
    }

    fn io(&self, name: &str, source: io::Error) -> StoreError {
        StoreError::Io { path: self.folder.join(name), source }
    }
}

/// A look at an output folder.
#[derive(Debug, Default)]
pub(super) struct Peek {
    index: Index,
    failures: BTreeMap<String, FailureRecord>,
}

impl Peek {
    /// As [`Store::is_done`].
    pub(super) fn is_done(&self, job: &Job) -> bool {
        self.index.by_slot.get(&job.slot).is_some_and(|(key, _)| *key == job.key)
    }

    /// Whether another file's answer will be taken over.
    pub(super) fn is_known(&self, job: &Job) -> bool {
        self.index.by_key.contains_key(&job.key)
    }

    /// As [`Store::failed`].
    pub(super) fn failed(&self, place: &str, attempt: &Hash) -> Option<&FailureRecord> {
        failed(&self.failures, place, attempt)
    }
}

fn failed<'a>(failures: &'a BTreeMap<String, FailureRecord>, place: &str, attempt: &Hash) -> Option<&'a FailureRecord> {
    failures.get(place).filter(|record| record.attempt.as_deref() == Some(attempt.to_hex().as_str()))
}

/// The failures of a journal: the last one of each place counts.
#[derive(Default)]
struct Failures {
    by_place: BTreeMap<String, FailureRecord>,
    stale: bool,
}

impl Failures {
    fn read(&mut self, line: &[u8]) {
        match serde_json::from_slice::<FailureRecord>(line) {
            Ok(record) => self.stale |= self.by_place.insert(record.place.clone(), record).is_some(),
            Err(_) => self.stale = true,
        }
    }
}

/// One line of JSON; `None` only for what cannot be JSON.
pub(super) fn line_of<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    let mut line = serde_json::to_vec(value).ok()?;
    line.push(b'\n');
    Some(line)
}

/// Refuses a folder that holds something and is not marked as a batch's.
fn check_own(folder: &Path) -> Result<(), StoreError> {
    let io = |source| StoreError::Io { path: folder.to_path_buf(), source };
    let empty = std::fs::read_dir(folder).map_err(io)?.next().is_none();
    if empty || is_store(folder) { Ok(()) } else { Err(StoreError::Foreign { folder: folder.to_path_buf() }) }
}

/// Locks the marker and says in it who did. The lock goes with the process, however that ends.
fn take(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(MARKER);
    let io = |source| StoreError::Io { path: path.clone(), source };
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false).custom_flags(libc::O_NOFOLLOW);
    let mut file = options.open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let read = file.read_to_string(&mut text);
            let holder = read.ok().and_then(|_| serde_json::from_str(&text).ok());
            return Err(StoreError::Held { folder: folder.to_path_buf(), holder });
        }
        Err(TryLockError::Error(source)) => return Err(io(source)),
    }
    let holder = Holder {
        schema: "longsight.batch-folder/1".to_owned(),
        pid: std::process::id(),
        host: sysinfo::System::host_name().unwrap_or_else(|_| "this machine".to_owned()),
    };
    file.set_len(0).and_then(|()| file.rewind()).map_err(io)?;
    file.write_all(&line_of(&holder).unwrap_or_default()).map_err(io)?;
    Ok(file)
}

/// Deletes what a killed run was about to rename, here and below.
fn remove_temporary(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_file() && entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            // One that stays is in nobody's way.
            let _ = std::fs::remove_file(entry.path());
        } else if kind.is_dir() {
            remove_temporary(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::run::Question;

    fn job(place: &str, question: &str, content: &str) -> Job {
        let key = blake3::hash(format!("{question} {content}").as_bytes());
        Job { question: Question::from(question), slot: key::slot(place, question, &[]), key }
    }

    fn line(place: &str, job: &Job, answer: &str) -> Vec<u8> {
        let facts = serde_json::json!({"key": job.key.to_hex().as_str(), "place": place, "choices": []});
        line_of(&serde_json::json!({
            "video": {"path": place}, "question": job.question.text, "answer": answer, "job": facts,
        }))
        .unwrap()
    }

    fn answers(folder: &Path) -> String {
        std::fs::read_to_string(folder.join(ANSWERS)).unwrap()
    }

    #[test]
    fn an_answer_is_found_again_and_a_newer_one_takes_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new, other) = (job("a", "q", "1"), job("a", "q", "2"), job("b", "q", "1"));
        let mut store = Store::open(folder.path()).unwrap();
        store.add("a", &[(old.clone(), line("a", &old, "old"))]).unwrap();
        assert!(store.is_done(&old) && !store.is_done(&new) && !store.is_done(&other));
        let copied = store.recall(&other, "b", "in/b").unwrap();
        store.add("b", &[(other.clone(), copied)]).unwrap();
        store.add("a", &[(new.clone(), line("a", &new, "new"))]).unwrap();
        drop(store);
        let store = Store::open(folder.path()).unwrap();
        assert!(store.is_done(&new) && store.is_done(&other) && !store.is_done(&old));
        let text = answers(folder.path());
        assert_eq!(text.lines().count(), 2);
        assert!(text.contains("in/b") && text.contains("new"), "{text}");
        assert_eq!(store.peeked().len(), 2);
    }

    impl Store {
        fn peeked(&self) -> Vec<Extent> {
            Self::peek(&self.folder).unwrap().index.newest()
        }
    }

    #[test]
    fn lines_that_are_no_answers_are_dropped_and_the_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (job("a", "1", "x"), job("a", "2", "x"));
        Store::open(folder.path()).unwrap().add("a", &[(one.clone(), line("a", &one, "first"))]).unwrap();
        let torn = line("a", &two, "second");
        let mut file = OpenOptions::new().append(true).open(folder.path().join(ANSWERS)).unwrap();
        file.write_all(b"{\"no\": \"answer\"}\n\0\0\0\n").unwrap();
        file.write_all(&torn[..torn.len() / 2]).unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        assert!(store.is_done(&one) && !store.is_done(&two));
        store.add("a", &[(two.clone(), torn)]).unwrap();
        store.mirror("a", &[two, one]).unwrap();
        assert_eq!(answers(folder.path()).lines().count(), 2);
        let own = std::fs::read_to_string(folder.path().join("videos/a.jsonl")).unwrap();
        assert!(own.lines().next().unwrap().contains("second"), "in the order of the questions: {own}");
    }

    #[test]
    fn only_one_holds_a_folder_and_the_other_is_told_who() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let error = Store::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        drop(store);
        Store::open(folder.path()).unwrap();
    }

    #[test]
    fn a_foreign_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("thesis.tex"), "x").unwrap();
        assert!(matches!(Store::open(folder.path()), Err(StoreError::Foreign { .. })));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn outputs_do_not_follow_links_out_of_the_folder() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Store::open(folder.path()).unwrap();
        std::fs::create_dir(folder.path().join(VIDEOS)).unwrap();
        std::os::unix::fs::symlink(other.path(), folder.path().join("videos/a")).unwrap();
        assert!(store.mirror("a/b.mp4", &[]).is_err());
        assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_failure_stands_until_it_is_forgiven() {
        let folder = tempfile::tempdir().unwrap();
        let attempt = blake3::hash(b"x");
        let record = |place: &str| FailureRecord {
            schema: "longsight.failure/1".into(),
            video: place.into(),
            place: place.into(),
            attempt: Some(attempt.to_hex().to_string()),
            stage: super::super::Stage::Open,
            code: "input".into(),
            message: String::new(),
            hint: String::new(),
            retryable: false,
            left_behind: false,
            command: String::new(),
        };
        let mut store = Store::open(folder.path()).unwrap();
        for place in ["a", "b", "a"] {
            store.fail(record(place)).unwrap();
        }
        drop(store);
        let mut store = Store::open(folder.path()).unwrap();
        assert!(store.failed("a", &attempt).is_some() && store.failed("c", &attempt).is_none());
        assert!(store.failed("a", &blake3::hash(b"y")).is_none(), "another attempt");
        store.forgive("a");
        store.tidy().unwrap();
        let left = std::fs::read_to_string(folder.path().join(FAILED)).unwrap();
        assert!(left.lines().count() == 1 && left.contains("\"b\""), "{left}");
    }

    #[test]
    fn what_a_killed_run_left_is_deleted() {
        let folder = tempfile::tempdir().unwrap();
        drop(Store::open(folder.path()).unwrap());
        let deep = folder.path().join("videos/a/b");
        std::fs::create_dir_all(&deep).unwrap();
        let left = [folder.path().join(format!("{TEMPORARY}1")), deep.join(format!("{TEMPORARY}2"))];
        left.iter().for_each(|path| std::fs::write(path, "half").unwrap());
        Store::open(folder.path()).unwrap();
        assert!(left.iter().all(|path| !path.exists()));
    }
}
