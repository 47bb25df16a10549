//! Chunks of any length in, windows through a compressor, one table out.

use super::{Compressor, WINDOW, Window};
use longsight_models::{ModelError, Selection, VisualTokens};

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

    /// Adds full patches, or such as the tower has pooled for a method with [`Compressor::strides`].
    ///
    /// # Errors
    /// When their grid is another than that of those before.
    pub fn push(&mut self, chunk: VisualTokens) -> Result<(), ModelError> {
        let Some(compressor) = &self.compressor else {
            self.done.push(chunk);
            return Ok(());
        };
        if let Some(strides) = compressor.strides(chunk.grid()) {
            let goes_on = |t: u32| strides[(self.first + t as usize) % strides.len()].is_some();
            let rows = chunk.coordinates().iter().enumerate().filter(|(_, at)| goes_on(at.t)).map(|(row, _)| row);
            self.done.push(chunk.select(&Selection::keep(rows)?)?);
            self.first += chunk.times().len();
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
