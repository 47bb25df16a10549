//! Videos that are still being written: which of them are due to be read, and how much of each is new.
//!
//! A video that grows is read part by part as its parts become whole; when nobody has written to it for a while, it is read as a whole too. What
//! is kept of a part is known by the whole file's content, as everything in the index is: when the file has only grown behind what was
//! hashed, the part is the same and gets the new content's key. A file whose beginning changed, as some containers' headers do when the
//! recording ends, is read anew.

use super::looker::Looker;
use super::reading::{Indexed, parts, parts_of, read, strs};
use super::{Cancel, Job, Model, RunError, Sink};
use crate::decode::Feed;
use crate::index::{IndexError, Key, Shelf, State};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// How a growing video is followed.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// A video that has not been written to for so long is complete
    pub settle: Duration,
    /// A video that is being written is looked at so often
    pub every: Duration,
}

/// A video that is to be read now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Which
    pub path: PathBuf,
    /// Whether it seems to be complete, and is read as a whole
    pub complete: bool,
}

/// What is known of the videos that are followed.
#[derive(Debug)]
pub struct Follower {
    pace: Pace,
    videos: HashMap<PathBuf, Followed>,
}

#[derive(Debug)]
struct Followed {
    stamp: Stamp,
    /// When it was last seen to change
    changed: Instant,
    /// When it was last due
    read: Option<Instant>,
    /// What it was when it was last due, and whether as a whole
    done: Option<(Stamp, bool)>,
}

/// Length and time of the last writing.
type Stamp = (u64, Option<SystemTime>);

impl Follower {
    /// Of no videos yet.
    #[must_use]
    pub fn new(pace: Pace) -> Self {
        Self { pace, videos: HashMap::new() }
    }

    /// Of these videos, those that are due; each once for each state. `last` says that there will be no other time, so that
    /// what has changed is due whether it is complete or not.
    pub fn due<'p>(&mut self, paths: impl Iterator<Item = &'p Path>, now: Instant, last: bool) -> Vec<Due> {
        paths.filter_map(|path| self.look(path, stamp(path)?, now, last)).collect()
    }

    fn look(&mut self, path: &Path, stamp: Stamp, now: Instant, last: bool) -> Option<Due> {
        let Pace { settle, every } = self.pace;
        // What was there before this began may have been complete for long.
        let age = stamp.1.and_then(|written| written.elapsed().ok()).unwrap_or_default();
        let first = || Followed { stamp, changed: now.checked_sub(age).unwrap_or(now), read: None, done: None };
        let video = self.videos.entry(path.to_path_buf()).or_insert_with(first);
        if video.stamp != stamp {
            (video.stamp, video.changed) = (stamp, now);
        }
        let complete = last || now.duration_since(video.changed) >= settle;
        let rested = video.read.is_none_or(|read| now.duration_since(read) >= every);
        let new = video.done != Some((stamp, true)) && (complete || video.done.is_none_or(|(done, _)| done != stamp));
        if stamp.0 == 0 || !new || !(complete || rested) {
            return None;
        }
        (video.read, video.done) = (Some(now), Some((stamp, complete)));
        Some(Due { path: path.to_path_buf(), complete })
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let facts = std::fs::metadata(path).ok()?;
    facts.is_file().then(|| (facts.len(), facts.modified().ok()))
}

/// What the index has of a growing video.
#[derive(Debug, Default)]
pub struct Growth {
    state: Option<State>,
    /// What was read of it in that state, by this process
    own: HashSet<Key>,
}

