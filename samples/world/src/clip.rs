//! Seed -> finished clip: the file, and beside it the truth.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::media::{EncodeOptions, MediaError, write_mp4};
use crate::questions::{Question, ask};
use crate::render::Renderer;
use crate::script::Script;

/// What is written beside a clip, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// What happens.
    pub script: Script,
    /// What can be asked.
    pub questions: Vec<Question>,
}

/// Why a clip could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    /// Encoding failed.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// The truth could not be written.
    #[error("cannot write {path}")]
    Truth {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Encodes the clip of a script as MP4.
///
/// # Errors
/// See [`write_mp4`].
pub fn encode(script: &Script, path: &Path, options: &EncodeOptions) -> Result<(), MediaError> {
    let renderer = Renderer::new(script, options.width, options.height);
    let pictures = 0..options.pictures(script.duration);
    write_mp4(path, options, pictures.map(|picture| renderer.picture(options.time(picture))))
}

/// Writes the clip to `path` and the [`Truth`], with up to `questions` questions, beside it with the ending `.json`.
///
/// # Errors
/// Where either file cannot be written.
pub fn write(script: &Script, path: &Path, options: &EncodeOptions, questions: usize) -> Result<Truth, ClipError> {
    encode(script, path, options)?;
    let truth = Truth { script: script.clone(), questions: ask(script, questions) };
    let beside = path.with_extension("json");
    let json = serde_json::to_string_pretty(&truth).map_err(io::Error::from);
    json.and_then(|json| std::fs::write(&beside, json + "\n"))
        .map_err(|source| ClipError::Truth { path: beside, source })?;
    Ok(truth)
}
