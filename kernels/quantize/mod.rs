//! Keys and values in eight or four bits: each column of a matrix, thirty-two rows at a time, by the least and the largest of these numbers.
//!
//! For a group with least number `l` and step `s = (largest - l) / (2^bits - 1)`, both as f16: `code = round((x - l) / s)`, and back
//! `x ~ l + s code`. An error is at most `s / 2`, and what rounding `l` and `s` to f16 costs: a 2048th of either, the latter times the code.
//! Numbers beyond f16's range are cut to it.
//!
//! Why columns, and thirty-two: keys of all models have channels that are large everywhere (KIVI, KVQuant), and so have values of visual
//! tokens (VidKV). Measured on the 17863 tokens that longsight-tiny makes of a 2-hour video, relative error of the norm, mean over
//! layers, 2026-11-25, in 8 and 4 bits:
//!
//! | one scale for | keys | values |
//! | --- | --- | --- |
//! | 32 numbers of a column | 0.0029, 0.049 | 0.0039, 0.065 |
//! | 128 numbers of a column | 0.0037, 0.063 | 0.0046, 0.078 |
//! | a row (64 columns) | 0.0061, 0.104 | 0.0053, 0.090 |
//!
//! Keys before their rotation have 0.0025 and 0.043: not enough to unrotate them for.
//!
//! Codes stand row by row, four-bit ones in pairs: those of the first half of the columns in the low bits, those of the second half in the
//! high ones, so that both halves are read and written as they lie. Bounds stand group by group: the least of every column, then the
//! steps.
//!
//! The ladder: the reference, one number at a time in f64; here, a row at a time in loops that vectorise, groups on all threads.

mod cpu;
#[cfg(any(test, feature = "cuda"))]
pub mod cuda;
pub mod reference;
#[cfg(test)]
mod tests;

use half::f16;

/// Rows of a column that share a scale.
pub const GROUP: usize = 32;

/// The size of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bits {
    /// 16 steps
    Four,
    /// 256 steps
    Eight,
}

impl Bits {
    /// Bytes of the codes of `rows` rows of `columns` columns.
    ///
    /// # Panics
    /// When four-bit codes of an odd number of columns are asked for.
    #[must_use]
    pub fn bytes(self, rows: usize, columns: usize) -> usize {
        match self {
            Self::Eight => rows * columns,
            Self::Four => {
                assert!(columns.is_multiple_of(2), "{columns} columns have no halves");
                rows * columns / 2
            }
        }
    }

    /// The largest code.
    fn largest(self) -> f32 {
        match self {
            Self::Four => 15.0,
            Self::Eight => 255.0,
        }
    }
}

/// Numbers of the bounds of `rows` rows of `columns` columns.
#[must_use]
pub fn bounds(rows: usize, columns: usize) -> usize {
    rows.div_ceil(GROUP) * 2 * columns
}

/// Codes and bounds of a matrix with rows of `columns` numbers.
///
/// # Panics
/// When `x` is not whole rows, or four-bit codes of an odd number of columns are asked for.
#[must_use]
pub fn quantize(bits: Bits, x: &[f32], columns: usize) -> (Vec<u8>, Vec<f16>) {
    assert!(columns > 0 && x.len().is_multiple_of(columns), "{} numbers in rows of {columns}", x.len());
    let rows = x.len() / columns;
    let (mut codes, mut bounds) = (vec![0; bits.bytes(rows, columns)], vec![f16::ZERO; bounds(rows, columns)]);
    cpu::quantize(bits, x, columns, &mut codes, &mut bounds);
    (codes, bounds)
}

/// The numbers that codes stand for.
///
/// # Panics
/// When codes, bounds and numbers are not those of one matrix with rows of `columns` numbers.
pub fn dequantize(bits: Bits, codes: &[u8], bounds_of: &[f16], columns: usize, x: &mut [f32]) {
    assert!(columns > 0 && x.len().is_multiple_of(columns), "{} numbers in rows of {columns}", x.len());
    let rows = x.len() / columns;
    assert_eq!(codes.len(), bits.bytes(rows, columns), "codes of {rows} rows of {columns}");
    assert_eq!(bounds_of.len(), bounds(rows, columns), "bounds of {rows} rows of {columns}");
    cpu::dequantize(bits, codes, bounds_of, columns, x);
}
