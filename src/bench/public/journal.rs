//! What was predicted so far: a line for each prediction, appended as it comes, so that a run that was stopped goes on.

use super::{Prediction, Predictions, PublicError};
use crate::run::ModelFacts;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What predictions depend on; those made with other settings are not mixed with them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Whose questions
    pub benchmark: String,
    /// BLAKE3 of the annotations
    pub annotations: String,
    /// How they were put; `{}` is the question
    pub wording: String,
    /// Who answered
    pub model: ModelFacts,
    /// The pipeline's settings, flags included
    pub options: Value,
}

/// A line of the journal.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    key: String,
    #[serde(flatten)]
    prediction: Prediction,
}

/// The file beside the predictions that are to be.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens the journal of the predictions that will be in `out`, and gives those that it holds.
    ///
    /// # Errors
    /// When it cannot be read or written, or was begun with other settings.
    pub(super) fn open(out: &Path, settings: &Settings) -> Result<(Self, Predictions), PublicError> {
        let path = beside(out);
        let wrong = |source| PublicError::File { path: path.clone(), source };
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(wrong)?;
        let text = std::fs::read(&path).map_err(wrong)?;
        // A process that was killed leaves half a line: only whole ones count, and the rest goes.
        let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            file.set_len(whole as u64).map_err(wrong)?;
        }
        let text = String::from_utf8_lossy(&text[..whole]).into_owned();
        let mut lines = text.lines();
        match lines.next() {
            Some(first) => {
                let begun: Settings = serde_json::from_str(first).map_err(|error| wrong(error.into()))?;
                let what = begun.differences(settings);
                if !what.is_empty() {
                    return Err(PublicError::Settings { path, what });
                }
            }
            None => append(&mut file, settings).map_err(wrong)?,
        }
        let line = |line: &str| serde_json::from_str::<Line>(line).map_err(|error| wrong(error.into()));
        let held = lines.map(|text| line(text).map(|line| (line.key, line.prediction))).collect::<Result<_, _>>()?;
        Ok((Self { path, file }, held))
    }

    /// Adds a prediction; it is in the file when this returns.
    pub(super) fn add(&mut self, key: &str, prediction: &Prediction) -> Result<(), PublicError> {
        let line = Line { key: key.to_owned(), prediction: prediction.clone() };
        append(&mut self.file, &line).map_err(|source| PublicError::File { path: self.path.clone(), source })
    }
}

fn append<T: Serialize>(file: &mut File, value: &T) -> std::io::Result<()> {
    // In one call, so that a line is there or not.
    let line = serde_json::to_string(value)? + "\n";
    file.write_all(line.as_bytes())
}

/// `predictions.json` -> `predictions.json.journal.jsonl`
fn beside(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".journal.jsonl");
    out.with_file_name(name)
}

impl Settings {
    /// Which settings differ, by name.
    fn differences(&self, other: &Self) -> String {
        let pairs = [
            ("benchmark", self.benchmark == other.benchmark),
            ("annotations", self.annotations == other.annotations),
            ("wording", self.wording == other.wording),
            ("model", self.model == other.model),
            ("pipeline", self.options == other.options),
        ];
        let names: Vec<&str> = pairs.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect();
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn settings() -> Settings {
        Settings {
            benchmark: "mlvu".to_owned(),
            annotations: "a".to_owned(),
            wording: "{}".to_owned(),
            model: ModelFacts { id: "m".into(), revision: "r".into(), family: "f".into(), dtype: "f32".into() },
            options: json!({"decode": {"fps": 2.0}}),
        }
    }

    #[test]
    fn a_killed_run_goes_on_behind_its_last_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("p.json");
        let one = Prediction { answer: "A\nB".to_owned(), windows: vec![[0.5, 1.0, 0.9]] };
        let (mut journal, held) = Journal::open(&out, &settings()).unwrap();
        assert!(held.is_empty());
        journal.add("q1", &one).unwrap();
        let path = beside(&out);
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"key\":\"q2\",\"ans");
        std::fs::write(&path, text).unwrap();
        let (mut journal, held) = Journal::open(&out, &settings()).unwrap();
        assert_eq!(held, [("q1".to_owned(), one.clone())].into());
        journal.add("q3", &one).unwrap();
        assert_eq!(Journal::open(&out, &settings()).unwrap().1.len(), 2);
        let other = Settings { options: json!({}), wording: String::new(), ..settings() };
        let refused = Journal::open(&out, &other).err().unwrap().to_string();
        assert!(refused.ends_with("with other settings: wording, pipeline"), "{refused}");
    }
}
