//! Rotary embeddings: per token, the angle of each pair `(x[i], x[i + dim / 2])`.
//!
//! Multi-axis rotary embeddings only differ from the plain one in which axis gives the position of each pair, so a
//! table per token is all that a family has to make.

use crate::{Extension, ModelError};
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

/// Cosines and sines, `[tokens, dim / 2]`.
#[derive(Debug, Clone)]
pub(crate) struct Rotation {
    cos: Tensor,
    sin: Tensor,
}

/// `1 / theta^(2 i / dim)` for the `dim / 2` pairs of a rotated width `dim`.
pub(crate) fn frequencies(theta: f64, dim: usize) -> Vec<f32> {
    (0..dim.div_ceil(2)).map(|i| 1.0 / (theta as f32).powf((2 * i) as f32 / dim as f32)).collect()
}

/// The settings of YaRN (arXiv 2309.00071), which stretches a model's context.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Yarn {
    /// How many times the context is stretched
    pub(crate) factor: f64,
    /// The context that the model was trained with, in positions
    pub(crate) trained: f64,
    /// Turns within the trained context above which a pair keeps its frequency
    pub(crate) beta_fast: f64,
    /// Turns below which its frequency is divided by the factor
    pub(crate) beta_slow: f64,
    /// Whether the two bounds are widened to whole pairs
    pub(crate) truncate: bool,
}

impl Yarn {
    /// Frequencies of a head of width `dim`: kept, divided by the factor, and in between a mixture.
    pub(crate) fn frequencies(&self, theta: f64, dim: usize) -> Vec<f32> {
        // The pair that makes this many turns within the trained context.
        let pair = |turns: f64| dim as f64 * (self.trained / (turns * std::f64::consts::TAU)).ln() / (2.0 * theta.ln());
        let (mut low, mut high) = (pair(self.beta_fast), pair(self.beta_slow));
        if self.truncate {
            (low, high) = (low.floor(), high.ceil());
        }
        let (low, mut high) = (low.max(0.0), high.min(dim as f64 - 1.0));
        if low == high {
            high += 0.001;
        }
        let mixed = |(pair, frequency): (usize, f32)| {
            let divided = ((pair as f64 - low) / (high - low)).clamp(0.0, 1.0) as f32;
            frequency / self.factor as f32 * divided + frequency * (1.0 - divided)
        };
        frequencies(theta, dim).into_iter().enumerate().map(mixed).collect()
    }

    /// What queries and keys are multiplied by, unless the configuration says.
    pub(crate) fn attention_factor(&self) -> f64 {
        if self.factor <= 1.0 { 1.0 } else { 0.1 * self.factor.ln() + 1.0 }
    }
}

/// Turns within the trained window above which a pair keeps its frequency, and below which its frequency is divided by the factor.
const EXTENSION_TURNS: (f64, f64) = (32.0, 1.0);

/// Frequencies for an extended visual window: as YaRN's, with the visual window in place of the context, the share that is kept growing
/// with a pair's turns (equation 6 of the paper) rather than with its number, and lengths left alone.
pub(crate) fn extended(frequencies: &[f32], extension: Extension) -> Vec<f32> {
    let (fast, slow) = EXTENSION_TURNS;
    let changed = |&frequency: &f32| {
        let turns = extension.trained() * f64::from(frequency) / std::f64::consts::TAU;
        let kept = ((turns - slow) / (fast - slow)).clamp(0.0, 1.0);
        ((kept + (1.0 - kept) / extension.factor()) * f64::from(frequency)) as f32
    };
    frequencies.iter().map(changed).collect()
}

impl Rotation {
    /// The same rotation that also multiplies lengths.
    pub(crate) fn scaled(self, factor: f64) -> candle_core::Result<Self> {
        if factor == 1.0 { Ok(self) } else { Ok(Self { cos: (self.cos * factor)?, sin: (self.sin * factor)? }) }
    }

    /// From `tokens * pairs` angles.
    pub(crate) fn new(angles: &[f32], pairs: usize, dtype: DType, device: &Device) -> Result<Self, ModelError> {
        let shape = (angles.len() / pairs.max(1), pairs);
        let table = |f: fn(f32) -> f32| -> Result<Tensor, ModelError> {
            let values: Vec<f32> = angles.par_iter().with_min_len(4096).map(|&angle| f(angle)).collect();
            Ok(Tensor::from_vec(values, shape, device)?.to_dtype(dtype)?)
        };
        Ok(Self { cos: table(f32::cos)?, sin: table(f32::sin)? })
    }

