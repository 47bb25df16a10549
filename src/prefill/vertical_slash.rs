//! Vertical-slash: the columns and the diagonals that the last rows look at most (MInference, Jiang et al. 2024).

use super::pattern::{Estimate, LineChoice, largest};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Diagonals that are kept or left together: a tile of rows meets whole blocks of keys anyway.
const BLOCK: usize = 64;

/// Columns and diagonals by their mass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerticalSlash {
    /// Columns
    pub vertical: usize,
    /// Diagonals, in blocks of 64
    pub slash: usize,
    /// Keys before a row
    pub local: usize,
}

impl VerticalSlash {
    pub(super) fn choose(&self, Estimate { mass, .. }: Estimate<'_>) -> LineChoice {
        let columns = largest(&mass.columns, self.vertical);
        let far = mass.distances.get(self.local..).unwrap_or_default();
        let blocks: Vec<f32> = far.chunks(BLOCK).map(|block| block.iter().sum()).collect();
        let band = |block: usize| -> Range<usize> {
            let start = self.local + block * BLOCK;
            start..start + BLOCK
        };
        let bands = largest(&blocks, self.slash / BLOCK).into_iter().map(band).collect();
        LineChoice { window: self.local, columns, bands, ..LineChoice::default() }
    }
}
