//! A checkpoint that is ready to answer.

use super::ModelFacts;
use crate::decode::fingerprint;
use crate::prefill::{PatternFile, PatternFileError};
use crate::prompt::{PromptError, Prompter};
use longsight_models::{Checkpoint, Family, LoadOptions, ModelError, Processor, Vlm, family_of};
use std::path::Path;

/// A loaded model with its tokeniser and chat template. Shared by threads and questions.
pub struct Model {
    pub(super) vlm: Box<dyn Vlm>,
    pub(super) prompter: Prompter,
    pub(super) facts: ModelFacts,
    pub(super) patterns: Option<PatternFile>,
    /// Whether it computes on the processor
    pub(super) on_cpu: bool,
}

/// A checkpoint that is known but not loaded: enough to plan a run.
pub struct Outline {
    pub(super) processor: Box<dyn Processor>,
    pub(super) prompter: Prompter,
    pub(super) facts: ModelFacts,
    pub(super) patterns: Option<PatternFile>,
}

impl Outline {
    /// Reads the checkpoint's configuration, tokeniser and pattern file, and no weights.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn open(id: &str, folder: &Path, options: &LoadOptions) -> Result<Self, LoadError> {
        let checkpoint = Checkpoint::open(folder)?;
        let family = family_of(&checkpoint)?;
        let processor = family.processor(&checkpoint)?;
        let patterns = PatternFile::beside(folder, processor.card().layers, processor.card().heads)?;
        let facts = facts(id, &checkpoint, family, options);
        Ok(Self { processor, prompter: Prompter::open(&checkpoint)?, facts, patterns })
    }

    /// What the model is.
    #[must_use]
    pub fn facts(&self) -> &ModelFacts {
        &self.facts
    }

    /// Frames per second that it is shown, unless something else is asked for.
    #[must_use]
    pub fn fps(&self) -> f64 {
        self.processor.card().fps
    }
}

fn facts(id: &str, checkpoint: &Checkpoint, family: &dyn Family, options: &LoadOptions) -> ModelFacts {
    ModelFacts {
        id: id.to_owned(),
        revision: revision(checkpoint),
        family: family.name().to_owned(),
        dtype: options.compute.name().to_owned(),
    }
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
        let facts = facts(id, &checkpoint, family, options);
        Ok(Self { vlm, prompter, facts, patterns: None, on_cpu: options.device.is_cpu() })
    }

    /// The network.
    #[must_use]
    pub fn vlm(&self) -> &dyn Vlm {
        &*self.vlm
    }

    /// What it is.
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

/// The hub's revision where the folder is a snapshot of one; else a hash of the configuration and of each shard's name and
/// [`fingerprint`]: of all of it up to 64 MiB, beyond that of 32 pieces, so that retrained weights have another.
fn revision(checkpoint: &Checkpoint) -> String {
    let folder = checkpoint.folder();
    let parent = folder.parent().and_then(Path::file_name);
    if let (true, Some(name)) = (parent.is_some_and(|name| name == "snapshots"), folder.file_name()) {
        return name.to_string_lossy().into_owned();
    }
    let mut hash = blake3::Hasher::new();
    hash.update(checkpoint.config().to_string().as_bytes());
    for shard in checkpoint.shards() {
        hash.update(shard.file_name().unwrap_or_default().as_encoded_bytes());
        // A shard that cannot be read fails when it is loaded; it adds nothing here.
        hash.update(fingerprint(shard).unwrap_or_default().as_bytes());
    }
    hash.finalize().to_hex()[..16].to_owned()
}
