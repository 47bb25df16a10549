//! The vision tower: learned positions interpolated to the grid, full attention inside a temporal patch, a merger to
//! the language width, and one more merger for each DeepStack layer.

use super::config::{Config, VisionConfig};
use crate::layers::activation::Activation;
use crate::layers::linear::Linear;
use crate::layers::norm::Norm;
use crate::layers::pooling::{self, Pooling};
use crate::layers::rope::{Rotation, frequencies};
use crate::layers::vision::{PerGrid, VisionAttention, patch_embed, patch_order, patch_rotation, repeat_bounds};
use crate::weights::Weights;
use crate::{Grid, ModelError, Patches, VisualTokens};
use candle_core::Tensor;

const EPS: f64 = 1e-6;

#[derive(Debug)]
pub(super) struct Vision {
    config: VisionConfig,
    patch_embed: Linear,
    /// `[side * side, hidden]`
    pos_embed: Tensor,
    blocks: Vec<Block>,
    merger: Merger,
    /// (block after which it reads, merger), in the order of the blocks
    deepstack: Vec<(usize, Merger)>,
    per_grid: PerGrid<Spatial>,
}

/// What depends on the grid alone, for one temporal patch.
#[derive(Debug, Clone)]
struct Spatial {
    /// Learned positions `[patches, hidden]`
    positions: Tensor,
    rotation: Rotation,
}

impl Vision {
    pub(super) fn load(config: &Config, weights: &Weights) -> Result<Self, ModelError> {
        let config = config.parts.vision.clone();
        let kernel = [config.in_channels, config.temporal_patch_size, config.patch_size, config.patch_size];
        let blocks = weights.at("blocks");
        let mergers = weights.at("deepstack_merger_list");
        let mut deepstack = config
            .deepstack_visual_indexes
            .iter()
            .enumerate()
            .map(|(i, &block)| Ok((block, Merger::load(&config, &mergers.at(i), true)?)))
            .collect::<Result<Vec<_>, ModelError>>()?;
        deepstack.sort_by_key(|&(block, _)| block);
        Ok(Self {
            patch_embed: patch_embed(&weights.at("patch_embed.proj"), config.hidden_size, kernel, true)?,
            pos_embed: weights.at("pos_embed").get(&[config.num_position_embeddings, config.hidden_size], "weight")?,
            blocks: (0..config.depth).map(|i| Block::load(&config, &blocks.at(i))).collect::<Result<_, _>>()?,
            merger: Merger::load(&config, &weights.at("merger"), false)?,
            deepstack,
            per_grid: PerGrid::new(),
            config,
        })
    }

    pub(super) fn encode(&self, patches: &Patches, strides: &[usize]) -> Result<VisualTokens, ModelError> {
        let (grid, merge) = (patches.grid(), self.config.spatial_merge_size);
        let pooling = Pooling::new(grid, merge, strides, self.pos_embed.device())?;
        let merged = |merger: &Merger, hidden: &Tensor| match &pooling {
            Some(pooling) => merger.forward(&pooling.of(hidden)?),
            None => merger.forward(hidden),
        };
        let spatial = self.per_grid.get(grid, || self.spatial(grid))?;
        let pixels = patches.pixels().to_device(self.pos_embed.device())?.to_dtype(self.pos_embed.dtype())?;
        let hidden = self.patch_embed.forward(&pixels)?.reshape((grid.t, grid.h * grid.w, self.config.hidden_size))?;
        let mut hidden = hidden.broadcast_add(&spatial.positions)?.flatten(0, 1)?;
        let bounds = repeat_bounds(&[0, grid.h * grid.w], grid.t);
        let mut deepstack = Vec::with_capacity(self.deepstack.len());
        for (index, block) in self.blocks.iter().enumerate() {
            hidden = block.forward(&hidden, &spatial.rotation, &bounds)?;
            for (_, merger) in self.deepstack.iter().filter(|&&(after, _)| after == index) {
                deepstack.push(merged(merger, &hidden)?);
            }
        }
        let embeddings = merged(&self.merger, &hidden)?;
        pooling::tokens(pooling, embeddings, deepstack, (grid.h / merge, grid.w / merge), patches)
    }

    fn spatial(&self, grid: Grid) -> Result<Spatial, ModelError> {
        let (config, device) = (&self.config, self.pos_embed.device());
        let order = patch_order(grid, config.spatial_merge_size);
        let head = config.hidden_size / config.num_heads;
        let frequencies = frequencies(config.rope_theta(), head / 2);
        Ok(Spatial {
            positions: self.positions(grid, &order)?,
            rotation: patch_rotation(&order, &frequencies, self.pos_embed.dtype(), device)?,
        })
    }

