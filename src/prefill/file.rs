//! The pattern file beside a model's weights: what `longsight tune` found for every head.

use super::pattern::{Boundary, HeadPattern, Pattern};
use super::sparse::Heads;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Its name in the checkpoint's folder.
pub const FILE_NAME: &str = "prefill_patterns.json";
/// What it must say that it is.
pub const SCHEMA: &str = "longsight.patterns/1";

/// What was found for one head.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TunedHead {
    /// Within a modality
    pub pattern: Pattern,
    /// Across modalities
    #[serde(default)]
    pub boundary: Boundary,
    /// Share of dense attention's mass that it kept
    pub recall: f64,
    /// Share of dense attention's scores that it computed
    pub density: f64,
    /// How far its output was from dense attention's, as a share of the norm
    pub error: f64,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatternFile {
    /// [`SCHEMA`]
    pub schema: String,
    /// Tokens of the prompts it was found on
    pub tokens: usize,
    /// The videos it was found on
    pub videos: Vec<String>,
    /// By layer and head
    pub layers: Vec<Vec<TunedHead>>,
}

/// Why a pattern file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PatternFileError {
    /// It cannot be read or written
    #[error("{}: {source}", path.display())]
    File {
        /// Which
        path: PathBuf,
        /// Why
        source: std::io::Error,
    },
    /// It is no pattern file
    #[error("{}: {source}", path.display())]
    Parse {
        /// Which
        path: PathBuf,
        /// Where and why
        source: serde_json::Error,
    },
    /// A head has a pattern that makes no sense
    #[error("{}: a pattern's {wrong}", path.display())]
    Pattern {
        /// Which
        path: PathBuf,
        /// What
        wrong: String,
    },
    /// It is one of another version, or for another model
    #[error("{}: is for {found}, not for {expected}", path.display())]
    Other {
        /// Which
        path: PathBuf,
        /// What it says
        found: String,
        /// What is needed
        expected: String,
    },
}

impl PatternFile {
    /// Reads the one in a checkpoint's folder, if there is one, for a model of so many layers and heads.
    ///
    /// # Errors
    /// When it is there and cannot be used.
    pub fn beside(folder: &Path, layers: usize, heads: usize) -> Result<Option<Self>, PatternFileError> {
        let path = folder.join(FILE_NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(PatternFileError::File { path, source }),
        };
        let file: Self = match serde_json::from_str(&text) {
            Ok(file) => file,
            Err(source) => return Err(PatternFileError::Parse { path, source }),
        };
        let odd = file.layers.iter().map(Vec::len).find(|&of| of != heads);
        let fits = file.layers.len() == layers && odd.is_none();
        if file.schema != SCHEMA || !fits {
            let found = format!("{} and {} layers of {} heads", file.schema, file.layers.len(), odd.unwrap_or(heads));
            let expected = format!("{SCHEMA} and {layers} layers of {heads} heads");
            return Err(PatternFileError::Other { path, found, expected });
        }
        match file.layers.iter().flatten().find_map(|head| head.pattern.check().err()) {
            Some(wrong) => Err(PatternFileError::Pattern { path, wrong }),
            None => Ok(Some(file)),
        }
    }

    /// Writes it into a folder, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<PathBuf, PatternFileError> {
        let path = folder.join(FILE_NAME);
        let failed = |source| PatternFileError::File { path: path.clone(), source };
        let json = |value: serde_json::Result<String>| value.map_err(|error| failed(error.into()));
        let layers = self.layers.iter().map(|heads| json(serde_json::to_string(heads)));
        // A line for each layer: short to read, short to compare.
        let text = format!(
            "{{\"schema\":{},\"tokens\":{},\"videos\":{},\"layers\":[\n{}\n]}}\n",
            json(serde_json::to_string(&self.schema))?,
            self.tokens,
            json(serde_json::to_string(&self.videos))?,
            layers.collect::<Result<Vec<_>, _>>()?.join(",\n")
        );
        let draft = folder.join(format!(".{FILE_NAME}.{}", std::process::id()));
        std::fs::write(&draft, text).map_err(failed)?;
        std::fs::rename(&draft, &path).map_err(failed)?;
        Ok(path)
    }

    /// The pattern of every head.
    #[must_use]
    pub fn heads(&self) -> Heads {
        let head = |tuned: &TunedHead| HeadPattern { pattern: tuned.pattern, boundary: tuned.boundary };
        Heads::new(self.layers.iter().map(|heads| heads.iter().map(head).collect()).collect())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::clusters::Clusters;
    use super::super::grid::{Grid, Stride};
    use super::*;

    fn file(layers: usize, heads: usize) -> PatternFile {
        let grid = Grid { stride: Stride::Frame, vertical: 2, horizontal: 1, slash: true, local: 64 };
        let tuned = TunedHead {
            pattern: Pattern::Grid(grid),
            boundary: Boundary::Query,
            recall: 0.99,
            density: 0.05,
            error: 0.01,
        };
        let layers = vec![vec![tuned; heads]; layers];
        PatternFile { schema: SCHEMA.to_owned(), tokens: 4096, videos: vec!["a}]].mp4".to_owned()], layers }
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(PatternFile::beside(folder.path(), 2, 3).unwrap(), None);
        file(2, 3).write(folder.path()).unwrap();
        let read = PatternFile::beside(folder.path(), 2, 3).unwrap().unwrap();
        assert_eq!(read, file(2, 3));
        assert_eq!(read.heads().counts(2, 3), [("grid", 6)].into());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        file(2, 3).write(folder.path()).unwrap();
        let error = PatternFile::beside(folder.path(), 2, 4).unwrap_err().to_string();
        assert!(error.contains(FILE_NAME) && error.contains("2 layers of 4 heads"), "{error}");
        let mut wrong = file(2, 3);
        wrong.layers[1][0].pattern = Pattern::Clusters(Clusters { means: 0, local: 1 });
        wrong.write(folder.path()).unwrap();
        assert!(PatternFile::beside(folder.path(), 2, 3).unwrap_err().to_string().contains("means are 0"));
        std::fs::write(folder.path().join(FILE_NAME), "{\"schema\": 3}").unwrap();
        assert!(PatternFile::beside(folder.path(), 2, 3).unwrap_err().to_string().contains("line 1"));
    }
}
