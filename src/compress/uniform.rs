//! A baseline: every so-many-th token.

use super::{Compressor, Settings, Window};
use longsight_models::{ModelError, Selection};

/// Tokens at equal distances, in the order in which the model reads them.
#[derive(Debug)]
pub(super) struct Uniform(pub(super) Settings);

impl Compressor for Uniform {
    fn kept(&self, patches: usize, (rows, columns): (usize, usize)) -> usize {
        self.0.budget(patches * rows * columns)
    }

    fn select(&self, window: &Window) -> Result<Selection, ModelError> {
        let count = self.0.budget(window.len());
        Selection::keep((0..count).map(|n| (2 * n + 1) * window.len() / (2 * count)))
    }
}
