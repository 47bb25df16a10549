//! The KV seam: what of past keys and values stays.

use super::ModelError;
use candle_core::Tensor;

/// Keys and values of every layer of one sequence.
pub trait KvCache: Send {
    /// Adds rows `[kv_heads, rows, head_dim]` to `layer` and gives all of its rows `[kv_heads, all, head_dim]`
    /// (possibly strided views, valid until the next call).
    ///
    /// # Errors
    /// When shapes differ from those before, or memory fails.
    fn append(&mut self, layer: usize, keys: &Tensor, values: &Tensor) -> Result<(Tensor, Tensor), ModelError>;

    /// Tokens held by every layer.
    fn len(&self) -> usize;

    /// Whether nothing is held.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything from token `len` on, so that another question can follow a common prefix.
    fn truncate(&mut self, len: usize);

    /// Keys and values `[kv_heads, tokens, head_dim]` of the first `tokens` tokens, layer by layer.
    ///
    /// # Errors
    /// When not so many are held.
    fn rows(&self, tokens: usize) -> Result<Vec<(Tensor, Tensor)>, ModelError>;

    /// Says that so many tokens will come in all, so that room for them is made once.
    fn expect(&mut self, _tokens: usize) {}

    /// Bytes allocated.
    fn bytes(&self) -> usize;
}

/// Rows that a layer's buffer grows by at least: 256 rows of 8 heads of 128 in f16 are 0.5 MB.
const BLOCK: usize = 256;

/// Keeps everything, in buffers as long as what is expected; beyond that they grow by half as needed, and never start at the
/// model's longest context.
#[derive(Debug, Default)]
pub struct GrowingCache {
    layers: Vec<Layer>,
    expected: usize,
}

#[derive(Debug)]
struct Layer {
    keys: Tensor,
    values: Tensor,
    len: usize,
}

impl GrowingCache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A cache that holds keys and values of `tokens` tokens already, layer by layer; what lies behind them is room.
    #[must_use]
    pub fn holding(layers: Vec<(Tensor, Tensor)>, tokens: usize) -> Self {
        let layer = |(keys, values): (Tensor, Tensor)| {
            let rows = |tensor: &Tensor| tensor.dims3().map_or(0, |(_, rows, _)| rows);
            Layer { len: tokens.min(rows(&keys)).min(rows(&values)), keys, values }
        };
        Self { layers: layers.into_iter().map(layer).collect(), expected: 0 }
    }
}

impl KvCache for GrowingCache {
    fn rows(&self, tokens: usize) -> Result<Vec<(Tensor, Tensor)>, ModelError> {
        if tokens > self.len() {
            return Err(ModelError::Shape { what: "cached tokens", expected: vec![tokens], found: vec![self.len()] });
        }
        let part = |layer: &Layer| Ok((layer.keys.narrow(1, 0, tokens)?, layer.values.narrow(1, 0, tokens)?));
        self.layers.iter().map(part).collect()
    }

    fn append(&mut self, layer: usize, keys: &Tensor, values: &Tensor) -> Result<(Tensor, Tensor), ModelError> {
        let (_, rows, _) = keys.dims3()?;
        if layer > self.layers.len() {
            return Err(ModelError::Shape {
                what: "cache layer",
                expected: vec![self.layers.len()],
                found: vec![layer],
            });
        }
        if layer == self.layers.len() {
            // What is expected is known; what is not comes in blocks.
            let capacity = if rows > self.expected { rows.next_multiple_of(BLOCK) } else { self.expected };
            self.layers.push(Layer { keys: grown(keys, 0, capacity)?, values: grown(values, 0, capacity)?, len: 0 });
        }
        let held = &mut self.layers[layer];
        let all = held.len + rows;
        // What was read on another occasion comes from memory.
        if !held.keys.device().same_device(keys.device()) {
            held.keys = held.keys.to_device(keys.device())?;
            held.values = held.values.to_device(keys.device())?;
        }
        if all > held.keys.dim(1)? {
            let grown_by_half = || all.max(held.len + held.len / 2).next_multiple_of(BLOCK);
            let capacity = if all > self.expected { grown_by_half() } else { self.expected };
            held.keys = grown(&held.keys, held.len, capacity)?;
            held.values = grown(&held.values, held.len, capacity)?;
        }
        held.keys.slice_set(&keys.contiguous()?, 1, held.len)?;
        held.values.slice_set(&values.contiguous()?, 1, held.len)?;
        held.len = all;
        Ok((held.keys.narrow(1, 0, all)?, held.values.narrow(1, 0, all)?))
    }

    fn len(&self) -> usize {
        self.layers.iter().map(|layer| layer.len).min().unwrap_or(0)
    }

    fn truncate(&mut self, len: usize) {
        for layer in &mut self.layers {
            layer.len = layer.len.min(len);
        }
    }

    fn expect(&mut self, tokens: usize) {
        self.expected = tokens;
    }

    fn bytes(&self) -> usize {
        let bytes = |t: &Tensor| t.elem_count() * t.dtype().size_in_bytes();
        self.layers.iter().map(|layer| bytes(&layer.keys) + bytes(&layer.values)).sum()
    }
}

/// A zeroed buffer of `capacity` rows that starts with the first `len` rows of `old`.
fn grown(old: &Tensor, len: usize, capacity: usize) -> Result<Tensor, ModelError> {
    let (heads, _, dim) = old.dims3()?;
    let new = Tensor::zeros((heads, capacity, dim), old.dtype(), old.device())?;
    if len > 0 {
        new.slice_set(&old.narrow(1, 0, len)?.contiguous()?, 1, 0)?;
    }
    Ok(new)
}
