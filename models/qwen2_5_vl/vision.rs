//! The vision tower: attention inside windows of a temporal patch, and in a few layers in all of it; RMS norms, gated
//! MLP, a merger to the language width.

use super::config::{Config, VisionConfig};
use crate::layers::activation::Activation;
use crate::layers::linear::Linear;
use crate::layers::norm::Norm;
use crate::layers::pooling::{self, Pooling};
use crate::layers::rope::{Rotation, frequencies};
use crate::layers::vision::{PerGrid, VisionAttention, patch_embed, patch_order, patch_rotation, repeat_bounds};
use crate::weights::Weights;
use crate::{Grid, ModelError, Patches, VisualTokens};
use candle_core::{DType, Device, Tensor};

const EPS: f64 = 1e-6;

#[derive(Debug)]
pub(super) struct Vision {
    config: VisionConfig,
    patch_embed: Linear,
    blocks: Vec<Block>,
    merger: Merger,
    per_grid: PerGrid<Windows>,
    dtype: DType,
    device: Device,
}

/// How the tokens of one temporal patch are sorted by window.
#[derive(Debug, Clone)]
struct Windows {
    /// Raster number of each token, window by window
    order: Tensor,
    /// Where in that order each raster number stands
    back: Tensor,
    /// First patch of each window, and the number of patches
    bounds: Vec<usize>,
    /// In window order
    rotation: Rotation,
}

impl Vision {
    pub(super) fn load(config: &Config, weights: &Weights) -> Result<Self, ModelError> {
        let config = config.parts.vision.clone();
        let kernel = [config.in_channels, config.temporal_patch_size, config.patch_size, config.patch_size];
        let blocks = weights.at("blocks");
        Ok(Self {
            patch_embed: patch_embed(&weights.at("patch_embed.proj"), config.hidden_size, kernel, false)?,
            blocks: (0..config.depth).map(|i| Block::load(&config, &blocks.at(i))).collect::<Result<_, _>>()?,
            merger: Merger::load(&config, &weights.at("merger"))?,
            per_grid: PerGrid::new(),
            dtype: weights.dtype(),
            device: weights.device().clone(),
            config,
        })
    }

    pub(super) fn encode(&self, patches: &Patches, strides: &[usize]) -> Result<VisualTokens, ModelError> {
        let (grid, hidden_size) = (patches.grid(), self.config.hidden_size);
        let merge = self.config.spatial_merge_size;
        let (unit, each) = (merge * merge, grid.h * grid.w);
        let windows = self.per_grid.get(grid, || self.windows(grid))?;
        let pixels = patches.pixels().to_device(&self.device)?.to_dtype(self.dtype)?;
        let tokens = self.patch_embed.forward(&pixels)?.reshape((grid.t, each / unit, unit * hidden_size))?;
        let mut hidden = tokens.index_select(&windows.order, 1)?.reshape((grid.t * each, hidden_size))?;
        let whole = repeat_bounds(&[0, each], grid.t);
        let inside = repeat_bounds(&windows.bounds, grid.t);
        for (index, block) in self.blocks.iter().enumerate() {
            let bounds = if self.config.fullatt_block_indexes.contains(&index) { &whole } else { &inside };
            hidden = block.forward(&hidden, &windows.rotation, bounds)?;
        }
        let in_raster = |rows: &Tensor, width: usize| -> Result<Tensor, ModelError> {
            Ok(rows.reshape((grid.t, each / unit, width))?.index_select(&windows.back, 1)?.flatten(0, 1)?)
        };
        let pooling = Pooling::new(grid, merge, strides, &self.device)?;
        let merged = match &pooling {
            // Squares of tokens lie across windows.
            Some(pooling) => {
                let hidden = in_raster(&hidden, unit * hidden_size)?.reshape((grid.t * each, hidden_size))?;
                self.merger.forward(&pooling.of(&hidden)?)?
            }
            None => in_raster(&self.merger.forward(&hidden)?, self.config.out_hidden_size)?,
        };
        pooling::tokens(pooling, merged, Vec::new(), (grid.h / merge, grid.w / merge), patches)
    }

