//! Keys and values on disk: as they were computed, or in eight or four bits a number.

use super::IndexError;
use super::sections::Sections;
use candle_core::{DType, Device, Tensor};
use half::f16;
use longsight_kernels::quantize::{Bits, bounds, dequantize, quantize};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Rows that a cache is read with room for: a question of 256 tokens and an answer as long.
const ROOM: usize = 512;

/// How keys and values are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum KvFormat {
    /// As they were computed: answers come out the same, bit for bit
    #[default]
    F32,
    /// Eight bits a number, in groups of 32: 28 % of the bytes
    Int8,
    /// Four bits a number: 16 % of the bytes, and answers may differ
    Int4,
}

impl KvFormat {
    /// `f32`, `int8` or `int4`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Int8 => "int8",
            Self::Int4 => "int4",
        }
    }

    fn bits(self) -> Option<Bits> {
        match self {
            Self::F32 => None,
            Self::Int8 => Some(Bits::Eight),
            Self::Int4 => Some(Bits::Four),
        }
    }
}

/// Keys and values `[kv_heads, tokens, head_dim]` of every layer.
pub(super) type Layers = Vec<(Tensor, Tensor)>;

/// The tensors that hold layers in a format.
pub(super) fn encode(layers: &Layers, format: KvFormat) -> Result<HashMap<String, Tensor>, IndexError> {
    let mut tensors = HashMap::new();
    for (layer, (keys, values)) in layers.iter().enumerate() {
        for (name, tensor) in [(format!("{layer}.keys"), keys), (format!("{layer}.values"), values)] {
            match format.bits() {
                None => drop(tensors.insert(name, tensor.contiguous()?)),
                Some(bits) => {
                    let (heads, rows, columns) = tensor.dims3()?;
                    let numbers: Vec<f32> = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
                    let heads_of =
                        numbers.chunks(rows.max(1) * columns.max(1)).map(|head| quantize(bits, head, columns));
                    let (codes, limits): (Vec<_>, Vec<_>) = heads_of.unzip();
                    let (codes, limits) = (codes.concat(), limits.concat());
                    let size = codes.len() / heads.max(1);
                    tensors.insert(format!("{name}.codes"), Tensor::from_vec(codes, (heads, size), &Device::Cpu)?);
                    let size = limits.len() / heads.max(1);
                    tensors.insert(format!("{name}.bounds"), Tensor::from_vec(limits, (heads, size), &Device::Cpu)?);
                }
            }
        }
    }
    Ok(tensors)
}

/// Layers of `tokens` tokens, each with room for more behind them if `room` says so.
pub(super) fn decode(
    file: &Sections<'_>,
    format: KvFormat,
    tokens: usize,
    room: bool,
    columns: usize,
) -> Result<Layers, IndexError> {
    let stem =
        |layer: usize, what: &str| format!("{layer}.{what}{}", if format.bits().is_some() { ".codes" } else { "" });
    let count = (0..).take_while(|&layer| file.has(&stem(layer, "keys"))).count();
    let read = Read { file, format, tokens, capacity: tokens + if room { ROOM } else { 0 }, columns };
    let layer = |layer: usize| Ok((read.tensor(&format!("{layer}.keys"))?, read.tensor(&format!("{layer}.values"))?));
    (0..count).into_par_iter().map(layer).collect()
}

struct Read<'a> {
    file: &'a Sections<'a>,
    format: KvFormat,
    tokens: usize,
    capacity: usize,
    columns: usize,
}

