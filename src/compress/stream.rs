//! Chunks of any length in, windows through a compressor, one table out.

use super::{Compressor, WINDOW, Window};
use longsight_models::{ModelError, VisualTokens};

/// Collects a video's tokens as they come, compressed where there is a compressor: then it holds one window and what is left of those
/// before.
#[derive(Debug)]
pub struct Stream {
    compressor: Option<Box<dyn Compressor>>,
    waiting: Option<VisualTokens>,
    before: Option<Vec<f32>>,
    /// Patches that are through
    first: usize,
    done: Vec<VisualTokens>,
}

impl Stream {
    /// An empty stream.
    #[must_use]
    pub fn new(compressor: Option<Box<dyn Compressor>>) -> Self {
        Self { compressor, waiting: None, before: None, first: 0, done: Vec::new() }
    }

    /// Adds full patches.
    ///
    /// # Errors
    /// When their grid is another than that of those before.
    pub fn push(&mut self, chunk: VisualTokens) -> Result<(), ModelError> {
        if self.compressor.is_none() {
            self.done.push(chunk);
            return Ok(());
        }
        let mut waiting = match self.waiting.take() {
            Some(waiting) => VisualTokens::concat(&[waiting, chunk])?,
            None => chunk,
        };
        while waiting.times().len() > WINDOW {
            self.compress(&waiting.patches(0..WINDOW)?)?;
            waiting = waiting.patches(WINDOW..waiting.times().len())?;
        }
        self.waiting = Some(waiting);
        Ok(())
    }

    /// What is left of all.
    ///
    /// # Errors
    /// When there was nothing.
    pub fn finish(mut self) -> Result<VisualTokens, ModelError> {
        if let Some(rest) = self.waiting.take() {
            self.compress(&rest)?;
        }
        VisualTokens::concat(&self.done)
    }

    fn compress(&mut self, tokens: &VisualTokens) -> Result<(), ModelError> {
        let Some(compressor) = &self.compressor else { return Ok(()) };
        let window = Window::new(tokens, self.first, self.before.take())?;
        self.done.push(tokens.select(&compressor.select(&window)?)?);
        self.first += tokens.times().len();
        self.before = Some(window.last_patch());
        Ok(())
    }
}
