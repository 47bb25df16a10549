//! The formula, in f64.

use super::Rms;

/// See [`Rms::rows`].
#[must_use]
pub fn rows(norm: Rms, x: &[f32]) -> Vec<f32> {
    let width = norm.weight.len();
    let row = |row: &[f32]| -> Vec<f32> {
        let squares: f64 = row.iter().map(|&x| f64::from(x).powi(2)).sum();
        let root = (squares / width as f64 + f64::from(norm.eps)).sqrt();
        row.iter().zip(norm.weight).map(|(&x, &w)| (f64::from(x) / root * f64::from(w)) as f32).collect()
    };
    x.chunks(width).flat_map(row).collect()
}
