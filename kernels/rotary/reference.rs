//! The formula, in f64; the angle itself is a product in f32, as the models were trained with.

use super::Turn;

/// Turns rows `[tokens, heads, dim]`.
///
/// # Panics
/// When the tables do not fit.
pub fn rotate(rows: &mut [f32], heads: usize, dim: usize, turn: Turn) {
    turn.check(rows.len() / (heads * dim), dim);
    for (index, row) in rows.chunks_mut(dim).enumerate() {
        let token = index / heads;
        let (low, high) = row.split_at_mut(dim / 2);
        for (pair, (x, y)) in low.iter_mut().zip(high).enumerate() {
            let angle = f64::from(turn.positions[turn.axes[pair]][token] as f32 * turn.frequencies[pair]);
            let (sine, cosine) = (angle.sin() * f64::from(turn.scale), angle.cos() * f64::from(turn.scale));
            let (a, b) = (f64::from(*x), f64::from(*y));
            (*x, *y) = ((a * cosine - b * sine) as f32, (b * cosine + a * sine) as f32);
        }
    }
}