/// Reads what is new of a video: the parts that are whole, and if it is `complete`, the last one and the video as a whole, which then comes
/// first.
///
/// # Errors
/// As [`super::index`]; among others when the video was written to meanwhile.
#[expect(clippy::too_many_arguments, reason = "as `index`, and what it knows from before")]
pub fn grow(
    model: &Model,
    feed: &Feed,
    job: &Job<'_>,
    shelf: &Shelf<'_>,
    growth: &mut Growth,
    complete: bool,
    cancel: &Cancel,
    sink: &mut Sink<'_>,
) -> Result<Vec<Indexed>, RunError> {
    let looker = Looker::new(model, feed, &Job { index: None, ..*job }, cancel);
    let mut looks: Vec<_> = parts_of(&looker)?.into_iter().map(|(_, options)| options).collect();
    if complete {
        looks.insert(0, job.options.clone());
    } else {
        // Its end moves.
        looks.pop();
    }
    let (mut old, mut own) = (std::mem::take(&mut growth.own), HashSet::new());
    if let Some(state) = &growth.state
        && shelf.has_grown(state)?
    {
        for options in &looks {
            let parts = parts(model, &looker.plan(options)?).ok_or(RunError::NotIndexed)?;
            let (before, now) = (shelf.key_of(state, &strs(&parts)), shelf.key(&strs(&parts))?);
            if old.contains(&before) && shelf.store.rename(&before, &now)? {
                old.remove(&before);
                own.insert(now);
            }
        }
    }
    let state = shelf.state()?;
    growth.state = Some(state.clone());
    // What is left is of a file that is no more.
    forget(shelf, old.difference(&own))?;
    growth.own = own;
    let mut done = Vec::with_capacity(looks.len());
    for options in &looks {
        let read = read(&looker, options, shelf, sink)?;
        if !read.known {
            growth.own.insert(read.key.clone());
        }
        done.push(read);
    }
    // It may have grown while it was read, but not otherwise.
    if !shelf.has_grown(&state)? {
        forget(shelf, growth.own.iter())?;
        *growth = Growth::default();
        return Err(IndexError::Changed { path: feed.path().to_path_buf() }.into());
    }
    Ok(done)
}

fn forget<'k>(shelf: &Shelf<'_>, keys: impl Iterator<Item = &'k Key>) -> Result<(), RunError> {
    for key in keys {
        shelf.store.forget(key)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_growing_video_is_due_now_and_then_and_when_it_is_complete() {
        let mut follower = Follower::new(Pace { settle: 3 * SECOND, every: 10 * SECOND });
        let (path, start) = (Path::new("film"), Instant::now());
        let mut look = |second: u32, length: u64| {
            let written = SystemTime::now();
            follower.look(path, (length, Some(written)), start + second * SECOND, false).map(|due| due.complete)
        };
        assert_eq!(look(0, 0), None, "nothing is there yet");
        assert_eq!(look(1, 10), Some(false));
        assert_eq!(look(2, 20), None, "it was just read");
        assert_eq!(look(12, 30), Some(false));
    }

    #[test]
    fn a_state_is_due_once() {
        let mut follower = Follower::new(Pace { settle: 3 * SECOND, every: 10 * SECOND });
        let (path, start, stamp) = (Path::new("film"), Instant::now(), (10, Some(SystemTime::now())));
        let mut look =
            |second: u32, last: bool| follower.look(path, stamp, start + second * SECOND, last).map(|due| due.complete);
        assert_eq!(look(0, false), Some(false));
        assert_eq!(look(1, false), None);
        assert_eq!(look(4, false), Some(true), "nobody writes to it any more");
        assert_eq!(look(60, false), None);
        assert_eq!(look(61, true), None, "it was read as a whole");
    }

    #[test]
    fn what_was_there_for_long_is_complete_at_once_and_the_end_waits_for_nothing() {
        let mut follower = Follower::new(Pace { settle: 3 * SECOND, every: 10 * SECOND });
        let now = Instant::now();
        let old = (10, SystemTime::now().checked_sub(60 * SECOND));
        let due = follower.look(Path::new("old"), old, now, false);
        assert_eq!(due.map(|due| due.complete), Some(true));
        let new = (10, Some(SystemTime::now()));
        assert_eq!(follower.look(Path::new("new"), new, now, true).map(|due| due.complete), Some(true));
    }
}
