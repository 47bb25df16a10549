//! Which videos? Comes in: folders, files, a list. Goes out: [`Source`]s in a fixed order, each with a place of its own.

use super::place;
use super::selector::Selector;
use super::store;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Endings of what is taken from a folder where no include pattern says otherwise.
const ENDINGS: [&str; 24] = [
    "3gp", "asf", "avi", "divx", "dv", "f4v", "flv", "m2ts", "m2v", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts",
    "mxf", "nut", "ogm", "ogv", "ts", "vob", "webm", "wmv",
];

/// What the user named.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// Folders, which are walked, and files, which are taken whatever they are called
    pub paths: Vec<PathBuf>,
    /// What of the folders
    pub selection: Selection,
}

/// What is taken from folders.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Files that match one of these; by their endings if there are none
    pub include: Vec<Selector>,
    /// Not files and folders that match one of these
    pub exclude: Vec<Selector>,
    /// Part `0` of `1`: part `index` of `count`, by a hash of each video's place, so that new files move no others
    pub shard: Option<(u64, u64)>,
}

/// A video to be asked about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// To open it
    pub path: PathBuf,
    /// From its input folder on, with slashes; for files as they were given
    pub relative: String,
    /// Where its outputs lie; unique
    pub place: String,
    /// Its length when it was found; 0 if there is no such file
    pub bytes: u64,
}

/// The videos, and what was left out.
#[derive(Debug, Default)]
pub struct Gathered {
    /// This shard's videos, sorted
    pub sources: Vec<Source>,
    /// Those of all shards
    pub all: Vec<Source>,
    /// What was passed over, and why
    pub notes: Vec<Note>,
}

/// Something in a folder that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What
    pub path: PathBuf,
    /// Why
    pub reason: String,
}

/// Why the inputs cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// There is nothing to do
    #[error("{}: no video was found{}", list_of(paths.iter().map(|path| path.display())), matching(include))]
    Nothing {
        /// Where
        paths: Vec<PathBuf>,
        /// What names had to be like
        include: Vec<String>,
    },
    /// A folder that was named cannot be read
    #[error("{}: cannot be read: {source}", path.display())]
    Folder {
        /// The folder
        path: PathBuf,
        /// Why
        source: std::io::Error,
    },
}

fn list_of(names: impl Iterator<Item = impl std::fmt::Display>) -> String {
    names.map(|name| name.to_string()).collect::<Vec<_>>().join(", ")
}

fn matching(include: &[String]) -> String {
    if include.is_empty() { String::new() } else { format!(" that matches `{}`", list_of(include.iter())) }
}

/// A list of paths: separated by NUL where there is one, else one a line.
#[must_use]
pub fn list(bytes: &[u8]) -> Vec<PathBuf> {
    let nul = bytes.contains(&0);
    let parts = bytes.split(|&byte| byte == if nul { 0 } else { b'\n' });
    let trimmed = parts.map(|part| if nul { part } else { part.strip_suffix(b"\r").unwrap_or(part) });
    trimmed.filter(|part| !part.is_empty()).map(|part| PathBuf::from(OsStr::from_bytes(part))).collect()
}

/// Walks the folders and sorts what was found.
///
/// Links are followed to files inside their input folder only, hidden files and output folders of batches are passed
/// over, and a file that was reached twice is taken once.
///
/// # Errors
/// When a folder that was named cannot be read, or there is no video at all.
pub fn gather(inputs: &Inputs) -> Result<Gathered, GatherError> {
    let mut walk = Walk { selection: &inputs.selection, found: Vec::new(), notes: Vec::new() };
    // One folder is mirrored from its inside; several are told apart by their own paths.
    let alone = inputs.paths.len() == 1;
    for path in &inputs.paths {
        if !path.is_dir() {
            walk.found.push(Found { path: path.clone(), relative: path.clone() });
            continue;
        }
        let unreadable = |source| GatherError::Folder { path: path.clone(), source };
        let root = path.canonicalize().map_err(unreadable)?;
        std::fs::read_dir(path).map_err(unreadable)?;
        walk.folder(&root, path, if alone { Path::new("") } else { path });
    }
    let Walk { mut found, notes, .. } = walk;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    let mut seen = HashSet::new();
    found.retain(|found| seen.insert(absolute(&found.path)));
    let named: Vec<(PathBuf, PathBuf)> =
        found.iter().map(|found| (found.relative.clone(), absolute(&found.path))).collect();
    let all: Vec<Source> = found.into_iter().zip(place::places(&named)).map(|(found, place)| found.at(place)).collect();
    if all.is_empty() {
        let include = inputs.selection.include.iter().map(|selector| selector.text().to_owned()).collect();
        return Err(GatherError::Nothing { paths: inputs.paths.clone(), include });
    }
    let of_shard = |source: &&Source| inputs.selection.shard.is_none_or(|shard| in_shard(&source.place, shard));
    Ok(Gathered { sources: all.iter().filter(of_shard).cloned().collect(), all, notes })
}

fn in_shard(place: &str, (index, count): (u64, u64)) -> bool {
    let hash = blake3::hash(place.as_bytes());
    let head = hash.as_bytes().first_chunk().map_or(0, |head| u64::from_le_bytes(*head));
    head % count.max(1) == index
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

struct Found {
    path: PathBuf,
    relative: PathBuf,
}

impl Found {
    fn at(self, place: String) -> Source {
        let bytes = std::fs::metadata(&self.path).map_or(0, |facts| facts.len());
        Source { relative: self.relative.to_string_lossy().into_owned(), path: self.path, place, bytes }
    }
}

struct Walk<'a> {
    selection: &'a Selection,
    found: Vec<Found>,
    notes: Vec<Note>,
}

