//! The language model that both families share: grouped-query attention with rotary embeddings over three axes, gated
//! MLP, RMS norms. Families differ in biases, query and key norms, and which axis turns which pair.

use super::activation::Activation;
use super::embedding::Embedding;
use super::linear::Linear;
use super::norm::Norm;
use super::rope::{Axes, Rotation, extended};
use super::rows;
use crate::weights::Weights;
use crate::{Attention, Call, KvCache, Logits, ModelError, Sequence, VisualTokens, Want};
use candle_core::{DType, Device, Tensor};
use longsight_kernels::level::Precision;
use longsight_kernels::rotary::Turn;
use std::ops::Range;

/// The sizes and switches of a language model.
#[derive(Debug, Clone)]
pub(crate) struct DecoderConfig {
    pub(crate) vocabulary: usize,
    pub(crate) hidden: usize,
    pub(crate) intermediate: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) eps: f64,
    pub(crate) activation: Activation,
    /// Rotary frequencies of the pairs of a head
    pub(crate) frequencies: Vec<f32>,
    /// What rotated queries and keys are multiplied by
    pub(crate) rotation_scale: f64,
    /// Which axis turns which pair
    pub(crate) axes: Axes,
    /// Biases of the query, key and value projections
    pub(crate) qkv_bias: bool,
    /// Bias of the attention's output projection
    pub(crate) output_bias: bool,
    /// RMS norms of every query and key head
    pub(crate) qk_norm: bool,
    /// The output head is the embedding table
    pub(crate) tied: bool,
}

/// A loaded language model.
#[derive(Debug)]
pub(crate) struct Decoder {
    config: DecoderConfig,
    products: Precision,
    embed_tokens: Embedding,
    layers: Vec<Layer>,
    norm: Norm,
    lm_head: Linear,
}

impl Decoder {
    /// Loads from `weights` (at `embed_tokens`, `layers`, `norm`) and `lm_head`.
    pub(crate) fn load(config: DecoderConfig, weights: &Weights, lm_head: &Weights) -> Result<Self, ModelError> {
        let (vocabulary, hidden) = (config.vocabulary, config.hidden);
        let table = weights.at("embed_tokens");
        let (embed_tokens, lm_head) = if config.tied {
            Embedding::tied(&table, vocabulary, hidden)?
        } else {
            (Embedding::load(&table, vocabulary, hidden)?, Linear::load(lm_head, hidden, vocabulary, false)?)
        };
        let layers = weights.at("layers");
        let layers = (0..config.layers).map(|i| Layer::load(&config, &layers.at(i)));
        Ok(Self {
            layers: layers.collect::<Result<_, _>>()?,
            norm: Norm::rms(&weights.at("norm"), config.hidden, config.eps)?,
            embed_tokens,
            lm_head,
            products: weights.products(),
            config,
        })
    }

    /// See [`crate::Vlm::forward`].
    pub(crate) fn forward(
        &self,
        sequence: &Sequence,
        rows: Range<usize>,
        media: &[VisualTokens],
        attention: &mut dyn Attention,
        kv: &mut dyn KvCache,
        want: Want,
    ) -> Result<Logits, ModelError> {
        if kv.len() != rows.start || rows.end > sequence.len() || rows.is_empty() {
            return Err(ModelError::Shape {
                what: "rows to run",
                expected: vec![kv.len(), sequence.len()],
                found: vec![rows.start, rows.end],
            });
        }
        let mut hidden = self.embed(&sequence.ids()[rows.clone()])?;
        let visual = pieces(sequence, &rows, media)?;
        for piece in &visual {
            let embeddings = media[piece.medium].embeddings().narrow(0, piece.source, piece.len)?;
            // What was read on another occasion comes from memory.
            let embeddings = embeddings.to_device(hidden.device())?.to_dtype(hidden.dtype())?;
            hidden.slice_set(&embeddings.contiguous()?, 0, piece.row)?;
        }
        let rotation = self.rotation(sequence, rows.clone(), hidden.dtype(), hidden.device())?;
        if self.layers.is_empty() {
            return Err(ModelError::NoVisualTokens);
        }
        let mut run = Run { sequence, rotation, attention, kv, rows: rows.clone(), products: self.products };
        let deep = media.iter().any(|tokens| tokens.deepstack().len() >= self.layers.len());
        // Rows whose logits nobody wants need only leave their keys and values in the last layer.
        let kept = match want {
            Want::All => rows.len(),
            Want::Last if deep => rows.len(),
            Want::Last => 1,
            Want::Nothing => 0,
        };
        let in_memory = hidden.device().is_cpu() && hidden.dtype() == DType::F32;
        let in_memory = if in_memory { rows::layers(&self.layers)?.zip(run.rotation.tables()?) } else { None };
        hidden = match in_memory {
            Some((layers, tables)) => rows::forward(&layers, tables, &hidden, kept, (&visual, media), &mut run)?,
            None => self.over_tensors(hidden, kept, (&visual, media), &mut run)?,
        };
        if kept == 0 {
            return Logits::new(&Tensor::zeros((0, self.config.vocabulary), DType::F32, hidden.device())?);
        }
        if want == Want::Last {
            hidden = hidden.narrow(0, kept - 1, 1)?;
        }
        Logits::new(&self.lm_head.forward(&self.norm.forward(&hidden)?)?)
    }

