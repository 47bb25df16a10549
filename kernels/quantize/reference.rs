//! One number at a time, in f64.

use super::{Bits, GROUP};
use half::f16;

/// See [`super::quantize`].
#[must_use]
pub fn quantize(bits: Bits, x: &[f32], columns: usize) -> (Vec<u8>, Vec<f16>) {
    let rows = x.len() / columns;
    let (mut codes, mut bounds) = (vec![0; bits.bytes(rows, columns)], vec![f16::ZERO; super::bounds(rows, columns)]);
    for row in 0..rows {
        for column in 0..columns {
            let first = row / GROUP * GROUP;
            let group = (first..rows.min(first + GROUP)).map(|row| cut(x[row * columns + column]));
            let (low, high) =
                group.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
            let low = f16::from_f64(low);
            let step = f16::from_f64((high - low.to_f64()) / f64::from(bits.largest()));
            let at = row / GROUP * 2 * columns + column;
            (bounds[at], bounds[at + columns]) = (low, step);
            let code = match step.to_f64() {
                step if step > 0.0 => (cut(x[row * columns + column]) - low.to_f64()) / step,
                _ => 0.0,
            };
            let code = code.round_ties_even().clamp(0.0, f64::from(bits.largest())) as u8;
            let (at, shift) = place(bits, row, column, columns);
            codes[at] |= code << shift;
        }
    }
    (codes, bounds)
}

/// See [`super::dequantize`].
pub fn dequantize(bits: Bits, codes: &[u8], bounds: &[f16], columns: usize, x: &mut [f32]) {
    for (at, x) in x.iter_mut().enumerate() {
        let (row, column) = (at / columns, at % columns);
        let group = row / GROUP * 2 * columns + column;
        let (byte, shift) = place(bits, row, column, columns);
        let code = codes[byte] >> shift & bits.largest() as u8;
        *x = (bounds[group].to_f64() + bounds[group + columns].to_f64() * f64::from(code)) as f32;
    }
}

/// The byte and the bit at which a code begins.
fn place(bits: Bits, row: usize, column: usize, columns: usize) -> (usize, usize) {
    let half = columns / 2;
    match bits {
        Bits::Eight => (row * columns + column, 0),
        Bits::Four => (row * half + column % half, column / half * 4),
    }
}

fn cut(x: f32) -> f64 {
    f64::from(x).clamp(f16::MIN.to_f64(), f16::MAX.to_f64())
}
