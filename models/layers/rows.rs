//! The language model's layers over rows in memory: what [`super::decoder`] does with tensors, in f32 on the CPU, with everything
//! that lies between two products done where rows are packed for the second, on all threads.
//!
//! Between one attention and the next, rows do not see each other, so they go through in blocks: what a block needs is used
//! again by the next and in the next layer, and is a few megabytes, however long the prompt is.

use super::attention::slice_of;
use super::decoder::{Layer, Piece, Run};
use super::linear::{InMemory, Linear};
use super::norm::Norm;
use crate::{Call, ModelError, VisualTokens};
use candle_core::{DType, Device, Tensor};
use longsight_kernels::activation::{self, Function};
use longsight_kernels::linear::{Rows, Store};
use longsight_kernels::norm::Rms;
use longsight_kernels::rotary::{Angles, Heads};
use std::ops::Range;

/// Rows of a block: 512 rows of the inner width of Qwen3-VL-2B are 12.6 MB in f32, and weights are read once for them.
const BLOCK: usize = 512;

/// The layers, if all of them are the kernels'.
pub(super) fn layers(layers: &[Layer]) -> Result<Option<Vec<RowLayer<'_>>>, ModelError> {
    layers.iter().map(|layer| RowLayer::of(layer).transpose()).collect::<Option<Result<_, _>>>().transpose()
}

/// `[rows, hidden]` through all layers; of the last, only the last `kept` rows' result.
pub(super) fn forward(
    layers: &[RowLayer],
    tables: [Vec<f32>; 2],
    hidden: &Tensor,
    kept: usize,
    (visual, media): (&[Piece], &[VisualTokens]),
    run: &mut Run,
) -> Result<Tensor, ModelError> {
    let (rows, width) = hidden.dims2()?;
    let mut x: Vec<f32> = hidden.flatten_all()?.to_vec1()?;
    let mut space = Space::new(run, tables);
    for (index, layer) in layers.iter().enumerate() {
        let kept = if index + 1 == layers.len() { kept } else { rows };
        layer.forward(&mut x, width, index, kept, run, &mut space)?;
        if kept == rows {
            add_deepstack(&mut x, width, index, visual, media)?;
        }
    }
    Ok(Tensor::from_vec(x, (kept, width), &Device::Cpu)?)
}

/// What blocks of rows go through.
struct Space {
    ready: Rows,
    gate: Vec<f32>,
    up: Vec<f32>,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Space {
    fn new(run: &Run, [cos, sin]: [Vec<f32>; 2]) -> Self {
        Self { ready: Rows::new(run.products), gate: Vec::new(), up: Vec::new(), cos, sin }
    }

    /// Rows of `x`, normalised, become ready.
    fn normalise(&mut self, x: &[f32], norm: &Scale) {
        let width = norm.weight.len();
        self.ready.fill(x.len() / width, width, |row, to| norm.rms().rows(&x[row * width..][..width], to));
    }

    /// The ready rows, which are `rows` of those being run, become rows `first..` of every head of `out`.
    fn project(&mut self, heads: &Projection, turned: bool, rows: Range<usize>, out: &mut [f32], first: usize) {
        let Projection { linear, count, dim, norm } = *heads;
        let projected = room(&mut self.gate, rows.len() * linear.output());
        linear.multiply(&self.ready, projected, Store::Set);
        let pairs = rows.start * (dim / 2)..rows.end * (dim / 2);
        let angles = turned.then(|| Angles { cos: &self.cos[pairs.clone()], sin: &self.sin[pairs] });
        Heads { dim, norm, angles }.lay(projected, count, out, first);
    }
}

/// The first `len` of a buffer that grows to it.
fn room(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

/// An RMS norm's numbers.
struct Scale {
    weight: Vec<f32>,
    eps: f32,
}

impl Scale {
    fn of(norm: &Norm) -> Result<Self, ModelError> {
        let (weight, eps) = norm.scale()?;
        Ok(Self { weight, eps })
    }

    fn rms(&self) -> Rms<'_> {
        Rms { weight: &self.weight, eps: self.eps }
    }
}

/// Queries, keys or values of all heads.
struct Projection<'a> {
    linear: InMemory<'a>,
    count: usize,
    dim: usize,
    norm: Option<Rms<'a>>,
}

/// A layer whose products are all the kernel's.
pub(super) struct RowLayer<'a> {
    queries: InMemory<'a>,
    keys: InMemory<'a>,
    values: InMemory<'a>,
    output: InMemory<'a>,
    gate: InMemory<'a>,
    up: InMemory<'a>,
    down: InMemory<'a>,
    activation: Function,
    input_norm: Scale,
    inner_norm: Scale,
    qk_norm: Option<(Scale, Scale)>,
    heads: usize,
    kv_heads: usize,
    dim: usize,
}

impl<'a> RowLayer<'a> {
    fn of(layer: &'a Layer) -> Result<Option<Self>, ModelError> {
        let Layer { q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, .. } = layer;
        let linear = [q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj].map(Linear::in_memory);
        let [Some(queries), Some(keys), Some(values), Some(output), Some(gate), Some(up), Some(down)] = linear else {
            return Ok(None);
        };
        let Some(activation) = layer.activation.function() else { return Ok(None) };
        let qk_norm = layer.qk_norm.as_ref().map(|(q, k)| Ok::<_, ModelError>((Scale::of(q)?, Scale::of(k)?)));
        Ok(Some(Self {
            queries,
            keys,
            values,
            output,
            gate,
            up,
            down,
            activation,
            input_norm: Scale::of(&layer.input_layernorm)?,
            inner_norm: Scale::of(&layer.post_attention_layernorm)?,
            qk_norm: qk_norm.transpose()?,
            heads: layer.heads,
            kv_heads: layer.kv_heads,
            dim: layer.head_dim,
        }))
    }

