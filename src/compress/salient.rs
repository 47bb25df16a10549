//! What changed and what stands out, one budget for both.

use super::v_cast::scaled;
use super::window::best;
use super::{Compressor, Settings, Window};
use longsight_models::{ModelError, Selection};

/// Added to the best token of each patch where the budget allows one of each, so that no moment goes unseen.
const FLOOR: f32 = 10.0;

/// Tokens by the sum of how much they changed since the patch before (as in EVS) and how unlike their own patch they are (as in V-CAST),
/// each scaled to the window's range. Change alone forgets what stands still, distinctness alone spends its budget on every frame of a
/// still; frames compete for tokens within a window, and each has one.
#[derive(Debug)]
pub(super) struct Salient(pub(super) Settings);

impl Compressor for Salient {
    fn kept(&self, patches: usize, (rows, columns): (usize, usize)) -> usize {
        self.0.budget(patches * rows * columns)
    }

    fn select(&self, window: &Window) -> Result<Selection, ModelError> {
        let budget = self.0.budget(window.len());
        let changes: Vec<f32> = window.changes().into_iter().map(|change| change.unwrap_or(1.0)).collect();
        let (changes, distinct) = (scaled(&changes), scaled(&window.distinctness()));
        let mut scores: Vec<f32> = changes.iter().zip(&distinct).map(|(change, distinct)| change + distinct).collect();
        if budget >= window.patches() {
            for patch in scores.chunks_mut(window.cells()) {
                best(patch, 1).into_iter().for_each(|cell| patch[cell] += FLOOR);
            }
        }
        Selection::keep(best(&scores, budget))
    }
}
