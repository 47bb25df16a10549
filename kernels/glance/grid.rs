//! Where a smaller picture's pixels lie in the larger one, as `cv2.resize` with `INTER_LINEAR` places them.

use super::SIDE;

/// One position between two neighbours, weights in 1/2048.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tap {
    /// The nearer start
    pub first: usize,
    /// The neighbour, `first` itself at the far edge
    pub second: usize,
    /// Weights of the two
    pub weights: [i16; 2],
}

/// The columns and rows a picture of a given size is sampled at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    /// One tap for each column wanted
    pub columns: Vec<Tap>,
    /// One tap for each row wanted
    pub rows: Vec<Tap>,
}

impl Grid {
    /// The grid of a `width` x `height` picture: the longer side becomes [`SIDE`], pictures below that keep their size.
    #[must_use]
    pub fn new(width: usize, height: usize) -> Self {
        let factor = (width.max(height) as f64 / SIDE as f64).max(1.0);
        let wanted = |side: usize| ((side as f64 / factor).round_ties_even() as usize).max(1);
        Self { columns: taps(width, wanted(width)), rows: taps(height, wanted(height)) }
    }

    /// The same grid with only every so many rows, from the middle of the first so many on.
    #[must_use]
    pub fn sparse(self, every: usize) -> Self {
        let first = (every / 2).min(self.rows.len() - 1);
        Self { rows: self.rows.into_iter().skip(first).step_by(every).collect(), ..self }
    }
}

fn taps(source: usize, wanted: usize) -> Vec<Tap> {
    let scale = source as f64 / wanted as f64;
    (0..wanted)
        .map(|index| {
            let position = ((index as f64 + 0.5) * scale - 0.5) as f32;
            let first = position.floor();
            let part = position - first;
            let (first, part) = match first {
                below if below < 0.0 => (0, 0.0),
                _ if first as usize >= source - 1 => (source - 1, 0.0),
                _ => (first as usize, part),
            };
            let weight = |part: f32| (part * 2048.0).round_ties_even() as i16;
            Tap { first, second: (first + 1).min(source - 1), weights: [weight(1.0 - part), weight(part)] }
        })
        .collect()
}
