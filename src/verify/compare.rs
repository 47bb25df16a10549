//! Differences of tensors.

use super::ROUNDED_PIXELS;
use candle_core::{DType, Result, Tensor};
use serde::Serialize;

/// Whether two lists are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Equal {
    /// Every element, and the lengths
    pub equal: bool,
}

/// How far a tensor is from the reference's. JSON has no infinity: a tensor of another shape is `null` away.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, schemars::JsonSchema)]
pub struct TensorDifference {
    /// Largest absolute difference
    pub max_abs: Option<f64>,
    /// Norm of the difference over the norm of the reference
    pub rel: Option<f64>,
}

impl TensorDifference {
    /// The difference of `found` from `expected`.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn of(found: &Tensor, expected: &Tensor) -> Result<Self> {
        if found.dims() != expected.dims() {
            return Ok(Self { max_abs: None, rel: None });
        }
        let (found, expected) = (values(found)?, values(expected)?);
        let (mut max_abs, mut squares, mut norm) = (0f64, 0f64, 0f64);
        for (found, expected) in found.iter().zip(&expected) {
            let difference = found - expected;
            // Not `max`: that would drop a NaN.
            max_abs = if difference.abs() <= max_abs { max_abs } else { difference.abs() };
            squares += difference * difference;
            norm += expected * expected;
        }
        let rel = if squares == 0.0 { 0.0 } else { (squares / norm).sqrt() };
        Ok(Self { max_abs: finite(max_abs), rel: finite(rel) })
    }

    /// Whether `rel` is known and at most `tolerance`.
    #[must_use]
    pub fn within(&self, tolerance: f64) -> bool {
        self.rel.is_some_and(|rel| rel <= tolerance)
    }
}

/// A difference of scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, schemars::JsonSchema)]
pub struct LogitDifference {
    /// Of all scores
    #[serde(flatten)]
    pub tensor: TensorDifference,
    /// Share of tokens after which the same token is the most likely
    pub argmax_agreement: f64,
}

impl LogitDifference {
    /// The difference of `[tokens, vocabulary]` scores.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn of(found: &Tensor, expected: &Tensor) -> Result<Self> {
        let tensor = TensorDifference::of(found, expected)?;
        let argmax_agreement = if tensor.rel.is_some() {
            let best = |t: &Tensor| t.to_dtype(DType::F32)?.argmax(1)?.to_vec1::<u32>();
            let (found, expected) = (best(found)?, best(expected)?);
            let same = found.iter().zip(&expected).filter(|(a, b)| a == b).count();
            same as f64 / expected.len().max(1) as f64
        } else {
            0.0
        };
        Ok(Self { tensor, argmax_agreement })
    }
}

/// A difference of normalised pixels, also counted in grey levels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, schemars::JsonSchema)]
pub struct PixelDifference {
    /// Of the normalised values
    #[serde(flatten)]
    pub tensor: TensorDifference,
    /// Largest difference in grey levels (steps of 1/255 before normalisation)
    pub max_grey_levels: Option<f64>,
    /// Share of values that are off by half a grey level or more
    pub differing: f64,
}

impl PixelDifference {
    /// The difference of rows `[channels, ..]` whose channels have the given grey levels.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn of(found: &Tensor, expected: &Tensor, grey_level: [f32; 3]) -> Result<Self> {
        let tensor = TensorDifference::of(found, expected)?;
        // Not `rel`: against all zeros a difference has a size and no ratio.
        if tensor.max_abs.is_none() {
            return Ok(Self { tensor, max_grey_levels: None, differing: 1.0 });
        }
        let width = expected.dim(1)?;
        let (found, expected) = (values(found)?, values(expected)?);
        let levels = found
            .iter()
            .zip(&expected)
            .enumerate()
            .map(|(i, (found, expected))| (found - expected).abs() / f64::from(grey_level[i % width * 3 / width]));
        let (mut largest, mut differing) = (0f64, 0usize);
        for level in levels {
            largest = largest.max(level);
            differing += usize::from(level >= 0.5);
        }
        Ok(Self {
            tensor,
            max_grey_levels: finite(largest),
            differing: differing as f64 / expected.len().max(1) as f64,
        })
    }

    /// Whether no more than rounding differs.
    #[must_use]
    pub fn is_rounding(&self) -> bool {
        /// A grey level is a difference of two f32 values near 2: three decimals are certain.
        const ONE: f64 = 1.001;
        self.max_grey_levels.is_some_and(|levels| levels <= ONE) && self.differing <= ROUNDED_PIXELS
    }
}

fn values(tensor: &Tensor) -> Result<Vec<f64>> {
    tensor.flatten_all()?.to_dtype(DType::F64)?.to_vec1()
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed tensor operation fails the test")]
    use super::*;
    use candle_core::Device;

    fn tensor(values: &[f32], columns: usize) -> Tensor {
        Tensor::from_slice(values, (values.len() / columns, columns), &Device::Cpu).unwrap()
    }

    #[test]
    fn differences_are_largest_and_relative() {
        let difference = TensorDifference::of(&tensor(&[3.0, 4.5], 2), &tensor(&[3.0, 4.0], 2)).unwrap();
        assert_eq!(difference, TensorDifference { max_abs: Some(0.5), rel: Some(0.1) });
        assert!(difference.within(0.1) && !difference.within(0.09));
    }

    #[test]
    fn other_shapes_and_nan_are_within_nothing() {
        for found in [tensor(&[1.0, 2.0, 3.0, 4.0], 2), tensor(&[1.0, f32::NAN], 2)] {
            assert!(!TensorDifference::of(&found, &tensor(&[1.0, 2.0], 2)).unwrap().within(1e9));
            assert!(!PixelDifference::of(&found, &tensor(&[1.0, 2.0], 2), [1.0; 3]).unwrap().is_rounding());
        }
    }

    #[test]
    fn pixels_are_counted_in_grey_levels_of_their_channel() {
        let levels = [0.1, 0.2, 0.4];
        let of = |found: &[f32]| PixelDifference::of(&tensor(found, 6), &tensor(&[0.0; 6], 6), levels).unwrap();
        let one = of(&[0.0, 0.0, 0.0, 0.2, 0.0, 0.0]);
        assert!((one.max_grey_levels.unwrap() - 1.0).abs() < 1e-6 && (one.differing - 1.0 / 6.0).abs() < 1e-9);
        assert!(!of(&[0.2, 0.0, 0.0, 0.0, 0.0, 0.0]).is_rounding());
        let wide = tensor(&[0.0; 60], 60);
        let mut few = [0.0; 60];
        few[59] = 0.4;
        assert!(PixelDifference::of(&tensor(&few, 60), &wide, levels).unwrap().is_rounding());
    }
}