impl Walk<'_> {
    /// Takes what a folder holds. `root` is the input's real path, `relative` the folder's path from it.
    fn folder(&mut self, root: &Path, folder: &Path, relative: &Path) {
        if store::is_store(folder) {
            return self.note(folder, "is an output folder of a batch");
        }
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.note(folder, &format!("cannot be read: {error}")),
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let (path, relative) = (entry.path(), relative.join(&name));
            let text = relative.to_string_lossy();
            let excluded = self.selection.exclude.iter().any(|selector| selector.selects(&text));
            let Ok(kind) = entry.file_type() else { continue };
            if excluded || name.as_bytes().starts_with(b".") {
                continue;
            }
            if kind.is_dir() {
                self.folder(root, &path, &relative);
            } else if self.takes(&text) && (kind.is_file() || (kind.is_symlink() && self.leads_inside(root, &path))) {
                self.found.push(Found { path, relative });
            }
        }
    }

    fn takes(&self, relative: &str) -> bool {
        if self.selection.include.is_empty() {
            let ending = Path::new(relative).extension().and_then(OsStr::to_str).unwrap_or_default();
            return ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(ending));
        }
        self.selection.include.iter().any(|selector| selector.selects(relative))
    }

    /// Whether a link leads to a file below `root`.
    fn leads_inside(&mut self, root: &Path, link: &Path) -> bool {
        match link.canonicalize() {
            Ok(target) if !target.starts_with(root) => self.note(link, "is a link that leads out of the folder"),
            Ok(target) if target.is_dir() => self.note(link, "is a link to a folder, which is not followed"),
            Ok(target) => return target.is_file(),
            Err(error) => self.note(link, &format!("is a link that leads nowhere: {error}")),
        }
        false
    }

    fn note(&mut self, path: &Path, reason: &str) {
        self.notes.push(Note { path: path.to_path_buf(), reason: reason.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn tree(paths: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for path in paths {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        folder
    }

    fn places(folder: &Path, selection: Selection) -> Vec<String> {
        let inputs = Inputs { paths: vec![folder.to_path_buf()], selection };
        gather(&inputs).unwrap().sources.into_iter().map(|source| source.place).collect()
    }

    fn selectors(patterns: &[&str]) -> Vec<Selector> {
        patterns.iter().map(|pattern| Selector::new(pattern).unwrap()).collect()
    }

    #[test]
    fn videos_are_found_at_any_depth_in_a_fixed_order() {
        let folder = tree(&["b.MP4", "a/x.mkv", "a/y.txt", ".hidden.mp4", ".git/z.mp4", "c/d/e.webm"]);
        assert_eq!(places(folder.path(), Selection::default()), ["a/x.mkv", "b.MP4", "c/d/e.webm"]);
        let include = Selection { include: selectors(&["*.txt", "c/**"]), ..Selection::default() };
        assert_eq!(places(folder.path(), include), ["a/y.txt", "c/d/e.webm"]);
        let exclude = Selection { exclude: selectors(&["d", "b.*"]), ..Selection::default() };
        assert_eq!(places(folder.path(), exclude), ["a/x.mkv"]);
    }

    #[test]
    fn links_are_followed_inside_their_folder_only() {
        let (folder, other) = (tree(&["a.mp4"]), tree(&["secret.mp4"]));
        let link = |target: &Path, name: &str| std::os::unix::fs::symlink(target, folder.path().join(name)).unwrap();
        link(&folder.path().join("a.mp4"), "inside.mp4");
        link(&other.path().join("secret.mp4"), "outside.mp4");
        link(Path::new("/no/such/file"), "nowhere.mp4");
        link(folder.path(), "round.mp4");
        let inputs = Inputs { paths: vec![folder.path().to_path_buf()], ..Inputs::default() };
        let gathered = gather(&inputs).unwrap();
        let places: Vec<&str> = gathered.sources.iter().map(|source| source.place.as_str()).collect();
        assert_eq!(places, ["a.mp4", "inside.mp4"]);
        assert_eq!(gathered.notes.len(), 3, "{:?}", gathered.notes);
    }

    #[test]
    fn shards_part_the_videos() {
        let names: Vec<String> = (0..40).map(|number| format!("{number}.mp4")).collect();
        let folder = tree(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let part = |index| places(folder.path(), Selection { shard: Some((index, 3)), ..Selection::default() });
        let mut union = [part(0), part(1), part(2)].concat();
        assert!([0, 1, 2].iter().all(|&index| part(index).len() > 3));
        union.sort();
        let mut whole = places(folder.path(), Selection::default());
        whole.sort();
        assert_eq!(union, whole);
    }

    #[test]
    fn a_list_is_separated_by_nul_or_by_lines() {
        let paths = |bytes: &[u8]| list(bytes).into_iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        assert_eq!(paths(b"a b.mp4\r\n\nc.mp4"), ["a b.mp4", "c.mp4"]);
        assert_eq!(paths(b"a\nb.mp4\0c.mp4\0"), ["a\nb.mp4", "c.mp4"]);
        assert!(list(b"").is_empty());
    }

    #[test]
    fn a_file_that_was_named_twice_is_taken_once_and_equal_names_stay_apart() {
        let folder = tree(&["x/a.mp4", "y/a.mp4"]);
        let path = |path: &str| folder.path().join(path);
        let inputs =
            Inputs { paths: vec![path("x"), path("y"), path("x/a.mp4"), path("x/./a.mp4")], ..Inputs::default() };
        let sources = gather(&inputs).unwrap().sources;
        assert_eq!(sources.len(), 2);
        assert_ne!(sources[0].place, sources[1].place);
    }
}
