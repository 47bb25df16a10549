//! The formula, in f64.

use crate::element::Element;

/// See [`super::Packed::forward`]; `weights` are `[output, input]`.
#[must_use]
pub fn forward<T: Element>(x: &[T], weights: &[T], input: usize, bias: Option<&[f32]>) -> Vec<f32> {
    let output = weights.len() / input;
    let wide = |x: T| f64::from(x.to_f32());
    let row = |row: &[T]| -> Vec<f32> {
        let sum = |(o, w): (usize, &[T])| {
            let start = bias.map_or(0.0, |bias| f64::from(bias[o]));
            (start + row.iter().zip(w).map(|(&x, &w)| wide(x) * wide(w)).sum::<f64>()) as f32
        };
        weights.chunks(input).take(output).enumerate().map(sum).collect()
    };
    x.chunks(input).flat_map(row).collect()
}
