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

pub use entry::{Kept, KeptFrame, Reading};

use longsight_models::ModelError;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

/// Changes when what an entry holds, or means, does.
pub const FORMAT: &str = "longsight.index/1";
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

/// What is kept of one video, whose content is read for its keys once and only when a key is asked for.
#[derive(Debug)]
pub struct Shelf<'s> {
    /// Where it is
    pub store: &'s Store,
    video: PathBuf,
    family: String,
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
        if let Some(content) = self.content.get() {
            return Ok(Key::of(&self.family, content, parts));
        }
        let mut hasher = blake3::Hasher::new();
        let read = hasher.update_mmap(&self.video);
        read.map_err(|source| IndexError::Io { path: self.video.clone(), source })?;
        Ok(Key::of(&self.family, self.content.get_or_init(|| hasher.finalize()), parts))
    }
}

/// One entry, as `index --list` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Listed {
    /// Its key
    pub key: String,
    /// The video, as it was called then
    pub video: String,
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
}

impl Store {
    /// The index in `root`, which need not exist yet.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// What is kept of the video in a file of this fingerprint ([`crate::decode::fingerprint`]).
    #[must_use]
    pub fn shelf(&self, video: &Path, fingerprint: &str) -> Shelf<'_> {
        let family = fingerprint.chars().take(FAMILY).collect();
        Shelf { store: self, video: video.to_path_buf(), family, content: OnceLock::new() }
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

    /// Whether something is kept under a key.
    #[must_use]
    pub fn has(&self, key: &Key) -> bool {
        self.folder(key.name()).join(ENTRY).is_file()
    }

    /// Keeps something, unless the same is kept already.
    ///
    /// # Errors
    /// When it cannot be written; nothing is left of it then.
    pub fn put(&self, key: &Key, kept: &Kept) -> Result<(), IndexError> {
        let io = |path: &Path| {
            let path = path.to_path_buf();
            move |source| IndexError::Io { path, source }
        };
        fs::create_dir_all(&self.root).map_err(io(&self.root))?;
        let temporary = tempfile::Builder::new().prefix(".new-").tempdir_in(&self.root).map_err(io(&self.root))?;
        kept.write(temporary.path())?;
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
        Ok(taken)
    }

    /// Reads every entry whole; gives those that are not what was written, with what is wrong.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn verify(&self) -> Result<Vec<(String, String)>, IndexError> {
        let name = |folder: &Path| folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let wrong = |folder: &PathBuf| Some((name(folder), Kept::read(folder).err()?.to_string()));
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
            model: reading.model,
            bytes: sizes.sum(),
            idle_s: age_s(&folder.join(ENTRY)).unwrap_or(0),
        })
    }
}

fn hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// Seconds since something was last written to, or said to be.
fn age_s(path: &Path) -> Option<u64> {
    let modified = fs::metadata(path).ok()?.modified().ok()?;
    Some(SystemTime::now().duration_since(modified).map_or(0, |age| age.as_secs()))
}
