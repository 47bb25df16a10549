//! A checkpoint that is ready to answer.

use super::ModelFacts;
use crate::prefill::{PatternFile, PatternFileError};
use crate::prompt::{PromptError, Prompter};
use longsight_models::{Checkpoint, LoadOptions, ModelError, Vlm, family_of};
use std::path::Path;

/// A loaded model with its tokeniser and chat template. Shared by threads and questions.
pub struct Model {
    pub(super) vlm: Box<dyn Vlm>,
    pub(super) prompter: Prompter,
    pub(super) facts: ModelFacts,
    pub(super) patterns: Option<PatternFile>,
}

/// Why a model cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The checkpoint or its weights
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The tokeniser or the chat template
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// The pattern file
    #[error(transparent)]
    Patterns(#[from] PatternFileError),
}

impl Model {
    /// Loads the checkpoint in `folder`, with its pattern file; `id` is what the user called it.
    ///
    /// # Errors
    /// When the folder is no checkpoint of a known family, or a file of it cannot be used.
    pub fn load(id: &str, folder: &Path, options: &LoadOptions) -> Result<Self, LoadError> {
        let model = Self::untuned(id, folder, options)?;
        let (layers, heads) = (model.vlm.card().layers, model.vlm.card().heads);
        Ok(Self { patterns: PatternFile::beside(folder, layers, heads)?, ..model })
    }

    /// The same without a look at the pattern file, which may be there or not, and may be wrong.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn untuned(id: &str, folder: &Path, options: &LoadOptions) -> Result<Self, LoadError> {
        let checkpoint = Checkpoint::open(folder)?;
        let family = family_of(&checkpoint)?;
        let vlm = family.load(&checkpoint, options)?;
        let prompter = Prompter::open(&checkpoint)?;
        let facts = ModelFacts {
            id: id.to_owned(),
            revision: revision(&checkpoint),
            family: family.name().to_owned(),
            dtype: options.compute.name().to_owned(),
        };
        Ok(Self { vlm, prompter, facts, patterns: None })
    }

    /// The network.
    #[must_use]
    pub fn vlm(&self) -> &dyn Vlm {
        &*self.vlm
    }

    /// What it is, as every answer says.
    #[must_use]
    pub fn facts(&self) -> &ModelFacts {
        &self.facts
    }

    /// What was tuned for its heads.
    #[must_use]
    pub fn patterns(&self) -> Option<&PatternFile> {
        self.patterns.as_ref()
    }
}

/// The hub's revision where the folder is a snapshot of one; else a hash of the configuration and of each shard's name,
/// length and first 64 KiB (its header), which changes whenever the model was saved with other shapes or names, and in
/// practice whenever it was saved anew.
fn revision(checkpoint: &Checkpoint) -> String {
    let folder = checkpoint.folder();
    let parent = folder.parent().and_then(Path::file_name);
    if let (true, Some(name)) = (parent.is_some_and(|name| name == "snapshots"), folder.file_name()) {
        return name.to_string_lossy().into_owned();
    }
    let mut hash = blake3::Hasher::new();
    hash.update(checkpoint.config().to_string().as_bytes());
    for shard in checkpoint.shards() {
        // A shard that cannot be read fails when it is loaded; it adds nothing here.
        let Ok(file) = std::fs::File::open(shard) else { continue };
        hash.update(shard.file_name().unwrap_or_default().as_encoded_bytes());
        hash.update(&file.metadata().map_or(0, |facts| facts.len()).to_le_bytes());
        let mut head = Vec::new();
        if std::io::Read::read_to_end(&mut std::io::Read::take(file, 64 << 10), &mut head).is_ok() {
            hash.update(&head);
        }
    }
    hash.finalize().to_hex()[..16].to_owned()
}
