//! The folder of a benchmark's videos: name -> file.

use super::PublicError;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Folders below the videos' folder that are looked into.
const MAX_DEPTH: usize = 6;

/// Every file below a folder, by the names that annotations call it: its path from there, its name, its name without
/// ending. An annotation's name is only ever looked up, so that it cannot lead out of the folder.
#[derive(Debug, Clone, Default)]
pub struct Videos {
    by_name: HashMap<String, PathBuf>,
}

impl Videos {
    /// Looks through `folder`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn below(folder: &Path) -> Result<Self, PublicError> {
        let mut files = Vec::new();
        let mut folders = vec![(folder.to_path_buf(), 0)];
        while let Some((place, depth)) = folders.pop() {
            let entries =
                std::fs::read_dir(&place).map_err(|source| PublicError::File { path: place.clone(), source })?;
            for entry in entries.flatten() {
                let path = entry.path();
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() && depth < MAX_DEPTH => folders.push((path, depth + 1)),
                    Ok(kind) if kind.is_file() || (kind.is_symlink() && path.is_file()) => files.push(path),
                    _ => {}
                }
            }
        }
        // Of files that share a name, the first in the order of paths.
        files.sort();
        let mut by_name = HashMap::new();
        for path in files {
            let relative = path.strip_prefix(folder).ok().and_then(Path::to_str);
            let names = [relative, path.file_name().and_then(|name| name.to_str()), stem(&path)];
            for name in names.into_iter().flatten() {
                by_name.entry(name.to_owned()).or_insert_with(|| path.clone());
            }
        }
        Ok(Self { by_name })
    }

    /// The file of a video, with or without the ending that the annotation gives it.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Path> {
        let file = name.rsplit('/').next().unwrap_or(name);
        let names = [Some(name), Some(file), stem(Path::new(file))];
        names.into_iter().flatten().find_map(|name| self.by_name.get(name)).map(PathBuf::as_path)
    }
}

/// A file's name without the ending of a video. Names of clips hold full stops themselves (`RoripwjYFp8_360.0_510.0`).
fn stem(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    let (stem, ending) = name.rsplit_once('.')?;
    let is_ending = ending.len() <= 4 && ending.starts_with(|letter: char| letter.is_ascii_alphabetic());
    is_ending.then_some(stem)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn videos_are_found_by_the_names_that_annotations_use() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("1_plotQA")).unwrap();
        for name in ["3MSZA.mp4", "v_abc.webm", "RoripwjYFp8_360.0_510.0.mp4", "1_plotQA/movie.mp4"] {
            std::fs::write(folder.path().join(name), b"").unwrap();
        }
        let videos = Videos::below(folder.path()).unwrap();
        for name in
            ["3MSZA", "3MSZA.mp4", "v_abc", "v_abc.mp4", "RoripwjYFp8_360.0_510.0", "1_plotQA/movie.mp4", "movie.mp4"]
        {
            assert!(videos.find(name).is_some(), "{name}");
        }
        assert!(videos.find("../../etc/passwd").is_none() && videos.find("RoripwjYFp8_360").is_none());
    }
}
