//! Pooling between a vision tower and its mergers: the patches under a square of tokens become the patches of one token, each the mean of
//! its share of them (progressive pooling as published: Wei & Chen 2024, arXiv 2409.20018, section 3.3, whose projector comes after it).

use crate::{Coordinate, Gather, Grid, Group, Medium, ModelError, PatchTime, Patches, VisualTokens};
use candle_core::{Device, Tensor};

/// How the rows of a tower's output are pooled.
pub(crate) struct Pooling {
    gather: Gather,
    coordinates: Vec<Coordinate>,
}

impl Pooling {
    /// Pooling of patches in the order of [`super::vision::patch_order`]; `None` where `strides` leave everything as it is.
    ///
    /// # Errors
    /// When there is not one stride of at least 1 for each temporal patch.
    pub(crate) fn new(
        grid: Grid,
        merge: usize,
        strides: &[usize],
        device: &Device,
    ) -> Result<Option<Self>, ModelError> {
        if strides.iter().all(|&stride| stride == 1) && (strides.is_empty() || strides.len() == grid.t) {
            return Ok(None);
        }
        if strides.len() != grid.t || strides.contains(&0) {
            let found = strides.to_vec();
            return Err(ModelError::Shape { what: "strides of temporal patches", expected: vec![grid.t], found });
        }
        let (mut groups, mut coordinates) = (Vec::new(), Vec::new());
        for (t, &stride) in strides.iter().enumerate() {
            for h in (0..grid.h / merge).step_by(stride) {
                for w in (0..grid.w / merge).step_by(stride) {
                    coordinates.push(Coordinate { t: t as u32, h: h as u32, w: w as u32 });
                    token(grid, merge, (t, h, w), stride, &mut groups);
                }
            }
        }
        Ok(Some(Self { gather: Gather::new(&groups, device)?, coordinates }))
    }

    /// `[patches, hidden]` to fewer, those of a token still together.
    pub(crate) fn of(&self, hidden: &Tensor) -> Result<Tensor, ModelError> {
        self.gather.of(hidden)
    }
}

/// The patches of the token that stands for a square of tokens from `(h, w)` of temporal patch `t` on.
fn token(grid: Grid, merge: usize, (t, h, w): (usize, usize, usize), stride: usize, groups: &mut Vec<Group>) {
    let (rows, columns) = (grid.h / merge, grid.w / merge);
    // At the far borders squares are cut.
    let (tall, wide) = (stride.min(rows - h), stride.min(columns - w));
    let row = |row: usize, column: usize| {
        let token = t * rows * columns + row / merge * columns + column / merge;
        token * merge * merge + row % merge * merge + column % merge
    };
    let share = 1.0 / (tall * wide) as f32;
    for down in 0..merge {
        for right in 0..merge {
            let (top, left) = (h * merge + down * tall, w * merge + right * wide);
            let patches = (top..top + tall).flat_map(|y| (left..left + wide).map(move |x| (y, x)));
            groups.push(Group { at: row(top, left), rows: patches.map(|(y, x)| (row(y, x), share)).collect() });
        }
    }
}

/// The tokens that came of `patches`, whose mergers leave `size` tokens of a temporal patch where nothing is pooled.
pub(crate) fn tokens(
    pooling: Option<Pooling>,
    embeddings: Tensor,
    deepstack: Vec<Tensor>,
    size: (usize, usize),
    patches: &Patches,
) -> Result<VisualTokens, ModelError> {
    let (times, medium): (Vec<PatchTime>, Medium) = (patches.times().to_vec(), patches.medium());
    match pooling {
        None => VisualTokens::new(embeddings, deepstack, size, times, medium),
        Some(Pooling { coordinates, .. }) => {
            VisualTokens::restore(embeddings, deepstack, coordinates, times, size, medium)
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::vision::patch_order;
    use super::*;

    /// A table of each patch's row and column, pooled.
    fn pooled(grid: Grid, strides: &[usize]) -> (Vec<Coordinate>, Vec<[f32; 2]>) {
        let places = patch_order(grid, 2);
        let numbers = (0..grid.t).flat_map(|t| places.iter().map(move |&(y, x)| [(100 * t + y) as f32, x as f32]));
        let numbers: Vec<f32> = numbers.flatten().collect();
        let table = Tensor::from_vec(numbers, (grid.patches(), 2), &Device::Cpu).unwrap();
        let pooling = Pooling::new(grid, 2, strides, &Device::Cpu).unwrap().unwrap();
        let rows: Vec<Vec<f32>> = pooling.of(&table).unwrap().to_vec2().unwrap();
        (pooling.coordinates, rows.into_iter().map(|row| [row[0], row[1]]).collect())
    }

    #[test]
    fn a_square_of_tokens_becomes_the_four_patches_of_one() {
        let (places, rows) = pooled(Grid { t: 2, h: 4, w: 6 }, &[2, 1]);
        let at = |t, h, w| Coordinate { t, h, w };
        assert_eq!((places[0], places[1], places[2]), (at(0, 0, 0), at(0, 0, 2), at(1, 0, 0)));
        assert_eq!(places.len(), 2 + 6);
        // Squares of two patches a side; at the border a token's width is left.
        assert_eq!(rows[..4], [[0.5, 0.5], [0.5, 2.5], [2.5, 0.5], [2.5, 2.5]]);
        assert_eq!(rows[4..8], [[0.5, 4.0], [0.5, 5.0], [2.5, 4.0], [2.5, 5.0]]);
        assert_eq!(rows[8..12], [[100.0, 0.0], [100.0, 1.0], [101.0, 0.0], [101.0, 1.0]]);
    }

    #[test]
    fn what_is_not_pooled_is_left_alone_and_strides_belong_to_patches() {
        let grid = Grid { t: 2, h: 4, w: 4 };
        let new = |strides: &[usize]| Pooling::new(grid, 2, strides, &Device::Cpu);
        assert!(new(&[]).unwrap().is_none() && new(&[1, 1]).unwrap().is_none());
        assert!(new(&[1]).is_err() && new(&[2, 0]).is_err() && new(&[2, 2, 2]).is_err());
    }
}
