//! The output folder: who holds it, what is answered, what failed.
//!
//! ```text
//! OUT/.longsight-batch   whose folder this is; locked while a batch runs
//!     answers.jsonl      one answer a line
//!     failed.jsonl       one line for each video that failed
//!     videos/a/b.mp4.jsonl   the answers about a/b.mp4
//! ```
//! `answers.jsonl` alone decides what is done; everything else can be made from it.

mod folder;
mod known;

pub use folder::Holder;
pub(super) use folder::is_store;
pub(super) use known::{Failures, Index};

use super::gather::Source;
use super::journal::{self, Extent, Journal};
use super::key::Job;
use super::place::ENDING;
use super::report::FailureRecord;
use serde::Serialize;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

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

/// The output folder of a batch, held by this process as long as this lives.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    answers: Journal,
    index: Index,
    failed: Journal,
    failures: Failures,
    _lock: File,
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
        folder::check_own(folder)?;
        let lock = folder::take(folder)?;
        folder::remove_temporary(folder);
        let (answers_path, failed_path) = (folder.join(ANSWERS), folder.join(FAILED));
        let mut index = Index::default();
        let answers = Journal::open(answers_path.clone(), |line, extent| index.read(line, extent))
            .map_err(failed_at(&answers_path))?;
        let mut failures = Failures::default();
        let failed =
            Journal::open(failed_path.clone(), |line, _| failures.read(line)).map_err(failed_at(&failed_path))?;
        let mut store = Self { folder: folder.to_path_buf(), answers, index, failed, failures, _lock: lock };
        store.tidy()?;
        Ok(store)
    }

    /// What a folder holds, to look at only; nothing if there is no such folder. What is done to it meanwhile is not seen.
    ///
    /// # Errors
    /// When it belongs to something else or cannot be read.
    pub(super) fn peek(folder: &Path) -> Result<(Index, Failures), StoreError> {
        let (mut index, mut failures) = (Index::default(), Failures::default());
        if !folder.is_dir() {
            return Ok((index, failures));
        }
        folder::check_own(folder)?;
        let scan = |name: &str, each: &mut dyn FnMut(&[u8], Extent)| {
            let path = folder.join(name);
            journal::scan(&path, each).map_err(|source| StoreError::Io { path, source })
        };
        scan(ANSWERS, &mut |line, extent| index.read(line, extent))?;
        scan(FAILED, &mut |line, _| failures.read(line))?;
        Ok((index, failures))
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
        let line = self.answers.read(self.index.at(place)?).ok()?;
        let record: serde_json::Value = serde_json::from_slice(&line).ok()?;
        Some(PathBuf::from(record.pointer("/video/path")?.as_str()?))
    }

    /// What is answered.
    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    /// What failed.
    pub(super) fn failures(&self) -> &Failures {
        &self.failures
    }

    /// The answer to the same job about a copy of the video, as a line for this one.
    pub(super) fn recall(&self, job: &Job, place: &str, path: &str) -> Option<Vec<u8>> {
        let line = self.answers.read(self.index.known(job)?).ok()?;
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
        for extent in jobs.iter().filter_map(|job| self.index.current(job)) {
            lines.extend(self.answers.read(extent).map_err(|source| self.io(ANSWERS, source))?);
        }
        self.write_own(place, &lines)
    }

    /// Drops the answers about what else was at `place` before; `content` is the fingerprint of what is there now, empty if that cannot
    /// be a video.
    ///
    /// # Errors
    /// When what is left cannot be read or written.
    pub(super) fn outdate(&mut self, place: &str, content: &str) -> Result<(), StoreError> {
        let (mut left, mut dropped) = (Vec::new(), false);
        for (slot, extent) in self.index.all_at(place) {
            let line = self.answers.read(extent).map_err(|source| self.io(ANSWERS, source))?;
            let about = serde_json::from_slice::<serde_json::Value>(&line).ok();
            let about = about.as_ref().and_then(|line| line.pointer("/video/fingerprint")?.as_str());
            if about == Some(content) {
                left.extend(line);
            } else {
                self.index.forget(place, &slot);
                dropped = true;
            }
        }
        if !dropped {
            return Ok(());
        }
        if !left.is_empty() {
            return self.write_own(place, &left);
        }
        match std::fs::remove_file(self.folder.join(own(place))) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(self.io(&own(place), source)),
            _ => Ok(()),
        }
    }

    /// Writes the video's own file, unless it stands there.
    fn write_own(&self, place: &str, lines: &[u8]) -> Result<(), StoreError> {
        let relative = own(place);
        let failed = |source| self.io(&relative, source);
        let path = self.folder.join(&relative);
        self.make_folders(&relative).map_err(failed)?;
        let there = std::fs::symlink_metadata(&path).is_ok_and(|facts| facts.is_file());
        if there && std::fs::read(&path).is_ok_and(|content| content == lines) {
            return Ok(());
        }
        journal::replace(&path, |out| out.write_all(lines)).map_err(failed)
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
        self.failures.insert(record);
        Ok(())
    }

    /// The video at `place` no longer fails.
    pub(super) fn forgive(&mut self, place: &str) {
        self.failures.remove(place);
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
        if self.failures.stale {
            self.failed.rewrite(&self.failures.lines()).map_err(|source| self.io(FAILED, source))?;
            self.failures.stale = false;
        }
        Ok(())
    }

    fn io(&self, name: &str, source: io::Error) -> StoreError {
        StoreError::Io { path: self.folder.join(name), source }
    }
}

/// Where the answers about the video at `place` stand, below the folder.
fn own(place: &str) -> String {
    format!("{VIDEOS}/{place}{ENDING}")
}

/// One line of JSON; `None` only for what cannot be JSON.
pub(super) fn line_of<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    let mut line = serde_json::to_vec(value).ok()?;
    line.push(b'\n');
    Some(line)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::{journal::TEMPORARY, key};
    use super::*;
    use crate::run::Question;
    use std::fs::OpenOptions;
    use std::io::Write;

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
        assert!(store.index.is_done(&old) && !store.index.is_done(&new) && !store.index.is_done(&other));
        let copied = store.recall(&other, "b", "in/b").unwrap();
        store.add("b", &[(other.clone(), copied)]).unwrap();
        store.add("a", &[(new.clone(), line("a", &new, "new"))]).unwrap();
        drop(store);
        let store = Store::open(folder.path()).unwrap();
        assert!(store.index.is_done(&new) && store.index.is_done(&other) && !store.index.is_done(&old));
        let text = answers(folder.path());
        assert_eq!(text.lines().count(), 2);
        assert!(text.contains("in/b") && text.contains("new"), "{text}");
        assert_eq!(Store::peek(folder.path()).unwrap().0.newest().len(), 2);
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
        assert!(store.index.is_done(&one) && !store.index.is_done(&two));
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
            stage: crate::batch::Stage::Open,
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
        assert!(store.failures.of("a", &attempt).is_some() && store.failures.of("c", &attempt).is_none());
        assert!(store.failures.of("a", &blake3::hash(b"y")).is_none(), "another attempt");
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