    /// The learned square of positions, stretched to the grid so that corners meet corners (bilinear).
    fn positions(&self, grid: Grid, order: &[(usize, usize)]) -> Result<Tensor, ModelError> {
        let side = (self.config.num_position_embeddings as f64).sqrt() as usize;
        let rows: Vec<Taps> = (0..grid.h).map(|row| Taps::new(row, grid.h, side)).collect();
        let columns: Vec<Taps> = (0..grid.w).map(|column| Taps::new(column, grid.w, side)).collect();
        let mut sum: Option<Tensor> = None;
        for (down, right) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let at = |&(row, column): &(usize, usize)| (&rows[row], &columns[column]);
            let indices =
                order.iter().map(at).map(|(row, column)| (row.index[down] * side + column.index[right]) as u32);
            let weights = order.iter().map(at).map(|(row, column)| row.weight[down] * column.weight[right]);
            let device = self.pos_embed.device();
            let indices = Tensor::new(indices.collect::<Vec<u32>>(), device)?;
            let weights = Tensor::new(weights.collect::<Vec<f32>>(), device)?.to_dtype(self.pos_embed.dtype())?;
            let part = self.pos_embed.index_select(&indices, 0)?.broadcast_mul(&weights.unsqueeze(1)?)?;
            sum = Some(match sum {
                Some(sum) => (sum + part)?,
                None => part,
            });
        }
        sum.ok_or(ModelError::NoVisualTokens)
    }
}

/// The two neighbours of a point on one axis of the learned square, and their shares.
struct Taps {
    index: [usize; 2],
    weight: [f32; 2],
}

impl Taps {
    fn new(at: usize, size: usize, side: usize) -> Self {
        let source = at as f32 * (side - 1) as f32 / size.saturating_sub(1).max(1) as f32;
        let low = source.floor();
        let index = low as usize;
        Self { index: [index.min(side - 1), (index + 1).min(side - 1)], weight: [1.0 - (source - low), source - low] }
    }
}

#[derive(Debug)]
struct Block {
    norm1: Norm,
    attn: VisionAttention,
    norm2: Norm,
    linear_fc1: Linear,
    linear_fc2: Linear,
    activation: Activation,
}

impl Block {
    fn load(config: &VisionConfig, weights: &Weights) -> Result<Self, ModelError> {
        let (hidden, intermediate, mlp) = (config.hidden_size, config.intermediate_size, weights.at("mlp"));
        Ok(Self {
            norm1: Norm::layer(&weights.at("norm1"), hidden, EPS)?,
            attn: VisionAttention::load(&weights.at("attn"), hidden, config.num_heads)?,
            norm2: Norm::layer(&weights.at("norm2"), hidden, EPS)?,
            linear_fc1: Linear::load(&mlp.at("linear_fc1"), hidden, intermediate, true)?,
            linear_fc2: Linear::load(&mlp.at("linear_fc2"), intermediate, hidden, true)?,
            activation: config.hidden_act,
        })
    }

    fn forward(&self, x: &Tensor, rotation: &Rotation, bounds: &[usize]) -> Result<Tensor, ModelError> {
        let x = (x + self.attn.forward(&self.norm1.forward(x)?, rotation, bounds)?)?;
        let inner = self.activation.apply(&self.linear_fc1.forward(&self.norm2.forward(&x)?)?)?;
        Ok((x + self.linear_fc2.forward(&inner)?)?)
    }
}

/// Joins the patches of a token and projects them to the language width.
#[derive(Debug)]
struct Merger {
    norm: Norm,
    linear_fc1: Linear,
    linear_fc2: Linear,
    /// Width of the joined patches
    joined: usize,
    /// Whether the norm is over the joined patches, or over each
    after_joining: bool,
}

impl Merger {
    fn load(config: &VisionConfig, weights: &Weights, after_joining: bool) -> Result<Self, ModelError> {
        let joined = config.hidden_size * config.spatial_merge_size.pow(2);
        let normed = if after_joining { joined } else { config.hidden_size };
        Ok(Self {
            norm: Norm::layer(&weights.at("norm"), normed, EPS)?,
            linear_fc1: Linear::load(&weights.at("linear_fc1"), joined, joined, true)?,
            linear_fc2: Linear::load(&weights.at("linear_fc2"), joined, config.out_hidden_size, true)?,
            joined,
            after_joining,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        let join = |x: &Tensor| x.reshape(((), self.joined));
        let x = if self.after_joining { self.norm.forward(&join(x)?)? } else { join(&self.norm.forward(x)?)? };
        self.linear_fc2.forward(&Activation::Gelu.apply(&self.linear_fc1.forward(&x)?)?)
    }
}