    fn windows(&self, grid: Grid) -> Result<Windows, ModelError> {
        let config = &self.config;
        let merge = config.spatial_merge_size;
        let side = config.window_size / merge / config.patch_size;
        let (order, bounds) = window_order(grid.h / merge, grid.w / merge, side);
        let unit = merge * merge;
        let raster = patch_order(grid, merge);
        let sorted: Vec<(usize, usize)> =
            order.iter().flat_map(|&token| &raster[token * unit..][..unit]).copied().collect();
        let head = config.hidden_size / config.num_heads;
        let frequencies = frequencies(config.rope_theta(), head / 2);
        let mut back = vec![0u32; order.len()];
        for (place, &token) in order.iter().enumerate() {
            back[token] = place as u32;
        }
        let order: Vec<u32> = order.iter().map(|&token| token as u32).collect();
        Ok(Windows {
            order: Tensor::new(order, &self.device)?,
            back: Tensor::new(back, &self.device)?,
            bounds: bounds.iter().map(|bound| bound * unit).collect(),
            rotation: patch_rotation(&sorted, &frequencies, self.dtype, &self.device)?,
        })
    }
}

/// Raster numbers of `rows` x `columns` tokens, window by window of `side` x `side` (less at the edges), and where
/// each window begins, with the end.
fn window_order(rows: usize, columns: usize, side: usize) -> (Vec<usize>, Vec<usize>) {
    let (mut order, mut bounds) = (Vec::with_capacity(rows * columns), vec![0]);
    for top in (0..rows).step_by(side) {
        for left in (0..columns).step_by(side) {
            for row in top..rows.min(top + side) {
                order.extend((left..columns.min(left + side)).map(|column| row * columns + column));
            }
            bounds.push(order.len());
        }
    }
    (order, bounds)
}

#[derive(Debug)]
struct Block {
    norm1: Norm,
    attn: VisionAttention,
    norm2: Norm,
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
    activation: Activation,
}

impl Block {
    fn load(config: &VisionConfig, weights: &Weights) -> Result<Self, ModelError> {
        let (hidden, intermediate, mlp) = (config.hidden_size, config.intermediate_size, weights.at("mlp"));
        Ok(Self {
            norm1: Norm::rms(&weights.at("norm1"), hidden, EPS)?,
            attn: VisionAttention::load(&weights.at("attn"), hidden, config.num_heads)?,
            norm2: Norm::rms(&weights.at("norm2"), hidden, EPS)?,
            gate_proj: Linear::load(&mlp.at("gate_proj"), hidden, intermediate, true)?,
            up_proj: Linear::load(&mlp.at("up_proj"), hidden, intermediate, true)?,
            down_proj: Linear::load(&mlp.at("down_proj"), intermediate, hidden, true)?,
            activation: config.hidden_act,
        })
    }

    fn forward(&self, x: &Tensor, rotation: &Rotation, bounds: &[usize]) -> Result<Tensor, ModelError> {
        let x = (x + self.attn.forward(&self.norm1.forward(x)?, rotation, bounds)?)?;
        let normed = self.norm2.forward(&x)?;
        let inner = self.activation.gated(&self.gate_proj.forward(&normed)?, &self.up_proj.forward(&normed)?)?;
        Ok((x + self.down_proj.forward(&inner)?)?)
    }
}

/// Joins the patches of a token and projects them to the language width.
#[derive(Debug)]
struct Merger {
    ln_q: Norm,
    first: Linear,
    second: Linear,
    joined: usize,
}

impl Merger {
    fn load(config: &VisionConfig, weights: &Weights) -> Result<Self, ModelError> {
        let joined = config.hidden_size * config.spatial_merge_size.pow(2);
        Ok(Self {
            ln_q: Norm::rms(&weights.at("ln_q"), config.hidden_size, EPS)?,
            first: Linear::load(&weights.at("mlp.0"), joined, joined, true)?,
            second: Linear::load(&weights.at("mlp.2"), joined, config.out_hidden_size, true)?,
            joined,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        let joined = self.ln_q.forward(x)?.reshape(((), self.joined))?;
        self.second.forward(&Activation::Gelu.apply(&self.first.forward(&joined)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_at_the_edges_are_smaller() {
        let (order, bounds) = window_order(3, 5, 2);
        assert_eq!(order, [0, 1, 5, 6, 2, 3, 7, 8, 4, 9, 10, 11, 12, 13, 14]);
        assert_eq!(bounds, [0, 4, 8, 10, 12, 14, 15]);
        assert_eq!(window_order(2, 2, 2).1, [0, 4]);
    }
}
