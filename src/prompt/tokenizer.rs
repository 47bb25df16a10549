//! Text to ids and back, by the checkpoint's tokenizer.json.

use super::PromptError;
use std::path::Path;

/// A checkpoint's tokeniser.
#[derive(Debug)]
pub struct Tokenizer(tokenizers::Tokenizer);

impl Tokenizer {
    /// Reads tokenizer.json.
    ///
    /// # Errors
    /// When it is missing or not one.
    pub fn open(path: &Path) -> Result<Self, PromptError> {
        let wrong = |message: String| PromptError::Tokenizer { path: path.to_path_buf(), message };
        let mut tokenizer = tokenizers::Tokenizer::from_file(path).map_err(|error| wrong(error.to_string()))?;
        // A file may carry the padding and truncation of somebody's training run.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| wrong(error.to_string()))?;
        Ok(Self(tokenizer))
    }

    /// The ids of `text`, special tokens in it included.
    ///
    /// # Errors
    /// When the tokeniser fails.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, PromptError> {
        let encoding = self.0.encode(text, true).map_err(|error| PromptError::Tokenise(error.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// `text` with a space inside whatever would be read as a control token, so that what users write stays text.
    #[must_use]
    pub fn defused(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for token in self.0.get_added_tokens_decoder().into_values().filter(|token| token.special) {
            let mut letters = token.content.chars();
            if let (Some(first), true) = (letters.next(), text.contains(&token.content)) {
                text = text.replace(&token.content, &format!("{first} {}", letters.as_str()));
            }
        }
        text
    }

    /// The text of `ids` without special tokens.
    ///
    /// # Errors
    /// When the tokeniser fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String, PromptError> {
        self.0.decode(ids, true).map_err(|error| PromptError::Tokenise(error.to_string()))
    }

    /// The id of a token given by its exact text.
    #[must_use]
    pub fn id(&self, token: &str) -> Option<u32> {
        self.0.token_to_id(token)
    }
}

/// Text that grows with every id, given out as soon as its characters are whole.
#[derive(Debug)]
pub struct TextStream<'t> {
    tokenizer: &'t Tokenizer,
    ids: Vec<u32>,
    /// Ids before this have been given out and serve as context no more
    settled: usize,
    /// Ids before this have been given out
    given: usize,
}

impl<'t> TextStream<'t> {
    /// Nothing yet.
    #[must_use]
    pub fn new(tokenizer: &'t Tokenizer) -> Self {
        Self { tokenizer, ids: Vec::new(), settled: 0, given: 0 }
    }

    /// Adds an id; gives the text that it completes, empty while a character is still cut in half.
    ///
    /// # Errors
    /// When the tokeniser fails.
    pub fn push(&mut self, id: u32) -> Result<String, PromptError> {
        self.ids.push(id);
        let (before, after) = self.decode()?;
        if after.ends_with('\u{FFFD}') || after.len() <= before.len() {
            return Ok(String::new());
        }
        self.settled = self.given;
        self.given = self.ids.len();
        Ok(after.get(before.len()..).unwrap_or_default().to_owned())
    }

    /// What is left at the end, cut characters included.
    ///
    /// # Errors
    /// When the tokeniser fails.
    pub fn finish(self) -> Result<String, PromptError> {
        let (before, after) = self.decode()?;
        Ok(after.get(before.len()..).unwrap_or_default().to_owned())
    }

    /// The text since `settled`, without and with the ids not yet given out.
    fn decode(&self) -> Result<(String, String), PromptError> {
        let before = self.tokenizer.decode(&self.ids[self.settled..self.given])?;
        Ok((before, self.tokenizer.decode(&self.ids[self.settled..])?))
    }
}