    /// `[rows, hidden]` through all layers; of the last, only the last `kept` rows' result.
    fn over_tensors(
        &self,
        mut hidden: Tensor,
        kept: usize,
        (visual, media): (&[Piece], &[VisualTokens]),
        run: &mut Run,
    ) -> Result<Tensor, ModelError> {
        for (index, layer) in self.layers.iter().enumerate() {
            let kept = if index + 1 == self.layers.len() { kept } else { run.rows.len() };
            hidden = layer.forward(&hidden, index, kept, run)?;
            if kept == run.rows.len() {
                add_deepstack(&hidden, index, visual, media)?;
            }
        }
        Ok(hidden)
    }

    /// The table's rows for `ids`, once they are known to lie in the vocabulary.
    pub(crate) fn embed(&self, ids: &[u32]) -> Result<Tensor, ModelError> {
        self.embed_tokens.rows(ids)
    }

    fn rotation(
        &self,
        sequence: &Sequence,
        rows: Range<usize>,
        dtype: DType,
        device: &Device,
    ) -> Result<Rotation, ModelError> {
        let DecoderConfig { axes, frequencies: own, rotation_scale, .. } = &self.config;
        // Stretches that are extended alike share a set of frequencies; the first is the model's own.
        let (mut frequencies, mut known, mut sets) = (own.clone(), vec![None], Vec::with_capacity(rows.len()));
        for (rows, extension) in sequence.extensions(rows.clone()) {
            let set = known.iter().position(|known| *known == extension).unwrap_or_else(|| {
                frequencies.extend(extension.map_or_else(|| own.clone(), |extension| extended(own, extension)));
                known.push(extension);
                known.len() - 1
            });
            sets.resize(sets.len() + rows.len(), set as u32);
        }
        let positions = sequence.positions().each_ref().map(|axis| &axis[rows.clone()]);
        let (axes, frequencies, scale) = (axes.of_pairs(), &frequencies[..], *rotation_scale);
        Rotation::new(&Turn { positions, axes, frequencies, sets: &sets, scale }, dtype, device)
    }
}

/// A run of visual rows inside the rows being run.
pub(super) struct Piece {
    pub(super) medium: usize,
    /// First row in the medium
    pub(super) source: usize,
    /// First row among those being run
    pub(super) row: usize,
    pub(super) len: usize,
}

fn pieces(sequence: &Sequence, rows: &Range<usize>, media: &[VisualTokens]) -> Result<Vec<Piece>, ModelError> {
    let mut pieces = Vec::new();
    for run in sequence.visual() {
        let (start, end) = (run.tokens.start.max(rows.start), run.tokens.end.min(rows.end));
        if start >= end {
            continue;
        }
        let source = run.first_row + start - run.tokens.start;
        let available = media.get(run.medium).map_or(0, VisualTokens::len);
        if source + end - start > available {
            let expected = source + end - start;
            return Err(ModelError::Shape { what: "visual tokens", expected: vec![expected], found: vec![available] });
        }
        pieces.push(Piece { medium: run.medium, source, row: start - rows.start, len: end - start });
    }
    Ok(pieces)
}

/// Adds the rows that the vision tower's layers left for language layer `index`.
fn add_deepstack(hidden: &Tensor, index: usize, visual: &[Piece], media: &[VisualTokens]) -> Result<(), ModelError> {
    for piece in visual {
        if let Some(rows) = media[piece.medium].deepstack().get(index) {
            let rows = rows.narrow(0, piece.source, piece.len)?.to_device(hidden.device())?.to_dtype(hidden.dtype())?;
            // In place: `hidden` is the fresh result of an addition, which nothing else holds.
            hidden.slice_set(&(hidden.narrow(0, piece.row, piece.len)? + rows)?, 0, piece.row)?;
        }
    }
    Ok(())
}

