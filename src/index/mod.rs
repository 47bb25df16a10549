//! What is kept of a video between questions?
//!
//! Comes in: what was seen of a video, and the keys and values of the part of its prompts that all questions share. Goes out: the same,
//! later, in another process. Never: anything for a key that is not exactly the same: the file's whole content, the model, how it was
//! looked at, and this format.
//!
//! An entry is a folder named by its [`Key`]. It is written beside its place and renamed into it, so that there is a whole entry or none, whoever
//! else writes; two writers of one key write the same, and the second goes away. Readers need no lock: a folder that was
//! taken away under them is an entry that is not there.

mod entry;
mod known;
mod kv;
mod sections;

pub use entry::{Cut, Kept, KeptFrame, Pieces, Prompt, Reading};
pub use kv::KvFormat;

use longsight_models::ModelError;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

/// Changes when what an entry holds, or means, does.
pub const FORMAT: &str = "longsight.index-entry/4";
/// Letters of a video's fingerprint in front of the names of its entries.
const FAMILY: usize = 16;
/// The file that makes a folder an entry; its time is when the entry was last used.
const ENTRY: &str = "entry.json";

/// Why the index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The folder or a file in it
    #[error("{}: {source}", path.display())]
    Io {
        /// Which
        path: PathBuf,
        /// Why
        source: io::Error,
    },
    /// An entry that is not what was written
    #[error("{}: {message}", path.display())]
    Damaged {
        /// Which
        path: PathBuf,
        /// What is wrong with it
        message: String,
    },
    /// A video that was written to while it was read
    #[error("{}: changed while it was read", path.display())]
    Changed {
        /// The video
        path: PathBuf,
    },
    /// Tensors that cannot be written or read
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The same
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// What an entry is of; 256 bits, so that two videos never share one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(String);

impl Key {
    /// The key of some content read in one way: `parts` are everything else that makes a difference. `family` stands in front, so that a
    /// look at the folder tells whether anything is kept of a video at all.
    fn of(family: &str, content: &blake3::Hash, parts: &[&str]) -> Self {
        let mut key = blake3::Hasher::new();
        key.update(content.as_bytes());
        for part in [FORMAT, env!("CARGO_PKG_VERSION")].iter().chain(parts) {
            // Lengths first: no two lists of parts read alike.
            key.update(&(part.len() as u64).to_le_bytes());
            key.update(part.as_bytes());
        }
        Self(format!("{family}-{}", key.finalize().to_hex()))
    }

    /// The beginning of the video's fingerprint, and 256 bits in hex.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// How a video's content is known to be what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trust {
    /// A file that the system says has not been touched since it was last read whole (device, inode, length, times of writing and of
    /// change, the last of which no program can set) need not be read again
    #[default]
    System,
    /// Its bytes alone
    Bytes,
}

/// What a growing video was at some time.
#[derive(Debug, Clone)]
pub struct State {
    family: String,
    content: blake3::Hash,
    length: u64,
}

/// What is kept of one video, whose content is read for its keys once and only when a key is asked for.
#[derive(Debug)]
pub struct Shelf<'s> {
    /// Where it is
    pub store: &'s Store,
    video: PathBuf,
    family: String,
    /// What the system said of the file when this was made
    facts: Option<known::Facts>,
    /// Whether the video may grow behind what it was when this was made
    grows: bool,
    /// Whether something was put on it
    filled: AtomicBool,
    content: OnceLock<blake3::Hash>,
}

