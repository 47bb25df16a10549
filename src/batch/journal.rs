//! Files that survive being killed: lines that are appended and synced, and whole files that appear at once.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// How temporary files are called; those of a run that was killed are deleted by the next.
pub(super) const TEMPORARY: &str = ".longsight-tmp-";

/// Where a line lies: its first byte, and its length with the line break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) at: u64,
    pub(super) length: usize,
}

/// A file of lines that only grows. What stands in it is whole lines, whenever the process ends: a line that was torn is
/// cut off when the file is opened next.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
}

/// Reads the whole lines of a file; the number of bytes they take. Nothing if there is no such file.
pub(super) fn scan(path: &Path, mut each: impl FnMut(&[u8], Extent)) -> io::Result<u64> {
    let file = match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let (mut reader, mut line, mut at) = (BufReader::new(file), Vec::new(), 0);
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Ok(at);
        }
        each(&line, Extent { at, length });
        at += length as u64;
    }
}

impl Journal {
    /// Opens or makes the file, cuts a torn last line off, and shows every line.
    pub(super) fn open(path: PathBuf, each: impl FnMut(&[u8], Extent)) -> io::Result<Self> {
        let length = scan(&path, each)?;
        let file = open(&path)?;
        if file.metadata()?.len() != length {
            file.set_len(length)?;
            file.sync_all()?;
        }
        sync_folder(&path)?;
        Ok(Self { path, file, length })
    }

    /// Adds whole lines, and gives where the first begins. They are on the disk when this returns; if it fails, none is.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<u64> {
        let at = self.length;
        self.file.seek(SeekFrom::Start(at))?;
        if let Err(error) = self.file.write_all(lines).and_then(|()| self.file.sync_data()) {
            // Half a line would be cut off by the next run anyway; what reads the file now need not see it.
            let _ = self.file.set_len(at);
            return Err(error);
        }
        self.length += lines.len() as u64;
        Ok(at)
    }

    /// A line, its break included.
    pub(super) fn read(&self, extent: Extent) -> io::Result<Vec<u8>> {
        let mut line = vec![0; extent.length];
        std::os::unix::fs::FileExt::read_exact_at(&self.file, &mut line, extent.at)?;
        Ok(line)
    }

    /// Puts a file that holds these lines, in this order, in the place of this one.
    pub(super) fn keep(&mut self, extents: &[Extent]) -> io::Result<()> {
        let mut reader = BufReader::new(OpenOptions::new().read(true).open(&self.path)?);
        replace(&self.path, |out| {
            for extent in extents {
                reader.seek(SeekFrom::Start(extent.at))?;
                io::copy(&mut (&mut reader).take(extent.length as u64), out)?;
            }
            Ok(())
        })?;
        self.file = open(&self.path)?;
        self.length = self.file.metadata()?.len();
        Ok(())
    }

    /// Puts other lines in the place of all.
    pub(super) fn rewrite(&mut self, lines: &[u8]) -> io::Result<()> {
        replace(&self.path, |out| out.write_all(lines))?;
        self.file = open(&self.path)?;
        self.length = lines.len() as u64;
        Ok(())
    }
}

/// Never through a link: what is written stays in the folder.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).custom_flags(libc::O_NOFOLLOW).open(path)
}

/// Writes a file whole: under another name in the same folder, synced, then renamed.
pub(super) fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // What the umask leaves, as for any file; temporary files would be readable by their owner alone.
    let temporary =
        tempfile::Builder::new().prefix(TEMPORARY).permissions(Permissions::from_mode(0o666)).tempfile_in(folder)?;
    let mut out = BufWriter::new(temporary);
    write(&mut out)?;
    let temporary = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    sync_folder(path)
}

/// Makes the name of a file as lasting as its content.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn lines(path: &Path) -> Vec<(String, Extent)> {
        let mut lines = Vec::new();
        Journal::open(path.to_path_buf(), |line, extent| {
            lines.push((String::from_utf8_lossy(line).into_owned(), extent));
        })
        .unwrap();
        lines
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_the_next_one_stands_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        for torn in ["", "x", "{\"half\":", "\u{0}\u{0}"] {
            std::fs::write(&path, format!("one\ntwo\n{torn}")).unwrap();
            let mut journal = Journal::open(path.clone(), |_, _| ()).unwrap();
            assert_eq!(journal.append(b"three\n").unwrap(), 8);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\nthree\n");
        }
    }

    #[test]
    fn lines_are_read_back_and_kept_by_where_they_lie() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let mut journal = Journal::open(path.clone(), |_, _| ()).unwrap();
        journal.append(b"one\ntwo\n").unwrap();
        journal.append(b"three\n").unwrap();
        let found = lines(&path);
        assert_eq!(journal.read(found[2].1).unwrap(), b"three\n");
        journal.keep(&[found[2].1, found[0].1]).unwrap();
        journal.append(b"four\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "three\none\nfour\n");
        journal.rewrite(b"").unwrap();
        assert_eq!(lines(&path), []);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("a.jsonl"));
        std::fs::write(&target, "mine").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(Journal::open(link, |_, _| ()).is_err());
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "mine");
    }
}
