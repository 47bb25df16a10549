//! Rotary embeddings: per token, the angle of each pair `(x[i], x[i + dim / 2])`.
//!
//! Multi-axis rotary embeddings only differ from the plain one in which axis gives the position of each pair, so
//! positions and frequencies are all that a family has to make.

use crate::{Extension, ModelError};
use candle_core::{DType, Device, Tensor};
use longsight_kernels::rotary::Turn;
use rayon::prelude::*;

/// How tokens are turned, made once for all layers.
#[derive(Debug, Clone)]
pub(crate) enum Rotation {
    /// By cosines and sines, `[tokens, dim / 2]`
    Tables { cos: Tensor, sin: Tensor },
    /// By positions, which the GPU's kernel makes its sines of
    #[cfg(feature = "cuda")]
    OnGpu(super::cuda::Turned),
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
    /// Of the tokens that `turn` has positions of, in the number format of what will be rotated.
    pub(crate) fn new(turn: &Turn, dtype: DType, device: &Device) -> Result<Self, ModelError> {
        #[cfg(feature = "cuda")]
        if let Some(turned) = super::cuda::Turned::new(turn, dtype, device)? {
            return Ok(Self::OnGpu(turned));
        }
        let (angles, shape) = (turn.angles(), (turn.tokens(), turn.axes.len()));
        let table = |f: fn(f32) -> f32| -> Result<Tensor, ModelError> {
            let values: Vec<f32> = angles.par_iter().with_min_len(4096).map(|&angle| f(angle)).collect();
            let table = Tensor::from_vec(values, shape, device)?.to_dtype(dtype)?;
            Ok(if turn.scale == 1.0 { table } else { (table * turn.scale)? })
        };
        Ok(Self::Tables { cos: table(f32::cos)?, sin: table(f32::sin)? })
    }

    /// Cosines and sines, `[tokens, dim / 2]` each; `None` where they are not in memory.
    pub(crate) fn tables(&self) -> candle_core::Result<Option<[Vec<f32>; 2]>> {
        match self {
            Self::Tables { cos, sin } => Ok(Some([cos.flatten_all()?.to_vec1()?, sin.flatten_all()?.to_vec1()?])),
            #[cfg(feature = "cuda")]
            Self::OnGpu(_) => Ok(None),
        }
    }

    /// The rotation of the tokens in `start..start + len`.
    pub(crate) fn narrow(&self, start: usize, len: usize) -> candle_core::Result<Self> {
        match self {
            Self::Tables { cos, sin } => {
                Ok(Self::Tables { cos: cos.narrow(0, start, len)?, sin: sin.narrow(0, start, len)? })
            }
            #[cfg(feature = "cuda")]
            Self::OnGpu(turned) => Ok(Self::OnGpu(turned.narrow(start, len)?)),
        }
    }

    /// Rotates `[tokens, heads, dim]`; of several times as many tokens as it is for, each such part alike.
    pub(crate) fn apply(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        match self {
            Self::Tables { cos, sin } => {
                let ((all, heads, dim), tokens) = (x.dims3()?, cos.dim(0)?);
                let parts = x.contiguous()?.reshape((all / tokens.max(1), tokens, heads, dim))?;
                let turned = candle_nn::rotary_emb::rope_thd(&parts, &cos.contiguous()?, &sin.contiguous()?)?;
                Ok(turned.reshape((all, heads, dim))?)
            }
            #[cfg(feature = "cuda")]
            Self::OnGpu(turned) => turned.apply(x),
        }
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

    /// Of each pair.
    pub(crate) fn of_pairs(&self) -> &[usize] {
        &self.0
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
    fn parts_that_share_positions_are_turned_alike() {
        let positions: [&[u32]; 3] = [&[0, 0, 5], &[1, 2, 7], &[3, 4, 9]];
        let frequencies = frequencies(10_000.0, 8);
        let turn = Turn { positions, axes: &[0, 1, 2, 1], frequencies: &frequencies, sets: &[0; 3], scale: 1.0 };
        let rotation = Rotation::new(&turn, DType::F32, &Device::Cpu).unwrap();
        let x = Tensor::randn(0f32, 1.0, (6, 2, 8), &Device::Cpu).unwrap();
        let values = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let whole = values(&rotation.apply(&x).unwrap());
        let parts = [0, 3].map(|first| values(&rotation.apply(&x.narrow(0, first, 3).unwrap()).unwrap()));
        assert_eq!(whole, parts.concat());
        let last = values(&rotation.narrow(2, 1).unwrap().apply(&x.narrow(0, 2, 1).unwrap()).unwrap());
        assert_eq!(last, parts[0][32..]);
        // The kernels' formula, which their GPU version is held to, is what the tables do.
        let mut want = values(&x);
        longsight_kernels::rotary::reference::rotate(&mut want, 2, 8, turn);
        assert!(whole.iter().zip(&want).all(|(got, want)| (got - want).abs() < 1e-5), "{whole:?} {want:?}");
        assert!(rotation.apply(&x.narrow(0, 0, 4).unwrap()).is_err());
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
