//! Hashes of whole files, so that a file of gigabytes is not read for every question about it.
//!
//! A hash is kept under what the system says of the file: device, inode, length, and the times of its last writing and of its last change
//! to the nanosecond. The last is set by the system whenever content or facts change, and by nothing else: a file that was changed and
//! given its old time of writing has another. So what is trusted is the system's clock, and file systems that keep these times; where
//! that is too much, [`Trust::Bytes`] reads the file. A file changed within [`COARSE`] before it was read is not noted: another change
//! might have had the same time.

use super::Trust;
use blake3::{Hash, Hasher};
use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The coarsest times that file systems keep.
const COARSE: Duration = Duration::from_secs(2);
/// Notes that were written longer ago go when the index is pruned.
const OLD: Duration = Duration::from_secs(90 * 86_400);

/// The hash of a file's content.
pub(super) fn content(root: &Path, file: &Path, trust: Trust) -> io::Result<Hash> {
    let before = fs::metadata(file)?;
    let note = note(root, &before);
    if let (Trust::System, Some(hash)) = (trust, recall(&note)) {
        return Ok(hash);
    }
    let hash = Hasher::new().update_mmap_rayon(file)?.finalize();
    let same = fs::metadata(file).is_ok_and(|after| Facts::of(&after) == Facts::of(&before));
    if same && settled(&before) {
        // An index that cannot be written to still serves.
        let _ = keep(root, &note, &hash);
    }
    Ok(hash)
}

/// Takes old notes away.
pub(super) fn tidy(root: &Path) {
    let Ok(notes) = fs::read_dir(folder(root)) else { return };
    for note in notes.flatten() {
        let written = note.metadata().and_then(|facts| facts.modified());
        if written.is_ok_and(|written| written.elapsed().is_ok_and(|age| age > OLD)) {
            let _ = fs::remove_file(note.path());
        }
    }
}

fn folder(root: &Path) -> PathBuf {
    root.join("known")
}

fn note(root: &Path, file: &Metadata) -> PathBuf {
    let mut name = Hasher::new();
    let Facts { place, length, times } = Facts::of(file);
    for fact in place.into_iter().chain([length]) {
        name.update(&fact.to_le_bytes());
    }
    for time in times {
        name.update(&time.to_le_bytes());
    }
    folder(root).join(name.finalize().to_hex().as_str())
}

/// What the system says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    place: [u64; 2],
    length: u64,
    times: [i64; 4],
}

impl Facts {
    fn of(file: &Metadata) -> Self {
        Self {
            place: [file.dev(), file.ino()],
            length: file.size(),
            times: [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()],
        }
    }

    /// In bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }
}

/// What the system says of a file; `None` if it says nothing.
pub(super) fn facts_of(file: &Path) -> Option<Facts> {
    fs::metadata(file).ok().map(|file| Facts::of(&file))
}

/// Whether a file is not what it was, or was never there.
pub(super) fn touched(file: &Path, before: Option<Facts>) -> bool {
    before.is_none() || facts_of(file) != before
}

/// The hash of a file's first `length` bytes; `None` if it is shorter.
pub(super) fn beginning(file: &Path, length: u64) -> io::Result<Option<Hash>> {
    let mut file = fs::File::open(file)?.take(length);
    let mut hasher = Hasher::new();
    hasher.update_reader(&mut file)?;
    Ok((file.limit() == 0).then(|| hasher.finalize()))
}

/// Whether the file's last change lies further back than times are coarse.
fn settled(file: &Metadata) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let changed = u64::try_from(file.ctime()).unwrap_or(u64::MAX);
    now.as_secs().checked_sub(changed).is_some_and(|age| age > COARSE.as_secs())
}

/// Whole or nothing: a torn note is no hash.
fn recall(note: &Path) -> Option<Hash> {
    Hash::from_hex(fs::read(note).ok()?).ok()
}

fn keep(root: &Path, note: &Path, hash: &Hash) -> io::Result<()> {
    fs::create_dir_all(folder(root))?;
    let mut file = tempfile::NamedTempFile::new_in(folder(root))?;
    io::Write::write_all(&mut file, hash.to_hex().as_bytes())?;
    file.persist(note).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::fs::File;

    /// A file whose last change lies back far enough to be noted.
    fn old(folder: &Path) -> PathBuf {
        let file = folder.join("film");
        fs::write(&file, b"one").unwrap();
        while !settled(&fs::metadata(&file).unwrap()) {
            std::thread::sleep(Duration::from_millis(100));
        }
        file
    }

    #[test]
    fn a_note_is_used_until_the_file_is_touched() {
        let place = tempfile::tempdir().unwrap();
        let file = old(place.path());
        let one = content(place.path(), &file, Trust::System).unwrap();
        assert_eq!(one, blake3::hash(b"one"));
        let kept = note(place.path(), &fs::metadata(&file).unwrap());
        // What is noted is believed, which shows that the file was not read.
        fs::write(&kept, blake3::hash(b"noted").to_hex().as_bytes()).unwrap();
        assert_eq!(content(place.path(), &file, Trust::System).unwrap(), blake3::hash(b"noted"));
        assert_eq!(content(place.path(), &file, Trust::Bytes).unwrap(), one);
        // As long, and with its old time of writing.
        let written = fs::metadata(&file).unwrap().modified().unwrap();
        fs::write(&file, b"two").unwrap();
        File::open(&file).unwrap().set_modified(written).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), written);
        assert_eq!(content(place.path(), &file, Trust::System).unwrap(), blake3::hash(b"two"));
    }

    #[test]
    fn a_file_that_was_just_written_is_not_noted_and_a_torn_note_is_none() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("film");
        fs::write(&file, b"one").unwrap();
        content(place.path(), &file, Trust::System).unwrap();
        assert!(!folder(place.path()).exists());
        let torn = place.path().join("torn");
        fs::write(&torn, "00ff").unwrap();
        assert_eq!(recall(&torn), None);
    }
}