/// What the layers of one forward pass share.
pub(super) struct Run<'a> {
    pub(super) sequence: &'a Sequence,
    pub(super) rotation: Rotation,
    pub(super) attention: &'a mut dyn Attention,
    pub(super) kv: &'a mut dyn KvCache,
    pub(super) rows: Range<usize>,
    pub(super) products: Precision,
}

#[derive(Debug)]
pub(super) struct Layer {
    pub(super) input_layernorm: Norm,
    pub(super) q_proj: Linear,
    pub(super) k_proj: Linear,
    pub(super) v_proj: Linear,
    pub(super) o_proj: Linear,
    pub(super) qk_norm: Option<(Norm, Norm)>,
    pub(super) post_attention_layernorm: Norm,
    pub(super) gate_proj: Linear,
    pub(super) up_proj: Linear,
    pub(super) down_proj: Linear,
    pub(super) activation: Activation,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
}

impl Layer {
    fn load(config: &DecoderConfig, weights: &Weights) -> Result<Self, ModelError> {
        let DecoderConfig { hidden, intermediate, heads, kv_heads, head_dim, eps, qkv_bias, .. } = *config;
        let (attention, mlp) = (weights.at("self_attn"), weights.at("mlp"));
        let qk_norm = if config.qk_norm {
            let norm = |name: &str| Norm::rms(&attention.at(name), head_dim, eps);
            Some((norm("q_norm")?, norm("k_norm")?))
        } else {
            None
        };
        Ok(Self {
            input_layernorm: Norm::rms(&weights.at("input_layernorm"), hidden, eps)?,
            q_proj: Linear::load(&attention.at("q_proj"), hidden, heads * head_dim, qkv_bias)?,
            k_proj: Linear::load(&attention.at("k_proj"), hidden, kv_heads * head_dim, qkv_bias)?,
            v_proj: Linear::load(&attention.at("v_proj"), hidden, kv_heads * head_dim, qkv_bias)?,
            o_proj: Linear::load(&attention.at("o_proj"), heads * head_dim, hidden, config.output_bias)?,
            qk_norm,
            post_attention_layernorm: Norm::rms(&weights.at("post_attention_layernorm"), hidden, eps)?,
            gate_proj: Linear::load(&mlp.at("gate_proj"), hidden, intermediate, false)?,
            up_proj: Linear::load(&mlp.at("up_proj"), hidden, intermediate, false)?,
            down_proj: Linear::load(&mlp.at("down_proj"), intermediate, hidden, false)?,
            activation: config.activation,
            heads,
            kv_heads,
            head_dim,
        })
    }

    /// `[rows, hidden]` to `[kept, hidden]`: the last `kept` rows' result; keys and values of all rows are stored.
    fn forward(&self, x: &Tensor, layer: usize, kept: usize, run: &mut Run) -> Result<Tensor, ModelError> {
        let rows = run.rows.len();
        let skipped = rows - kept;
        let normed = self.input_layernorm.forward(x)?;
        let mut keys = self.k_proj.forward(&normed)?.reshape((rows, self.kv_heads, self.head_dim))?;
        let values = self.v_proj.forward(&normed)?.reshape((rows, self.kv_heads, self.head_dim))?;
        if let Some((_, norm)) = &self.qk_norm {
            keys = norm.forward(&keys)?;
        }
        let keys = run.rotation.apply(&keys)?.transpose(0, 1)?;
        let (keys, values) = run.kv.append(layer, &keys, &values.transpose(0, 1)?)?;
        if kept == 0 {
            return Ok(x.narrow(0, 0, 0)?);
        }
        let (x, normed, rotation) = if skipped == 0 {
            (x.clone(), normed, run.rotation.clone())
        } else {
            (x.narrow(0, skipped, kept)?, normed.narrow(0, skipped, kept)?, run.rotation.narrow(skipped, kept)?)
        };
        let mut queries = self.q_proj.forward(&normed)?.reshape((kept, self.heads, self.head_dim))?;
        if let Some((norm, _)) = &self.qk_norm {
            queries = norm.forward(&queries)?;
        }
        let queries = rotation.apply(&queries)?.transpose(0, 1)?;
        let first = run.rows.start + skipped;
        let call = Call {
            layer,
            queries: &queries,
            keys: &keys,
            values: &values,
            first,
            sequence: run.sequence,
            products: run.products,
        };
        let attended = run.attention.attend(call)?.transpose(0, 1)?.reshape((kept, self.heads * self.head_dim))?;
        let x = (x + self.o_proj.forward(&attended)?)?;
        let normed = self.post_attention_layernorm.forward(&x)?;
        let inner = self.activation.gated(&self.gate_proj.forward(&normed)?, &self.up_proj.forward(&normed)?)?;
        Ok((x + self.down_proj.forward(&inner)?)?)
    }
}
