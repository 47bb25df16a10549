//! A question becomes a token sequence: chat template, placeholders, tokeniser, positions.
//!
//! Comes in: messages and the media they mention. Goes out: a [`Sequence`]. Never: what the question should say.

mod date;
mod template;
mod tokenizer;

pub use template::{ChatTemplate, Message, Part, Role};
pub use tokenizer::{TextStream, Tokenizer};

use longsight_models::{Checkpoint, ModelError, Processor, Sequence, VisualTokens};
use std::path::PathBuf;

/// Why a prompt cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// tokenizer.json is missing or not one
    #[error("{}: {message}", path.display())]
    Tokenizer {
        /// The file
        path: PathBuf,
        /// What is wrong with it
        message: String,
    },
    /// The folder has no chat template
    #[error("{}: no chat template (chat_template.jinja, chat_template.json or tokenizer_config.json)", path.display())]
    NoTemplate {
        /// The folder
        path: PathBuf,
    },
    /// The chat template cannot be used
    #[error("chat template: {0}")]
    Template(#[from] minijinja::Error),
    /// The text cannot be tokenised, or the ids not be turned into text
    #[error("tokeniser: {0}")]
    Tokenise(String),
    /// The checkpoint or the media do not fit
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// A checkpoint's chat template and tokeniser.
#[derive(Debug)]
pub struct Prompter {
    template: Option<ChatTemplate>,
    tokenizer: Tokenizer,
    folder: PathBuf,
}

impl Prompter {
    /// Reads both; a folder without a chat template can still tokenise.
    ///
    /// # Errors
    /// When tokenizer.json is missing or either cannot be understood.
    pub fn open(checkpoint: &Checkpoint) -> Result<Self, PromptError> {
        let folder = checkpoint.folder().to_path_buf();
        let tokenizer = Tokenizer::open(&folder.join("tokenizer.json"))?;
        Ok(Self { template: ChatTemplate::open(checkpoint)?, tokenizer, folder })
    }

    /// The tokeniser.
    #[must_use]
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The messages as the chat template writes them, with one placeholder for each medium and the beginning of the
    /// answer. Control tokens in their text are no more than text.
    ///
    /// # Errors
    /// When there is no template or it fails.
    pub fn render(&self, messages: &[Message]) -> Result<String, PromptError> {
        let none = || PromptError::NoTemplate { path: self.folder.clone() };
        let defused = |part: &Part| match part {
            Part::Text { text } => Part::text(self.tokenizer.defused(text)),
            medium => medium.clone(),
        };
        let message =
            |message: &Message| Message { role: message.role, content: message.content.iter().map(defused).collect() };
        self.template.as_ref().ok_or_else(none)?.render(&messages.iter().map(message).collect::<Vec<_>>())
    }

    /// The whole way: messages and the media that they mention, in order, to a sequence.
    ///
    /// # Errors
    /// When the template fails or the messages mention other media than given.
    pub fn build(
        &self,
        processor: &dyn Processor,
        messages: &[Message],
        media: &[VisualTokens],
    ) -> Result<Sequence, PromptError> {
        let ids = self.tokenizer.encode(&processor.expand(&self.render(messages)?, media)?)?;
        Ok(processor.layout(&ids, media, None)?)
    }
}