    /// Leaves the last `kept` rows' result in `x`; keys and values of all rows are stored.
    fn forward(
        &self,
        x: &mut Vec<f32>,
        width: usize,
        layer: usize,
        kept: usize,
        run: &mut Run,
        space: &mut Space,
    ) -> Result<(), ModelError> {
        let rows = run.rows.len();
        let skipped = rows - kept;
        let [mut keys, mut values] = [(); 2].map(|()| vec![0.0; self.kv_heads * rows * self.dim]);
        let mut queries = vec![0.0; self.heads * kept * self.dim];
        for start in (0..rows).step_by(BLOCK) {
            let block = start..rows.min(start + BLOCK);
            space.normalise(&x[start * width..block.end * width], &self.input_norm);
            space.project(&self.keys(), true, block.clone(), &mut keys, start);
            space.project(&self.values(), false, block.clone(), &mut values, start);
            let asking = start.max(skipped)..block.end;
            if asking.is_empty() {
                continue;
            }
            if asking.start > start {
                space.normalise(&x[asking.start * width..asking.end * width], &self.input_norm);
            }
            let first = asking.start - skipped;
            space.project(&self.queries(), true, asking, &mut queries, first);
        }
        let shape = (self.kv_heads, rows, self.dim);
        let (keys, values) =
            (Tensor::from_vec(keys, shape, &Device::Cpu)?, Tensor::from_vec(values, shape, &Device::Cpu)?);
        let (keys, values) = run.kv.append(layer, &keys, &values)?;
        x.drain(..skipped * width);
        if kept == 0 {
            return Ok(());
        }
        let queries = Tensor::from_vec(queries, (self.heads, kept, self.dim), &Device::Cpu)?;
        let call = Call {
            layer,
            queries: &queries,
            keys: &keys,
            values: &values,
            first: run.rows.start + skipped,
            sequence: run.sequence,
            products: run.products,
        };
        let attended = run.attention.attend(call)?.to_dtype(DType::F32)?.contiguous()?;
        if attended.dims() != queries.dims() {
            let (expected, found) = (queries.dims().to_vec(), attended.dims().to_vec());
            return Err(ModelError::Shape { what: "attended", expected, found });
        }
        let (storage, layout) = attended.storage_and_layout();
        let attended = slice_of::<f32>(&storage, layout)?;
        for start in (0..kept).step_by(BLOCK) {
            let block = start..kept.min(start + BLOCK);
            self.output(&mut x[start * width..block.end * width], attended, start, kept, space);
            self.mlp(&mut x[start * width..block.end * width], space);
        }
        Ok(())
    }

    fn queries(&self) -> Projection<'_> {
        let norm = self.qk_norm.as_ref().map(|(queries, _)| queries.rms());
        Projection { linear: self.queries, count: self.heads, dim: self.dim, norm }
    }

    fn keys(&self) -> Projection<'_> {
        let norm = self.qk_norm.as_ref().map(|(_, keys)| keys.rms());
        Projection { linear: self.keys, count: self.kv_heads, dim: self.dim, norm }
    }

    fn values(&self) -> Projection<'_> {
        Projection { linear: self.values, count: self.kv_heads, dim: self.dim, norm: None }
    }

    /// Adds what the rows `start..` of `all` have attended to, `[heads, all, dim]`.
    fn output(&self, x: &mut [f32], attended: &[f32], start: usize, all: usize, space: &mut Space) {
        let (width, dim) = (self.heads * self.dim, self.dim);
        space.ready.fill(x.len() / self.output.output(), width, |row, to| {
            for (head, to) in to.chunks_exact_mut(dim).enumerate() {
                to.copy_from_slice(&attended[(head * all + start + row) * dim..][..dim]);
            }
        });
        self.output.multiply(&space.ready, x, Store::Add);
    }

    /// Adds what the gated MLP makes of each row.
    fn mlp(&self, x: &mut [f32], space: &mut Space) {
        space.normalise(x, &self.inner_norm);
        let (inner, rows) = (self.gate.output(), x.len() / self.down.output());
        let (gate, up) = (room(&mut space.gate, rows * inner), room(&mut space.up, rows * inner));
        self.gate.multiply(&space.ready, gate, Store::Set);
        self.up.multiply(&space.ready, up, Store::Set);
        let (gate, up) = (&*gate, &*up);
        space.ready.fill(rows, inner, |row, to| {
            to.copy_from_slice(&gate[row * inner..][..inner]);
            activation::apply(self.activation, to, Some(&up[row * inner..][..inner]));
        });
        self.down.multiply(&space.ready, x, Store::Add);
    }
}

/// Adds the rows that the vision tower's layers left for language layer `index`.
fn add_deepstack(
    x: &mut [f32],
    width: usize,
    index: usize,
    visual: &[Piece],
    media: &[VisualTokens],
) -> Result<(), ModelError> {
    for piece in visual {
        if let Some(rows) = media[piece.medium].deepstack().get(index) {
            let rows = rows.narrow(0, piece.source, piece.len)?.to_dtype(DType::F32)?.contiguous()?;
            let (storage, layout) = rows.storage_and_layout();
            let rows = slice_of::<f32>(&storage, layout)?;
            x[piece.row * width..][..piece.len * width].iter_mut().zip(rows).for_each(|(x, row)| *x += row);
        }
    }
    Ok(())
}
