//! The demo clips, and what to ask about them.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::clip::encode;
use crate::dice::Split;
use crate::media::{EncodeOptions, MediaError};
use crate::questions::{Kind, ask};
use crate::script::{Script, Span, Wishes};

/// A clip of the demo.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// File name without its ending.
    pub name: &'static str,
    /// Seed in [`Split::HeldOut`].
    pub seed: u64,
    /// Width and height in pixels.
    pub size: (u32, u32),
}

/// The clips of the demo. Their seeds are held out, and were chosen for having scenes, signs and motion of every sort; the last is 16:9.
pub const SAMPLES: [Sample; 5] = [
    Sample { name: "world-1", seed: 15, size: SQUARE },
    Sample { name: "world-2", seed: 7, size: SQUARE },
    Sample { name: "world-3", seed: 44, size: SQUARE },
    Sample { name: "world-4", seed: 33, size: SQUARE },
    Sample { name: "world-5", seed: 52, size: (448, 252) },
];

/// Their lengths.
pub const WISHES: Wishes = Wishes { shortest: 20.0, longest: 45.0 };
/// Questions about each.
const QUESTIONS: usize = 16;
const SQUARE: (u32, u32) = (256, 256);
/// Film grain costs bytes; this keeps a clip with it below a megabyte and a half.
const CRF: u32 = 28;
/// Pictures a second.
const RATE: (u32, u32) = (12, 1);

/// A question of `questions.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleQuestion {
    /// File name of the clip.
    pub clip: String,
    /// What it asks for.
    pub kind: Kind,
    /// The question.
    pub question: String,
    /// Empty, or four.
    pub choices: Vec<String>,
    /// The right answer.
    pub expected: String,
    /// When what the answer is about can be seen.
    pub spans: Vec<Span>,
}

/// Why the samples could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SamplesError {
    /// A clip could not be encoded.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// A file or folder could not be written.
    #[error("cannot write {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Writes the clips and `questions.json` into `folder`.
///
/// # Errors
/// Where a clip or the questions cannot be written.
pub fn write(folder: &Path) -> Result<(), SamplesError> {
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| SamplesError::File { path, source }
    };
    std::fs::create_dir_all(folder).map_err(file(folder))?;
    for sample in SAMPLES {
        let (width, height) = sample.size;
        let options = EncodeOptions { width, height, rate: RATE, crf: CRF, ..EncodeOptions::default() };
        encode(&sample.script(), &folder.join(sample.file()), &options)?;
    }
    let path = folder.join("questions.json");
    let questions: Vec<SampleQuestion> = SAMPLES.iter().flat_map(Sample::questions).collect();
    let json = serde_json::to_string_pretty(&questions).map_err(io::Error::from).map_err(file(&path))?;
    std::fs::write(&path, json + "\n").map_err(file(&path))
}

impl Sample {
    /// What happens in it.
    pub fn script(&self) -> Script {
        Script::write(Split::HeldOut, self.seed, &WISHES)
    }

    /// Its file name.
    pub fn file(&self) -> String {
        format!("{}.mp4", self.name)
    }

    /// What to ask about it.
    pub fn questions(&self) -> Vec<SampleQuestion> {
        let asked = ask(&self.script(), QUESTIONS).into_iter();
        asked
            .map(|question| SampleQuestion {
                clip: self.file(),
                kind: question.kind,
                question: question.text,
                choices: question.choices,
                expected: question.answer,
                spans: question.spans,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop")]

    use std::collections::BTreeSet;

    use super::*;

    /// Largest clip the repository takes, in bytes.
    const LARGEST: u64 = 3 << 19;

    #[test]
    fn the_samples_are_small_and_ask_for_everything() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        for sample in SAMPLES {
            let bytes = std::fs::metadata(folder.path().join(sample.file())).unwrap().len();
            assert!((1..LARGEST).contains(&bytes), "{} has {bytes} bytes", sample.name);
        }
        let text = std::fs::read_to_string(folder.path().join("questions.json")).unwrap();
        let questions: Vec<SampleQuestion> = serde_json::from_str(&text).unwrap();
        let kinds: BTreeSet<Kind> = questions.iter().map(|question| question.kind).collect();
        assert_eq!(kinds.len(), 13);
        let clips: BTreeSet<&str> = questions.iter().map(|question| question.clip.as_str()).collect();
        assert_eq!(clips.len(), SAMPLES.len());
    }
}