impl Shelf<'_> {
    /// Whether anything may be kept of the video: told by its fingerprint, without reading all of it.
    #[must_use]
    pub fn holds_any(&self) -> bool {
        let names = self.store.below().unwrap_or_default();
        names.iter().filter_map(|path| path.file_name()?.to_str()).any(|name| name.starts_with(&self.family))
    }

    /// The key of the video read in one way: `parts` are everything besides its content that makes a difference.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn key(&self, parts: &[&str]) -> Result<Key, IndexError> {
        Ok(Key::of(&self.family, &self.content()?, parts))
    }

    /// The hash of the video's whole content.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn content(&self) -> Result<blake3::Hash, IndexError> {
        if let Some(content) = self.content.get() {
            return Ok(*content);
        }
        let content = match self.facts.filter(|_| self.grows) {
            Some(facts) => known::beginning(&self.video, facts.length()),
            None => known::content(&self.store.root, &self.video, self.store.trust).map(Some),
        };
        let content = content.map_err(|source| IndexError::Io { path: self.video.clone(), source })?;
        let content = content.ok_or_else(|| IndexError::Changed { path: self.video.clone() })?;
        Ok(*self.content.get_or_init(|| content))
    }

    /// The same of a video that may grow meanwhile: it is known by what it was when this was made, and whoever reads it sees to it that
    /// this is still its beginning ([`Shelf::has_grown`]).
    #[must_use]
    pub fn growing(self) -> Self {
        Self { grows: true, ..self }
    }

    /// The key of another state of the video, read in one way.
    #[must_use]
    pub fn key_of(&self, state: &State, parts: &[&str]) -> Key {
        Key::of(&state.family, &state.content, parts)
    }

    /// What the video is now.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn state(&self) -> Result<State, IndexError> {
        let length = self.facts.map_or(0, |facts| facts.length());
        Ok(State { family: self.family.clone(), content: self.content()?, length })
    }

    /// Whether the video has only grown since it was in this state: its first bytes are the same.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn has_grown(&self, state: &State) -> Result<bool, IndexError> {
        let begins = known::beginning(&self.video, state.length);
        let begins = begins.map_err(|source| IndexError::Io { path: self.video.clone(), source })?;
        Ok(begins == Some(state.content))
    }

    /// Keeps what was seen of the video, unless it was written to since it was put on this shelf.
    ///
    /// # Errors
    /// When it was written to, or cannot be kept; nothing is left of it then.
    pub fn put(&self, key: &Key, kept: &Kept, pieces: &[(Cut, Pieces)]) -> Result<(), IndexError> {
        if !self.grows && known::touched(&self.video, self.facts) {
            return Err(IndexError::Changed { path: self.video.clone() });
        }
        self.filled.store(true, Ordering::Relaxed);
        self.store.put(key, kept, pieces)
    }

    /// Keeps the index as small as it should be, if something was put on this shelf; gives what had to go.
    ///
    /// # Errors
    /// When something cannot be taken away.
    pub fn tidy(&self) -> Result<Vec<Listed>, IndexError> {
        if self.filled.swap(false, Ordering::Relaxed) { self.store.prune(self.store.most) } else { Ok(Vec::new()) }
    }
}

/// One entry, as `index --list` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Listed {
    /// Its key
    pub key: String,
    /// The video, as it was called then
    pub video: String,
    /// First second of what was looked at
    pub from: f64,
    /// First second behind it
    pub to: f64,
    /// How keys and values are kept; null if they are not, as of closer looks
    pub kv: Option<KvFormat>,
    /// The model that read it
    pub model: String,
    /// Bytes on disk
    pub bytes: u64,
    /// Seconds since it was last used
    pub idle_s: u64,
}

/// The entries below a folder.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    trust: Trust,
    most: u64,
}