    /// Cosines and sines, `[tokens, dim / 2]` each.
    pub(crate) fn tables(&self) -> candle_core::Result<[Vec<f32>; 2]> {
        Ok([self.cos.flatten_all()?.to_vec1()?, self.sin.flatten_all()?.to_vec1()?])
    }

    /// The rotation of the tokens in `start..start + len`.
    pub(crate) fn narrow(&self, start: usize, len: usize) -> candle_core::Result<Self> {
        Ok(Self { cos: self.cos.narrow(0, start, len)?, sin: self.sin.narrow(0, start, len)? })
    }

    /// Rotates `[tokens, heads, dim]`.
    pub(crate) fn apply(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        self.apply_each(&x.unsqueeze(0)?)?.squeeze(0)
    }

    /// Rotates every item of `[items, tokens, heads, dim]` alike.
    pub(crate) fn apply_each(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        candle_nn::rotary_emb::rope_thd(&x.contiguous()?, &self.cos.contiguous()?, &self.sin.contiguous()?)
    }
}

/// Which axis (time, row, column) gives the position of each of `pairs` pairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Axes(Vec<usize>);

impl Axes {
    /// Sections one after the other, over and over: the first pairs by time, then rows, then columns.
    pub(crate) fn contiguous(sections: &[usize]) -> Self {
        Self(sections.iter().enumerate().flat_map(|(i, &count)| std::iter::repeat_n(i % 3, count)).collect())
    }

    /// Time, row, column in turn for as long as rows and columns have pairs left, then time.
    pub(crate) fn interleaved(sections: &[usize], pairs: usize) -> Self {
        let has = |axis: usize, pair: usize| sections.get(axis).is_some_and(|&count| pair < count * 3);
        Self((0..pairs).map(|pair| if pair % 3 != 0 && has(pair % 3, pair) { pair % 3 } else { 0 }).collect())
    }

    /// Number of pairs.
    pub(crate) fn pairs(&self) -> usize {
        self.0.len()
    }

    /// The angles of tokens at three-axis positions.
    pub(crate) fn angles(&self, positions: [&[u32]; 3], frequencies: &[f32]) -> Vec<f32> {
        let tokens = positions[0].len();
        let angle = |token: usize| {
            self.0.iter().zip(frequencies).map(move |(&axis, frequency)| positions[axis][token] as f32 * frequency)
        };
        (0..tokens).flat_map(angle).collect()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_extended_window_slows_down_what_turns_less_than_once_in_it() {
        let own = frequencies(10_000.0, 64);
        let extended = extended(&own, Extension::new(1000, 4000).unwrap());
        // 159 turns within the window, then 16 turns, then less than one.
        assert_eq!(extended[0], own[0]);
        let turns = |pair: usize| 1000.0 * f64::from(own[pair]) / std::f64::consts::TAU;
        let middle = (0..32).find(|&pair| turns(pair) < 17.0).unwrap();
        let kept = (turns(middle) - 1.0) / 31.0;
        assert!((f64::from(extended[middle] / own[middle]) - (kept + (1.0 - kept) / 4.0)).abs() < 1e-6);
        assert!(turns(31) < 1.0 && (extended[31] / own[31] - 0.25).abs() < 1e-6);
        assert!(Extension::new(1000, 1000).is_none() && Extension::new(0, 7).is_none());
    }

    #[test]
    fn axes_follow_the_sections() {
        assert_eq!(Axes::contiguous(&[2, 3, 3]).0, [0, 0, 1, 1, 1, 2, 2, 2]);
        assert_eq!(Axes::interleaved(&[4, 2, 2], 8).0, [0, 1, 2, 0, 1, 2, 0, 0]);
        let released = Axes::interleaved(&[24, 20, 20], 64).0;
        assert_eq!((released[58], released[59], released[60], released[63]), (1, 2, 0, 0));
        assert_eq!(released.iter().filter(|&&axis| axis == 0).count(), 24);
    }
}