impl Read<'_> {
    fn tensor(&self, name: &str) -> Result<Tensor, IndexError> {
        match self.format.bits() {
            None => self.plain(name),
            Some(bits) => self.quantised(name, bits),
        }
    }

    fn plain(&self, name: &str) -> Result<Tensor, IndexError> {
        let shape = self.file.shape(name)?;
        let &[heads, tokens, columns] = shape else { return Err(self.misshapen(name)) };
        if tokens != self.tokens {
            return Err(self.misshapen(name));
        }
        // Nothing is written to the room behind a head, so that it takes no memory before it is used.
        let mut numbers = vec![0f32; heads * self.capacity * columns];
        let each = self.capacity * columns;
        let heads_of = numbers.chunks_mut(each.max(1)).map(|head| &mut head[..tokens * columns]);
        self.file.read(name, heads_of.map(bytemuck::cast_slice_mut))?;
        Ok(Tensor::from_vec(numbers, (heads, self.capacity, columns), &Device::Cpu)?)
    }

    fn quantised(&self, name: &str, bits: Bits) -> Result<Tensor, IndexError> {
        let (codes_name, bounds_name) = (format!("{name}.codes"), format!("{name}.bounds"));
        let (tokens, columns) = (self.tokens, self.columns);
        let &[heads, size] = self.file.shape(&codes_name)? else { return Err(self.misshapen(name)) };
        let limits = bounds(tokens, columns);
        let fits = columns.is_multiple_of(2) && size == bits.bytes(tokens, columns);
        if !fits || self.file.shape(&bounds_name)? != [heads, limits] {
            return Err(self.misshapen(name));
        }
        let codes = self.file.bytes(&codes_name)?;
        let mut of = vec![f16::ZERO; heads * limits];
        self.file.read(&bounds_name, [bytemuck::cast_slice_mut(&mut of)].into_iter())?;
        let mut numbers = vec![0f32; heads * self.capacity * columns];
        let heads_of = numbers.chunks_mut((self.capacity * columns).max(1));
        let parts = codes.chunks(size.max(1)).zip(of.chunks(limits.max(1)));
        for (head, (codes, limits)) in heads_of.zip(parts) {
            dequantize(bits, codes, limits, columns, &mut head[..tokens * columns]);
        }
        Ok(Tensor::from_vec(numbers, (heads, self.capacity, columns), &Device::Cpu)?)
    }

    fn misshapen(&self, name: &str) -> IndexError {
        self.file.damaged(&format!("{name} has another shape than {} tokens", self.tokens))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::sections::save;
    use super::*;

    fn layers(tokens: usize) -> Layers {
        let noise = || Tensor::randn(0f32, 1.0, (2, tokens, 16), &Device::Cpu).unwrap();
        vec![(noise(), noise()), (noise(), noise())]
    }

    fn off(a: &Tensor, b: &Tensor) -> f32 {
        let norm = |x: &Tensor| x.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
        norm(&(a - b).unwrap()) / norm(b)
    }

    #[test]
    fn layers_come_back_as_exactly_as_their_format_says() {
        let folder = tempfile::tempdir().unwrap();
        for tokens in [1, 32, 77] {
            let layers = layers(tokens);
            for (format, most) in [(KvFormat::F32, 0.0), (KvFormat::Int8, 0.01), (KvFormat::Int4, 0.12)] {
                let path = folder.path().join(format.name());
                let hashes = save(&encode(&layers, format).unwrap(), &path).unwrap();
                let file = Sections::open(&path, &hashes).unwrap();
                for room in [false, true] {
                    let back = decode(&file, format, tokens, room, 16).unwrap();
                    assert_eq!(back.len(), 2);
                    for ((keys, values), (old_keys, old_values)) in back.iter().zip(&layers) {
                        assert_eq!(keys.dim(1).unwrap(), tokens + if room { ROOM } else { 0 });
                        let part = |tensor: &Tensor| tensor.narrow(1, 0, tokens).unwrap().contiguous().unwrap();
                        assert!(off(&part(keys), old_keys) <= most && off(&part(values), old_values) <= most);
                    }
                }
                assert!(decode(&file, format, tokens + 1, true, 16).is_err());
            }
        }
    }

    #[test]
    fn one_wrong_bit_anywhere_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let layers = layers(40);
        for format in [KvFormat::F32, KvFormat::Int8, KvFormat::Int4] {
            let path = folder.path().join(format.name());
            let hashes = save(&encode(&layers, format).unwrap(), &path).unwrap();
            let whole = std::fs::read(&path).unwrap();
            let read = || Sections::open(&path, &hashes).and_then(|file| decode(&file, format, 40, true, 16));
            assert!(read().is_ok());
            for at in (0..whole.len()).step_by(whole.len() / 40) {
                let mut torn = whole.clone();
                torn[at] ^= 4;
                std::fs::write(&path, torn).unwrap();
                assert!(read().is_err(), "{} at {at}", format.name());
                std::fs::write(&path, &whole[..at]).unwrap();
                assert!(read().is_err(), "{} cut at {at}", format.name());
            }
        }
    }
}