impl Store {
    /// The index in `root`, which need not exist yet.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self { root, trust: Trust::default(), most: u64::MAX }
    }

    /// The same, with another way to know that a video is what it was.
    #[must_use]
    pub fn trusting(self, trust: Trust) -> Self {
        Self { trust, ..self }
    }

    /// The same, no larger than so many bytes: the least recently used goes when there is more.
    #[must_use]
    pub fn limited(self, most: u64) -> Self {
        Self { most, ..self }
    }

    /// What is kept of the video in a file of this fingerprint ([`crate::decode::fingerprint`]).
    #[must_use]
    pub fn shelf(&self, video: &Path, fingerprint: &str) -> Shelf<'_> {
        let facts = known::facts_of(video);
        Shelf {
            store: self,
            video: video.to_path_buf(),
            family: family(fingerprint),
            facts,
            grows: false,
            filled: AtomicBool::new(false),
            content: OnceLock::new(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What is kept under a key; `None` if nothing is. Counts as a use.
    ///
    /// # Errors
    /// When there is an entry that is not what was written.
    pub fn get(&self, key: &Key) -> Result<Option<Kept>, IndexError> {
        let folder = self.folder(key.name());
        let kept = Kept::read(&folder)?;
        if kept.is_some() {
            // An index that cannot be written to still serves.
            let _ = fs::File::open(folder.join(ENTRY)).and_then(|file| file.set_modified(SystemTime::now()));
        }
        Ok(kept)
    }

    /// Whether something is kept under a key and is what was written; what is damaged is taken away, so that it can be made again.
    ///
    /// # Errors
    /// When what is damaged cannot be taken away.
    pub fn holds(&self, key: &Key) -> Result<bool, IndexError> {
        match Kept::check(&self.folder(key.name())) {
            Ok(there) => Ok(there),
            Err(error) => {
                tracing::warn!("made again: {error}");
                self.remove(key.name())?;
                Ok(false)
            }
        }
    }

    /// Gives what is kept under one key another: for a video that has grown behind what was looked at. `false` if there is nothing.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn rename(&self, old: &Key, new: &Key) -> Result<bool, IndexError> {
        let (from, to) = (self.folder(old.name()), self.folder(new.name()));
        match fs::rename(&from, &to) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(_) if to.join(ENTRY).is_file() => Ok(true),
            Err(source) => Err(IndexError::Io { path: from, source }),
        }
    }

    /// Keeps something, unless the same is kept already.
    ///
    /// # Errors
    /// When it cannot be written; nothing is left of it then.
    pub fn put(&self, key: &Key, kept: &Kept, pieces: &[(Cut, Pieces)]) -> Result<(), IndexError> {
        let io = |path: &Path| {
            let path = path.to_path_buf();
            move |source| IndexError::Io { path, source }
        };
        fs::create_dir_all(&self.root).map_err(io(&self.root))?;
        let temporary = tempfile::Builder::new().prefix(".new-").tempdir_in(&self.root).map_err(io(&self.root))?;
        kept.write(pieces, temporary.path())?;
        let place = self.folder(key.name());
        match fs::rename(temporary.path(), &place) {
            // What was renamed is not there to be cleaned up.
            Ok(()) => drop(temporary.keep()),
            // Somebody else was faster.
            Err(_) if place.join(ENTRY).is_file() => {}
            Err(source) => return Err(IndexError::Io { path: place, source }),
        }
        fs::File::open(&self.root).and_then(|folder| folder.sync_all()).map_err(io(&self.root))
    }

    /// Everything that is kept, the least recently used first.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>, IndexError> {
        let mut listed: Vec<Listed> = self.folders()?.iter().filter_map(|folder| Listed::of(folder)).collect();
        listed.sort_by(|a, b| b.idle_s.cmp(&a.idle_s).then(a.key.cmp(&b.key)));
        Ok(listed)
    }

    /// Takes away the least recently used entries until the rest is at most `most` bytes, and what broken writers left behind;
    /// gives what it took.
    ///
    /// # Errors
    /// When something cannot be taken away.
    pub fn prune(&self, most: u64) -> Result<Vec<Listed>, IndexError> {
        let listed = self.list()?;
        let mut total: u64 = listed.iter().map(|entry| entry.bytes).sum();
        let mut taken = Vec::new();
        for entry in listed {
            if total <= most {
                break;
            }
            self.remove(&entry.key)?;
            total -= entry.bytes;
            taken.push(entry);
        }
        for folder in self.leftovers()? {
            let _ = fs::remove_dir_all(folder);
        }
        known::tidy(&self.root);
        Ok(taken)
    }

    /// Reads every entry whole; gives those that are not what was written, with what is wrong.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn verify(&self) -> Result<Vec<(String, String)>, IndexError> {
        let name = |folder: &Path| folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let wrong = |folder: &PathBuf| Some((name(folder), Kept::check(folder).err()?.to_string()));
        Ok(self.folders()?.iter().filter_map(wrong).collect())
    }

    /// Takes one entry away. Renamed first, so that nobody finds half of it.
    ///
    /// # Errors
    /// When it cannot be taken away.
    pub fn remove(&self, key: &str) -> Result<(), IndexError> {
        let (place, gone) = (self.folder(key), self.root.join(format!(".gone-{key}-{}", std::process::id())));
        let io = |source| IndexError::Io { path: place.clone(), source };
        fs::rename(&place, &gone).map_err(io)?;
        fs::remove_dir_all(&gone).map_err(io)
    }

    /// Takes one entry away if it is there.
    ///
    /// # Errors
    /// When it cannot be taken away.
    pub fn forget(&self, key: &Key) -> Result<(), IndexError> {
        match self.remove(key.name()) {
            Err(IndexError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn folder(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    /// Folders of entries.
    fn folders(&self) -> Result<Vec<PathBuf>, IndexError> {
        Ok(self.below()?.into_iter().filter(|path| path.join(ENTRY).is_file() && !hidden(path)).collect())
    }

    /// Folders of writers and removers that did not come to an end, untouched for an hour.
    fn leftovers(&self) -> Result<Vec<PathBuf>, IndexError> {
        let old = |path: &PathBuf| age_s(path).is_some_and(|age| age > 3600);
        Ok(self.below()?.into_iter().filter(|path| hidden(path)).filter(old).collect())
    }

    fn below(&self) -> Result<Vec<PathBuf>, IndexError> {
        match fs::read_dir(&self.root) {
            Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(IndexError::Io { path: self.root.clone(), source }),
        }
    }
}

impl Listed {
    fn of(folder: &Path) -> Option<Self> {
        let reading: Reading = serde_json::from_slice(&fs::read(folder.join(ENTRY)).ok()?).ok()?;
        let sizes = fs::read_dir(folder).ok()?.flatten().filter_map(|file| Some(file.metadata().ok()?.len()));
        Some(Self {
            key: folder.file_name()?.to_string_lossy().into_owned(),
            video: reading.video,
            from: reading.coverage.from,
            to: reading.coverage.to,
            kv: reading.kv,
            model: reading.model,
            bytes: sizes.sum(),
            idle_s: age_s(&folder.join(ENTRY)).unwrap_or(0),
        })
    }
}

/// What a video's entries are called by first.
fn family(fingerprint: &str) -> String {
    fingerprint.chars().take(FAMILY).collect()
}

fn hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// Seconds since something was last written to, or said to be.
fn age_s(path: &Path) -> Option<u64> {
    let modified = fs::metadata(path).ok()?.modified().ok()?;
    Some(SystemTime::now().duration_since(modified).map_or(0, |age| age.as_secs()))
}
