//! What vision towers share: attention among the patches of a segment, the order of patches, a table kept per grid.

use super::attention::segments;
use super::linear::Linear;
use super::rope::Rotation;
use crate::weights::Weights;
use crate::{Grid, ModelError};
use candle_core::{DType, Device, Tensor};
use longsight_kernels::level::Precision;
use longsight_kernels::rotary::Turn;
use std::sync::{Mutex, PoisonError};

/// A convolution whose stride is its kernel is a product: `[patches, pixels]` to `[patches, hidden]`.
pub(crate) fn patch_embed(
    weights: &Weights,
    hidden: usize,
    kernel: [usize; 4],
    bias: bool,
) -> Result<Linear, ModelError> {
    let [channels, temporal, height, width] = kernel;
    let weight = weights.stored(&[hidden, channels, temporal, height, width], "weight")?;
    let bias = if bias { Some(weights.get(&[hidden], "bias")?) } else { None };
    let weight = weight.reshape((hidden, channels * temporal * height * width))?;
    Linear::new(&weight, bias, weights)
}

/// Rows and columns of the patches of one temporal patch, in the order of the rows: the `merge` x `merge` patches of
/// one visual token stand together.
pub(crate) fn patch_order(grid: Grid, merge: usize) -> Vec<(usize, usize)> {
    let mut order = Vec::with_capacity(grid.h * grid.w);
    for top in (0..grid.h).step_by(merge) {
        for left in (0..grid.w).step_by(merge) {
            for row in top..top + merge {
                order.extend((left..left + merge).map(|column| (row, column)));
            }
        }
    }
    order
}

/// The turn of patches: by the patch's row in the first half of the pairs and by its column in the second.
pub(crate) fn patch_rotation(
    order: &[(usize, usize)],
    frequencies: &[f32],
    dtype: DType,
    device: &Device,
) -> Result<Rotation, ModelError> {
    let (rows, columns): (Vec<u32>, Vec<u32>) = order.iter().map(|&(row, column)| (row as u32, column as u32)).unzip();
    let (times, axes) = (vec![0; order.len()], [1, 2].map(|axis| vec![axis; frequencies.len()]).concat());
    let positions = [&times[..], &rows, &columns];
    let frequencies = frequencies.repeat(2);
    // One set of frequencies, as there is one time.
    let turn = Turn { positions, axes: &axes, frequencies: &frequencies, sets: &times, scale: 1.0 };
    Rotation::new(&turn, dtype, device)
}

/// The same boundaries (`0`, .., patches of one temporal patch) for each of `times` temporal patches.
pub(crate) fn repeat_bounds(bounds: &[usize], times: usize) -> Vec<usize> {
    let each = bounds.last().copied().unwrap_or(0);
    let later = (0..times).flat_map(|t| bounds.iter().skip(1).map(move |bound| t * each + bound));
    std::iter::once(0).chain(later).collect()
}

/// What depends on the grid alone. A video's chunks share one grid, so the last one is kept.
#[derive(Debug)]
pub(crate) struct PerGrid<T>(Mutex<Option<((usize, usize), T)>>);

impl<T: Clone> PerGrid<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The kept value if it is for `grid`'s rows and columns, or a new one.
    pub(crate) fn get(&self, grid: Grid, make: impl FnOnce() -> Result<T, ModelError>) -> Result<T, ModelError> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((size, value)) if *size == (grid.h, grid.w) => Ok(value.clone()),
            _ => {
                let value = make()?;
                *kept = Some(((grid.h, grid.w), value.clone()));
                Ok(value)
            }
        }
    }
}

/// Attention of every patch to the patches of its segment.
#[derive(Debug)]
pub(crate) struct VisionAttention {
    qkv: Linear,
    proj: Linear,
    heads: usize,
    products: Precision,
}

impl VisionAttention {
    pub(crate) fn load(weights: &Weights, hidden: usize, heads: usize) -> Result<Self, ModelError> {
        Ok(Self {
            qkv: Linear::load(&weights.at("qkv"), hidden, 3 * hidden, true)?,
            proj: Linear::load(&weights.at("proj"), hidden, hidden, true)?,
            heads,
            products: weights.products(),
        })
    }

    /// `[patches, hidden]`, where `rotation` is for one of some equal temporal patches and `bounds` for all.
    pub(crate) fn forward(&self, x: &Tensor, rotation: &Rotation, bounds: &[usize]) -> Result<Tensor, ModelError> {
        let (patches, hidden) = x.dims2()?;
        let dim = hidden / self.heads;
        let qkv = self.qkv.forward(x)?.reshape((patches, 3, self.heads, dim))?;
        let rotated = |i: usize| -> Result<Tensor, ModelError> {
            Ok(rotation.apply(&qkv.narrow(1, i, 1)?.squeeze(1)?)?.transpose(0, 1)?)
        };
        let values = qkv.narrow(1, 2, 1)?.squeeze(1)?.transpose(0, 1)?;
        let attended = segments(&rotated(0)?, &rotated(1)?, &values, bounds, self.products)?;
        self.proj.forward(&attended.transpose(0, 1)?.reshape((patches, hidden))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_of_one_token_stand_together() {
        let order = patch_order(Grid { t: 3, h: 2, w: 4 }, 2);
        assert_eq!(order, [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (0, 3), (1, 2), (1, 3)]);
    }

    #[test]
    fn bounds_repeat_for_every_temporal_patch() {
        assert_eq!(repeat_bounds(&[0, 4, 6], 3), [0, 4, 6, 10, 12, 16, 18]);
    }
}
